// A look that a home's alarm opens, from its hub: on the alarm's own page, why, the picture for its seconds, gone, one tap, and not again.
"use strict";
const { BOARD, enter, is, judge, link, logIn, main, person, traces } = require("./lib.cjs");

const ALARM = process.env.VAKA_ALARM;

main(async () => {
  const night = await person({ width: 390, height: 800 });
  await enter(night, await link("natt-1", "night"));
  const staff = await person();
  await enter(staff, await link("staff-1", "staff"));
  const path = `/look/alarm/${ALARM}`;
  const way = `a[href="${path}"]`;

  // The home tells which of its alarms open the camera.
  for (let tries = 0; tries < 100 && (await night.locator(way).count()) === 0; tries += 1) await night.goto(`${BOARD}/alarms/${ALARM}`);
  is("the alarm's page leads to the camera", (await night.locator(way).count()) === 1, await night.textContent("main"));
  await staff.goto(`${BOARD}/alarms/${ALARM}`);
  is("another role sees no way to look", (await staff.locator(way).count()) === 0);
  const refused = await staff.goto(BOARD + path);
  is("and is refused", refused.status() === 403, `${refused.status()}`);

  await logIn(night, path);
  await night.goto(BOARD + path);
  await judge(night, "before a look at a home's alarm");
  is("it says which home", (await night.textContent("main")).includes("gw-0007"));
  is("and why", (await night.locator('input[name="purpose"]').inputValue()) === "Larm");
  await night.check('input[name="clear"]');
  await night.click("button.main");
  is("the veil came off before the look, or not at all", (await night.locator("#look-clear").count()) === 0);
  await night.waitForFunction(() => !document.getElementById("look-picture").hidden, undefined, { timeout: 30000 });
  is("the picture is the camera's own, seen clearly", (await night.evaluate(() => document.getElementById("look-picture").width)) === 320);
  await night.waitForFunction(() => document.getElementById("look-picture").hidden, undefined, { timeout: 60000 });
  is("it was moving", Number(await night.evaluate(() => document.getElementById("look").dataset.pictures)) >= 2);
  is("nothing of it is in the browser's profile", traces() === 0, `${traces()}`);
  await night.click('button[value="calm"]');
  await night.waitForURL(/\/alarms\//);
  is("that somebody looked stands in the alarm's story", /natt-1: titta med kamera/.test(await night.textContent("main")), await night.textContent("main"));
  for (let tries = 0; tries < 100 && (await night.locator(way).count()) > 0; tries += 1) await night.reload();
  is("nobody looks again", (await night.locator(way).count()) === 0);
  is("no complaint in the console", night.troubles.filter((said) => !/409|403/.test(said)).length === 0, night.troubles.join("; "));
});
