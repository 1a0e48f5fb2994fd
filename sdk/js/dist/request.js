// One call with JSON in and out, which ends within a bounded time.
import { TongbaoError, errorOf, noAnswer, plain } from './error.js';
const ANSWER_MAX_MS = 15000;
/** Joins a base and a path that begins with a slash. */
export function address(base, path) {
    return (base ?? '').replace(/\/+$/, '') + path;
}
/** Sends JSON; anything but a 2xx with a JSON object is an error that says why. */
export async function postJson(url, body, options) {
    const { text, reply } = await within(ANSWER_MAX_MS, url, async (signal) => {
        const ours = { 'Content-Type': 'application/json', Accept: 'application/json' };
        const answer = await fetch(url, {
            method: 'POST',
            headers: { ...ours, ...options.headers },
            body: JSON.stringify(body),
            credentials: options.credentials ?? 'same-origin',
            signal,
        });
        if (!answer.ok)
            throw await errorOf(answer, url);
        return { text: await answer.text(), reply: answer };
    });
    return object(text, url, reply.status);
}
/** Gives up after a time; whatever the network throws becomes a readable error. */
export async function within(ms, url, call, stop) {
    const giveUp = new AbortController();
    const end = () => giveUp.abort();
    const timer = setTimeout(end, ms);
    stop?.addEventListener('abort', end);
    try {
        return await call(giveUp.signal);
    }
    catch (error) {
        throw error instanceof TongbaoError ? error : noAnswer(url, error);
    }
    finally {
        clearTimeout(timer);
        stop?.removeEventListener('abort', end);
    }
}
function object(text, url, status) {
    try {
        const value = JSON.parse(text);
        if (typeof value === 'object' && value !== null)
            return value;
    }
    catch {
        // Said below.
    }
    const message = `${plain(url)} answered something else than JSON. Is the base address right?`;
    throw new TongbaoError(message, 'not_tongbao', status);
}
