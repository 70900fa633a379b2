"""fhirclient. Its models refuse whatever FHIR R4 does not know, in every answer that it reads. It reads the
CapabilityStatement first, sends `Accept-Charset`, and posts a transaction to the base with a slash at its end."""

import pytest
from fhirclient import client as smart
from fhirclient.models.bundle import Bundle
from fhirclient.models.organization import Organization
from fhirclient.models.parameters import Parameters
from fhirclient.models.patient import Patient
from fhirclient.models.relatedperson import RelatedPerson
from fhirclient.models.task import Task
from fhirclient.server import FHIRNotFoundException
from requests import HTTPError

from conftest import idi_match_request, match_request, organization, patient, related_person, task, transaction


@pytest.fixture
def server(url):
    server = smart.FHIRClient(settings={"app_id": "clients", "api_base": url}).server
    server.prepare()
    return server


def created(server, model, resource):
    return model(model(resource).create(server))


def test_the_capability_statement_is_understood(server):
    statement = server.capabilityStatement
    assert statement.fhirVersion == "4.0.1"
    assert "Patient" in [resource.type for resource in statement.rest[0].resource]


def test_each_type_is_created_and_read_back_as_sent(server, tag):
    person = patient(tag)
    reference = created(server, Patient, person).relativePath()
    table = [
        (Patient, person),
        (Organization, organization(tag)),
        (RelatedPerson, related_person(reference, tag)),
        (Task, task(reference, tag)),
    ]
    for model, resource in table:
        stored = created(server, model, resource)
        read = model.read(stored.id, server).as_json()
        assert read.pop("id") == stored.id
        assert read.pop("meta")["versionId"] == "1"
        assert read == resource


def test_an_update_makes_the_next_version(server, tag):
    stored = created(server, Patient, patient(tag))
    stored.gender = "other"
    assert Patient(stored.update(server)).meta.versionId == "2"
    assert Patient.read(stored.id, server).gender == "other"
    assert Patient.read_from(f"Patient/{stored.id}/_history/1", server).gender == "female"


def test_an_update_of_an_older_version_is_refused(server, tag):
    stored = created(server, Patient, patient(tag))
    stored.gender = "other"
    stored.update(server)
    server.session.headers["If-Match"] = 'W/"1"'
    stored.gender = "male"
    with pytest.raises(HTTPError) as refusal:
        stored.update(server)
    assert refusal.value.response.status_code == 412


def test_paging_gives_each_resource_once(server, tag):
    ids = {created(server, Patient, patient(tag, number)).id for number in range(11)}
    search = Patient.where({"family": tag, "_count": "3"})
    pages = list(search.perform_iter(server))
    assert [len(page.entry) for page in pages] == [3, 3, 3, 2]
    assert sorted(person.id for person in search.perform_resources_iter(server)) == sorted(ids)


def test_searches_are_understood(server, tag):
    for number in range(4):
        created(server, Patient, patient(tag, number))

    def count(**conditions):
        named = {name.replace("__", "-"): value for name, value in conditions.items()}
        return len(list(Patient.where({"family": tag, **named}).perform_resources_iter(server)))

    assert count() == 4
    assert count(gender={"$or": ["male", "other"]}) == 2
    assert count(given={"$exact": "Amara"}) == 1
    assert count(birthdate="ge1952") == 2
    assert count(address__city="spring") == 4
    assert count(organization={"$missing": "true"}) == 4


def test_included_resources_come_with_the_page(server, tag):
    person = created(server, Patient, patient(tag))
    created(server, RelatedPerson, related_person(person.relativePath(), tag))
    included = RelatedPerson.where({"name": tag}).include("patient").perform_resources_iter(server)
    assert [resource.resource_type for resource in included] == ["RelatedPerson", "Patient"]
    reverse = Patient.where({"family": tag}).include("patient", RelatedPerson, reverse=True).perform_resources_iter(server)
    assert [resource.resource_type for resource in reverse] == ["Patient", "RelatedPerson"]


def test_a_conditional_create_makes_one_resource(server, tag):
    server.session.headers["If-None-Exist"] = f"identifier={tag}-0"
    first, second = (created(server, Patient, patient(tag)) for _ in range(2))
    assert first.id == second.id


def test_a_deleted_resource_is_gone_and_its_history_stays(server, tag):
    stored = created(server, Patient, patient(tag))
    stored.delete(server)
    with pytest.raises(HTTPError) as refusal:
        Patient.read(stored.id, server)
    assert refusal.value.response.status_code == 410
    history = Bundle.read_from(f"Patient/{stored.id}/_history", server)
    assert [entry.response.status[:3] for entry in history.entry] == ["204", "201"]
    with pytest.raises(FHIRNotFoundException):
        Patient.read(f"{tag}-nobody", server)


def test_a_transaction_links_what_it_creates(server, tag):
    answer = Bundle(Bundle(transaction(tag)).create(server))
    assert [entry.response.status[:3] for entry in answer.entry] == ["201", "201"]
    related = next(RelatedPerson.where({"name": tag}).perform_resources_iter(server))
    person = related.patient.resolved(Patient) or Patient.read(related.patient.reference.split("/")[1], server)
    assert person.name[0].family == tag


def test_a_person_is_matched(server, tag):
    stored = created(server, Patient, patient(tag)).as_json()
    answer = Parameters(server.post_json("Patient/$idi-match", idi_match_request(stored)).json())
    assert stored["id"] in [entry.resource.id for entry in answer.parameter[0].resource.entry]
    bundle = Bundle(server.post_json("Patient/$match", match_request(stored)).json())
    assert bundle.entry[0].resource.id == stored["id"]
