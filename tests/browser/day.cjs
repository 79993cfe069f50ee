// A press, two people, and a lost connection: what staff live with.
"use strict";
const { BOARD, enter, is, link, logIn, main, network, person, picture, press } = require("./lib.cjs");

main(async () => {
  const phone = await network();
  const anna = await person(), bo = await person({ width: 390, height: 800, theme: "dark", proxy: phone.proxy });
  await enter(anna, await link("anna", "night"));
  await enter(bo, await link("bo", "staff"));
  const heading = (page) => page.locator("h1").first().innerText();
  is("calm is said aloud", /Inga öppna larm/.test(await anna.locator("main").innerText()), await heading(anna));

  await press("p1");
  const row = "article.alarm.life";
  await Promise.all([anna.waitForSelector(row), bo.waitForSelector(row)]);
  is("a press is a row on both screens, unasked", true);
  await picture(anna, "alarm-desk");
  await picture(bo, "alarm-phone");
  await press("p1");
  await anna.waitForFunction(() => /2 gånger/.test(document.querySelector("article.alarm.life")?.innerText ?? ""));
  is("a second press is counted in the same row", (await anna.locator(row).count()) === 1);

  const id = await bo.locator(row).first().getAttribute("data-alarm");
  const shown = (page, pattern) => page.waitForFunction(
    ([id, pattern]) => new RegExp(pattern).test(document.querySelector(`[data-alarm="${id}"]`)?.innerText ?? ""), [id, pattern]);
  await anna.locator(`${row} form[action$="/claim"] button`).click();
  await shown(bo, "anna");
  is("who has taken it is seen on the other screen", true);
  // Bo's finger was on the way: the board says who was first.
  const late = await bo.evaluate(async (id) => {
    const answer = await fetch(`/alarms/${id}/claim`, { method: "POST", body: new URLSearchParams() });
    return { status: answer.status, text: await answer.text() };
  }, id);
  is("two cannot both have it: the second is told who has", late.status === 409 && /anna/.test(late.text), `${late.status}`);

  await anna.goto(`${BOARD}/alarms/${id}`);
  await picture(anna, "story");
  const hand = anna.locator('form[action$="/hand-over"]').first();
  await anna.locator("details.act-form:has(form[action$='/hand-over']) summary").first().click();
  await hand.locator('[name="to"]').fill("bo");
  await hand.locator("button").click();
  await bo.waitForFunction(() => document.querySelector("article.alarm form[action$='/claim']"));
  is("handed over, it waits for somebody again", true);
  await bo.locator(`${row} form[action$="/claim"] button`).first().click();
  await bo.waitForURL(/\/alarms\//);
  await bo.locator('form[action$="/close"] button[value="helped"]').first().click();
  await bo.waitForURL((url) => url.pathname === "/");
  await anna.goto(`${BOARD}/`);
  await anna.waitForFunction(() => /Inga öppna larm/.test(document.querySelector("main").innerText));
  is("closed with an outcome, it is gone from every list", true);

  phone.cut();
  await bo.waitForSelector("#stale:not([hidden])");
  is("a lost connection is said, before anybody takes silence for calm", /syns inte här/.test(await bo.locator("#stale").innerText()));
  await picture(bo, "stale-phone");
  await press("p1");
  await anna.waitForSelector(row);
  is("meanwhile the other sees the new press", (await bo.locator(row).count()) === 0);
  phone.mend();
  await bo.waitForSelector(row);
  await bo.waitForSelector("#stale", { state: "hidden" });
  is("back again, it has caught up", true);

  await anna.click('form[action="/logout"] button');
  await anna.waitForURL(/\/login/);
  await anna.goto(`${BOARD}/`);
  is("logged out, nothing is shown", /\/login/.test(anna.url()), anna.url());
  await logIn(anna);
  is("the key alone lets its person in", (await anna.locator(row).count()) === 1);

  // Who holds the phone must prove it: without the finger there is no way in.
  await anna.click('form[action="/logout"] button');
  await anna.verify(false);
  await anna.goto(`${BOARD}/login`);
  await anna.click('[data-passkey="get"]');
  await anna.waitForFunction(() => document.querySelector("[data-said]")?.innerText.trim().length > 0);
  is("a key without its finger does not", /\/login/.test(anna.url()));
});
