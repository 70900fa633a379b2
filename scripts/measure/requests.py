#!/usr/bin/env python3
"""Requests to match from labelled queries: those whose strict input weight reaches 9, claiming IDI-Patient-L0.

usage: requests.py QUERIES.ndjson OUT     (lines of METHOD, path and body, with tabs between them)

The weight is counted here by simple rules (IG Patient Matching, input weight): name 3, birth date 2, and 4 for one or
5 for two of address, email, phone, other identifier. The queries have no passport, licence or Digital Identifier.
"""
import datetime
import json
import sys

PROFILE = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0"


def has_name(patient):
    return any(name.get("family") and name.get("given") for name in patient.get("name", []))


def has_birth_date(patient):
    try:
        return bool(datetime.date.fromisoformat(patient.get("birthDate", "")))
    except ValueError:
        return False


def has_address(patient):
    return any(a.get("line") and (a.get("postalCode") or (a.get("city") and a.get("state"))) for a in patient.get("address", []))


def has_telecom(patient, system):
    return any(t.get("system") == system and t.get("value") for t in patient.get("telecom", []))


def has_identifier(patient):
    identifiers = patient.get("identifier", [])
    return any(i.get("value") and i.get("type") and (i.get("system") or i.get("assigner")) for i in identifiers)


def weight(patient):
    contacts = [has_address(patient), has_telecom(patient, "email"), has_telecom(patient, "phone"), has_identifier(patient)]
    return 3 * has_name(patient) + 2 * has_birth_date(patient) + (0, 4, 5)[min(sum(contacts), 2)]


def main(path, out_path):
    kept = total = 0
    with open(path, encoding="utf-8") as queries, open(out_path, "w", encoding="utf-8") as out:
        for line in queries:
            patient = json.loads(line)
            total += 1
            if weight(patient) < 9:
                continue
            kept += 1
            patient["meta"] = {"profile": [PROFILE]}
            request = {"resourceType": "Parameters", "parameter": [{"name": "IDIPatient", "resource": patient}]}
            out.write("POST\t/fhir/Patient/$idi-match\t" + json.dumps(request, separators=(",", ":")) + "\n")
    print(f"{kept:,} of {total:,} queries weigh enough to be asked")


if __name__ == "__main__":
    main(*sys.argv[1:])
