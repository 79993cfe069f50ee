// How fast the first page is on a throttled phone, and how soon a press is painted. A measurement: it times, and judges nothing.
// Enters, beside what lib.cjs says: VAKA_COOKIES, of somebody who is logged in. Leaves: one line of JSON: bytes (all that came over the
// wire for a first visit), usable_ms (of each visit), painted_ms (of each press).
"use strict";
const { BOARD, main, person, worn } = require("./lib.cjs");

// Lighthouse's mobile profile, as the browser itself throttles: 150 ms each way and back, 1.6 Mbit/s, a processor four times slower.
const PHONE = { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8 };
const SLOWER = 4;
const VISITS = 5, PRESSES = 40;

main(async () => {
  const cookies = process.env.VAKA_COOKIES.split("; ").map((pair) => {
    const [name, value] = pair.split("=");
    return { name, value, url: BOARD, secure: true, httpOnly: true };
  });
  const bytes = [], usable = [], painted = [];
  for (let visit = 0; visit < VISITS; visit += 1) {
    const page = await person({ width: 390, height: 800 });
    await page.context().addCookies(cookies);
    const cdp = await page.context().newCDPSession(page);
    await cdp.send("Network.enable");
    await cdp.send("Network.emulateNetworkConditions", PHONE);
    await cdp.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
    let sum = 0;
    const flows = new Set();
    cdp.on("Network.responseReceived", ({ requestId, type }) => { if (type === "EventSource") flows.add(requestId); });
    cdp.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => { if (!flows.has(requestId)) sum += encodedDataLength; });
    await page.goto(`${BOARD}/`, { waitUntil: "load" });
    // Usable: what is there to read is painted, and every button of it works (a form needs no script).
    usable.push(await page.evaluate(() => new Promise((done) => {
      const look = () => {
        const paint = performance.getEntriesByName("first-contentful-paint")[0];
        const [visit] = performance.getEntriesByType("navigation");
        if (!paint) return setTimeout(look, 20);
        done(Math.max(paint.startTime, visit.domContentLoadedEventEnd));
      };
      look();
    })));
    await page.waitForFunction(() => document.getElementById("dot").classList.contains("alive"));
    bytes.push(sum);
    await page.context().close();
  }
  const page = await person();
  await page.context().addCookies(cookies);
  await page.goto(`${BOARD}/`);
  await page.waitForFunction(() => document.getElementById("dot").classList.contains("alive"));
  // The moment at which a frame with the row's new text has been handed to the screen: the frame after the change, and the one after it.
  await page.evaluate(() => {
    globalThis.painted = new Map();
    const look = () => document.querySelectorAll("article.alarm").forEach((row) => {
      if (!row.innerText.includes("press-00")) return;
      const count = Number(row.innerText.match(/(\d+) gånger/)?.[1] ?? 1);
      if (globalThis.painted.has(count)) return;
      globalThis.painted.set(count, 0);
      requestAnimationFrame(() => setTimeout(() => globalThis.painted.set(count, performance.timeOrigin + performance.now()), 0));
    });
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    look();
  });
  const counts = () => page.evaluate(() => Math.max(0, ...globalThis.painted.keys()));
  const before = await counts();
  const button = worn("press-00");
  // The first brings the button's program, its handshake and its connection along: a pendant that is worn has them, so it is not counted.
  for (let press = 0; press <= PRESSES; press += 1) {
    const at = performance.timeOrigin + performance.now();
    button.tell({ button: { press: "short" } });
    // A press that joins another on the page has a higher count: the first that is at least so high shows it.
    const shown = await page.waitForFunction((count) => {
      const times = [...globalThis.painted].filter(([n, at]) => n >= count && at > 0).map(([, at]) => at);
      return times.length > 0 && Math.min(...times);
    }, before + press + 1, { polling: 20 });
    if (press > 0) painted.push(await shown.jsonValue() - at);
  }
  button.off();
  console.log(JSON.stringify({ bytes: Math.max(...bytes), usable_ms: usable, painted_ms: painted }));
});
