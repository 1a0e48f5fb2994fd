// The look of the cashier. It lives in a shadow root, so the page's own style does not reach it; a
// page changes it by the custom properties --tongbao-accent, --tongbao-ink and --tongbao-soft.

const CSS = `
:host { display: block; }
* { box-sizing: border-box; }
.cashier {
  --accent: var(--tongbao-accent, #a8741a);
  --soft: var(--tongbao-soft, #6b7280);
  color: var(--tongbao-ink, inherit);
  text-align: center;
  line-height: 1.55;
}
.cashier.wechat { --accent: var(--tongbao-accent, #07823f); }
.cashier.alipay { --accent: var(--tongbao-accent, #0b5ed7); }
p, h2 { margin: 0; }
h2 { font: inherit; font-size: 1.25em; font-weight: 600; }
.test { margin-bottom: 1em; color: #7a4d00; font-size: 0.875em; }
.code {
  display: block; width: min(256px, 100%); aspect-ratio: 1; margin: 0 auto 1em;
  border: 1px solid #e9ebef; border-radius: 14px; background: #fff;
}
.hint, .left, .aside { color: var(--soft); }
.hint { margin-top: 0.25em; }
.left { margin-top: 0.75em; font-size: 0.875em; font-variant-numeric: tabular-nums; }
.aside { margin-top: 1em; font-size: 0.875em; }
.aside a { color: var(--accent); }
.button {
  display: block; max-width: 320px; margin: 1.25em auto 0; padding: 0.8em 1.2em;
  border-radius: 12px; background: var(--accent); color: #fff; font-weight: 600;
  text-decoration: none;
}
.button:hover { filter: brightness(1.08); }
a:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: 6px; }
.offline { margin-top: 1em; color: #9a3412; font-size: 0.875em; }
.mark {
  display: block; width: 76px; height: 76px; margin: 0 auto 0.75em; fill: none; stroke-width: 4.5;
  stroke-linecap: round; stroke-linejoin: round;
}
.mark circle { stroke: none; fill: #eef0f3; }
.mark path { stroke: var(--soft); }
.mark.paid circle { fill: #e5f5ec; }
.mark.paid path { stroke: #0a8f4c; }
.mark.failed circle { fill: #fbeae8; }
.mark.failed path { stroke: #b3372c; }
.waiting { display: flex; justify-content: center; gap: 8px; margin: 1.5em 0 1.25em; }
.waiting i {
  width: 10px; height: 10px; border-radius: 50%; background: var(--accent);
  animation: breathe 1.4s infinite;
}
.waiting i:nth-child(2) { animation-delay: 0.2s; }
.waiting i:nth-child(3) { animation-delay: 0.4s; }
@keyframes breathe { 0%, 100% { opacity: 0.25; } 40% { opacity: 1; } }
@media (hover: hover) and (min-width: 640px) { .on-phone { display: none; } }
@media (prefers-reduced-motion: reduce) { .waiting i { animation: none; opacity: 0.6; } }
`;

/** Gives a shadow root its style in the way that a strict Content-Security-Policy allows. */
export function addStyle(root: ShadowRoot): void {
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
  } catch {
    // Browsers before 2023, where a strict policy leaves the cashier plain but usable.
    const style = document.createElement('style');
    style.textContent = CSS;
    root.append(style);
  }
}
