// Answers when Vaka cannot be reached. Keeps no page and no data: only says that it has none.
"use strict";
const sv = () => (navigator.language || "sv").startsWith("sv");
const page = () => `<!doctype html><html lang="${sv() ? "sv" : "en"}"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>Vaka</title><main><h1>${sv() ? "Ingen kontakt med Vaka" : "No contact with Vaka"}</h1><p>${sv() ? "Larm syns inte här. Ring jouren." : "Alarms are not seen here. Ring the duty desk."}</p><p><a href="/">${sv() ? "Försök igen" : "Try again"}</a></p></main></html>`;
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.mode !== "navigate") return;
  event.respondWith(fetch(event.request).catch(() => new Response(page(), { status: 503, headers: { "content-type": "text/html; charset=utf-8" } })));
});
// Somebody waits. The message says no more than that; the board says the rest to whoever logs in.
self.addEventListener("push", (event) => {
  let lane = "";
  try { lane = event.data.json().lane; } catch { /* shown all the same */ }
  const life = lane === "life";
  const text = sv() ? (life ? "Nödlarm väntar på en människa." : "Ett larm väntar på en människa.") : (life ? "An emergency waits for a person." : "An alarm waits for a person.");
  event.waitUntil(self.registration.showNotification("Vaka", { body: text, tag: `vaka-${lane}`, renotify: true, requireInteraction: life, vibrate: [400, 200, 400] }));
});
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(self.clients.matchAll({ type: "window" }).then((open) => (open[0] ? open[0].focus() : self.clients.openWindow("/"))));
});
