// Keeps a page true: swaps in what the server has made, lets ages tick, and says so when nothing is heard any more.
// Enters: /events. The page reads without it. Nothing here decides what an alarm is; words come from the page.
"use strict";
(() => {
  const STALE_MS = 4200; // two beats that did not come
  const $ = (id) => document.getElementById(id);
  const line = $("line"), stale = $("stale");
  if (!line || !stale || line.dataset.follow === undefined) return;
  const words = line.dataset, lists = words.list !== undefined, title = document.title.replace(/^\(\d+\) /, "");
  let ahead = Number(words.now) - Date.now(); // the server's clock less ours
  let heard = performance.now(), heardAt = Number(words.now), source, out = false;
  const fill = (text, ...values) => text.replace(/\{(\d)\}/g, (_, n) => values[n]);
  const clock = (ms, seconds) => new Date(ms).toLocaleTimeString("sv-SE",
    { timeZone: words.zone, hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) });
  const say = (element, text) => { if (element && element.textContent !== text) element.textContent = text; };

  // Ages, as times.rs writes them.
  const two = (n) => String(n).padStart(2, "0");
  const age = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)}`;
    return s < 86400 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)} h` : `${Math.floor(s / 86400)} d`;
  };

  // What somebody is writing, and where they stand, outlives a swap.
  const fields = (root) => [...root.querySelectorAll("input:not([type=hidden]), textarea, select")];
  const keep = (old) => {
    const at = old.contains(document.activeElement) ? document.activeElement : null;
    const spots = (root) => [...root.querySelectorAll("a, button, summary, input, textarea, select")];
    const mark = (e) => [e.tagName, e.name, e.value && e.tagName === "BUTTON" ? e.value : "", e.getAttribute("href")].join("|");
    const open = [...old.querySelectorAll("details[data-keep][open]")].map((d) => d.dataset.keep);
    const written = fields(old).map((f) => [f.name, f.value]);
    const [from, to] = at && "selectionStart" in at ? [at.selectionStart, at.selectionEnd] : [];
    return (fresh) => {
      fresh.querySelectorAll("details[data-keep]").forEach((d) => { if (open.includes(d.dataset.keep)) d.open = true; });
      fields(fresh).forEach((f) => { const was = written.find(([name]) => name === f.name); if (was) f.value = was[1]; });
      if (!at) return;
      // Whatever they stood on is gone: its neighbour, not the top of the page.
      const spot = spots(fresh).find((e) => mark(e) === mark(at)) || fresh.querySelector("a, button, summary");
      if (spot) { spot.focus({ preventScroll: true }); if (from !== undefined && spot.setSelectionRange) spot.setSelectionRange(from, to); }
    };
  };
  const made = (html) => { const t = document.createElement("template"); t.innerHTML = html; return t.content.firstElementChild; };
  // Ages tick and folds are open here alone: neither is a difference.
  const plain = (html) => html.replace(/(<time data-at="\d+">)[^<]*/g, "$1").replace(/ (open|hidden)=""/g, " $1").replace(/ open(?=[ >])/g, "");
  const swap = (old, html) => {
    if (plain(old.outerHTML) === plain(html)) return old;
    const fresh = made(html), restore = keep(old);
    old.replaceWith(fresh);
    restore(fresh);
    return fresh;
  };

  const list = (told) => {
    const at = new Map([...document.querySelectorAll("[data-alarm]")].map((e) => [e.dataset.alarm, e]));
    for (const [part, ids] of Object.entries(told.parts)) {
      const box = $(part);
      ids.forEach((id, n) => {
        const old = at.get(id), html = told.html[id];
        at.delete(id);
        let article = old;
        if (html && old) article = swap(old, html);
        else if (html) article = made(html);
        if (article && box.children[n] !== article) {
          const had = article.contains(document.activeElement) ? document.activeElement : null;
          box.insertBefore(article, box.children[n] || null);
          if (had) had.focus({ preventScroll: true });
        }
      });
      const around = $("in-" + part);
      if (around) around.hidden = ids.length === 0;
      say($("sum-" + part), told.sums[part]);
    }
    for (const gone of at.values()) {
      const had = gone.contains(document.activeElement);
      gone.remove();
      if (had) $("main").focus({ preventScroll: true });
    }
    const count = $("count");
    say(count, told.heading);
    count.className = told.mood;
    const beyond = $("beyond");
    say(beyond, told.sums.waiting);
    beyond.hidden = !told.sums.waiting;
    for (const [id, html] of Object.entries(told.whole)) { const old = $(id); if (old) swap(old, html); }
  };

  // Nothing moves under a finger that is down: what it lands on is what it takes.
  let held = false;
  const waits = [];
  const flush = () => { while (waits.length) list(waits.shift()); };
  // Some ends of a touch are never told: after a second nothing is held.
  let holding;
  const free = () => { held = false; flush(); };
  const soon = (ms) => { clearTimeout(holding); holding = setTimeout(free, ms); };
  addEventListener("pointerdown", () => { held = true; soon(1000); });
  for (const end of ["pointerup", "pointercancel", "contextmenu", "blur"]) addEventListener(end, () => soon(80));
  document.addEventListener("visibilitychange", free);

  // Sound and vibration for a life alarm, until somebody has taken it.
  let audio, ringing = new Set(), known = null;
  const button = $("sound");
  const sounds = () => audio && audio.state === "running";
  const beep = () => {
    if (navigator.vibrate) navigator.vibrate([300, 150, 300]);
    if (!sounds()) return;
    [[880, 0], [660, 0.22], [880, 0.44]].forEach(([hz, after]) => {
      const tone = audio.createOscillator(), loud = audio.createGain(), t = audio.currentTime + after;
      tone.frequency.value = hz;
      loud.gain.setValueAtTime(0.0001, t);
      loud.gain.exponentialRampToValueAtTime(0.5, t + 0.02);
      loud.gain.exponentialRampToValueAtTime(0.0001, t + 0.2);
      tone.connect(loud).connect(audio.destination);
      tone.start(t);
      tone.stop(t + 0.21);
    });
  };
  const offer = () => { button.hidden = false; button.disabled = Boolean(sounds()); if (sounds()) say(button, words.soundOn); };
  button.addEventListener("click", async () => {
    audio = audio || new (window.AudioContext || window.webkitAudioContext)();
    await audio.resume();
    offer();
    beep();
  });
  offer();

  // Only the newest are told one by one: what stood beyond them is no news when it comes into sight.
  let beyond = -Infinity;
  const life = (told, window) => {
    const fresh = known ? told.filter((one) => !known.has(one.id) && one.at > beyond) : [];
    beyond = told.length < window ? -Infinity : told.at(-1).at;
    known = new Set(told.map((one) => one.id));
    ringing = known;
    if (fresh.length) { $("said").textContent = fresh.map((one) => fill(words.new, one.said)).join(". "); beep(); }
  };
  setInterval(() => { if (ringing.size) beep(); }, 5000);

  const counted = (n) => {
    document.title = (n ? `(${n}) ` : "") + title;
    const tab = $("tab-count");
    if (tab) { tab.hidden = !n; say(tab, String(n)); }
  };

  let dying;
  const alive = (at) => { clearTimeout(dying); dying = setTimeout(tick, STALE_MS + 20); heard = performance.now(); heardAt = at; ahead = at - Date.now(); out = false; };
  const open = () => {
    source = new EventSource("/events?on=" + (lists ? "alarms" : "count"));
    source.addEventListener("beat", (e) => { alive(JSON.parse(e.data).at); tick(); });
    source.addEventListener("now", (e) => {
      const told = JSON.parse(e.data);
      alive(told.at);
      if (lists) { waits.push(told); if (!held) flush(); }
      life(told.life, told.window);
      counted(told.waiting);
      tick();
    });
    // Refused: logged out, or the role is another now. Else the browser tries again by itself.
    source.addEventListener("error", async () => {
      if (source.readyState !== EventSource.CLOSED) return;
      try { out = [0, 401, 403].includes((await fetch("/events?on=count", { method: "HEAD", redirect: "manual" })).status); } catch { out = false; }
      setTimeout(open, 2000);
      tick();
    });
  };

  function tick() {
    const now = Date.now() + ahead, silent = performance.now() - heard;
    document.querySelectorAll("time[data-at]").forEach((e) => say(e, age(now - Number(e.dataset.at))));
    say($("clock"), clock(now));
    const dead = out || silent > STALE_MS;
    $("dot").classList.toggle("alive", !dead);
    line.hidden = dead;
    if (!dead) say($("line-words"), fill(words.alive, Math.round(silent / 1000), clock(now)));
    if (dead && stale.hidden) {
      const p = document.createElement("p");
      p.textContent = fill(out ? stale.dataset.out : stale.dataset.cut, clock(heardAt, true));
      if (out) { const a = document.createElement("a"); a.href = "/login"; a.textContent = stale.dataset.in; p.append(" ", a); }
      stale.replaceChildren(p);
    }
    stale.hidden = !dead;
  }
  setInterval(tick, 1000);
  // A phone that was in a pocket shows at once how old it is.
  document.addEventListener("visibilitychange", tick);
  open();
  if ("serviceWorker" in navigator) navigator.serviceWorker.register("/sw.js").catch(() => {});
})();
