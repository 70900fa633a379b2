#!/usr/bin/env python3
"""What happens to the people of a schema fixture: written over HTTP, and a file to load.

usage: schema-fixture.py ADDRESS LOAD.ndjson
       schema-fixture.py --check REVIEWS
The last ends with 1 when there is no review: then the people below need another namesake.
"""
import http.client
import json
import sys

MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
HOSPITALS = ["urn:oid:2.16.840.1.113883.19.5", "https://clinic.example/records"]
# Given, family, gender, birth date, street, city, state, postal code, phone.
PEOPLE = [
    ("Amelia", "Abernathy", "female", "1931-02-03", "112 Dombrowski Street", "Albany", "NY", "12211", "(312) 200-1357"),
    ("Bruno", "Blackwood", "male", "1960-07-16", "135 Hollingsworth Street", "Boise", "ID", "83712", "(312) 237-1374"),
    ("Cordelia", "Castellano", "female", "1989-12", "158 Lindqvist Street", "Columbus", "OH", "43213", "(312) 274-1391"),
    ("Desmond", "Dombrowski", "male", "2001-06-11", "181 Papadopoulos Street", "Denver", "CO", "80214", "(312) 311-1408"),
    ("Zoë", "Müller-Łukasiewicz", "female", "1974", "204 Thorvaldsen Street", "Eugene", "OR", "97415", "(312) 348-1425"),
    ("Fergus", "Fitzgerald", "male", "1948-05-21", "227 Blackwood Street", "Albany", "NY", "12216", "(312) 385-1442"),
]


def patient(name, number, hospital=0):
    given, family, gender, born, line, city, state, zip_code, phone = PEOPLE[number]
    return {
        "resourceType": "Patient", "id": name, "meta": {"source": HOSPITALS[hospital]},
        "identifier": [{"type": MR, "system": HOSPITALS[hospital], "value": f"MR{1234567 + number * 7919 + hospital}"}],
        "active": True,
        "name": [{"use": "official", "family": family, "given": [given]}],
        "telecom": [{"system": "phone", "value": phone}],
        "gender": gender, "birthDate": born,
        "address": [{"use": "home", "line": [line], "city": city, "state": state, "postalCode": zip_code}],
    }


def organization(name, text, **more):
    return {"resourceType": "Organization", "id": name, "name": text, **more}


def requests():
    """Method and resource, in order."""
    yield "PUT", organization("county", "Example County Health", active=True)
    yield "PUT", organization("clinic", "Clinic at the Bridge", partOf={"reference": "Organization/county"})
    yield "PUT", organization("closed", "Closed Clinic")
    yield "PUT", organization("clinic", "Clinic at the Old Bridge", partOf={"reference": "Organization/county"})
    for number in range(len(PEOPLE)):
        yield "PUT", patient(f"person-{number}", number)
    # The same person at another hospital joins; what came back after a move is another version.
    yield "PUT", patient("person-0-clinic", 0, 1)
    yield "PUT", {**patient("person-1", 1), "telecom": [{"system": "email", "value": "bruno@post.example"}]}
    yield "PUT", {**patient("person-1", 1), "managingOrganization": {"reference": "Organization/clinic"}}
    # Several names and identifiers, numbers as written, an extension.
    rich = patient("rich", 3, 1)
    rich["identifier"] += [{"system": "urn:example:card", "value": f"card-{n}"} for n in range(4)] + [{"value": "bare"}]
    rich["name"] = [{"family": "Oppenheimer", "given": ["Desmond", "José"]}, {"use": "old", "family": "Nakamura"}]
    rich["birthDate"] = "1999-01-31"
    rich["extension"] = [{"url": "https://clinic.example/height", "valueDecimal": 1.80}]
    yield "PUT", rich
    # Deleted, and deleted and written again.
    yield "DELETE", organization("closed", "")
    yield "DELETE", patient("person-5", 5)
    yield "DELETE", patient("person-2", 2)
    yield "PUT", patient("person-2", 2)
    # Replaced by another record.
    merged = patient("person-3-old", 3)
    merged["identifier"][0]["value"] = "MR0000003"
    merged["link"] = [{"type": "replaced-by", "other": {"reference": "Patient/person-3"}}]
    yield "PUT", merged
    # Likely the same as person-3, and not beyond doubt: a review.
    namesake = patient("namesake", 3, 1)
    namesake["identifier"] = []
    namesake["telecom"] = [{"system": "phone", "value": "(503) 555-0187"}]
    namesake["address"] = [{"line": ["9 Harbour Road"], "city": "Salem", "state": "OR", "postalCode": "97301"}]
    del namesake["identifier"]
    yield "PUT", namesake


def send(connection, method, path, body):
    connection.request(method, path, body, {"Content-Type": "application/fhir+json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status} {text}")


def main(address, load_file):
    connection = http.client.HTTPConnection(address, timeout=30)
    for method, resource in requests():
        path = f"/fhir/{resource['resourceType']}/{resource['id']}"
        send(connection, method, path, json.dumps(resource, ensure_ascii=False).encode() if method == "PUT" else None)
    send(connection, "GET", "/fhir/Patient?family=abernathy", None)
    query = {key: value for key, value in patient("query", 0).items() if key != "id"}
    query["meta"] = {"profile": ["http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0"]}
    ask = {"resourceType": "Parameters", "parameter": [{"name": "IDIPatient", "resource": query}]}
    send(connection, "POST", "/fhir/Patient/$idi-match", json.dumps(ask).encode())
    with open(load_file, "w", encoding="utf-8") as out:
        for number in (1, 4):
            out.write(json.dumps(patient(f"loaded-{number}", number, 1), ensure_ascii=False) + "\n")
        out.write("not a resource\n")


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        sys.exit(0 if int(sys.argv[2]) > 0 else "no review came up")
    main(*sys.argv[1:])
