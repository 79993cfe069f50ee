// A technician on a doorstep, by the board alone: a device invited and enrolled, every red line put right or given to somebody, and the protocol.
// Enters beside lib.cjs: VAKA_ENROL (port of the door for new devices).
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { BOARD, HOME, enter, is, link, main, person, picture, vaka, worn } = require("./lib.cjs");

main(async () => {
  const ture = await person({ lang: "en-GB" });
  await enter(ture, await link("ture", "technician"));

  await ture.goto(`${BOARD}/devices/new`);
  await ture.fill('[name="id"]', "p2");
  await ture.selectOption('[name="kind"]', "pendant");
  await ture.locator('form[action="/devices/new"] button').click();
  const code = (await ture.locator(".code code").innerText()).trim();
  is("an invitation shows a code and a picture of it", code.length > 10 && (await ture.locator("svg.qr").count()) === 1, code);
  await vaka("device", "enrol", `localhost:${process.env.VAKA_ENROL}`, "--code", code, "--out", path.join(HOME, "p2"));
  is("the device enrols by it", fs.existsSync(path.join(HOME, "p2", "cert.pem")));
  // As often as somebody would try who found the code in the bin.
  const again = await vaka("device", "enrol", `localhost:${process.env.VAKA_ENROL}`, "--code", code, "--out", path.join(HOME, "stolen")).catch((e) => e);
  is("and nobody else ever after", again instanceof Error && !fs.existsSync(path.join(HOME, "stolen", "cert.pem")));

  const main_ = () => ture.locator("main").innerText();
  const step = async (selector) => {
    await ture.locator(selector).first().click();
    await ture.waitForLoadState();
  };
  const device = (name) => `section:has(#v-${name})`;
  const until = async (holds) => { for (let look = 0; look < 200 && !(await holds()); look += 1) await ture.reload(); };
  await ture.goto(`${BOARD}/visit`);
  await step('button[value="start"]');
  is("a visit begins red", /lines are red/.test(await main_()), await main_());
  await picture(ture, "visit-red");
  const finish = () => ture.evaluate(async () => (await fetch("/visit", { method: "POST", body: new URLSearchParams({ step: "finish" }) })).status);
  is("and cannot end red, whoever asks", (await finish()) === 409);

  for (const name of ["p1", "p2"]) {
    const lacks = (line) => ture.locator(`${device(name)} li:has-text("${line}") .miss`).count();
    const pendant = worn(name);
    await until(async () => (await lacks("Heard")) === 0);
    is(`nothing was seen at ${name} before its test`, (await ture.locator(`${device(name)} button[value="seen"]`).count()) === 0);
    await step(`${device(name)} button[value="arm"]`);
    is(`${name} is armed for one press`, new RegExp(`Test of ${name}`).test(await main_()));
    pendant.tell({ button: { press: "short" } });
    await until(async () => (await ture.locator(`${device(name)} button[value="seen"]`).count()) === 1);
    await step(`${device(name)} button[value="seen"]`);
    pendant.off();
    for (const [field, value] of [["signal_dbm", "-60"], ["battery_percent", "90"]]) {
      const form = ture.locator(`${device(name)} details:has([name="${field}"])`);
      if ((await form.count()) === 0) continue;
      await form.locator("summary").click();
      await form.locator(`[name="${field}"]`).fill(value);
      await form.locator('button[value="measured"]').click();
      await ture.waitForLoadState();
    }
  }
  const alarms = JSON.parse(await vaka("alarm", "list", "--all", "--json"));
  is("its presses were tests, and nobody was called", alarms.every((row) => row.lane !== "life"), JSON.stringify(alarms.map((row) => row.lane)));

  // What is still red here is nobody's to mend today: somebody is named for it.
  await until(async () => (await ture.locator("li:has-text('Paths') .miss").count()) === 0);
  for (let left = 0; left < 20; left += 1) {
    const form = ture.locator('details:has(button[value="hand-over"])').first();
    if ((await form.count()) === 0) break;
    await form.locator("summary").click();
    await form.locator('[name="reason"]').fill("the fuse box is locked");
    await form.locator('[name="to"]').fill("ulla, Tuesday");
    await form.locator('button[value="hand-over"]').click();
    await ture.waitForLoadState();
  }
  is("nothing is red that is nobody's", /can be finished/.test(await main_()), await main_());
  await step('button[value="finish"]');
  is("then it ends", /No visit is under way/.test(await main_()), await main_());
  for (const form of ["page", "signed"]) {
    const text = await ture.evaluate(async (form) => (await fetch(`/visit/protocol/${form}`)).text(), form);
    is(`the protocol says who and what (${form})`, /ture/.test(text) && /p2/.test(text), text.slice(0, 200));
    if (form === "signed") fs.writeFileSync(path.join(HOME, "protocol.json"), text);
  }
  const verified = await vaka("visit", "verify", path.join(HOME, "protocol.json"));
  is("and is as the gateway signed it", /finished by ture/.test(verified), verified);
});
