/** A language of the cashier. */
export type Language = 'zh' | 'en';
export interface Texts {
    code: string;
    timeLeft: string;
    timeOver: string;
    testMode: string;
    offline: string;
    scanWechat: string;
    scanAlipay: string;
    scanHint: string;
    samePhone: string;
    saveCode: string;
    openAlipay: string;
    goHeading: string;
    goHint: string;
    goWechat: string;
    goAlipay: string;
    appHeading: string;
    appHint: string;
    preparing: string;
    preparingHint: string;
    choose: string;
    chooseHint: string;
    toCashier: string;
    paid: string;
    paidHint: string;
    closed: string;
    closedHint: string;
    failed: string;
    failedHint: string;
    lost: string;
    lostHint: string;
}
export declare const TEXTS: Record<Language, Texts>;
/** The language of an element, else of the browser, else Chinese as most payers are. */
export declare function languageOf(element: Element): Language;
