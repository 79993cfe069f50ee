// What the board's scripts share: a browser for each person, with an authenticator of their own; devices that press; a tally of what was shown.
//
// Enters, as environment: VAKA_BOARD (https://localhost:PORT), VAKA_HOME (the home's folder), VAKA_MQTT (port), VAKA_BIN, VAKA_SCREENS (folder
// for pictures). Leaves: `ok WHAT` for each thing shown, exit 1 with `WRONG WHAT` otherwise. Waits are for conditions; nothing is timed.
"use strict";
const { execFile, spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const { promisify } = require("node:util");
const { chromium } = require("playwright-core");

const run = promisify(execFile);
const env = (name) => process.env[name] ?? (() => { throw new Error(`${name} is not set`); })();
const BOARD = env("VAKA_BOARD"), HOME = env("VAKA_HOME");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// Nothing of a browser's own errands: the tests' machine has no way out.
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

let browser;
let wrong = 0;

/** One thing that was to be shown. */
function is(what, holds, detail = "") {
  if (holds) return console.log(`ok ${what}`);
  wrong += 1;
  console.error(`WRONG ${what} ${detail}`);
}

/** `vaka ARGS` on this home; its standard output. */
async function vaka(...args) {
  const { stdout } = await run(env("VAKA_BIN"), [...args, "--config", path.join(HOME, "vaka.toml")]);
  return stdout;
}

let seq = 0;
const restart = Math.floor(Date.now() / 1000);

const payload = (event) => JSON.stringify({ v: 1, restart, seq: ++seq, event });

/** How mosquitto_pub connects as this device. */
const as = (device) => {
  const file = (name) => path.join(HOME, device, name);
  return ["-h", "127.0.0.1", "-p", env("VAKA_MQTT"), "-V", "mqttv5", "-q", "1", "-i", device,
    "--cafile", file("ca.pem"), "--cert", file("cert.pem"), "--key", file("key.pem"), "-t", `vaka/v1/${device}/event`];
};

/** A device tells an event, and has its PUBACK when this returns. */
const tell = (device, event) => run("mosquitto_pub", [...as(device), "-m", payload(event)]);

/** A device that stays connected: an event is a line to it. */
function worn(device) {
  const child = spawn("mosquitto_pub", [...as(device), "-l"], { stdio: ["pipe", "inherit", "inherit"] });
  return { tell: (event) => child.stdin.write(`${payload(event)}\n`), off: () => child.stdin.end() };
}

const press = (device) => tell(device, { button: { press: "short" } });

/** A network of one's own (an HTTP proxy) that can fall silent: nothing comes through, nothing is closed, as where a phone loses its signal. */
async function network() {
  const sockets = new Set();
  let silent = false;
  const server = require("node:http").createServer();
  server.on("connect", (request, client) => {
    const [host, port] = request.url.split(":");
    const board = net.connect(Number(port), host === "localhost" ? "127.0.0.1" : host);
    const both = [client, board];
    board.on("connect", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      for (const [from, to] of [[client, board], [board, client]]) from.on("data", (bytes) => { if (!silent) to.write(bytes); });
    });
    for (const socket of both) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => both.forEach((one) => { sockets.delete(one); one.destroy(); }));
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  server.unref();
  return {
    proxy: { server: `http://127.0.0.1:${server.address().port}`, bypass: "<-loopback>" },
    cut() { silent = true; },
    // What was under way is lost: a phone comes back under another address.
    mend() { silent = false; sockets.forEach((socket) => socket.destroy()); },
  };
}

/** A person's own browser: cookies, an authenticator with user verification, nothing shared. */
async function person({ lang = "sv-SE", width = 1280, height = 900, theme = "light", script = true, certificate, proxy } = {}) {
  browser ??= await chromium.launch({ executablePath: process.env.VAKA_CHROMIUM ?? "/usr/bin/chromium", headless: true, args: QUIET });
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: lang, viewport: { width, height }, colorScheme: theme,
    javaScriptEnabled: script, proxy, clientCertificates: certificate ? [certificate] : undefined });
  const page = await context.newPage();
  page.troubles = [];
  // The home's own authority is not this browser's: a page's certificate is passed over, a service worker's cannot be.
  const expected = /SSL certificate error occurred when fetching the script/;
  page.on("console", (message) => { if (message.type() === "error" && !expected.test(message.text())) page.troubles.push(message.text()); });
  page.on("pageerror", (error) => page.troubles.push(String(error)));
  const cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", { options: { protocol: "ctap2", ctap2Version: "ctap2_1",
    transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  page.verify = (isUserVerified) => cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified });
  return page;
}

/** Enters by a one-time link: makes a key, and is logged in. */
async function enter(page, link) {
  await page.goto(link);
  await page.click('[data-passkey="create"]');
  await page.waitForURL((url) => !url.pathname.startsWith("/enter"));
}

/** Logs in with the key that this browser has. */
async function logIn(page, to = "/") {
  await page.goto(`${BOARD}/login?to=${encodeURIComponent(to)}`);
  await page.click('[data-passkey="get"]');
  await page.waitForURL((url) => !url.pathname.startsWith("/login"));
}

/** The one-time link of a person that `vaka people add` makes. */
async function link(id, role, units = "*") {
  const said = await vaka("people", "add", id, "--role", role, "--units", units);
  return said.match(/https:\/\/\S+\/enter#\S+/)[0];
}

/** axe's judgement of what is shown now, and nothing wider than the window. */
async function judge(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate((rules) => globalThis.axe.run({ runOnly: rules }), RULES);
  const said = found.violations.map((v) => `${v.id} (${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join("; ")})`).join(", ");
  is(`${what}: axe finds nothing`, found.violations.length === 0, said);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  is(`${what}: nothing is wider than the window`, wide <= 0, `${wide} px`);
}

const picture = (page, name) => page.screenshot({ path: path.join(env("VAKA_SCREENS"), `${name}.png`), fullPage: true });

/** Parts of the test's pictures (VAKA_PICTURES) that stand in any file of the browsers' profiles: they lie in this process's own folder for such. */
function traces() {
  const bytes = fs.readdirSync(env("VAKA_PICTURES")).map((name) => fs.readFileSync(path.join(env("VAKA_PICTURES"), name)));
  const slices = bytes.flatMap((one) => Array.from({ length: Math.floor((one.length - 1000) / 1500) }, (_, at) => one.subarray(1000 + at * 1500, 1024 + at * 1500)));
  const files = fs.readdirSync(env("TMPDIR"), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  if (slices.length < 20 || files.length === 0) throw new Error(`nothing to search for, or nowhere: ${slices.length} slices, ${files.length} files`);
  let found = 0;
  for (const file of files) {
    let read;
    try { read = fs.readFileSync(path.join(file.parentPath ?? file.path, file.name)); } catch { continue; }
    found += slices.filter((slice) => read.includes(slice)).length;
  }
  return found;
}

/** Runs a script to its end. */
async function main(body) {
  try {
    await body();
  } catch (e) {
    wrong += 1;
    console.error(`WRONG ${e.stack}`);
  }
  await browser?.close();
  process.exit(wrong === 0 ? 0 : 1);
}

module.exports = { BOARD, HOME, enter, is, judge, link, logIn, main, network, person, picture, press, tell, traces, vaka, worn };
