// Watching a charge until it has ended, whatever happens to the line in between.
//
// The first choice is an EventSource on the charge's `watch`: each connection begins with the
// charge as it is now, so a new connection is the same as asking. Where that does not work the
// charge is asked for every few seconds, and the EventSource is tried again now and then.

import {watchAddress} from './addresses.js';
import {TongbaoError} from './error.js';
import {firstEvent} from './event_stream.js';
import {isFinal} from './types.js';
import type {Charge, Watchable} from './types.js';

/** How a charge is watched. */
export interface WatchOptions {
  /** Where tongbao is, if the charge itself does not tell. */
  base?: string | undefined;
  /** Each change, also one of other things than the status, such as a new code to show. */
  onChange?: ((charge: Charge) => void) | undefined;
  /** It cannot go on: the charge is not there, or the client secret is wrong. */
  onError?: ((error: TongbaoError) => void) | undefined;
  /** Whether tongbao can be reached; what was shown last may be old while it is not. */
  onConnection?: ((isConnected: boolean) => void) | undefined;
  /**
   * Asks your own server where the charge stands, instead of tongbao, whenever the EventSource does
   * not work; for shops whose pages cannot reach tongbao at all.
   */
  poll?: (() => Promise<Pick<Charge, 'status'> & Partial<Charge>>) | undefined;
}

const POLL_MS = 3_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 15_000;
/** The server sends comments that no script sees; a line may be dead without an error. */
const SILENCE_MAX_MS = 60_000;
const WAKE_MIN_MS = 1_000;
/** For a page's own `poll`; a question to tongbao gives up earlier. */
const ASK_MAX_MS = 20_000;
/** After so many errors without an event in between, the charge is asked for instead. */
const STREAM_ERRORS_MAX = 3;
/** Once in so many questions the EventSource gets another chance. */
const STREAM_AGAIN_EVERY = 10;
const CLOSED = 2;

/**
 * Calls back with the charge now and whenever its status changes, and ends by itself at a final
 * status. Gives a function that stops it.
 */
export function watchChargeStatus(
  charge: Watchable,
  callback: (charge: Charge) => void,
  options: WatchOptions = {},
): () => void {
  const watch = new Watch(watchAddress(charge, options.base), callback, options);
  watch.start();
  return () => watch.stop();
}

class Watch {
  private source: EventSource | null = null;
  private asking: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isOver = false;
  private isConnected: boolean | null = null;
  private lastStatus: string | null = null;
  private lastText = '';
  private wokenAt = -Infinity;
  private nStreamErrors = 0;
  private nFailed = 0;
  private nAsked = 0;

  constructor(
    private readonly url: string,
    private readonly callback: (charge: Charge) => void,
    private readonly options: WatchOptions,
  ) {}

  start(): void {
    globalThis.document?.addEventListener('visibilitychange', this.woken);
    globalThis.addEventListener?.('online', this.woken);
    globalThis.addEventListener?.('pageshow', this.woken);
    this.listen();
  }

  stop(): void {
    this.isOver = true;
    this.hangUp();
    globalThis.document?.removeEventListener('visibilitychange', this.woken);
    globalThis.removeEventListener?.('online', this.woken);
    globalThis.removeEventListener?.('pageshow', this.woken);
  }

  /** The page is looked at again, or the network is back: what was heard may be long ago. */
  private readonly woken = (): void => {
    const now = Date.now();
    if (globalThis.document?.hidden || now - this.wokenAt < WAKE_MIN_MS) return;
    this.wokenAt = now;
    this.nStreamErrors = 0;
    this.nFailed = 0;
    this.listen();
  };

  private listen(): void {
    this.hangUp();
    if (typeof EventSource === 'undefined') return void this.ask();
    const source = new EventSource(this.url);
    this.source = source;
    source.onmessage = event => {
      if (source !== this.source) return;
      this.nStreamErrors = 0;
      this.restTimer();
      this.connected(true);
      this.take(parsed(String(event.data)));
    };
    source.onerror = () => {
      if (source === this.source) this.broken(source);
    };
    this.restTimer();
  }

  private restTimer(): void {
    this.later(SILENCE_MAX_MS, () => this.listen());
  }

  /** The browser comes again by itself, unless it was refused. */
  private broken(source: EventSource): void {
    this.connected(false);
    this.nStreamErrors += 1;
    if (source.readyState === CLOSED || this.nStreamErrors >= STREAM_ERRORS_MAX) void this.ask();
  }

  private async ask(): Promise<void> {
    this.hangUp();
    if (this.isOver) return;
    const asking = new AbortController();
    this.asking = asking;
    this.nAsked += 1;
    this.later(ASK_MAX_MS, () => this.failed(null));
    try {
      const charge = await this.answer(asking.signal);
      if (asking !== this.asking) return;
      this.nFailed = 0;
      this.connected(true);
      this.take(charge);
      this.later(POLL_MS, () => this.next());
    } catch (error) {
      if (asking === this.asking) this.failed(error);
    }
  }

  private async answer(signal: AbortSignal): Promise<unknown> {
    if (this.options.poll) return this.options.poll();
    return parsed(await firstEvent(this.url, signal));
  }

  private failed(error: unknown): void {
    if (error instanceof TongbaoError && error.isRefusal) {
      this.stop();
      const {onError} = this.options;
      return onError ? safely(() => onError(error)) : console.error(error);
    }
    this.connected(false);
    // It is the server or the network, not the stream alone.
    this.nStreamErrors = 0;
    this.nFailed += 1;
    const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (this.nFailed - 1));
    // A server that comes back should not meet all its payers in the same instant.
    this.later(wait * (0.5 + Math.random() / 2), () => this.next());
  }

  private next(): void {
    const isTrusted = this.nStreamErrors < STREAM_ERRORS_MAX && this.nFailed === 0;
    if (isTrusted || this.nAsked % STREAM_AGAIN_EVERY === 0) this.listen();
    else void this.ask();
  }

  /** Tells what is new; the same once more is not. */
  private take(value: unknown): void {
    if (!isCharge(value) || this.isOver) return;
    const text = JSON.stringify({...value, seconds_left: undefined});
    if (text === this.lastText) return;
    this.lastText = text;
    const isNews = value.status !== this.lastStatus;
    this.lastStatus = value.status;
    if (isFinal(value.status)) this.stop();
    safely(() => this.options.onChange?.(value));
    if (isNews) safely(() => this.callback(value));
  }

  private connected(isConnected: boolean): void {
    if (isConnected === this.isConnected || this.isOver) return;
    this.isConnected = isConnected;
    safely(() => this.options.onConnection?.(isConnected));
  }

  private later(ms: number, then: () => void): void {
    clearTimeout(this.timer);
    // A page may have stopped it from within a call back.
    if (!this.isOver) this.timer = setTimeout(then, ms);
  }

  private hangUp(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    const asking = this.asking;
    this.asking = null;
    asking?.abort();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isCharge(value: unknown): value is Charge {
  return typeof value === 'object' && value !== null
    && typeof (value as {status?: unknown}).status === 'string';
}

/** What a page's own function throws is reported as its own, and the watch goes on. */
function safely(call: () => void): void {
  try {
    call();
  } catch (error) {
    setTimeout(() => {
      throw error;
    });
  }
}
