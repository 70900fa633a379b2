#!/usr/bin/env python3
"""Measures backups, and kills restores and migrations.

usage: backup.py round BINARY NAME DIRECTORY SOURCE_URL TARGET_URL MORE.ndjson
       backup.py restore BINARY DIRECTORY URL CYCLES           (restores DIRECTORY/backup)
       backup.py migrate BINARY DIRECTORY URL CYCLES DUMP.sql
Ends with 1 and the finding when there is one.
"""
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

TABLES = ["resource", "resource_history", "identity", "record", "review", "change", "audit", "load_progress",
          "search_string", "search_token", "search_date"]
random.seed(1)


def select(url, sql):
    """One number; none while the table is not there."""
    if url.startswith("sqlite:"):
        if not os.path.exists(url.removeprefix("sqlite:")):
            return None
        try:
            connection = sqlite3.connect(url.removeprefix("sqlite:"), timeout=60)
            return connection.execute(sql).fetchone()[0]
        except sqlite3.OperationalError:
            return None
    done = subprocess.run(["psql", "-qAt", "-d", url, "-c", sql], capture_output=True, text=True)
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else None


def measured(arguments):
    """Standard output, seconds, and the peak of memory in MiB."""
    started = time.monotonic()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{arguments[1]} ended with {os.waitstatus_to_exitcode(status)}: {out}")
    return out, time.monotonic() - started, usage.ru_maxrss / 1024


def round_trip(binary, name, directory, source, target, more):
    file = f"{directory}/backup"
    load = subprocess.Popen([binary, "load", more, "--database-url", source, "--limits-load-batch-lines", "50"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for what, arguments in [
        ("backup", ["backup", file, "--database-url", source]),
        ("verify-backup", ["verify-backup", file]),
        ("restore", ["restore", file, "--database-url", target]),
    ]:
        out, seconds, mib = measured([binary, *arguments, "--json"])
        report = json.loads(out)
        summary = report.get("summary", report)
        rows = sum(summary["rows"].values())
        print(f"{name}: {what}: {rows:,} rows, {summary['bytes'] / 2**20:,.0f} MiB, {seconds:.1f} s "
              f"({rows / seconds:,.0f} rows/s), peak {mib:.0f} MiB")
        if what == "backup":
            print(f"{name}: a load was {'still ' if load.poll() is None else 'no longer '}writing at its end")
            held = summary["rows"]
    load.wait()
    with open(f"{directory}/restore_seconds", "w", encoding="utf-8") as out:
        out.write(str(seconds))
    for table in TABLES[:8]:
        if select(target, f"SELECT COUNT(*) FROM {table}") != held[table]:
            sys.exit(f"{name}: the restored table {table} has another number of rows")


def kill_restores(binary, directory, url, cycles):
    arguments = [binary, "restore", f"{directory}/backup", "--database-url", url]
    counts = None
    with open(f"{directory}/restore_seconds", encoding="utf-8") as file:
        longest = 0.8 * float(file.read())
    for cycle in range(cycles):
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.random() * longest)
        process.kill()
        process.wait()
        counts = [select(url, f"SELECT COUNT(*) FROM {table}") for table in TABLES]
        if any(counts):
            break
    if not any(counts or []):
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    print(f"restore: killed {cycle + 1} times, nothing of it stayed; then restored")
    for table in TABLES:
        if not select(url, f"SELECT COUNT(*) FROM {table}") and table not in ("resource_history", "review"):
            sys.exit(f"restore: {table} is empty")


def prepare(url, dump):
    """The dump, and many people more, as the first release wrote them."""
    body = ('{"resourceType":"Patient","id":"many-N","meta":{"versionId":"1",'
            '"lastUpdated":"2026-01-02T03:04:05.000006Z"},"identifier":[{"value":"many-N"}]}')
    numbers = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
               "INSERT INTO resource (resource_type, id, version, updated_us, deleted, body, identifier_value) "
               f"SELECT 'Patient', 'many-' || i, 1, 1767323045000006, FALSE, replace('{body}', 'N', CAST(i AS TEXT)), "
               "'many-' || i FROM n;")
    sql = open(dump, encoding="utf-8").read() + numbers
    if url.startswith("sqlite:"):
        connection = sqlite3.connect(url.removeprefix("sqlite:"))
        connection.executescript(sql)
        connection.commit()
        connection.close()
    else:
        subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", url], input=sql, text=True, check=True,
                       stdout=subprocess.DEVNULL)


def copy(url):
    """A copy of the database and its URL."""
    if url.startswith("sqlite:"):
        path = url.removeprefix("sqlite:")
        for end in ("", "-wal", "-shm"):
            if os.path.exists(f"{path}.copy{end}"):
                os.remove(f"{path}.copy{end}")
        shutil.copyfile(path, f"{path}.copy")
        return f"{url}.copy"
    name = url.rsplit("/", 1)[1]
    server = url.rsplit("/", 1)[0] + "/postgres"
    for sql in ("DROP DATABASE IF EXISTS copied WITH (FORCE)", f"CREATE DATABASE copied TEMPLATE {name}"):
        subprocess.run(["psql", "-q", "-d", server, "-c", sql], check=True, stderr=subprocess.DEVNULL)
    return url.rsplit("/", 1)[0] + "/copied"


def start(binary, url):
    arguments = ["serve", "--open", "--listen", "127.0.0.1:0", "--database-url", url, "--log-filter", "info",
                 "--log-format", "json"]
    return subprocess.Popen([binary, *arguments], stderr=subprocess.PIPE, text=True)


def wait_until_ready(server):
    for line in server.stderr:
        if '"message":"ready"' in line:
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return
    sys.exit("the server does not start")


def kill_migrations(binary, directory, url, cycles, dump):
    prepare(url, dump)
    resources = select(url, "SELECT COUNT(*) FROM resource")
    migrating, indexing, longest = 0, 0, 2.0
    for cycle in range(cycles):
        copied = copy(url)
        server = start(binary, copied)
        time.sleep(random.random() * longest)
        server.kill()
        server.wait()
        numbered = select(copied, "SELECT COUNT(DISTINCT number) FROM resource")
        if numbered not in (None, resources):
            sys.exit(f"migrate, cycle {cycle}: {numbered} of {resources} resources are numbered")
        waiting = select(copied, "SELECT COUNT(*) FROM resource WHERE search_version = 0")
        migrating += numbered is None
        indexing += bool(waiting)
        started = time.monotonic()
        server = start(binary, copied)
        wait_until_ready(server)
        longest = max(longest, time.monotonic() - started)
        server.terminate()
        if server.wait():
            sys.exit(f"migrate, cycle {cycle}: the server does not stop well")
        if select(copied, "SELECT COUNT(*) FROM resource WHERE search_version = 0"):
            sys.exit(f"migrate, cycle {cycle}: resources without search values")
        found = select(copied, "SELECT COUNT(DISTINCT number) FROM search_token WHERE value LIKE 'many-%'")
        if found != 20000:
            sys.exit(f"migrate, cycle {cycle}: {found} of 20000 people are found")
    kind = url.split(":")[0]
    print(f"migrate on {kind}: killed {cycles} times, {migrating} before and in the migration, {indexing} while search "
          "values were made; the next start made all good")


if __name__ == "__main__":
    work, *rest = sys.argv[1:]
    if work == "round":
        round_trip(*rest)
    elif work == "restore":
        kill_restores(*rest[:3], int(rest[3]))
    else:
        kill_migrations(*rest[:3], int(rest[3]), rest[4])
