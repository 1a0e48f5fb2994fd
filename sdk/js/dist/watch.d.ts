import { TongbaoError } from './error.js';
import type { Charge, Watchable } from './types.js';
/** How a charge is watched. */
export interface WatchOptions {
    /** Where tongbao is, if the charge itself does not tell. */
    base?: string | undefined;
    /** Each change, also one of other things than the status, such as a new code to show. */
    onChange?: ((charge: Charge) => void) | undefined;
    /** It cannot go on: the charge is not there, or the client secret is wrong. */
    onError?: ((error: TongbaoError) => void) | undefined;
    /** Whether tongbao can be reached; what was shown last may be old while it is not. */
    onConnection?: ((isConnected: boolean) => void) | undefined;
    /**
     * Asks your own server where the charge stands, instead of tongbao, whenever the EventSource does
     * not work; for shops whose pages cannot reach tongbao at all.
     */
    poll?: (() => Promise<Pick<Charge, 'status'> & Partial<Charge>>) | undefined;
}
/**
 * Calls back with the charge now and whenever its status changes, and ends by itself at a final
 * status. Gives a function that stops it.
 */
export declare function watchChargeStatus(charge: Watchable, callback: (charge: Charge) => void, options?: WatchOptions): () => void;
