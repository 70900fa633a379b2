#!/usr/bin/env python3
"""Requests of one kind about a made-up population, each about another person.

usage: rest_requests.py read|search|create|update|mixed REQUESTS PATIENTS.ndjson NEWCOMERS.ndjson OUT
Lines of METHOD, path and body, with tabs between them. `create` sends newcomers, once each; `mixed` is 5 of 10 reads, 2
searches, a match, an update, and a creation or deletion.
"""
import json
import random
import sys
import urllib.parse

PROFILE = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0"
random.seed(1)
kind, count, patients_file, newcomers_file, out_file = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]


def people(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


patients, newcomers = people(patients_file), people(newcomers_file)


def read(patient, _):
    return "GET", f"/fhir/Patient/{patient['id']}", None


def search(patient, number):
    name = patient.get("name", [{}])[0]
    ways = [{"family": name.get("family"), "birthdate": patient.get("birthDate")}]
    ways += [{"identifier": f"{i['system']}|{i['value']}"} for i in patient.get("identifier", []) if "system" in i and "value" in i]
    way = {key: value for key, value in ways[number % len(ways)].items() if value} or {"_id": patient["id"]}
    return "GET", "/fhir/Patient?" + urllib.parse.urlencode(way), None


def create(_, number):
    newcomer = {key: value for key, value in newcomers[number % len(newcomers)].items() if key != "id"}
    return "POST", "/fhir/Patient", newcomer


def update(patient, number):
    return "PUT", f"/fhir/Patient/{patient['id']}", {**patient, "multipleBirthInteger": 1 + number % 9}


def match(patient, _):
    asked = {**patient, "meta": {"profile": [PROFILE]}}
    return "POST", "/fhir/Patient/$idi-match", {"resourceType": "Parameters", "parameter": [{"name": "IDIPatient", "resource": asked}]}


def delete(_, number):
    return "DELETE", f"/fhir/Patient/{patients[number * 17 % len(patients)]['id']}", None


MIX = [read, search, read, update, read, match, read, search, read]


def mixed(patient, number):
    how = number % 10
    if how < len(MIX):
        return MIX[how](patient, number)
    return (delete if number % 100 == 99 else create)(patient, number)


make = {"read": read, "search": search, "create": create, "update": update, "mixed": mixed}[kind]
with open(out_file, "w", encoding="utf-8") as out:
    for number in range(min(count, len(newcomers)) if kind == "create" else count):
        method, path, body = make(random.choice(patients), number)
        out.write(f"{method}\t{path}\t{json.dumps(body, separators=(',', ':')) if body else ''}\n")
