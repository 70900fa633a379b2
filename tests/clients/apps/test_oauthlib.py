"""oauthlib by requests-oauthlib. It signs nothing by itself: an assertion is handed to it as any other parameter of a request.
Identity tokens are not its business either; PyJWT judges them."""

import secrets
import time

import jwt
import pytest
import requests
from oauthlib.oauth2 import InvalidGrantError, MismatchingStateError, WebApplicationClient
from requests_oauthlib import OAuth2Session

from conftest import BASE, REDIRECT, ROOT, SCOPE, parameters

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Client:
    """An app by requests-oauthlib."""

    def __init__(self, app):
        self.smart = requests.get(f"{BASE}/.well-known/smart-configuration").json()
        self.app = app
        self.session = OAuth2Session(app.client_id, redirect_uri=REDIRECT, scope=SCOPE.split(), pkce="S256")

    def proof(self):
        """What authenticates a request."""
        if not self.app.key:
            return {}
        own, expires = self.app.client_id, int(time.time()) + 60
        claims = {"iss": own, "sub": own, "aud": self.smart["token_endpoint"], "exp": expires, "jti": secrets.token_hex()}
        assertion = jwt.encode(claims, self.app.pem(), algorithm="ES384", headers={"kid": "k1"})
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}

    def ask(self, person, **changes):
        url, _ = self.session.authorization_url(self.smart["authorization_endpoint"], aud=BASE, **changes)
        return person.answer(url)

    def redeem(self, back):
        proof = self.proof()
        return self.session.fetch_token(
            self.smart["token_endpoint"], authorization_response=back, include_client_id=True, **proof
        )

    def refresh(self, token):
        proof = {"client_id": self.app.client_id, **self.proof()}
        return self.session.refresh_token(self.smart["token_endpoint"], refresh_token=token, **proof)


def identity(client, token):
    key = jwt.PyJWKClient(client.smart["jwks_uri"]).get_signing_key_from_jwt(token["id_token"])
    needed = {"require": ["iss", "aud", "exp", "iat", "sub", "acr", "amr"]}
    return jwt.decode(
        token["id_token"], key, algorithms=["RS256"], audience=client.app.client_id, issuer=ROOT, options=needed
    )


def test_an_app_reads_the_persons_own_record(app, person):
    client, nonce = Client(app), secrets.token_urlsafe()
    back = client.ask(person, nonce=nonce)
    assert parameters(back)["iss"] == client.smart["issuer"]
    token = client.redeem(back)
    claims = identity(client, token)
    assert (claims["nonce"], claims["acr"]) == (nonce, "http://udap.org/code/id/idial1.8")
    assert claims["amr"] == ["http://udap.org/code/auth/aal2", "pwd", "otp", "mfa"]
    assert client.session.get(claims["fhirUser"]).json()["id"] == token["patient"]


def test_a_refresh_token_is_exchanged_once(app, person):
    client = Client(app)
    first = client.redeem(client.ask(person))
    second = client.refresh(first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    identity(client, second)
    for token in (first, second):
        with pytest.raises(InvalidGrantError):
            client.refresh(token["refresh_token"])


def test_tokens_are_revoked(app, person):
    client = Client(app)
    token = client.redeem(client.ask(person))
    own = client.session.post(client.smart["introspection_endpoint"], data={"token": token["refresh_token"]})
    assert own.json()["active"] is True
    url, headers, body = WebApplicationClient(app.client_id).prepare_token_revocation_request(
        client.smart["revocation_endpoint"], token["refresh_token"], "refresh_token", client_id=app.client_id, **client.proof()
    )
    assert requests.post(url, data=body, headers=headers).status_code == 200
    assert client.session.get(f"{BASE}/Patient/{token['patient']}").status_code == 401


def test_an_answer_with_another_state(app, person):
    client = Client(app)
    back = client.ask(person)
    with pytest.raises(MismatchingStateError):
        client.redeem(back.replace(parameters(back)["state"], "another-state"))
