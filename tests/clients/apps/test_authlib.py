"""Authlib. Its assertions live for an hour and name no key unless told otherwise: SMART App Launch 2.2 (asymmetric
authentication) asks for five minutes at most and a `kid`. Where it is given claims, it keeps the `jti` that it made in them,
so each request has an object of its own."""

import secrets
import time

import pytest
import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.errors import InvalidClaimError
from joserfc.jwk import ECKey, KeySet

from conftest import BASE, REDIRECT, ROOT, SCOPE, parameters


class Client:
    """An app by Authlib."""

    def __init__(self, app):
        self.metadata = OpenIDProviderMetadata(requests.get(get_well_known_url(ROOT, external=True)).json())
        self.metadata.validate()
        self.app, self.method = app, "private_key_jwt" if app.key else "none"
        self.session = OAuth2Session(
            app.client_id,
            ECKey.import_key(app.pem()) if app.key else None,
            token_endpoint_auth_method=self.method,
            revocation_endpoint_auth_method=self.method,
            scope=SCOPE,
            redirect_uri=REDIRECT,
            code_challenge_method="S256",
        )

    def authenticate(self):
        """The session signs its next request; the endpoint that it goes to is who it is for."""
        claims, header = {"exp": int(time.time()) + 60}, {"kid": "k1"}
        if self.app.key:
            self.session.register_client_auth_method(PrivateKeyJWT(claims=claims, headers=header, alg="ES384"))
        return self.session

    def ask(self, person, verifier, **changes):
        url, state = self.session.create_authorization_url(
            self.metadata["authorization_endpoint"], code_verifier=verifier, aud=BASE, **changes
        )
        return person.answer(url), state

    def redeem(self, back, state, verifier):
        endpoint = self.metadata["token_endpoint"]
        return self.authenticate().fetch_token(
            endpoint, authorization_response=back, state=state, code_verifier=verifier
        )

    def refresh(self, token):
        return self.authenticate().refresh_token(self.metadata["token_endpoint"], refresh_token=token)

    def introspect(self, token):
        """A public client has nothing to authenticate with but a token of its own."""
        own = {} if self.app.key else {"auth": self.session.token_auth}
        answer = self.authenticate().introspect_token(self.metadata["introspection_endpoint"], token=token, **own)
        return answer.json() if answer.status_code == 200 else answer.status_code

    def tokens(self, person):
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe()
        back, state = self.ask(person, verifier, nonce=nonce)
        assert parameters(back)["iss"] == self.metadata["issuer"]
        return self.redeem(back, state, verifier), nonce


def identity(client, token, nonce):
    """The claims of the identity token, judged by the library."""
    keys = KeySet.import_key_set(requests.get(client.metadata["jwks_uri"]).json())
    decoded = jwt.decode(token["id_token"], keys, algorithms=["RS256"])
    options = {"iss": {"value": ROOT}, "aud": {"value": client.app.client_id}, "acr": {"essential": True}}
    told = {"nonce": nonce, "client_id": client.app.client_id, "access_token": token["access_token"]}
    claims = CodeIDToken(decoded.claims, decoded.header, options, told)
    claims.validate()
    return claims


def test_an_app_reads_the_persons_own_record(app, person):
    client = Client(app)
    token, nonce = client.tokens(person)
    claims = identity(client, token, nonce)
    assert claims["acr"] == "http://udap.org/code/id/idial1.8"
    assert claims["amr"] == ["http://udap.org/code/auth/aal2", "pwd", "otp", "mfa"]
    with pytest.raises(InvalidClaimError, match="nonce"):
        identity(client, token, "another nonce")
    record = client.session.get(f"{BASE}/Patient/{token['patient']}")
    assert (record.status_code, claims["fhirUser"]) == (200, f"{BASE}/Patient/{token['patient']}")
    assert client.session.get(client.metadata["userinfo_endpoint"]).json()["sub"] == claims["sub"]


def test_smart_and_openid_configuration_say_the_same():
    smart = requests.get(get_well_known_url(BASE, external=True).replace("openid", "smart")).json()
    openid = requests.get(get_well_known_url(ROOT, external=True)).json()
    assert "launch-standalone" in smart["capabilities"]
    assert {name: smart[name] for name in smart.keys() & openid.keys()} == {
        name: openid[name] for name in smart.keys() & openid.keys()
    }
    assert smart.keys() - openid.keys() == {"capabilities"}


def test_a_refresh_token_is_exchanged_once(app, person):
    client = Client(app)
    first, _ = client.tokens(person)
    second = client.refresh(first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    identity(client, second, None)
    assert client.session.get(f"{BASE}/Patient/{second['patient']}").status_code == 200
    for token in (first, second):
        with pytest.raises(AuthlibBaseError, match="invalid_grant"):
            client.refresh(token["refresh_token"])
    assert client.session.get(f"{BASE}/Patient/{second['patient']}").status_code == 401


def test_tokens_are_introspected_and_revoked(app, person):
    client = Client(app)
    token, _ = client.tokens(person)
    told = client.introspect(token["access_token"])
    assert (told["active"], told["scope"], told["patient"]) == (True, SCOPE, token["patient"])
    assert client.introspect("no token") == {"active": False}
    revoked = client.authenticate().revoke_token(client.metadata["revocation_endpoint"], token=token["refresh_token"])
    assert revoked.status_code == 200
    assert client.introspect(token["access_token"]) == ({"active": False} if app.key else 401)


def test_an_answer_with_another_state_and_a_code_without_its_proof(app, person):
    client, verifier = Client(app), secrets.token_urlsafe(48)
    back, state = client.ask(person, verifier)
    with pytest.raises(AuthlibBaseError, match="mismatching_state"):
        client.redeem(back, "another state", verifier)
    with pytest.raises(AuthlibBaseError, match="invalid_grant"):
        client.redeem(back, state, secrets.token_urlsafe(48))


def test_a_person_denies(app, person):
    client = Client(app)
    url, state = client.session.create_authorization_url(
        client.metadata["authorization_endpoint"], code_verifier="x" * 43, aud=BASE
    )
    told = parameters(person.answer(url, "deny"))
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", state, ROOT)
