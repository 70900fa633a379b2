"""One prediction of Splink 4 on Spark and on DuckDB, with the settings of the program: seconds, pairs, and how many
match weights differ. Argument: the directory with records.csv, duckdb.json and spark.json."""

import json
import pathlib
import sys
import time

import pandas
from pyspark.sql import SparkSession
from splink import DuckDBAPI, Linker, SparkAPI
from splink.backends.spark import similarity_jar_location

BITS = 0.05


def predicted(records, settings, api, input_table, frame):
    linker = Linker(input_table, settings, api)
    for name in ("given", "family"):
        frequencies = records[[name, f"{name}_frequency"]].dropna().drop_duplicates()
        frequencies = frequencies.rename(columns={f"{name}_frequency": f"tf_{name}"}).reset_index(drop=True)
        frequencies[f"tf_{name}"] = frequencies[f"tf_{name}"].astype(float)
        linker.table_management.register_term_frequency_lookup(frame(frequencies), name)
    started = time.time()
    pairs = linker.inference.predict().as_pandas_dataframe()
    weights = {tuple(sorted((a, b))): w for a, b, w in zip(pairs.unique_id_l, pairs.unique_id_r, pairs.match_weight)}
    return weights, time.time() - started


def main(directory):
    records = pandas.read_csv(directory / "records.csv", dtype=str)
    session = SparkSession.builder.master("local[*]").config("spark.jars", similarity_jar_location())
    session = session.config("spark.ui.enabled", "false").config("spark.driver.memory", "2g")
    session = session.config("spark.sql.shuffle.partitions", "4").config("spark.default.parallelism", "4")
    spark = session.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").getOrCreate()
    spark.sparkContext.setCheckpointDir(str(directory / "checkpoints"))
    spark.sparkContext.setLogLevel("ERROR")
    found = {}
    # Every column is text there too; an empty one would be taken for numbers.
    on_spark = spark.read.csv(str(directory / "records.csv"), header=True)
    for name, api, input_table, frame in (
        ("duckdb", DuckDBAPI(), records, lambda table: table),
        ("spark", SparkAPI(spark_session=spark), on_spark, spark.createDataFrame),
    ):
        settings = json.loads((directory / f"{name}.json").read_text())
        found[name], seconds = predicted(records, settings, api, input_table, frame)
        print(f"{name}: {len(records)} records, {len(found[name])} pairs, {seconds:.1f} s")
    both = found["duckdb"].keys() & found["spark"].keys()
    differing = [pair for pair in both if abs(found["duckdb"][pair] - found["spark"][pair]) > BITS]
    missing = len(found["duckdb"].keys() ^ found["spark"].keys())
    print(f"{len(both)} pairs on both, {missing} on one only; {len(differing)} weights differ by more than {BITS} bits")
    spark.stop()
    sys.exit(bool(missing or len(differing) > len(both) / 200))


main(pathlib.Path(sys.argv[1]))
