/** Gives a shadow root its style in the way that a strict Content-Security-Policy allows. */
export declare function addStyle(root: ShadowRoot): void;
