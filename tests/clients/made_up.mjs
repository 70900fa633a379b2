// What the tests of the JavaScript clients share: where the server is, and people that nobody else made.
//
// A tag is a name of one test alone, so that tests never meet each other's resources. It uses letters that no id can spell.

import { randomInt } from 'node:crypto';

export const URL_OF_SERVER = process.env.IDI_MATCH_URL;
export const MEMBER_NUMBERS = 'urn:oid:2.16.840.1.113883.19.5.77';
const PROFILE = 'http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0';
const GIVEN = ['Amara', 'Bruno', 'Celeste', 'Dmitri', 'Eleanor', 'Farouk', 'Gwendolyn', 'Hiroshi', 'Ingrid', 'Jamal'];

export function newTag() {
  const letters = 'ghjkmnpqrstvwxyz';
  return 'J' + Array.from({ length: 10 }, () => letters[randomInt(letters.length)]).join('');
}

const identifier = (value) => ({
  type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: 'MB' }] },
  system: MEMBER_NUMBERS,
  value,
});

/** A person of the family `tag`; each number is somebody else, and lives elsewhere than other families. */
export function patient(tag, number = 0) {
  const place = (Array.from(tag).reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 0) % 799) + number;
  const twoDigits = (value) => String(value).padStart(2, '0');
  return {
    resourceType: 'Patient',
    identifier: [identifier(`${tag}-${number}`)],
    name: [{ use: 'official', family: tag, given: [GIVEN[number % GIVEN.length], 'Zoë'] }],
    telecom: [{ system: 'phone', value: `${200 + place}-555-${1000 + number}` }],
    gender: ['female', 'male', 'other', 'unknown'][number % 4],
    birthDate: `${1950 + number}-${twoDigits(1 + (place % 12))}-${twoDigits(1 + (place % 28))}`,
    address: [{ line: [`${100 + number} ${tag} Road`], city: 'Springfield', state: 'OH', postalCode: `${45000 + place}` }],
  };
}

export function organization(tag) {
  return { resourceType: 'Organization', active: true, name: `${tag} Clinic`, identifier: [identifier(`${tag}-org`)] };
}

export function relatedPerson(reference, tag) {
  return { resourceType: 'RelatedPerson', patient: { reference }, name: [{ family: tag, given: ['Yolanda'] }] };
}

export function task(reference, tag) {
  return {
    resourceType: 'Task',
    identifier: [identifier(`${tag}-task`)],
    status: 'requested',
    intent: 'order',
    for: { reference },
  };
}

/** A Patient, and a RelatedPerson who refers to them before either has an id. */
export function transaction(tag) {
  const place = 'urn:uuid:6f1c2e0a-3b1d-4e55-9a57-0f0d9d7f1a11';
  return {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      { resource: relatedPerson(place, tag), request: { method: 'POST', url: 'RelatedPerson' } },
      { fullUrl: place, resource: patient(tag), request: { method: 'POST', url: 'Patient' } },
    ],
  };
}

/** Who is asked for: a person as they are stored, claiming a profile of the guide. */
function asked({ id, meta, ...members }) {
  return { ...members, meta: { profile: [PROFILE] } };
}

export function idiMatchRequest(stored) {
  return { resourceType: 'Parameters', parameter: [{ name: 'IDIPatient', resource: asked(stored) }] };
}

export function matchRequest(stored) {
  return { resourceType: 'Parameters', parameter: [{ name: 'resource', resource: asked(stored) }] };
}

/** What a resource is, apart from what the server adds. */
export function content({ id, meta, ...members }) {
  return members;
}
