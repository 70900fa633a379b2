#!/usr/bin/env python3
"""Fills a server's disk under load, reads from it, makes room, and looks for what was acknowledged.

usage: disk_full.py ADDRESS PATIENTS.ndjson DISK
"""
import collections
import http.client
import json
import os
import sys
import threading
import time

WRITERS, READERS, SECONDS_FULL = 16, 8, 10
address, file, disk = sys.argv[1:]
with open(file, encoding="utf-8") as lines:
    patients = [json.loads(line) for line in lines]
lock, ending = threading.Lock(), threading.Event()
phase, counts, acknowledged, numbers = "room", collections.Counter(), [], iter(range(10**9))
statuses = collections.defaultdict(collections.Counter)
first_written = None


def ask(connection, method, path, body=None):
    connection.request(method, "/fhir/" + path, body, {"Content-Type": "application/fhir+json"} if body else {})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status == 507 and json.loads(text)["issue"][0]["code"] != "transient":
        sys.exit(f"507 with {text[:200]}")
    return answer.status


def write():
    global first_written
    connection = http.client.HTTPConnection(address, timeout=60)
    while not ending.is_set():
        with lock:
            number, when = next(numbers), phase
        name = f"{patients[number % len(patients)]['id']}-{number}"
        body = json.dumps({**patients[number % len(patients)], "id": name}).encode()
        status = ask(connection, "PUT", f"Patient/{name}", body)
        with lock:
            statuses[f"write, {when}"][status] += 1
            if status == 201:
                acknowledged.append(name)
                if when == "room again" and first_written is None:
                    first_written = time.monotonic()


def read():
    connection = http.client.HTTPConnection(address, timeout=60)
    number = 0
    while not ending.is_set():
        with lock:
            name, when = (acknowledged[number % len(acknowledged)] if acknowledged else None), phase
        number += 7
        if name is None:
            time.sleep(0.01)
            continue
        path = f"Patient/{name}" if number % 2 else "Patient?family=Smith&_count=3"
        status = ask(connection, "GET", path)
        with lock:
            statuses[f"read, {when}"][status] += 1


threads = [threading.Thread(target=write, daemon=True) for _ in range(WRITERS)]
threads += [threading.Thread(target=read, daemon=True) for _ in range(READERS)]
for thread in threads:
    thread.start()
time.sleep(2)
filler = os.path.join(disk, "filler")
with open(filler, "wb", buffering=0) as out:
    for size in (1 << 20, 4096, 1):
        try:
            while out.write(b"\0" * size) == size:
                pass
        except OSError:
            pass
if os.path.getsize(filler) < 16 << 20:
    sys.exit("the people alone fill the disk: give it more MiB")
begun = time.monotonic()
while not statuses["write, room"][507]:
    time.sleep(0.05)
    if time.monotonic() - begun > 60:
        sys.exit("the disk does not become full")
phase = "full"
time.sleep(SECONDS_FULL)
os.remove(filler)
phase, freed = "room again", time.monotonic()
time.sleep(3)
ending.set()
for thread in threads:
    thread.join()
connection = http.client.HTTPConnection(address, timeout=60)
lost = [name for name in acknowledged if ask(connection, "GET", f"Patient/{name}") != 200]
print("; ".join(f"{what}: {dict(found)}" for what, found in sorted(statuses.items())))
allowed = {"write": {201, 507}, "read": {200}}
wrong = {what for what, found in statuses.items() if set(found) - allowed[what.split(",")[0]]}
if lost or wrong or first_written is None or statuses["read, full"][200] == 0 or statuses["write, full"][201] > 200:
    sys.exit(f"{len(lost)} lost of {len(acknowledged)}; other statuses in {wrong}; written again: {first_written is not None}")
print(f"{len(acknowledged):,} acknowledged and there; written again {1000 * (first_written - freed):,.0f} ms after there was room")
