"""A small clinic with invented patients, and the command line beside it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from wardgan.cli.main import app

OVERRIDE = ("--override", "A. Tester: no dossier in a test")
SCHEMA = """\
name: clinic
patient: patient_id
population: 400
table:
  arm: {kind: category, levels: [standard, intensive], label: true}
  age: {kind: integer, low: 18, high: 110, unit: a}
  smoker: {kind: flag, nullable: true}
  bmi: {kind: number, low: 10, high: 70, decimals: 1}
terms: {licence: CC-BY-4.0}
"""


@dataclass(frozen=True)
class Clinic:
    """A folder with a file of patients, a confirmed schema, and a command line."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "patients.csv"

    @property
    def schema(self) -> Path:
        return self.folder / "schema.yaml"

    def run(self, *words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    def ok(self, *words: object) -> dict:
        """Runs a verb with --json, which must succeed, and gives its answer."""
        done = self.run(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def frame(self) -> pd.DataFrame:
        return pd.read_csv(self.data, dtype=str, keep_default_na=False)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


def patients(number=400) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    arm = rng.integers(0, 2, number)
    age = rng.integers(30, 90, number)
    return pd.DataFrame(
        {
            "patient_id": [f"Quixote-{at:04d}" for at in range(number)],
            "arm": np.array(["standard", "intensive"])[arm],
            "age": age,
            "smoker": np.where(rng.random(number) < 0.1, "", np.array(["no", "yes"])[rng.integers(0, 2, number)]),
            "bmi": np.round(np.clip(rng.normal(24 + age / 20 + 2 * arm, 3, number), 12, 60), 1),
        }
    )


def opened(folder: Path) -> Clinic:
    made = Clinic(folder)
    patients().to_csv(made.data, index=False)
    made.schema.write_text(SCHEMA, encoding="utf-8")
    return made


@pytest.fixture
def clinic(tmp_path, monkeypatch) -> Clinic:
    monkeypatch.setenv("WARDGAN_TRUST", str(tmp_path / "trust.json"))
    return opened(tmp_path)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """A finished run, made once for all tests."""
    elsewhere = opened(tmp_path_factory.mktemp("clinic"))
    elsewhere.ok("fit", elsewhere.data, elsewhere.schema, "--epsilon", 4, "-o", elsewhere.folder / "run")
    return elsewhere.folder / "run"


@pytest.fixture
def model(clinic, finished_run) -> Path:
    """An unsigned model of the clinic; its run folder is beside it."""
    shutil.copytree(finished_run, clinic.folder / "run")
    clinic.ok("release", clinic.folder / "run", "-o", clinic.folder / "clinic.hgan", *OVERRIDE)
    return clinic.folder / "clinic.hgan"
