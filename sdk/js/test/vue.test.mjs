// The mixin in both real Vues, which the older pages use. Neither needs a document here: Vue 3
// draws with a renderer that draws nothing, Vue 2 is not mounted.

import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import path from 'node:path';
import {test} from 'node:test';
import {fileURLToPath} from 'node:url';

import {PaymentMixin, mixins, paymentMixin} from '../dist/index.js';
import {FakeEventSource, browser, json} from './fakes.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const modules = process.env.TONGBAO_TEST_NODE_MODULES ?? path.join(here, '../node_modules');
const load = createRequire(path.join(path.resolve(modules), 'here.js'));
const vue3 = load('vue');
const Vue2 = load('vue2');

const MADE = {
  id: 74, subject: '产品名称', trade_no: '43', amount: 100, paid: false, paid_time: null,
  status: 'pending', watch_url: 'https://pay.example/w',
};
const PAID_AT = '2026-11-21T15:00:00Z';
const PENDING = {id: 'ch_1', status: 'pending', paid: false};
const PAID = {id: 'ch_1', status: 'succeeded', paid: true, paid_at: PAID_AT};

/** The component of the older document, with what it was told. */
const page = mixin => ({
  mixins: [mixin],
  data: () => ({payUrl: '', told: []}),
  methods: {
    async payNow() {
      this.watchChargeStatus(data => this.told.push(data));
      const charge = await this.createCharge({amount: 100, subject: '产品名称', source: 'pc'});
      const reply = await this.fetchPayUrl(charge, {channel: 'ALIPAY'});
      this.payUrl = reply.pay_url;
    },
  },
  render: () => null,
});

const node = () => ({});
const renderer = vue3.createRenderer({
  insert: () => undefined, remove: () => undefined, createElement: node, createText: node,
  createComment: node, setText: () => undefined, setElementText: () => undefined,
  parentNode: () => null, nextSibling: () => null, patchProp: () => undefined,
});

const VUES = {
  'Vue 2': component => {
    assert.match(Vue2.version, /^2\./);
    const instance = new Vue2(component);
    return {instance, leave: () => instance.$destroy()};
  },
  'Vue 3': component => {
    assert.match(vue3.version, /^3\./);
    const app = renderer.createApp(component);
    return {instance: app.mount({}), leave: () => app.unmount()};
  },
};

Vue2.config.productionTip = false;
Vue2.config.devtools = false;

for (const [name, mount] of Object.entries(VUES)) {
  test(`${name}: the older page works as it is`, async t => {
    const answers = [json(200, MADE), json(200, {pay_url: 'https://pay.example/p'})];
    const {calls} = browser(t, {answers});
    const {instance, leave} = mount(page(PaymentMixin));
    await instance.payNow();
    assert.equal(instance.payUrl, 'https://pay.example/p');
    const urls = calls.map(call => call.url);
    assert.deepEqual(urls, ['/capi/api/v1/charge', '/capi/api/v1/charge/74/fetch_pay_url']);
    assert.equal(FakeEventSource.last.url, MADE.watch_url);
    FakeEventSource.last.say(PENDING);
    assert.deepEqual([...instance.told], [], 'not before it is paid');
    FakeEventSource.last.say(PAID);
    const {id, trade_no, status, paid, paid_time} = instance.told[0];
    const told = [id, trade_no, status, paid, paid_time];
    assert.deepEqual(told, [74, '43', 'succeeded', true, PAID_AT]);
    assert.equal(instance.told.length, 1);
    leave();
  });

  test(`${name}: leaving the component stops the watch`, async t => {
    browser(t, {answers: [json(200, MADE)]});
    const {instance, leave} = mount(page(PaymentMixin));
    await instance.createCharge({amount: 100, subject: 's'});
    instance.watchChargeStatus(data => instance.told.push(data));
    const source = FakeEventSource.last;
    leave();
    assert.ok(source.closed);
  });

  test(`${name}: a component that left while the charge was made watches nothing`, async t => {
    browser(t, {answers: [json(200, MADE)]});
    const {instance, leave} = mount(page(PaymentMixin));
    instance.watchChargeStatus(() => undefined);
    const making = instance.createCharge({amount: 100, subject: 's'});
    leave();
    await making;
    assert.equal(FakeEventSource.all.length, 0);
  });

  test(`${name}: two components do not hear of each other`, async t => {
    const other = {...MADE, id: 75, watch_url: 'https://pay.example/other'};
    browser(t, {answers: [json(200, MADE), json(200, other)]});
    const [first, second] = [mount(page(PaymentMixin)), mount(page(PaymentMixin))];
    for (const {instance} of [first, second]) {
      instance.watchChargeStatus(data => instance.told.push(data));
      await instance.createCharge({amount: 100, subject: 's'});
    }
    FakeEventSource.last.say(PAID);
    assert.deepEqual([first.instance.told.length, second.instance.told.length], [0, 1]);
    first.leave();
    second.leave();
  });
}

test('a mixin has a base, keeps the channel, and tells of what it cannot watch', async t => {
  const errors = [];
  const mixin = paymentMixin({base: 'https://api.example', onError: error => errors.push(error)});
  const {watch_url, ...unwatched} = MADE;
  const answers = [json(200, unwatched), json(200, {pay_url: 'p'})];
  const {calls} = browser(t, {answers});
  const {instance, leave} = VUES['Vue 3'](page(mixin));
  instance.watchChargeStatus(() => undefined);
  const charge = await instance.createCharge({amount: 100, subject: 's', channel: 'WECHAT'});
  await instance.fetchPayUrl(charge);
  assert.deepEqual(JSON.parse(calls[1].body), {channel: 'WECHAT'});
  assert.ok(calls[0].url.startsWith('https://api.example/capi/'));
  assert.deepEqual(errors.map(error => error.code), ['nothing_to_watch']);
  leave();
});

test('a stopped callback is not called, and a later charge replaces the first', async t => {
  browser(t, {answers: [json(200, MADE)]});
  const {instance, leave} = VUES['Vue 2'](page(mixins.PaymentMixin));
  const stop = instance.watchChargeStatus(data => instance.told.push(data));
  await instance.createCharge({amount: 100, subject: 's'});
  const first = FakeEventSource.last;
  await instance.createCharge({amount: 200, subject: 's'});
  assert.ok(first.closed && FakeEventSource.all.length === 2);
  stop();
  assert.ok(FakeEventSource.last.closed);
  leave();
});
