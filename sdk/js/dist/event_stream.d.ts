/** The data of the first event; a 4xx is an error that says why. */
export declare function firstEvent(url: string, stop: AbortSignal): Promise<string>;
/** The data of the first whole event in a text; comments and other fields are passed over. */
export declare function dataOf(text: string): string | null;
