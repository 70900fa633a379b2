"""Two common ways to find people, beside this server, on the columns that it writes itself.

usage: baselines.py postgres DIR URL | splink DIR all|personal | table DIR PEOPLE QUERIES
DIR holds stored.csv, queries.csv and training.csv (queries to learn from). Each writes result lines for `idi-match evaluate`, and its latencies.

postgres: a union of lookups by B-tree keys, and weights by hand for what comes back. The score is no probability, so it
has a best threshold only. splink: find_matches_to_new_records, one query at a time, with blocking rules like the keys.
"personal" leaves out what families share: address, phone and member number.
"""
import csv
import json
import pathlib
import sys
import time

# The keys of both baselines. SQL over columns of a stored row l and of a query r; a missing value finds nothing.
KEYS = [
    ("birth_date", "gender"),
    ("phone",),
    ("email",),
    ("member",),
    ("ssn4", "birth_year"),
    ("family", "given", "decade"),
    ("family_sound", "given_sound", "birth_year"),
    ("family", "zip"),
    ("given", "zip", "line"),
    ("family_sound", "birth_month", "birth_day"),
    ("given_sound", "birth_month", "birth_day"),
]
COLUMNS = [
    "unique_id", "given", "given_formal", "given_sound", "middle", "family", "family_sound", "suffix", "birth_date", "birth_year",
    "birth_month", "birth_day", "gender", "line", "zip", "phone", "email", "ssn4", "member", "decade",
]
# A number no score reaches: weights by hand add up to less.
SCORE_MAX = 40.0


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            row["ssn4"] = row["ssn"][-4:]
            row["decade"] = row["birth_year"][:3]
            yield {name: row[name] or None for name in COLUMNS}


class Written:
    """Result lines and latencies of one way."""

    def __init__(self, directory, name):
        self.directory, self.name, self.latencies = directory, name, []
        self.lines = open(directory / f"{name}.ndjson", "w", encoding="utf-8")

    def add(self, query, found, seconds):
        """`found`: record and probability, best first; every record is taken for an identity of its own."""
        self.latencies.append(seconds * 1000)
        candidates = [{"identity": record, "records": [record], "probability": probability} for record, probability in found]
        self.lines.write(json.dumps({"query": query, "candidates": candidates}) + "\n")

    def close(self):
        self.lines.close()
        self.latencies.sort()
        p50, p99 = self.latencies[len(self.latencies) // 2], self.latencies[len(self.latencies) * 99 // 100]
        (self.directory / f"{self.name}.latency").write_text(f"{p50:.2f} {p99:.2f}\n")
        print(f"{len(self.latencies)} queries, latency p50 {p50:.2f} ms, p99 {p99:.2f} ms")


# ---- PostgreSQL -------------------------------------------------------------------------------------------------------


def closeness(one, other):
    """Jaro-Winkler similarity."""
    if one == other:
        return 1.0
    reach = max(len(one), len(other)) // 2 - 1
    taken, shared = [False] * len(other), []
    for at, letter in enumerate(one):
        for there in range(max(0, at - reach), min(len(other), at + reach + 1)):
            if not taken[there] and other[there] == letter:
                taken[there] = True
                shared.append(letter)
                break
    if not shared:
        return 0.0
    theirs = [letter for letter, is_taken in zip(other, taken) if is_taken]
    half_swaps = sum(a != b for a, b in zip(shared, theirs)) / 2
    jaro = (len(shared) / len(one) + len(shared) / len(other) + (len(shared) - half_swaps) / len(shared)) / 3
    prefix = 0
    while prefix < min(4, len(one), len(other)) and one[prefix] == other[prefix]:
        prefix += 1
    return jaro + prefix * 0.1 * (1 - jaro)


def digits_apart(one, other):
    return sum(a != b for a, b in zip(one, other)) + abs(len(one) - len(other))


def name_points(query, stored, equal, near):
    if not query or not stored:
        return 0.0
    return equal if query == stored else near if closeness(query, stored) >= 0.88 else -4.0


def birth_points(query, stored):
    if not query or not stored:
        return 0.0
    if query == stored:
        return 9.0
    if digits_apart(query, stored) == 1 or query[:4] == stored[:4] and query[4:6] == stored[6:] and query[6:] == stored[4:6]:
        return 5.0
    return 2.0 if query[4:] == stored[4:] or query[:4] == stored[:4] and "0101" in (query[4:], stored[4:]) else -6.0


def given_points(query, stored):
    formal = {name for row in (query, stored) for name in (row["given_formal"] or "").split("|") + [row["given"]] if name}
    one, other = query["given"], stored["given"]
    if one and other and one != other:
        if len(one) == 1 or len(other) == 1:
            return 1.0 if one[0] == other[0] else -4.0
        shared = set((query["given_formal"] or one).split("|")) & set((stored["given_formal"] or other).split("|"))
        if shared & formal:
            return 3.0
    return name_points(one, other, 6.0, 4.0)


def equal_points(query, stored, equal, other):
    return 0.0 if not query or not stored else equal if query == stored else other


def by_hand(query, stored):
    """Points for what agrees, less for what does not; chosen by hand once, and not tuned to any population."""
    points = given_points(query, stored)
    points += name_points(query["family"], stored["family"], 6.0, 4.0)
    points += birth_points(query["birth_date"], stored["birth_date"])
    points += equal_points(query["gender"], stored["gender"], 1.0, -2.0)
    points += equal_points(query["phone"], stored["phone"], 5.0, -0.5)
    points += equal_points(query["email"], stored["email"], 6.0, -0.5)
    points += equal_points(query["member"], stored["member"], 4.0, -0.5)
    points += equal_points(query["ssn4"], stored["ssn4"], 6.0, -4.0)
    points += equal_points(query["zip"], stored["zip"], 2.0, -0.5)
    points += equal_points(query["line"], stored["line"], 3.0, -0.5)
    middles = (query["middle"] or "")[:1], (stored["middle"] or "")[:1]
    points += equal_points(*middles, 1.0, -1.5)
    points += equal_points(query["suffix"], stored["suffix"], 1.0, -4.0)
    return points


def postgres(directory, url):
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        columns = ", ".join(f"{name} text" for name in COLUMNS)
        connection.execute(f"CREATE TABLE person ({columns})")
        with connection.cursor().copy("COPY person FROM STDIN") as copy:
            for row in read(directory / "stored.csv"):
                copy.write_row([row[name] for name in COLUMNS])
        for number, key in enumerate(KEYS):
            connection.execute(f"CREATE INDEX key_{number} ON person ({', '.join(key)})")
        connection.execute("ANALYZE person")
        union = " UNION ".join(
            "(SELECT ctid FROM person WHERE " + " AND ".join(f"{name} = %({name})s" for name in key) + " LIMIT 500)" for key in KEYS
        )
        ask = f"SELECT {', '.join(COLUMNS)} FROM person WHERE ctid = ANY (ARRAY({union}))"
        written = Written(directory, "postgres")
        cursor = connection.cursor()
        for query in read(directory / "queries.csv"):
            started = time.perf_counter()
            rows = [dict(zip(COLUMNS, row)) for row in cursor.execute(ask, query, prepare=True).fetchall()]
            found = sorted(((row["unique_id"], by_hand(query, row)) for row in rows), key=lambda one: -one[1])[:10]
            took = time.perf_counter() - started
            written.add(query["unique_id"], [(record, max(0.0, points) / SCORE_MAX) for record, points in found], took)
        written.close()


# ---- Splink -----------------------------------------------------------------------------------------------------------


def comparisons(fields):
    import splink.comparison_library as cl

    always = [
        cl.NameComparison("given", jaro_winkler_thresholds=[0.92, 0.88, 0.7]).configure(term_frequency_adjustments=True),
        cl.NameComparison("family", jaro_winkler_thresholds=[0.92, 0.88, 0.7]).configure(term_frequency_adjustments=True),
        cl.LevenshteinAtThresholds("middle", 1),
        cl.ExactMatch("suffix"),
        cl.DamerauLevenshteinAtThresholds("birth_date", [1, 2]),
        cl.ExactMatch("gender"),
        cl.LevenshteinAtThresholds("ssn4", 1),
        cl.LevenshteinAtThresholds("email", 2),
    ]
    of_families = [
        cl.LevenshteinAtThresholds("line", 2),
        cl.LevenshteinAtThresholds("zip", 1),
        cl.LevenshteinAtThresholds("phone", 1),
        cl.LevenshteinAtThresholds("member", 1),
    ]
    return always + (of_families if fields == "all" else [])


def splink(directory, fields):
    import logging

    import pandas
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.disable(logging.WARNING)
    frames = (pandas.DataFrame(read(directory / name), dtype=object) for name in ("stored.csv", "queries.csv", "training.csv"))
    stored, queries, training = frames
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="unique_id",
        comparisons=comparisons(fields),
        blocking_rules_to_generate_predictions=[block_on(*key) for key in KEYS],
        probability_two_random_records_match=1 / len(stored),
        retain_intermediate_calculation_columns=False,
    )
    # People who are stored once have no pair to learn from, so the queries are learned from as well, without their truth.
    trained = Linker(pandas.concat([stored, training], ignore_index=True), settings, DuckDBAPI())
    trained.training.estimate_u_using_random_sampling(max_pairs=2_000_000, seed=1)
    for key in (("birth_date",), ("family", "given"), ("phone",)):
        trained.training.estimate_parameters_using_expectation_maximisation(block_on(*key), fix_probability_two_random_records_match=True)
    # Training changes the prior to that of its pairs; a query has one among all stored.
    learned = trained.misc.save_model_to_json()
    learned["probability_two_random_records_match"] = 1 / len(stored)
    linker = Linker(stored, learned, DuckDBAPI())
    for name in ("given", "family"):
        linker.table_management.compute_tf_table(name)
    written = Written(directory, f"splink-{fields}")
    rules = [block_on(*key) for key in KEYS]
    for at in range(len(queries)):
        query = queries.iloc[at : at + 1]
        started = time.perf_counter()
        found = linker.inference.find_matches_to_new_records(query, blocking_rules=rules, match_weight_threshold=-20)
        rows = found.as_pandas_dataframe()
        took = time.perf_counter() - started
        found.drop_table_from_database_and_remove_from_cache()
        mine = query.unique_id.iloc[0]
        pairs = sorted(
            ((left if right == mine else right, probability) for left, right, probability in zip(rows.unique_id_l, rows.unique_id_r, rows.match_probability)),
            key=lambda pair: -pair[1],
        )
        written.add(mine, [(record, float(probability)) for record, probability in pairs[:10]], took)
    written.close()


# ---- the table --------------------------------------------------------------------------------------------------------

WAYS = [
    ("idi-match", "idi-match, latent classes", True),
    ("splink-all", "Splink 4, all fields", True),
    ("splink-personal", "Splink 4, without family-shared fields", True),
    ("postgres", "PostgreSQL, B-tree union, weights by hand", False),
]


def three(accuracy):
    parts = [accuracy["precision"]["share"], accuracy["recall"]["share"], accuracy["f1"]]
    return " / ".join("-" if part is None else f"{part:.3f}".lstrip("0") for part in parts)


def table(directory, people, queries):
    print(f"\n{int(people):,} stored records, {int(queries):,} queries\n")
    print("| matcher | P / R / F1, best threshold | P / R / F1 at .95 | candidate recall | latency p50 / p99 (ms) |")
    print("|---|---|---|---|---|")
    for name, title, is_probability in WAYS:
        report = json.loads((directory / f"{name}.json").read_text())
        p50, p99 = (directory / f"{name}.latency").read_text().split()
        at_95 = three(report["at_threshold"]) if is_probability else "no probability"
        print(f"| {title} | {three(report['best'])} | {at_95} | {report['candidate_recall']['share']:.4f} | {p50} / {p99} |")
    print("\nLatency: idi-match over HTTP with a durable audit row; the others in process or over a local connection, without.")
    print("Only the ten best of a query are kept, and candidate recall is over those for the others.")


if __name__ == "__main__":
    command, directory, *rest = sys.argv[1:]
    {"postgres": postgres, "splink": splink, "table": table}[command](pathlib.Path(directory), *rest)
