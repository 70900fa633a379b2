#!/usr/bin/env python3
"""Drives the open-loop generator: the peak, then half of it, three times as much, and half again.

usage: overload.py GENERATOR ADDRESS REQUESTS SERVER_PID SECONDS
"""
import json
import subprocess
import sys
import threading
import time

GROWTH = 1.15
# A rate is kept while so much of it is answered well, and this soon.
KEPT_SHARE, KEPT_P99_MS = 0.98, 100.0
STEP_SECONDS = 5


def run(generator, address, requests, phases):
    """The lines of the generator, which has the second core for itself."""
    text = ",".join(f"{rate:.0f}:{seconds}" for rate, seconds in phases)
    command = ["taskset", "--cpu-list", "1", generator, address, requests, text]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    return [line for line in lines if "rate" in line], [line for line in lines if "second" in line]


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


class Watch(threading.Thread):
    """The most memory that a process has held."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.on = pid, 0.0, True

    def run(self):
        while self.on:
            self.most = max(self.most, resident_mib(self.pid))
            time.sleep(0.1)


def watched(pid, work):
    watch = Watch(pid)
    watch.start()
    result = work()
    watch.on = False
    watch.join()
    return result, watch.most


def find_peak(ask):
    """The highest rate that was kept, in requests a second. One that was not kept is tried once more: others use the machine."""
    rate, peak, missed = 500.0, 0.0, 0
    while missed < 2:
        (phase,), _ = ask([(rate, STEP_SECONDS)])
        if phase["good_per_second"] < KEPT_SHARE * rate or phase["good_p99_ms"] > KEPT_P99_MS:
            missed += 1
        else:
            peak, rate, missed = phase["good_per_second"], rate * GROWTH, 0
    return peak


def verdict(holds):
    return "yes" if holds else "NO"


def main(generator, address, requests, pid, seconds):
    ask = lambda phases: run(generator, address, requests, phases)
    ask([(500, STEP_SECONDS)])
    peak, peak_mib = watched(pid, lambda: find_peak(ask))
    print(f"peak: {peak:.0f} requests/s, {peak_mib:.0f} MiB resident")
    (phases, by_second), most_mib = watched(pid, lambda: ask([(peak / 2, 15), (3 * peak, seconds), (peak / 2, 15)]))
    before, during, after = phases
    for name, phase in zip(("half", "three times", "half again"), phases):
        print(f"{name}: {json.dumps({k: v for k, v in phase.items() if k != 'phase'})}")
    # A checkpoint or a neighbour makes single seconds slow before the flood as well.
    usual = max(line["good_p99_ms"] for line in by_second if line["phase"] == 0)
    late = [line["second"] for line in by_second if line["phase"] == 2 and line["good_p99_ms"] > usual + 5]
    back = late[-1] + 1 if late else 0
    lost = sum(phase[kind] for phase in phases for kind in ("other", "unconnected", "reset", "late"))
    share = during["good_per_second"] / peak
    livez = max(phase["livez_max_ms"] for phase in phases)
    print(f"goodput at three times the peak: {share:.0%} of it (75 %: {verdict(share >= 0.75)})")
    print(f"refused: p99 {during['refused_p99_ms']} ms, at most {during['refused_max_ms']} ms (50 ms: {verdict(during['refused_p99_ms'] <= 50)})")
    print(f"answered otherwise, or not at all: {lost} (0: {verdict(lost == 0)})")
    print(f"memory: {most_mib:.0f} MiB, {most_mib / peak_mib:.2f} times that at the peak (2: {verdict(most_mib <= 2 * peak_mib)})")
    print(f"p99 is within 5 ms of the worst second before, {usual} ms, after {back} s (5: {verdict(back <= 5)})")
    print(f"/livez: at most {livez} ms (50: {verdict(livez <= 50)}), {sum(phase['livez_lost'] for phase in phases)} without an answer")
    print(f"the generator was late by at most {max(phase['generator_lag_max_ms'] for phase in phases)} ms")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
