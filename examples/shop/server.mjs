// A pretended tea shop: everything that a shop's own server has to do to be paid through tongbao.
// It has no dependencies. The page beside it is in `public/`, the SDK that it loads in `sdk/js`.

import {createHmac, randomBytes, timingSafeEqual} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import http from 'node:http';

const TONGBAO = (process.env.TONGBAO_URL ?? 'http://127.0.0.1:9009').replace(/\/$/, '');
const KEY = process.env.TONGBAO_SECRET_KEY ?? '';
const PORT = Number(process.env.PORT ?? 9012);
// Only the sandbox has a wallet in which anybody can pay.
const IS_TEST = KEY.startsWith('sk_test_');
const WALLET = IS_TEST ? process.env.WALLET_URL ?? 'http://127.0.0.1:9010/' : null;

const ORDERS_MAX = 1_000;
const BODY_MAX = 1024 * 1024;
const WEBHOOK_AGE_MAX_SECONDS = 300;
const CHANNELS = ['wechat.native', 'alipay.qr', 'alipay.page'];
const TYPES = {
  html: 'text/html', js: 'text/javascript', css: 'text/css', json: 'application/json',
  svg: 'image/svg+xml',
};
// The page loads the code and hears of the payment from tongbao; nothing else comes from elsewhere.
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; "
  + `img-src 'self' ${TONGBAO}; connect-src 'self' ${TONGBAO}; `
  + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const menu = JSON.parse(await readFile(new URL('public/menu.json', import.meta.url), 'utf8'));
/** Orders by their number, the oldest first. A real shop has a database here. */
const orders = new Map();
let own = '';
let webhookSecret = '';

/** What goes wrong with a request, and what its caller is told. */
class Trouble extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** One call to tongbao, with the secret key, which no browser ever sees. */
async function tongbao(method, path, body, idempotencyKey) {
  const headers = {Authorization: `Bearer ${KEY}`, 'Content-Type': 'application/json'};
  if (idempotencyKey) headers['Idempotency-Key'] = idempotencyKey;
  const reply = await fetch(`${TONGBAO}/v1/${path}`, {
    method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(15_000),
  });
  const answer = reply.status === 204 ? null : await reply.json();
  if (!reply.ok) throw new Trouble(502, answer?.detail ?? `tongbao answered ${reply.status}`);
  return answer;
}

/** POST /orders {tea, channel, language}: the price comes from the menu, never from the page. */
async function placeOrder(request) {
  const {tea: id, channel, language} = parsed(await bodyOf(request));
  const tea = menu.find(one => one.id === id);
  if (!tea) throw new Trouble(400, 'There is no such tea.');
  if (!CHANNELS.includes(channel)) throw new Trouble(400, 'This shop cannot be paid that way.');
  const number = `tea-${randomBytes(8).toString('hex')}`;
  const charge = await tongbao('POST', 'charges', {
    amount: tea.amount,
    subject: tea.name[language] ?? tea.name.zh,
    order_no: number,
    channel,
    expires_in: '15m',
    return_url: `${own}/?order=${number}`,
    metadata: {tea: tea.id},
  }, number);
  const order = orderOf(charge);
  orders.set(number, order);
  if (orders.size > ORDERS_MAX) orders.delete(orders.keys().next().value);
  return {status: 201, body: order};
}

/**
 * GET /orders/{id}: from memory, else, after a restart, from what tongbao knows. That is not
 * remembered: the webhook may have come in between.
 */
async function readOrder(number) {
  if (!/^tea-[0-9a-f]{16}$/.test(number)) throw new Trouble(404, 'There is no such order.');
  const known = orders.get(number);
  if (known) return {status: 200, body: known};
  const {data: [charge]} = await tongbao('GET', `charges?order_no=${number}`);
  if (!charge) throw new Trouble(404, 'There is no such order.');
  return {status: 200, body: orderOf(charge)};
}

/** An order as its buyer may see it: the client secret lets a browser look at this one charge. */
function orderOf({id, client_secret, cashier_url, amount, order_no, paid, metadata: {tea}}) {
  const charge = {id, client_secret, cashier_url};
  return {id: order_no, tea, amount, paid, charge, wallet: WALLET};
}

/** POST /webhooks: the only word that makes an order paid. */
async function takeWebhook(request) {
  const body = await bodyOf(request);
  if (!isSigned(request.headers, body)) throw new Trouble(401, 'The signature is wrong.');
  const event = parsed(body);
  const order = orders.get(event.data?.object?.order_no);
  if (event.type === 'charge.succeeded' && order) order.paid = true;
  return {status: 204};
}

/** Standard Webhooks: HMAC-SHA256 over id, time and the exact body; old ones are not taken. */
function isSigned(headers, body) {
  const {'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': given = ''} = headers;
  if (!webhookSecret || !(Math.abs(Date.now() / 1000 - Number(time)) <= WEBHOOK_AGE_MAX_SECONDS)) {
    return false;
  }
  const key = Buffer.from(webhookSecret.replace('whsec_', ''), 'base64');
  const wanted = createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest();
  return given.split(' ').filter(one => one.startsWith('v1,')).some(one => {
    const bytes = Buffer.from(one.slice(3), 'base64');
    return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
  });
}

/** Asks to be told; the endpoint of an earlier start is used again, with a new secret. */
async function subscribe() {
  const url = `${own}/webhooks`;
  const {data} = await tongbao('GET', 'webhook_endpoints?limit=100');
  const known = data.find(endpoint => endpoint.url === url);
  const asked = {url, events: ['charge.succeeded'], description: 'the tea shop'};
  const endpoint = known
    ? await tongbao('POST', `webhook_endpoints/${known.id}/rotate_secret`, {})
    : await tongbao('POST', 'webhook_endpoints', asked);
  webhookSecret = endpoint.secret;
}

async function file(path) {
  const name = path === '/' ? '/index.html' : path;
  const [, sdk, base, kind] = /^\/(sdk\/)?([a-z_]+)\.([a-z]+)$/.exec(name) ?? [];
  const folder = sdk ? '../../sdk/js/dist' : 'public';
  const url = new URL(`${folder}/${base}.${kind}`, import.meta.url);
  const body = await readFile(url).catch(() => null);
  if (!body || !TYPES[kind]) throw new Trouble(404, 'There is nothing at this address.');
  return {status: 200, body, type: `${TYPES[kind]}; charset=utf-8`};
}

async function bodyOf(request) {
  const parts = [];
  let length = 0;
  for await (const part of request) {
    parts.push(part);
    length += part.length;
    if (length > BODY_MAX) throw new Trouble(413, 'The body is too long.');
  }
  return Buffer.concat(parts);
}

function parsed(body) {
  try {
    return Object(JSON.parse(body));
  } catch {
    throw new Trouble(400, 'The body is not JSON.');
  }
}

async function answer(request) {
  const {pathname} = new URL(request.url, 'http://shop');
  const asked = `${request.method} ${pathname}`;
  if (asked === 'POST /orders') return placeOrder(request);
  if (asked === 'POST /webhooks') return takeWebhook(request);
  if (asked.startsWith('GET /orders/')) return readOrder(pathname.slice('/orders/'.length));
  if (request.method === 'GET') return file(pathname);
  throw new Trouble(405, 'This address does not take that method.');
}

const server = http.createServer(async (request, response) => {
  const {status, body, type = 'application/json'} = await answer(request).catch(error => {
    if (!(error instanceof Trouble)) console.error(error);
    const words = error instanceof Trouble ? error.message : 'The shop has a problem.';
    return {status: error.status ?? 500, body: {error: words}};
  });
  response.writeHead(status, {
    'Content-Type': type, 'Cache-Control': 'no-cache', 'Content-Security-Policy': POLICY,
    'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer',
  });
  response.end(Buffer.isBuffer(body) || body === undefined ? body : JSON.stringify(body));
});

server.listen(PORT, '127.0.0.1', async () => {
  own = process.env.SHOP_URL ?? `http://127.0.0.1:${server.address().port}`;
  try {
    await subscribe();
    console.log(`The tea shop is open at ${own}/`);
  } catch (error) {
    console.error(`${TONGBAO} does not take this shop: ${error.message}. Does \`tongbao dev\` run, `
      + 'and is TONGBAO_SECRET_KEY its test key?');
    process.exit(1);
  }
});
