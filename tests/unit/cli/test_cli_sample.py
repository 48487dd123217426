"""What `wardgan sample` says of what it wrote."""

import json

import numpy as np
import pandas as pd
from typer.testing import CliRunner

import release_kit
import wardgan as wg
from wardgan.cli.main import app
from wardgan.seal import artifact


def test_patients_without_a_visit_are_told(tmp_path):
    """A file with one row per visit has none of them; whoever counts its patients should not wonder."""
    schema = wg.Schema.from_dict({
        "name": "ragged", "patient": "id", "population": 600, "table": {"age": {"kind": "integer", "low": 18, "high": 99}},
        "visits": {
            "key": "seen", "max_visits": 3, "columns": {"sbp": {"kind": "integer", "low": 80, "high": 250}},
        },
    })  # fmt: skip
    numbers = np.random.default_rng(0)
    people = pd.DataFrame({"id": range(600), "age": numbers.integers(18, 99, 600)})
    owner = np.repeat(np.arange(600), np.arange(600) % 3)  # each third patient has no visit
    visits = pd.DataFrame({"id": owner, "seen": range(len(owner)), "sbp": numbers.integers(100, 200, len(owner))})
    made = wg.fit(wg.read(people, schema, visits=visits), privacy="none", family="copula", seed=1)
    artifact.release(made, tmp_path / "m.hgan", None, release_kit.OVERRIDE, training_data_id="data-0000001")
    words = ["sample", str(tmp_path / "m.hgan"), "-n", "900", "-o", str(tmp_path / "s.csv"), "--seed", "3"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    there = pd.read_csv(tmp_path / "s.csv")["id"].nunique()
    assert told["patients"] - told["without_visits"] == there
    assert told["without_visits"] > 200
    assert "of them have no visit" in " ".join(done.stderr.split())
    done = CliRunner().invoke(app, [*words, "--wide", "--force"])
    assert "of them have no visit" not in done.output
