/** Something that was asked of tongbao, or of the shop's server, and did not work. */
export declare class TongbaoError extends Error {
    /** A stable name, such as `amount_too_large`; of our own `no_answer` and `not_tongbao`. */
    readonly code: string;
    /** The HTTP status; 0 if there was no answer. */
    readonly status: number;
    /** What to search the server's log for. */
    readonly requestId: string | null;
    readonly name = "TongbaoError";
    constructor(message: string, 
    /** A stable name, such as `amount_too_large`; of our own `no_answer` and `not_tongbao`. */
    code: string, 
    /** The HTTP status; 0 if there was no answer. */
    status?: number, 
    /** What to search the server's log for. */
    requestId?: string | null);
    /** Whether the same question will get the same answer, so that asking again is no use. */
    get isRefusal(): boolean;
}
/** No answer, whatever the browser calls it. */
export declare function noAnswer(url: string, cause: unknown): TongbaoError;
/** The error in a reply: a problem of /v1, `{error: {code, message}}` of capi, or anything else. */
export declare function errorOf(reply: Response, url: string): Promise<TongbaoError>;
/** An address without its query, which may hold a client secret. */
export declare function plain(url: string): string;
