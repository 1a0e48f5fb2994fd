// What the scripts share that drive Chromium: how it is started, and a page that notes what goes
// wrong on it.

import {mkdirSync} from 'node:fs';
import path from 'node:path';

import {load} from './sandbox.mjs';

const {chromium} = load('playwright-core');

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const SIZES = {desktop: {width: 1280, height: 800}, phone: {width: 390, height: 844}};

const LOCALES = {zh: 'zh-CN', en: 'en-US'};
const screens = process.env.TONGBAO_TEST_SCREENS ?? 'target/screens';

/** Starts Chromium for the time of `run`. */
export async function withBrowser(run) {
  mkdirSync(screens, {recursive: true});
  const executablePath = process.env.TONGBAO_TEST_CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({executablePath, args: FLAGS});
  try {
    await run(browser);
  } finally {
    await browser.close();
  }
}

/** A page in that language and size; `problems` has its errors and calls to hosts not in `own`. */
export async function open(browser, {own, language, size, scripts = true}) {
  const context = await browser.newContext({
    viewport: SIZES[size],
    locale: LOCALES[language],
    deviceScaleFactor: size === 'phone' ? 2 : 1,
    javaScriptEnabled: scripts,
    ...(size === 'phone' ? {hasTouch: true, isMobile: true} : {}),
  });
  const page = await context.newPage();
  const problems = [];
  page.on('pageerror', error => problems.push(String(error)));
  page.on('console', message => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('request', request => {
    const known = [...own, 'data:', 'blob:'].some(start => request.url().startsWith(start));
    if (!known) problems.push(`a request to ${request.url()}`);
  });
  return {context, page, problems};
}

/** Leaves a picture for people to look at. */
export async function picture(page, name) {
  await page.screenshot({path: path.join(screens, `${name}.png`), fullPage: true});
}

/** How far the page can be scrolled sideways, which nobody likes. */
export async function sideways(page) {
  return page.evaluate(() =>
    document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
