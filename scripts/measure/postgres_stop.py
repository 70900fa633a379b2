#!/usr/bin/env python3
"""Stops and starts PostgreSQL under a server at work, and looks at every answer.

usage: postgres_stop.py ADDRESS PATIENTS.ndjson CYCLES STOP START     (STOP and START are shell commands)
"""
import collections
import http.client
import json
import os
import subprocess
import sys
import threading
import time

WRITERS, READERS = 16, 8
BACK_WITHIN_S = float(os.environ.get("BACK_WITHIN_S", "2"))
address, file, cycles, stop, start = sys.argv[1:]
with open(file, encoding="utf-8") as lines:
    patients = [json.loads(line) for line in lines]
lock, ending, numbers = threading.Lock(), threading.Event(), iter(range(10**9))
acknowledged, statuses, wrong = [], collections.Counter(), []
last_success = {"write": 0.0, "read": 0.0}


def ask(connection, kind, method, path, body=None):
    try:
        connection.request(method, "/fhir/" + path, body, {"Content-Type": "application/fhir+json"} if body else {})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        with lock:
            wrong.append(f"{kind}: {type(error).__name__}")
        connection.close()
        return 0
    with lock:
        statuses[f"{kind} {answer.status}"] += 1
        if answer.status == 503 and answer.headers["Retry-After"] is None:
            wrong.append("503 without Retry-After")
        elif answer.status not in (200, 201, 503):
            wrong.append(f"{kind}: {answer.status}")
        if answer.status in (200, 201):
            last_success[kind] = time.monotonic()
    return answer.status


def write():
    connection = http.client.HTTPConnection(address, timeout=60)
    while not ending.is_set():
        with lock:
            number = next(numbers)
        name = f"{patients[number % len(patients)]['id']}-{number}"
        body = json.dumps({**patients[number % len(patients)], "id": name}).encode()
        status = ask(connection, "write", "PUT", f"Patient/{name}", body)
        if status == 201:
            with lock:
                acknowledged.append(name)
        elif status == 503:
            time.sleep(0.05)


def read():
    connection, number = http.client.HTTPConnection(address, timeout=60), 0
    while not ending.is_set():
        number += 1
        with lock:
            name = acknowledged[number % len(acknowledged)] if acknowledged else None
        if name is None or ask(connection, "read", "GET", f"Patient/{name}") == 503:
            time.sleep(0.05)


def shell(command):
    subprocess.run(["bash", "-c", command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


threads = [threading.Thread(target=write, daemon=True) for _ in range(WRITERS)]
threads += [threading.Thread(target=read, daemon=True) for _ in range(READERS)]
for thread in threads:
    thread.start()
time.sleep(1)
waits = []
for cycle in range(int(cycles)):
    shell(stop)
    time.sleep(1)
    shell(start)
    back = time.monotonic()
    while min(last_success.values()) < back:
        time.sleep(0.005)
        if time.monotonic() - back > 60:
            sys.exit(f"cycle {cycle + 1}: not served again within a minute; {dict(statuses)}")
    waits.append(min(last_success.values()) - back)
    time.sleep(0.5)
ending.set()
for thread in threads:
    thread.join()
connection = http.client.HTTPConnection(address, timeout=60)
lost = [name for name in acknowledged if ask(connection, "read", "GET", f"Patient/{name}") != 200]
print(f"{dict(sorted(statuses.items()))}; served again after at most {1000 * max(waits):,.0f} ms, median {1000 * sorted(waits)[len(waits) // 2]:,.0f} ms")
if lost or wrong or max(waits) > BACK_WITHIN_S:
    sys.exit(f"{len(lost)} of {len(acknowledged)} lost; {collections.Counter(wrong)}")
print(f"stopped {cycles} times; {len(acknowledged):,} acknowledged writes are there")
