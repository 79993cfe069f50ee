// "Tell this phone": asks the browser for an address at its push service, and gives it to the board.
"use strict";
(() => {
  const button = document.querySelector("[data-push]");
  if (!button) return;
  const said = document.querySelector("[data-push-said]");
  const say = (name) => { said.textContent = document.querySelector(`[data-push-word="${name}"]`)?.textContent ?? ""; };
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const post = async (path, body) => {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(String(answer.status));
  };
  const registered = () => navigator.serviceWorker.register("/sw.js");

  async function show() {
    const there = await (await registered()).pushManager.getSubscription();
    button.textContent = there ? button.dataset.off : button.dataset.on;
    button.dataset.push = there ? "on" : "off";
    button.hidden = false;
  }

  async function turn() {
    const manager = (await registered()).pushManager;
    const there = await manager.getSubscription();
    if (there) {
      await post("/push/unsubscribe", { endpoint: there.endpoint });
      await there.unsubscribe();
      return say("off");
    }
    if (await Notification.requestPermission() !== "granted") return say("denied");
    const { key } = await (await fetch("/push/key")).json();
    const made = await manager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
    try {
      await post("/push/subscribe", made.toJSON());
      say("on");
    } catch (e) {
      await made.unsubscribe();
      throw e;
    }
  }

  if (!("serviceWorker" in navigator) || !("PushManager" in window)) return say("unable");
  button.addEventListener("click", async () => {
    button.disabled = true;
    await turn().catch(() => say("unable"));
    await show().catch(() => {});
    button.disabled = false;
  });
  show().catch(() => say("unable"));
})();
