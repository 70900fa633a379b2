#!/usr/bin/env python3
"""Sends people with 32 writers, each on one connection, and expects every one to be stored.

usage: write_people.py ADDRESS PATIENTS.ndjson WRITES
"""
import http.client
import itertools
import json
import sys
import threading

WRITERS = 32
HEADERS = {"Content-Type": "application/fhir+json", "Prefer": "return=representation"}
address, file, writes = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(file, encoding="utf-8") as lines:
    patients = [json.loads(line) for line in itertools.islice(lines, writes)]
waiting, lock, refused = iter(patients), threading.Lock(), []


def write():
    connection = http.client.HTTPConnection(address, timeout=60)
    while True:
        with lock:
            patient = next(waiting, None)
        if patient is None:
            return
        body = json.dumps(patient).encode()
        connection.request("PUT", f"/fhir/Patient/{patient['id']}", body, HEADERS)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 201:
            refused.append(answer.status)


writers = [threading.Thread(target=write) for _ in range(WRITERS)]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join()
if refused or len(patients) < writes:
    sys.exit(f"{len(patients)} people, refused: {refused[:5]}")
