import type { TongbaoError } from './error.js';
import type { Language } from './texts.js';
import type { Charge, Watchable } from './types.js';
import type { WatchOptions } from './watch.js';
/** How a cashier is shown. */
export interface CashierOptions {
    /** Where tongbao is, if the charge itself does not tell. */
    base?: string | undefined;
    /** Without it that of the element, else of the browser. */
    language?: Language | undefined;
    /** The charge now, and whenever its status changes. */
    onStatus?: ((charge: Charge) => void) | undefined;
    /** Each change, also one of other things than the status, such as a new code. */
    onChange?: ((charge: Charge) => void) | undefined;
    /** The charge cannot be watched any more. */
    onError?: ((error: TongbaoError) => void) | undefined;
    /** Asks your own server instead of tongbao where the EventSource does not work. */
    poll?: WatchOptions['poll'];
}
/** Shows the charge's cashier inside an element. Gives a function that takes it away again. */
export declare function mountCashier(element: HTMLElement, charge: Watchable, options?: CashierOptions): () => void;
