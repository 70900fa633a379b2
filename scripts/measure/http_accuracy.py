#!/usr/bin/env python3
"""Every query of a labelled population through $idi-match of a running server; the answers become result lines that
`idi-match evaluate` counts. Latency is that of whole requests. Certain candidates that are somebody else are listed by kind.

usage: http_accuracy.py URL DIR OUT.ndjson [CONNECTIONS [PROFILE]]     PROFILE: L0, or none
Standard library only.
"""
import collections
import csv
import http.client
import json
import pathlib
import queue
import sys
import threading
import time
import urllib.parse

from requests import PROFILE, weight

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
PROBABILITY = "StructureDefinition/match-probability"


def request_body(patient, profile):
    """Parameters with the query; a profile is claimed where the weight suffices, else none is."""
    patient = {name: value for name, value in patient.items() if name != "meta"}
    if profile == "L0" and weight(patient) >= 9:
        patient["meta"] = {"profile": [PROFILE]}
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "IDIPatient", "resource": patient}]}
    return json.dumps(parameters, separators=(",", ":")).encode()


def extension(entry, url):
    return next((one for one in entry["search"].get("extension", []) if one["url"].endswith(url)), {})


def bundle_of(answer):
    if answer.get("resourceType") == "Parameters":
        return answer["parameter"][0]["resource"]
    return answer


def candidates(bundle):
    """Identities in the order of the answer: records that link to each other are one."""
    found = []
    for entry in bundle.get("entry", []):
        if entry["search"]["mode"] != "match":
            continue
        patient = entry["resource"]
        links = {link["other"].get("reference", "").rsplit("/", 1)[-1] for link in patient.get("link", [])}
        for candidate in found:
            if patient["id"] in candidate["links"] or links & set(candidate["records"]):
                candidate["records"].append(patient["id"])
                candidate["links"] |= links
                break
        else:
            grade, probability = extension(entry, GRADE).get("valueCode", ""), extension(entry, PROBABILITY).get("valueDecimal", 0)
            score = entry["search"].get("score", 0)
            found.append({"identity": "", "records": [patient["id"]], "score": score, "grade": grade, "probability": probability, "links": links})
    for candidate in found:
        del candidate["links"]
    return found


class Asker(threading.Thread):
    def __init__(self, address, profile, lines, results):
        super().__init__(daemon=True)
        self.address, self.profile, self.lines, self.results = address, profile, lines, results
        self.fault = None

    def run(self):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            while (line := self.lines.get()) is not None:
                patient = json.loads(line)
                body = request_body(patient, self.profile)
                started = time.perf_counter()
                connection.request("POST", "/fhir/Patient/$idi-match", body, {"Content-Type": "application/fhir+json"})
                answer = connection.getresponse()
                text = answer.read()
                took = time.perf_counter() - started
                found = candidates(bundle_of(json.loads(text))) if answer.status == 200 else []
                self.results.put((patient["id"], answer.status, took, found))
        except Exception as error:  # told by the main thread
            self.fault = error
            self.results.put(None)


def asked(address, directory, connections, profile):
    lines, results = queue.Queue(), queue.Queue()
    askers = [Asker(address, profile, lines, results) for _ in range(connections)]
    for asker in askers:
        asker.start()
    sent = done = 0
    with open(directory / "queries.ndjson", encoding="utf-8") as queries:
        for line in queries:
            lines.put(line)
            sent += 1
            while not results.empty():
                done += 1
                yield told(results.get(), askers)
    for _ in askers:
        lines.put(None)
    for _ in range(sent - done):
        yield told(results.get(), askers)


def told(result, askers):
    if result is None:
        sys.exit(f"the server cannot be asked: {next(asker.fault for asker in askers if asker.fault)}")
    return result


def read_people(path, wanted):
    with open(path, encoding="utf-8") as file:
        return {patient["id"]: patient for patient in map(json.loads, file) if patient["id"] in wanted}


def shared(patient):
    """What a household shares: street line with postal code, phones, member numbers, email."""
    values = {("telecom", one.get("value")) for one in patient.get("telecom", [])}
    for one in patient.get("address", []):
        values |= {("address", " ".join(one["line"]).upper(), one.get("postalCode")) for _ in [0] if one.get("line")}
    for one in patient.get("identifier", []):
        codes = {coding.get("code") for coding in one.get("type", {}).get("coding", [])}
        values |= {("member", one.get("value")) for _ in [0] if "MB" in codes}
    return values


def kind(row, own, other):
    if row["kind"] != "match":
        return row["kind"].removeprefix("absent_").replace("random", "stranger")
    if not own or not other or not shared(own) & shared(other):
        return "stranger"
    return "twin" if own.get("birthDate") == other.get("birthDate") else "relative"


def list_false(directory, false):
    people = read_people(directory / "patients.ndjson", {record for _, record, own in false for record in (record, own)})
    kinds = collections.Counter(kind(row, people.get(own), people.get(record)) for row, record, own in false)
    print(f"graded certain and somebody else: {len(false)}" + "".join(f", {name} {count}" for name, count in kinds.most_common()))


def main(url, directory, out, connections, profile):
    directory = pathlib.Path(directory)
    with open(directory / "truth.csv", encoding="utf-8", newline="") as file:
        truth = {row["query_id"]: row for row in csv.DictReader(file)}
    with open(directory / "records.csv", encoding="utf-8", newline="") as file:
        person_of = {row["record_id"]: row["person_id"] for row in csv.DictReader(file)}
    statuses, latencies, false = collections.Counter(), [], []
    started = time.perf_counter()
    with open(out, "w", encoding="utf-8") as lines:
        for query, status, took, found in asked(urllib.parse.urlsplit(url).netloc, directory, connections, profile):
            statuses[status] += 1
            latencies.append(took * 1000)
            lines.write(json.dumps({"query": query, "candidates": found, "issues": []}) + "\n")
            person = truth[query]["true_person_id"]
            for candidate in found:
                others = [record for record in candidate["records"] if person_of.get(record) != person]
                if candidate["grade"] == "certain" and others:
                    false.append((truth[query], others[0], person))
    seconds = time.perf_counter() - started
    latencies.sort()
    p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    print(f"{len(latencies):,} queries at {connections} connections, {len(latencies) / seconds:,.0f}/s (client in Python), latency p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    print("answers: " + ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())))
    list_false(directory, false)


if __name__ == "__main__":
    main(*sys.argv[1:4], int((sys.argv[4:5] or ["4"])[0]), (sys.argv[5:6] or ["L0"])[0])
