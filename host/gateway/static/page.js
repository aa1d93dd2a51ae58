// Keeps the page as it would be if it were loaded now. Without this script the page is whole, and Refresh does the same.
"use strict";

const view = document.getElementById("view");
const live = document.getElementById("live");
const news = document.getElementById("news");
const DEAD_AFTER = 12000; // The stream beats every 5 s.

let cursor = view.dataset.cursor; // How far this page has heard; the host knows what it means.
let paused = false;
let wanted = false;
let busy = false;
let heard = Date.now();
let alive = false;
let source = null;

function localTimes() {
  const format = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    timeZoneName: "short",
  });
  for (const time of view.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = time.textContent;
    time.textContent = format.format(at);
  }
}

function needs() {
  const heading = view.querySelector("[data-needs]");
  return heading ? Number(heading.dataset.needs) : 0;
}

function say(text, isTrouble) {
  live.textContent = text;
  live.className = isTrouble ? "state held" : "";
}

async function refresh() {
  if (paused || busy) { wanted = true; return; }
  busy = true;
  wanted = false;
  try {
    const answer = await fetch(view.dataset.fragment, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const before = needs();
    const focus = document.activeElement && document.activeElement.getAttribute("href");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    view.replaceChildren(...page.body.childNodes);
    localTimes();
    if (focus && document.activeElement === document.body) {
      const again = view.querySelector(`a[href="${CSS.escape(focus)}"]`);
      if (again) again.focus({ preventScroll: true });
    }
    if (needs() > before) news.textContent = `${needs()} tickets need you.`;
  } catch {
    wanted = true;
  }
  busy = false;
  if (wanted && !paused) setTimeout(refresh, 1000);
}

// One stream per browser: a browser opens six connections to a host, and seven tabs would starve each other.
const channel = "BroadcastChannel" in window ? new BroadcastChannel("gatewright") : null;

function hear(message) {
  heard = Date.now();
  alive = true;
  if (message.cursor !== cursor) {
    cursor = message.cursor;
    refresh();
  }
}

function lead() {
  source = new EventSource(`/api/v1/events?since=${encodeURIComponent(cursor)}`);
  for (const kind of ["hello", "change", "resync", "beat"]) {
    source.addEventListener(kind, (event) => {
      const message = { cursor: event.lastEventId };
      if (channel) channel.postMessage(message);
      hear(message);
    });
  }
  return new Promise(() => {}); // Held until the tab closes: then another one leads.
}

function watch() {
  if (paused) return;
  const silence = Date.now() - heard;
  if (silence > DEAD_AFTER) {
    const since = new Date(heard).toLocaleTimeString();
    say(`▲ Not live since ${since}, retrying`, true);
    // A refused stream is not retried by the browser itself.
    if (source && source.readyState === EventSource.CLOSED) { source.close(); lead(); }
  } else {
    say(alive ? "Live" : "Connecting", false);
  }
}

if (view.dataset.fragment) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Pause";
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    if (paused) say("Paused", false);
    else { watch(); refresh(); }
  });
  live.before(button);
  if (channel) channel.addEventListener("message", (event) => hear(event.data));
  if (navigator.locks) navigator.locks.request("gatewright-live", lead);
  else lead();
  setInterval(watch, 2000);
}
localTimes();
