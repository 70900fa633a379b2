#!/usr/bin/env python3
"""Reads an strace of the server and judges the order of its system calls.

usage: fsync.py TRACE sqlite|postgres ANSWERS
strace writes a line when a call ends; one that another thread overtakes is written as `<unfinished ...>` where it began
and `<... resumed>` where it ended, so the lines are in the order of what happened, and each has the time of its beginning.

One thread writes, one transaction after the other, and `meta.lastUpdated` of an answer is the time at which its
transaction began. So for every answer 201 there is an fdatasync (or fsync) of the write-ahead log that began after its
request was read and after its transaction began, and that ended before the answer was sent. With PostgreSQL the server heard of the
commit between the two. Ends with 1 when an answer has no such order, or when their number is another.
"""
import datetime
import re
import sys

LINE = re.compile(r"^(\d+)\s+(\d+\.\d+) (?:<\.\.\. (\w+) resumed>(.*)|(\w+)\((.*))$")
SOCKET = re.compile(r"^(\d+)<(?:socket|TCP|TCPv6):")
LOG = {"sqlite": re.compile(r"^\d+<[^>]*-wal>"), "postgres": re.compile(r"^\d+<[^>]*/pg_wal/")}
UPDATED = re.compile(r'lastUpdated\\":\\"([-0-9T:.]+)Z')
READS, WRITES = {"read", "recvfrom", "recv"}, {"write", "writev", "sendto", "sendmsg"}


def calls(path):
    """(name, arguments, where it began and ended in the trace, time of its beginning)"""
    waiting = {}
    with open(path, encoding="utf-8", errors="replace") as trace:
        for at, line in enumerate(trace):
            found = LINE.match(line.rstrip("\n"))
            if not found:
                continue
            pid, time, resumed, rest, name, text = found.groups()
            if resumed:
                began, started, arguments = waiting.pop((pid, resumed), (at, time, ""))
                yield resumed, arguments + rest, began, at, float(started)
            elif text.endswith("<unfinished ...>"):
                waiting[(pid, name)] = (at, time, text.removesuffix("<unfinished ...>"))
            else:
                yield name, text, at, at, float(time)


def seconds(instant):
    return datetime.datetime.fromisoformat(instant + "+00:00").timestamp()


def judge(path, kind):
    """Answers, those without a sync of their own, and syncs."""
    synced, heard, asked = [], [], {}
    answered, unsafe, syncs = 0, [], 0
    # What was sent counts from where it began; what was read or synced, from where it ended.
    order = sorted(calls(path), key=lambda call: call[2] if call[0] in WRITES else call[3])
    for name, text, began, ended, time in order:
        if name in ("fdatasync", "fsync"):
            if LOG[kind].match(text) and text.rstrip().endswith("= 0"):
                syncs += 1
                synced = [*synced[-63:], (began, ended, time)]
            continue
        socket = SOCKET.match(text)
        if socket and name in READS and '"PUT /fhir/Patient/' in text:
            asked[socket[1]] = ended
        elif socket and name in READS and "COMMIT\\0" in text:
            heard = [*heard[-63:], ended]
        elif socket and name in WRITES and '"HTTP/1.1 201' in text and socket[1] in asked:
            answered += 1
            since, updated = asked.pop(socket[1]), UPDATED.search(text)
            begun = seconds(updated[1]) if updated else float("inf")
            mine = [end for start, end, at in synced if start > since and at >= begun and end < began]
            if kind == "postgres":
                mine = [end for end in mine if any(end < commit < began for commit in heard)]
            if not mine:
                unsafe.append(began + 1)
    return answered, unsafe, syncs


path, kind, expected = sys.argv[1], sys.argv[2], int(sys.argv[3])
answered, unsafe, syncs = judge(path, kind)
if unsafe or answered != expected:
    sys.exit(f"{answered} answers, expected {expected}; {len(unsafe)} without a sync before them, in lines {unsafe[:5]}")
print(f"{answered:,} acknowledged writes, {syncs:,} syncs (fsync or fdatasync) of the log: each answer was sent after the one of its transaction")
