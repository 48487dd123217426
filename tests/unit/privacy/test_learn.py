"""Bounds and levels are learned with noise, never read off (Rule P2)."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardgan.errors import BudgetError, PlanError, SchemaError
from wardgan.privacy import learn as learning
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.learn import OTHER, learn, learn_shares, placeholder, threshold
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan
from wardgan.rng import Seed
from wardgan.schema.read import read
from wardgan.schema.schema import Schema

DELTA = 1e-6
BASE = {
    "name": "demo",
    "table": {
        "age": {"kind": "integer", "learn": True},
        "icd": {"kind": "category", "learn": True},
        "sex": {"kind": "flag"},
    },
}


def cohort_of(ages, codes, table=None):
    schema = Schema.from_dict(BASE if table is None else {**BASE, "table": table})
    size = max(len(ages), len(codes))
    return read(pd.DataFrame({"age": ages, "icd": codes, "sex": np.arange(size) % 2 == 0}), schema)


def ledger_of(cohort, noise=2.0, replayable=True, **how):
    events = tuple(
        Event(share.name, "gaussian", noise_multiplier=noise, delta=share.delta)
        for share in learn_shares(cohort.schema, DELTA)
    )
    return Ledger(Plan(Budget(3.0), events, 1000, "test"), replayable=replayable, **how)


def common(size=300):
    return cohort_of(np.arange(size) % 60 + 20, np.array(["E11", "I10", "J45"])[np.arange(size) % 3])


def learned(cohort, **how):
    return learn(cohort, ledger_of(cohort), noise=Seed(5), **how)


def test_learned_bounds_and_levels_are_wide_enough_for_all_but_a_few():
    schema = learned(common()).schema
    age = schema.column("age")
    assert age.low <= 20
    assert age.high >= 79
    assert age.high <= 128
    assert schema.column("icd").levels == ("E11", "I10", "J45", OTHER)


def test_p02_one_extreme_patient_changes_nothing():
    ages, codes = np.arange(300) % 60 + 20, ["E11", "I10", "J45"] * 100
    plain = learned(cohort_of(ages, codes))
    extreme = learned(cohort_of([*ages, 999_999_999], [*codes, "Q99.9 of one patient"]))
    assert plain.schema.to_yaml() == extreme.schema.to_yaml()
    assert extreme.static["age"][-1] == plain.schema.column("age").high
    assert extreme.static["icd"][-1] == 3  # (other)
    assert not extreme.seen


@pytest.mark.parametrize("number", range(5))
def test_p02_a_rare_level_is_never_named(number):
    cohort = cohort_of(np.full(304, 30), ["E11"] * 300 + ["secret"] * 4)
    found = learn(cohort, ledger_of(cohort, replayable=False), noise=Seed.secret())
    assert found.schema.column("icd").levels == ("E11", OTHER)
    assert "secret" not in repr(found.__dict__ | {"patients": None})


def passing(weights, sd, limit):
    return sum(1 - NormalDist(0, sd).cdf(limit - weight) for weight in weights)


def ways(visits):
    """How the visits of one patient may fall on different levels: weights that sum to 1."""

    def partitions(left, largest):
        if left == 0:
            yield ()
        for first in range(min(left, largest), 0, -1):
            for rest in partitions(left - first, first):
                yield (first, *rest)

    return [[part / visits for part in parts] for parts in partitions(visits, visits)]


@given(st.floats(0.05, 30), st.sampled_from([1e-3, 1e-5, 1e-7]), st.integers(1, 9))
@settings(deadline=None, max_examples=60)
def test_no_level_of_one_patient_is_named_more_often_than_delta(sd, delta, most):
    limit = threshold(sd, delta, most)
    for visits in range(1, most + 1):
        assert max(passing(weights, sd, limit) for weights in ways(visits)) <= delta * (1 + 1e-6)


def test_a_threshold_for_one_level_would_not_do_for_several():
    # The mutant that forgets that a patient with 9 visits may bring 9 levels.
    limit = threshold(20.0, 1e-5, 1)
    assert max(passing(weights, 20.0, limit) for weights in ways(9)) > 5e-5


def test_the_threshold_by_simulation():
    sd, delta, most = 1.5, 0.02, 4
    noise = np.random.default_rng(1).normal(0, sd, (200_000, most))
    limit = threshold(sd, delta, most)
    for k in range(1, most + 1):
        named = ((noise[:, :k] + 1 / k) >= limit).any(axis=1).mean()
        assert named <= delta + 5 * np.sqrt(delta / len(noise))


def test_delta_is_split_over_the_categories():
    table = {f"c{at}": {"kind": "category", "learn": True} for at in range(4)} | BASE["table"]
    shares = learn_shares(Schema.from_dict({**BASE, "table": table}), 1e-5)
    assert sum(share.delta for share in shares) == pytest.approx(0.05 * 1e-5)
    assert [share.delta > 0 for share in shares] == [True] * 4 + [False, True]


def test_each_column_is_billed_once_and_before_it_is_read(monkeypatch):
    cohort = common()
    ledger = ledger_of(cohort)
    learn(cohort, ledger, noise=Seed(5))
    assert {event.name: event.steps for event in ledger.events} == {"bounds of age": 1, "levels of icd": 1}
    with pytest.raises(BudgetError, match="1 of 1"):
        learn(cohort, ledger, noise=Seed(5))
    monkeypatch.setattr(learning.ValueCounts, "total", lambda *_: pytest.fail("read without a bill"))
    with pytest.raises(BudgetError, match="not in the plan"):
        learn(cohort, Ledger(Plan(Budget(1.0), (), 1000, "test"), replayable=True), noise=Seed(5))


def test_replayable_noise_must_be_owned_up_to():
    cohort = common()
    with pytest.raises(BudgetError, match="replayable"):
        learn(cohort, ledger_of(cohort, replayable=False), noise=Seed(5))


def test_a_resumed_run_answers_from_the_disk_and_asks_nothing_twice(tmp_path, monkeypatch):
    cohort, path = common(), tmp_path / "ledger.jsonl"
    first = learn(cohort, ledger_of(cohort, replayable=False, path=path), noise=Seed.secret(), folder=tmp_path)
    monkeypatch.setattr(learning.ValueCounts, "total", lambda *_: pytest.fail("asked twice"))
    again = learn(cohort, Ledger.resume(path), noise=Seed.secret(), folder=tmp_path)
    assert again.schema == first.schema


def test_p05_a_lost_answer_is_not_asked_again(tmp_path):
    cohort, path = common(), tmp_path / "ledger.jsonl"
    ledger_of(cohort, path=path).spend("bounds of age")
    with pytest.raises(BudgetError, match="1 of 1"):
        learn(cohort, Ledger.resume(path), noise=Seed(5), folder=tmp_path)


def test_columns_whose_names_look_alike_keep_their_own_answers(tmp_path):
    names = ["a b", "a-b", "a/b", "a_b", "../a b"]
    schema = Schema.from_dict({"name": "demo", "table": {name: {"kind": "integer", "learn": True} for name in names}})
    frame = pd.DataFrame({name: np.full(300, 3.0 * 10**at) for at, name in enumerate(names)})
    cohort = read(frame, schema)
    path = tmp_path / "ledger.jsonl"
    first = learn(cohort, ledger_of(cohort, path=path), noise=Seed(5), folder=tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == len(names)
    again = learn(cohort, Ledger.resume(path), noise=Seed(5), folder=tmp_path)
    assert [column.high for column in again.schema.columns] == [column.high for column in first.schema.columns]


@pytest.mark.parametrize(
    ("declared", "low", "high"),
    [
        ({"low": 18}, 18, 128),
        ({"high": 100}, 16, 100),
        ({"kind": "number", "step": 0.5, "low": 0.5}, 0.5, 128),
        ({"kind": "number", "step": 5, "high": 102}, 12, 102),
        ({"kind": "number"}, 16, 128),
    ],
)
def test_what_is_declared_stays(declared, low, high):
    table = {**BASE["table"], "age": {"kind": "integer", "learn": True, **declared}}
    age = learned(cohort_of(np.arange(300) % 60 + 20, ["E11"] * 300, table)).schema.column("age")
    assert (age.low, age.high) == (low, high)


def test_no_rule_is_held_against_what_only_stands_in_for_learned_bounds():
    schema = Schema.from_dict(
        {**BASE, "rules": ["age >= 18", "missing(icd) or age > 30"]}
        | {"table": {**BASE["table"], "icd": {"kind": "category", "learn": True, "nullable": True}}}
    )
    assert placeholder(schema).rules == ()
    assert [rule.text for rule in schema.rules] == ["age >= 18", "missing(icd) or age > 30"]


def test_a_date_after_a_learned_one_stays_after_it():
    """The learned bounds move some patients' first date; what is counted from it goes along as far as it must."""
    table = {
        "age": {"kind": "date", "learn": True},
        "icd": {"kind": "date", "after": "age", "within": 400},
        "sex": {"kind": "flag"},
    }
    came = [*pd.date_range("1950-03-01", periods=300, freq="5D").astype(str), "1901-01-01", "2099-06-01"]
    left = [*pd.date_range("1950-03-02", periods=300, freq="5D").astype(str), "1901-01-03", "2099-06-02"]
    cohort = cohort_of(came, left, table)
    assert not cohort.schema.column("icd").low
    made = learned(cohort)
    gaps = made.static["icd"] - made.static["age"]
    assert (gaps[:300] == 1).all()
    assert gaps[300:].tolist() == [0, 400]
    assert made.schema.column("icd").high == made.schema.column("age").high + 400
    assert placeholder(cohort.schema).column("icd").high == 401


@pytest.mark.parametrize(
    "declared", [{"low": 0}, {"low": 3}, {"kind": "number", "low": 0.5}, {"kind": "number", "low": 0, "step": 0.1}]
)
def test_the_upper_bound_of_a_logarithmic_scale_is_learned(declared):
    table = {**BASE["table"], "age": {"kind": "integer", "learn": True, "scale": "log", **declared}}
    cohort = cohort_of(np.arange(300) % 60 + 20, ["E11"] * 300, table)
    stand_in = placeholder(cohort.schema).column("age")
    assert (stand_in.low, stand_in.complete) == (declared["low"], True)
    age = learned(cohort).schema.column("age")
    assert (age.low, age.scale) == (declared["low"], "log")
    assert 79 <= age.high < 200
    exact = learn(cohort, Ledger(None), noise=Seed(5)).schema.column("age")
    assert (exact.low, exact.high) == (declared["low"], 79)


def test_dates_are_learned_to_the_year():
    table = {**BASE["table"], "age": {"kind": "date", "learn": True}}
    dates = pd.date_range("1950-03-01", periods=300, freq="5D").astype(str)
    age = learned(cohort_of(dates, ["E11"] * 300, table)).schema.column("age")
    written = age.to_dict()
    assert str(written["low"]) <= "1950-03-01"
    assert str(written["high"]) >= dates[-1]


def test_too_few_to_learn_from():
    with pytest.raises(PlanError, match="learn bounds"):
        learned(cohort_of([30], ["E11"]))
    table = {**BASE["table"], "age": {"kind": "integer", "low": 0, "high": 99}}
    with pytest.raises(PlanError, match="learn levels"):
        learned(cohort_of([30], ["E11"], table))
    nullable = {**table, "icd": {"kind": "category", "learn": True, "nullable": True}}
    with pytest.raises(PlanError, match="learn levels"):
        learned(cohort_of([30] * 300, [None] * 300, nullable))


def test_a_level_called_other_is_not_named_twice():
    found = learned(cohort_of(np.full(300, 30), ["E11", OTHER, "I10"] * 100)).schema.column("icd")
    assert found.levels == ("E11", "I10", OTHER)


def test_without_privacy_bounds_and_levels_are_read_off():
    cohort = cohort_of([30, 31, 77], ["E11", "I10", "E11"])
    found = learn(cohort, Ledger(None), noise=Seed(5)).schema
    assert (found.column("age").low, found.column("age").high) == (30, 77)
    assert found.column("icd").levels == ("E11", "I10")
    missing = cohort_of(
        [30, 31], [None, None], {**BASE["table"], "icd": {"kind": "category", "learn": True, "nullable": True}}
    )
    with pytest.raises(SchemaError, match="all cells are missing"):
        learn(missing, Ledger(None), noise=Seed(5))


@pytest.mark.parametrize("step", [None, 0.3, 1, 5, 0.1])
def test_a_plan_can_be_made_before_anything_is_known(step):
    table = {"x": {"kind": "number", "learn": True, "low": 18} | ({} if step is None else {"step": step})}
    assert placeholder(Schema.from_dict({**BASE, "table": table})).column("x").complete


def test_nothing_to_learn_reads_nothing():
    complete = replace(common(), schema=placeholder(common().schema))
    assert learn(complete, Ledger(None), noise=Seed(5)) is complete


@pytest.mark.parametrize("name", ["age", "icd"])
def test_p10_what_is_learned_from_has_the_planned_noise(name, monkeypatch):
    """The answers themselves, not the bounds and levels that are made of them."""
    cohort, heard = common(), []
    honest = learning.noised

    def spy(total, sd, normals):
        heard.append(honest(total, sd, normals) - total)
        return heard[-1] + total

    monkeypatch.setattr(learning, "noised", spy)
    answers = []
    asked = learning._ask
    monkeypatch.setattr(learning, "_ask", lambda *args: (answers.append((args[0], asked(*args))), answers[-1][1])[1])
    for _ in range(300):
        learn(cohort, ledger_of(cohort, noise=2.0, replayable=False), noise=Seed.secret())
    mine = np.array([answer for event, answer in answers if name in event])
    assert np.std(mine - mine.mean(axis=0)) == pytest.approx(2.0, rel=5 / np.sqrt(2 * mine.size))
    assert len(heard) == len(answers)
    assert mine.std(axis=0).min() > 1.5


def test_p05_learning_is_billed_before_anything_is_read(monkeypatch):
    ledgers, billed = [], []
    honest = learning.ValueCounts.total

    def spy(self, units, classes):
        billed.append(sum(ledgers[-1].steps(event.name) for event in ledgers[-1].plan.events))
        return honest(self, units, classes)

    monkeypatch.setattr(learning.ValueCounts, "total", spy)
    cohort = common()
    ledgers.append(ledger_of(cohort))
    learn(cohort, ledgers[-1], noise=Seed(5))
    assert billed == [1, 2]


def test_p05_a_learned_answer_without_a_bill_is_not_believed(tmp_path):
    cohort = common()
    first = ledger_of(cohort, path=tmp_path / "first")
    learn(cohort, first, noise=Seed(5), folder=tmp_path)
    again = ledger_of(cohort, path=tmp_path / "second")
    learn(cohort, again, noise=Seed(6), folder=tmp_path)
    assert all(again.steps(event.name) == 1 for event in again.plan.events)


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_p02_a_level_of_visits_is_named_by_the_threshold_of_all_slots(monkeypatch, slots):
    """A patient with several visits splits its weight over several levels, and each of them may pass."""
    schema = Schema.from_dict({
        "name": "demo", "patient": "id",
        "visits": {
            "key": "visit", "grid": [f"v{at}" for at in range(slots)],
            "columns": {"icd": {"kind": "category", "learn": True}},
        },
    })  # fmt: skip
    long = pd.DataFrame({
        "id": np.repeat(np.arange(200), slots), "visit": [f"v{at}" for at in range(slots)] * 200,
        "icd": np.array(["E11", "I10"])[np.arange(200 * slots) % 2],
    })  # fmt: skip
    cohort, heard = read(long, schema), []
    honest = learning.threshold
    monkeypatch.setattr(
        learning, "threshold", lambda sd, delta, most: (heard.append((delta, most)), honest(sd, delta, most))[1]
    )
    learn(cohort, ledger_of(cohort), noise=Seed(5))
    (share,) = learn_shares(schema, DELTA)
    assert heard == [(share.delta, slots)]


def test_the_threshold_of_a_tiny_delta_is_a_number():
    assert 30 < threshold(2.0, 1e-60, 4) < 40


def test_a_level_that_could_not_be_released_counts_among_the_others():
    codes = np.array(["E11", "=f(1)", "J\u200b45"])[np.arange(600) % 3]
    levels = learned(cohort_of(np.arange(600) % 60 + 20, codes)).schema.column("icd").levels
    assert levels == ("E11", OTHER)
