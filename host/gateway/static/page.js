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
let ahead = 0;

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

// How long ago, as the host writes it, and by the host's clock: the reader's may be wrong.
function ages(place) {
  for (const time of place.querySelectorAll("time.age[datetime]")) {
    const at = new Date(time.dateTime).getTime();
    if (!Number.isNaN(at)) tell(time, span(Math.max(0, Math.floor((Date.now() + ahead - at) / 1000))));
  }
}

function span(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  const [s, min, h, d] = spoken === "ru" ? ["с", "мин", "ч", "д"] : ["s", "min", "h", "d"];
  if (days) return `${days} ${d} ${hours} ${h}`;
  if (hours) return `${hours} ${h} ${minutes} ${min}`;
  return minutes ? `${minutes} ${min}` : `${seconds} ${s}`;
}

// Nothing is written that stands there: a selection in it would end.
function tell(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

// By how much the host's clock is ahead of the reader's.
function setAhead(page) {
  const made = page.querySelector(".as-of time");
  const at = made ? new Date(made.dateTime).getTime() : NaN;
  if (!Number.isNaN(at)) ahead = at - Date.now();
}

// The tickets that a section of the page names.
function named(section) {
  const place = view.querySelector(`section:has(> [data-${section}])`);
  return new Set(place ? Array.from(place.querySelectorAll("a[href^='/t/']"), (link) => link.getAttribute("href")) : []);
}

function count(name) {
  const place = view.querySelector(`[data-${name}]`);
  return place ? Number(place.dataset[name]) : 0;
}

function hasNew(section, before) {
  return Array.from(named(section)).some((ticket) => !before.has(ticket));
}

function say(text, isTrouble) {
  tell(live, isTrouble ? `▲ ${text}` : text);
  const look = isTrouble ? "state held" : "";
  if (live.className !== look) live.className = look;
}

function isChanged(field) {
  if (field.localName === "select") return field.selectedIndex !== Math.max(0, Array.from(field.options).findIndex((option) => option.defaultSelected));
  return field.type !== "hidden" && field.value !== field.defaultValue;
}

// What somebody opened, wrote, chose or marked must not be swept away.
function isWriting() {
  if (view.querySelector(".deeds details[open]")) return true;
  const marked = getSelection();
  if (marked && !marked.isCollapsed && view.contains(marked.anchorNode)) return true;
  return Array.from(view.querySelectorAll("input, textarea, select")).some(isChanged);
}

// By what a part is the same one in the next page: its name, or the first thing in it that has one.
function nameOf(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeName;
  const own = (part) => part.id || part.getAttribute("href") || part.getAttribute("action");
  const inner = node.matches("li, tr, section") ? node.querySelector("[id], a[href], form[action]") : null;
  return `${node.nodeName} ${own(node) || (inner && own(inner)) || ""}`;
}

// Makes a part as it is in the next page, and leaves alone what is the same there: the focus and what is open stay.
function patch(there, next) {
  if (there.isEqualNode(next)) return;
  if (there.nodeType !== Node.ELEMENT_NODE) { there.data = next.data; return; }
  if (there.dataset.own !== undefined) return;
  for (const { name } of Array.from(there.attributes)) {
    if (!next.hasAttribute(name) && !(there.localName === "details" && name === "open")) there.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) if (there.getAttribute(name) !== value) there.setAttribute(name, value);
  patchWithin(there, next);
}

function patchWithin(there, next) {
  const old = Map.groupBy ? Map.groupBy(there.childNodes, nameOf) : grouped(there.childNodes);
  const pairs = Array.from(next.childNodes, (wanted) => [(old.get(nameOf(wanted)) || []).shift(), wanted]);
  for (const gone of Array.from(old.values()).flat()) gone.remove();
  let at = there.firstChild;
  for (const [kept, wanted] of pairs) {
    if (kept) patch(kept, wanted);
    if (kept && kept === at) at = at.nextSibling;
    else there.insertBefore(kept || wanted, at);
  }
}

function grouped(nodes) {
  const groups = new Map();
  for (const node of nodes) groups.set(nameOf(node), [...(groups.get(nameOf(node)) || []), node]);
  return groups;
}

async function refresh() {
  if (paused || busy) { wanted = true; return; }
  if (isWriting()) { wanted = true; say(words.changed, false); return; }
  busy = true;
  wanted = false;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    // Whoever was logged in is it no more: the page that says so stands there instead.
    if (answer.status === 401) { location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById("view");
    if (!next || isWriting()) { wanted = true; busy = false; return; }
    show(page, next);
  } catch {
    wanted = true;
  }
  busy = false;
  if (wanted && !paused) setTimeout(refresh, 1000);
}

function show(page, next) {
  const [needs, broken, causes] = [named("needs"), named("broken"), count("broken")];
  setAhead(page);
  localTimes(page);
  const focus = document.activeElement;
  patchWithin(view, next);
  for (const part of [".as-of", ".who"]) {
    const [there, newer] = [document.querySelector(part), page.querySelector(part)];
    if (there && newer) patch(there, newer);
  }
  // A part that was moved has lost it.
  if (focus && focus.isConnected && document.activeElement !== focus) focus.focus({ preventScroll: true });
  ages(view);
  followable();
  if (hasNew("needs", needs)) news.textContent = `${words.news} ${count("needs")}`;
  else if (hasNew("broken", broken) || count("broken") > causes) news.textContent = `${words.broken} ${count("broken")}`;
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

// Locks are there for secure pages alone. Over plain HTTP from another machine the tabs agree by the channel: who leads answers who
// asks, of two the smaller number leads, and who leaves says so. No answer is the answer that nobody leads.
const ANSWERED_WITHIN = 300;
const agrees = !navigator.locks && channel;
const me = Math.random();
let asking = null;

function elect() {
  if (source || asking) return;
  channel.postMessage({ asks: me });
  asking = setTimeout(() => {
    asking = null;
    lead();
    channel.postMessage({ leads: me, cursor });
  }, ANSWERED_WITHIN);
}

function withdraw() {
  clearTimeout(asking);
  asking = null;
}

function agree({ asks, leads, left, cursor: told }) {
  if (left) {
    elect();
  } else if (asks !== undefined) {
    if (source) channel.postMessage({ leads: me, cursor });
    else if (asking && me < asks) channel.postMessage({ asks: me });
    else if (asking) withdraw();
  } else if (leads !== undefined) {
    withdraw();
    if (source && me < leads) channel.postMessage({ leads: me, cursor });
    else if (source) leave();
    if (!source && alive === false) hear({ cursor: told });
  }
}

function leave() {
  source.close();
  source = null;
}

function watch() {
  if (paused) return;
  if (Date.now() - heard > DEAD_AFTER) {
    say(`${words.dead} ${new Date(heard).toLocaleTimeString(language)}`, true);
    // A refused stream is not retried by the browser itself.
    if (source && source.readyState === EventSource.CLOSED) { source.close(); lead(); }
    else if (!source && agrees) elect();
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
  if (channel) channel.addEventListener("message", ({ data }) => { if ("asks" in data || "leads" in data || "left" in data) agree(data); else hear(data); });
  if (navigator.locks) navigator.locks.request("gatewright-live", lead);
  else if (agrees) elect();
  else lead();
  if (agrees) {
    addEventListener("pagehide", () => { withdraw(); if (source) { leave(); channel.postMessage({ left: true }); } });
    addEventListener("pageshow", (event) => { if (event.persisted) elect(); });
  }
  setInterval(watch, 2000);
}
setInterval(() => ages(document), 1000);

// The log of a run that lives: what was written since is asked for each second, and nothing is asked while nobody follows.
function followable() {
  const lines = document.getElementById("lines");
  if (!lines || !lines.dataset.follow || lines.dataset.own !== undefined) return;
  lines.dataset.own = "";
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
followable();
const shown = document.getElementById("lines");
if (shown) shown.parentElement.scrollTop = location.hash ? shown.parentElement.scrollTop : shown.parentElement.scrollHeight;
// What was done is said once.
if (document.getElementById("did")) {
  const address = new URL(location.href);
  address.searchParams.delete("did");
  address.searchParams.delete("item");
  history.replaceState(null, "", address);
}
localTimes(document);
setAhead(document);
