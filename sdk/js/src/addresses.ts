// The addresses of a charge at tongbao that a browser may read with its client secret.

import {TongbaoError} from './error.js';
import {address} from './request.js';
import type {Watchable} from './types.js';

/** The server-sent events of a charge. */
export function watchAddress(charge: Watchable, base?: string): string {
  if (charge.watch_url) return charge.watch_url;
  if (charge.id === undefined || !charge.client_secret) {
    const message = 'This charge cannot be watched: it needs a watch_url, or its id and '
      + 'client_secret. Your server must pass them on to the page.';
    throw new TongbaoError(message, 'nothing_to_watch');
  }
  const id = encodeURIComponent(String(charge.id));
  const query = `client_secret=${encodeURIComponent(charge.client_secret)}`;
  return address(base ?? rootOf(charge.cashier_url), `/v1/charges/${id}/watch?${query}`);
}

/**
 * The charge's QR code as a picture; `nth` counts the codes shown so far. Browsers show an address
 * that a page has shown before without asking again, and a charge that goes on through another
 * channel has another code at the same address. An empty parameter makes it a new one.
 */
export function pictureAddress(watch: string, nth: number): string {
  return watch.replace(/\/watch(?=\?|$)/, '/qr.svg') + '&'.repeat(nth);
}

/** A page beneath the cashier, such as `go`; nothing if the address is none of the web's. */
export function cashierAddress(cashier: string | undefined, below = ''): string | null {
  if (!cashier || !isWeb(cashier)) return null;
  const [path = '', query] = cashier.split('?');
  return path.replace(/\/+$/, '') + below + (query ? `?${query}` : '');
}

/** Whether a link may lead there: never `javascript:`. */
export function isWeb(url: string): boolean {
  return /^https?:\/\//i.test(url);
}

/** Tongbao's own address, from that of the cashier. */
function rootOf(cashier: string | undefined): string | undefined {
  const path = cashier?.replace(/[?#].*$/, '');
  return path?.replace(/\/pay\/[^/]+\/*$/, '');
}
