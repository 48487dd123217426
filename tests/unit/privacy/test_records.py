"""The patients behind the counter: billed, noised, never shown (Rules P3, P4, P5 and P10)."""

from __future__ import annotations

import ast
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import wardgan
from wardgan.errors import BudgetError, DataError, PlanError
from wardgan.privacy import records as records_module
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan, largest
from wardgan.privacy.queries import ClassCounts, LevelCounts, Levels, PatientCount
from wardgan.privacy.records import Records, noise_sd, noised
from wardgan.rng import Seed
from wardgan.schema.read import read
from wardgan.schema.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "demo",
        "table": {
            "age": {"kind": "integer", "low": 0, "high": 99},
            "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
        },
    }
)
SIZE = 137
EVENTS = (
    Event("table", "gaussian", noise_multiplier=2.5),
    Event("other", "gaussian", noise_multiplier=1.0),
    Event("steps", "poisson-gaussian", noise_multiplier=3.0, sampling_rate=0.1, batch_cap=60, population=220, steps=7),
)
PLAN = Plan(Budget(2.0), EVENTS, 200, "test")
QUERY = LevelCounts((Levels(tuple(np.arange(1, 40) / 40), 40, None),), 2)


def cohort_of(size=SIZE):
    at = np.arange(size)
    return read(pd.DataFrame({"age": at % 80, "arm": np.where(at % 3 == 0, "a", "b")}), SCHEMA)


def records(cohort=None, *, noise=None, plan=PLAN, **how):
    seed = Seed.secret() if noise is None else noise
    return Records(cohort or cohort_of(), Ledger(plan, replayable=seed.replayable), noise=seed, **how)


def exact():
    found = Records(cohort_of(), Ledger(None), noise=Seed(1)).measure("anything", QUERY)
    assert found.sum() == SIZE
    return found


def test_p04_a_question_is_billed_before_it_is_answered():
    mine = records()

    class Asking(PatientCount):
        def total(self, units, classes):
            assert mine.ledger.steps("table") == 1
            return super().total(units, classes)

    mine.measure("table", Asking())
    with pytest.raises(BudgetError):
        mine.measure("table", PatientCount())
    with pytest.raises(BudgetError):
        mine.measure("unplanned", PatientCount())


def test_all_patients_cannot_be_asked_at_the_price_of_a_batch():
    mine = records()
    with pytest.raises(BudgetError, match="poisson-gaussian"):
        mine.measure("steps", PatientCount())
    assert mine.ledger.steps("steps") == 0


def test_p08_the_noise_has_the_sd_that_is_billed():
    query, truth = QUERY, exact()
    found = np.array([records().measure("table", query) - truth for _ in range(60)]).ravel()  # (4800,)
    sd = 2.5 * query.sensitivity
    assert noise_sd(EVENTS[0], query) == sd
    assert stats.kstest(found / sd, "norm").pvalue > 1e-6
    # The interval of the variance: half the noise, or noise without the sensitivity, is far outside.
    chi = ((found / sd) ** 2).sum()
    assert stats.chi2.ppf(1e-6, len(found)) < chi < stats.chi2.isf(1e-6, len(found))


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1])
def test_the_test_of_the_noise_sees_a_wrong_one(factor, monkeypatch):
    monkeypatch.setattr(records_module, "noise_sd", lambda event, query: factor * noise_sd(event, query))
    with pytest.raises(AssertionError):
        test_p08_the_noise_has_the_sd_that_is_billed()


def test_p08_the_sd_grows_with_the_sensitivity():
    wide = LevelCounts(QUERY.levels * 9, 2)
    assert noise_sd(EVENTS[0], wide) == pytest.approx(3 * noise_sd(EVENTS[0], QUERY))


def test_p10_secret_noise_differs_and_is_independent_between_runs_and_coordinates():
    truth = exact()
    first, second = (records().measure("table", QUERY) - truth for _ in range(2))
    assert (first != second).all()
    assert abs(stats.pearsonr(first, second)[0]) < 0.6
    assert len(np.unique(first)) == len(first)


def test_a_rehearsal_is_replayed():
    def answers(seed):
        mine = records(noise=Seed(seed))
        return np.concatenate([mine.measure("table", QUERY), mine.measure("other", QUERY)])

    assert answers(1).tolist() == answers(1).tolist()
    assert (answers(1) != answers(2)).all()
    halves = np.split(answers(1) - np.tile(exact(), 2), 2)
    assert abs(stats.pearsonr(*halves)[0]) < 0.6  # another event, other noise


def test_p10_replayable_noise_needs_a_ledger_that_says_so():
    with pytest.raises(BudgetError, match="replayable"):
        Records(cohort_of(), Ledger(PLAN), noise=Seed(7))


def test_answers_are_on_a_grid_far_below_the_noise():
    sd = 3.7
    total, normals = np.array([1 / 3, 1e5 + 1e-9, -2.0]), np.array([0.1, -1.7, 2.2])
    found = noised(total, sd, normals)
    grid = 2.0 ** np.floor(np.log2(sd * 2.0**-20))
    assert (found / grid == np.round(found / grid)).all()
    np.testing.assert_allclose(found, total + sd * normals, atol=grid)
    # What differs in the last bits only gives the same answer.
    assert noised(total * (1 + 2e-16), sd, normals).tolist() == found.tolist()


def test_p04_peeking_is_noted_and_cannot_be_undone(tmp_path):
    ledger = Ledger(PLAN, path=tmp_path / "ledger.jsonl")
    mine = Records(cohort_of(), ledger, noise=Seed.secret())
    units, classes = mine.peek("a look")
    assert (len(units), len(classes)) == (SIZE, SIZE)
    assert Ledger.resume(tmp_path / "ledger.jsonl").unbilled == ("a look",)
    assert ledger.to_dict()["unbilled"] == ["a look"]


def test_p03_nothing_that_is_printed_says_how_many_patients():
    mine = records()
    assert str(SIZE) not in repr(mine) + repr(mine.ledger) + repr(cohort_of())


def test_p06_a_cohort_beyond_the_declared_population_is_refused():
    records(cohort_of(largest(100))).admit(100)
    with pytest.raises(PlanError, match="more than 110 patients") as refusal:
        records(cohort_of(largest(100) + 27)).admit(100)
    assert "137" not in str(refusal.value)


def test_a_label_without_a_level_is_refused():
    cohort = cohort_of()
    for wrong in (np.nan, 2.0, -1.0):
        arm = cohort.static["arm"].copy()
        arm[3] = wrong
        broken = replace(cohort, static={**cohort.static, "arm": arm})
        with np.errstate(invalid="ignore"), pytest.raises(DataError, match="label"):
            records(broken)


def test_p05_a_kept_answer_is_given_again_and_nothing_is_asked_twice(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    first = Records(cohort_of(), Ledger(PLAN, path=path), noise=Seed.secret(), folder=tmp_path)
    answer = first.measure("table", QUERY)
    monkeypatch.setattr(LevelCounts, "total", lambda *_: pytest.fail("asked twice"))
    again = Records(cohort_of(), Ledger.resume(path), noise=Seed.secret(), folder=tmp_path)
    assert again.measure("table", QUERY).tolist() == answer.tolist()
    assert Ledger.resume(path).steps("table") == 1


def test_p05_a_kept_answer_is_not_given_to_another_question(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Records(cohort_of(), Ledger(PLAN, path=path), noise=Seed.secret(), folder=tmp_path).measure("table", QUERY)
    again = Records(cohort_of(), Ledger.resume(path), noise=Seed.secret(), folder=tmp_path)
    other = LevelCounts((Levels(tuple(np.arange(1, 40) / 41), 40, None),), 2)
    with pytest.raises(BudgetError, match="paid for, to another question"):
        again.measure("table", other)


def test_p05_an_answer_that_was_paid_for_and_lost_is_not_asked_again(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(PLAN, path=path).spend("table")  # killed between the bill and the answer
    again = Records(cohort_of(), Ledger.resume(path), noise=Seed.secret(), folder=tmp_path)
    with pytest.raises(BudgetError, match="was paid for and is lost; start a new run"):
        again.measure("table", QUERY)


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"gibberish"])
def test_p05_a_damaged_answer_is_not_asked_again(tmp_path, damage):
    path = tmp_path / "ledger.jsonl"
    Records(cohort_of(), Ledger(PLAN, path=path), noise=Seed.secret(), folder=tmp_path).measure("table", QUERY)
    (tmp_path / "table.npy").write_bytes(damage)
    with pytest.raises(BudgetError, match="paid for and is lost"):
        Records(cohort_of(), Ledger.resume(path), noise=Seed.secret(), folder=tmp_path).measure("table", QUERY)


def test_an_answer_without_a_bill_is_not_believed(tmp_path):
    np.save(tmp_path / "table.npy", np.full(80, 7.0))
    ledger = Ledger(PLAN, path=tmp_path / "ledger.jsonl")
    found = Records(cohort_of(), ledger, noise=Seed.secret(), folder=tmp_path).measure("table", QUERY)
    assert (found != 7.0).all()
    assert ledger.steps("table") == 1


def test_without_privacy_answers_are_exact():
    classes = Records(cohort_of(), Ledger(None), noise=Seed(1)).measure("c", ClassCounts(2))
    assert classes.tolist() == [46, 91]


# --- who may touch patients: read off the source ----------------------------------------------------------------------

PACKAGE = Path(wardgan.__file__).parent
PATIENTS = {"_units", "_rows", "_classes", "_pictures", "_cohort", "_images", "_total"}
KEEPERS = ("privacy/records.py", "privacy/training.py")
CELLS = {"static", "measured", "present", "seen", "patients", "digest", "pixels", "owners"}


@cache
def package():
    paths = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def sources(folder=""):
    return [(name, tree) for name, tree in package().items() if name.startswith(folder)]


def attributes(tree, names):
    """Gives (function, attribute, owner) for each use of an attribute of one of the names."""
    found = set()
    for outer in ast.walk(tree):
        if isinstance(outer, ast.FunctionDef):
            for node in ast.walk(outer):
                if isinstance(node, ast.Attribute) and node.attr in names:
                    found.add((outer.name, node.attr, ast.unparse(node.value)))
    return found


@cache
def hidden():
    """All names with an underscore that the counter's classes have: what is behind it, and what bills it."""
    found = set()
    for name in (*KEEPERS, "privacy/ledger.py"):
        for node in ast.walk(package()[name]):
            if isinstance(node, ast.ClassDef):
                for part in ast.walk(node):
                    if isinstance(part, ast.FunctionDef):
                        found.add(part.name)
                    elif isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self":
                        found.add(part.attr)
    return frozenset(name for name in found if name.startswith("_") and not name.startswith("__"))


def reached_into(tree):
    """Uses of the hidden names on anything but `self`, and ways around attribute access."""
    found = {use for use in attributes(tree, hidden()) if use[2] != "self"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in hidden():
            found.add(("", str(node.value), "text"))
    return found


def test_p04_nobody_reaches_behind_the_counter():
    for name, tree in sources():
        assert name in (*KEEPERS, "privacy/ledger.py") or reached_into(tree) == set(), name
    for name, tree in sources("models/") + sources("privacy/"):
        assert name in KEEPERS or attributes(tree, PATIENTS) == set(), name
    assert hidden() > PATIENTS


@pytest.mark.parametrize(
    "mutant",
    [
        "def f(r):\n return r._units",
        "def f(r):\n return r.training._rows",
        "def f(r):\n return getattr(r, '_units')",
        "def f(r, q):\n return r._total(q)",
        "def f(r):\n return r._images()",
        "def f(r):\n return r._cohort",
    ],
)
def test_reaching_behind_the_counter_is_seen(mutant):
    assert reached_into(ast.parse(mutant))


def test_p04_in_models_only_fit_sees_a_cohort_and_for_five_reasons():
    # The digest stays on site, `_enough` judges fits without privacy only, `learn` and `Records` bill what they read,
    # `entered` keeps a keyed fingerprint on site, and `as_learned` is for the dossier, after the fit.
    cells, calls = set(), set()
    for name, tree in sources("models"):
        cells |= {
            (name, function, attribute) for function, attribute, owner in attributes(tree, CELLS) if "cohort" in owner
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and any(ast.unparse(each) in ("cohort", "whole") for each in node.args):
                calls.add((name, ast.unparse(node.func)))
    assert cells == {("models/fit.py", "_digest", "digest")}
    assert calls - {("models/checkpoint.py", "optimiser.load_state_dict")} == {
        ("models/fit.py", call)
        for call in (
            "as_learned", "begin", "_begin", "_begun", "check_asked", "_check_types", "_digest", "_enough", "entered", "_fitted",
            "_population", "classes_of", "isinstance", "learn", "len", "Records", "type",
        )
    }  # fmt: skip


def test_p04_in_models_nobody_encodes_or_peeks():
    for name, tree in sources("models"):
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not {call for call in called if call == "encode" or call.endswith((".peek", ".frame", ".wide"))}, name
        assert name == "models/fit.py" or "Cohort" not in ast.unparse(tree), name


def test_p02_in_privacy_cells_are_read_by_learn_alone_and_each_read_is_billed():
    # The institution's ledger makes a fingerprint of them with a key that stays on site; nothing else of them is kept.
    readers = {
        (name, function)
        for name, tree in sources("privacy")
        for function, _, owner in attributes(tree, CELLS)
        if "cohort" in owner
    }
    assert readers <= {
        *(("privacy/learn.py", function) for function in ("_values", "_levels", "_read_off", "_under", "codes")),
        *(("privacy/accounts/fingerprint.py", function) for function in ("_cells", "fingerprint")),
        ("privacy/image_queries.py", "of"),  # images behind the counter, for `Records` alone
    }


def test_p10_noise_is_drawn_by_few_and_never_from_the_seed_of_a_family():
    found = {
        (name, attribute, owner)
        for name, tree in sources()
        for _, attribute, owner in attributes(tree, {"normals", "noisy", "gumbels", "choices"})
        if name != "rng.py" and not owner.startswith("random")
    }
    assert found == {
        ("attack/audit.py", "choices", "source"),  # which canaries are in
        ("privacy/batches.py", "choices", "seed"),
        ("privacy/batches.py", "gumbels", "seed"),
        ("privacy/clip.py", "noisy", "seed"),
        ("privacy/learn.py", "normals", "noise"),
        ("privacy/records.py", "gumbels", "self._noise"),
        ("privacy/records.py", "normals", "self._noise"),
    }
    # What is not noise has streams of its own names, so that a rehearsal does not reuse numbers.
    streams = {
        ast.unparse(node.args[0])
        for name, tree in sources()
        if name.startswith(("models", "privacy"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".stream")
    }
    # `self._name` is "patients", or "patients of round 1" and so on.
    named = {"'batch'", "'drawn pairs'", "'drawn scores'", "'each class'", "'hold-out'", "'warp'", "'weights'"}
    named |= {"'discriminator'", "'generator'", "'open'", "'strip'", "'low'", "'grain'"}
    named |= {"'pairs of a survey'"}  # of a public seed: patients of a copula that is public
    assert streams == {*named, "purpose", "self._name"}
