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
