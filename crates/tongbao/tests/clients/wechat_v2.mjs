// WeChat Pay API v2 against npm tenpay, signed by MD5 and by HMAC-SHA256. Over TLS it shows the
// merchant's certificate (p12) where v2 wants one, and is refused without it.
//
// Usage: wechat_v2.mjs SANDBOX; the sandbox's clock is moved, so it should be one that nobody else
// lives by. Of a sandbox at https, NODE_EXTRA_CA_CERTS must name the root.

import {
  advance, authCode, check, credentials, failure, load, main, number, pay, receiver,
} from './sandbox.mjs';

const tenpay = load('tenpay');

/** The library with the sandbox in the place of every address it knows. */
function client(sandbox, wechat, notifyUrl, changed = {}) {
  const merchant = new tenpay({
    appid: wechat.app_id,
    mchid: wechat.mch_id,
    partnerKey: wechat.api_key,
    pfx: Buffer.from(wechat.p12_base64, 'base64'),
    notify_url: notifyUrl,
    refund_url: notifyUrl,
    spbill_create_ip: '127.0.0.1',
    ...changed,
  });
  for (const [name, url] of Object.entries(merchant.urls)) {
    merchant.urls[name] = sandbox + new URL(url).pathname;
  }
  return merchant;
}

/** Lets the library's own receiver judge a notification; gives what it read and what it answers. */
async function judge(merchant, body, kind = 'pay') {
  const context = {request: {body}};
  await merchant.middleware(kind)(context, async () => context.reply());
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
  await refused(close, 'ORDERPAID', 'closing a paid order');
}

/** A call that fails with this code, or this text if it has none. */
async function refused(promise, code, what) {
  const error = await failure(promise, what);
  check(error.message === code, `${what} is ${code}`, error.message);
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
  const missing = merchant.orderQuery({...unknown});
  await refused(missing, 'ORDERNOTEXIST', 'query of an unknown order');
  const wrong = {partnerKey: 'wrongwrongwrongwrongwrongwrongwr'};
  const stranger = client(sandbox, wechat, inbox.url, wrong);
  const error = await failure(stranger.orderQuery({...unknown}), 'a query with another key');
  const words = /签名(错误|失败)|SIGNERROR/;
  check(words.test(error.message), 'another key is a signature error', error.message);
}

/** A new order, paid; gives its number and when it was paid. */
async function paid(sandbox, merchant, inbox, signType) {
  const order = {
    out_trade_no: number('js2'),
    body: '通宝 conformance',
    total_fee: 1234,
    trade_type: 'NATIVE',
    product_id: 'p1',
    sign_type: signType,
  };
  const {code_url: code} = await merchant.unifiedOrder({...order});
  await pay(sandbox, {code});
  await inbox.next('the payment notification');
  const asked = {out_trade_no: order.out_trade_no, sign_type: signType};
  return merchant.orderQuery(asked);
}

/** In two parts, each asked for twice, and no more than was paid; each end is notified. */
async function refundedOrder(sandbox, merchant, inbox, signType) {
  const {out_trade_no: outTradeNo} = await paid(sandbox, merchant, inbox, signType);
  const [one, two] = [number('js2r'), number('js2s')];
  const ask = (no, fee, total = 1234) => merchant.refund({
    out_trade_no: outTradeNo,
    out_refund_no: no,
    total_fee: total,
    refund_fee: fee,
    refund_desc: '退货 &<>',
    sign_type: signType,
  });
  const query = what => merchant.refundQuery({...what, sign_type: signType});
  const first = await ask(one, 500);
  checkRefund(first, {outTradeNo, no: one, fee: '500'});
  const again = await ask(one, 500);
  check(again.refund_id === first.refund_id, 'the same number is the same refund', first, again);
  const trade = await merchant.orderQuery({out_trade_no: outTradeNo, sign_type: signType});
  check(trade.trade_state === 'REFUND', 'an order with a refund is REFUND', trade);
  await refused(ask(one, 400), 'REFUND_FEE_MISMATCH', 'the number with another amount');
  await refused(ask(two, 734, 1233), 'REFUND_FEE_MISMATCH', 'a refund of another total');
  await refused(ask(two, 1235), 'invalid refund_fee', 'a refund above the total');
  await refused(ask(two, 735), 'INVALID_REQUEST', 'a refund of more than is left');
  const early = await query({out_refund_no: one});
  check(early.refund_status_0 === 'PROCESSING', 'a refund is under way first', early);
  await arrives(sandbox, merchant, inbox, {outTradeNo, no: one, fee: '500'});
  await ask(two, 734);
  await arrives(sandbox, merchant, inbox, {outTradeNo, no: two, fee: '734'});
  await refused(ask(number('js2t'), 1), 'ERROR', 'a refund of a fully refunded order');
  const both = await query({out_trade_no: outTradeNo});
  check(both.refund_count === '2', 'the order has two refunds', both);
  const found = [0, 1].map(n => `${both[`out_refund_no_${n}`]} ${both[`refund_fee_${n}`]}`).sort();
  const want = [`${one} 500`, `${two} 734`].sort();
  check(String(found) === String(want), 'both refunds are there', both, want);
  const byId = await query({refund_id: first.refund_id});
  check(byId.out_refund_no_0 === one, 'a refund can be found by refund_id', byId);
  check(byId.refund_status_0 === 'SUCCESS', 'the refund arrived', byId);
  const success = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(byId.refund_success_time_0);
  check(success, 'the refund has the time of its success', byId);
}

function checkRefund(refund, {outTradeNo, no, fee}) {
  check(refund.out_trade_no === outTradeNo, 'the refund is of our order', refund);
  check(refund.out_refund_no === no, 'it is our refund', refund);
  check(refund.refund_fee === fee, `refund_fee is ${fee}`, refund);
  check(refund.total_fee === '1234', 'total_fee is of the order', refund);
  check(refund.refund_id?.startsWith('50'), 'refund_id begins with 50', refund);
  check(refund.transaction_id?.length === 28, 'transaction_id has 28 characters', refund);
}

/** Time passes, and the client opens the notification that the refund has arrived. */
async function arrives(sandbox, merchant, inbox, expected) {
  await advance(sandbox, '3s');
  const {body} = await inbox.next('the notification of a refund');
  const {trade: notice, answer} = await judge(merchant, body, 'refund');
  check(notice, 'the notification of a refund opens', body, answer);
  checkRefund(notice.req_info, expected);
  check(notice.req_info.refund_status === 'SUCCESS', 'the refund arrived', notice);
  const key = 'wrongwrongwrongwrongwrongwrongwr';
  const {appid, mchid} = merchant;
  const stranger = new tenpay({appid, mchid, partnerKey: key});
  check(!(await judge(stranger, body, 'refund')).trade, 'another key does not open it', body);
}

async function refusedRefunds(sandbox, wechat, merchant, inbox, signType) {
  const refund = {
    out_refund_no: number('js2r'),
    total_fee: 1234,
    refund_fee: 1,
    sign_type: signType,
  };
  const unknown = {...refund, out_trade_no: number('no')};
  await refused(merchant.refund(unknown), 'ORDERNOTEXIST', 'a refund of an unknown order');
  const nothing = merchant.refundQuery({out_refund_no: number('no'), sign_type: signType});
  await refused(nothing, 'REFUNDNOTEXIST', 'query of an unknown refund');
  if (!sandbox.startsWith('https:')) return;
  const {out_trade_no: outTradeNo} = await paid(sandbox, merchant, inbox, signType);
  const bare = client(sandbox, wechat, inbox.url, {pfx: undefined});
  const guarded = {...refund, out_trade_no: outTradeNo};
  await refused(bare.refund(guarded), 'request fail', 'a refund without the certificate');
  const query = bare.refundQuery({out_trade_no: outTradeNo, sign_type: signType});
  await refused(query, 'REFUNDNOTEXIST', 'query of a refund that was not accepted');
}

/** Paid at once, taken back; a code that was used; a payer who is asked for a password. */
async function scannedOrder(sandbox, merchant, signType) {
  const scan = (outTradeNo, fee, code) => merchant.micropay({
    out_trade_no: outTradeNo,
    body: '通宝 conformance',
    attach: '附加',
    total_fee: fee,
    auth_code: code,
    sign_type: signType,
  });
  const [outTradeNo, code] = [number('js2b'), await authCode(sandbox, 'wechat')];
  const done = await scan(outTradeNo, 1234, code);
  checkPaid({trade_state: 'SUCCESS', ...done}, outTradeNo);
  check(done.trade_type === 'MICROPAY', 'trade_type is MICROPAY', done);
  await refused(scan(number('js2b'), 1234, code), 'AUTH_CODE_INVALID', 'a code that was used');
  await reversed(merchant, outTradeNo, signType);
  const poor = scan(number('js2b'), 77725, await authCode(sandbox, 'wechat'));
  await refused(poor, 'NOTENOUGH', 'a payer without money');
  const waiting = number('js2b');
  const asked = scan(waiting, 100001, await authCode(sandbox, 'wechat'));
  await refused(asked, 'USERPAYING', 'a payer who types a password');
  const query = () => merchant.orderQuery({out_trade_no: waiting, sign_type: signType});
  check((await query()).trade_state === 'USERPAYING', 'the order is USERPAYING');
  const early = merchant.reverse({out_trade_no: waiting, sign_type: signType});
  await refused(early, 'USERPAYING', 'reversing while the password is typed');
  await pay(sandbox, {provider: 'wechat', out_trade_no: waiting});
  check((await query()).trade_state === 'SUCCESS', 'the order is paid');
  await reversed(merchant, waiting, signType);
}

async function reversed(merchant, outTradeNo, signType) {
  const asked = {out_trade_no: outTradeNo, sign_type: signType};
  const reply = await merchant.reverse({...asked});
  check(reply.recall === 'N', 'reverse need not be repeated', reply);
  const {trade_state: state} = await merchant.orderQuery({...asked});
  check(state === 'REVOKED', 'a reversed order is REVOKED', state);
}

/** Trade bills and the fund-flow bill of a day that is over, with our payment and our refund. */
async function bills(sandbox, wechat, merchant, inbox, signType) {
  const trade = await paid(sandbox, merchant, inbox, signType);
  const refund = await merchant.refund({
    out_trade_no: trade.out_trade_no,
    out_refund_no: number('js2r'),
    total_fee: 1234,
    refund_fee: 500,
    sign_type: signType,
  });
  const day = trade.time_end.slice(0, 8);
  const trades = kind => merchant.downloadBill(
    {bill_date: day, bill_type: kind, sign_type: signType},
    true,
  );
  await refused(trades('ALL'), 'No Bill Exist', 'the bill of a day under way');
  const funds = () => merchant.downloadFundflow({bill_date: day}, true);
  await refused(funds(), 'NO_BILL_EXIST', 'the fund-flow bill of a day under way');
  await advance(sandbox, '2d');
  await inbox.next('the notification of the refund');
  const ids = {微信订单号: trade.transaction_id, 商户订单号: trade.out_trade_no};
  const payment = {...ids, 交易状态: 'SUCCESS', 订单金额: '12.34'};
  const returned = {
    ...ids,
    交易状态: 'REFUND',
    微信退款单号: refund.refund_id,
    申请退款金额: '5.00',
    退款状态: 'SUCCESS',
  };
  for (const [kind, all] of [
    ['ALL', [payment, returned]],
    ['SUCCESS', [payment]],
    ['REFUND', [returned]],
  ]) {
    checkRows(await trades(kind), '商户订单号', trade.out_trade_no, all);
  }
  const moved = (kind, amount) => ({收支类型: kind, '收支金额(元)': amount});
  const payments = [moved('收入', '12.34'), moved('支出', '0.07')];
  checkRows(await funds(), '微信支付业务单号', trade.transaction_id, payments);
  const refunds = [moved('支出', '5.00'), moved('收入', '0.03')];
  checkRows(await funds(), '微信支付业务单号', refund.refund_id, refunds);
  if (!sandbox.startsWith('https:')) return;
  const bare = client(sandbox, wechat, inbox.url, {pfx: undefined});
  const guarded = bare.downloadFundflow({bill_date: day});
  await refused(guarded, 'request fail', 'a fund-flow bill without the certificate');
}

/** Those rows of a bill whose column `name` is `value` are the expected ones, in any order. */
function checkRows(bill, name, value, expected) {
  const names = bill.list_title.map(title => title.replace('\ufeff', ''));
  const whole = bill.list_data.every(row => row.length === names.length);
  check(whole, 'each row has each column', bill);
  check(Number(bill.total_data[0]) === bill.list_data.length, 'the summary counts the rows', bill);
  const named = row => Object.fromEntries(row.map((cell, n) => [names[n], cell]));
  const rows = bill.list_data.map(named);
  const ours = rows.filter(row => row[name] === value);
  check(ours.length === expected.length, `so many rows have ${name} ${value}`, ours, expected);
  for (const wanted of expected) {
    const same = row => Object.entries(wanted).every(([key, cell]) => row[key] === cell);
    check(ours.some(same), 'the bill has the row', wanted, ours);
  }
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
    await refundedOrder(sandbox, merchant, inbox, signType);
    await refusedRefunds(sandbox, wechat, merchant, inbox, signType);
    await scannedOrder(sandbox, merchant, signType);
    await bills(sandbox, wechat, merchant, inbox, signType);
  }
});
