"""The examples of docs/clients.md, run as they stand there."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from conftest import BINARY, examples


def people(line):
    entries = json.loads(line)["parameter"][0]["resource"]["entry"]
    return [entry["resource"]["id"] for entry in entries if entry["resource"]["resourceType"] == "Patient"]


def run(command, demo, folder, **environment):
    shutil.copytree(demo.keys, folder, dirs_exist_ok=True)
    environment = {**os.environ, "BASE": demo.base, **environment}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.splitlines()


def test_every_language_is_there():
    assert [len(examples(language)) for language in ("sh", "python", "ts")] == [2, 1, 1]


@pytest.mark.parametrize("number", [0, 1], ids=["idi-match", "curl"])
def test_the_shell_examples_find_somebody(number, demo, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "idi-match").symlink_to(BINARY)
    script = "set -eu\n" + examples("sh")[number]
    lines = run(["sh", "-c", script], demo, tmp_path, PATH=f"{programs}:{os.environ['PATH']}")
    assert len(people(lines[-1])) == 1


def test_the_python_example_finds_somebody_for_the_clinic_and_for_the_person(demo, tmp_path):
    lines = run([sys.executable, "-c", examples("python")[0]], demo, tmp_path)
    assert [len(people(line)) for line in lines] == [1, 1]


def test_the_typescript_example_has_sound_types_and_finds_somebody(demo, tmp_path):
    packages = pathlib.Path(os.environ["IDI_MATCH_NODE_MODULES"])
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "client.ts").write_text(examples("ts")[0])
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "--skipLibCheck"]
    run([packages / ".bin" / "tsc", *options, "client.ts"], demo, tmp_path)
    lines = run(["node", "client.js"], demo, tmp_path)
    assert len(people(lines[-1])) == 1
