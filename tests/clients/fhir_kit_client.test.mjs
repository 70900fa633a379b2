// fhir-kit-client. It posts bundles to the base with a slash at its end and calls an operation by `//` unless the base
// has none, so the base is given without one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'fhir-kit-client';
import {
  MEMBER_NUMBERS,
  URL_OF_SERVER,
  content,
  idiMatchRequest,
  matchRequest,
  newTag,
  organization,
  patient,
  relatedPerson,
  task,
  transaction,
} from './made_up.mjs';

const client = new Client({ baseUrl: URL_OF_SERVER });

const create = (body, options) => client.create({ resourceType: body.resourceType, body, options });
const status = async (promise) => {
  try {
    return Client.httpFor(await promise).response.status;
  } catch (error) {
    return error.response?.status ?? error;
  }
};

test('the capability statement lists the types', async () => {
  const statement = await client.capabilityStatement();
  assert.ok(statement.rest[0].resource.some(({ type }) => type === 'Patient'));
});

test('each type is created and read back as sent', async () => {
  const tag = newTag();
  const reference = `Patient/${(await create(patient(tag))).id}`;
  for (const body of [patient(tag, 1), organization(tag), relatedPerson(reference, tag), task(reference, tag)]) {
    const stored = await create(body);
    const { response } = Client.httpFor(stored);
    assert.equal(response.status, 201);
    assert.equal(response.headers.get('location'), `${URL_OF_SERVER}/${body.resourceType}/${stored.id}/_history/1`);
    const read = await client.read({ resourceType: body.resourceType, id: stored.id });
    assert.deepEqual(content(read), body);
    assert.equal(read.meta.versionId, '1');
  }
});

test('an update makes the next version and an older one is refused', async () => {
  const stored = await create(patient(newTag()));
  const update = (gender, version) =>
    client.update({
      resourceType: 'Patient',
      id: stored.id,
      body: { ...stored, gender },
      options: { headers: { 'If-Match': `W/"${version}"` } },
    });
  assert.equal((await update('other', 1)).meta.versionId, '2');
  assert.equal(await status(update('male', 1)), 412);
  const first = await client.vread({ resourceType: 'Patient', id: stored.id, version: '1' });
  assert.equal(first.gender, 'female');
});

test('a JSON patch changes one element', async () => {
  const stored = await create(patient(newTag()));
  const jsonPatch = [{ op: 'replace', path: '/gender', value: 'other' }];
  const patched = await client.patch({ resourceType: 'Patient', id: stored.id, jsonPatch });
  assert.deepEqual(content(patched), { ...content(stored), gender: 'other' });
});

for (const postSearch of [false, true]) {
  test(`paging gives each resource once, asked by ${postSearch ? 'POST' : 'GET'}`, async () => {
    const tag = newTag();
    const stored = await Promise.all(Array.from({ length: 11 }, (_, number) => create(patient(tag, number))));
    const found = [];
    let pages = 0;
    let bundle = await client.search({
      resourceType: 'Patient',
      searchParams: { family: tag, _count: 3 },
      options: { postSearch },
    });
    while (bundle) {
      pages += 1;
      found.push(...bundle.entry.map(({ resource }) => resource.id));
      bundle = await client.nextPage({ bundle });
    }
    assert.equal(pages, 4);
    assert.deepEqual(found.sort(), stored.map(({ id }) => id).sort());
  });
}

test('a conditional create makes one resource', async () => {
  const tag = newTag();
  const headers = { 'If-None-Exist': `identifier=${MEMBER_NUMBERS}|${tag}-0` };
  const first = await create(patient(tag), { headers });
  const second = await create(patient(tag), { headers });
  assert.equal(second.id, first.id);
  assert.equal(Client.httpFor(second).response.status, 200);
});

test('a conditional update creates and then updates', async () => {
  const tag = newTag();
  const searchParams = { identifier: `${MEMBER_NUMBERS}|${tag}-0` };
  const update = (gender) => client.update({ resourceType: 'Patient', searchParams, body: { ...patient(tag), gender } });
  const first = await update('female');
  const second = await update('other');
  assert.equal(Client.httpFor(first).response.status, 201);
  assert.deepEqual([second.id, second.meta.versionId], [first.id, '2']);
});

test('a deleted resource is gone and its history stays', async () => {
  const { id } = await create(patient(newTag()));
  assert.ok([200, 204].includes(await status(client.delete({ resourceType: 'Patient', id }))));
  assert.equal(await status(client.read({ resourceType: 'Patient', id })), 410);
  const history = await client.history({ resourceType: 'Patient', id });
  assert.deepEqual(
    history.entry.map(({ response }) => response.status.slice(0, 3)),
    ['204', '201'],
  );
  const ofType = await client.history({ resourceType: 'Patient' });
  assert.ok(ofType.entry.some(({ fullUrl }) => fullUrl.endsWith(`/Patient/${id}`)));
});

test('a transaction links what it creates', async () => {
  const answer = await client.transaction({ body: transaction(newTag()) });
  const [related, person] = answer.entry.map(({ response }) => response.location.split('/_history/')[0]);
  const id = related.split('/').at(-1);
  const read = await client.read({ resourceType: 'RelatedPerson', id });
  assert.ok(person.endsWith(read.patient.reference));
  const resolved = await client.resolve({ reference: read.patient.reference });
  assert.equal(resolved.resourceType, 'Patient');
});

test('a batch answers each request by itself', async () => {
  const stored = await create(patient(newTag()));
  const urls = [`Patient/${stored.id}`, 'Patient/there-is-none'];
  const entry = urls.map((url) => ({ request: { method: 'GET', url } }));
  const answer = await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry } });
  assert.deepEqual(
    answer.entry.map(({ response }) => response.status.slice(0, 3)),
    ['200', '404'],
  );
  assert.deepEqual(answer.entry[0].resource, stored);
});

test('a person is matched', async () => {
  const stored = await create(patient(newTag()));
  const operation = (name, input) => client.operation({ name, resourceType: 'Patient', input });
  const { parameter } = await operation('idi-match', idiMatchRequest(stored));
  assert.ok(parameter[0].resource.entry.some(({ resource }) => resource.id === stored.id));
  const bundle = await operation('match', matchRequest(stored));
  assert.equal(bundle.entry[0].resource.id, stored.id);
  const outcome = await operation('validate', content(stored));
  assert.equal(outcome.resourceType, 'OperationOutcome');
});
