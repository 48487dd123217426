"""From a hospital's file to a researcher's table, through the command line and through Python."""

import json
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import wardgan as wg
from wardgan.cli import run as run_module
from wardgan.privacy.ledger import Ledger
from wardgan.seal import new_key, release

OVERRIDE = ("--override", "A. Tester: no dossier in a test")


def test_the_whole_journey_on_the_command_line(clinic):
    home = clinic.folder
    drafted = clinic.ok("init", clinic.data, "-o", home / "draft.yaml")
    assert drafted["schema"]["patient"] == "patient_id"
    assert "table.age.low" in drafted["schema"]["confirm"]
    refused = clinic.run("plan", home / "draft.yaml", "--epsilon", 3)
    assert refused.exit_code == 2
    assert "confirm" in refused.stderr

    confirm(home / "draft.yaml", home / "public.yaml")
    assert clinic.ok("check", clinic.data, home / "public.yaml") == {"ok": True, "columns": 4, "findings": []}
    plan = clinic.ok("plan", home / "public.yaml", "--epsilon", 4)
    assert plan["planned_epsilon"] <= 4
    assert sum(event["share"] for event in plan["events"]) == pytest.approx(1, abs=1e-4)

    sides = ("-o", home / "train.csv", "--holdout", home / "holdout.csv", "--seed", 1)
    assert clinic.ok("split", clinic.data, home / "public.yaml", *sides)["rows"] > 150
    fitted = clinic.ok(
        "fit", home / "train.csv", home / "public.yaml", "--epsilon", 4, "--family", "copula", "-o", home / "run"
    )
    assert fitted["spent_epsilon"] == pytest.approx(plan["planned_epsilon"])
    assert isinstance(fitted["notes"], list)
    key = clinic.ok("keys", "new", "Clinic", "-o", home / "clinic.key")
    assert clinic.ok("keys", "list")["keys"] == [{"name": "Clinic", "keyid": key["keyid"]}]
    model = home / "clinic.hgan"
    with_key = ("release", home / "run", "-o", model, "--key", home / "clinic.key")
    assert "It has no dossier" in clinic.run(*with_key).stderr
    found = clinic.ok("dossier", home / "run", "--data", home / "train.csv", "--holdout", home / "holdout.csv")
    # Two hundred patients are too few for most attacks, and epsilon 4 is too large for the proof alone.
    assert any("Not enough power" in reason for reason in found["refusals"])
    assert clinic.run(*with_key).exit_code == 3
    released = clinic.ok(*with_key, "--override", "Dr Ada Example: invented patients")
    assert released["signature"]["status"] == "verified"
    verified = clinic.ok("verify", model)
    assert (verified["signer"], verified["digest"]) == ("Clinic", released["digest"])
    assert verified["epsilon"] <= 4
    assert {gate["gate"] for gate in verified["gates"]} == {"epsilon", "impossible", "public utility"}
    assert "released by override of Dr Ada Example: invented patients" in verified["verdict"]
    assert clinic.ok("inspect", model)["card"]["name"] == "patients"
    assert "# Datasheet of patients" in clinic.run("card", model, "--format", "datasheet").stdout

    drawn = clinic.ok(
        "sample", model, "-n", 500, "--where", "arm=intensive", "--where", "age=40..70", "-o", home / "a.csv"
    )
    table = pd.read_csv(home / "a.csv")
    assert (len(table), set(table["arm"])) == (500, {"intensive"})
    assert table["age"].between(40, 70).all()
    again = clinic.ok(
        "sample", model, "-n", 500, "--where", "arm=intensive", "--where", "age=40..70", "-o", home / "b.csv",
        "--seed", drawn["seed"],
    )  # fmt: skip
    assert again["rows"] == 500
    assert (home / "a.csv").read_bytes() == (home / "b.csv").read_bytes()
    assert b"Quixote" not in model.read_bytes() + (home / "a.csv").read_bytes()


def confirm(draft, public):
    """A person declares what the protocol says, and marks the label."""
    found = yaml.safe_load(draft.read_text(encoding="utf-8"))
    del found["confirm"]
    found["table"]["arm"] |= {"levels": ["standard", "intensive"], "label": True}
    found["table"]["age"] |= {"low": 18, "high": 110}
    found["table"]["bmi"] |= {"low": 10, "high": 70}
    public.write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")


def test_the_whole_journey_in_python(clinic):
    home = clinic.folder
    drafted = wg.draft(pd.read_csv(clinic.data), name="clinic")
    assert drafted.schema.patient == "patient_id"
    schema = wg.Schema.load(clinic.schema)
    cohort = wg.read(clinic.data, schema)
    assert wg.plan(schema, wg.Budget(epsilon=4), family="copula").epsilon() <= 4
    trained = wg.fit(cohort, wg.Budget(epsilon=4), family="copula", run=home / "run")
    new_key(home / "clinic.key", name="Clinic", trust=home / "trust.json")
    release(trained, home / "clinic.hgan", home / "clinic.key")
    assert wg.verify(home / "clinic.hgan", home / "trust.json").signer == "Clinic"
    assert wg.inspect(home / "clinic.hgan")["card"]["licence"] == "CC-BY-4.0"
    generator = wg.load(home / "clinic.hgan", trust=home / "trust.json")
    table = generator.sample(300, balance="arm", seed=7)
    assert table["arm"].value_counts().to_dict() == {"standard": 150, "intensive": 150}
    pd.testing.assert_frame_equal(table, generator.sample(300, balance="arm", seed=7))


def test_tables_come_in_three_formats_and_say_that_they_are_synthetic(clinic, model):
    home = clinic.folder
    for name in ("a.csv", "a.parquet", "a.arrow"):
        clinic.ok("sample", model, "-n", 50, "--seed", 1, "-o", home / name)
    clinic.ok("sample", model, "-n", 50, "--seed", 1, "--format", "parquet", "-o", home / "a.table")
    note = pq.read_schema(home / "a.parquet").metadata
    assert (note[b"synthetic"], note[b"seed"]) == (b"true", b"1")
    assert note[b"model"].decode() == clinic.ok("inspect", model)["digest"]
    assert json.loads(note[b"privacy"])["epsilon"] == 4
    with pa.memory_map(str(home / "a.arrow")) as file:
        assert pa.ipc.open_file(file).schema.metadata[b"synthetic"] == b"true"
    ages = [pd.read_csv(home / "a.csv"), pd.read_parquet(home / "a.parquet"), pd.read_parquet(home / "a.table")]
    assert len({tuple(table["age"]) for table in ages}) == 1
    assert wg.read(home / "a.csv", wg.Schema.load(clinic.schema))


def test_a_sample_says_what_it_took(clinic, model):
    home = clinic.folder
    asked = ("sample", model, "-n", 200, "--seed", 3, "--where")
    common = clinic.ok(*asked, "age=40..50", "--where", "smoker=missing", "-o", home / "a.parquet")
    assert common["drawn"]["kept"] >= 200
    assert common["drawn"]["patients"] > 10 * common["drawn"]["kept"]
    known = common["efficiency"]
    assert known["share"]["low"] < known["share"]["value"] < known["share"]["high"]
    assert known["kept"] == known["share"]
    assert not known["proposed"]
    note = {key.decode(): text.decode() for key, text in pq.read_schema(home / "a.parquet").metadata.items()}
    assert json.loads(note["where"]) == ["age=40..50", "smoker=missing"]
    assert " of the patients drawn are kept; about 1 in " in note["efficiency"]

    text = clinic.run(*asked, "age=58..59", "--where", "bmi=26..26.5", "-o", home / "b.arrow").stdout
    assert "%), found where alone the conditions can hold; about 1 in " in " ".join(text.split())
    rare = clinic.ok(*asked, "age=58..59", "--where", "bmi=26..26.5", "-o", home / "c.arrow")
    assert rare["efficiency"]["proposed"]
    assert rare["efficiency"]["share"]["high"] < 0.01 < 0.5 < rare["efficiency"]["kept"]["value"]
    assert rare["drawn"]["patients"] < 2 * rare["drawn"]["kept"]
    assert (home / "b.arrow").read_bytes() == (home / "c.arrow").read_bytes()

    labels = clinic.ok(*asked, "arm=intensive", "-o", home / "d.parquet")
    assert (labels["efficiency"], labels["drawn"]["patients"]) == (None, labels["drawn"]["kept"])
    assert b"where" not in pq.read_schema(home / "d.parquet").metadata
    nobody = clinic.run(*asked, "age=30..31", "--where", "visit@3M=yes", "-o", home / "e.csv")
    assert nobody.exit_code == 2
    assert "the generator's schema has no visits" in nobody.stderr
    assert not (home / "e.csv").exists()


def test_an_unsigned_file_is_for_its_owner_only(clinic, model):
    (clinic.folder / "trust.json").write_text('{"version": 1, "keys": []}', encoding="utf-8")
    assert clinic.run("verify", model).exit_code == 3
    refused = clinic.run(
        "sample", model, "-n", 5, "-o", clinic.folder / "a.csv", "--trust", clinic.folder / "trust.json"
    )
    assert refused.exit_code == 3
    assert "unsigned" in refused.stderr
    mine = clinic.run("sample", model, "-n", 5, "-o", clinic.folder / "a.csv")
    assert mine.exit_code == 0
    assert "not known to be genuine (unsigned)" in mine.stdout


def test_a_receiver_adds_the_key_of_a_hospital(clinic, model):
    home = clinic.folder
    clinic.ok("keys", "new", "Clinic", "-o", home / "c.key", "--trust", home / "theirs.json")
    clinic.ok("release", home / "run", "-o", model, "--key", home / "c.key", "--force", *OVERRIDE)
    unknown = clinic.run("verify", model)
    assert unknown.exit_code == 3
    assert "unknown key" in unknown.stderr
    clinic.ok("keys", "add", home / "c.key.pub", "The Clinic")
    assert clinic.ok("verify", model)["signer"] == "The Clinic"


def test_an_encrypted_key_asks_for_its_passphrase(clinic, model, monkeypatch):
    home = clinic.folder
    monkeypatch.setenv("WARDGAN_PASSPHRASE", "correct horse")
    clinic.ok("keys", "new", "Clinic", "-o", home / "c.key", "--encrypt")
    assert b"ENCRYPTED" in (home / "c.key").read_bytes()
    clinic.ok("release", home / "run", "-o", home / "signed.hgan", "--key", home / "c.key", *OVERRIDE)
    monkeypatch.setenv("WARDGAN_PASSPHRASE", "wrong")
    refused = clinic.run("release", home / "run", "-o", home / "b.hgan", "--key", home / "c.key", *OVERRIDE)
    assert refused.exit_code == 2
    assert "passphrase is wrong" in refused.stderr


def test_without_privacy_it_is_loud_everywhere(clinic):
    home = clinic.folder
    both = clinic.run("fit", clinic.data, clinic.schema, "--privacy", "none", "--epsilon", 3, "-o", home / "run")
    assert both.exit_code == 2
    fitted = clinic.run("fit", clinic.data, clinic.schema, "--privacy", "none", "-o", home / "run")
    assert fitted.exit_code == 0, fitted.output
    assert fitted.stdout.count("NOT PRIVATE") == 2
    gate = clinic.run("release", home / "run", "-o", home / "x.hgan")
    assert gate.exit_code == 3
    assert "override" in gate.stderr
    override = ("--override", "Dr Ada Example: invented patients")
    assert "NOT PRIVATE" in clinic.run("release", home / "run", "-o", home / "x.hgan", *override).stdout
    shown = clinic.run("inspect", home / "x.hgan").stdout
    assert "NOT PRIVATE" in shown
    assert "Dr Ada Example" in shown
    assert "NOT PRIVATE" in clinic.run("sample", home / "x.hgan", "-n", 3, "-o", home / "a.csv").stdout


def test_bounds_that_cut_off_are_told_without_an_exact_count(clinic):
    """With --invalid clip nothing is refused, so the noisy counts have to say it."""
    narrow = clinic.schema.read_text(encoding="utf-8").replace("low: 10, high: 70", "low: 10, high: 27")
    clinic.schema.write_text(narrow, encoding="utf-8")
    words = ("fit", clinic.data, clinic.schema, "--epsilon", 4, "--invalid", "clip")
    told = clinic.ok(*words, "-o", clinic.folder / "run")["notes"]
    (note,) = [note for note in told if note.startswith("bmi")]
    assert "lie on its bound high=27" in note
    shown = clinic.run(*words, "-o", clinic.folder / "other")
    assert shown.exit_code == 0, shown.output
    assert "Note: bmi: about" in shown.stdout
    assert "widen the bounds" in shown.stdout


def test_a_rehearsal_is_never_released(clinic):
    home = clinic.folder
    fitted = clinic.run("fit", clinic.data, clinic.schema, "--epsilon", 4, "--seed", 3, "-o", home / "run")
    assert "rehearsal" in fitted.stdout
    done = clinic.run("release", home / "run", "-o", home / "x.hgan", *OVERRIDE, "--json")
    assert done.exit_code == 3
    assert any("rehearsal" in reason for reason in json.loads(done.stdout)["error"]["reasons"])


def test_ctrl_c_tells_how_to_go_on_and_nothing_is_spent_twice(clinic, monkeypatch):
    home = clinic.folder
    words = ("fit", clinic.data, clinic.schema, "--family", "copula", "-o", home / "run")
    real = run_module.bar

    def stop(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "bar", lambda *args: _Entered(stop))
    stopped = clinic.run(*words, "--epsilon", 4)
    assert stopped.exit_code == 130
    command = stopped.stderr.split("\n  ")[1]
    assert command == f"wardgan fit {clinic.data} {clinic.schema} --family copula --resume -o {home / 'run'}\n"

    monkeypatch.setattr(run_module, "bar", real)
    other = clinic.run(*words, "--resume", "--epsilon", 3)
    assert other.exit_code == 2
    assert "begun with epsilon 4" in other.stderr
    assert clinic.ok(*command.split()[1:])["spent_epsilon"] <= 4
    assert all(event.steps == 1 for event in Ledger.resume(home / "run" / "ledger.jsonl").events)
    finished = clinic.run(*words, "--resume")
    assert finished.exit_code == 2
    assert "finished" in finished.stderr


class _Entered:
    def __init__(self, advance):
        self._advance = advance

    def __enter__(self):
        return self._advance

    def __exit__(self, *_):
        return None


def test_the_plan_is_shown_before_the_file_is_opened(clinic):
    done = clinic.run("fit", clinic.folder / "nowhere.csv", clinic.schema, "--epsilon", 4, "-o", clinic.folder / "run")
    assert done.exit_code == 2
    assert "Planned: epsilon" in done.stdout
    assert "is not a file" in done.stderr
    assert not (clinic.folder / "run").exists()


def test_python_m_wardgan_is_the_command_line(clinic):
    done = subprocess.run(
        [sys.executable, "-m", "wardgan", "check", str(clinic.data), str(clinic.schema)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "4 columns: the file obeys the schema.\n"
