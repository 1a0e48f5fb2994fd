// WeChat Pay API v2 against npm tenpay, signed by MD5 and by HMAC-SHA256.
//
// Usage: wechat_v2.mjs SANDBOX

import {check, credentials, failure, load, main, number, pay, receiver} from './sandbox.mjs';

const tenpay = load('tenpay');

/** The library with the sandbox in the place of every address it knows. */
function client(sandbox, wechat, notifyUrl, partnerKey = wechat.api_key) {
  const merchant = new tenpay({
    appid: wechat.app_id,
    mchid: wechat.mch_id,
    partnerKey,
    notify_url: notifyUrl,
    spbill_create_ip: '127.0.0.1',
  });
  for (const [name, url] of Object.entries(merchant.urls)) {
    merchant.urls[name] = sandbox + new URL(url).pathname;
  }
  return merchant;
}

/** Lets the library's own receiver judge a notification; gives what it read and what it answers. */
async function judge(merchant, body) {
  const context = {request: {body}};
  await merchant.middleware('pay')(context, async () => context.reply());
  return {trade: context.request.weixin, answer: context.body};
}

async function paidOrder(sandbox, wechat, merchant, inbox, signType) {
  const outTradeNo = number('js2');
  const order = {
    out_trade_no: outTradeNo,
    body: '通宝 conformance',
    total_fee: 1234,
    trade_type: 'NATIVE',
    product_id: 'p1',
    attach: '附加',
    sign_type: signType,
  };
  const placed = await merchant.unifiedOrder(order);
  check(placed.code_url?.startsWith('weixin://'), 'the order has a code_url', placed);
  check(placed.prepay_id, 'the order has a prepay_id', placed);
  const query = () => merchant.orderQuery({out_trade_no: outTradeNo, sign_type: signType});
  const fresh = await query();
  check(fresh.trade_state === 'NOTPAY', 'a new order is NOTPAY', fresh);
  await pay(sandbox, {code: placed.code_url});
  checkPaid(await query(), outTradeNo);
  const notice = await inbox.next('the payment notification');
  const {trade, answer} = await judge(merchant, notice.body);
  check(trade, 'the payment notification verifies', notice.body, answer);
  checkPaid({trade_state: 'SUCCESS', ...trade}, outTradeNo);
  const forged = notice.body.replace('1234', '1235');
  check(forged !== notice.body, 'the notification bears the amount', notice.body);
  check(!(await judge(merchant, forged)).trade, 'a changed notification fails', forged);
  const close = merchant.closeOrder({out_trade_no: outTradeNo, sign_type: signType});
  const refused = await failure(close, 'closing a paid order');
  check(refused.message === 'ORDERPAID', 'closing a paid order says ORDERPAID', refused.message);
}

function checkPaid(trade, outTradeNo) {
  check(trade.trade_state === 'SUCCESS', 'a paid order is SUCCESS', trade);
  check(trade.out_trade_no === outTradeNo, 'it is our order', trade);
  check(trade.total_fee === '1234', 'total_fee is what was ordered', trade);
  check(trade.cash_fee === '1234', 'cash_fee is the same', trade);
  check(trade.transaction_id?.length === 28, 'transaction_id has 28 characters', trade);
  check(trade.openid, 'the payer has an openid', trade);
  check(trade.attach === '附加', 'attach comes back', trade);
  check(/^\d{14}$/.test(trade.time_end), 'time_end has 14 digits', trade);
}

async function closedOrder(merchant, signType) {
  const outTradeNo = number('js2');
  const order = {out_trade_no: outTradeNo, body: 'close', total_fee: 1, trade_type: 'NATIVE'};
  await merchant.unifiedOrder({...order, product_id: 'p1', sign_type: signType});
  const closed = await merchant.closeOrder({out_trade_no: outTradeNo, sign_type: signType});
  check(closed.result_code === 'SUCCESS', 'close succeeds', closed);
  const found = await merchant.orderQuery({out_trade_no: outTradeNo, sign_type: signType});
  check(found.trade_state === 'CLOSED', 'a closed order is CLOSED', found);
}

async function refusals(sandbox, wechat, merchant, inbox, signType) {
  const unknown = {out_trade_no: number('no'), sign_type: signType};
  const missing = await failure(merchant.orderQuery({...unknown}), 'query of an unknown order');
  check(missing.message === 'ORDERNOTEXIST', 'an unknown order is ORDERNOTEXIST', missing.message);
  const stranger = client(sandbox, wechat, inbox.url, 'wrongwrongwrongwrongwrongwrongwr');
  const refused = await failure(stranger.orderQuery({...unknown}), 'a query with another key');
  const words = /签名(错误|失败)|SIGNERROR/;
  check(words.test(refused.message), 'another key is a signature error', refused.message);
}

await main('wechat_v2.mjs (tenpay)', async sandbox => {
  const {wechat} = await credentials(sandbox);
  const answer = '<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>';
  const inbox = await receiver(() => ({body: answer}));
  const merchant = client(sandbox, wechat, inbox.url);
  for (const signType of ['MD5', 'HMAC-SHA256']) {
    await paidOrder(sandbox, wechat, merchant, inbox, signType);
    await closedOrder(merchant, signType);
    await refusals(sandbox, wechat, merchant, inbox, signType);
  }
});
