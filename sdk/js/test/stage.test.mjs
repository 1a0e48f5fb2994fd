import assert from 'node:assert/strict';
import {test} from 'node:test';

import {cashierAddress, pictureAddress} from '../dist/addresses.js';
import {dataOf} from '../dist/event_stream.js';
import {clock, linkOf, savedCode, secondsLeft, stageOf, wordsOf} from '../dist/stage.js';
import {TEXTS} from '../dist/texts.js';

const CODE = {type: 'qr_code', code_url: 'weixin://wxpay/bizpayurl?pr=x'};
const PENDING = {status: 'pending', cashier_url: 'https://pay.example/pay/ch_1'};
const WECHAT = {...PENDING, channel: 'wechat.native', action: CODE};
const ALIPAY = {
  ...PENDING, channel: 'alipay.qr', action: {...CODE, code_url: 'https://qr.alipay.com/bax'},
};
const PAGE = {...PENDING, channel: 'alipay.page', action: {type: 'redirect', url: 'https://a'}};

test('the stage follows from status and action', () => {
  const jsapi = {...PENDING, channel: 'wechat.jsapi', action: {type: 'jsapi', params: {}}};
  const form = {...PAGE, action: {type: 'form', html: '<form>'}};
  const preparing = {...PENDING, channel: 'wechat.native', action: null};
  const ended = ['succeeded', 'closed', 'failed'].map(status => ({...WECHAT, status}));
  const all = [WECHAT, PAGE, form, jsapi, preparing, PENDING, ...ended];
  const wanted = 'scan go go in-app preparing choosing paid closed failed';
  assert.equal(all.map(stageOf).join(' '), wanted);
});

test('each stage has words in both languages', () => {
  assert.deepEqual(Object.keys(TEXTS.zh), Object.keys(TEXTS.en));
  assert.equal(wordsOf(WECHAT, TEXTS.en).heading, 'Scan with WeChat to pay');
  assert.equal(wordsOf(ALIPAY, TEXTS.zh).heading, '请用支付宝扫码付款');
  assert.equal(wordsOf({...WECHAT, status: 'succeeded'}, TEXTS.zh).heading, '付款成功');
});

test('links lead to the cashier, or to Alipay’s app on the phone, and never to a script', () => {
  const href = charge => linkOf(charge, TEXTS.en)?.href;
  assert.equal(href(PAGE), 'https://pay.example/pay/ch_1/go');
  assert.equal(href(PENDING), 'https://pay.example/pay/ch_1');
  assert.equal(href(WECHAT), undefined);
  assert.equal(href(ALIPAY), 'https://qr.alipay.com/bax');
  assert.ok(linkOf(ALIPAY, TEXTS.en).onPhone);
  const bad = 'javascript:alert(1)//pay/ch_1';
  assert.equal(href({...PAGE, cashier_url: bad}), undefined);
  assert.equal(href({...ALIPAY, action: {...CODE, code_url: bad}}), undefined);
  assert.equal(savedCode(WECHAT), 'https://pay.example/pay/ch_1/qr.png');
  assert.equal(savedCode(ALIPAY), null);
});

test('addresses beside the watch and beneath the cashier keep their query', () => {
  const watch = 'https://pay.example/v1/charges/ch_1/watch?client_secret=s';
  const picture = 'https://pay.example/v1/charges/ch_1/qr.svg?client_secret=s';
  assert.deepEqual([0, 2].map(nth => pictureAddress(watch, nth)), [picture, `${picture}&&`]);
  assert.equal(cashierAddress('https://p/pay/c?lang=en', '/go'), 'https://p/pay/c/go?lang=en');
  assert.equal(cashierAddress(undefined, '/go'), null);
});

test('the server’s seconds count, not the browser’s clock', () => {
  const expires_at = '2026-11-21T15:00:10Z';
  const now = Date.parse('2026-11-21T15:00:00Z');
  assert.equal(secondsLeft({...PENDING, expires_at, seconds_left: 5}, now), 5);
  assert.equal(secondsLeft({...PENDING, expires_at}, now), 10);
  assert.equal(secondsLeft({...PENDING, expires_at}, now + 60_000), 0);
  assert.equal(secondsLeft(PENDING, now), null);
  assert.deepEqual([0, 299, 3_899].map(clock), ['0:00', '4:59', '1:04:59']);
});

test('the first whole event of a stream is read, whatever its line ends', () => {
  assert.equal(dataOf('data: 1'), null);
  assert.equal(dataOf('data: 1\n'), null);
  assert.equal(dataOf(': hi\n\nretry: 5\ndata: 1\n\ndata: 2\n\n'), '1');
  assert.equal(dataOf('data:1\r\ndata: 2\r\n\r\n'), '1\n2');
});
