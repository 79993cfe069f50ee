// Keys: asks the board what to ask the key, asks it, and brings the answer back. Says in words what went wrong.
"use strict";
(() => {
  const said = document.querySelector("[data-said]");
  const word = (name) => document.querySelector(`[data-word="${name}"]`)?.textContent ?? name;
  const say = (text) => { if (said) said.textContent = text; };

  // The code of a one-time link stands behind the '#': it is taken from there, and out of the history.
  const code = location.hash.slice(1);
  if (code) history.replaceState(null, "", location.pathname);
  for (const input of document.querySelectorAll("[data-link]")) input.value = code;

  // Browsers from before 2025 have no translation between JSON and bytes of their own.
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
  const each = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
  const creation = (o) => PublicKeyCredential.parseCreationOptionsFromJSON?.(o) ??
    { ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) }, excludeCredentials: each(o.excludeCredentials) };
  const request = (o) => PublicKeyCredential.parseRequestOptionsFromJSON?.(o) ??
    { ...o, challenge: bytes(o.challenge), allowCredentials: each(o.allowCredentials) };
  const plain = (c) => {
    if (c.toJSON) return c.toJSON();
    const r = c.response, response = { clientDataJSON: text(r.clientDataJSON) };
    if (r.attestationObject) Object.assign(response, { attestationObject: text(r.attestationObject), transports: r.getTransports?.() ?? [] });
    else Object.assign(response, { authenticatorData: text(r.authenticatorData), signature: text(r.signature), userHandle: text(r.userHandle) });
    return { id: c.id, rawId: text(c.rawId), type: c.type, response,
      clientExtensionResults: c.getClientExtensionResults(), authenticatorAttachment: c.authenticatorAttachment ?? undefined };
  };

  async function post(path, body) {
    let answer;
    try {
      answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    } catch {
      throw word("offline");
    }
    if (answer.status === 401) {
      location.assign(`/login?again&to=${encodeURIComponent(location.pathname)}`);
      return new Promise(() => {});
    }
    const read = await answer.json().catch(() => ({}));
    if (!answer.ok) throw read.said ?? word("offline");
    return read;
  }

  async function use(button) {
    if (!window.PublicKeyCredential || !navigator.credentials) throw word("unable");
    const make = button.dataset.passkey === "create";
    const asked = await post(button.dataset.ask, { code });
    let credential;
    try {
      say(word("waiting"));
      credential = make ? await navigator.credentials.create({ publicKey: creation(asked) })
        : await navigator.credentials.get({ publicKey: request(asked) });
    } catch (e) {
      throw word(e.name === "InvalidStateError" ? "known" : e.name === "NotAllowedError" || e.name === "AbortError" ? "cancelled" : "unable");
    }
    const label = document.querySelector("[data-label]")?.value ?? "";
    const answer = await post(button.dataset.answer, { credential: plain(credential), to: button.dataset.to, label });
    location.assign(answer.to);
  }

  for (const button of document.querySelectorAll("[data-passkey]")) {
    button.addEventListener("click", async () => {
      button.disabled = true;
      say("");
      try {
        await use(button);
      } catch (e) {
        say(typeof e === "string" ? e : word("unable"));
        button.disabled = false;
      }
    });
  }
})();
