// What goes wrong, in words that a developer can act on.
/** Something that was asked of tongbao, or of the shop's server, and did not work. */
export class TongbaoError extends Error {
    constructor(message, 
    /** A stable name, such as `amount_too_large`; of our own `no_answer` and `not_tongbao`. */
    code, 
    /** The HTTP status; 0 if there was no answer. */
    status = 0, 
    /** What to search the server's log for. */
    requestId = null) {
        super(message);
        this.code = code;
        this.status = status;
        this.requestId = requestId;
        this.name = 'TongbaoError';
    }
    /** Whether the same question will get the same answer, so that asking again is no use. */
    get isRefusal() {
        const again = [408, 409, 425, 429].includes(this.status);
        return this.status >= 400 && this.status < 500 && !again;
    }
}
/** No answer, whatever the browser calls it. */
export function noAnswer(url, cause) {
    const why = cause instanceof Error && cause.message ? ` (${cause.message})` : '';
    const message = `${plain(url)} did not answer${why}. Is the address right, is the network up, `
        + 'and may this page call it (CORS, connect-src)?';
    return new TongbaoError(message, 'no_answer');
}
/** The error in a reply: a problem of /v1, `{error: {code, message}}` of capi, or anything else. */
export async function errorOf(reply, url) {
    const text = await reply.text().catch(() => '');
    const body = parsed(text);
    const inner = record(body['error']);
    const told = word(inner['message']) ?? word(body['error']) ?? word(body['detail'])
        ?? word(body['title']);
    const message = told ?? `${plain(url)} answered ${reply.status} without saying why.`;
    const code = word(inner['code']) ?? word(body['code']) ?? `http_${reply.status}`;
    const requestId = word(body['request_id']) ?? reply.headers.get('Request-Id');
    return new TongbaoError(message, code, reply.status, requestId);
}
/** An address without its query, which may hold a client secret. */
export function plain(url) {
    return url.replace(/[?#].*$/, '');
}
function parsed(text) {
    try {
        return record(JSON.parse(text));
    }
    catch {
        return {};
    }
}
function record(value) {
    return typeof value === 'object' && value !== null ? value : {};
}
function word(value) {
    if (typeof value === 'number')
        return String(value);
    return typeof value === 'string' && value !== '' ? value : undefined;
}
