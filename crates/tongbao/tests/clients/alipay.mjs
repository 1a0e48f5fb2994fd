// Alipay OpenAPI 2.0 and v3 against the official npm alipay-sdk, with public keys and with
// certificates. Every reply's signature is verified (validateSign), or a sandbox with a broken one
// would pass.
//
// Usage: alipay.mjs SANDBOX; the sandbox's clock is moved to fetch bills, so it should be one that
// nobody else lives by. Of a sandbox at https, NODE_EXTRA_CA_CERTS must name the root.

import {execFileSync} from 'node:child_process';
import {generateKeyPairSync} from 'node:crypto';

import {
  advance, authCode, check, credentials, failure, load, main, number, pay, receiver,
} from './sandbox.mjs';

const {AlipaySdk} = load('alipay-sdk');

/** Node cannot unzip, Python can: the texts of a zip's files as JSON. */
const UNZIP = `
import io, json, sys, zipfile
bill = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))
print(json.dumps([bill.read(name).decode("gb18030") for name in bill.namelist()]))
`;

/** A PEM key as the SDK wants it: the bare base64. */
const bare = pem => pem.replace(/-----[^-]+-----/g, '').replace(/\s/g, '');

function client(sandbox, alipay, mode, privateKey = alipay.app_private_key) {
  const config = {
    appId: alipay.app_id,
    privateKey: bare(privateKey),
    keyType: 'PKCS8',
    gateway: `${sandbox}/gateway.do`,
    endpoint: sandbox,
    timeout: 15_000,
    camelcase: false,
  };
  if (mode === 'keys') {
    config.alipayPublicKey = bare(alipay.alipay_public_key);
  } else {
    config.appCertContent = alipay.app_cert;
    config.alipayPublicCertContent = alipay.alipay_cert;
    config.alipayRootCertContent = alipay.alipay_root_cert;
  }
  return new AlipaySdk(config);
}

function merchantOf(sdk, notifyUrl) {
  return (method, bizContent) => {
    const request = {bizContent, ...(notifyUrl && {notifyUrl})};
    return sdk.exec(`alipay.trade.${method}`, request, {validateSign: true});
  };
}

function good(reply, what) {
  check(reply.code === '10000', `${what} answers 10000`, reply);
  return reply;
}

async function precreate(call, outTradeNo) {
  const order = {out_trade_no: outTradeNo, total_amount: '12.34', subject: '通宝 &+ 测试'};
  const reply = good(await call('precreate', order), 'precreate');
  check(reply.qr_code?.startsWith('https://qr.alipay.com/'), 'precreate has a qr_code', reply);
  check(reply.out_trade_no === outTradeNo, 'precreate echoes the number', reply);
  return reply.qr_code;
}

async function paidOrder(sandbox, alipay, sdk, call, inbox) {
  const outTradeNo = number('jsq');
  const code = await precreate(call, outTradeNo);
  await pay(sandbox, {code});
  const trade = good(await call('query', {out_trade_no: outTradeNo}), 'query of a paid trade');
  check(trade.trade_status === 'TRADE_SUCCESS', 'a paid trade is TRADE_SUCCESS', trade);
  check(trade.total_amount === '12.34', 'total_amount is what was ordered', trade);
  await checkNotice(alipay, sdk, inbox, {outTradeNo, tradeNo: trade.trade_no});
  const close = await call('close', {out_trade_no: outTradeNo});
  check(close.code === '40004', 'closing a paid trade is refused', close);
}

async function checkNotice(alipay, sdk, inbox, {outTradeNo, tradeNo}) {
  const {notice, body} = await noticeOf(inbox, outTradeNo);
  check(sdk.checkNotifySignV2({...notice}), 'the payment notification verifies', body);
  const forged = {...notice, total_amount: '12.35'};
  check(!sdk.checkNotifySignV2(forged), 'a changed notification fails', body);
  const want = {
    app_id: alipay.app_id,
    seller_id: alipay.seller_id,
    out_trade_no: outTradeNo,
    trade_no: tradeNo,
    trade_status: 'TRADE_SUCCESS',
    total_amount: '12.34',
    notify_type: 'trade_status_sync',
    subject: '通宝 &+ 测试',
  };
  for (const [name, value] of Object.entries(want)) {
    check(notice[name] === value, `${name} of the notification is ${value}`, body);
  }
}

/** The next notification about this order; those of orders closed before may come in between. */
async function noticeOf(inbox, outTradeNo) {
  for (;;) {
    const {body} = await inbox.next(`the notification of ${outTradeNo}`);
    const notice = Object.fromEntries(new URLSearchParams(body));
    if (notice.out_trade_no === outTradeNo) return {notice, body};
  }
}

/** Close needs a trade, which exists once the payer has scanned. */
async function closedOrder(sandbox, call) {
  const outTradeNo = number('jsc');
  const code = await precreate(call, outTradeNo);
  await pay(sandbox, {code, outcome: 'scanned'});
  const waiting = good(await call('query', {out_trade_no: outTradeNo}), 'query of a scanned code');
  check(waiting.trade_status === 'WAIT_BUYER_PAY', 'a scanned code waits for the buyer', waiting);
  good(await call('close', {out_trade_no: outTradeNo}), 'close');
  const closed = good(await call('query', {out_trade_no: outTradeNo}), 'query of a closed trade');
  check(closed.trade_status === 'TRADE_CLOSED', 'a closed trade is TRADE_CLOSED', closed);
}

async function cancelledOrder(sandbox, call) {
  const outTradeNo = number('jsx');
  const code = await precreate(call, outTradeNo);
  await pay(sandbox, {code, outcome: 'scanned'});
  const reply = good(await call('cancel', {out_trade_no: outTradeNo}), 'cancel');
  check(reply.retry_flag === 'N', 'cancel need not be repeated', reply);
  check(reply.action === 'close', 'cancelling an unpaid trade closes it', reply);
}

async function pageOrder(sandbox, alipay, sdk, call, inbox, method) {
  const outTradeNo = number('jsp');
  const page = sdk.pageExec('alipay.trade.page.pay', method, {
    notifyUrl: inbox.url,
    returnUrl: 'http://127.0.0.1:9/back',
    bizContent: {
      out_trade_no: outTradeNo,
      product_code: 'FAST_INSTANT_TRADE_PAY',
      total_amount: '12.34',
      subject: '通宝 &+ 测试',
    },
  });
  const url = method === 'GET' ? page : await submit(page);
  if (method === 'GET') await open(url, {});
  const before = await call('query', {out_trade_no: outTradeNo});
  const waits = before.trade_status === 'WAIT_BUYER_PAY';
  check(waits || before.sub_code === 'ACQ.TRADE_NOT_EXIST', 'an opened page is unpaid', before);
  const code = method === 'GET' ? {code: url} : {provider: 'alipay', out_trade_no: outTradeNo};
  await pay(sandbox, code);
  const trade = good(await call('query', {out_trade_no: outTradeNo}), 'query of a paid page');
  check(trade.trade_status === 'TRADE_SUCCESS', 'a paid page is TRADE_SUCCESS', trade);
  await checkNotice(alipay, sdk, inbox, {outTradeNo, tradeNo: trade.trade_no});
}

/** Opens the SDK's form the way a browser submits it. */
async function submit(html) {
  const unescaped = text => text.replace(/&quot;/g, '"').replace(/&amp;/g, '&');
  const action = unescaped(/action="([^"]+)"/.exec(html)?.[1] ?? '');
  check(action, 'the form has an action', html);
  const fields = [...html.matchAll(/<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"/g)];
  const body = new URLSearchParams(fields.map(([, name, value]) => [name, unescaped(value)]));
  await open(action, {method: 'POST', body});
  return action;
}

async function open(url, options) {
  const reply = await fetch(url, {...options, redirect: 'follow'});
  const text = await reply.text();
  check(reply.status === 200, 'the cashier page opens', reply.status, text);
  check(!text.includes('调试错误'), 'the cashier page shows no error', text);
}

async function refusals(sandbox, alipay, call, mode) {
  const unknown = await call('query', {out_trade_no: number('no')});
  check(unknown.code === '40004', 'an unknown order is a business failure', unknown);
  check(unknown.sub_code === 'ACQ.TRADE_NOT_EXIST', 'an unknown order does not exist', unknown);
  const {privateKey} = generateKeyPairSync('rsa', {modulusLength: 2048});
  const pem = privateKey.export({type: 'pkcs8', format: 'pem'});
  const stranger = merchantOf(client(sandbox, alipay, mode, pem));
  const refused = await stranger('query', {out_trade_no: number('no')});
  const isSignature = refused.sub_code === 'isv.invalid-signature';
  check(isSignature, 'another key is isv.invalid-signature', refused);
}

/** In two parts, each asked for twice, and no more than was paid. */
async function refundedOrder(sandbox, call) {
  const outTradeNo = number('jsr');
  await pay(sandbox, {code: await precreate(call, outTradeNo)});
  const refund = (amount, no) => call('refund', {
    out_trade_no: outTradeNo,
    refund_amount: amount,
    ...(no && {out_request_no: no}),
    query_options: ['refund_detail_item_list'],
  });
  const first = good(await refund('5.00', 'R1'), 'a partial refund');
  check(first.fund_change === 'Y', 'a refund moves money', first);
  check(first.refund_fee === '5.00', 'refund_fee is what went back so far', first);
  check(first.refund_detail_item_list?.[0]?.amount === '5.00', 'the detail is there', first);
  const again = good(await refund('5.00', 'R1'), 'the same refund again');
  check(again.fund_change === 'N', 'a repeated refund moves nothing', again);
  check(again.gmt_refund_pay === first.gmt_refund_pay, 'it is the same refund', first, again);
  const other = await refund('4.00', 'R1');
  const differs = other.sub_code === 'ACQ.DISCORDANT_REPEAT_REQUEST';
  check(differs, 'the number again with another amount is refused', other);
  const above = await refund('7.35', 'R2');
  const exceeds = above.sub_code === 'ACQ.REASON_TRADE_REFUND_FEE_ERR';
  check(exceeds, 'more than is left is refused', above);
  const bare = await refund('7.34');
  const unequal = bare.sub_code === 'ACQ.REFUND_AMT_NOT_EQUAL_TOTAL';
  check(unequal, 'a part without a number is refused', bare);
  const rest = good(await refund('7.34', 'R2'), 'the refund of the rest');
  check(rest.refund_fee === '12.34', 'everything went back', rest);
  const closed = good(await call('query', {out_trade_no: outTradeNo}), 'query after refunds');
  check(closed.trade_status === 'TRADE_CLOSED', 'a refunded trade is TRADE_CLOSED', closed);
  const asked = {out_trade_no: outTradeNo, out_request_no: 'R1'};
  const found = good(await call('fastpay.refund.query', asked), 'the refund query');
  check(found.refund_status === 'REFUND_SUCCESS', 'the refund is done', found);
  check(found.refund_amount === '5.00', 'refund_amount is of this refund', found);
  const unknown = {...asked, out_request_no: 'R9'};
  const nothing = good(await call('fastpay.refund.query', unknown), 'an unknown refund');
  check(nothing.refund_status === undefined, 'an unknown refund has no status', nothing);
}

async function scannedOrder(sandbox, call) {
  const shown = await authCode(sandbox, 'alipay');
  const scan = (outTradeNo, amount, authCode) => call('pay', {
    out_trade_no: outTradeNo,
    total_amount: amount,
    subject: '通宝 &+ 测试',
    scene: 'bar_code',
    auth_code: authCode,
  });
  const outTradeNo = number('jsb');
  const paid = good(await scan(outTradeNo, '12.34', shown), 'a scanned code');
  check(paid.total_amount === '12.34' && paid.gmt_payment, 'the money was deducted', paid);
  const used = await scan(number('jsb'), '12.34', shown);
  const isUsed = used.sub_code === 'ACQ.PAYMENT_AUTH_CODE_INVALID';
  check(isUsed, 'a used code is refused', used);
  const own = () => `28${String(process.hrtime.bigint()).slice(-16).padStart(16, '0')}`;
  const waits = await scan(number('jsb'), '1000.01', own());
  check(waits.code === '10003', 'a large payment waits for the password', waits);
  const poor = await scan(number('jsb'), '777.25', own());
  check(poor.sub_code === 'ACQ.BUYER_BALANCE_NOT_ENOUGH', 'a poor buyer cannot pay', poor);
  const cancelled = good(await call('cancel', {out_trade_no: outTradeNo}), 'cancel of a payment');
  check(cancelled.action === 'refund', 'cancelling a paid trade gives it back', cancelled);
}

/** The buyer of a mini program or a page inside Alipay. */
async function createdOrder(sandbox, call) {
  const order = {
    out_trade_no: number('jsm'),
    total_amount: '12.34',
    subject: '通宝 &+ 测试',
    product_code: 'JSAPI_PAY',
    buyer_id: '2088000000000077',
  };
  const created = good(await call('create', order), 'create');
  check(/^\d{28}$/.test(created.trade_no), 'a created trade has its number', created);
  await pay(sandbox, {code: created.trade_no});
  const trade = good(await call('query', {trade_no: created.trade_no}), 'query by trade_no');
  check(trade.buyer_user_id === order.buyer_id, 'the buyer is the one named', trade);
}

async function appOrder(sandbox, sdk, call) {
  const outTradeNo = number('jsa');
  const order = {out_trade_no: outTradeNo, total_amount: '12.34', subject: '通宝 &+ 测试'};
  const code = sdk.sdkExecute('alipay.trade.app.pay', {bizContent: order});
  await pay(sandbox, {code});
  const trade = good(await call('query', {out_trade_no: outTradeNo}), 'query of an app order');
  check(trade.trade_status === 'TRADE_SUCCESS', 'a paid order string is TRADE_SUCCESS', trade);
}

async function overV3(sandbox, sdk) {
  const post = async (path, body) => {
    const {data} = await sdk.curl('POST', `/v3/alipay/trade/${path}`, {body});
    return data;
  };
  const outTradeNo = number('jsv');
  const order = {out_trade_no: outTradeNo, total_amount: '12.34', subject: '通宝 &+ 测试'};
  const placed = await post('precreate', order);
  const early = await failure(post('query', {out_trade_no: outTradeNo}), 'an early query');
  check(early.code === 'ACQ.TRADE_NOT_EXIST', 'nobody has scanned the code', String(early));
  await pay(sandbox, {code: placed.qr_code});
  const trade = await post('query', {out_trade_no: outTradeNo});
  check(trade.trade_status === 'TRADE_SUCCESS', 'v3 knows of the payment', trade);
  const asked = {out_trade_no: outTradeNo, refund_amount: '1.00', out_request_no: 'R1'};
  const refund = await post('refund', asked);
  check(refund.refund_fee === '1.00' && refund.fund_change === 'Y', 'v3 refunds', refund);
}

/** Both bills of a day that is over, with our payment and our refund. */
async function bills(sandbox, sdk, call) {
  const outTradeNo = number('jsl');
  await pay(sandbox, {code: await precreate(call, outTradeNo)});
  const trade = good(await call('query', {out_trade_no: outTradeNo}), 'query of a paid trade');
  const refund = {out_trade_no: outTradeNo, refund_amount: '5.00', out_request_no: 'R1'};
  const {gmt_refund_pay: refundedAt} = good(await call('refund', refund), 'a partial refund');
  const days = [trade.send_pay_date.slice(0, 10), refundedAt.slice(0, 10)];
  const ask = (type, date) => sdk.exec(
    'alipay.data.dataservice.bill.downloadurl.query',
    {bizContent: {bill_type: type, bill_date: date}},
    {validateSign: true},
  );
  const past = await ask('trade', '2020-02-29');
  check(past.sub_code === 'NO_BILL_DATA', 'a day without trades has no bill', past);
  const today = await ask('trade', days[1]);
  check(today.sub_code === 'BILL_NOT_EXIST', 'a day that is not over has no bill', today);
  await advance(sandbox, '2d');
  const fetched = async (type, day) => {
    const reply = good(await ask(type, day), `the ${type} bill`);
    return rowsOf(await file(reply.bill_download_url));
  };
  const ids = {支付宝交易号: trade.trade_no, 商户订单号: outTradeNo};
  const amount = '订单金额（元）';
  const payment = {...ids, 业务类型: '交易', [amount]: '12.34'};
  checkRow(await fetched('trade', days[0]), payment);
  checkRow(await fetched('trade', days[1]), {...ids, 业务类型: '退款', [amount]: '-5.00'});
  const money = (kind, moved) => ({商户订单号: outTradeNo, 业务类型: kind, ...moved});
  const income = money('在线支付', {'收入金额（+元）': '12.34'});
  checkRow(await fetched('signcustomer', days[0]), income);
  const outgo = money('交易退款', {'支出金额（-元）': '-5.00'});
  checkRow(await fetched('signcustomer', days[1]), outgo);
}

async function file(url) {
  const reply = await fetch(url);
  const bytes = Buffer.from(await reply.arrayBuffer());
  check(reply.status === 200, 'the bill can be downloaded', reply.status, bytes.toString());
  return bytes;
}

/** The rows of all files of a zip, each with the names of its file's header. */
function rowsOf(zip) {
  const texts = JSON.parse(execFileSync('python3', ['-c', UNZIP], {input: zip}));
  check(texts.length === 2, 'a bill has the lines in one file and the sums in the other', texts);
  return texts.flatMap(text => {
    const lines = text.split('\r\n').filter(line => line && !line.startsWith('#'));
    const [names, ...rows] = lines.map(line => line.split(',').map(cell => cell.trim()));
    check(rows.every(row => row.length === names.length), 'each row has each column', text);
    return rows.map(row => Object.fromEntries(row.map((cell, n) => [names[n], cell])));
  });
}

function checkRow(rows, wanted) {
  const same = row => Object.entries(wanted).every(([name, cell]) => row[name] === cell);
  check(rows.filter(same).length === 1, 'the bill has the row once', wanted, rows);
}

await main('alipay.mjs (alipay-sdk)', async sandbox => {
  const {alipay} = await credentials(sandbox);
  const inbox = await receiver(() => ({body: 'success'}));
  for (const mode of ['keys', 'certificates']) {
    const sdk = client(sandbox, alipay, mode);
    const call = merchantOf(sdk, inbox.url);
    await paidOrder(sandbox, alipay, sdk, call, inbox);
    await closedOrder(sandbox, call);
    await cancelledOrder(sandbox, call);
    for (const method of ['GET', 'POST']) {
      await pageOrder(sandbox, alipay, sdk, call, inbox, method);
    }
    await refundedOrder(sandbox, call);
    await scannedOrder(sandbox, call);
    await createdOrder(sandbox, call);
    await appOrder(sandbox, sdk, call);
    await overV3(sandbox, sdk);
    await refusals(sandbox, alipay, call, mode);
    await bills(sandbox, sdk, call);
  }
});
