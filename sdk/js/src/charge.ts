// Starting a charge from a page, by the older Charge API (profile `capi`): POST
// {base}/capi/api/v1/charge and POST …/charge/{id}/fetch_pay_url.

import {TongbaoError} from './error.js';
import {address, postJson} from './request.js';
import type {CallOptions} from './request.js';

/** What is to be paid. */
export interface ChargeData {
  /** In fen: 100 is CNY 1.00. */
  amount: number;
  subject: string;
  body?: string;
  /** `ALIPAY` or `WECHAT`; may be left to `fetchPayUrl`. */
  channel?: string;
  /** What the payer looks at. */
  source?: 'pc' | 'mobile' | 'weixin';
  /** Your own order number. */
  trade_no?: string | number;
  /** `false`: visiting the pay address pays at once, without money. */
  livemode?: boolean;
  return_url?: string;
  notify_url?: string;
  papp?: number | string;
  client_ip?: string;
}

/** A charge as the Charge API shows it. */
export interface CreatedCharge {
  id: number;
  subject: string;
  body: string | null;
  amount: number;
  status: string;
  paid: boolean;
  paid_time: string | null;
  created: string;
  trade_no: string | null;
  /** Where `watchChargeStatus` listens; it holds the charge's client secret. */
  watch_url: string;
  /** The page of tongbao on which this charge can be paid. */
  cashier_url: string;
  [more: string]: unknown;
}

/** Where the payer pays. */
export interface PayUrl {
  pay_url: string;
  [more: string]: unknown;
}

/** How the payer wants to pay. */
export interface PayUrlOptions extends CallOptions {
  /** `ALIPAY` or `WECHAT`; without it the charge's own. */
  channel?: string | undefined;
}

/** Makes a charge. Your own server should stand in between: it knows what an order costs. */
export async function createCharge(
  data: ChargeData,
  options: CallOptions = {},
): Promise<CreatedCharge> {
  const url = address(options.base, '/capi/api/v1/charge');
  const made = await postJson(url, data, options);
  if (made['id'] === undefined) {
    throw new TongbaoError(`${url} answered without a charge.`, 'not_tongbao');
  }
  return made as CreatedCharge;
}

/** Where the payer goes to pay that charge. */
export async function fetchPayUrl(
  charge: {id: number | string; channel?: unknown} | number | string,
  options: PayUrlOptions = {},
): Promise<PayUrl> {
  const known = typeof charge === 'object' ? charge : {id: charge};
  const own = typeof known.channel === 'string' ? known.channel : undefined;
  const channel = options.channel ?? own;
  const path = `/capi/api/v1/charge/${encodeURIComponent(String(known.id))}/fetch_pay_url`;
  const url = address(options.base, path);
  const reply = await postJson(url, channel === undefined ? {} : {channel}, options);
  if (typeof reply['pay_url'] !== 'string') {
    throw new TongbaoError(`${url} answered without a pay_url.`, 'not_tongbao');
  }
  return reply as PayUrl;
}
