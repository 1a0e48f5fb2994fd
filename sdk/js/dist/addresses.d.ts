import type { Watchable } from './types.js';
/** The server-sent events of a charge. */
export declare function watchAddress(charge: Watchable, base?: string): string;
/**
 * The charge's QR code as a picture; `nth` counts the codes shown so far. Browsers show an address
 * that a page has shown before without asking again, and a charge that goes on through another
 * channel has another code at the same address. An empty parameter makes it a new one.
 */
export declare function pictureAddress(watch: string, nth: number): string;
/** A page beneath the cashier, such as `go`; nothing if the address is none of the web's. */
export declare function cashierAddress(cashier: string | undefined, below?: string): string | null;
/** Whether a link may lead there: never `javascript:`. */
export declare function isWeb(url: string): boolean;
