// A browser for tests: an EventSource and a fetch that do what the test says, and its timers.

/** Lets everything that is due now happen. */
export async function settle() {
  for (let round = 0; round < 5; round += 1) await new Promise(done => setImmediate(done));
}

/** Stands for EventSource; `all` has every one that was opened. */
export class FakeEventSource {
  static all = [];
  readyState = 0;

  constructor(url) {
    this.url = url;
    FakeEventSource.all.push(this);
  }

  static get last() {
    return FakeEventSource.all.at(-1);
  }

  say(charge) {
    this.readyState = 1;
    this.onmessage({data: typeof charge === 'string' ? charge : JSON.stringify(charge)});
  }

  /** The line broke; the browser comes again by itself. */
  breakOff() {
    this.readyState = 0;
    this.onerror({});
  }

  /** The server answered something else than events; the browser gives up. */
  refuse() {
    this.readyState = 2;
    this.onerror({});
  }

  close() {
    this.readyState = 2;
    this.closed = true;
  }
}

/** A page with a document that can be hidden. */
function page() {
  const both = new EventTarget();
  return {
    document: {
      hidden: false,
      addEventListener: (...a) => both.addEventListener(...a),
      removeEventListener: (...a) => both.removeEventListener(...a),
    },
    addEventListener: (...a) => both.addEventListener(...a),
    removeEventListener: (...a) => both.removeEventListener(...a),
    happen: name => both.dispatchEvent(new Event(name)),
  };
}

/**
 * Puts the fakes in place for one test. `answers` are what fetch gives, one after another; the
 * last one stays. An `eventSource` of null is a browser without one.
 */
export function browser(t, {answers = [], eventSource = FakeEventSource} = {}) {
  t.mock.timers.enable({apis: ['setTimeout', 'setInterval', 'Date'], now: 1_700_000_000_000});
  t.mock.method(Math, 'random', () => 1);
  FakeEventSource.all = [];
  const calls = [];
  const fakePage = page();
  const fetch = async (url, options = {}) => {
    calls.push({url, ...options});
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === undefined) throw new TypeError('Failed to fetch');
    return typeof answer === 'function' ? answer(options) : answer.clone();
  };
  const {document, addEventListener, removeEventListener} = fakePage;
  const EventSource = eventSource ?? undefined;
  const fakes = {EventSource, fetch, document, addEventListener, removeEventListener};
  const before = Object.fromEntries(Object.keys(fakes).map(name => [name, globalThis[name]]));
  Object.assign(globalThis, fakes);
  t.after(() => Object.assign(globalThis, before));
  return {
    calls,
    document,
    happen: fakePage.happen,
    pass: async ms => {
      t.mock.timers.tick(ms);
      await settle();
    },
  };
}

/** A reply with JSON. */
export function json(status, body, headers = {}) {
  return new Response(JSON.stringify(body), {status, headers});
}

/** A reply with one server-sent event, after which the line stays open. */
export function events(charge) {
  return () => new Response(
    new ReadableStream({
      start(stream) {
        const text = `retry: 2000\ndata: ${JSON.stringify(charge)}\n\n`;
        stream.enqueue(new TextEncoder().encode(`: hello\n\n${text.slice(0, 25)}`));
        stream.enqueue(new TextEncoder().encode(text.slice(25)));
      },
    }),
    {headers: {'Content-Type': 'text/event-stream'}},
  );
}
