// One call with JSON in and out, which ends within a bounded time.

import {TongbaoError, errorOf, noAnswer, plain} from './error.js';

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

const ANSWER_MAX_MS = 15_000;

/** Joins a base and a path that begins with a slash. */
export function address(base: string | undefined, path: string): string {
  return (base ?? '').replace(/\/+$/, '') + path;
}

/** Sends JSON; anything but a 2xx with a JSON object is an error that says why. */
export async function postJson(
  url: string,
  body: unknown,
  options: CallOptions,
): Promise<Record<string, unknown>> {
  const {text, reply} = await within(ANSWER_MAX_MS, url, async signal => {
    const ours = {'Content-Type': 'application/json', Accept: 'application/json'};
    const answer = await fetch(url, {
      method: 'POST',
      headers: {...ours, ...options.headers},
      body: JSON.stringify(body),
      credentials: options.credentials ?? 'same-origin',
      signal,
    });
    if (!answer.ok) throw await errorOf(answer, url);
    return {text: await answer.text(), reply: answer};
  });
  return object(text, url, reply.status);
}

/** Gives up after a time; whatever the network throws becomes a readable error. */
export async function within<T>(
  ms: number,
  url: string,
  call: (signal: AbortSignal) => Promise<T>,
  stop?: AbortSignal,
): Promise<T> {
  const giveUp = new AbortController();
  const end = () => giveUp.abort();
  const timer = setTimeout(end, ms);
  stop?.addEventListener('abort', end);
  try {
    return await call(giveUp.signal);
  } catch (error) {
    throw error instanceof TongbaoError ? error : noAnswer(url, error);
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener('abort', end);
  }
}

function object(text: string, url: string, status: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  const message = `${plain(url)} answered something else than JSON. Is the base address right?`;
  throw new TongbaoError(message, 'not_tongbao', status);
}
