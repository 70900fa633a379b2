#!/usr/bin/env python3
"""How many times a second a small write reaches the disk: 4 KiB, fdatasync, again; appending and overwriting.

usage: fdatasync.py DIRECTORY [SECONDS]
"""
import os
import sys
import tempfile
import time

BLOCK = os.urandom(4096)


def rate(directory, seconds, blocks):
    """Writes over `blocks` blocks again and again; 0 appends."""
    count = 0
    with tempfile.TemporaryFile(dir=directory) as file:
        number = file.fileno()
        for block in range(blocks):
            os.pwrite(number, BLOCK, block * len(BLOCK))
        os.fsync(number)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            place = count % blocks if blocks else count
            os.pwrite(number, BLOCK, place * len(BLOCK))
            os.fdatasync(number)
            count += 1
    return count / seconds


directory, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
print(f"fdatasync/s: {rate(directory, seconds, 256):,.0f} overwriting, {rate(directory, seconds, 0):,.0f} appending")
