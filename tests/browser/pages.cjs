// Every page as the people see it who use it: a picture, axe's judgement, nothing wider than the window, no complaint in the console;
// at a desk in Swedish by day, on a phone by night, at 320 px in English, and without a script.
"use strict";
const { BOARD, enter, is, judge, link, main, person, picture, press } = require("./lib.cjs");

const PAGES = {
  night: ["/", "/alarms", "/night", "/night/handover", "/residents", "/residents/r1", "/devices", "/keys"],
  technician: ["/devices", "/devices/new", "/visit", "/check"],
  admin: ["/", "/residents/r1", "/people", "/people/add", "/people/of/anna", "/people/programs", "/log"],
  auditor: ["/log", "/residents/r1/extract"],
};
const LOOKS = [
  ["desk", { lang: "sv-SE" }],
  ["phone", { lang: "sv-SE", width: 390, height: 800, theme: "dark" }],
  ["narrow", { lang: "en-GB", width: 320, height: 640 }],
];

main(async () => {
  const stranger = await person();
  await stranger.goto(`${BOARD}/login`);
  await judge(stranger, "/login");
  await picture(stranger, "login");
  await press("p1");
  for (const [role, paths] of Object.entries(PAGES)) {
    // The administrator first by name: "anna" has to be there to be looked at.
    for (const [look, options] of LOOKS) {
      const page = await person(options);
      await enter(page, await link(role === "admin" ? "anna" : `${role}-1`, role));
      for (const path of paths) {
        const answer = await page.goto(BOARD + path);
        const name = `${role}${path.replaceAll("/", "-")}-${look}`;
        is(`${name}: answered`, answer.status() === 200, `${answer.status()}`);
        const spoken = await page.evaluate(() => document.documentElement.lang);
        is(`${name}: in the person's language`, spoken === options.lang.slice(0, 2), spoken);
        await picture(page, name);
        await judge(page, name);
      }
      is(`${role} ${look}: no complaint in the console`, page.troubles.length === 0, page.troubles.join("; "));
      await page.context().close();
    }
  }
  // Twice as large a text: nothing is cut off sideways.
  const far = await person({ width: 640, height: 800 });
  await enter(far, await link("far", "night"));
  await far.goto(`${BOARD}/`);
  await far.addStyleTag({ content: "" }).catch(() => {});
  await far.evaluate(() => { document.documentElement.style.fontSize = "200%"; });
  await judge(far, "alarms at 200 % text");
  // By keyboard alone to the first act of the newest alarm.
  const keys = await person();
  await enter(keys, await link("keys", "night"));
  await keys.goto(`${BOARD}/`);
  let reached = false;
  for (let tab = 0; tab < 40 && !reached; tab += 1) {
    await keys.keyboard.press("Tab");
    reached = await keys.evaluate(() => document.activeElement?.closest("form")?.action.endsWith("/claim") ?? false);
  }
  await keys.keyboard.press("Enter");
  await keys.waitForURL(/\/alarms\//);
  is("by keyboard alone an alarm is taken", reached);
});
