import type { CallOptions } from './request.js';
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
export declare function createCharge(data: ChargeData, options?: CallOptions): Promise<CreatedCharge>;
/** Where the payer goes to pay that charge. */
export declare function fetchPayUrl(charge: {
    id: number | string;
    channel?: unknown;
} | number | string, options?: PayUrlOptions): Promise<PayUrl>;
