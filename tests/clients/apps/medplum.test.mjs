// @medplum/core with the token of a person's app on a gated server.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { MedplumClient, OperationOutcomeError } from '@medplum/core';
import * as client from 'openid-client';
import { App, BASE, Person, REDIRECT, ROOT, SCOPE, STRANGER } from './person.mjs';

const options = { baseUrl: `${ROOT}/`, fhirUrlPath: 'fhir', cacheTime: 0 };
let token;

before(async () => {
  const { id } = await App.add('public');
  const execute = [client.allowInsecureRequests];
  const config = await client.discovery(new URL(ROOT), id, {}, client.None(), { execute });
  const [pkceCodeVerifier, expectedState] = [client.randomPKCECodeVerifier(), client.randomState()];
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT,
    scope: SCOPE,
    aud: BASE,
    state: expectedState,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  });
  token = await client.authorizationCodeGrant(config, await new Person().answer(url), { pkceCodeVerifier, expectedState });
});

const medplum = (accessToken) => new MedplumClient({ ...options, accessToken });

const refusal = async (promise) => {
  const error = await promise.then(
    () => assert.fail('was not refused'),
    (error) => error,
  );
  assert.ok(error instanceof OperationOutcomeError, error);
  return error.outcome.issue[0].code;
};

test('the own record is read and found alone', async () => {
  const own = await medplum(token.access_token).readResource('Patient', token.patient);
  const found = await medplum(token.access_token).searchResources('Patient', { family: own.name[0].family });
  assert.deepEqual(
    found.map(({ id }) => id),
    [own.id],
  );
});

test('what the token does not hold is not there or forbidden', async () => {
  const own = medplum(token.access_token);
  assert.equal(await refusal(own.readResource('Patient', STRANGER)), 'not-found');
  assert.equal(await refusal(own.searchResources('Organization')), 'forbidden');
  assert.equal(await refusal(own.updateResource(await own.readResource('Patient', token.patient))), 'forbidden');
});

test('without a token nothing is told', async () => {
  const reading = (accessToken) => medplum(accessToken).readResource('Patient', token.patient);
  assert.equal(await refusal(reading(undefined)), 'login');
  await assert.rejects(reading(`${token.access_token}x`));
});
