// What the tests of pages share: a server of their own with somebody who signs in, a Chromium, screenshots, and axe.
//
// Screenshots are for looking at; they are of no use to a program and are not kept with the code.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { Codes, PASSWORD } from './codes.mjs';

const BINARY = process.env.IDI_MATCH_BINARY;
const SCREENSHOTS = process.env.IDI_MATCH_SCREENSHOTS;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const PATIENT = {
  resourceType: 'Patient',
  identifier: [
    {
      type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: 'MB' }] },
      system: 'urn:oid:2.16.840.1.113883.19.5.77',
      value: 'Wyxopuz-0',
    },
  ],
  name: [{ use: 'official', family: 'Wyxopuz', given: ['Marisol'] }],
  birthDate: '1974-05-06',
  address: [{ use: 'home', line: ['17 Quarry Road'], city: 'Springfield', state: 'OH', postalCode: '45501' }],
};

// A server on a database of its own; `options` are those of `serve`.
export class Server {
  static async start(options = []) {
    const server = new Server();
    server.folder = mkdtempSync(join(tmpdir(), 'idi-match-pages-'));
    server.database = `sqlite:${join(server.folder, 'people.db')}`;
    // That it is ready is read off its log, however little of one the environment asks for.
    const log = ['--log-format', 'json', '--log-filter', 'info'];
    const flags = ['--open', '--listen', '127.0.0.1:0', '--database-url', server.database, ...log];
    const named = ['--organization-name', 'Example Health', '--organization-phone', '+1-555-0100'];
    server.process = spawn(BINARY, ['serve', ...flags, ...named, ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
    for await (const line of createInterface({ input: server.process.stderr })) {
      const { message, address } = JSON.parse(line).fields;
      if (message === 'ready') {
        server.address = address;
        break;
      }
    }
    server.process.stderr.resume();
    return server;
  }

  // Adds an account and gives what makes its codes.
  addUser(login) {
    const attributes = join(this.folder, 'patient.json');
    writeFileSync(attributes, JSON.stringify(PATIENT));
    const verified = ['--kind', 'person', '--level', 'idial1.8', '--verified-on', '2026-02-03', '--attributes', attributes];
    const options = { input: `${PASSWORD}\n`, stdio: ['pipe', 'pipe', 'ignore'] };
    const added = execFileSync(BINARY, ['user', 'add', login, '--json', '--database-url', this.database, ...verified], options);
    return new Codes(JSON.parse(added).totp_secret);
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGTERM');
    await ended;
    rmSync(this.folder, { recursive: true });
  }
}

export async function launch() {
  const executablePath = process.env.IDI_MATCH_CHROMIUM ?? PLACES.find((place) => existsSync(place));
  assert.ok(executablePath, 'no Chromium is installed; IDI_MATCH_CHROMIUM says where one is');
  return chromium.launch({ executablePath });
}

// A page whose loads from elsewhere, errors and refusals by its own policy are noted.
export async function openPage(browser, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.problems = [];
  page.scripts = options.javaScriptEnabled !== false;
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => {
    // A status that is no success is told there too.
    if (message.type() === 'error' && !/status of (403|422|429)/.test(message.text())) page.problems.push(message.text());
  });
  return page;
}

export async function screenshot(page, name) {
  if (!SCREENSHOTS) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

// Nothing serious or critical, and nothing beyond the sides of the page. axe is a script: where none runs, a page is the same
// and only shown.
export async function check(page, name) {
  if (!page.scripts) {
    assert.deepEqual(page.problems, [], name);
    return screenshot(page, name);
  }
  await page.evaluate(AXE);
  const found = await page.evaluate(() => globalThis.axe.run(document));
  const grave = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  const lines = grave.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`);
  assert.deepEqual(lines, [], name);
  assert.ok(found.passes.length > 10, `axe looked at ${found.passes.length} rules`);
  const [width, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width <= shown, `${name}: ${width} pixels wide of ${shown}`);
  assert.deepEqual(page.problems, [], name);
  return screenshot(page, name);
}
