import type { Texts } from './texts.js';
import type { Charge } from './types.js';
/** Which of its faces the cashier shows. */
export type Stage = 'scan' | 'go' | 'in-app' | 'preparing' | 'choosing' | 'paid' | 'closed' | 'failed';
export interface Words {
    heading: string;
    hint: string;
}
export interface Link {
    href: string;
    text: string;
    /** Only where this page is read on the phone that pays. */
    onPhone: boolean;
}
export declare function stageOf(charge: Charge): Stage;
/** `wechat` or `alipay`, once it is known. */
export declare function providerOf(charge: Charge): 'wechat' | 'alipay' | null;
export declare function wordsOf(charge: Charge, t: Texts): Words;
/** What leads on: to the provider, to Alipay's app, or to tongbao's cashier. */
export declare function linkOf(charge: Charge, t: Texts): Link | null;
/** Where the code can be saved from, for whoever reads the page on the phone that pays. */
export declare function savedCode(charge: Charge): string | null;
/** Seconds until nobody can pay any more; nothing if that is not known. */
export declare function secondsLeft(charge: Charge, nowMs: number): number | null;
/** `4:59`, or `1:04:59`. */
export declare function clock(seconds: number): string;
