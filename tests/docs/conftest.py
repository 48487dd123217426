"""A hospital in whose folder the examples of the documentation run."""

import shutil

import numpy as np
import pandas as pd
import pytest

import wardgan as wg

SCHEMA = """\
name: clinic
patient: patient_id
population: 2000
table:
  arm: {kind: category, levels: [standard, intensive], label: true}
  age: {kind: integer, low: 18, high: 110, unit: a}
  bmi: {kind: number, low: 10, high: 70, decimals: 1}
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A hospital with a file, a schema, a key, a trust file and a released generator."""
    home = tmp_path_factory.mktemp("hospital")
    rng = np.random.default_rng(5)
    arm, age = rng.integers(0, 2, 2000), rng.integers(30, 90, 2000)
    bmi = np.round(np.clip(rng.normal(24 + age / 20 + 2 * arm, 3), 12, 60), 1)
    names = [f"P{at:04d}" for at in range(2000)]
    frame = pd.DataFrame({"patient_id": names, "arm": np.array(["standard", "intensive"])[arm], "age": age, "bmi": bmi})
    frame.to_csv(home / "patients.csv", index=False)
    (home / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    wg.new_key(home / "hospital.key", name="Our hospital", trust=home / "trust.json")
    cohort = wg.read(frame, wg.Schema.load(home / "schema.yaml"))
    wg.release(wg.fit(cohort, wg.Budget(epsilon=3)), home / "patients.hgan", home / "hospital.key")
    return home


@pytest.fixture
def hospital(made, tmp_path, monkeypatch):
    """A copy of it, in which the test stands."""
    home = shutil.copytree(made, tmp_path / "home")
    monkeypatch.chdir(home)
    return home
