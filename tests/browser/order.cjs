// Help on its way: words to the resident and the door, from the alarm's own page.
"use strict";
const { BOARD, enter, is, judge, link, main, person, picture, press } = require("./lib.cjs");

main(async () => {
  const anna = await person(), bo = await person();
  await enter(anna, await link("anna", "night"));
  await enter(bo, await link("bo", "staff"));
  await press("p1");
  const row = "article.alarm.life";
  await anna.waitForSelector(row);
  const id = await anna.locator(row).first().getAttribute("data-alarm");
  for (const page of [anna, bo]) await page.goto(`${BOARD}/alarms/${id}`);
  await judge(anna, "an alarm with what can be done in the home");
  await anna.locator('form[action$="/say"] input').fill("Vi kommer.");
  await anna.locator('form[action$="/say"] button').click();
  await anna.waitForURL(/\/alarms\//);
  const story = (page) => page.locator(".story").last().innerText();
  is("what was said stands in the story", /anna: säg till den boende: ”Vi kommer\.”/.test(await story(anna)), await story(anna));

  const unlock = async (page) => {
    await page.locator("details.act-form:has(form[action$='/unlock']) summary").click();
    await page.locator('form[action$="/unlock"] input').fill("ligger på golvet");
    await page.locator('form[action$="/unlock"] button').click();
    await page.waitForLoadState();
  };
  await unlock(bo);
  is("a role that it is not agreed with is told so", /inte en roll/.test(await bo.locator("main").innerText()), await bo.locator("main").innerText());
  await picture(bo, "order-refused");
  await unlock(anna);
  is("the door is ordered open, with why", /anna: lås upp door \(ligger på golvet\)\./.test(await story(anna)), await story(anna));
  await picture(anna, "order-story");
});
