"""People with accounts and apps on a gated server, for clients of OAuth and OpenID Connect as they are published.

What a browser does is done here by plain HTTP: the pages need no script. Each test's person is an account of its own, as a
one-time code counts once; all are the one person whom the server knows (`IDI_MATCH_PERSON`).
"""

import base64
import hashlib
import hmac
import html.parser
import json
import os
import secrets
import subprocess
import time
import urllib.parse

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

# Plain http, to this machine alone.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

BASE = os.environ["IDI_MATCH_URL"]
ROOT = BASE.removesuffix("/fhir")
PASSWORD = "warm rain on tin roofs"
SCOPE = "launch/patient openid fhirUser profile offline_access patient/Patient.rs"
# Nobody listens there: what would be sent is read off the answer that sends a browser on.
REDIRECT = "http://127.0.0.1:49152/callback"


def run(*arguments, text=None):
    """What the program prints."""
    command = [os.environ["IDI_MATCH_BINARY"], *arguments]
    return subprocess.run(command, input=text, check=True, text=True, stdout=subprocess.PIPE).stdout


def one_time_code(base32):
    """RFC 6238."""
    counter = (int(time.time()) // 30).to_bytes(8)
    digest = hmac.digest(base64.b32decode(base32), counter, hashlib.sha1)
    offset = digest[19] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF) % 1_000_000:06}"


class Form(html.parser.HTMLParser):
    """The first form of a page: where it goes, and what it holds."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields = None, {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form" and self.action is None:
            self.action = attributes["action"]
        if tag == "input" and attributes.get("type") == "hidden":
            self.fields.setdefault(attributes["name"], attributes["value"])


class Person:
    """Somebody with an account, before a browser without scripts."""

    def __init__(self):
        self.login = "marisol." + secrets.token_hex(6)
        verified = ["--kind", "person", "--level", "idial1.8", "--verified-on", "2026-02-03"]
        account = run("user", "add", self.login, *verified, "--attributes", os.environ["IDI_MATCH_PERSON"], "--json", text=PASSWORD)
        self.secret = json.loads(account)["totp_secret"]
        # Kept by hand: a browser counts this machine as protected and sends it cookies for https alone, requests does not.
        self.cookies = {}

    def send(self, method, url, fields=None):
        response = requests.request(method, url, data=fields, cookies=self.cookies, allow_redirects=False)
        self.cookies |= response.cookies.get_dict()
        return response

    def answer(self, url, decision="allow"):
        """The address that the browser is led to after the person's answer to an app."""
        for _ in range(10):
            response = self.send("GET", url)
            if response.status_code == 200:
                form = Form(response.text)
                typed = {"login": self.login, "password": PASSWORD, "code": one_time_code(self.secret)}
                fields = form.fields | (typed if form.action == "/sign-in" else {"decision": decision})
                response = self.send("POST", urllib.parse.urljoin(ROOT, form.action), fields)
            assert response.status_code == 303, response.text
            url = urllib.parse.urljoin(ROOT, response.headers["Location"])
            if not url.startswith(ROOT):
                return url
        raise AssertionError("led around")


class App:
    """An app that the operator has added; with `key` it signs."""

    def __init__(self, folder, kind):
        name, flags, self.key = f"Example {kind}", ["--public"], None
        if kind == "confidential":
            self.key = ec.generate_private_key(ec.SECP384R1())
            numbers = self.key.public_key().public_numbers()
            x, y = (base64.urlsafe_b64encode(number.to_bytes(48)).rstrip(b"=").decode() for number in (numbers.x, numbers.y))
            jwk = {"kty": "EC", "crv": "P-384", "x": x, "y": y, "kid": "k1", "alg": "ES384", "use": "sig"}
            (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
            flags = ["--jwks", str(folder / "jwks.json")]
        added = run("client", "add", "--name", name, *flags, "--redirect-uri", "http://127.0.0.1/callback", "--scope", SCOPE)
        self.client_id = added.strip()

    def pem(self):
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def parameters(address):
    """What an answer to an app says; nothing twice."""
    pairs = urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), address
    return dict(pairs)


@pytest.fixture(scope="module")
def person():
    return Person()


@pytest.fixture(scope="module", params=["public", "confidential"])
def app(request, tmp_path_factory):
    return App(tmp_path_factory.mktemp("app"), request.param)
