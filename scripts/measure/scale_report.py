#!/usr/bin/env python3
"""The tables and the log-log plot of docs/scale.md, from the lines that scripts/measure/scale writes.

usage: scale_report.py RESULTS.ndjson [PLOT.svg]     tables on standard output; of several lines of a kind the last counts
"""
import json
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 460, 70, 20, 230, 50
COLOURS = ["#1b6ca8", "#c0392b", "#2e7d32", "#8e44ad", "#b9770e", "#34495e"]


def read(path):
    lines = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            lines[(row["what"], row.get("database", ""), row.get("index", ""), row["people"])] = row
    return list(lines.values())


def table(heads, rows):
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def of(rows, what):
    found = [row for row in rows if row["what"] == what]
    return sorted(found, key=lambda row: (row.get("database", ""), row.get("index", ""), row["people"]))


def tables(rows):
    engine = of(rows, "engine")
    if engine:
        table(["people", "p50 µs", "p99 µs", "mean µs", "candidates p50", "p99", "bytes a person", "build s"],
              [[f"{r['people']:,}", r["p50_us"], r["p99_us"], r["mean_us"], r["candidates_p50"], r["candidates_p99"],
                f"{r['bytes_a_person']:.0f}", r["build_seconds"]] for r in engine])
    load = of(rows, "load")
    if load:
        table(["database", "people", "Patients/s", "seconds", "disk meanwhile"],
              [[r["database"], f"{r['people']:,}", f"{r['patients_per_second']:,}", r["seconds"], r["fdatasync"]]
               for r in load])
    http = of(rows, "http")
    if http:
        table(["database", "index", "people", "requests/s", "p50 ms", "p99 ms", "server CPU µs", "database CPU µs",
               "start s", "resident MiB"],
              [[r["database"], r["index"], f"{r['people']:,}", f"{r['requests_per_second']:,}", r["p50_ms"], r["p99_ms"],
                r["server_cpu_us"], r["database_cpu_us"], r["start_seconds"], r["resident_mib"]] for r in http])


def series(rows):
    """Name, and microseconds by population."""
    lines = {}
    for row in of(rows, "engine"):
        lines.setdefault("engine, p50", []).append((row["people"], row["p50_us"]))
        lines.setdefault("engine, p99", []).append((row["people"], row["p99_us"]))
    for row in of(rows, "http"):
        name = f"HTTP server CPU, {row['database']}, {row['index']}"
        lines.setdefault(name, []).append((row["people"], row["server_cpu_us"]))
    return {name: points for name, points in lines.items() if all(y > 0 for _, y in points)}


def plot(rows, path):
    lines = series(rows)
    points = [point for line in lines.values() for point in line]
    if not points:
        return
    x_min, x_max = (f(math.log10(x)) for f, x in ((math.floor, min(x for x, _ in points)), (math.ceil, max(x for x, _ in points))))
    y_min, y_max = (f(math.log10(y)) for f, y in ((math.floor, min(y for _, y in points)), (math.ceil, max(y for _, y in points))))
    x_max, y_max = max(x_max, x_min + 1), max(y_max, y_min + 1)
    x_of = lambda x: LEFT + (math.log10(x) - x_min) / (x_max - x_min) * (WIDTH - LEFT - RIGHT)
    y_of = lambda y: HEIGHT - BOTTOM - (math.log10(y) - y_min) / (y_max - y_min) * (HEIGHT - TOP - BOTTOM)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           "<title>Cost of one query against population, both logarithmic</title>",
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
    for power in range(x_min, x_max + 1):
        x = x_of(10 ** power)
        out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
                   f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10 ** power:,}</text>')
    for power in range(y_min, y_max + 1):
        y = y_of(10 ** power)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10 ** power:,} µs</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">people stored</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour, y = COLOURS[number % len(COLOURS)], TOP + 14 + number * 18
        path_of = "L".join(f"{x_of(x):.1f} {y_of(v):.1f}" for x, v in line)
        out.append(f'<path d="M{path_of}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(v):.1f}" r="3" fill="{colour}"/>' for x, v in line]
        out.append(f'<text x="{WIDTH - RIGHT + 12}" y="{y}" fill="{colour}">{name}</text>')
    out.append("</svg>")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


found = read(sys.argv[1])
tables(found)
plot(found, sys.argv[2] if len(sys.argv) > 2 else sys.argv[1].rsplit(".", 1)[0] + ".svg")
