// Somebody with an account and an app on a gated server, for clients of OAuth and OpenID Connect as they are published. What a
// browser does is done here by plain HTTP: the pages need no script. Each test's person is an account of its own, as a one-time
// code counts once; all are the one person whom the server knows (`IDI_MATCH_PERSON`).

import { execFileSync } from 'node:child_process';
import { randomBytes, webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Codes, PASSWORD } from './codes.mjs';

export const BASE = process.env.IDI_MATCH_URL;
export const ROOT = new URL('.', BASE).href.replace(/\/$/, '');
export const STRANGER = process.env.IDI_MATCH_STRANGER;
export const SCOPE = 'launch/patient openid fhirUser profile offline_access patient/Patient.rs';
// Nobody listens there: what would be sent is read off the answer that sends a browser on.
export const REDIRECT = 'http://127.0.0.1:49152/callback';

const run = (args, input = '') =>
  execFileSync(process.env.IDI_MATCH_BINARY, args, { input, stdio: ['pipe', 'pipe', 'inherit'] }).toString();

export class Person {
  constructor() {
    this.login = `marisol.${randomBytes(6).toString('hex')}`;
    const verified = ['--kind', 'person', '--level', 'idial1.8', '--verified-on', '2026-02-03'];
    const account = run(['user', 'add', this.login, ...verified, '--attributes', process.env.IDI_MATCH_PERSON, '--json'], PASSWORD);
    this.codes = new Codes(JSON.parse(account).totp_secret);
    this.cookies = new Map();
  }

  async send(url, body) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { method: body ? 'POST' : 'GET', body, headers: { cookie }, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      this.cookies.set(name, value);
    }
    return response;
  }

  // The address that the browser is led to after the person's answer to an app.
  async answer(url, decision = 'allow') {
    for (let next = String(url), step = 0; step < 10; step += 1) {
      let response = await this.send(next);
      if (response.status === 200) response = await this.fill(await response.text(), decision);
      if (response.status !== 303) throw new Error(`${response.status}: ${await response.text()}`);
      next = new URL(response.headers.get('location'), ROOT).href;
      if (!next.startsWith(ROOT)) return new URL(next);
    }
    throw new Error('led around');
  }

  async fill(page, decision) {
    const [form] = page.match(/<form[^]*?<\/form>/);
    const [, action] = form.match(/action="([^"]*)"/);
    const fields = Object.fromEntries([...form.matchAll(/type="hidden" name="([^"]*)" value="([^"]*)"/g)].map(([, ...pair]) => pair));
    const typed = async () => ({ login: this.login, password: PASSWORD, code: await this.codes.next() });
    const more = action === '/sign-in' ? await typed() : { decision };
    return this.send(new URL(action, ROOT).href, new URLSearchParams({ ...fields, ...more }));
  }
}

// An app that the operator has added, public or confidential: then `privateKey` signs, and its public half is registered as `k1`.
export class App {
  // `origins` are those whose scripts may read answers; it is sent back to the first of them.
  static async add(kind, origins = []) {
    const app = new App();
    const folder = mkdtempSync(join(tmpdir(), 'idi-match-app-'));
    let how = ['--public'];
    if (kind === 'confidential') {
      const pair = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, true, ['sign', 'verify']);
      const jwk = await webcrypto.subtle.exportKey('jwk', pair.publicKey);
      const keys = [{ kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y, kid: 'k1', alg: 'ES384', use: 'sig' }];
      writeFileSync(join(folder, 'jwks.json'), JSON.stringify({ keys }));
      app.privateKey = pair.privateKey;
      how = ['--jwks', join(folder, 'jwks.json')];
    }
    const redirect = origins.length > 0 ? `${origins[0]}/app` : REDIRECT;
    const flags = ['--name', `Example ${kind}`, '--redirect-uri', redirect, '--scope', SCOPE];
    app.id = run(['client', 'add', ...how, ...flags, ...origins.flatMap((origin) => ['--cors-origin', origin])]).trim();
    rmSync(folder, { recursive: true });
    return app;
  }

  async privateJwk() {
    const { kty, crv, x, y, d } = await webcrypto.subtle.exportKey('jwk', this.privateKey);
    return { kty, crv, x, y, d, kid: 'k1', alg: 'ES384', key_ops: ['sign'] };
  }
}
