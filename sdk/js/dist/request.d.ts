/** How a call is made. */
export interface CallOptions {
    /**
     * What stands before `/capi/…` and `/v1/…`: your own server, or tongbao itself. Without it the
     * page's own origin.
     */
    base?: string | undefined;
    /** More headers, such as your own server's CSRF token. Never a secret key. */
    headers?: Record<string, string> | undefined;
    /** Whether cookies go with it; `same-origin` if not said. */
    credentials?: RequestCredentials | undefined;
}
/** Joins a base and a path that begins with a slash. */
export declare function address(base: string | undefined, path: string): string;
/** Sends JSON; anything but a 2xx with a JSON object is an error that says why. */
export declare function postJson(url: string, body: unknown, options: CallOptions): Promise<Record<string, unknown>>;
/** Gives up after a time; whatever the network throws becomes a readable error. */
export declare function within<T>(ms: number, url: string, call: (signal: AbortSignal) => Promise<T>, stop?: AbortSignal): Promise<T>;
