#!/usr/bin/env python3
"""Writes people through one instance and asks another until it finds them.

usage: instances.py WRITER READER PATIENTS.ndjson ROUNDS
"""
import http.client
import itertools
import json
import sys
import time
import urllib.parse

PROFILE = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient"


class Instance:
    def __init__(self, base):
        url = urllib.parse.urlsplit(base)
        self.path, self.connection = url.path, http.client.HTTPConnection(url.hostname, url.port, timeout=30)

    def send(self, method, path, body):
        self.connection.request(method, self.path + path, json.dumps(body), {"Content-Type": "application/fhir+json"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())


writer, reader = Instance(sys.argv[1]), Instance(sys.argv[2])
waits = []
with open(sys.argv[3], encoding="utf-8") as file:
    for number, line in enumerate(itertools.islice(file, int(sys.argv[4]))):
        patient = json.loads(line)
        patient["id"] = f"late-{number}"
        status, _ = writer.send("PUT", f"/Patient/{patient['id']}", patient)
        assert status == 201, status
        acknowledged = time.perf_counter()
        asked = dict(patient, meta={"profile": [PROFILE]})
        asked.pop("id")
        while True:
            status, bundle = reader.send("POST", "/Patient/$match", asked)
            assert status == 200, (status, bundle)
            if any(entry["resource"].get("id") == patient["id"] for entry in bundle.get("entry", [])):
                break
        waits.append((time.perf_counter() - acknowledged) * 1000)
waits.sort()
at = lambda share: waits[int((len(waits) - 1) * share)]
late = sum(wait > 1000 for wait in waits)
print(f"{len(waits)} writes found through the other instance after ms: p50 {at(.5):.0f}, p99 {at(.99):.0f}, "
      f"max {waits[-1]:.0f}; later than one second: {late}")
sys.exit(late > 0)
