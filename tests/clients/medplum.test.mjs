// @medplum/core. It accepts anything beside FHIR JSON with less weight, sends `X-Medplum`, and batches reads when asked to.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MedplumClient, OperationOutcomeError } from '@medplum/core';
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

const server = new URL('.', URL_OF_SERVER).href;
const options = { baseUrl: server, fhirUrlPath: 'fhir', cacheTime: 0 };
const client = new MedplumClient(options);

const refusal = async (promise) => {
  const error = await promise.then(
    () => assert.fail('was not refused'),
    (error) => error,
  );
  assert.ok(error instanceof OperationOutcomeError, error);
  return error.outcome.issue[0].code;
};

test('each type is created and read back as sent', async () => {
  const tag = newTag();
  const reference = `Patient/${(await client.createResource(patient(tag))).id}`;
  for (const body of [patient(tag, 1), organization(tag), relatedPerson(reference, tag), task(reference, tag)]) {
    const stored = await client.createResource(body);
    const read = await client.readResource(body.resourceType, stored.id);
    assert.deepEqual(content(read), body);
    assert.equal(read.meta.versionId, '1');
  }
});

test('an update makes the next version and an older one is refused', async () => {
  const stored = await client.createResource(patient(newTag()));
  const update = (gender, version) =>
    client.updateResource({ ...stored, gender }, { headers: { 'If-Match': `W/"${version}"` } });
  assert.equal((await update('other', 1)).meta.versionId, '2');
  assert.equal(await refusal(update('male', 1)), 'conflict');
  assert.equal((await client.readVersion('Patient', stored.id, '1')).gender, 'female');
});

test('a JSON patch changes one element', async () => {
  const stored = await client.createResource(patient(newTag()));
  const patched = await client.patchResource('Patient', stored.id, [
    { op: 'test', path: '/gender', value: 'female' },
    { op: 'replace', path: '/gender', value: 'other' },
  ]);
  assert.deepEqual(content(patched), { ...content(stored), gender: 'other' });
});

test('paging gives each resource once', async () => {
  const tag = newTag();
  const people = Array.from({ length: 11 }, (_, number) => client.createResource(patient(tag, number)));
  const ids = (await Promise.all(people)).map(({ id }) => id);
  const found = [];
  let pages = 0;
  for await (const page of client.searchResourcePages('Patient', { family: tag, _count: 3 })) {
    pages += 1;
    found.push(...page.map(({ id }) => id));
  }
  assert.equal(pages, 4);
  assert.deepEqual(found.sort(), ids.sort());
});

test('searches are understood', async () => {
  const tag = newTag();
  for (const number of [0, 1, 2, 3]) await client.createResource(patient(tag, number));
  const count = async (query) => (await client.searchResources('Patient', { family: tag, ...query })).length;
  assert.equal(await count({}), 4);
  assert.equal(await count({ gender: 'male,other' }), 2);
  assert.equal(await count({ birthdate: 'lt1952' }), 2);
  assert.equal(await count({ 'given:exact': 'Amara' }), 1);
  assert.equal(await count({ identifier: `${MEMBER_NUMBERS}|${tag}-3` }), 1);
  const sorted = await client.searchResources('Patient', { family: tag, _sort: '-birthdate', _elements: 'gender' });
  assert.deepEqual(
    sorted.map(({ gender }) => gender),
    ['unknown', 'other', 'male', 'female'],
  );
  assert.equal((await client.search('Patient', { family: tag, _summary: 'count' })).total, 4);
  assert.equal((await client.searchOne('Patient', { family: tag, gender: 'other' })).birthDate.slice(0, 4), '1952');
});

test('a conditional create makes one resource', async () => {
  const tag = newTag();
  const creations = [1, 2].map(() =>
    client.createResourceIfNoneExist(patient(tag), `identifier=${MEMBER_NUMBERS}|${tag}-0`),
  );
  const [first, second] = await Promise.all(creations);
  assert.equal(first.id, second.id);
});

test('an upsert creates and then updates', async () => {
  const tag = newTag();
  const query = { identifier: `${MEMBER_NUMBERS}|${tag}-0` };
  const first = await client.upsertResource(patient(tag), query);
  const second = await client.upsertResource({ ...patient(tag), gender: 'other' }, query);
  assert.deepEqual([second.id, second.meta.versionId, second.gender], [first.id, '2', 'other']);
});

test('a deleted resource is gone and its history stays', async () => {
  const { id } = await client.createResource(patient(newTag()));
  await client.deleteResource('Patient', id);
  assert.equal(await refusal(client.readResource('Patient', id)), 'deleted');
  assert.equal(await refusal(client.readResource('Patient', 'there-is-none')), 'not-found');
  const history = await client.readHistory('Patient', id);
  assert.deepEqual(
    history.entry.map(({ response }) => response.status.slice(0, 3)),
    ['204', '201'],
  );
});

test('a transaction links what it creates', async () => {
  const tag = newTag();
  const answer = await client.executeBatch(transaction(tag));
  assert.deepEqual(
    answer.entry.map(({ response }) => response.status.slice(0, 3)),
    ['201', '201'],
  );
  const related = await client.searchOne('RelatedPerson', { name: tag });
  assert.equal((await client.readReference(related.patient)).name[0].family, tag);
});

test('reads that wait together go as one batch', async () => {
  const tag = newTag();
  const stored = await Promise.all([0, 1, 2].map((number) => client.createResource(patient(tag, number))));
  let requests = 0;
  const counting = (...request) => {
    requests += 1;
    return fetch(...request);
  };
  const batching = new MedplumClient({ ...options, autoBatchTime: 20, fetch: counting });
  const read = await Promise.all(stored.map(({ id }) => batching.readResource('Patient', id)));
  assert.deepEqual(read, stored);
  assert.equal(requests, 1);
});

test('a person is matched', async () => {
  const stored = await client.createResource(patient(newTag()));
  const { parameter } = await client.post(client.fhirUrl('Patient', '$idi-match'), idiMatchRequest(stored));
  assert.ok(parameter[0].resource.entry.some(({ resource }) => resource.id === stored.id));
  const bundle = await client.post(client.fhirUrl('Patient', '$match'), matchRequest(stored));
  assert.equal(bundle.entry[0].resource.id, stored.id);
  const outcome = await client.validateResource(content(stored));
  assert.equal(outcome.resourceType, 'OperationOutcome');
});

test('a bulk export ends with its files', async () => {
  await client.createResource(patient(newTag()));
  const manifest = await client.bulkExport('', 'Patient', undefined, {
    pollStatusOnAccepted: true,
    pollStatusPeriod: 100,
  });
  assert.ok(manifest.output.every(({ type }) => type === 'Patient'));
  const lines = await (await fetch(manifest.output[0].url)).text();
  assert.ok(lines.trim().split('\n').every((line) => JSON.parse(line).resourceType === 'Patient'));
});
