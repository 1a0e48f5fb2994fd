// Alipay OpenAPI 2.0 against the official npm alipay-sdk, with public keys and with certificates.
// Every reply's signature is verified (validateSign), or a sandbox with a broken one would pass.
//
// Usage: alipay.mjs SANDBOX

import {generateKeyPairSync} from 'node:crypto';

import {check, credentials, load, main, number, pay, receiver} from './sandbox.mjs';

const {AlipaySdk} = load('alipay-sdk');

/** A PEM key as the SDK wants it: the bare base64. */
const bare = pem => pem.replace(/-----[^-]+-----/g, '').replace(/\s/g, '');

function client(sandbox, alipay, mode, privateKey = alipay.app_private_key) {
  const config = {
    appId: alipay.app_id,
    privateKey: bare(privateKey),
    keyType: 'PKCS8',
    gateway: `${sandbox}/gateway.do`,
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
    await refusals(sandbox, alipay, call, mode);
  }
});
