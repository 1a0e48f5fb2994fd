// Keeps the lists fresh. The page does all it does without this.
"use strict";
const lists = document.getElementById("lists");
async function refresh() {
  const busy = lists.querySelector("details[open]") || lists.contains(document.activeElement);
  if (document.hidden || busy) return;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("lists");
    if (fresh && fresh.innerHTML !== lists.innerHTML) lists.replaceChildren(...fresh.childNodes);
  } catch {
    // The sandbox is being restarted; the next round will tell.
  }
}
if (lists) setInterval(refresh, 2000);
