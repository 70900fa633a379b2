// Signing in and out in a real Chromium: without scripts and with, on a telephone, in the dark, by keyboard alone.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, check, launch, openPage } from './browser.mjs';
import { PASSWORD } from './codes.mjs';

const LOGIN = 'marisol.vega';
const NARROW = { width: 320, height: 640 };
let browser, server, codes;

before(async () => {
  browser = await launch();
  server = await Server.start(['--people-sign-in-failures-free', '2', '--people-sign-in-pause-s', '900']);
  codes = server.addUser(LOGIN);
});

after(async () => {
  await browser.close();
  await server.stop();
});

const at = (path, host = server.address) => `http://${host}${path}`;

const fill = async (page, login, password, code) => {
  await page.getByLabel('Login').fill(login);
  await page.getByLabel('Password').fill(password);
  await page.getByLabel('One-time code').fill(code);
  await page.getByRole('button', { name: 'Sign in' }).click();
};

for (const javaScriptEnabled of [false, true]) {
  const scripts = javaScriptEnabled ? 'with' : 'without';
  test(`a person signs in and out ${scripts} scripts`, async () => {
    const page = await openPage(browser, { javaScriptEnabled });
    await page.goto(at('/sign-in'));
    await check(page, `sign-in-${scripts}-scripts`);
    await fill(page, LOGIN, PASSWORD, await codes.next());
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    assert.equal(page.url(), at('/account'));
    await page.getByText('No app has access to anything of yours here.').waitFor();
    await check(page, `signed-in-${scripts}-scripts`);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('status').filter({ hasText: 'You have signed out.' }).waitFor();
    await check(page, `signed-out-${scripts}-scripts`);
    await page.context().close();
  });
}

test('the cookies are of one host, for https or this machine alone, and for no script', async () => {
  const [, port] = server.address.split(':');
  for (const host of [server.address, `localhost:${port}`]) {
    const page = await openPage(browser);
    await page.goto(at('/sign-in', host));
    const kept = await page.context().cookies();
    assert.deepEqual(
      kept.map(({ name, path, httpOnly, secure, sameSite, expires }) => ({ name, path, httpOnly, secure, sameSite, expires })),
      [{ name: '__Host-form', path: '/', httpOnly: true, secure: true, sameSite: 'Lax', expires: -1 }],
      host,
    );
    assert.equal(await page.evaluate(() => document.cookie), '');
    await page.context().close();
  }
});

test('a refusal leads to the fields, and too many of them to a pause', async () => {
  const page = await openPage(browser);
  await page.goto(at('/sign-in'));
  await fill(page, 'nobody.here', 'a wrong guess', '000000');
  await page.getByRole('alert').waitFor();
  await check(page, 'refused');
  await page.getByRole('link', { name: 'Check your password.' }).click();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'password');
  for (const id of ['login', 'password', 'code']) {
    const field = page.locator(`#${id}`);
    assert.equal(await field.getAttribute('aria-invalid'), 'true');
    assert.match(await field.getAttribute('aria-describedby'), /\bproblem\b/);
    assert.equal(await field.inputValue(), '', 'nothing that was typed comes back');
  }
  await fill(page, 'nobody.here', 'a wrong guess', '000000');
  await page.getByRole('alert').waitFor();
  await fill(page, 'nobody.here', 'a wrong guess', '000000');
  await page.getByRole('heading', { name: 'Please wait' }).waitFor();
  await check(page, 'throttled');
  await page.context().close();
});

test('a form of another window is not taken, and a way on is shown', async () => {
  const page = await openPage(browser);
  await page.goto(at('/sign-in'));
  await page.context().clearCookies();
  await fill(page, LOGIN, PASSWORD, '000000');
  await page.getByRole('heading', { name: 'Please try again' }).waitFor();
  await check(page, 'foreign-form');
  await page.getByRole('link', { name: 'Open it again' }).click();
  await page.getByLabel('Login').waitFor();
  await page.context().close();
});

test('it is usable on a telephone, in the dark, at twice the size and without a mouse', async () => {
  for (const [name, options] of [
    ['narrow', { viewport: NARROW }],
    ['dark', { colorScheme: 'dark' }],
    ['narrow-dark', { viewport: NARROW, colorScheme: 'dark' }],
    // What 200 % makes of a window of 1280 pixels.
    ['zoomed', { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 }],
    ['forced-colors', { forcedColors: 'active' }],
  ]) {
    const page = await openPage(browser, options);
    await page.goto(at('/sign-in'));
    await check(page, `sign-in-${name}`);
    await fill(page, `nobody.${name}`, 'a wrong guess', '000000');
    await page.getByRole('alert').waitFor();
    await check(page, `refused-${name}`);
    await page.context().close();
  }
  const page = await openPage(browser);
  await page.goto(at('/sign-in'));
  const visited = [];
  for (let step = 0; step < 5; step += 1) {
    await page.keyboard.press('Tab');
    visited.push(await page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName));
    assert.ok(
      await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== 'none'),
      `the focus is not seen at ${visited.at(-1)}`,
    );
    if (step === 0) await check(page, 'skip-link');
  }
  assert.deepEqual(visited, ['skip', 'login', 'password', 'code', 'BUTTON']);
  await check(page, 'focus');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.type(LOGIN);
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Tab');
  await page.keyboard.type(await codes.next());
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  await check(page, 'signed-in');
  await page.context().close();
});
