// The cashier inside a page: the code or the button, the time that is left, and how it ended.
//
// Tongbao's own cashier page forbids being framed, so that nobody can lay a page over it; so this
// draws it anew, in a shadow root, from what the charge's `watch` tells. The code is tongbao's own
// picture of it.
import { pictureAddress, watchAddress } from './addresses.js';
import { addStyle } from './cashier_style.js';
import { clock, linkOf, providerOf, savedCode, secondsLeft, stageOf, wordsOf } from './stage.js';
import { TEXTS, languageOf } from './texts.js';
import { isFinal } from './types.js';
import { watchChargeStatus } from './watch.js';
const TICK_MS = 500;
const PICTURE_AGAIN_MS = 2000;
/** Shows the charge's cashier inside an element. Gives a function that takes it away again. */
export function mountCashier(element, charge, options = {}) {
    const watchUrl = watchAddress(charge, options.base);
    const view = new View(element, watchUrl, TEXTS[options.language ?? languageOf(element)]);
    const stop = watchChargeStatus(charge, told => options.onStatus?.(told), {
        base: options.base,
        poll: options.poll,
        onChange: told => {
            view.show(told);
            options.onChange?.(told);
        },
        onConnection: isConnected => view.connected(isConnected),
        onError: error => {
            view.lost();
            if (options.onError)
                options.onError(error);
            else
                console.error(error);
        },
    });
    return () => {
        stop();
        view.remove();
    };
}
class View {
    constructor(element, watchUrl, t) {
        this.watchUrl = watchUrl;
        this.t = t;
        this.deadline = null;
        this.nCodes = 0;
        this.shown = null;
        const root = element.shadowRoot ?? element.attachShadow({ mode: 'open' });
        root.replaceChildren();
        addStyle(root);
        this.card = make('div', 'cashier');
        this.body = make('div', 'body');
        this.body.setAttribute('aria-live', 'polite');
        this.left = make('p', 'left');
        this.left.setAttribute('role', 'timer');
        this.offline = make('p', 'offline', t.offline);
        this.offline.setAttribute('role', 'status');
        this.offline.hidden = true;
        this.body.append(dots());
        this.card.append(this.body, this.left, this.offline);
        root.append(this.card);
        this.ticking = setInterval(() => this.tick(), TICK_MS);
    }
    show(charge) {
        const seconds = secondsLeft(charge, Date.now());
        this.deadline = seconds === null ? null : performance.now() + seconds * 1000;
        this.card.className = `cashier ${providerOf(charge) ?? ''}`;
        this.card.dataset['stage'] = stageOf(charge);
        this.body.replaceChildren(...this.parts(charge));
        if (isFinal(charge.status))
            this.finish();
        this.tick();
    }
    connected(isConnected) {
        this.offline.hidden = isConnected;
    }
    lost() {
        this.card.dataset['stage'] = 'lost';
        const { lost, lostHint } = this.t;
        this.body.replaceChildren(make('h2', '', lost), make('p', 'hint', lostHint));
        this.finish();
    }
    remove() {
        clearInterval(this.ticking);
        this.card.remove();
    }
    finish() {
        clearInterval(this.ticking);
        this.left.hidden = true;
        this.offline.hidden = true;
    }
    parts(charge) {
        const { t } = this;
        const parts = [];
        const stage = stageOf(charge);
        if (charge.livemode === false && !isFinal(charge.status)) {
            parts.push(make('p', 'test', t.testMode));
        }
        if (charge.action?.type === 'qr_code' && stage === 'scan') {
            parts.push(this.picture(charge.action.code_url));
        }
        if (stage === 'preparing')
            parts.push(dots());
        if (isFinal(charge.status))
            parts.push(mark(charge.status));
        const { heading, hint } = wordsOf(charge, t);
        parts.push(make('h2', '', heading), make('p', 'hint', hint));
        const link = linkOf(charge, t);
        if (link)
            parts.push(anchor(`button${link.onPhone ? ' on-phone' : ''}`, link.href, link.text));
        const saved = savedCode(charge);
        if (saved) {
            const aside = make('p', 'aside on-phone', `${t.samePhone} `);
            aside.append(anchor('', saved, t.saveCode));
            parts.push(aside);
        }
        return parts;
    }
    /** The same picture for the same code, so that it does not flicker. */
    picture(code) {
        if (this.shown?.code === code)
            return this.shown.picture;
        const picture = document.createElement('img');
        const load = () => {
            picture.src = pictureAddress(this.watchUrl, this.nCodes++);
        };
        picture.className = 'code';
        picture.alt = this.t.code;
        picture.onerror = () => {
            setTimeout(() => picture.isConnected && load(), PICTURE_AGAIN_MS);
        };
        load();
        this.shown = { code, picture };
        return picture;
    }
    tick() {
        if (this.deadline === null)
            return void (this.left.textContent = '');
        const seconds = Math.max(0, Math.ceil((this.deadline - performance.now()) / 1000));
        const { timeLeft, timeOver } = this.t;
        this.left.textContent = seconds > 0 ? `${timeLeft} ${clock(seconds)}` : timeOver;
    }
}
function make(tag, name, text = '') {
    const element = document.createElement(tag);
    if (name)
        element.className = name;
    element.textContent = text;
    return element;
}
function anchor(name, href, text) {
    const link = document.createElement('a');
    if (name)
        link.className = name;
    link.href = href;
    link.rel = 'noreferrer';
    link.textContent = text;
    return link;
}
function dots() {
    const waiting = make('p', 'waiting');
    waiting.setAttribute('aria-hidden', 'true');
    waiting.append(make('i', ''), make('i', ''), make('i', ''));
    return waiting;
}
const MARKS = {
    succeeded: 'M19 33.5l9 9 17-19',
    closed: 'M32 17v16l10 7',
    failed: 'M23 23l18 18M41 23L23 41',
    pending: '',
};
function mark(status) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 64 64');
    svg.setAttribute('aria-hidden', 'true');
    svg.setAttribute('class', `mark ${status === 'succeeded' ? 'paid' : status}`);
    const shape = (tag, attributes) => {
        const part = document.createElementNS('http://www.w3.org/2000/svg', tag);
        for (const [name, value] of Object.entries(attributes))
            part.setAttribute(name, value);
        svg.append(part);
    };
    shape('circle', { cx: '32', cy: '32', r: '30' });
    shape('path', { d: MARKS[status] });
    return svg;
}
