// oauth4webapi, step by step, with all of its own checks; signatures of identity tokens too.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import { App, BASE, Person, REDIRECT, ROOT, SCOPE } from './person.mjs';

// Plain http, to this machine alone.
const options = { [oauth.allowInsecureRequests]: true };
let person, server;

before(async () => {
  person = new Person();
  const issuer = new URL(ROOT);
  server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));
});

class Client {
  static async add(kind) {
    const client = new Client();
    const { id, privateKey } = await App.add(kind);
    client.client = { client_id: id };
    client.isPublic = !privateKey;
    client.authentication = privateKey ? oauth.PrivateKeyJwt({ key: privateKey, kid: 'k1' }) : oauth.None();
    return client;
  }

  async ask() {
    const [verifier, state, nonce] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState(), oauth.generateRandomNonce()];
    const parameters = {
      client_id: this.client.client_id,
      redirect_uri: REDIRECT,
      response_type: 'code',
      scope: SCOPE,
      aud: BASE,
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    };
    const back = await person.answer(`${server.authorization_endpoint}?${new URLSearchParams(parameters)}`);
    return { verifier, state, nonce, back };
  }

  async redeem({ verifier, state, nonce, back }) {
    const answer = oauth.validateAuthResponse(server, this.client, back, state);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      this.client,
      this.authentication,
      answer,
      REDIRECT,
      verifier,
      options,
    );
    const token = await oauth.processAuthorizationCodeResponse(server, this.client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    await oauth.validateApplicationLevelSignature(server, response, options);
    return token;
  }

  async refresh(token) {
    const response = await oauth.refreshTokenGrantRequest(server, this.client, this.authentication, token, options);
    return oauth.processRefreshTokenResponse(server, this.client, response);
  }

  async introspect(token) {
    const response = await oauth.introspectionRequest(server, this.client, this.authentication, token, options);
    return oauth.processIntrospectionResponse(server, this.client, response);
  }

  async revoke(token) {
    const response = await oauth.revocationRequest(server, this.client, this.authentication, token, options);
    return oauth.processRevocationResponse(response);
  }
}

const read = ({ access_token: token, patient }) =>
  oauth.protectedResourceRequest(token, 'GET', new URL(`${BASE}/Patient/${patient}`), undefined, undefined, options);

for (const kind of ['public', 'confidential']) {
  test(`a ${kind} app reads, refreshes once and revokes`, async () => {
    const client = await Client.add(kind);
    const first = await client.redeem(await client.ask());
    const claims = oauth.getValidatedIdTokenClaims(first);
    assert.equal(claims.acr, 'http://udap.org/code/id/idial1.8');
    assert.deepEqual(claims.amr, ['http://udap.org/code/auth/aal2', 'pwd', 'otp', 'mfa']);
    assert.equal((await (await read(first)).json()).id, first.patient);
    const user = await oauth.userInfoRequest(server, client.client, first.access_token, options);
    assert.equal((await oauth.processUserInfoResponse(server, client.client, claims.sub, user)).sub, claims.sub);
    const second = await client.refresh(first.refresh_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
    if (!client.isPublic) assert.equal((await client.introspect(second.access_token)).active, true);
    await client.revoke(second.refresh_token);
    await assert.rejects(read(second), { name: 'WWWAuthenticateChallengeError' });
    await assert.rejects(client.refresh(second.refresh_token), { error: 'invalid_grant' });
  });

  test(`a ${kind} app believes no answer of another server or to another question`, async () => {
    const client = await Client.add(kind);
    const asked = await client.ask();
    await assert.rejects(client.redeem({ ...asked, state: 'another' }), { code: 'OAUTH_INVALID_RESPONSE' });
    const elsewhere = new URL(asked.back);
    elsewhere.searchParams.set('iss', 'https://elsewhere.example');
    await assert.rejects(client.redeem({ ...asked, back: elsewhere }), { code: 'OAUTH_INVALID_RESPONSE' });
    await assert.rejects(client.redeem({ ...asked, verifier: oauth.generateRandomCodeVerifier() }), { error: 'invalid_grant' });
  });
}
