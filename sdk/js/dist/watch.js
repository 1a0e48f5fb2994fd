// Watching a charge until it has ended, whatever happens to the line in between.
//
// The first choice is an EventSource on the charge's `watch`: each connection begins with the
// charge as it is now, so a new connection is the same as asking. Where that does not work the
// charge is asked for every few seconds, and the EventSource is tried again now and then.
import { watchAddress } from './addresses.js';
import { TongbaoError } from './error.js';
import { firstEvent } from './event_stream.js';
import { isFinal } from './types.js';
const POLL_MS = 3000;
const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 15000;
/** The server sends comments that no script sees; a line may be dead without an error. */
const SILENCE_MAX_MS = 60000;
const WAKE_MIN_MS = 1000;
/** For a page's own `poll`; a question to tongbao gives up earlier. */
const ASK_MAX_MS = 20000;
/** After so many errors without an event in between, the charge is asked for instead. */
const STREAM_ERRORS_MAX = 3;
/** Once in so many questions the EventSource gets another chance. */
const STREAM_AGAIN_EVERY = 10;
const CLOSED = 2;
/**
 * Calls back with the charge now and whenever its status changes, and ends by itself at a final
 * status. Gives a function that stops it.
 */
export function watchChargeStatus(charge, callback, options = {}) {
    const watch = new Watch(watchAddress(charge, options.base), callback, options);
    watch.start();
    return () => watch.stop();
}
class Watch {
    constructor(url, callback, options) {
        this.url = url;
        this.callback = callback;
        this.options = options;
        this.source = null;
        this.asking = null;
        this.isOver = false;
        this.isConnected = null;
        this.lastStatus = null;
        this.lastText = '';
        this.wokenAt = -Infinity;
        this.nStreamErrors = 0;
        this.nFailed = 0;
        this.nAsked = 0;
        /** The page is looked at again, or the network is back: what was heard may be long ago. */
        this.woken = () => {
            const now = Date.now();
            if (globalThis.document?.hidden || now - this.wokenAt < WAKE_MIN_MS)
                return;
            this.wokenAt = now;
            this.nStreamErrors = 0;
            this.nFailed = 0;
            this.listen();
        };
    }
    start() {
        globalThis.document?.addEventListener('visibilitychange', this.woken);
        globalThis.addEventListener?.('online', this.woken);
        globalThis.addEventListener?.('pageshow', this.woken);
        this.listen();
    }
    stop() {
        this.isOver = true;
        this.hangUp();
        globalThis.document?.removeEventListener('visibilitychange', this.woken);
        globalThis.removeEventListener?.('online', this.woken);
        globalThis.removeEventListener?.('pageshow', this.woken);
    }
    listen() {
        this.hangUp();
        if (typeof EventSource === 'undefined')
            return void this.ask();
        const source = new EventSource(this.url);
        this.source = source;
        source.onmessage = event => {
            if (source !== this.source)
                return;
            this.nStreamErrors = 0;
            this.restTimer();
            this.connected(true);
            this.take(parsed(String(event.data)));
        };
        source.onerror = () => {
            if (source === this.source)
                this.broken(source);
        };
        this.restTimer();
    }
    restTimer() {
        this.later(SILENCE_MAX_MS, () => this.listen());
    }
    /** The browser comes again by itself, unless it was refused. */
    broken(source) {
        this.connected(false);
        this.nStreamErrors += 1;
        if (source.readyState === CLOSED || this.nStreamErrors >= STREAM_ERRORS_MAX)
            void this.ask();
    }
    async ask() {
        this.hangUp();
        if (this.isOver)
            return;
        const asking = new AbortController();
        this.asking = asking;
        this.nAsked += 1;
        this.later(ASK_MAX_MS, () => this.failed(null));
        try {
            const charge = await this.answer(asking.signal);
            if (asking !== this.asking)
                return;
            this.nFailed = 0;
            this.connected(true);
            this.take(charge);
            this.later(POLL_MS, () => this.next());
        }
        catch (error) {
            if (asking === this.asking)
                this.failed(error);
        }
    }
    async answer(signal) {
        if (this.options.poll)
            return this.options.poll();
        return parsed(await firstEvent(this.url, signal));
    }
    failed(error) {
        if (error instanceof TongbaoError && error.isRefusal) {
            this.stop();
            const { onError } = this.options;
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
    next() {
        const isTrusted = this.nStreamErrors < STREAM_ERRORS_MAX && this.nFailed === 0;
        if (isTrusted || this.nAsked % STREAM_AGAIN_EVERY === 0)
            this.listen();
        else
            void this.ask();
    }
    /** Tells what is new; the same once more is not. */
    take(value) {
        if (!isCharge(value) || this.isOver)
            return;
        const text = JSON.stringify({ ...value, seconds_left: undefined });
        if (text === this.lastText)
            return;
        this.lastText = text;
        const isNews = value.status !== this.lastStatus;
        this.lastStatus = value.status;
        if (isFinal(value.status))
            this.stop();
        safely(() => this.options.onChange?.(value));
        if (isNews)
            safely(() => this.callback(value));
    }
    connected(isConnected) {
        if (isConnected === this.isConnected || this.isOver)
            return;
        this.isConnected = isConnected;
        safely(() => this.options.onConnection?.(isConnected));
    }
    later(ms, then) {
        clearTimeout(this.timer);
        // A page may have stopped it from within a call back.
        if (!this.isOver)
            this.timer = setTimeout(then, ms);
    }
    hangUp() {
        clearTimeout(this.timer);
        this.source?.close();
        this.source = null;
        const asking = this.asking;
        this.asking = null;
        asking?.abort();
    }
}
function parsed(text) {
    try {
        return JSON.parse(text);
    }
    catch {
        return null;
    }
}
function isCharge(value) {
    return typeof value === 'object' && value !== null
        && typeof value.status === 'string';
}
/** What a page's own function throws is reported as its own, and the watch goes on. */
function safely(call) {
    try {
        call();
    }
    catch (error) {
        setTimeout(() => {
            throw error;
        });
    }
}
