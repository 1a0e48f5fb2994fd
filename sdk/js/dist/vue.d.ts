import type { ChargeData, CreatedCharge, PayUrl, PayUrlOptions } from './charge.js';
import { TongbaoError } from './error.js';
import type { CallOptions } from './request.js';
import type { Charge } from './types.js';
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
/** Makes the mixin; `base` says where the Charge API is, if not at the page's own origin. */
export declare function paymentMixin(options?: MixinOptions): {
    methods: {
        createCharge(this: object, data: ChargeData): Promise<CreatedCharge>;
        fetchPayUrl(this: object, charge: {
            id: number | string;
            channel?: unknown;
        }, how?: PayUrlOptions): Promise<PayUrl>;
        /**
         * Calls back once, when the charge of this component has been paid. It may come before
         * `createCharge`. Gives a function that stops it; leaving the component does so too.
         */
        watchChargeStatus(this: object, callback: Callback): () => void;
    };
    /** Vue 2. */
    beforeDestroy(this: object): void;
    /** Vue 3. */
    beforeUnmount(this: object): void;
};
/** The mixin for pages whose own origin answers the Charge API. */
export declare const PaymentMixin: {
    methods: {
        createCharge(this: object, data: ChargeData): Promise<CreatedCharge>;
        fetchPayUrl(this: object, charge: {
            id: number | string;
            channel?: unknown;
        }, how?: PayUrlOptions): Promise<PayUrl>;
        /**
         * Calls back once, when the charge of this component has been paid. It may come before
         * `createCharge`. Gives a function that stops it; leaving the component does so too.
         */
        watchChargeStatus(this: object, callback: Callback): () => void;
    };
    /** Vue 2. */
    beforeDestroy(this: object): void;
    /** Vue 3. */
    beforeUnmount(this: object): void;
};
/** As the older pages name it: `mixins: [dcompany.mixins.PaymentMixin]`. */
export declare const mixins: {
    PaymentMixin: {
        methods: {
            createCharge(this: object, data: ChargeData): Promise<CreatedCharge>;
            fetchPayUrl(this: object, charge: {
                id: number | string;
                channel?: unknown;
            }, how?: PayUrlOptions): Promise<PayUrl>;
            /**
             * Calls back once, when the charge of this component has been paid. It may come before
             * `createCharge`. Gives a function that stops it; leaving the component does so too.
             */
            watchChargeStatus(this: object, callback: Callback): () => void;
        };
        /** Vue 2. */
        beforeDestroy(this: object): void;
        /** Vue 3. */
        beforeUnmount(this: object): void;
    };
};
export {};
