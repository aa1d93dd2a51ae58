// Keeps the page as it would be if it were loaded now. Without this script the page is whole, and Refresh does the same.
"use strict";

const view = document.getElementById("view");
const live = document.getElementById("live");
const news = document.getElementById("news");
const words = document.body.dataset;
// The reader's own way to write a date, where it is one of the page's language.
const spoken = document.documentElement.lang;
const language = navigator.languages.find((one) => one.split("-")[0] === spoken && one.includes("-")) || (spoken === "en" ? "en-GB" : spoken);
const DEAD_AFTER = 8000; // The stream beats every 5 s.

let cursor = view.dataset.cursor; // How far this page has heard; the host knows what it means.
let paused = false;
let wanted = false;
let busy = false;
let heard = Date.now();
let alive = false;
let source = null;

function localTimes(place) {
  const whole = new Intl.DateTimeFormat(language, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    timeZoneName: "short",
  });
  for (const time of place.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    if (time.classList.contains("age")) {
      time.title = whole.format(at);
    } else {
      time.title = time.textContent;
      time.textContent = whole.format(at);
    }
  }
}

function count(name) {
  const place = view.querySelector(`[data-${name}]`);
  return place ? Number(place.dataset[name]) : 0;
}

function say(text, isTrouble) {
  const shown = isTrouble ? `▲ ${text}` : text;
  if (live.textContent !== shown) live.textContent = shown;
  live.className = isTrouble ? "state held" : "";
}

// What somebody opened or wrote must not be swept away.
function isWriting() {
  if (view.querySelector(".deeds details[open]")) return true;
  return Array.from(view.querySelectorAll("input, textarea")).some((field) => field.type !== "hidden" && field.value !== field.defaultValue);
}

async function refresh() {
  if (paused || busy) { wanted = true; return; }
  if (isWriting()) { wanted = true; say(words.changed, false); return; }
  busy = true;
  wanted = false;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById("view");
    if (!next || isWriting()) { wanted = true; busy = false; return; }
    const [needs, broken] = [count("needs"), count("broken")];
    const focus = document.activeElement && document.activeElement.getAttribute("href");
    const open = Array.from(view.querySelectorAll("details[open][id]"), (details) => details.id);
    view.replaceChildren(...next.childNodes);
    for (const id of open) { const details = document.getElementById(id); if (details) details.open = true; }
    const asOf = page.querySelector(".as-of time");
    if (asOf) { document.querySelector(".as-of").replaceChildren(...page.querySelector(".as-of").childNodes); localTimes(document.querySelector(".tools")); }
    localTimes(view);
    if (focus && document.activeElement === document.body) {
      const again = view.querySelector(`a[href="${CSS.escape(focus)}"]`);
      if (again) again.focus({ preventScroll: true });
    }
    if (count("needs") > needs) news.textContent = `${words.news} ${count("needs")}`;
    else if (count("broken") > broken) news.textContent = `${words.broken} ${count("broken")}`;
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
  if (Date.now() - heard > DEAD_AFTER) {
    say(`${words.dead} ${new Date(heard).toLocaleTimeString(language)}`, true);
    // A refused stream is not retried by the browser itself.
    if (source && source.readyState === EventSource.CLOSED) { source.close(); lead(); }
  } else if (wanted && isWriting()) {
    say(words.changed, false);
  } else {
    say(alive ? words.live : words.connecting, false);
    if (wanted) refresh();
  }
}

function button(label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.addEventListener("click", () => act(made));
  return made;
}

if (cursor) {
  live.before(button(words.pause, (made) => {
    paused = !paused;
    made.textContent = paused ? words.resume : words.pause;
    if (paused) say(words.paused, false);
    else { heard = Date.now(); watch(); refresh(); }
  }));
  if (channel) channel.addEventListener("message", (event) => hear(event.data));
  if (navigator.locks) navigator.locks.request("gatewright-live", lead);
  else lead();
  setInterval(watch, 2000);
}

// The log of a run that lives: what was written since is asked for each second, and nothing is asked while nobody follows.
const lines = document.getElementById("lines");
if (lines && lines.dataset.follow) {
  const box = lines.parentElement;
  let following = null;
  const step = async () => {
    try {
      const answer = await fetch(`/r/${lines.dataset.run}?after=${lines.dataset.end}${lines.dataset.raw ? "&raw=1" : ""}`, { headers: { accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("lines");
      if (!next) return;
      // A line that was half written when the page was made is there already, by the same place.
      const fresh = Array.from(next.children).filter((line) => {
        const there = document.getElementById(line.id);
        if (there && there.textContent !== line.textContent) there.replaceWith(line);
        return !there;
      });
      lines.append(...fresh);
      while (lines.children.length > 5000) lines.firstElementChild.remove();
      lines.dataset.end = next.dataset.end;
      if (fresh.length) box.scrollTop = box.scrollHeight;
      if (!next.dataset.live) { clearInterval(following); following = null; location.reload(); }
    } catch { /* The next look may succeed. */ }
  };
  const follow = button(lines.dataset.follow, (made) => {
    if (following) { clearInterval(following); following = null; }
    else { following = setInterval(step, 1000); step(); }
    made.setAttribute("aria-pressed", String(Boolean(following)));
    made.textContent = following ? lines.dataset.unfollow : lines.dataset.follow;
  });
  follow.setAttribute("aria-pressed", "false");
  box.before(follow);
}
if (lines) lines.parentElement.scrollTop = location.hash ? lines.parentElement.scrollTop : lines.parentElement.scrollHeight;
// What was done is said once.
if (document.getElementById("did")) {
  const address = new URL(location.href);
  address.searchParams.delete("did");
  address.searchParams.delete("item");
  history.replaceState(null, "", address);
}
localTimes(document);
