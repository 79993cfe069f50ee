// The picture of one look: drawn as it comes, gone when it is over, when the page is hidden or left. Nothing is kept.
'use strict';
(() => {
  const look = document.getElementById('look');
  if (!look) return;
  const words = { ...look.dataset };
  delete look.dataset.token;
  // Who comes back here, or reads the page again, is on the round, and sends no form again.
  history.replaceState(null, '', words.back);
  const canvas = document.getElementById('look-picture');
  const said = document.getElementById('look-said');
  const left = document.getElementById('look-left');
  const outcome = document.getElementById('look-outcome');
  const unveil = document.getElementById('look-clear');
  const stop = new AbortController();
  let over = false;
  let seen = false;
  let endsAt = 0;
  let timer = 0;

  const clear = () => {
    canvas.width = 1;
    canvas.height = 1;
    canvas.hidden = true;
  };

  const end = (text) => {
    if (over) return;
    over = true;
    stop.abort();
    clear();
    clearInterval(timer);
    document.getElementById('look-close').hidden = true;
    if (unveil) unveil.hidden = true;
    left.textContent = '';
    said.textContent = text;
    if (!seen) {
      // There is nothing to answer: the way on is the way back.
      document.getElementById('look-back').hidden = false;
      return;
    }
    outcome.hidden = false;
    // Asked again, before somebody is sent.
    setTimeout(() => {
      said.textContent = words.again;
      if (navigator.vibrate) navigator.vibrate([300, 200, 300]);
      outcome.querySelector('button').focus();
    }, 60000);
  };

  const count = () => {
    const seconds = Math.max(0, Math.ceil((endsAt - performance.now()) / 1000));
    left.textContent = `${seconds} ${words.seconds}`;
    // The gateway ends it; a page that hears nothing ends by itself.
    if (performance.now() > endsAt) end(words.over);
  };

  const draw = async (bytes) => {
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/jpeg' }));
    if (!over) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      canvas.getContext('2d').drawImage(bitmap, 0, 0);
      canvas.hidden = false;
      look.dataset.pictures = String(Number(look.dataset.pictures || 0) + 1);
    }
    bitmap.close();
  };

  const part = async (kind, bytes) => {
    const text = () => new TextDecoder().decode(bytes);
    if (kind === 'L') said.textContent = words.lit;
    else if (kind === 'B') {
      seen = true;
      outcome.hidden = false;
      if (unveil) unveil.hidden = false;
      endsAt = performance.now() + Number(text());
      said.textContent = '';
      count();
      timer = setInterval(count, 250);
    } else if (kind === 'P') await draw(bytes);
    else if (kind === 'E') end(text());
  };

  const read = async () => {
    const answer = await fetch('/look/stream', { method: 'POST', body: words.token, signal: stop.signal, cache: 'no-store' });
    if (!answer.ok) throw new Error(String(answer.status));
    const reader = answer.body.getReader();
    let waiting = new Uint8Array(0);
    for (;;) {
      const { value, done } = await reader.read();
      if (done || over) return;
      const joined = new Uint8Array(waiting.length + value.length);
      joined.set(waiting);
      joined.set(value, waiting.length);
      waiting = joined;
      while (waiting.length >= 5) {
        const length = new DataView(waiting.buffer, waiting.byteOffset).getUint32(1);
        if (waiting.length < 5 + length) break;
        const bytes = waiting.slice(5, 5 + length);
        const kind = String.fromCharCode(waiting[0]);
        waiting = waiting.slice(5 + length);
        await part(kind, bytes);
      }
    }
  };

  if (unveil) unveil.addEventListener('click', async () => {
    unveil.disabled = true;
    const asked = fetch('/look/clear', { method: 'POST', body: new URLSearchParams({ look: unveil.value, page: unveil.dataset.page }), cache: 'no-store' });
    const is = await asked.then((answer) => answer.ok, () => false);
    // Refused, or lost on the way: it may be asked again.
    unveil.disabled = false;
    unveil.hidden = is || over;
    if (!over) said.textContent = is ? '' : words.veiled;
  });

  addEventListener('pagehide', () => end(words.hidden));
  addEventListener('pageshow', (event) => { if (event.persisted) location.replace('/night'); });
  document.addEventListener('visibilitychange', () => { if (document.hidden) end(words.hidden); });
  read().then(() => end(words.over), () => end(words.failed));
})();
