"""What the tests of the Python clients share: where the server is, and people that nobody else made.

The people are made up. A tag is a name of one test alone, so that tests never meet each other's resources. It uses
letters that no id can spell.
"""

import json
import os
import pathlib
import secrets
import zlib

import pytest

URL = os.environ["IDI_MATCH_URL"]
GUIDE = "http://hl7.org/fhir/us/identity-matching"
MEMBER_NUMBERS = "urn:oid:2.16.840.1.113883.19.5.77"


@pytest.fixture
def url():
    return URL


@pytest.fixture
def tag():
    return "".join(secrets.choice("ghjkmnpqrstvwxyz") for _ in range(10)).capitalize()


def identifier(value):
    return {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MB"}]},
        "system": MEMBER_NUMBERS,
        "value": value,
    }


def patient(tag, number=0):
    """A person of the family `tag`; each number is somebody else, and lives elsewhere than other families."""
    place = zlib.crc32(tag.encode()) % 800 + number
    return {
        "resourceType": "Patient",
        "active": True,
        "identifier": [identifier(f"{tag}-{number}")],
        "name": [{"use": "official", "family": tag, "given": [GIVEN[number % len(GIVEN)], "Zoë"]}],
        "telecom": [
            {"system": "phone", "value": f"{200 + place}-555-{1000 + number:04}", "use": "mobile"},
            {"system": "email", "value": f"{tag.lower()}.{number}@post.example"},
        ],
        "gender": ("female", "male", "other", "unknown")[number % 4],
        "birthDate": f"{1950 + number}-{1 + place % 12:02}-{1 + place % 28:02}",
        "address": [
            {
                "use": "home",
                "line": [f"{100 + number} {tag} Road"],
                "city": "Springfield",
                "state": "OH",
                "postalCode": f"{45000 + place}",
            }
        ],
        "extension": [{"url": "http://example.org/fhir/StructureDefinition/shoe-size", "valueDecimal": 7.5}],
    }


GIVEN = ("Amara", "Bruno", "Celeste", "Dmitri", "Eleanor", "Farouk", "Gwendolyn", "Hiroshi", "Ingrid", "Jamal", "Kirsten")


def organization(tag):
    return {
        "resourceType": "Organization",
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": f"{tag}-npi"}],
        "active": True,
        "name": f"{tag} Clinic",
        "telecom": [{"system": "phone", "value": "212-555-0100"}],
    }


def related_person(patient_reference, tag):
    return {
        "resourceType": "RelatedPerson",
        "identifier": [identifier(f"{tag}-related")],
        "patient": {"reference": patient_reference},
        "name": [{"family": tag, "given": ["Yolanda"]}],
    }


def task(patient_reference, tag):
    return {
        "resourceType": "Task",
        "identifier": [{"system": "urn:oid:2.16.840.1.113883.19.5.78", "value": f"{tag}-task"}],
        "status": "requested",
        "intent": "order",
        "for": {"reference": patient_reference},
        "authoredOn": "2026-03-01T09:30:00-05:00",
    }


def transaction(tag):
    """A Patient, and a RelatedPerson who refers to them before either has an id."""
    place = "urn:uuid:6f1c2e0a-3b1d-4e55-9a57-0f0d9d7f1a11"
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:9a7dcb7e-7f0e-4b68-8f55-64f7d3f3b6a2",
                "resource": related_person(place, tag),
                "request": {"method": "POST", "url": "RelatedPerson"},
            },
            {
                "fullUrl": place,
                "resource": patient(tag),
                "request": {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={MEMBER_NUMBERS}|{tag}-0"},
            },
        ],
    }


def asked(stored):
    """Who is asked for: a person as they are stored, claiming a profile of the guide."""
    member = {key: value for key, value in stored.items() if key not in ("id", "meta", "extension")}
    return {**member, "meta": {"profile": [f"{GUIDE}/StructureDefinition/IDI-Patient-L0"]}}


def idi_match_request(stored):
    return {"resourceType": "Parameters", "parameter": [{"name": "IDIPatient", "resource": asked(stored)}]}


def match_request(stored):
    """The request of base FHIR."""
    count = {"name": "count", "valueInteger": 5}
    return {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": asked(stored)}, count]}


def guide_request():
    path = pathlib.Path(os.environ["IDI_MATCH_FIXTURES"], "guide", "request-l1.json")
    return json.loads(path.read_text(encoding="utf-8"))
