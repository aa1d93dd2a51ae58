// Looks at the pages of a gateway in a real browser. Asked by host/gateway/tests/browser, which fills the store before.
//
// Standard input: {"base", "far", "token", "folder", "chromium", "pages": [{"name", "path"}], "task", "run"}; "far" is the same gateway under a
// name that is no loopback one, so that its pages are not secure. Each finding is a line on
// standard output; the exit code is 1 where there is one. Screenshots lie in `folder`.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const asked = JSON.parse(readFileSync(0, "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [360, 768, 1280];
// A word that is shorter than this part of the window, and than so many pixels, fits: nothing may break it. A longer one, such as a
// commit or what a hostile title holds, may be broken.
const FITS = { part: 0.5, pixels: 240 };
// A cell with a text of several letters is at least so wide, in pixels.
const NARROWEST_CELL = 24;
const findings = [];
const told = (place, what) => findings.push(`${place}: ${what}`);

const browser = await chromium.launch({
  executablePath: asked.chromium,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", `--host-resolver-rules=MAP ${new URL(asked.far).hostname} 127.0.0.1`],
});

const at = (path) => new URL(path, asked.base).href;

async function inContext(options, work) {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "Asia/Tokyo", ...options });
  context.setDefaultTimeout(20000);
  try { return await work(context); } finally { await context.close(); }
}

async function logIn(page, base = asked.base) {
  await page.goto(new URL("/login?next=/", base).href);
  await page.fill("#token", asked.token);
  await page.click("form.login button");
  await page.waitForURL(new URL("/", base).href);
}

// Something that happens while somebody looks: `demo` is frozen, or thawed where there is no reason.
async function happens(reason) {
  const answer = await fetch(at("/api/v1/projects/demo/freeze"), {
    method: reason ? "POST" : "DELETE", headers: { authorization: `Bearer ${asked.token}`, "content-type": "application/json" },
    body: reason ? JSON.stringify({ reason }) : undefined,
  });
  if (!answer.ok) told("a change", `it was answered ${answer.status}`);
}

function listen(page, place) {
  page.on("pageerror", (error) => told(place, `a script broke: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource|Cross-Origin-Opener-Policy header has been ignored/.test(message.text())) told(place, `the console says: ${message.text()}`);
  });
}

// Words that are broken though they would fit, and cells that are too narrow for their text. Runs in the page.
function crampedTexts({ fits, narrowest }) {
  const found = [];
  const most = Math.min(fits.part * document.documentElement.clientWidth, fits.pixels);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const parent = text.parentElement;
    // Logs, command lines and texts of people wrap where they must; what only a screen reader sees has no width.
    if (!parent || parent.closest("script, pre, code, .log, .unseen, option, thead") || !parent.checkVisibility()) continue;
    for (const word of text.data.matchAll(/[\p{L}\p{N}]+/gu)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const parts = Array.from(range.getClientRects()).filter((part) => part.width > 0);
      const lines = new Set(parts.map((part) => Math.round(part.top)));
      const width = parts.reduce((sum, part) => sum + part.width, 0);
      if (lines.size > 1 && width <= most) found.push(`the word “${word[0]}” is broken into ${lines.size} lines in ${parent.closest("td, th, dd, li, p, main").outerHTML.slice(0, 160)}`);
    }
  }
  for (const cell of document.querySelectorAll("td")) {
    const style = getComputedStyle(cell);
    const width = cell.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    if (cell.checkVisibility() && cell.innerText.trim().length > 3 && width < narrowest) found.push(`a cell of ${width} pixels: ${cell.outerHTML.slice(0, 160)}`);
  }
  return found;
}

// What holds for each page, whatever it shows.
async function inspect(page, place) {
  const wide = await page.evaluate(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return null;
    const over = Array.from(document.querySelectorAll("main *, header *")).filter((part) => part.getBoundingClientRect().right > root.clientWidth + 1);
    return over.slice(0, 3).map((part) => `${part.tagName}.${part.className}`).join(", ") || "something";
  });
  if (wide) told(place, `wider than the window: ${wide}`);
  const bare = await page.evaluate(() => Array.from(document.querySelectorAll(".state"))
    .filter((state) => !state.querySelector("[aria-hidden]") || state.textContent.trim().length < 3).map((state) => state.outerHTML));
  if (bare.length) told(place, `a state without shape or word: ${bare[0]}`);
  const cramped = await page.evaluate(crampedTexts, { fits: FITS, narrowest: NARROWEST_CELL });
  for (const found of cramped.slice(0, 3)) told(place, found);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, {
    runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
  }));
  for (const violation of violations) told(place, `axe: ${violation.id}: ${violation.help}: ${violation.nodes[0].html} ${violation.nodes[0].failureSummary}`);
}

async function everyPage() {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of WIDTHS) {
      await inContext({ colorScheme, viewport: { width, height: width < 500 ? 740 : 900 }, hasTouch: width < 500 }, async (context) => {
        const page = await context.newPage();
        await logIn(page);
        for (const { name, path } of asked.pages) {
          const place = `${name} at ${width} in ${colorScheme}`;
          const one = await context.newPage();
          listen(one, place);
          const answer = await one.goto(at(path));
          if (answer.status() !== 200) told(place, `answered ${answer.status()}`);
          await inspect(one, place);
          await one.screenshot({ path: `${asked.folder}/${name}-${width}-${colorScheme}.png`, fullPage: true });
          await one.close();
        }
        // What is opened may be on another ground.
        for (const path of width === 768 ? [] : ["/", `/t/${asked.second}`, "/p/demo", "/repositories"]) {
          await page.goto(at(path));
          await page.evaluate(() => document.querySelectorAll(".deeds details").forEach((details) => { details.open = true; }));
          await inspect(page, `all buttons of ${path} open at ${width} in ${colorScheme}`);
        }
        await page.goto(at("/"));
        const opened = page.locator(".deeds summary").first();
        await opened.click();
        await inspect(page, `an open button at ${width} in ${colorScheme}`);
        await page.screenshot({ path: `${asked.folder}/button-${width}-${colorScheme}.png` });
        if (width < 500) {
          const small = await page.evaluate(() => Array.from(document.querySelectorAll("main button, main summary, header summary, header button"))
            .filter((part) => part.getClientRects().length && part.getBoundingClientRect().height < 40).map((part) => part.textContent.trim()));
          if (small.length) told("phone", `too small for a finger: ${small.join(", ")}`);
          await page.click(".more summary");
          await page.screenshot({ path: `${asked.folder}/more-${width}-${colorScheme}.png` });
          await inspect(page, "the open menu of a phone");
        }
      });
    }
  }
}

async function withoutScript() {
  await inContext({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } }, async (context) => {
    const page = await context.newPage();
    for (const { name, path } of asked.pages) {
      await page.goto(at(path));
      if ((await page.locator("main").innerText()).trim().length < 20) told(name, "says nothing without JavaScript");
    }
    await page.goto(at("/login?next=/"));
    await page.fill("#token", asked.token);
    await page.click("form.login button");
    await page.goto(at(`/t/${asked.press}`));
    await page.click(".deeds summary.first");
    await page.fill(".deeds textarea >> nth=0", "pressed without a script");
    await page.click(".deeds button.first");
    if (!(await page.locator("#did").innerText()).includes(asked.press)) told("without JavaScript", "a press is not answered");
    if (!(await page.locator(".story").innerText()).includes("pressed without a script")) told("without JavaScript", "a press did nothing");
    await page.goto(at(`/r/${asked.run}?q=needle`));
    if (!(await page.locator("#lines").innerText()).includes("needle")) told("without JavaScript", "a log cannot be searched");
  });
}

async function live() {
  await inContext({ viewport: { width: 1440, height: 900 } }, async (context) => {
    const pages = [await context.newPage(), await context.newPage(), await context.newPage()];
    let streams = 0;
    context.on("request", (request) => { if (request.url().includes("/api/v1/events")) streams += 1; });
    for (const page of pages) { listen(page, "live"); await page.goto(at("/")); }
    for (const page of pages) await page.waitForFunction(() => document.getElementById("live").textContent === "Live");
    if (streams !== 1) told("live", `${streams} event streams for three tabs`);
    await happens("told while you look");
    for (const page of pages) await page.getByText("told while you look").first().waitFor();
    const time = await pages[0].locator("time:not(.age)").first().innerText();
    if (!/GMT\+9|JST/.test(time)) told("live", `the time is not the reader's: ${time}`);
    await pages[0].getByRole("button", { name: "Pause updates" }).click();
    if (!(await pages[0].locator("#live").innerText()).includes("paused")) told("live", "a pause is not said");
  });
  await inContext({ viewport: { width: 1440, height: 900 } }, async (context) => {
    await context.route("**/api/v1/events*", (route) => route.abort());
    const page = await context.newPage();
    await page.goto(at("/"));
    await page.waitForFunction(() => document.getElementById("live").textContent.includes("Not live"), null, { timeout: 15000 });
    await page.screenshot({ path: `${asked.folder}/not-live-1440-light.png` });
    await context.unroute("**/api/v1/events*");
    await page.waitForFunction(() => document.getElementById("live").textContent === "Live");
  });
}

// What somebody writes is not swept away by what happens meanwhile.
async function writing() {
  await inContext({ viewport: { width: 1440, height: 900 } }, async (context) => {
    const page = await context.newPage();
    await logIn(page);
    await page.goto(at(`/t/${asked.second}`));
    await page.click(".deeds summary >> nth=1");
    await page.locator(".deeds details[open] textarea").fill("not yet");
    await happens(null);
    await page.waitForFunction(() => document.getElementById("live").textContent.includes("while you write"));
    if ((await page.locator(".deeds details[open] textarea").inputValue()) !== "not yet") told("writing", "a note was swept away");
  });
}

// What a reader does goes on while the page is kept up to date: the focus stays where it is, and what was chosen or marked.
async function keeping() {
  await inContext({ viewport: { width: 1440, height: 900 } }, async (context) => {
    const page = await context.newPage();
    listen(page, "keeping");
    await logIn(page);
    await page.evaluate(() => { const all = document.querySelectorAll(".card .deeds summary"); window.kept = all[2]; window.next = all[3]; window.kept.focus(); });
    await happens("told while you tab");
    await page.getByText("told while you tab").first().waitFor();
    if (!(await page.evaluate(() => document.activeElement === window.kept))) told("keeping", "the focus was thrown back by a change");
    await page.keyboard.press("Tab");
    if (!(await page.evaluate(() => document.activeElement === window.next))) told("keeping", "Tab does not go on behind the focus after a change");
    const twice = await page.evaluate(() => {
      const links = Array.from(document.querySelectorAll("#view a[href]"));
      window.kept = links.find((link, place) => links.findIndex((other) => other.href === link.href) < place);
      if (window.kept) window.kept.focus();
      return Boolean(window.kept);
    });
    if (!twice) told("keeping", "no link stands twice on the page");
    await happens(null);
    await page.getByText("told while you tab").first().waitFor({ state: "detached" });
    if (!(await page.evaluate(() => document.activeElement === window.kept))) told("keeping", "the focus went to another link with the same address");
    await page.goto(at("/deliveries"));
    await page.selectOption("select[name=state]", "parked");
    await happens("told while you choose");
    await page.waitForFunction(() => document.getElementById("live").textContent.includes("while you write"));
    if ((await page.inputValue("select[name=state]")) !== "parked") told("keeping", "a choice was reset");
    await page.goto(at("/"));
    const marked = await page.evaluate(() => { const code = Array.from(document.querySelectorAll("#view code")).find((code) => code.checkVisibility()); getSelection().selectAllChildren(code); return code.textContent; });
    await happens(null);
    await page.waitForFunction(() => document.getElementById("live").textContent.includes("while you write"));
    if ((await page.evaluate(() => getSelection().toString())) !== marked) told("keeping", "what was marked is marked no more");
    await page.evaluate(() => getSelection().empty());
    await page.getByText("told while you choose").first().waitFor({ state: "detached" });
  });
}

// Pages of plain HTTP from another machine have no locks, and share one stream all the same.
async function beyondThisMachine() {
  await inContext({ viewport: { width: 1440, height: 900 } }, async (context) => {
    const streams = [];
    context.on("request", (request) => { if (request.url().includes("/api/v1/events")) streams.push(request.frame().page()); });
    const first = await context.newPage();
    await logIn(first, asked.far);
    if (await first.evaluate(() => window.isSecureContext)) told("beyond", "the page is secure, so this shows nothing");
    await first.waitForFunction(() => document.getElementById("live").textContent === "Live");
    const before = streams.length;
    const pages = [first];
    for (let number = 0; number < 8; number += 1) { const page = await context.newPage(); listen(page, "beyond"); await page.goto(new URL("/", asked.far).href); pages.push(page); }
    for (const page of pages) await page.waitForFunction(() => document.getElementById("live").textContent === "Live");
    if (streams.length !== before) told("beyond", `${1 + streams.length - before} event streams for nine tabs`);
    const leader = streams.at(-1);
    await leader.close();
    const rest = pages.filter((page) => page !== leader);
    await happens("told beyond this machine");
    for (const page of rest) await page.getByText("told beyond this machine").first().waitFor();
    await happens(null);
    for (const page of rest) await page.getByText("told beyond this machine").first().waitFor({ state: "detached" });
  });
}

// "3 min ago" beside the word "Live" is true.
async function ageing() {
  await inContext({}, async (context) => {
    const page = await context.newPage();
    await page.clock.install();
    await page.goto(at("/"));
    const ages = () => page.evaluate(() => Array.from(document.querySelectorAll("#view time.age"), (age) => age.textContent));
    const before = await ages();
    await page.clock.fastForward(2 * 3600 * 1000);
    const after = await ages();
    const still = before.filter((age, place) => age === after[place]);
    if (!before.length || still.length) told("ageing", `two hours later it still says: ${still.join(", ")}`);
    if (!(await page.locator(".facts time.age").count())) told("ageing", "the time of the last step stands still");
  });
}

async function keyboard() {
  await inContext({ viewport: { width: 1440, height: 900 } }, async (context) => {
    const page = await context.newPage();
    await page.goto(at("/"));
    await page.keyboard.press("Tab");
    if (!(await page.evaluate(() => document.activeElement.classList.contains("skip")))) told("keyboard", "the first stop is not the way to the content");
    await page.keyboard.press("Enter");
    if ((await page.evaluate(() => document.activeElement.id)) !== "view") told("keyboard", "the way to the content leads elsewhere");
    const unseen = await page.evaluate(async () => {
      const found = [];
      for (const part of document.querySelectorAll("a[href], button, input, summary")) {
        if (!part.getClientRects().length) continue;
        part.focus();
        const style = getComputedStyle(part);
        if (document.activeElement === part && style.outlineStyle === "none" && style.boxShadow === "none") found.push(part.outerHTML.slice(0, 80));
      }
      return found;
    });
    if (unseen.length) told("keyboard", `the focus is not seen: ${unseen[0]}`);
  });
  await inContext({ reducedMotion: "reduce" }, async (context) => {
    const page = await context.newPage();
    await page.goto(at("/"));
    const moving = await page.evaluate(() => document.getAnimations().length);
    if (moving) told("reduced motion", `${moving} animations go on`);
  });
}

async function russian() {
  await inContext({ locale: "ru-RU", viewport: { width: 360, height: 740 } }, async (context) => {
    const page = await context.newPage();
    for (const { name, path } of asked.pages) {
      await page.goto(at(path));
      await inspect(page, `${name} in Russian`);
      await page.screenshot({ path: `${asked.folder}/${name}-360-russian.png`, fullPage: true });
    }
    await page.goto(at("/"));
    await page.click("a.tongue");
    if ((await page.getAttribute("html", "lang")) !== "en") told("language", "the switch does not switch");
  });
}

async function follow() {
  await inContext({ viewport: { width: 1440, height: 900 } }, async (context) => {
    const page = await context.newPage();
    listen(page, "follow");
    const began = Date.now();
    await page.goto(at(`/r/${asked.large}`));
    const took = Date.now() - began;
    if (took > 3000) told("large log", `opened after ${took} ms`);
    console.log(`# a log of 200 MB opened after ${took} ms`);
    await page.goto(at(`/r/${asked.run}`));
    await page.getByRole("button", { name: "Follow" }).click();
    console.log("# follow");
    await page.getByText(asked.later).first().waitFor();
  });
}

try {
  for (const part of [everyPage, withoutScript, live, writing, keeping, beyondThisMachine, ageing, keyboard, russian, follow]) {
    console.log(`# ${part.name}`);
    await part();
  }
} catch (error) {
  told("browser", error.stack);
} finally {
  await browser.close();
}
for (const finding of new Set(findings)) console.log(finding);
process.exitCode = findings.length ? 1 : 0;
