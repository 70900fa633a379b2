"""fhirpy with the token of a person's app on a gated server."""

import asyncio
import json
import os

import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, ForbiddenError, ResourceNotFound

import test_oauthlib
from conftest import BASE


@pytest.fixture(scope="module")
def token(app, person):
    client = test_oauthlib.Client(app)
    return client.redeem(client.ask(person))


@pytest.fixture
def client(token):
    return SyncFHIRClient(BASE, authorization=f"Bearer {token['access_token']}")


def code(refused):
    return json.loads(str(refused.value))["issue"][0]["code"]


def test_the_own_record_is_read_and_found_alone(client, token):
    own = client.reference("Patient", token["patient"]).to_resource()
    assert own.id == token["patient"]
    assert [found.id for found in client.resources("Patient").search(family=own.name[0].family)] == [own.id]
    assert [found.id for found in client.resources("Patient").fetch_all()] == [own.id]


def test_another_record_is_not_there(client):
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", os.environ["IDI_MATCH_STRANGER"]).to_resource()


def test_what_the_scopes_do_not_hold_is_forbidden(client, token):
    own = client.reference("Patient", token["patient"]).to_resource()
    own["gender"] = "other"
    for refuse in (client.resources("Organization").fetch, own.save):
        with pytest.raises(ForbiddenError) as refused:
            refuse()
        assert code(refused) == "forbidden"


def test_without_a_token_nothing_is_told(token):
    for authorization in (None, "Bearer no-token"):
        stranger = SyncFHIRClient(BASE, authorization=authorization)
        with pytest.raises(AuthorizationError) as refused:
            stranger.reference("Patient", token["patient"]).to_resource()
        assert code(refused) == "login"


def test_the_asynchronous_client_does_the_same(token):
    async def journey():
        client = AsyncFHIRClient(BASE, authorization=f"Bearer {token['access_token']}")
        assert [found.id async for found in client.resources("Patient")] == [token["patient"]]

    asyncio.run(journey())
