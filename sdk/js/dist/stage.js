// What a payer is to be shown of a charge: pure functions from the charge to words and links.
import { cashierAddress, isWeb } from './addresses.js';
export function stageOf(charge) {
    if (charge.status === 'succeeded')
        return 'paid';
    if (charge.status === 'closed' || charge.status === 'failed')
        return charge.status;
    switch (charge.action?.type) {
        case 'qr_code':
            return 'scan';
        case 'redirect':
        case 'form':
            return 'go';
        case 'jsapi':
        case 'app':
            return 'in-app';
        default:
            return charge.channel ? 'preparing' : 'choosing';
    }
}
/** `wechat` or `alipay`, once it is known. */
export function providerOf(charge) {
    if (charge.channel?.startsWith('wechat'))
        return 'wechat';
    return charge.channel?.startsWith('alipay') ? 'alipay' : null;
}
export function wordsOf(charge, t) {
    const scan = providerOf(charge) === 'alipay' ? t.scanAlipay : t.scanWechat;
    const words = {
        scan: [scan, t.scanHint],
        go: [t.goHeading, t.goHint],
        'in-app': [t.appHeading, t.appHint],
        preparing: [t.preparing, t.preparingHint],
        choosing: [t.choose, t.chooseHint],
        paid: [t.paid, t.paidHint],
        closed: [t.closed, t.closedHint],
        failed: [t.failed, t.failedHint],
    };
    const [heading, hint] = words[stageOf(charge)];
    return { heading, hint };
}
/** What leads on: to the provider, to Alipay's app, or to tongbao's cashier. */
export function linkOf(charge, t) {
    const stage = stageOf(charge);
    const isAlipay = providerOf(charge) === 'alipay';
    const link = (href, text, onPhone = false) => href === null ? null : { href, text, onPhone };
    if (stage === 'go') {
        const text = isAlipay ? t.goAlipay : t.goWechat;
        return link(cashierAddress(charge.cashier_url, '/go'), text);
    }
    if (stage === 'choosing')
        return link(cashierAddress(charge.cashier_url), t.toCashier);
    const { action } = charge;
    // Alipay's codes are addresses that its app opens; WeChat's are not.
    if (isAlipay && action?.type === 'qr_code' && isWeb(action.code_url)) {
        return link(action.code_url, t.openAlipay, true);
    }
    return null;
}
/** Where the code can be saved from, for whoever reads the page on the phone that pays. */
export function savedCode(charge) {
    if (stageOf(charge) !== 'scan' || providerOf(charge) !== 'wechat')
        return null;
    return cashierAddress(charge.cashier_url, '/qr.png');
}
/** Seconds until nobody can pay any more; nothing if that is not known. */
export function secondsLeft(charge, nowMs) {
    if (charge.seconds_left !== undefined)
        return Math.max(0, charge.seconds_left);
    const end = Date.parse(charge.expires_at ?? '');
    return Number.isNaN(end) ? null : Math.max(0, Math.ceil((end - nowMs) / 1000));
}
/** `4:59`, or `1:04:59`. */
export function clock(seconds) {
    const two = (n) => String(n).padStart(2, '0');
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor(seconds / 60) % 60;
    const rest = two(seconds % 60);
    return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}
