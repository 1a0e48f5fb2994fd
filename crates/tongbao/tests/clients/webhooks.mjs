// tongbao's webhooks against npm standardwebhooks: create an endpoint and a charge at the gateway,
// pay the charge in the sandbox, verify what arrives.
//
// Usage: webhooks.mjs SANDBOX DEV_JSON

import {readFileSync} from 'node:fs';

import {call, check, failure, load, main, number, pay, receiver} from './sandbox.mjs';

const {Webhook} = load('standardwebhooks');

await main('webhooks.mjs (standardwebhooks)', async (sandbox, devJson) => {
  const dev = JSON.parse(readFileSync(devJson, 'utf8'));
  const gateway = dev.gateway.replace(/\/$/, '');
  const v1 = (path, options) => call(`${gateway}/v1/${path}`, {key: dev.secret_key, ...options});
  const create = async (path, body) => {
    const made = await v1(path, {body});
    check([200, 201].includes(made.status), `POST /v1/${path} creates`, made);
    return made.body;
  };
  const inbox = await receiver(() => ({status: 204}));
  const endpoint = await create('webhook_endpoints', {url: inbox.url, events: ['*']});
  const webhook = new Webhook(endpoint.secret);
  for (const channel of ['wechat.native', 'alipay.qr']) {
    const asked = {amount: 1200, subject: '通宝', channel, order_no: number('jswh')};
    const charge = await create('charges', asked);
    await pay(sandbox, {code: charge.action.code_url});
    const event = await succeeded(webhook, inbox, channel);
    check(event.data.object.id === charge.id, 'the event is about the charge', event);
    check(event.data.object.paid === true, 'the charge is paid', event);
  }
  const {status} = await v1(`webhook_endpoints/${endpoint.id}`, {method: 'DELETE'});
  check([200, 204].includes(status), 'the endpoint can be deleted', status);
});

/** Verifies deliveries until the one that says the charge was paid. */
async function succeeded(webhook, inbox, channel) {
  for (;;) {
    const {headers, body} = await inbox.next(`charge.succeeded for ${channel}`);
    const event = webhook.verify(body, headers);
    const forged = async () => webhook.verify(`${body} `, headers);
    await failure(forged(), 'a changed webhook');
    if (event.type === 'charge.succeeded') return event;
  }
}
