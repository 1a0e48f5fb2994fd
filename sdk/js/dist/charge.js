// Starting a charge from a page, by the older Charge API (profile `capi`): POST
// {base}/capi/api/v1/charge and POST …/charge/{id}/fetch_pay_url.
import { TongbaoError } from './error.js';
import { address, postJson } from './request.js';
/** Makes a charge. Your own server should stand in between: it knows what an order costs. */
export async function createCharge(data, options = {}) {
    const url = address(options.base, '/capi/api/v1/charge');
    const made = await postJson(url, data, options);
    if (made['id'] === undefined) {
        throw new TongbaoError(`${url} answered without a charge.`, 'not_tongbao');
    }
    return made;
}
/** Where the payer goes to pay that charge. */
export async function fetchPayUrl(charge, options = {}) {
    const known = typeof charge === 'object' ? charge : { id: charge };
    const own = typeof known.channel === 'string' ? known.channel : undefined;
    const channel = options.channel ?? own;
    const path = `/capi/api/v1/charge/${encodeURIComponent(String(known.id))}/fetch_pay_url`;
    const url = address(options.base, path);
    const reply = await postJson(url, channel === undefined ? {} : { channel }, options);
    if (typeof reply['pay_url'] !== 'string') {
        throw new TongbaoError(`${url} answered without a pay_url.`, 'not_tongbao');
    }
    return reply;
}
