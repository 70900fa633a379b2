"""A tour of the server along its own CapabilityStatement, every answer parsed strictly by the models of fhir.resources:
unknown elements, wrong types and missing obligatory elements are refused, also in what a Bundle holds."""

import json
import time

import pytest
import requests
from fhir.resources.R4B import get_fhir_model_class

from conftest import (
    MEMBER_NUMBERS,
    URL,
    guide_request,
    idi_match_request,
    match_request,
    organization,
    patient,
    related_person,
    task,
    transaction,
)

FHIR_JSON = "application/fhir+json"
VALUES = {
    "token": "http://example.org|x",
    "string": "x",
    "date": "ge2020-02",
    "reference": "Patient/x",
    "uri": "http://example.org/x",
    "number": "1",
}


class Tour:
    """Asks, and parses whatever comes."""

    def __init__(self):
        self.session = requests.Session()
        self.answers = 0

    def ask(self, method, path, body=None, expected=(200,), **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            headers.setdefault("Content-Type", FHIR_JSON)
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        url = path if path.startswith("http") else f"{URL}{path}"
        answer = self.session.request(method, url, data=body, headers={"Accept": FHIR_JSON, **headers}, timeout=30)
        assert answer.status_code in expected, f"{method} {path}: {answer.status_code} {answer.text}"
        return self.parsed(answer)

    def parsed(self, answer):
        self.answers += 1
        if not answer.content:
            return None
        place = f"{answer.request.method} {answer.url}"
        assert answer.headers["Content-Type"].split(";")[0] == FHIR_JSON, place
        return parse(answer.json(), place)

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def create(self, resource):
        return self.ask("POST", f"/{resource['resourceType']}", resource, expected=(201,))


def parse(resource, place):
    """Through the model of its type. Returns what came, not the model, which would hide how it was written."""
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except ValueError as error:
        raise AssertionError(f"{place}: {error}\n{json.dumps(resource)[:2000]}") from error
    return resource


@pytest.fixture(scope="module")
def tour():
    return Tour()


@pytest.fixture(scope="module")
def served(tour):
    statement = tour.get("/metadata")
    return {resource["type"]: resource for resource in statement["rest"][0]["resource"]}


@pytest.fixture
def stored(tour, served, tag):
    """One resource of each type that can be created, by type."""
    found = {"Patient": tour.create(patient(tag))}
    reference = f"Patient/{found['Patient']['id']}"
    bodies = [
        organization(tag),
        related_person(reference, tag),
        task(reference, tag),
        {"resourceType": "Person", "name": [{"family": tag}], "link": [{"target": {"reference": reference}}]},
        {
            "resourceType": "Consent",
            "status": "active",
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": reference},
            "dateTime": "2026-02",
            "policyRule": {"text": "As agreed"},
        },
        {
            "resourceType": "Provenance",
            "target": [{"reference": reference}],
            "recorded": "2026-02-03T04:05:06Z",
            "agent": [{"who": {"display": "Registration desk"}}],
        },
    ]
    for body in bodies:
        found[body["resourceType"]] = tour.create(body)
    creatable = {name for name, kind in served.items() if "create" in interactions(kind)}
    assert creatable == set(found)
    return found


def interactions(kind):
    return {interaction["code"] for interaction in kind["interaction"]}


def one_of(tour, name):
    """Some resource of a type, from its search."""
    page = tour.get(f"/{name}?_count=1")
    return next(entry["resource"] for entry in page["entry"] if entry["search"]["mode"] == "match")


def test_every_interaction_of_every_type_answers_fhir(tour, served, stored):
    for name, kind in served.items():
        codes = interactions(kind)
        resource = stored.get(name) or one_of(tour, name)
        address = f"/{name}/{resource['id']}"
        assert tour.get(address)["id"] == resource["id"]
        if "vread" in codes:
            tour.get(f"{address}/_history/{resource['meta']['versionId']}")
        if "history-instance" in codes:
            assert tour.get(f"{address}/_history?_count=1")["type"] == "history"
        if "history-type" in codes:
            assert tour.get(f"/{name}/_history?_count=2")["type"] == "history"
        if "update" in codes:
            changed = {**resource, "language": "en-US"}
            assert tour.ask("PUT", address, changed, If_Match='W/"1"')["meta"]["versionId"] == "2"
        if "patch" in codes:
            operations = json.dumps([{"op": "replace", "path": "/language", "value": "fr-CA"}])
            patched = tour.ask("PATCH", address, operations, Content_Type="application/json-patch+json")
            assert patched["language"] == "fr-CA"
        if "delete" in codes:
            tour.ask("DELETE", address, expected=(200, 204))
            tour.ask("GET", address, expected=(410,))


def test_every_search_parameter_answers_a_bundle(tour, served):
    for name, kind in served.items():
        for parameter in kind.get("searchParam", []):
            value = VALUES[parameter["type"]]
            if parameter["name"] in ("_id", "_lastUpdated"):
                value = {"_id": "x", "_lastUpdated": "ge2020"}[parameter["name"]]
            answer = tour.ask("GET", f"/{name}?{parameter['name']}={value}", expected=(200, 400))
            assert answer["resourceType"] in ("Bundle", "OperationOutcome")
            searched = tour.ask(
                "POST",
                f"/{name}/_search",
                f"{parameter['name']}={value}",
                expected=(200, 400),
                Content_Type="application/x-www-form-urlencoded",
            )
            assert searched["resourceType"] == answer["resourceType"]


def test_every_form_of_a_page_is_whole(tour, served, stored):
    forms = ("_summary=true", "_summary=text", "_summary=data", "_summary=count", "_summary=false", "_elements=id",
             "_count=0", "_count=1", "_sort=-_lastUpdated", "_sort=_id", "_total=none", "_total=accurate", "_pretty=true",
             "_format=json", "_lastUpdated=ge2020&_lastUpdated=le2100", "no-such-parameter=1")  # fmt: skip
    for name, kind in served.items():
        stored_here = name in stored or name == "AuditEvent"
        for form in forms if stored_here else forms[-1:]:
            assert tour.get(f"/{name}?{form}")["type"] == "searchset"
        for include in kind.get("searchInclude", []):
            tour.get(f"/{name}?_include={include}")
        for include in kind.get("searchRevInclude", []):
            tour.get(f"/{name}?_revinclude={include}")
        for form in ("_summary=true", "_summary=text", "_summary=data", "_elements=id") if name in stored else ():
            tour.get(f"/{name}/{stored[name]['id']}?{form}")


def test_what_was_done_can_be_read_as_audit_events(tour, stored):
    events = tour.get("/AuditEvent?_sort=-date&_count=20")["entry"]
    matches = [entry["resource"] for entry in events if entry["search"]["mode"] == "match"]
    assert len(matches) == 20
    assert tour.get(f"/AuditEvent/{matches[0]['id']}") == matches[0]
    about = f"Patient/{stored['Patient']['id']}"
    created = tour.get(f"/AuditEvent?entity={about}&action=C")["entry"][0]["resource"]
    assert created == tour.get(f"/AuditEvent?patient={about}&subtype=create")["entry"][0]["resource"]
    assert created["meta"]["profile"][0].endswith("/IHE.BasicAudit.PatientCreate")
    assert [agent["type"]["coding"][0]["code"] for agent in created["agent"]] == ["110153", "110152"]
    # Denials are events too.
    tour.ask("GET", "/Patient/there-is-none", expected=(404,))
    refused = tour.get("/AuditEvent?outcome=4&_count=1")["entry"][0]["resource"]
    assert (refused["outcomeDesc"], "profile" in refused["meta"]) == ("not-found", False)


def test_who_looked_at_a_person_is_told_in_audit_events(tour, stored):
    person = stored["Patient"]["id"]
    before = tour.get(f"/Patient/{person}/$who-looked")["total"]
    tour.get(f"/Patient/{person}")
    looked = tour.get(f"/Patient/{person}/$who-looked")
    assert looked["total"] == before + 2, "the look at the list is one too"
    identity = tour.get(f"/Patient/{person}/$identity")["parameter"][0]["valueString"]
    by_identity = {"resourceType": "Parameters", "parameter": [{"name": "identity", "valueString": identity}]}
    assert tour.ask("POST", "/Patient/$who-looked", by_identity)["total"] > before
    assert tour.get(f"/Patient/$who-looked?identity={identity}&_count=1")["entry"][0]["resource"]["action"] == "E"


def test_bundles_of_requests_are_answered(tour, tag):
    made = tour.ask("POST", "", transaction(tag))
    assert made["type"] == "transaction-response"
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"request": {"method": "GET", "url": f"Patient?family={tag}"}},
            {"request": {"method": "GET", "url": "Patient/there-is-none"}},
            {"request": {"method": "DELETE", "url": f"RelatedPerson?name={tag}"}},
            {"request": {"method": "POST", "url": "Patient"}, "resource": patient(tag, 1)},
        ],
    }
    answer = tour.ask("POST", "/", batch)
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["200", "404", "204", "201"]
    assert answer["entry"][0]["resource"]["total"] == 1


def test_every_operation_answers_fhir(tour, served, stored):
    person = stored["Patient"]
    table = {
        "idi-match": [("POST", "/Patient/$idi-match", body) for body in (idi_match_request(person), guide_request())],
        "match": [("POST", "/Patient/$match", match_request(person))],
        "validate": [
            *(("POST", f"/{name}/$validate", resource) for name, resource in stored.items()),
            ("POST", "/Patient/$validate", {**person, "birthDate": "1/2/3"}),
        ],
        "meta": [("GET", f"/{name}/{resource['id']}/$meta", None) for name, resource in stored.items()],
        "explain-match": [
            (
                "POST",
                "/Patient/$explain-match",
                {
                    "resourceType": "Parameters",
                    "parameter": [
                        {"name": "patient", "resource": person},
                        {"name": "record", "valueReference": {"reference": f"Patient/{person['id']}"}},
                    ],
                },
            )
        ],
        "who-looked": [("GET", f"/Patient/{person['id']}/$who-looked", None)],
        "export": [],  # asynchronous: below
        "patient-export": [],
        **{name: [] for name in STEWARDSHIP},  # one after the other: below
    }
    named = {operation["name"] for kind in served.values() for operation in kind.get("operation", [])}
    assert named <= set(table), "an operation that the tour leaves out"
    for name in named:
        for method, path, body in table[name]:
            answer = tour.ask(method, path, body)
            assert answer["resourceType"] in ("Parameters", "Bundle", "OperationOutcome", "Meta")


STEWARDSHIP = {
    "merge", "unmerge", "link", "unlink", "split", "decide", "revoke", "decisions", "review-queue", "identity",
    "identity-history",
}


def test_what_stewards_ask_and_decide_is_fhir(tour, served, tag):
    named = {operation["name"] for operation in served["Patient"]["operation"]}
    assert STEWARDSHIP <= named
    one, other = (tour.create(patient(f"{tag}{letter}", 7))["id"] for letter in "xy")

    def call(operation, *parameters, expected=(200,)):
        reason = {"name": "reason", "valueString": "the papers say so"}
        body = {"resourceType": "Parameters", "parameter": [*parameters, reason]}
        return tour.ask("POST", f"/Patient/${operation}", body, expected)

    def record(name, number):
        return {"name": name, "valueReference": {"reference": f"Patient/{number}"}}

    pair = (record("patient", one), record("other-patient", other))
    merged = call("merge", record("source-patient", one), record("target-patient", other))
    assert {"input", "outcome", "result"} <= {parameter["name"] for parameter in merged["parameter"]}
    assert tour.get(f"/Patient/{one}")["link"][0]["type"] == "replaced-by"
    for path in (f"{other}/$identity", f"{other}/$identity-history", "$decisions", "$review-queue"):
        assert tour.get(f"/Patient/{path}")["resourceType"] in ("Parameters", "Bundle")
    call("unmerge", record("source-patient", one))
    assert "link" not in tour.get(f"/Patient/{one}")
    assert call("link", *pair)["resourceType"] == "Parameters"
    assert call("unlink", *pair, expected=(409,))["resourceType"] == "OperationOutcome"
    decision = tour.get("/Patient/$decisions?_count=1")["entry"][0]["resource"]
    call("revoke", {"name": "decision", "valueId": decision["id"]})
    assert call("unlink", *pair)["resourceType"] == "Parameters"
    for operation in ("split", "decide"):
        assert call(operation, expected=(400,))["resourceType"] == "OperationOutcome"


def test_an_export_holds_whole_resources(tour, stored):
    started = tour.session.get(f"{URL}/$export", headers={"Accept": FHIR_JSON, "Prefer": "respond-async"}, timeout=30)
    assert started.status_code == 202, started.text
    tour.parsed(started)
    manifest = finished(tour.session, started.headers["Content-Location"])
    counted = {}
    for file in manifest["output"]:
        lines = tour.session.get(file["url"], headers={"Accept": "application/fhir+ndjson"}, timeout=30)
        assert lines.headers["Content-Type"].split(";")[0] == "application/fhir+ndjson"
        for line in lines.text.splitlines():
            assert parse(json.loads(line), file["url"])["resourceType"] == file["type"]
            counted[file["type"]] = counted.get(file["type"], 0) + 1
    assert set(stored) <= set(counted)


def finished(session, status):
    """The manifest, once the job is done."""
    for _ in range(300):
        answer = session.get(status, headers={"Accept": "application/json"}, timeout=30)
        if answer.status_code == 200:
            assert answer.headers["Content-Type"].split(";")[0] == "application/json"
            return answer.json()
        assert answer.status_code == 202, answer.text
        time.sleep(0.1)
    raise AssertionError("the export does not end")


REFUSALS = [
    ("GET", "/Patient/there-is-none", None, {}, 404),
    ("GET", "/Patient/there-is-none/_history/1", None, {}, 404),
    ("GET", "/Patient/no_such_id", None, {}, 400),
    ("GET", "/Observation", None, {}, 404),
    ("GET", "/Patient?birthdate=yesterday", None, {}, 400),
    ("GET", "/Patient?no-such-parameter=1", None, {"Prefer": "handling=strict"}, 400),
    ("GET", "/Patient?_count=many", None, {}, 400),
    ("GET", "/Patient", None, {"Accept": "application/fhir+xml"}, 406),
    ("PUT", "/Patient", "{}", {}, 400),
    ("POST", "/metadata", "{}", {}, 405),
    ("POST", "/Patient", "not json", {}, 400),
    ("POST", "/Patient", "<Patient/>", {"Content-Type": "application/fhir+xml"}, 415),
    ("POST", "/Patient", '{"resourceType":"Patient","colour":"green"}', {}, 400),
    ("POST", "/Patient", '{"resourceType":"Observation"}', {}, 400),
    ("POST", "/Patient/$idi-match", '{"resourceType":"Parameters"}', {}, 400),
    ("POST", "/Patient/$idi-match", '{"resourceType":"Patient","gender":"male"}', {}, 422),
    ("POST", "/Patient/$no-such-operation", "{}", {}, 404),
    ("POST", "", '{"resourceType":"Bundle","type":"collection"}', {}, 400),
    ("POST", "", '{"resourceType":"Bundle","type":"transaction","entry":[{}]}', {}, 400),
    ("PUT", "/Patient/tour", '{"resourceType":"Patient","id":"other"}', {}, 400),
    ("PUT", "/Patient/tour", '{"resourceType":"Patient","id":"tour"}', {"If-Match": 'W/"7"'}, 412),
    ("DELETE", "/Patient/tour/_history/1", None, {}, 405),
    ("PATCH", "/Patient/there-is-none", "[]", {"Content-Type": "application/json-patch+json"}, 404),
    ("PATCH", "/Patient/there-is-none", "{}", {"Content-Type": "application/merge-patch+json"}, 415),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status"), REFUSALS)
def test_a_refusal_is_an_outcome(tour, method, path, body, headers, status):
    outcome = tour.ask(method, path, body, expected=(status,), **headers)
    assert outcome["resourceType"] == "OperationOutcome"
    assert all(issue["severity"] in ("error", "fatal", "warning", "information") for issue in outcome["issue"])
    assert any(issue["severity"] in ("error", "fatal") for issue in outcome["issue"])
