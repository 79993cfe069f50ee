// A phone's address is given to the board by its own pages, and to nobody who is not at a push service. Enters beside lib.cjs: VAKA_PHONE, a
// subscription as a browser says it.
"use strict";
const { BOARD, enter, is, link, main, person, press } = require("./lib.cjs");

main(async () => {
  const anna = await person();
  await enter(anna, await link("anna", "night"));
  await anna.goto(`${BOARD}/keys`);
  const phone = JSON.parse(process.env.VAKA_PHONE);
  const give = (phone) => anna.evaluate(async (phone) => (await fetch("/push/subscribe", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(phone) })).status, phone);
  is("an address that is no push service's is refused", (await give({ ...phone, endpoint: "https://10.0.0.1/phone" })) === 400);
  is("a phone's is taken", (await give(phone)) === 200);
  is("the board has a key for phones", (await anna.evaluate(async () => (await (await fetch("/push/key")).json()).key.length)) === 87);
  await press("p1");
});
