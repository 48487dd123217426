"""`wardgan sketch`: from a schema file or from numbers, and every bad input is a message."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from wardgan.cli.main import app

SCHEMA = """\
name: ward
population: 400
table:
  died: {kind: flag, label: true}
  age: {kind: integer, low: 18, high: 110}
  lab: {kind: number, low: 0, high: 80, decimals: 1, nullable: true}
"""
QUICK = ("--epsilon", "8", "--seeds", "1")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, ["sketch", *map(str, words)])


def test_a_schema_file(home):
    done = run("schema.yaml", "--epsilon", 8, "--epsilon", 0.01, "--seeds", 2)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].startswith("ward: 2 simulated tables of 400 patients and 2 variables")
    words = done.stdout.split()
    assert "refused" in words
    assert "Epsilon 0.01 is refused: epsilon=0.01 is too small for population=400" in done.stdout.replace("\n", " ")
    assert "simulation" in words
    assert [path.name for path in home.iterdir()] == ["schema.yaml"]


def test_numbers_alone(home):
    done = run("--patients", 500, "--columns", 6, "--classes", 3, "--missing", 0, *QUICK, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["patients"], found["variables"], len(found["best"]["classes"])) == (500, 6, 3)
    assert found["assume"] == {"signal": "medium", "missing": 0.0, "rarest": None}
    assert [row["epsilon"] for row in found["rows"]] == [8.0, None]


def test_json_is_all_there_is_on_standard_output(home):
    done = run("schema.yaml", *QUICK, "--json", "--signal", "strong", "--rarest", 0.4, "--delta", 1e-6)
    found = json.loads(done.stdout)
    assert found["assume"] == {"signal": "strong", "missing": 0.2, "rarest": 0.4}
    assert (found["seeds"], found["delta"], found["patients"]) == (1, 1e-6, 400)
    assert "rehearsing" in done.stderr


def test_the_table_fits_a_narrow_terminal(home):
    done = run("schema.yaml", *QUICK)
    table = [
        line for line in done.stdout.splitlines() if line.startswith((" epsilon", " 8", " no privacy", " patients"))
    ]
    assert len(table) == 4
    assert max(map(len, table)) <= 80


def test_the_figure(home):
    done = run("schema.yaml", *QUICK, "--figure", "out.svg")
    assert done.exit_code == 0, done.output
    assert "The figure is in out.svg." in done.stdout
    assert sorted(path.name for path in home.iterdir()) == ["out.svg", "schema.yaml"]
    again = run("schema.yaml", *QUICK, "--figure", "out.svg")
    assert again.exit_code == 2
    assert "exists" in again.stderr
    assert run("schema.yaml", *QUICK, "--figure", "out.svg", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        ((), "schema: name a schema file, or give numbers"),
        (("--patients", 5000), "schema: name a schema file, or give numbers"),
        (("--columns", 30), "schema: name a schema file, or give numbers"),
        (("--patients", -5, "--columns", 3), "patients=-5 is not a whole number of at least 1"),
        (("--patients", 0, "--columns", 3), "patients=0 "),
        (("--patients", 50, "--columns", -3), "columns=-3 "),
        (("--patients", 50, "--columns", 3, "--classes", 0), "classes=0 "),
        (("--patients", 50, "--columns", 3, "--classes", 1000), "classes=1000 is more than 64"),
        (("--patients", "many", "--columns", 3), "--patients"),
        (("schema.yaml", "--columns", 3), "columns, classes: the schema says them"),
        (("schema.yaml", "--classes", 3), "columns, classes: the schema says them"),
        (("schema.yaml", "--patients", -1), "patients=-1 "),
        (("schema.yaml", "--epsilon", 0), "epsilon=0.0 is not a finite number greater than 0"),
        (("schema.yaml", "--epsilon", -1), "epsilon=-1.0 "),
        (("schema.yaml", "--epsilon", "nan"), "epsilon=nan "),
        (("schema.yaml", "--epsilon", 3, "--epsilon", 500), "epsilon=500 is more than 100"),
        (("schema.yaml", "--delta", 1), "delta=1.0 "),
        (("schema.yaml", "--family", "gan"), "family='gan' is not one of auto, copula, marginal, tabgan, acgan"),
        (("schema.yaml", "--signal", "loud"), "signal='loud' is not one of weak, medium, strong"),
        (("schema.yaml", "--rarest", 0.7), "rarest=0.7: died has 2 levels"),
        (("schema.yaml", "--rarest", 0), "rarest=0.0 "),
        (("schema.yaml", "--missing", 2), "missing=2.0 "),
        (("schema.yaml", "--seeds", 0), "seeds=0 "),
        (("schema.yaml", "--figure", "out.pdf"), "figure='out.pdf' ends neither in .svg nor in .png"),
        (("schema.yaml", "--figure", "nowhere/out.svg"), "does not exist"),
        (("none.yaml",), "schema='none.yaml' cannot be read"),
        (("waits.yaml",), "confirm: 1 value of the draft"),
        (("unknown.yaml",), "patients: the schema declares no population"),
        (("ruled.yaml", *QUICK), "age > 200' can never hold"),
    ],
)
def test_bad_input_is_a_message(home, words, phrase):
    (home / "waits.yaml").write_text(SCHEMA + "confirm: [table.age.low]\n", encoding="utf-8")
    (home / "unknown.yaml").write_text(SCHEMA.replace("population: 400\n", ""), encoding="utf-8")
    (home / "ruled.yaml").write_text(SCHEMA + "rules: [age > 200]\n", encoding="utf-8")
    before = sorted(home.iterdir())
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert phrase in (done.stdout + done.stderr).replace("\n", " ")
    assert "Traceback" not in done.output
    assert sorted(home.iterdir()) == before


@pytest.mark.parametrize("name", ["out.pdf", "nowhere/out.svg", "schema.yaml"])
def test_a_figure_that_cannot_be_is_refused_before_any_work(home, name):
    done = run("schema.yaml", *QUICK, "--figure", name)
    assert done.exit_code == 2
    assert "rehearsing" not in done.stderr


def test_a_refusal_as_json(home):
    done = run("schema.yaml", "--epsilon", 0, "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"]["kind"] == "PlanError"


_SPY = """
import os, sys
read, written = set(), set()
def watch(event, details):
    if event == "open" and isinstance(details[0], (str, bytes)):
        changes = details[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        (written if changes else read).add(os.path.abspath(os.fsdecode(details[0])))
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link"):
        written.add(os.path.abspath(os.fsdecode(details[0])))
    elif event in ("socket.connect", "subprocess.Popen"):
        written.add(event)
sys.addaudithook(watch)
from wardgan.cli.main import app
try:
    app(["sketch", "schema.yaml", "--epsilon", "8", "--seeds", "1"])
except SystemExit as end:
    assert not end.code, end.code
here = os.getcwd()
print("READ", sorted(path for path in read if path.startswith(here)))
print("WRITTEN", sorted(path for path in written if path != os.devnull))
print("TORCH", "torch" in sys.modules)
"""


def test_nothing_is_read_but_the_schema_and_nothing_is_written(home):
    (home / "patients.csv").write_text("died,age,lab\n1,50,3\n", encoding="utf-8")
    command = [sys.executable, "-B", "-c", _SPY]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=home)
    read, written, torch = done.stdout.splitlines()[-3:]
    assert read == f"READ {[str(home / 'schema.yaml')]}"
    assert [path for path in written.split("'")[1::2] if path != "subprocess.Popen"] == []
    assert torch == "TORCH False"
    assert sorted(path.name for path in home.iterdir()) == ["patients.csv", "schema.yaml"]
