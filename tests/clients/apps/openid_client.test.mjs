// openid-client with all of its own checks: the issuer of the metadata and of each answer, `state`, `nonce`, the identity token's
// claims and (by `enableNonRepudiationChecks`) its signature.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as client from 'openid-client';
import { App, BASE, Person, REDIRECT, ROOT, SCOPE } from './person.mjs';

let person;

before(() => {
  person = new Person();
});

// Plain http, to this machine alone.
const configure = async (app, path = ROOT) => {
  const authentication = app.privateKey ? client.PrivateKeyJwt({ key: app.privateKey, kid: 'k1' }) : client.None();
  const execute = [client.allowInsecureRequests, client.enableNonRepudiationChecks];
  return client.discovery(new URL(path), app.id, {}, authentication, { execute });
};

const ask = async (config, decision) => {
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  };
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT,
    scope: SCOPE,
    aud: BASE,
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
  });
  return { checks, back: await person.answer(url, decision) };
};

const tokens = async (config) => {
  const { checks, back } = await ask(config);
  return client.authorizationCodeGrant(config, back, checks);
};

const read = (config, token) =>
  client.fetchProtectedResource(config, token.access_token, new URL(`${BASE}/Patient/${token.patient}`), 'GET');

for (const kind of ['public', 'confidential']) {
  test(`a ${kind} app reads the person's own record`, async () => {
    const config = await configure(await App.add(kind));
    const token = await tokens(config);
    const claims = token.claims();
    assert.equal(claims.acr, 'http://udap.org/code/id/idial1.8');
    assert.deepEqual(claims.amr, ['http://udap.org/code/auth/aal2', 'pwd', 'otp', 'mfa']);
    assert.equal(claims.fhirUser, `${BASE}/Patient/${token.patient}`);
    assert.equal((await (await read(config, token)).json()).id, token.patient);
    const told = await client.fetchUserInfo(config, token.access_token, claims.sub);
    assert.equal(told.birthdate, claims.birthdate);
  });

  test(`a ${kind} app exchanges a refresh token once`, async () => {
    const config = await configure(await App.add(kind));
    const first = await tokens(config);
    const second = await client.refreshTokenGrant(config, first.refresh_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
    assert.equal(second.claims().sub, first.claims().sub);
    assert.equal((await read(config, second)).status, 200);
    for (const { refresh_token: token } of [first, second]) {
      await assert.rejects(client.refreshTokenGrant(config, token), { error: 'invalid_grant' });
    }
    await assert.rejects(read(config, second), { name: 'WWWAuthenticateChallengeError' });
  });

  test(`a ${kind} app revokes what it has`, async () => {
    const app = await App.add(kind);
    const config = await configure(app);
    const token = await tokens(config);
    if (app.privateKey) {
      const told = await client.tokenIntrospection(config, token.access_token);
      assert.deepEqual([told.active, told.patient, told.client_id], [true, token.patient, app.id]);
      assert.equal((await client.tokenIntrospection(config, 'no token')).active, false);
    } else {
      // It has nothing to authenticate with, and openid-client shows no token of its own (RFC 7662 section 2.1 asks for either).
      await assert.rejects(client.tokenIntrospection(config, token.access_token), { error: 'invalid_request' });
    }
    await client.tokenRevocation(config, token.refresh_token);
    if (app.privateKey) assert.equal((await client.tokenIntrospection(config, token.access_token)).active, false);
    await assert.rejects(read(config, token), { name: 'WWWAuthenticateChallengeError' });
  });

  test(`a ${kind} app believes no answer that is not to its question`, async () => {
    const config = await configure(await App.add(kind));
    for (const changed of [{ expectedState: 'another' }, { expectedNonce: 'another' }]) {
      const { checks, back } = await ask(config);
      await assert.rejects(client.authorizationCodeGrant(config, back, { ...checks, ...changed }));
    }
    const { checks, back } = await ask(config);
    back.searchParams.set('iss', 'https://elsewhere.example');
    await assert.rejects(client.authorizationCodeGrant(config, back, checks), { code: 'OAUTH_INVALID_RESPONSE' });
    const denied = await ask(config, 'deny');
    await assert.rejects(client.authorizationCodeGrant(config, denied.back, denied.checks), { error: 'access_denied' });
  });
}

test('who signs out is asked for a password again', async () => {
  const config = await configure(await App.add('public'));
  const token = await tokens(config);
  const cookies = new Map(person.cookies);
  const gone = await person.send(client.buildEndSessionUrl(config, { id_token_hint: token.id_token }));
  assert.ok(gone.status < 400, await gone.text());
  person.cookies = cookies;
  const page = await (await person.send(`${ROOT}/sign-in`)).text();
  assert.match(page, /name="password"/);
});
