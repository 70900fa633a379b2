"""The client's side of `scripts/measure/gate`: a community of its own, a UDAP client in it, and its assertions.

gate.py pki DIR BASE CRL-URL | register DIR BASE | token DIR BASE | assertions DIR BASE COUNT | silent FILE
"""

import base64
import datetime
import json
import os
import pathlib
import socket
import sys
import time
import urllib.parse
import urllib.request
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

CLIENT = "https://client.example/gate"
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, issuer_key, extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=2))
    for extension, critical in extensions:
        made = made.add_extension(extension, critical)
    return made.sign(issuer_key, hashes.SHA256())


def usage(sign, issue):
    values = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"], False
    )
    return x509.KeyUsage(digital_signature=sign, key_cert_sign=issue, crl_sign=issue, **values), True


def leaf(uri):
    return [
        (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False),
        usage(True, False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
    ]


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def pki(folder, base, crl_url):
    folder.mkdir(exist_ok=True)
    keys = [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())]
    authority = certificate(
        "measured", keys[0], "measured", keys[0], [(x509.BasicConstraints(ca=True, path_length=None), True), usage(False, True)]
    )
    server = certificate("server", keys[1], "measured", keys[0], leaf(f"{base}/fhir"))
    client = certificate("client", keys[2], "measured", keys[0], leaf(CLIENT))
    now = datetime.datetime.now(datetime.timezone.utc)
    crl = x509.CertificateRevocationListBuilder().issuer_name(name("measured")).last_update(now - datetime.timedelta(hours=1))
    crl = crl.next_update(now + datetime.timedelta(days=1)).add_extension(x509.CRLNumber(1), False)
    crl = crl.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), False)
    crl = crl.sign(keys[0], hashes.SHA256())
    der = serialization.Encoding.PEM
    files = {"ca.pem": authority.public_bytes(der), "server.pem": server.public_bytes(der), "server.key": pem(keys[1])}
    files |= {"client.pem": client.public_bytes(der), "client.key": pem(keys[2]), "ca.crl": crl.public_bytes(der)}
    for file, content in files.items():
        (folder / file).write_bytes(content)
        os.chmod(folder / file, 0o600)
    urls = f'crl_urls = ["{crl_url}"]\n' if crl_url else ""
    text = f"""
[[communities]]
name = "measured"
uri = "urn:oid:2.999.7"
default = true
anchors = ["{folder}/ca.pem"]
crls = ["{folder}/ca.crl"]
{urls}server_cert = "{folder}/server.pem"
server_key = "{folder}/server.key"
purposes = ["TREAT"]
scopes = ["system/Patient.rs"]
identity_assurance = "IDIAL1.8"
authentication_assurance = "AAL2"
entity_type = "covered-entity"

[budgets]
# One client is all the load, and asks for the same people again and again.
client_requests_per_minute = 10000000
client_failures_per_hour = 100000000
organization_requests_per_minute = 10000000
organization_failures_per_hour = 100000000
subject_failures_max = 1000000
subject_failures_all_max = 1000000
"""
    if crl_url:
        text += f'\n[outbound]\nnetworks = "127.0.0.0/8"\nports = "80, 443, {urllib.parse.urlsplit(crl_url).port}"\n'
    (folder / "idi-match.toml").write_text(text)


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Signer:
    def __init__(self, folder):
        self.key = serialization.load_pem_private_key((folder / "client.key").read_bytes(), None)
        der = x509.load_pem_x509_certificate((folder / "client.pem").read_bytes()).public_bytes(serialization.Encoding.DER)
        header = {"alg": "ES256", "typ": "JWT", "x5c": [base64.b64encode(der).decode()]}
        self.header = encoded(json.dumps(header).encode())

    def sign(self, claims):
        signed = self.header + b"." + encoded(json.dumps(claims).encode())
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return (signed + b"." + encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()


def times():
    now = int(time.time())
    return {"iat": now, "exp": now + 290, "jti": str(uuid.uuid4())}


def post(url, body, kind):
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error.code} {error.read().decode()}")


def register(folder, base):
    claims = {
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": f"{base}/oauth/register",
        "client_name": "Measured",
        "contacts": ["mailto:ops@client.example"],
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": "system/Patient.rs",
        **times(),
    }
    body = json.dumps({"software_statement": Signer(folder).sign(claims), "udap": "1"}).encode()
    (folder / "client_id").write_text(post(f"{base}/oauth/register", body, "application/json")["client_id"])


def form(signer, client_id, base):
    b2b = {"version": "1", "organization_id": "https://organization.example", "organization_name": "Example"}
    b2b["purpose_of_use"] = ["urn:oid:2.16.840.1.113883.5.8#TREAT"]
    claims = {"iss": client_id, "sub": client_id, "aud": f"{base}/oauth/token", "extensions": {"hl7-b2b": b2b}, **times()}
    return urllib.parse.urlencode(
        {
            "grant_type": "client_credentials",
            "client_assertion_type": BEARER,
            "client_assertion": signer.sign(claims),
            "scope": "system/Patient.rs",
            "udap": "1",
        }
    )


def token(folder, base):
    body = form(Signer(folder), (folder / "client_id").read_text(), base).encode()
    print(post(f"{base}/oauth/token", body, "application/x-www-form-urlencoded")["access_token"])


def assertions(folder, base, count):
    signer, client_id = Signer(folder), (folder / "client_id").read_text()
    for _ in range(count):
        print(f"POST\t/oauth/token\t{form(signer, client_id, base)}")


def silent(file):
    listener = socket.create_server(("127.0.0.1", 0))
    file.write_text(str(listener.getsockname()[1]))
    taken = []
    while True:
        taken.append(listener.accept())


if __name__ == "__main__":
    what, folder, *rest = sys.argv[1], pathlib.Path(sys.argv[2]), *sys.argv[3:]
    if what == "pki":
        pki(folder, *rest)
    elif what == "register":
        register(folder, *rest)
    elif what == "token":
        token(folder, *rest)
    elif what == "assertions":
        assertions(folder, rest[0], int(rest[1]))
    elif what == "silent":
        silent(folder)
