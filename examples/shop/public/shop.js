// The shop's page: the menu, and the order at `/?order=…` with its cashier. The SDK shows the code
// and hears of the payment; whether the order is paid, the shop's own server says.

import {mountCashier} from '/sdk/index.js';
import {TEXTS, language} from '/texts.js';

const ASK_AGAIN_MS = 1_000;

const find = id => document.getElementById(id);
const yuan = fen => `¥${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, '0')}`;
const lang = language();
const t = TEXTS[lang];

document.documentElement.lang = lang === 'zh' ? 'zh-CN' : 'en';
document.title = t.name;
for (const element of document.querySelectorAll('[data-text]')) {
  element.textContent = t[element.dataset.text];
}
find('language').textContent = lang === 'zh' ? 'English' : '中文';
find('language').lang = lang === 'zh' ? 'en' : 'zh-CN';
find('language').addEventListener('click', () => {
  localStorage.setItem('language', lang === 'zh' ? 'en' : 'zh');
  const url = new URL(location.href);
  url.searchParams.delete('lang');
  location.assign(url);
});

const menu = await (await fetch('/menu.json')).json();
const number = new URLSearchParams(location.search).get('order');
if (number) await showOrder(number);
else showMenu();

function showMenu(trouble = '') {
  find('menu').hidden = false;
  find('teas').append(...menu.map(teaCard));
  const form = find('order');
  form.addEventListener('change', () => summarise(form));
  form.addEventListener('submit', event => {
    event.preventDefault();
    order(form, event.submitter);
  });
  form.elements.tea[0].checked = true;
  summarise(form);
  complain(trouble);
}

function teaCard(tea) {
  const card = make('label', 'tea');
  const input = document.createElement('input');
  Object.assign(input, {type: 'radio', name: 'tea', value: tea.id});
  const cup = make('i', 'cup');
  cup.style.setProperty('--liquor', tea.liquor);
  cup.setAttribute('aria-hidden', 'true');
  card.append(input, cup);
  card.append(make('span', 'name', tea.name[lang]), make('span', 'price', yuan(tea.amount)));
  card.append(make('span', 'origin', tea.origin[lang]), make('span', 'note', tea.note[lang]));
  return card;
}

function summarise(form) {
  const tea = menu.find(one => one.id === form.elements.tea.value);
  find('chosen').textContent = tea.name[lang];
  find('sum').textContent = yuan(tea.amount);
}

async function order(form, button) {
  const buttons = [...form.querySelectorAll('button')];
  buttons.forEach(one => (one.disabled = true));
  complain('');
  try {
    const body = {tea: form.elements.tea.value, channel: button.value, language: lang};
    const made = await call('/orders', {method: 'POST', body: JSON.stringify(body)});
    history.pushState(null, '', `/?order=${made.id}`);
    addEventListener('popstate', () => location.reload());
    find('menu').hidden = true;
    show(made);
  } catch (error) {
    complain(t.trouble + error.message);
  } finally {
    buttons.forEach(one => (one.disabled = false));
  }
}

function complain(words) {
  find('trouble').textContent = words;
  find('trouble').hidden = !words;
}

async function showOrder(id) {
  try {
    show(await call(`/orders/${encodeURIComponent(id)}`));
  } catch {
    history.replaceState(null, '', '/');
    showMenu(t.noOrder);
  }
}

function show(made) {
  const tea = menu.find(one => one.id === made.tea);
  find('checkout').hidden = false;
  scrollTo(0, 0);
  find('tea').textContent = tea.name[lang];
  find('origin').textContent = tea.origin[lang];
  find('due').textContent = yuan(made.amount);
  find('number').textContent = made.id;
  document.querySelector('.slip .cup').style.setProperty('--liquor', tea.liquor);
  state(made.paid ? 'paid' : 'waiting');
  mountCashier(find('cashier'), made.charge, {
    language: lang,
    onChange: charge => follow(made, charge),
  });
}

/** The browser has heard something; what counts is what the shop's server says of it. */
function follow(made, charge) {
  offerWallet(made.wallet, charge);
  if (charge.status === 'pending') return;
  find('wallet').hidden = true;
  if (charge.status !== 'succeeded') return state('ended');
  if (find('state').className !== 'paid') state('confirming');
  confirm(made.id);
}

async function confirm(id) {
  const made = await call(`/orders/${id}`).catch(() => null);
  if (made?.paid) state('paid');
  else setTimeout(() => confirm(id), ASK_AGAIN_MS);
}

function state(name) {
  find('state').textContent = t[name];
  find('state').className = name;
}

/** Only with a test key is there a wallet to pay in. */
function offerWallet(wallet, charge) {
  if (!wallet || charge.action?.type !== 'qr_code') return;
  const query = new URLSearchParams({code: charge.action.code_url, lang});
  find('wallet').querySelector('a').href = `${wallet}?${query}`;
  find('wallet').hidden = false;
}

async function call(url, options = {}) {
  const headers = {'Content-Type': 'application/json'};
  const reply = await fetch(url, {...options, headers});
  const body = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(body.error ?? `HTTP ${reply.status}`);
  return body;
}

function make(tag, name = '', text = '') {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}
