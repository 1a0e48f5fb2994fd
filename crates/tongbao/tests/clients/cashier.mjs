// The cashier in a real browser: desktop and phone, Chinese and English, with scripts and without.
// A code is shown, time runs down, and once the sandbox's payer has paid the page says so by
// itself. Screenshots are left for people to look at.
//
// Usage: cashier.mjs SANDBOX DEV_JSON

import {readFileSync} from 'node:fs';

import {SIZES, open, picture, sideways, withBrowser} from './browser.mjs';
import {call, check, main, number, pay} from './sandbox.mjs';

const LANGUAGES = {
  zh: {paid: /支付成功|已支付|付款成功/},
  en: {paid: /\bpaid\b|payment (received|complete|succe)/i},
};

const PAID_MAX_MS = 15_000;

await main('cashier.mjs (chromium)', async (sandbox, devJson) => {
  const dev = JSON.parse(readFileSync(devJson, 'utf8'));
  await withBrowser(async browser => {
    for (const language of Object.keys(LANGUAGES)) {
      for (const size of Object.keys(SIZES)) {
        await withScripts(browser, {dev, sandbox, language, size});
      }
    }
    await withoutScripts(browser, {dev, sandbox, language: 'zh', size: 'phone'});
  });
});

/** A new charge; gives what the gateway says of it. */
async function charge(dev, channel = 'wechat.native') {
  const body = {
    amount: 123456,
    subject: '通宝收银台 <b>&"测试"</b>',
    channel,
    order_no: number('cash'),
    expires_in: '5m',
  };
  const gateway = dev.gateway.replace(/\/$/, '');
  const made = await call(`${gateway}/v1/charges`, {body, key: dev.secret_key});
  check(made.status === 201, 'POST /v1/charges creates', made);
  check(made.body.cashier_url, 'a charge has a cashier_url', made.body);
  return made.body;
}

async function withScripts(browser, {dev, sandbox, language, size}) {
  const name = `cashier-${language}-${size}`;
  const made = await charge(dev);
  const {context, page, problems} = await open(browser, {own: [dev.gateway], language, size});
  const reply = await page.goto(made.cashier_url);
  check(reply.status() === 200, `${name} opens`, reply.status());
  await checkWaiting(page, name, language);
  await picture(page, `${name}-waiting`);
  await checkCountdown(page, name);
  await pay(sandbox, {code: made.action.code_url});
  await waitForPaid(page, name, language);
  await picture(page, `${name}-paid`);
  check(problems.length === 0, `${name} has no errors and asks no other host`, problems);
  await context.close();
}

async function checkWaiting(page, name, language) {
  const text = await page.locator('body').innerText();
  check(text.includes('1,234.56') || text.includes('1234.56'), `${name} shows the amount`, text);
  check(text.includes('<b>&"测试"</b>'), `${name} shows the subject as text`, text);
  check(!LANGUAGES[language].paid.test(text), `${name} does not say it is paid`, text);
  const lang = await page.locator('html').getAttribute('lang');
  check(lang?.startsWith(language), `${name} is in ${language}`, lang);
  const code = page.locator('img, svg').filter({visible: true});
  const boxes = await Promise.all((await code.all()).map(item => item.boundingBox()));
  const {width, height} = page.viewportSize();
  const readable = box => box && box.width >= 120 && Math.abs(box.width - box.height) < 4
    && box.x >= 0 && box.x + box.width <= width && box.y + box.height <= height;
  check(boxes.some(readable), `${name} shows a square code of 120 px or more`, boxes);
  const wider = await sideways(page);
  check(wider <= 0, `${name} does not scroll sideways`, wider);
}

/** Some text of the form m:ss goes down. */
async function checkCountdown(page, name) {
  const left = async () => {
    const found = /(\d{1,2}):(\d{2})(?!\d)/.exec(await page.locator('body').innerText());
    check(found, `${name} shows the time left as m:ss`);
    return Number(found[1]) * 60 + Number(found[2]);
  };
  const before = await left();
  await page.waitForTimeout(2_200);
  const after = await left();
  check(after < before && after >= before - 4, `${name} counts down`, before, after);
}

async function waitForPaid(page, name, language) {
  const seen = page.getByText(LANGUAGES[language].paid).filter({visible: true}).first();
  try {
    await seen.waitFor({timeout: PAID_MAX_MS});
  } catch {
    const text = await page.locator('body').innerText();
    check(false, `${name} says it is paid within ${PAID_MAX_MS / 1000} s`, text);
  }
}

/** Without scripts the page fetches itself again. */
async function withoutScripts(browser, {dev, sandbox, language, size}) {
  const name = `cashier-${language}-${size}-noscript`;
  const made = await charge(dev);
  const {context, page, problems} = await open(browser, {
    own: [dev.gateway], language, size, scripts: false,
  });
  await page.goto(made.cashier_url);
  const html = await page.content();
  check(/<meta[^>]+http-equiv="?refresh/i.test(html), `${name} fetches itself again`, html);
  await picture(page, `${name}-waiting`);
  await pay(sandbox, {code: made.action.code_url});
  await waitForPaid(page, name, language);
  await picture(page, `${name}-paid`);
  check(problems.length === 0, `${name} has no errors and asks no other host`, problems);
  await context.close();
}
