// The demo shop with the browser SDK in a real browser, twice: as `tongbao dev` serves it and as
// `examples/shop/server.mjs` does. A tea is ordered, its code is shown, the sandbox's payer pays,
// and the page changes by itself, without being loaded again; also when the line of the charge's
// `watch` is cut while it waits. Screenshots are left for people to look at.
//
// Usage: shop.mjs SANDBOX DEV_JSON

import {spawn} from 'node:child_process';
import {readFileSync} from 'node:fs';
import net from 'node:net';
import {fileURLToPath} from 'node:url';

import {open, picture, sideways, withBrowser} from './browser.mjs';
import {call, check, main, pay} from './sandbox.mjs';

const WAIT_MS = 20_000;
const WORDS = {
  zh: {sum: '¥128.00', waiting: '等待付款', paid: '已付款，正在包茶', result: '付款成功'},
  en: {
    sum: '¥128.00', waiting: 'Waiting for payment', paid: 'Paid. Your tea is being packed',
    result: 'Paid',
  },
};
const SERVER = fileURLToPath(new URL('../../../../examples/shop/server.mjs', import.meta.url));

await main('shop.mjs (chromium)', async (sandbox, devJson) => {
  const dev = JSON.parse(readFileSync(devJson, 'utf8'));
  check(dev.shop, 'dev.json names the shop', dev);
  const line = await breakable(dev.gateway);
  const node = await startServer({dev, gateway: line.address, sandbox});
  try {
    await withBrowser(async browser => {
      for (const language of ['zh', 'en']) {
        for (const size of ['desktop', 'phone']) {
          await buy(browser, {name: 'dev', shop: dev.shop, dev, sandbox, language, size});
        }
      }
      const own = {name: 'node', shop: node.address, dev, sandbox, line, language: 'en'};
      await buy(browser, {...own, language: 'zh', size: 'phone'});
      await buy(browser, {...own, size: 'desktop', channel: 'alipay.qr'});
      await cut(browser, {...own, size: 'desktop', name: 'node-cut'});
      await reload(browser, {name: 'dev', shop: dev.shop, dev, sandbox, language: 'en'});
      await change(browser, {name: 'dev', shop: dev.shop, dev, sandbox, language: 'zh'});
      await redirect(browser, {name: 'dev', shop: dev.shop, dev, sandbox, language: 'zh'});
    });
    await forged(dev.shop);
    await forged(node.address);
    await badOrders(dev.shop);
    await badOrders(node.address);
  } finally {
    node.stop();
    line.close();
  }
});

/** Orders, and gives the page as it waits; a marker on it is gone once it is loaded again. */
async function order(browser, how) {
  const {name, shop, dev, line, language, size, channel = 'wechat.native'} = how;
  const own = [shop, dev.gateway, line?.address].filter(Boolean);
  const opened = await open(browser, {own, language, size});
  const {page} = opened;
  // The gateway names its own address; through the breakable line the page comes to it as well.
  if (line) await page.route('**/orders', route => throughLine(route, dev.gateway, line.address));
  await page.goto(`${shop}/`);
  const text = WORDS[language];
  await page.locator('#teas .tea').first().waitFor({timeout: WAIT_MS});
  check((await page.locator('#sum').innerText()) === text.sum, `${name}: the price is shown`);
  check((await sideways(page)) <= 0, `${name}: the menu does not scroll sideways`);
  await picture(page, `shop-${name}-${language}-${size}-menu`);
  await page.evaluate(() => (window.notReloaded = true));
  const answer = page.waitForResponse(reply => reply.url().endsWith('/orders'));
  await page.locator(`button[value="${channel}"]`).click();
  const made = await (await answer).json();
  await page.locator('#state').getByText(text.waiting).waitFor({timeout: WAIT_MS});
  return {...opened, made, text};
}

async function throughLine(route, gateway, address) {
  const response = await route.fetch();
  const body = (await response.text()).replaceAll(gateway, address);
  await route.fulfill({response, body});
}

/** The code as it is shown: drawn, square and big enough for a camera. */
async function checkCode(page, name) {
  const code = page.locator('#cashier img.code');
  await code.waitFor({timeout: WAIT_MS});
  await page.waitForFunction(
    () => document.querySelector('#cashier').shadowRoot.querySelector('img').naturalWidth > 0,
    null,
    {timeout: WAIT_MS},
  );
  const {width, height} = await code.boundingBox();
  check(width >= 160 && Math.abs(width - height) < 4, `${name}: the code is readable`, {width});
  const left = await page.locator('#cashier .left').innerText();
  check(/\b1[45]:[0-5]\d\b|\b15:00\b/.test(left), `${name}: the time left is shown`, left);
  check((await sideways(page)) <= 0, `${name}: the order does not scroll sideways`);
}

async function checkPaid(page, name, text) {
  await page.locator('#state').getByText(text.paid).waitFor({timeout: WAIT_MS});
  const result = await page.locator('#cashier h2').innerText();
  check(result === text.result, `${name}: the cashier says so too`, result);
  check(await page.evaluate(() => window.notReloaded), `${name}: the page was not loaded again`);
}

/** What the payer's phone would read off the code; tongbao knows, the page has a picture only. */
async function codeOf(dev, made) {
  const {body} = await call(`${dev.gateway}/v1/charges/${made.charge.id}`, {key: dev.secret_key});
  check(body.action?.code_url, 'the charge has a code', body);
  return body.action.code_url;
}

async function buy(browser, how) {
  const {name, dev, sandbox, language, size, channel = ''} = how;
  const {context, page, problems, made, text} = await order(browser, how);
  await checkCode(page, name);
  await picture(page, `shop-${name}-${language}-${size}${channel}-waiting`);
  const code = await codeOf(dev, made);
  const wallet = await page.locator('#wallet a').getAttribute('href');
  check(new URL(wallet).searchParams.get('code') === code, `${name}: the wallet has the code`);
  await pay(sandbox, {code});
  await checkPaid(page, name, text);
  await picture(page, `shop-${name}-${language}-${size}${channel}-paid`);
  check(problems.length === 0, `${name}: no errors, and no other host is asked`, problems);
  await context.close();
}

/** The line breaks while the page waits, the payer pays meanwhile, and the line comes back. */
async function cut(browser, how) {
  const {name, dev, sandbox, line} = how;
  const {context, page, made, text} = await order(browser, how);
  await checkCode(page, name);
  const code = await codeOf(dev, made);
  line.cut();
  await page.locator('#cashier .offline').waitFor({timeout: WAIT_MS});
  await picture(page, `shop-${name}-offline`);
  await pay(sandbox, {code});
  const state = await page.locator('#state').innerText();
  check(state === text.waiting, `${name}: nothing is known while the line is cut`, state);
  await line.mend();
  await checkPaid(page, name, text);
  await context.close();
}

/** Whoever loads the page again finds the order, also one that is paid. */
async function reload(browser, how) {
  const {dev, sandbox} = how;
  const {context, page, made, text} = await order(browser, {...how, size: 'phone'});
  await page.reload();
  await checkCode(page, 'a loaded page');
  await pay(sandbox, {code: await codeOf(dev, made)});
  await page.locator('#state').getByText(text.paid).waitFor({timeout: WAIT_MS});
  await page.reload();
  await page.locator('#state').getByText(text.paid).waitFor({timeout: WAIT_MS});
  await page.goto(`${how.shop}/?order=tea-0000000000000000`);
  await page.locator('#trouble').waitFor({timeout: WAIT_MS});
  await context.close();
}

/** A charge that goes on through another channel shows the other code, though at one address. */
async function change(browser, how) {
  const {dev, sandbox} = how;
  const {context, page, made, text} = await order(browser, {...how, size: 'desktop'});
  await checkCode(page, 'the first code');
  const picked = reply => reply.url().includes('/qr.svg');
  const second = page.waitForResponse(picked, {timeout: WAIT_MS});
  const attempts = `${dev.gateway}/v1/charges/${made.charge.id}/attempts`;
  const other = await call(attempts, {body: {channel: 'alipay.qr'}, key: dev.secret_key});
  check(other.status === 201 || other.status === 200, 'the charge takes another channel', other);
  await page.locator('#cashier h2').getByText('请用支付宝扫码付款').waitFor({timeout: WAIT_MS});
  await checkCode(page, 'the second code');
  const reply = await second;
  const shown = await reply.text();
  const now = await (await fetch(reply.url())).text();
  check(shown === now, 'the page shows the code of the second channel', shown, now);
  await picture(page, 'shop-dev-zh-desktop-changed');
  const code = await codeOf(dev, made);
  const wallet = await page.locator('#wallet a').getAttribute('href');
  check(new URL(wallet).searchParams.get('code') === code, 'the wallet has the second code');
  await pay(sandbox, {code});
  await checkPaid(page, 'a changed channel', text);
  await context.close();
}

/** Alipay's website: a button leads there, and its `return_url` back to the order. */
async function redirect(browser, how) {
  const {shop} = how;
  const {context, page, text} = await order(browser, {
    ...how, size: 'desktop', channel: 'alipay.page',
  });
  await picture(page, 'shop-dev-zh-desktop-redirect');
  await page.locator('#cashier a.button').click();
  await page.waitForURL(url => url.origin === new URL(how.sandbox).origin, {timeout: WAIT_MS});
  await page.locator('button[type=submit], form button').first().click();
  await page.waitForURL(url => url.origin === new URL(shop).origin, {timeout: WAIT_MS});
  await page.locator('#state').getByText(text.paid).waitFor({timeout: WAIT_MS});
  await context.close();
}

/** A webhook that nobody signed makes nothing paid. */
async function forged(shop) {
  const {body: made} = await call(`${shop}/orders`, {
    body: {tea: 'sample', channel: 'wechat.native', language: 'zh'},
  });
  const reply = await fetch(`${shop}/webhooks`, {
    method: 'POST',
    headers: {
      'webhook-id': 'evt_1', 'webhook-signature': 'v1,AAAA',
      'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
    },
    body: JSON.stringify({type: 'charge.succeeded', data: {object: {order_no: made.id}}}),
  });
  check(reply.status === 401, `${shop} refuses a forged webhook`, reply.status);
  const {body: after} = await call(`${shop}/orders/${made.id}`);
  check(after.paid === false, `${shop} does not believe it`, after);
}

async function badOrders(shop) {
  const cases = [
    [{tea: 'gold', channel: 'wechat.native'}, 400, 'There is no such tea.'],
    [{tea: 'sample', channel: 'wechat.jsapi'}, 400, 'This shop cannot be paid that way.'],
  ];
  for (const [body, status, error] of cases) {
    const reply = await call(`${shop}/orders`, {body});
    check(reply.status === status && reply.body.error === error, `${shop} refuses`, body, reply);
  }
  for (const path of ['/../server.mjs', '/%2e%2e/server.mjs', '/sdk/index.d.ts', '/nothing.js']) {
    const {status} = await fetch(shop + path);
    check(status === 404, `${shop} has no ${path}`, status);
  }
}

/** Runs `server.mjs` on a free port until it is stopped. */
async function startServer({dev, gateway, sandbox}) {
  const env = {
    ...process.env, TONGBAO_URL: gateway, TONGBAO_SECRET_KEY: dev.secret_key, PORT: '0',
    WALLET_URL: `${sandbox}/`,
  };
  const child = spawn(process.execPath, [SERVER], {env, stdio: ['ignore', 'pipe', 'inherit']});
  const address = await new Promise((resolve, reject) => {
    child.on('exit', code => reject(new Error(`server.mjs ended with ${code}`)));
    child.stdout.on('data', data => {
      const found = /open at (\S+)\/\n/.exec(String(data));
      if (found) resolve(found[1]);
    });
  });
  child.removeAllListeners('exit');
  return {address, stop: () => child.kill()};
}

/** A line to the gateway that can be cut, and that refuses everybody until it is mended. */
async function breakable(gateway) {
  const target = new URL(gateway);
  const sockets = new Set();
  const server = net.createServer(near => {
    const far = net.connect(Number(target.port), target.hostname);
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  const listen = port => new Promise(done => server.listen(port, '127.0.0.1', done));
  await listen(0);
  const {port} = server.address();
  const cutAll = () => {
    server.close();
    sockets.forEach(socket => socket.destroy());
  };
  return {
    address: `http://127.0.0.1:${port}`,
    cut: cutAll,
    mend: () => listen(port),
    close: cutAll,
  };
}
