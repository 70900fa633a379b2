"""fhirpy, synchronous and asynchronous. It sends `application/json`, ends each address with `?`, pages by `link`, and
names a version in `If-None-Match` as it stands in `meta.versionId`."""

import asyncio

import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

from conftest import (
    MEMBER_NUMBERS,
    idi_match_request,
    match_request,
    organization,
    patient,
    related_person,
    task,
    transaction,
)


@pytest.fixture
def client(url):
    return SyncFHIRClient(url)


def saved(client, resource):
    """The resource as the server has stored it."""
    kind = resource["resourceType"]
    return client.resource(kind, **{key: value for key, value in resource.items() if key != "resourceType"}).save()


def test_each_type_is_created_and_read_back_as_sent(client, tag):
    person = patient(tag)
    reference = f"Patient/{saved(client, person).id}"
    for resource in (person, organization(tag), related_person(reference, tag), task(reference, tag)):
        stored = saved(client, resource)
        read = client.reference(resource["resourceType"], stored.id).to_resource().serialize()
        assert read.pop("id") == stored.id
        assert read.pop("meta")["versionId"] == "1"
        assert read == resource


def test_an_update_makes_the_next_version(client, tag):
    stored = saved(client, patient(tag))
    stored["gender"] = "other"
    stored.save()
    assert stored.meta.versionId == "2"
    assert client.reference("Patient", stored.id).to_resource().gender == "other"


def test_an_update_of_an_older_version_is_refused(url, client, tag):
    stored = saved(client, patient(tag))
    stored["gender"] = "other"
    stored.save()
    careful = SyncFHIRClient(url, extra_headers={"If-Match": 'W/"1"'})
    with pytest.raises(MultipleResourcesFound):  # what this client calls 412
        saved(careful, {**stored.serialize(), "gender": "male"})
    assert client.reference("Patient", stored.id).to_resource().meta.versionId == "2"


def test_a_refresh_of_what_has_not_changed_keeps_it(client, tag):
    stored = saved(client, patient(tag))
    before = stored.serialize()
    assert stored.refresh().serialize() == before


def test_paging_gives_each_resource_once(client, tag):
    ids = {saved(client, patient(tag, number)).id for number in range(11)}
    found = [person.id for person in client.resources("Patient").search(family=tag).limit(3)]
    assert sorted(found) == sorted(ids)


def test_searches_are_understood(client, tag):
    for number in range(4):
        saved(client, patient(tag, number))
    family = client.resources("Patient").search(family=tag)
    assert family.count() == 4
    assert family.search(birthdate__ge="1952").count() == 2
    assert [person.gender for person in family.sort("-birthdate").fetch()] == ["unknown", "other", "male", "female"]
    assert family.search(given__exact="Amara").get().gender == "female"
    assert family.elements("gender").first().get("birthDate") is None
    with pytest.raises(MultipleResourcesFound):
        family.get()


def test_included_resources_come_with_the_page(client, tag):
    person = saved(client, patient(tag))
    saved(client, related_person(f"Patient/{person.id}", tag))
    bundle = client.resources("RelatedPerson").search(name=tag).include("RelatedPerson", "patient").fetch_raw()
    assert [entry.search.mode for entry in bundle.entry] == ["match", "include"]
    assert bundle.entry[1].resource.id == person.id
    people = client.resources("Patient").search(family=tag).revinclude("RelatedPerson", "patient").fetch_raw()
    assert [entry.resource.resource_type for entry in people.entry] == ["Patient", "RelatedPerson"]


def test_a_conditional_create_makes_one_resource(url, tag):
    condition = f"identifier={MEMBER_NUMBERS}|{tag}-0"
    client = SyncFHIRClient(url, extra_headers={"If-None-Exist": condition})
    first, second = saved(client, patient(tag)), saved(client, patient(tag))
    assert first.id == second.id
    assert client.resources("Patient").search(family=tag).count() == 1


def test_criteria_in_the_address_of_a_create_are_not_passed_over(client, tag):
    searched = client.resources("Patient").search(identifier=f"{MEMBER_NUMBERS}|{tag}-0")
    with pytest.raises(OperationOutcome):  # FHIR R4 has a header for them; a second resource would be worse
        searched.get_or_create(client.resource("Patient", **patient(tag)))
    assert searched.count() == 0


def test_a_conditional_update_creates_and_then_updates(client, tag):
    by_identifier = client.resources("Patient").search(identifier=f"{MEMBER_NUMBERS}|{tag}-0")
    person = client.resource("Patient", **patient(tag))
    first, was_created = by_identifier.update(person)
    assert was_created
    person["gender"] = "other"
    second, was_created = by_identifier.update(person)
    assert not was_created
    assert (first.id, second.meta.versionId) == (second.id, "2")


def test_a_conditional_delete_deletes_the_one(client, tag):
    stored = saved(client, patient(tag))
    client.resources("Patient").search(identifier=f"{MEMBER_NUMBERS}|{tag}-0").delete()
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", stored.id).to_resource()


def test_a_deleted_resource_is_gone_and_its_history_stays(client, tag):
    stored = saved(client, patient(tag))
    stored.delete()
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", stored.id).to_resource()
    assert client.resources("Patient").search(family=tag).fetch() == []
    history = client.execute(f"Patient/{stored.id}/_history", method="get")
    assert [entry.response.status[:3] for entry in history.entry] == ["204", "201"]


def test_a_transaction_links_what_it_creates(client, tag):
    answer = client.resource("Bundle", **transaction(tag)).save()
    related, person = (entry.response.location.split("/_history/")[0] for entry in answer.entry)
    read = client.execute(related[related.index("RelatedPerson/") :], method="get")
    assert read.patient.reference == person[person.index("Patient/") :]


def test_a_person_is_matched(client, tag):
    stored = saved(client, patient(tag)).serialize()
    answer = client.resources("Patient").execute("$idi-match", data=idi_match_request(stored))
    bundle = answer.parameter[0].resource
    assert stored["id"] in [entry.resource.id for entry in bundle.entry]
    bundle = client.resources("Patient").execute("$match", data=match_request(stored))
    assert bundle.entry[0].resource.id == stored["id"]


def test_validation_says_what_is_wrong(client, tag):
    assert client.resource("Patient", **patient(tag)).is_valid()
    assert not client.resource("Patient", **{**patient(tag), "gender": "green"}).is_valid()


def test_a_refusal_is_understood(client, tag):
    with pytest.raises(OperationOutcome) as refusal:
        saved(client, {**patient(tag), "birthDate": "yesterday"})
    issue = refusal.value.resource["issue"][0]
    assert issue["expression"] == ["Patient.birthDate"]
    stored = saved(client, patient(tag))
    with pytest.raises(OperationOutcome):  # a partial resource as application/json is no patch of FHIR R4
        stored.patch(gender="other")
    assert client.reference("Patient", stored.id).to_resource().gender == "female"


def test_the_asynchronous_client_does_the_same(url, tag):
    async def journey():
        client = AsyncFHIRClient(url)
        creations = [client.resource("Patient", **patient(tag, number)).save() for number in range(7)]
        ids = {person.id for person in await asyncio.gather(*creations)}
        found = [person.id async for person in client.resources("Patient").search(family=tag).limit(2)]
        assert sorted(found) == sorted(ids)

    asyncio.run(journey())
