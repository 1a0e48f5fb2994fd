// What tongbao tells a payer's browser about a charge.

/** `succeeded`, `closed` and `failed` are final. */
export type ChargeStatus = 'pending' | 'succeeded' | 'closed' | 'failed';

/** What the payer must be shown or sent to. */
export type Action =
  | {type: 'qr_code'; code_url: string}
  | {type: 'redirect'; url: string}
  | {type: 'form'; html: string}
  | {type: 'jsapi' | 'app'; params: unknown};

/** A charge as its payer may see it. */
export interface Charge {
  /** `ch_…`. */
  id: string;
  status: ChargeStatus;
  paid: boolean;
  /** RFC 3339. */
  paid_at?: string | null;
  livemode?: boolean;
  order_no?: string;
  /** In fen: 1200 is CNY 12.00. */
  amount?: number;
  currency?: string;
  subject?: string;
  channel?: string | null;
  action?: Action | null;
  /** The page of tongbao on which this charge can be paid. */
  cashier_url?: string;
  return_url?: string | null;
  expires_at?: string;
  created_at?: string;
  closed_at?: string | null;
  /** Until nobody can pay any more, by the server's clock. */
  seconds_left?: number;
}

/**
 * A charge that can be watched: one with a `watch_url`, or the `id` and `client_secret` of a `/v1`
 * charge, of which `cashier_url` tells where tongbao is.
 */
export interface Watchable {
  watch_url?: string;
  id?: string | number;
  client_secret?: string;
  cashier_url?: string;
}

/** Whether nothing more will happen. */
export function isFinal(status: string): boolean {
  return status === 'succeeded' || status === 'closed' || status === 'failed';
}
