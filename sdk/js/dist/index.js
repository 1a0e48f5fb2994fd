// The browser side of tongbao. What a page needs is exported here; everything else is private.
export { createCharge, fetchPayUrl } from './charge.js';
export { mountCashier } from './cashier.js';
export { TongbaoError } from './error.js';
export { PaymentMixin, mixins, paymentMixin } from './vue.js';
export { watchChargeStatus } from './watch.js';
