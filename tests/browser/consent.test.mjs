// An app's launch in a real Chromium: from the app to the sign-in page, to the question, and back, without scripts and with. The
// way back is what counts: a browser asks the policy of the page whose form it sent whether it may be led elsewhere. Then what was
// allowed, on the page of the account, and taken back there.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Server, check, launch, openPage } from './browser.mjs';
import { PASSWORD } from './codes.mjs';

const LOGIN = 'marisol.vega';
let browser, server, codes, app, id;

// The app: its callback leads on to another address of its own, as apps do.
const startApp = async () => {
  const seen = [];
  const http = createServer((request, response) => {
    const url = new URL(request.url, `http://${request.headers.host}`);
    if (url.pathname === '/callback') {
      seen.push({ parameters: url.searchParams, referer: request.headers.referer });
      const elsewhere = `http://localhost:${http.address().port}/done`;
      response.writeHead(302, { location: elsewhere }).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end('<!DOCTYPE html><html lang="en"><title>App</title><h1>Back in the app</h1></html>');
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  return { seen, http, callback: `http://127.0.0.1:${http.address().port}/callback` };
};

before(async () => {
  browser = await launch();
  server = await Server.start();
  codes = server.addUser(LOGIN);
  app = await startApp();
  const scope = 'openid profile offline_access';
  const flags = ['--public', '--name', 'Example <App>', '--scope', scope, '--redirect-uri', 'http://127.0.0.1/callback'];
  const added = execFileSync(process.env.IDI_MATCH_BINARY, ['client', 'add', ...flags, '--database-url', server.database]);
  id = added.toString().trim();
});

after(async () => {
  await browser.close();
  await server.stop();
  app.http.close();
});

const request = (verifier, changes = {}) => {
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const parameters = {
    response_type: 'code',
    client_id: id,
    redirect_uri: app.callback,
    scope: 'openid profile offline_access',
    state: 'state-of-the-app',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  };
  return `http://${server.address}/oauth/authorize?${new URLSearchParams(parameters)}`;
};

const ask = (fields) => {
  const body = new URLSearchParams({ client_id: id, ...fields });
  return fetch(`http://${server.address}/oauth/token`, { method: 'POST', body });
};

const redeem = async (code, verifier) => {
  const fields = { grant_type: 'authorization_code', code, redirect_uri: app.callback, code_verifier: verifier };
  const answer = await ask(fields);
  assert.equal(answer.status, 200);
  return answer.json();
};

const signIn = async (page) => {
  await page.getByLabel('Login').fill(LOGIN);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByLabel('One-time code').fill(await codes.next());
  await page.getByRole('button', { name: 'Sign in' }).click();
};

for (const javaScriptEnabled of [false, true]) {
  const scripts = javaScriptEnabled ? 'with' : 'without';
  test(`a person allows an app, is led back, and takes it back ${scripts} scripts`, async () => {
    const page = await openPage(browser, { javaScriptEnabled });
    const verifier = randomBytes(32).toString('base64url');
    await page.goto(request(verifier));
    assert.match(page.url(), /\/sign-in\?request=/);
    assert.doesNotMatch(page.url(), /state-of-the-app|callback/);
    await signIn(page);
    await page.getByRole('heading', { name: 'Allow Example <App>?' }).waitFor();
    await check(page, `consent-${scripts}-scripts`);
    app.seen.length = 0;
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByRole('heading', { name: 'Back in the app' }).waitFor();
    assert.deepEqual(page.problems, [], 'the policy lets the way back pass');
    const [{ parameters, referer }] = app.seen;
    assert.equal(parameters.get('state'), 'state-of-the-app');
    assert.equal(parameters.get('iss'), `http://${server.address}`);
    assert.equal(referer, undefined, 'nobody learns the address of the page');
    const token = await redeem(parameters.get('code'), verifier);
    await page.goto(`http://${server.address}/account`);
    await page.getByRole('heading', { name: 'Example <App>' }).waitFor();
    await check(page, `account-${scripts}-scripts`);
    await page.setViewportSize({ width: 320, height: 640 });
    await page.emulateMedia({ colorScheme: 'dark' });
    await check(page, `account-telephone-dark-${scripts}-scripts`);
    await page.getByRole('button', { name: 'Take access back from Example <App>' }).click();
    await page.getByRole('status').filter({ hasText: 'It was taken back.' }).waitFor();
    await page.getByText('No app has access to anything of yours here.').waitFor();
    await check(page, `taken-back-${scripts}-scripts`);
    assert.equal((await ask({ grant_type: 'refresh_token', refresh_token: token.refresh_token })).status, 400);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('status').filter({ hasText: 'You have signed out.' }).waitFor();
    await page.context().close();
  });
}

test('a person denies, and nothing but that is told', async () => {
  const page = await openPage(browser);
  await page.goto(request('x'.repeat(43)));
  await signIn(page);
  app.seen.length = 0;
  await page.getByRole('button', { name: 'Deny' }).click();
  await page.getByRole('heading', { name: 'Back in the app' }).waitFor();
  const [{ parameters }] = app.seen;
  assert.equal(parameters.get('error'), 'access_denied');
  assert.equal(parameters.get('code'), null);
  await page.context().close();
});

test('the question fits a telephone and the dark', async () => {
  const page = await openPage(browser, { viewport: { width: 320, height: 640 }, colorScheme: 'dark' });
  await page.goto(request('x'.repeat(43)));
  await signIn(page);
  await page.getByRole('button', { name: 'Allow' }).waitFor();
  await check(page, 'consent-telephone-dark');
  await page.context().close();
});

test('a request that is not proven is told on a page and leads nowhere', async () => {
  const page = await openPage(browser);
  const answer = await page.goto(request('x'.repeat(43), { redirect_uri: 'http://127.0.0.1:1/evil' }));
  assert.equal(answer.status(), 400);
  page.problems.length = 0;
  await check(page, 'request-refused');
  await page.context().close();
});
