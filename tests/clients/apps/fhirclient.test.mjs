// fhirclient, SMART's own client for browsers: a standalone launch in a real Chromium, from a page of an app to the person's own
// record on that app's page. The pages load the bundle as it is published; nothing here speaks to the server for them.
//
// Of fhirclient's packages the lock file leaves one out (`overrides` in package.json): what stands in for the browser's
// cryptography where there is none, with some hundred packages of its own. The bundle holds all that it needs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { launch, openPage, screenshot } from './browser.mjs';
import { PASSWORD } from './codes.mjs';
import { App, BASE, Person, ROOT, SCOPE, STRANGER } from './person.mjs';

const bundle = readFileSync(createRequire(import.meta.url).resolve('fhirclient/build/fhir-client.min.js'));
const kind = process.env.IDI_MATCH_SERVER_DATABASE_URL.split(':')[0];
let browser, http, origin, apps;

const html = (script) => `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>App</title><link rel="icon" href="data:,">
<script src="/fhir-client.min.js"></script></head><body><main><h1>App</h1><p id="name"></p></main><script>${script}</script></body></html>`;

const PAGES = {
  launch: (name) => `FHIR.oauth2.authorize(${JSON.stringify({ ...apps[name].settings, iss: BASE, scope: SCOPE, redirectUri: `${origin}/app` })})`,
  app: () => `FHIR.oauth2.ready().then(async (client) => {
    globalThis.client = client;
    const [name] = (await client.patient.read()).name;
    document.querySelector('#name').textContent = name.given.join(' ') + ' ' + name.family;
  })`,
  blank: () => '',
};

before(async () => {
  browser = await launch();
  http = createServer((request, response) => {
    const [, page, name] = new URL(request.url, origin).pathname.split('/');
    if (page === 'fhir-client.min.js') return response.writeHead(200, { 'content-type': 'text/javascript' }).end(bundle);
    return response.writeHead(200, { 'content-type': 'text/html' }).end(html(PAGES[page](name)));
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${http.address().port}`;
  const [open, signing] = [await App.add('public', [origin]), await App.add('confidential', [origin])];
  apps = {
    public: { id: open.id, settings: { clientId: open.id } },
    confidential: { id: signing.id, settings: { clientId: signing.id, clientPrivateJwk: await signing.privateJwk() } },
  };
});

after(async () => {
  await browser.close();
  http.close();
});

// From the app's first page to its last, as the person sees them.
const launchApp = async (page, name) => {
  const person = new Person();
  await page.goto(`${origin}/launch/${name}`);
  await page.getByLabel('Login').fill(person.login);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByLabel('One-time code').fill(await person.codes.next());
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: `Allow Example ${name}?` }).waitFor();
  await screenshot(page, `fhirclient-${name}-question-${kind}`);
  await page.getByRole('button', { name: 'Allow' }).click();
  await page.locator('#name').filter({ hasText: /\S/ }).waitFor();
  await screenshot(page, `fhirclient-${name}-${kind}`);
};

for (const name of ['public', 'confidential']) {
  test(`a ${name} app of a browser shows the person's own record`, async () => {
    const page = await openPage(browser);
    await launchApp(page, name);
    const seen = await page.evaluate(async () => {
      const { client } = globalThis;
      const [own, found, user] = [await client.patient.read(), await client.request('Patient'), await client.user.read()];
      const { aud, iss } = client.getIdToken();
      return { ids: [own.id, client.patient.id, user.id], total: found.total, aud, iss, scope: client.state.tokenResponse.scope };
    });
    assert.deepEqual(seen, { ids: ['own', 'own', 'own'], total: 1, aud: apps[name].id, iss: ROOT, scope: SCOPE });
    assert.deepEqual(page.problems, [], 'nothing was refused by CORS');
    await page.context().close();
  });
}

// Its refresh is the refresh token alone, for an app with a key too: such an app must authenticate (SMART App Launch 2.2, use of a
// refresh token; RFC 6749 section 6), so fhirclient refreshes for public apps only.
test('an app of a browser refreshes, and one with a key would have to sign', async () => {
  const refresh = (page) =>
    page.evaluate(async () => {
      const { client } = globalThis;
      const before = client.state.tokenResponse.refresh_token;
      await client.refresh();
      const record = await client.patient.read();
      return [record.id, client.state.tokenResponse.refresh_token !== before];
    });
  const [open, signing] = [await openPage(browser), await openPage(browser)];
  await launchApp(open, 'public');
  assert.deepEqual(await refresh(open), ['own', true]);
  await launchApp(signing, 'confidential');
  await assert.rejects(refresh(signing), /invalid_client/);
  for (const page of [open, signing]) await page.context().close();
});

test('what is not the person’s own is refused, and the app sees why', async () => {
  const page = await openPage(browser);
  await launchApp(page, 'public');
  const status = (url) => page.evaluate((url) => globalThis.client.request(url).catch((error) => error.statusCode), url);
  assert.equal(await status(`Patient/${STRANGER}`), 404);
  assert.equal(await status('Organization'), 403);
  await page.context().close();
});

test('a page of another origin reads what is public, and no tokens or data', async () => {
  const page = await openPage(browser);
  await page.goto(`${origin.replace('127.0.0.1', 'localhost')}/blank`);
  const read = (url, options) => page.evaluate(([url, options]) => fetch(url, options).then(({ status }) => status, () => 'refused'), [url, options]);
  const bearer = { headers: { authorization: 'Bearer some.of.it' } };
  assert.equal(await read(`${BASE}/.well-known/smart-configuration`), 200);
  assert.equal(await read(`${BASE}/Patient/own`, bearer), 'refused');
  assert.equal(await read(`${ROOT}/oauth/userinfo`, bearer), 'refused');
  await page.goto(`${origin}/blank`);
  assert.equal(await read(`${BASE}/Patient/own`, bearer), 401);
  await page.context().close();
});
