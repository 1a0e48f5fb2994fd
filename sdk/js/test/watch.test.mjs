import assert from 'node:assert/strict';
import {test} from 'node:test';

import {watchChargeStatus} from '../dist/index.js';
import {FakeEventSource, browser, events, json, settle} from './fakes.mjs';

const CHARGE = {id: 'ch_1', client_secret: 'cs_1', cashier_url: 'https://pay.example/a/pay/ch_1'};
const WATCH = 'https://pay.example/a/v1/charges/ch_1/watch?client_secret=cs_1';
const PENDING = {id: 'ch_1', status: 'pending', paid: false};
const PAID = {id: 'ch_1', status: 'succeeded', paid: true};

/** Watches, and notes every call back in words. */
function watch(options = {}, charge = CHARGE) {
  const heard = [];
  const stop = watchChargeStatus(charge, ({status}) => heard.push(status), {
    onError: error => heard.push(error.code),
    onConnection: isConnected => heard.push(isConnected ? 'up' : 'down'),
    ...options,
  });
  return {heard, stop};
}

test('a charge is watched where it says, where the page says, or where its cashier is', t => {
  browser(t);
  const cases = [
    [CHARGE, {}, WATCH],
    [CHARGE, {base: 'https://other.example/'},
      'https://other.example/v1/charges/ch_1/watch?client_secret=cs_1'],
    [{id: 'ch_1', client_secret: 'a&b'}, {}, '/v1/charges/ch_1/watch?client_secret=a%26b'],
    [{id: 74, watch_url: 'https://pay.example/w'}, {base: 'x'}, 'https://pay.example/w'],
  ];
  for (const [charge, options, url] of cases) {
    watch(options, charge).stop();
    assert.equal(FakeEventSource.last.url, url);
  }
  const nothing = () => watchChargeStatus({id: 'ch_1'}, () => undefined);
  assert.throws(nothing, {code: 'nothing_to_watch', message: /client_secret/});
});

test('it tells each status once and ends by itself at a final one', async t => {
  const {pass, happen} = browser(t);
  for (const last of ['succeeded', 'closed', 'failed']) {
    const {heard} = watch();
    const source = FakeEventSource.last;
    source.say({...PENDING, seconds_left: 300});
    source.say({...PENDING, seconds_left: 299});
    source.say('not json');
    source.say('{"status": 1}');
    source.say({...PAID, status: last});
    assert.ok(source.closed);
    source.say({...PAID, status: last});
    assert.deepEqual(heard, ['up', 'pending', last]);
    const opened = FakeEventSource.all.length;
    happen('online');
    await pass(120_000);
    assert.equal(FakeEventSource.all.length, opened, 'nothing is asked after the end');
  }
});

test('a change of other things than the status is told to onChange alone', t => {
  browser(t);
  const changes = [];
  const {heard} = watch({onChange: charge => changes.push(charge.action)});
  FakeEventSource.last.say({...PENDING, action: 1, seconds_left: 300});
  FakeEventSource.last.say({...PENDING, action: 1, seconds_left: 300});
  FakeEventSource.last.say({...PENDING, action: 1, seconds_left: 299});
  FakeEventSource.last.say({...PENDING, action: 2, seconds_left: 298});
  assert.deepEqual(changes, [1, 2]);
  assert.deepEqual(heard, ['up', 'pending']);
});

test('stopping closes the line and nothing is told any more', async t => {
  const {pass, calls} = browser(t);
  const {heard, stop} = watch();
  const source = FakeEventSource.last;
  stop();
  assert.ok(source.closed);
  source.say(PAID);
  source.refuse();
  await pass(120_000);
  assert.deepEqual([heard, calls, FakeEventSource.all.length], [[], [], 1]);
});

test('stopping gives up a question under way', t => {
  const signals = [];
  const never = ({signal}) => new Promise(() => signals.push(signal));
  browser(t, {answers: [never], eventSource: null});
  watch().stop();
  assert.deepEqual(signals.map(signal => signal.aborted), [true]);
});

test('it can be stopped from within any call back', async t => {
  const {pass, calls} = browser(t, {answers: [events(PENDING)]});
  const heard = [];
  const stopped = happen => {
    const stop = watchChargeStatus(CHARGE, ({status}) => heard.push(status), {
      onConnection: () => stop(),
    });
    happen(FakeEventSource.last);
  };
  stopped(source => source.say(PENDING));
  stopped(source => source.refuse());
  stopped(source => source.breakOff());
  await settle();
  await pass(120_000);
  assert.deepEqual([heard, calls, FakeEventSource.all.length], [[], [], 3]);
});

test('a question whose answer stops it is the last one', async t => {
  const {pass, calls} = browser(t, {answers: [events(PENDING)]});
  const heard = [];
  const stop = watchChargeStatus(CHARGE, ({status}) => heard.push(status), {
    onConnection: isConnected => isConnected && stop(),
  });
  FakeEventSource.last.refuse();
  await settle();
  await pass(120_000);
  assert.deepEqual([heard, calls.length, FakeEventSource.all.length], [[], 1, 1]);
});

test('a broken line that the browser mends is not asked around', async t => {
  const {pass, calls} = browser(t);
  const {heard} = watch();
  const source = FakeEventSource.last;
  source.say(PENDING);
  for (let n = 0; n < 6; n += 1) {
    source.breakOff();
    source.breakOff();
    source.say(PENDING);
  }
  await pass(5_000);
  source.say(PAID);
  assert.equal(calls.length, 0);
  const statuses = heard.filter(word => word !== 'up' && word !== 'down');
  assert.deepEqual(statuses, ['pending', 'succeeded']);
});

test('a refused stream is asked for, and opened again when the server is back', async t => {
  const answers = [json(502, {}), json(502, {}), events(PENDING)];
  const {pass, calls} = browser(t, {answers});
  const {heard} = watch();
  FakeEventSource.last.say(PENDING);
  FakeEventSource.last.refuse();
  await settle();
  assert.equal(calls.length, 1, 'at once');
  assert.deepEqual([calls[0].url, calls[0].credentials], [WATCH, 'omit']);
  await pass(999);
  assert.equal(calls.length, 1);
  await pass(1);
  assert.equal(calls.length, 2);
  await pass(2_000);
  assert.equal(calls.length, 3, 'after twice the time');
  assert.equal(FakeEventSource.all.length, 1);
  await pass(3_000);
  assert.equal(FakeEventSource.all.length, 2, 'the stream gets another chance');
  FakeEventSource.last.say(PAID);
  assert.deepEqual(heard, ['up', 'pending', 'down', 'up', 'succeeded']);
});

test('waiting between questions has an upper bound', async t => {
  const {pass, calls} = browser(t, {eventSource: null});
  watch();
  await settle();
  for (let n = 0; n < 8; n += 1) await pass(15_000);
  for (let n = 0; n < 8; n += 1) {
    const before = calls.length;
    await pass(15_000);
    assert.equal(calls.length, before + 1);
  }
});

test('a stream that something in between always cuts gives way to questions', async t => {
  const {pass, calls} = browser(t, {answers: [events(PENDING)]});
  const {heard} = watch();
  for (let n = 0; n < 3; n += 1) FakeEventSource.last.breakOff();
  await settle();
  for (let n = 2; n <= 10; n += 1) {
    await pass(3_000);
    assert.equal(calls.length, n);
  }
  assert.equal(FakeEventSource.all.length, 1);
  await pass(3_000);
  assert.equal(FakeEventSource.all.length, 2, 'now and then the stream is tried');
  assert.deepEqual(heard, ['down', 'up', 'pending']);
});

test('without an EventSource the charge is asked for every three seconds', async t => {
  const answers = [events(PENDING), events(PENDING), events(PAID)];
  const {pass, calls} = browser(t, {answers, eventSource: null});
  const {heard} = watch();
  await settle();
  assert.deepEqual(heard, ['up', 'pending']);
  await pass(3_000);
  await pass(3_000);
  assert.deepEqual(heard, ['up', 'pending', 'succeeded']);
  await pass(60_000);
  assert.equal(calls.length, 3);
});

test('a charge that is not there ends it with the words of the server', async t => {
  const problem = {code: 'not_found', detail: 'There is no such charge.', request_id: 'req_1'};
  const {pass, calls} = browser(t, {answers: [json(404, problem)]});
  const errors = [];
  watch({onError: error => errors.push(error)});
  FakeEventSource.last.refuse();
  await settle();
  await pass(120_000);
  assert.equal(calls.length, 1);
  const [{code, message, status, requestId, isRefusal}] = errors;
  assert.deepEqual(
    [code, message, status, requestId, isRefusal],
    ['not_found', 'There is no such charge.', 404, 'req_1', true],
  );
});

test('too many requests is no end', async t => {
  const {pass, calls} = browser(t, {answers: [json(429, {})]});
  const {heard} = watch();
  FakeEventSource.last.refuse();
  await settle();
  await pass(1_000);
  assert.deepEqual([calls.length, heard], [2, ['down']]);
});

test('a page that is looked at again, or has its network back, asks at once', async t => {
  const {pass, happen, document} = browser(t);
  const {heard} = watch();
  FakeEventSource.last.say(PENDING);
  for (const name of ['visibilitychange', 'online', 'pageshow']) {
    await pass(2_000);
    const before = FakeEventSource.last;
    happen(name);
    assert.ok(before.closed && FakeEventSource.last !== before, name);
  }
  const opened = FakeEventSource.all.length;
  happen('online');
  assert.equal(FakeEventSource.all.length, opened, 'several at once are one');
  await pass(2_000);
  document.hidden = true;
  happen('visibilitychange');
  assert.equal(FakeEventSource.all.length, opened, 'going away is no reason');
  FakeEventSource.last.say(PAID);
  assert.deepEqual(heard, ['up', 'pending', 'succeeded']);
});

test('a line that died without an error is opened again after a minute of silence', async t => {
  const {pass} = browser(t);
  watch();
  const first = FakeEventSource.last;
  await pass(59_000);
  first.say(PENDING);
  await pass(59_999);
  assert.equal(FakeEventSource.all.length, 1);
  await pass(1);
  assert.ok(first.closed);
  assert.equal(FakeEventSource.all.length, 2);
});

test('an old line or an old answer tells nothing', async t => {
  let answer;
  const late = () => new Promise(done => (answer = done));
  const {pass, happen} = browser(t, {answers: [late]});
  const {heard} = watch();
  const first = FakeEventSource.last;
  first.refuse();
  await settle();
  happen('online');
  first.say(PAID);
  answer(events(PAID)());
  await settle();
  await pass(10);
  assert.deepEqual(heard, ['down']);
});

test('a silent server is given up and asked again', async t => {
  const never = ({signal}) => new Promise((_, fail) => {
    signal.addEventListener('abort', () => fail(new Error('aborted')));
  });
  const {pass, calls} = browser(t, {answers: [never, events(PAID)]});
  const {heard} = watch();
  FakeEventSource.last.refuse();
  await settle();
  await pass(10_000);
  await pass(1_000);
  assert.equal(calls.length, 2);
  assert.deepEqual(heard, ['down', 'up', 'succeeded']);
});

test('the shop’s own server may be asked instead, also one that hangs', async t => {
  const {pass, calls} = browser(t);
  const answers = [() => new Promise(() => undefined), async () => PAID];
  const {heard} = watch({poll: () => answers.shift()()});
  FakeEventSource.last.refuse();
  await pass(20_000);
  await pass(1_000);
  assert.deepEqual([heard, calls], [['down', 'up', 'succeeded'], []]);
});

test('what a page’s own function throws does not end the watch', async t => {
  browser(t);
  const heard = [];
  watchChargeStatus(CHARGE, ({status}) => {
    heard.push(status);
    throw new Error('the page’s own');
  });
  FakeEventSource.last.say(PENDING);
  FakeEventSource.last.say(PAID);
  assert.throws(() => t.mock.timers.tick(1), /the page’s own/);
  assert.deepEqual(heard, ['pending', 'succeeded']);
});
