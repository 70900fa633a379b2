#!/usr/bin/env python3
"""Kills a load or a server again and again, and looks afterwards, with SQL and over HTTP, for what is lost or doubled.

usage: kill.py load|serve BINARY DATABASE_URL CYCLES PATIENTS.ndjson
Ends with 1 and the findings when there are any.
"""
import http.client
import itertools
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import threading
import time

WRITERS = 32
random.seed(1)


def select(url, sql):
    """Rows of a statement, as lists of text; none while the tables are not there."""
    if url.startswith("sqlite:"):
        try:
            connection = sqlite3.connect(url.removeprefix("sqlite:"), timeout=30)
            return [[str(value) for value in row] for row in connection.execute(sql)]
        except sqlite3.OperationalError:
            return []
    done = subprocess.run(["psql", "-qAt", "-F", "\t", "-d", url, "-c", sql], capture_output=True, text=True)
    return [line.split("\t") for line in done.stdout.splitlines()] if done.returncode == 0 else []


def number(url, sql):
    rows = select(url, sql)
    return int(rows[0][0]) if rows and rows[0][0] not in ("", "None") else 0


def settle(url):
    """PostgreSQL ends what a killed client had already sent, a COMMIT too: only then everything stands still."""
    if url.startswith("sqlite"):
        return
    others = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    for _ in range(1000):
        if number(url, others) == 0:
            return
        time.sleep(0.01)
    sys.exit("a connection of the killed program does not end")


def audit_everything(url, expected, what):
    """`expected`: ids that must be stored, once, as version 1."""
    settle(url)
    stored = {row[0]: int(row[1]) for row in select(url, "SELECT id, version FROM resource WHERE resource_type = 'Patient'")}
    counts = {
        "lost": len(expected - stored.keys()),
        "with another version than 1": sum(1 for version in stored.values() if version != 1),
        "older versions": number(url, "SELECT COUNT(*) FROM resource_history WHERE resource_type = 'Patient'"),
        "records without resource": number(url, "SELECT COUNT(*) FROM record WHERE id NOT IN (SELECT id FROM resource)"),
        "resources without record": len(stored) - number(url, "SELECT COUNT(*) FROM record"),
        "changes too many or too few": len(stored) - number(url, "SELECT COUNT(*) FROM change"),
        "resources without search values": number(
            url, "SELECT COUNT(*) FROM resource WHERE resource_type = 'Patient' AND number NOT IN (SELECT number FROM search_string)"
        ),
        "search values without resource": number(
            url, "SELECT COUNT(*) FROM search_string WHERE number NOT IN (SELECT number FROM resource)"
        ),
        "identities without record": number(url, "SELECT COUNT(*) FROM identity WHERE id NOT IN (SELECT identity_id FROM record)"),
    }
    findings = {name: count for name, count in counts.items() if count}
    if findings:
        sys.exit(f"{what}: {findings}")
    return len(stored)


def kill_loads(binary, url, cycles, file):
    bad_every = 97
    with open(file, encoding="utf-8") as lines:
        lines = [line if at % bad_every else "bad\n" for at, line in enumerate(lines, 1)]
    path = f"{os.path.dirname(file)}/killed.{'sqlite' if url.startswith('sqlite') else 'postgres'}.ndjson"
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(lines)
    ids = [json.loads(line)["id"] if line != "bad\n" else None for line in lines]
    rejects = path.removesuffix(".ndjson") + ".rejects.ndjson"
    command = [binary, "load", path, "--database-url", url, "--limits-load-batch-lines", "100"]
    acknowledged = 0
    progress = "SELECT MAX(lines) FROM load_progress"
    for cycle in range(cycles):
        target = len(lines) * (cycle + 1) // (cycles + 1)
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while number(url, progress) < target and load.poll() is None:
            time.sleep(0.01)
        time.sleep(random.random() / 20)
        load.kill()
        load.wait()
        settle(url)
        before, acknowledged = acknowledged, number(url, progress)
        if acknowledged < before:
            sys.exit(f"progress went back from {before} to {acknowledged}")
        stored = audit_everything(url, {name for name in ids[:acknowledged] if name}, f"load, cycle {cycle + 1}")
        if stored != sum(1 for name in ids[:acknowledged] if name):
            sys.exit(f"load, cycle {cycle + 1}: {stored} stored, {acknowledged} lines acknowledged")
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if done.returncode != 1:
        sys.exit(f"the last load ended with {done.returncode}")
    stored = audit_everything(url, {name for name in ids if name}, "load, at the end")
    refused = [json.loads(line)["line"] for line in open(rejects, encoding="utf-8")]
    if refused != [at for at, name in enumerate(ids, 1) if not name]:
        sys.exit("the refused lines do not stand once and in order")
    print(f"load: killed {cycles} times; {stored:,} people stored once, {len(refused):,} lines refused once")


def start_server(binary, url):
    arguments = ["serve", "--open", "--listen", "127.0.0.1:0", "--database-url", url, "--log-filter", "info", "--log-format", "json"]
    server = subprocess.Popen([binary, *arguments], stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        found = re.search(r'"message":"ready","address":"([^"]+)"', line)
        if found:
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return server, found[1]
    sys.exit("the server does not start")


def records(patients):
    """The people again and again, each time as further records of theirs: id and body."""
    for turn in itertools.count():
        for patient in patients:
            name = f"{patient['id']}-{turn}"
            yield name, json.dumps({**patient, "id": name}).encode()


def kill_servers(binary, url, cycles, file):
    with open(file, encoding="utf-8") as lines:
        patients = [json.loads(line) for line in lines]
    waiting, acknowledged, refused = records(patients), set(), []
    lock = threading.Lock()

    def write(address):
        connection = http.client.HTTPConnection(address, timeout=30)
        while True:
            with lock:
                name, body = next(waiting)
            try:
                connection.request("PUT", f"/fhir/Patient/{name}", body, {"Content-Type": "application/fhir+json"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                return
            with lock:
                if answer.status == 201:
                    acknowledged.add(name)
                else:
                    refused.append(answer.status)

    for cycle in range(cycles):
        server, address = start_server(binary, url)
        writers = [threading.Thread(target=write, args=(address,)) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(0.2 + random.random())
        server.kill()
        for writer in writers:
            writer.join()
        server.wait()
        stored = audit_everything(url, acknowledged, f"server, cycle {cycle + 1}")
        audited = number(url, "SELECT COUNT(*) FROM audit WHERE resource_type = 'Patient' AND action = 'update' AND outcome = 'success'")
        if audited != stored:
            sys.exit(f"server, cycle {cycle + 1}: {stored} stored, {audited} audited")
    server, address = start_server(binary, url)
    connection = http.client.HTTPConnection(address, timeout=30)
    for name in acknowledged:
        connection.request("GET", f"/fhir/Patient/{name}")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"an acknowledged Patient is answered with {answer.status}")
    server.terminate()
    if server.wait() != 0:
        sys.exit("the server does not stop well")
    if refused:
        sys.exit(f"writes were refused: {sorted(set(refused))}")
    print(f"serve: killed {cycles} times with {WRITERS} writers; {len(acknowledged):,} acknowledged people are there once")


if __name__ == "__main__":
    work, binary, url, cycles, file = sys.argv[1:]
    {"load": kill_loads, "serve": kill_servers}[work](binary, url, int(cycles), file)
