"""Who gets in, and who does not, by the Python client of docs/clients.md."""

import copy
import datetime
import json
import time
import uuid

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

PATIENT_REQUEST = "urn:oid:2.16.840.1.113883.5.8#PATRQT"
OUTCOME = "https://idi-match.example/CodeSystem/assurance-outcome"
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def new_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issue(issuer, issuer_key, uri, key):
    """A certificate with this URI."""
    builder = x509.CertificateBuilder(issuer, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Made by a test")]))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    uris = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    return builder.add_extension(uris, critical=False).sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(demo):
    certificate = x509.load_pem_x509_certificate((demo.keys / "test-ca.pem").read_bytes())
    return certificate, load_pem_private_key((demo.keys / "test-ca.key").read_bytes(), None)


@pytest.fixture
def member(demo, udap):
    """A client of the demo that is registered, and its id there."""

    def registered(name):
        client = udap.Client.from_files(demo.base, name, demo.keys)
        return client, client.register(f"Example {name}", "mailto:ops@client.example")

    return registered


@pytest.fixture
def treatment(demo):
    return json.loads((demo.keys / "treatment.json").read_text())


@pytest.fixture
def personal(demo):
    return json.loads((demo.keys / "personal.json").read_text())


@pytest.fixture
def extensions(demo):
    return json.loads((demo.keys / "personal-extensions.json").read_text())


@pytest.fixture
def for_treatment(udap):
    return udap.b2b("https://clinic.example", udap.TREATMENT)


def patients(answer):
    entries = answer["parameter"][0]["resource"]["entry"]
    return [entry["resource"]["id"] for entry in entries if entry["resource"]["resourceType"] == "Patient"]


def refusal(udap, action, *arguments, **claims):
    """Status and error of what must be refused."""
    with pytest.raises(udap.Refused) as refused:
        action(*arguments, **claims)
    return refused.value.status, refused.value.body["error"]


def missing(udap, client, token, request):
    """Status of a match that must be refused, and what was missing."""
    with pytest.raises(udap.Refused) as refused:
        client.idi_match(token, request)
    issues = refused.value.body["issue"]
    codings = [coding for issue in issues for coding in issue.get("details", {}).get("coding", [])]
    return refused.value.status, {coding["code"] for coding in codings if coding["system"] == OUTCOME}


def test_a_clinic_finds_a_person_for_treatment(member, for_treatment, treatment):
    client, client_id = member("clinic")
    token = client.token(client.assertion(client_id, for_treatment))
    assert len(patients(client.idi_match(token, treatment))) == 1


def test_an_app_finds_the_person_who_has_signed_in(member, extensions, personal):
    client, client_id = member("app")
    token = client.token(client.assertion(client_id, extensions))
    assert len(patients(client.idi_match(token, personal))) == 1


def test_an_assertion_that_has_expired(udap, member, for_treatment):
    client, client_id = member("clinic")
    now = int(time.time())
    assertion = client.assertion(client_id, for_treatment, iat=now - 500, exp=now - 200)
    assert refusal(udap, client.token, assertion) == (400, "invalid_client")


def test_an_assertion_for_another_server(udap, member, for_treatment):
    client, client_id = member("clinic")
    assertion = client.assertion(client_id, for_treatment, aud="https://elsewhere.example/oauth/token")
    assert refusal(udap, client.token, assertion) == (400, "invalid_client")


def test_a_certificate_of_an_authority_that_nobody_knows(demo, udap, member, for_treatment):
    client, client_id = member("clinic")
    key, authority_key = new_key(), new_key()
    stranger = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stranger")])
    chain = [issue(stranger, authority_key, client.uri, key)]
    other = udap.Client(demo.base, chain, pem(key), client.anchors, client.crls)
    refused = refusal(udap, other.register, "Stranger", "mailto:ops@client.example")
    assert refused == (400, "unapproved_software_statement")
    assert refusal(udap, other.token, other.assertion(client_id, for_treatment)) == (400, "invalid_client")


def test_a_certificate_that_was_revoked_before_the_registration(demo, udap):
    client = udap.Client.from_files(demo.base, "revoked", demo.keys)
    refused = refusal(udap, client.register, "Revoked", "mailto:ops@client.example")
    assert refused == (400, "unapproved_software_statement")


def test_a_certificate_that_is_revoked_after_the_registration(demo, udap, authority, extensions):
    certificate, key = authority
    own = new_key()
    leaf = issue(certificate.subject, key, f"https://late.example/{uuid.uuid4()}", own)
    client = udap.Client(demo.base, [leaf], pem(own), [certificate])
    client_id = client.register("Late", "mailto:ops@client.example")
    client.token(client.assertion(client_id, extensions))
    before = x509.load_pem_x509_crl((demo.keys / "test-ca.crl").read_bytes())
    builder = x509.CertificateRevocationListBuilder(certificate.subject, NOW, NOW + DAY)
    for serial in [leaf.serial_number, *(revoked.serial_number for revoked in before)]:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
        builder = builder.add_revoked_certificate(entry)
    number = before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    builder = builder.add_extension(x509.CRLNumber(number + 1), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    crl = builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())
    (demo.keys / "test-ca.crl").write_bytes(crl.public_bytes(Encoding.PEM))
    for _ in range(600):
        try:
            client.token(client.assertion(client_id, extensions))
            time.sleep(0.1)
        except udap.Refused as refused:
            assert (refused.status, refused.body["error"]) == (400, "invalid_client")
            return
    raise AssertionError("the list is not read")


def test_a_token_request_without_the_extension_that_is_required(udap, member, extensions):
    client, client_id = member("app")
    del extensions["hl7-b2b"]
    for without in ({}, extensions):
        assert refusal(udap, client.token, client.assertion(client_id, without)) == (400, "invalid_grant")


def test_a_persons_request_that_does_not_say_who_has_signed_in(udap, member, extensions, personal):
    client, client_id = member("app")
    del extensions["hl7-b2b-user"]
    status, codes = missing(udap, client, client.token(client.assertion(client_id, extensions)), personal)
    assert (status, "statement" in codes) == (403, True), codes


def test_a_persons_request_of_weight_9(udap, member, extensions, personal):
    client, client_id = member("app")
    patient = personal["parameter"][0]["resource"]
    patient["meta"]["profile"] = [patient["meta"]["profile"][0].replace("L1", "L0")]
    patient["telecom"] = [contact for contact in patient["telecom"] if contact["system"] == "phone"]
    for name in ("identifier", "address"):
        patient.pop(name, None)
    status, codes = missing(udap, client, client.token(client.assertion(client_id, extensions)), personal)
    assert (status, codes >= {"weight", "profile"}) == (403, True), (status, codes)


def test_a_person_whom_the_community_knows_at_idial_1_5_and_aal_1_only(udap, member, extensions, personal):
    client, client_id = member("newcomer")
    status, codes = missing(udap, client, client.token(client.assertion(client_id, extensions)), personal)
    assert (status, codes) == (403, {"authentication-level", "identity-level"})


def test_an_app_that_asks_for_treatment(udap, member, for_treatment, treatment):
    client, client_id = member("app")
    status, codes = missing(udap, client, client.token(client.assertion(client_id, for_treatment)), treatment)
    assert (status, codes) == (403, {"entity-type"})


def test_a_persons_request_that_says_more_than_the_token_does(udap, member, extensions, personal):
    client, client_id = member("app")
    number = {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}}
    number.update(system="urn:oid:2.16.840.1.113883.19.5.3", value="5321627572")
    personal["parameter"][0]["resource"]["identifier"] = [number]
    status, codes = missing(udap, client, client.token(client.assertion(client_id, extensions)), personal)
    assert (status, codes) == (403, {"attribute"})


def test_a_person_who_asks_for_somebody_else_finds_nobody(member, extensions, personal):
    client, client_id = member("app")
    user = copy.deepcopy(extensions["hl7-b2b-user"]["user_person"])
    user.update(birthDate="1971-03-04", name=[{"family": "Elsewhere", "given": ["Quentin"]}])
    extensions["hl7-b2b-user"]["user_person"] = user
    token = client.token(client.assertion(client_id, extensions))
    assert patients(client.idi_match(token, personal)) == []


def test_an_assertion_is_used_once_here_at_a_second_instance_and_after_kill_9(demo, udap, member, for_treatment):
    client, client_id = member("clinic")
    assertion = client.assertion(client_id, for_treatment)
    client.token(assertion)
    assert refusal(udap, client.token, assertion) == (400, "invalid_client")
    endpoint = client.metadata["token_endpoint"]
    port = demo.port
    own = f"http://127.0.0.1:{port}"
    client.metadata["token_endpoint"] = endpoint.replace(own, demo.serve())
    assert refusal(udap, client.token, assertion) == (400, "invalid_client")
    demo.kill()
    demo.serve(port)
    client.metadata["token_endpoint"] = endpoint
    assert refusal(udap, client.token, assertion) == (400, "invalid_client")
    client.token(client.assertion(client_id, for_treatment))
