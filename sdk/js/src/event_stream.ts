// Server-sent events read by hand, for where there is no EventSource or something between breaks
// its line: one question, the first event, and the line is closed again.

import {TongbaoError, errorOf, plain} from './error.js';
import {within} from './request.js';

const ANSWER_MAX_MS = 10_000;
const EVENT_MAX = 1024 * 1024;

/** The data of the first event; a 4xx is an error that says why. */
export async function firstEvent(url: string, stop: AbortSignal): Promise<string> {
  return within(ANSWER_MAX_MS, url, async signal => {
    const headers = {Accept: 'text/event-stream'};
    const reply = await fetch(url, {headers, cache: 'no-store', credentials: 'omit', signal});
    if (!reply.ok) throw await errorOf(reply, url);
    const type = reply.headers.get('Content-Type') ?? 'nothing';
    if (!type.startsWith('text/event-stream') || !reply.body) {
      const message = `${plain(url)} answered ${type}, not an event stream. Is it tongbao?`;
      throw new TongbaoError(message, 'not_tongbao', reply.status);
    }
    return readFirst(reply.body.getReader(), url);
  }, stop);
}

async function readFirst(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  url: string,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const {done, value} = await reader.read();
      text += decoder.decode(value, {stream: !done});
      const data = dataOf(text);
      if (data !== null) return data;
      if (done || text.length > EVENT_MAX) {
        throw new TongbaoError(`${plain(url)} ended before it said anything.`, 'no_answer');
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** The data of the first whole event in a text; comments and other fields are passed over. */
export function dataOf(text: string): string | null {
  const blocks = text.replace(/\r\n?/g, '\n').split('\n\n');
  for (const block of blocks.slice(0, -1)) {
    const lines = block.split('\n').filter(line => line.startsWith('data:'));
    if (lines.length) return lines.map(line => line.slice(5).replace(/^ /, '')).join('\n');
  }
  return null;
}
