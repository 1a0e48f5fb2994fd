import assert from 'node:assert/strict';
import {test} from 'node:test';

import {createCharge, fetchPayUrl} from '../dist/index.js';
import {browser, json} from './fakes.mjs';

const MADE = {id: 74, status: 'pending', paid: false, watch_url: 'https://pay.example/w'};

test('a charge is made at the base, with the page’s own headers', async t => {
  const {calls} = browser(t, {answers: [json(200, MADE)]});
  const data = {amount: 100, subject: '茶'};
  const options = {base: 'https://shop.example/pay/', headers: {'X-CSRF': 'c'}};
  assert.deepEqual(await createCharge(data, options), MADE);
  await createCharge(data);
  const [first, second] = calls;
  assert.equal(first.url, 'https://shop.example/pay/capi/api/v1/charge');
  assert.equal(first.method, 'POST');
  assert.deepEqual(JSON.parse(first.body), data);
  assert.equal(first.headers['X-CSRF'], 'c');
  assert.equal(first.credentials, 'same-origin');
  assert.equal(second.url, '/capi/api/v1/charge');
});

test('the pay address is asked for with the channel of the call, else the charge’s', async t => {
  const {calls} = browser(t, {answers: [json(200, {pay_url: 'https://pay.example/p'})]});
  const {pay_url} = await fetchPayUrl({id: 74, channel: 'WECHAT'}, {channel: 'ALIPAY'});
  assert.equal(pay_url, 'https://pay.example/p');
  await fetchPayUrl({id: 74, channel: 'WECHAT'}, {base: '/x'});
  await fetchPayUrl('7/4');
  assert.deepEqual(calls.map(call => [call.url, JSON.parse(call.body)]), [
    ['/capi/api/v1/charge/74/fetch_pay_url', {channel: 'ALIPAY'}],
    ['/x/capi/api/v1/charge/74/fetch_pay_url', {channel: 'WECHAT'}],
    ['/capi/api/v1/charge/7%2F4/fetch_pay_url', {}],
  ]);
});

test('errors say what happened and what to do', async t => {
  const check = async (answer, wanted) => {
    answers[0] = answer;
    const call = createCharge({amount: 1, subject: 's'});
    await assert.rejects(call, {name: 'TongbaoError', ...wanted});
  };
  const answers = [undefined];
  browser(t, {answers});
  await check(json(400, {error: {code: 'amount_too_small', message: 'At least 1 fen.'}}), {
    status: 400, code: 'amount_too_small', message: 'At least 1 fen.', isRefusal: true,
  });
  await check(json(401, {title: 'Who?', detail: 'No key.', code: 'unauthenticated'}), {
    status: 401, code: 'unauthenticated', message: 'No key.',
  });
  await check(json(422, {error: 'No tea.'}), {code: 'http_422', message: 'No tea.'});
  await check(new Response('<h1>Bad gateway', {status: 502, headers: {'Request-Id': 'r'}}), {
    status: 502, code: 'http_502', requestId: 'r', isRefusal: false,
    message: '/capi/api/v1/charge answered 502 without saying why.',
  });
  await check(new Response('<html>'), {code: 'not_tongbao', message: /something else than JSON/});
  await check(json(200, {}), {code: 'not_tongbao', message: /without a charge/});
  await check(undefined, {code: 'no_answer', message: /did not answer \(Failed to fetch/});
  answers[0] = json(200, {});
  await assert.rejects(fetchPayUrl(1), {code: 'not_tongbao', message: /without a pay_url/});
});

test('a server that never answers is given up', async t => {
  const never = ({signal}) => new Promise((_, fail) => {
    signal.addEventListener('abort', () => fail(new Error('aborted')));
  });
  const {pass} = browser(t, {answers: [never]});
  const call = assert.rejects(createCharge({amount: 1, subject: 's'}), {code: 'no_answer'});
  await pass(15_000);
  await call;
});
