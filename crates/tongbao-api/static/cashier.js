// Keeps the cashier up to date: counts down, listens for changes, and takes the new page's
// contents over when the charge has moved on. The page is complete without it.
(() => {
  "use strict";
  const card = () => document.getElementById("cashier");
  if (!card() || !("open" in card().dataset)) return;
  const base = "/pay/" + card().dataset.charge;
  let source = null;
  let polling = null;
  let refreshing = false;

  // The server says how much time is left; its clock counts, not the browser's.
  let deadline = 0;
  const setDeadline = (seconds) => { deadline = performance.now() + seconds * 1000; };
  const clock = (seconds) => {
    const two = (n) => String(n).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor(seconds / 60) % 60;
    const rest = two(seconds % 60);
    return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
  };
  const tick = () => {
    const left = document.getElementById("left");
    if (!left) return;
    const seconds = Math.max(0, Math.ceil((deadline - performance.now()) / 1000));
    left.textContent = seconds > 0 ? clock(seconds) : left.dataset.over;
  };

  const stop = () => {
    if (source) source.close();
    clearInterval(polling);
    clearInterval(ticking);
  };

  const refresh = async () => {
    if (refreshing) return;
    refreshing = true;
    try {
      const headers = { Accept: "text/html" };
      const reply = await fetch(location.href, { headers, cache: "no-store" });
      if (!reply.ok) return;
      const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
      const next = fresh.getElementById("cashier");
      if (!next) return;
      document.title = fresh.title;
      card().className = next.className;
      card().dataset.stage = next.dataset.stage;
      card().querySelector(".bill").innerHTML = next.querySelector(".bill").innerHTML;
      // The live region itself stays, so that its change is read out.
      card().querySelector(".step").innerHTML = next.querySelector(".step").innerHTML;
      if (!("open" in next.dataset)) {
        delete card().dataset.open;
        stop();
      }
    } finally {
      refreshing = false;
    }
  };

  const heard = (standing) => {
    setDeadline(standing.seconds_left);
    if (standing.stage !== card().dataset.stage) refresh();
  };

  const poll = () => {
    if (polling) return;
    polling = setInterval(async () => {
      try {
        const reply = await fetch(base + "/status" + location.search, { cache: "no-store" });
        if (reply.ok) heard(await reply.json());
      } catch {
        // No network for a moment; the next round asks again.
      }
    }, 3000);
  };

  const listen = () => {
    if (!("EventSource" in window)) return poll();
    source = new EventSource(base + "/events" + location.search);
    source.onmessage = (message) => heard(JSON.parse(message.data));
    // The browser comes again by itself after a break; a refusal ends that.
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) poll(); };
  };

  setDeadline(Number(document.getElementById("left").dataset.seconds));
  const ticking = setInterval(tick, 500);
  // Coming back from the provider's app, or from the cache, the page may be old.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && "open" in card().dataset) refresh();
  });
  listen();
})();
