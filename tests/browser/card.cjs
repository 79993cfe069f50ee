// Log-in by a client certificate, as with a SITHS card. Enters beside lib.cjs: VAKA_CARD_ORIGIN; VAKA_CARD, VAKA_REVOKED and VAKA_STRANGE (of
// another issuer): paths without `.pem` and `.key`.
"use strict";
const { BOARD, is, main, person } = require("./lib.cjs");

const origin = process.env.VAKA_CARD_ORIGIN;
const card = (name) => ({ origin, certPath: `${process.env[`VAKA_${name}`]}.pem`, keyPath: `${process.env[`VAKA_${name}`]}.key` });

async function tries(certificate) {
  const page = await person({ certificate });
  await page.goto(`${BOARD}/login`);
  await page.click(`a[href^="${origin}/card"]`).catch(() => {});
  await page.waitForLoadState().catch(() => {});
  await page.goto(`${BOARD}/`).catch(() => page.goto(`${BOARD}/`));
  return new URL(page.url()).pathname;
}

main(async () => {
  is("a card's person is in", (await tries(card("CARD"))) === "/");
  is("a card of another issuer is refused", /login/.test(await tries(card("STRANGE"))));
  is("a revoked card is refused", /login/.test(await tries(card("REVOKED"))));
  is("no card is refused", /login/.test(await tries(undefined)));
});
