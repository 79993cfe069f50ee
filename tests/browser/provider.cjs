// Log-in through an identity provider that nobody here wrote (npm oidc-provider), as a municipality's: code flow, PKCE, a demanded acr.
//
// Enters beside lib.cjs: VAKA_IDP (port), VAKA_IDP_CERT and VAKA_IDP_KEY (PEM for localhost), VAKA_IDP_SECRET.
"use strict";
const fs = require("node:fs");
const https = require("node:https");
const { BOARD, is, main, person, picture } = require("./lib.cjs");

const LOA2 = "http://id.sambi.se/loa/loa2", LOA3 = "http://id.sambi.se/loa/loa3";
const PORT = process.env.VAKA_IDP, ISSUER = `https://localhost:${PORT}`;
let account = "SE2321000016-anna", acr = LOA3;

async function provider() {
  const { Provider } = await import(require.resolve("oidc-provider"));
  const oidc = new Provider(ISSUER, {
    clients: [{ client_id: "vaka", client_secret: process.env.VAKA_IDP_SECRET, redirect_uris: [`${BOARD}/login/oidc/return`], response_types: ["code"], grant_types: ["authorization_code"] }],
    claims: { openid: ["sub", "acr", "amr"] },
    acrValues: [LOA2, LOA3],
    cookies: { keys: ["a key for a test's cookies"] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope("openid");
      await grant.save();
      return grant;
    },
  });
  const answer = oidc.callback();
  const tls = { cert: fs.readFileSync(process.env.VAKA_IDP_CERT), key: fs.readFileSync(process.env.VAKA_IDP_KEY) };
  const server = https.createServer(tls, async (request, response) => {
    if (!request.url.startsWith("/interaction/")) return answer(request, response);
    await oidc.interactionFinished(request, response, { login: { accountId: account, acr, amr: ["pop"], remember: false } });
  });
  await new Promise((ready) => server.listen(PORT, "127.0.0.1", ready));
}

async function tries(as, level) {
  [account, acr] = [as, level];
  const page = await person();
  await page.goto(`${BOARD}/login`);
  await page.click('a[href^="/login/oidc"]');
  await page.waitForURL((url) => url.origin === BOARD && !url.pathname.endsWith("/return"), { waitUntil: "load" }).catch(() => {});
  return page;
}

main(async () => {
  await provider();
  const anna = await tries("SE2321000016-anna", LOA3);
  is("whom the provider knows, strongly enough, is in", new URL(anna.url()).pathname === "/", anna.url());
  await picture(anna, "by-provider");
  const weak = await tries("SE2321000016-anna", LOA2);
  await weak.goto(`${BOARD}/`);
  is("a weaker log-in than demanded is refused", /\/login/.test(weak.url()), weak.url());
  const stranger = await tries("SE2321000016-nobody", LOA3);
  await stranger.goto(`${BOARD}/`);
  is("a stranger is refused, whatever the provider says", /\/login/.test(stranger.url()), stranger.url());
});
