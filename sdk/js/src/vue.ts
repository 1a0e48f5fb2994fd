// The mixin of the older Charge API's pages, for Vue 2 and Vue 3: `createCharge(chargeData)`,
// `fetchPayUrl(charge, {channel})` and `watchChargeStatus(callback)` as methods of a component. It
// is a thin wrapper and knows nothing of Vue but the names of two hooks.

import {createCharge, fetchPayUrl} from './charge.js';
import type {ChargeData, CreatedCharge, PayUrl, PayUrlOptions} from './charge.js';
import {TongbaoError} from './error.js';
import type {CallOptions} from './request.js';
import type {Charge} from './types.js';
import {watchChargeStatus} from './watch.js';

/** How a mixin calls. */
export interface MixinOptions extends CallOptions {
  /** The charge cannot be watched any more; without it the console is told. */
  onError?: (error: TongbaoError) => void;
}

/** The charge that was created, with what was heard of it since. */
export interface PaymentData extends CreatedCharge {
  /** The charge as tongbao told it. */
  charge: Charge;
}

type Callback = (data: PaymentData) => void;

/** What one component has under way. */
interface Desk {
  created: CreatedCharge | null;
  callback: Callback | null;
  stop: (() => void) | null;
  isGone: boolean;
}

/** Makes the mixin; `base` says where the Charge API is, if not at the page's own origin. */
export function paymentMixin(options: MixinOptions = {}) {
  const desks = new WeakMap<object, Desk>();
  const deskOf = (component: object): Desk => {
    const desk = desks.get(component)
      ?? {created: null, callback: null, stop: null, isGone: false};
    desks.set(component, desk);
    return desk;
  };
  const leave = (component: object): void => {
    const desk = deskOf(component);
    desk.isGone = true;
    desk.stop?.();
  };
  return {
    methods: {
      async createCharge(this: object, data: ChargeData): Promise<CreatedCharge> {
        const made = await createCharge(data, options);
        // The later fetchPayUrl of the same charge may leave the channel out.
        const {channel} = data;
        const created = channel === undefined ? made : {channel, ...made};
        const desk = deskOf(this);
        desk.created = created;
        watch(desk, options);
        return created;
      },
      fetchPayUrl(
        this: object,
        charge: {id: number | string; channel?: unknown},
        how: PayUrlOptions = {},
      ): Promise<PayUrl> {
        return fetchPayUrl(charge, {...options, ...how});
      },
      /**
       * Calls back once, when the charge of this component has been paid. It may come before
       * `createCharge`. Gives a function that stops it; leaving the component does so too.
       */
      watchChargeStatus(this: object, callback: Callback): () => void {
        const desk = deskOf(this);
        desk.callback = callback;
        watch(desk, options);
        return () => {
          if (desk.callback !== callback) return;
          desk.callback = null;
          desk.stop?.();
        };
      },
    },
    /** Vue 2. */
    beforeDestroy(this: object): void {
      leave(this);
    },
    /** Vue 3. */
    beforeUnmount(this: object): void {
      leave(this);
    },
  };
}

/** Begins once both the charge and the callback are there; a later charge takes its place. */
function watch(desk: Desk, options: MixinOptions): void {
  desk.stop?.();
  desk.stop = null;
  const {created, callback} = desk;
  if (!created || !callback || desk.isGone) return;
  const told = (charge: Charge): void => {
    if (charge.status !== 'succeeded') return;
    const {status, paid} = charge;
    callback({...created, status, paid, paid_time: charge.paid_at ?? null, charge});
  };
  try {
    desk.stop = watchChargeStatus(created, told, {onError: options.onError});
  } catch (error) {
    // The charge is there all the same, and can be paid.
    if (options.onError && error instanceof TongbaoError) options.onError(error);
    else console.error(error);
  }
}

/** The mixin for pages whose own origin answers the Charge API. */
export const PaymentMixin = paymentMixin();

/** As the older pages name it: `mixins: [dcompany.mixins.PaymentMixin]`. */
export const mixins = {PaymentMixin};
