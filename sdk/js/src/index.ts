// The browser side of tongbao. What a page needs is exported here; everything else is private.

export {createCharge, fetchPayUrl} from './charge.js';
export type {ChargeData, CreatedCharge, PayUrl, PayUrlOptions} from './charge.js';
export {mountCashier} from './cashier.js';
export type {CashierOptions} from './cashier.js';
export {TongbaoError} from './error.js';
export type {CallOptions} from './request.js';
export type {Action, Charge, ChargeStatus, Watchable} from './types.js';
export {PaymentMixin, mixins, paymentMixin} from './vue.js';
export type {MixinOptions, PaymentData} from './vue.js';
export {watchChargeStatus} from './watch.js';
export type {WatchOptions} from './watch.js';
