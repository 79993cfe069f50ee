// A look into a home from its hub, as the night patrol there makes it: on the hub's round, why, the picture for its seconds, gone, one tap.
"use strict";
const { BOARD, enter, is, judge, link, logIn, main, person, picture, traces } = require("./lib.cjs");

main(async () => {
  const night = await person({ width: 390, height: 800, theme: "dark" });
  await enter(night, await link("natt-1", "night"));
  const staff = await person();
  await enter(staff, await link("staff-1", "staff"));

  await night.goto(`${BOARD}/night`);
  await judge(night, "the hub's round with a home's look-in");
  const look = night.locator('a[href^="/look/"]').first();
  is("the home's look-in is on the hub's round", (await look.count()) === 1);
  is("and says which home", (await night.textContent("main")).includes("gw-0007"));
  is("it is not signed for here", (await night.locator('form[action="/night/sign"]').count()) === 0);
  const path = await look.getAttribute("href");
  const refused = await staff.goto(BOARD + path);
  is("another role is refused", refused.status() === 403, `${refused.status()}`);

  await logIn(night, path);
  await night.goto(BOARD + path);
  await judge(night, "before a look into a home");
  await night.check('input[name="clear"]');
  const opened = night.waitForRequest((request) => request.url().endsWith("/look/stream"));
  await night.click("button.main");
  const token = (await opened).postData();
  await night.waitForFunction(() => !document.getElementById("look-picture").hidden, undefined, { timeout: 30000 });
  is("the picture is the camera's own, seen clearly", (await night.evaluate(() => document.getElementById("look-picture").width)) === 320);
  const again = await night.evaluate(async (token) => (await fetch("/look/stream", { method: "POST", body: token })).status, token);
  is("a grant opens once", again === 409, `${again}`);
  await judge(night, "while somebody at the hub looks");
  await picture(night, "look-hub");
  await night.waitForFunction(() => document.getElementById("look-picture").hidden, undefined, { timeout: 60000 });
  is("it was moving", Number(await night.evaluate(() => document.getElementById("look").dataset.pictures)) >= 2);
  is("nothing of it is in the browser's profile", traces() === 0, `${traces()}`);
  await night.click('button[value="calm"]');
  await night.waitForURL(/\/night/);
  // The home has heard it, and says so.
  for (let tries = 0; tries < 100 && !(await night.textContent("main")).includes("Sedd lugn"); tries += 1) await night.reload();
  is("one tap, and the home has it", (await night.textContent("main")).includes("Sedd lugn"), await night.textContent("main"));
  is("nobody looks again", (await night.locator('a[href^="/look/"]').count()) === 0);
  is("no complaint in the console", night.troubles.filter((said) => !/409|403/.test(said)).length === 0, night.troubles.join("; "));
});
