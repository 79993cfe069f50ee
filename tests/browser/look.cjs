// A look-in by camera as the night patrol makes it: on the round, why, the picture for its seconds, gone, and one tap.
"use strict";
const { BOARD, enter, is, judge, link, logIn, main, person, picture, traces } = require("./lib.cjs");

/** What the canvas shows: its width, and whether it is shown at all. */
const shown = (page) => page.evaluate(() => {
  const canvas = document.getElementById("look-picture");
  return canvas && !canvas.hidden ? canvas.width : 0;
});

/** How many points of the canvas have a colour: the veil is grey, the camera's test picture is not. */
const coloured = (page) => page.evaluate(() => {
  const canvas = document.getElementById("look-picture");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) if (Math.abs(data[at] - data[at + 2]) > 40) count += 1;
  return count;
});

main(async () => {
  const night = await person({ width: 390, height: 800, theme: "dark" });
  await enter(night, await link("natt-1", "night"));
  const staff = await person();
  await enter(staff, await link("staff-1", "staff"));
  const stranger = await person();
  await enter(stranger, await link("natt-2", "night"));

  await night.goto(`${BOARD}/night`);
  await judge(night, "the round with a look-in by camera");
  const look = night.locator('a[href^="/look/"]').first();
  is("the look-in is on the round", (await look.count()) === 1);
  const path = await look.getAttribute("href");

  await staff.goto(`${BOARD}/night`);
  is("another role sees no way to look", (await staff.locator('a[href^="/look/"]').count()) === 0);
  const refused = await staff.goto(BOARD + path);
  is("another role is refused", refused.status() === 403, `${refused.status()}`);

  await logIn(night, path);
  await night.goto(BOARD + path);
  is("first why", (await night.locator('input[name="purpose"]').inputValue()).length > 0);
  is("nothing is seen before it is asked for", (await shown(night)) === 0);
  await judge(night, "before a look");
  await picture(night, "look-before");

  const opened = night.waitForRequest((request) => request.url().endsWith("/look/stream"));
  await night.click("button.main");
  const token = (await opened).postData();
  await night.waitForFunction(() => !document.getElementById("look-picture").hidden, undefined, { timeout: 30000 });
  is("there is a picture", (await shown(night)) > 0);
  is("with its veil, whoever may see clearly", (await coloured(night)) === 0, `${await coloured(night)}`);
  const unveil = night.locator("#look-clear");
  const wish = { look: await unveil.getAttribute("value"), page: await unveil.getAttribute("data-page") };
  const other = await stranger.evaluate(async (wish) => (await fetch("/look/clear", { method: "POST", body: new URLSearchParams(wish) })).status, wish);
  is("nobody else takes the veil off", other === 409, `${other}`);
  await night.route("**/look/clear", (route) => route.fulfill({ status: 503 }));
  await unveil.click();
  await night.waitForFunction(() => document.getElementById("look-said").textContent.length > 0, undefined, { timeout: 10000 });
  is("where it is refused the page says so", (await night.textContent("#look-said")).includes("Slöjan är kvar"), await night.textContent("#look-said"));
  await night.unroute("**/look/clear");
  await unveil.click();
  await night.waitForFunction(() => document.getElementById("look-clear").hidden, undefined, { timeout: 10000 });
  for (let tries = 0; tries < 100 && (await coloured(night)) === 0; tries += 1) await night.waitForTimeout(50);
  is("one tap, and the same look is the camera's own picture", (await coloured(night)) > 0 && (await shown(night)) === 320);
  is("the seconds that are left are said", /\d+/.test(await night.textContent("#look-left")));
  is("the grant is not in the page", !(await night.content()).includes(token));
  const again = await night.evaluate(async (token) => (await fetch("/look/stream", { method: "POST", body: token })).status, token);
  is("a grant opens once", again === 409, `${again}`);
  await judge(night, "while somebody looks");

  await night.waitForFunction(() => document.getElementById("look-picture").hidden, undefined, { timeout: 60000 });
  is("at its end nothing is shown", (await shown(night)) === 0);
  is("it was moving", Number(await night.evaluate(() => document.getElementById("look").dataset.pictures)) >= 2);
  await picture(night, "look-after");
  is("what is over cannot be closed", (await night.locator("#look-close").isVisible()) === false);
  is("nothing of it is in the browser's profile", traces() === 0, `${traces()}`);
  await night.click('button[value="calm"]');
  await night.waitForURL(/\/night/);
  is("one tap, and it is made", (await night.locator('a[href^="/look/"]').count()) === 0);
  await night.goBack();
  is("back shows no picture", (await shown(night)) === 0 && new URL(night.url()).pathname === "/night", night.url());
  await night.goto(`${BOARD}/night`);
  await picture(night, "look-round");

  const auditor = await person();
  await enter(auditor, await link("granskare-1", "auditor"));
  await auditor.goto(`${BOARD}/residents/r1/extract`);
  const extract = await auditor.textContent("main");
  is("the resident's extract names who looked", extract.includes("natt-1"));
  is("and why", extract.includes("Avtalad tillsyn"), extract.slice(0, 400));
  is("no complaint in the console", night.troubles.filter((said) => !/409|403|503/.test(said)).length === 0, night.troubles.join("; "));
});
