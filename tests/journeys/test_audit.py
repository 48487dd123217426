"""`wardgan audit` on the command line: what it says, what it leaves, what it costs, and how it accuses."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import wardgan as wg
from mutants import copies_of_patients, planted
from wardgan.models import fit
from wardgan.privacy.accounts.book import Accounts
from wardgan.rng import Seed
from wardgan.simulate import World

FEW = ("--epsilon", "1", "--canaries", "60", "--family", "copula")


def spent(clinic):
    with Accounts.open(clinic.folder / "ledger.db", writable=False) as accounts:
        return [entry.family for each in accounts.show() for entry in each.entries]


NUMBERS = {
    name: {"kind": "number", "low": 0, "high": 300, "decimals": 1} for name in ("sbp", "dbp", "bmi", "ldl", "crp")
}
SCHEMA = wg.Schema.from_dict(
    {
        "name": "clinic",
        "patient": "patient_id",
        "population": 1200,
        "table": {"arm": {"kind": "category", "levels": ["standard", "intensive"], "label": True}, **NUMBERS},
    }
)


@pytest.fixture
def audited(clinic, monkeypatch):
    """A clinic with more patients and numbers than usual, so that an epsilon of 1 leaves more than noise."""
    monkeypatch.delenv("WARDGAN_LEDGER")
    drawn = World.of(SCHEMA, seed=Seed(1)).draw(1200, seed=Seed(2))
    drawn = replace(drawn, patients=np.array([f"Quixote-{at}" for at in range(1200)], dtype=object))
    drawn.frame().to_csv(clinic.data, index=False)
    clinic.schema.write_text(SCHEMA.to_yaml(), encoding="utf-8")
    return clinic


def test_an_audit_leaves_its_result_and_its_bill(audited):
    before = audited.files()
    found = audited.ok("audit", audited.data, audited.schema, *FEW, "-o", audited.folder / "audit.json")
    assert {name for name in audited.files() - before if "-" not in name} == {
        "audit.json",
        "ledger.db",
        "ledger.db.key",
    }
    assert json.loads((audited.folder / "audit.json").read_text()) == found
    assert (audited.folder / "audit.json").stat().st_mode & 0o077 == 0
    assert (found["verdict"], found["claim"], found["canaries"]) == ("within the claim", 1.0, 60)
    assert found["estimate"]["value"] <= 1
    assert found["dataset"] == "clinic"
    assert spent(audited) == ["audit of copula"]


def test_a_person_reads_what_it_proves_and_what_it_does_not(audited):
    done = audited.run("audit", audited.data, audited.schema, *FEW)
    assert done.exit_code == 0
    text = " ".join(done.output.split())
    assert "Its generator is thrown away" in text
    assert "No more than" in text
    assert "That proves nothing" in text
    assert "Quixote" not in text


def test_a_proved_mistake_ends_with_exit_code_3(audited):
    claim = ("--epsilon", "1", "--canaries", "400", "--family", "copula", "--seed", "1")
    words = ("audit", audited.data, audited.schema, *claim)
    with planted(copies_of_patients):
        done = audited.run(*words, "-o", audited.folder / "audit.json")
        again = audited.run(*words, "--json")
    assert done.exit_code == again.exit_code == 3
    assert "ABOVE THE CLAIM" in done.output
    assert json.loads(again.stdout)["verdict"] == "above the claim"
    assert json.loads((audited.folder / "audit.json").read_text())["estimate"]["value"] > 1


def test_without_privacy_and_with_a_seed_it_says_so(audited):
    done = audited.run(
        "audit",
        audited.data,
        audited.schema,
        "--privacy",
        "none",
        "--canaries",
        "60",
        "--seed",
        "1",
        "--family",
        "copula",
    )
    assert done.exit_code == 0
    assert "NOT PRIVATE" in done.output
    assert "no claim" in done.output
    assert "rehearsal" in done.output


def test_refusals(audited):
    done = audited.run("audit", audited.data, audited.schema, "--canaries", "60")
    assert (done.exit_code, "epsilon: say how much" in done.output) == (2, True)
    done = audited.run(
        "audit", audited.data, audited.schema, "--epsilon", "8", "--canaries", "60", "--family", "copula"
    )
    assert (done.exit_code, "no mistake could be seen" in done.output) == (2, True)
    (audited.folder / "audit.json").write_text("mine")
    done = audited.run("audit", audited.data, audited.schema, *FEW, "-o", audited.folder / "audit.json")
    assert done.exit_code == 2
    assert (audited.folder / "audit.json").read_text() == "mine"
    assert not (audited.folder / "ledger.db").exists()


def test_a_cap_refuses_it(audited):
    audited.ok("ledger", "cap", "--epsilon", "0.9", "--ledger", audited.folder / "ledger.db")
    done = audited.run("audit", audited.data, audited.schema, *FEW)
    assert (done.exit_code, "is left" in done.output) == (4, True)
    assert spent(audited) == []


def test_ctrl_c_says_where_the_bill_is(audited, monkeypatch):
    def stop(*_args, **_how):
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "_fitted", stop)
    done = audited.run("audit", audited.data, audited.schema, *FEW)
    assert done.exit_code == 130
    assert "in the ledger" in done.output
    assert pd.read_csv(audited.data).shape[0] == 1200
