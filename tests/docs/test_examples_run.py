"""Every example of the README and of the documentation runs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from docs_kit import PAGES, page
from typer.testing import CliRunner

import wardgan as wg
from wardgan.cli.main import app
from wardgan.dossier.policy import Policy
from wardgan.errors import GateError
from wardgan.schema.formulas import MAX_LENGTH
from wardgan.schema.rules import MAX_RULES
from wardgan.schema.search import TRIED, hardest_rule

# The others are typed from top to bottom, by test_tutorials.
EXAMPLES = [path for path in PAGES if path.parent.name not in ("tutorials", "howto")]
WITH_PYTHON = [path for path in EXAMPLES if "```python\n" in path.read_text(encoding="utf-8")]
# It reads with `datasets`, whose name a script of the benchmarks has, too; so it runs in a process of its own.
APART = "scale.md"
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
    override = "A. Tester: no dossier in a test"
    wg.release(wg.fit(cohort, wg.Budget(epsilon=3)), home / "patients.hgan", home / "hospital.key", override)
    return home


@pytest.fixture
def hospital(made, tmp_path, monkeypatch):
    """A copy of it, in which the test stands."""
    home = shutil.copytree(made, tmp_path / "home")
    monkeypatch.chdir(home)
    return home


def test_the_pages_that_people_start_from_have_examples():
    names = {path.name for path in WITH_PYTHON}
    assert {"glance.md", "python.md", "schema.md", "privacy.md", "errors.md"} <= names


# That of the glance runs below.
@pytest.mark.parametrize(
    "path", [path for path in WITH_PYTHON if path.name not in (APART, "glance.md")], ids=lambda path: path.name
)
def test_python(path, hospital):
    world: dict[str, object] = {}
    for number, block in enumerate(page(path).blocks("python")):
        tried(compile(block, f"{path.name}, block {number + 1}", "exec"), world)


def test_python_of_the_page_on_shards(hospital):
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if not path.endswith("benchmarks")]
    code = "\n".join(page(f"docs/{APART}").blocks("python"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1", "HF_HOME": str(hospital / "hf")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "True 60000" in done.stdout


def tried(code, world):
    """Runs an example; the noise is other noise each time, and all attacks together accuse one safe generator in twenty."""
    for _ in range(2):
        try:
            exec(code, world)
        except GateError:
            for folder in ("run", "my-run"):
                shutil.rmtree(folder, ignore_errors=True)
        else:
            return
    exec(code, world)


def test_the_bill_by_hand_knows_every_mechanism(hospital):
    """The example's own file has Gaussian events alone."""
    cohort = wg.read("patients.csv", wg.Schema.load("schema.yaml"))
    family = wg.TabganConfig(pairs=0.3, steps=10, width=8, noise_inputs=2)
    made = wg.fit(cohort, wg.Budget(epsilon=3), family=family)
    wg.release(made, "patients.hgan", override="A. Tester: no dossier in a test", force=True)
    ledger = wg.inspect("patients.hgan")["privacy"]
    assert {event["mechanism"] for event in ledger["events"]} == {"gaussian", "poisson-gaussian", "pure"}
    world: dict[str, object] = {}
    for block in page("docs/privacy.md").blocks("python"):
        exec(block, world)
    billed = [(event["name"], event["mechanism"], event["steps"]) for event in world["ledger"]["events"]]
    assert billed == [(event["name"], event["mechanism"], event["steps"]) for event in ledger["events"]]


def test_the_glance_draws_the_patients_that_it_asks_for(hospital):
    (hospital / "patients.hgan").unlink()
    world: dict[str, object] = {}
    (block,) = page("docs/glance.md").blocks("python")
    tried(block, world)
    assert len([line for line in block.splitlines() if line]) <= 8
    assert set(world["patients"]["arm"]) == {"intensive"}
    assert len(world["patients"]) == 1000


def test_the_command_line_of_the_glance(hospital):
    text = page("docs/glance.md").text
    (lines,) = page("docs/glance.md").blocks("console")
    schema = hospital / "schema.yaml"
    confirmed = schema.read_bytes()
    for old in (schema, hospital / "hospital.key", hospital / "hospital.key.pub", hospital / "patients.hgan"):
        old.unlink()
    (key,) = re.findall(r"`(wardgan keys new .*?)`", text)
    commands = [shlex.split(command, comments=True)[1:] for command in [key, *lines.splitlines()]]
    assert all(line.startswith("wardgan ") for line in [key, *lines.splitlines()])
    first = next(at for at, words in enumerate(commands) if words[0] == "split")
    for words in commands[:first]:
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        if words[0] == "init":
            assert yaml.safe_load(schema.read_text(encoding="utf-8"))["confirm"]
            schema.write_bytes(confirmed)
    # All attacks together accuse a safe generator in one of twenty cases: three in a row are no accident.
    for _ in range(3):
        for path in (hospital / name for name in ("train.csv", "holdout.csv", "run", "hub", "pulled.hgan")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        done = [CliRunner().invoke(app, words) for words in commands[first:]]
        failed = [one for one in done if one.exit_code]
        if not failed:
            break
        assert failed[0].exit_code == 3, failed[0].output
    assert not failed, failed[0].output
    assert len(lines.splitlines()) == 10
    assert (hospital / "synthetic.parquet").exists()


@pytest.mark.parametrize("block", page("docs/schema.md").blocks("yaml"))
def test_the_schemas_of_the_schema_page(block, tmp_path):
    path = tmp_path / "schema.yaml"
    path.write_text(block, encoding="utf-8")
    schema = wg.Schema.load(path)
    assert hardest_rule(schema) is None
    assert wg.Schema.from_dict(schema.to_dict()) == schema
    assert wg.plan(schema, wg.Budget(epsilon=9), family="copula").events


def test_the_claims_of_the_schema_page():
    blocks = {found["name"]: found for found in map(yaml.safe_load, page("docs/schema.md").blocks("yaml"))}
    assert wg.Schema.from_dict(blocks["trial-with-survival"]).classes == 4
    rules = [rule.text for rule in wg.Schema.from_dict(blocks["clinic-with-rules"]).rules]
    assert len(rules) == 5
    declared = wg.Schema.from_dict({**blocks["clinic-with-rules"], "rules": ['stage == "I" and metastatic == "no"']})
    (rule,) = declared.rules
    assert rule.broken({"stage": np.array([0.0, 1.0]), "metastatic": np.full(2, np.nan)}).tolist() == [False, True]
    for wrong, why in (("stage < 'II'", "no order"), ("dbp > 300", "can never hold"), ("stage == 'V'", "no level")):
        with pytest.raises(wg.WardganError, match=why):
            wg.Schema.from_dict({**blocks["clinic-with-rules"], "rules": [wrong]})
    text = page("docs/schema.md").text
    assert f"at most {MAX_RULES} of {MAX_LENGTH} characters" in text
    assert f"none of {TRIED:,} rows" in text


def test_the_dates_of_the_schema_page():
    blocks = {found["name"]: found for found in map(yaml.safe_load, page("docs/schema.md").blocks("yaml"))}
    schema = wg.Schema.from_dict(blocks["stays-without-a-calendar"])
    frame = pd.DataFrame({
        "patient_id": [1, 2], "admitted": ["2011-05-06", "1999-01-01"], "discharged": ["2011-05-16", "1999-01-02"],
        "died_on": [None, "1999-02-01"], "ward": "surgery",
    })  # fmt: skip
    shown = wg.read(frame, schema).frame()
    assert shown["admitted"].astype(str).tolist() == ["2000-01-01"] * 2
    assert (shown["discharged"] - shown["admitted"]).dt.days.tolist() == [10, 1]
    with pytest.raises(wg.WardganError, match="0 to 365 days after admitted"):
        wg.read(frame.assign(discharged="1998-12-31"), schema)


def test_the_policy_of_the_dossier_page(tmp_path):
    (block,) = page("docs/dossier.md").blocks("yaml")
    (tmp_path / "policy.yaml").write_text(block, encoding="utf-8")
    policy = Policy.load(tmp_path / "policy.yaml")
    assert (policy.name, policy.unjudged) == ("our-hospital", "refuse")
    assert (policy.limits["epsilon"].fail, policy.limits["attribute"].fail) == (2, 0.05)
    default = Policy.named("default")
    for name, limit in default.limits.items():
        assert name in page("docs/dossier.md").text
        if name not in ("certified epsilon", "certain copies", "impossible", "public utility"):
            assert f"{limit.fail:.2f}".removeprefix("0").removesuffix(".00") in page("docs/dossier.md").text


def test_every_yaml_block_is_tried():
    found = [path.name for path in EXAMPLES if "```yaml\n" in path.read_text(encoding="utf-8")]
    assert sorted(found) == ["combining.md", "dossier.md", "exchange.md", "images.md", "schema.md"]


def test_the_recipes_of_the_page_on_combining(tmp_path):
    first, second, third, fourth = page("docs/combining.md").blocks("yaml")
    (tmp_path / "r.yaml").write_text(first, encoding="utf-8")
    recipe = wg.Recipe.load(tmp_path / "r.yaml")
    assert (recipe.name, recipe.overlap, len(recipe.members)) == ("north", 1, 3)
    assert recipe.classes == {"arm=new": {"alpha": 3, "Beta clinic": 1}}
    (tmp_path / "r.yaml").write_text(second, encoding="utf-8")
    mapped = wg.Recipe.load(tmp_path / "r.yaml").members[1].columns
    assert mapped["glucose"] == wg.Source("glucose", times=18.016)
    assert mapped["sex"] == wg.Source("gender", levels={"male": "m", "female": "f"})
    columns = {"sick": {"kind": "flag", "label": True}, "age": {"kind": "integer", "low": 18, "high": 99}}
    (tmp_path / "schema.yaml").write_text(json.dumps({"name": "x", "table": columns}), encoding="utf-8")
    (tmp_path / "agreement.yaml").write_text(third, encoding="utf-8")
    agreement = wg.Agreement.load(tmp_path / "agreement.yaml")
    assert (agreement.epsilon, agreement.rounds, agreement.hospitals, agreement.least) == (1, 12, 4, 2)
    (tmp_path / "policy.yaml").write_text(fourth, encoding="utf-8")
    assert wg.Policy.load(tmp_path / "policy.yaml").refusals(agreement) == []
