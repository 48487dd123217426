"""The whole battery: what it refuses, what it cannot judge, what it says."""

import json
from dataclasses import replace

import numpy as np
import pytest

from attack_kit import CLINIC, VISITS, clinic, parties, rounds
from wardgan.attack import LIMITS, Battery, battery, leak, questions
from wardgan.attack.patients import Parties
from wardgan.attack.result import Power, reach
from wardgan.errors import DataError, UsageError
from wardgan.estimate import Estimate
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort, joined
from wardgan.schema.schema import Schema

SEED = Seed(1)


def three(n=120, make=clinic):
    return [make(n, seed) for seed in (1, 2, 3)]


def test_progress_is_told_and_nothing_is_changed():
    cohorts, told = three(), []
    before = [{name: codes.copy() for name, codes in each.static.items()} for each in cohorts]
    state = np.random.get_state()[1].copy()
    found = battery(*cohorts, seed=SEED, told=lambda *news: told.append(news))
    assert [done for _, done, _ in told] == [0, *range(len(found.results)), len(found.results)]
    assert {total for _, _, total in told} == {len(found.results)}
    assert [name for name, _, _ in told[1:-1]] == [result.name for result in found.results]
    assert np.array_equal(np.random.get_state()[1], state)
    for each, codes in zip(cohorts, before, strict=True):
        assert all(np.array_equal(each.static[name], codes[name], equal_nan=True) for name in codes)


@pytest.mark.parametrize(("make", "schema"), [(clinic, CLINIC), (rounds, VISITS)])
def test_every_question_has_an_answer_that_json_can_hold(make, schema):
    found = battery(*three(make=make), seed=SEED, epsilon=3.0)
    asked = questions(schema, 3.0)
    assert [result.name for result in found.results] == [each.name for each in asked]
    assert found.family == sum(result.limit is not None for result in found.results)
    assert {each.confidence for each in asked} == {1 - 0.05 / found.family}
    assert (found.train, found.holdout, found.synthetic) == (120, 120, 120)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["results"][0]["verdict"] in ("leak", "clear", "unclear")
    assert found["membership.nearest.epsilon"].limit == 3.0
    for result in found.results:
        assert result.question.endswith(("?", "(For information only.)"))
        assert result.joint.low <= result.estimate.low
        assert result.joint.high >= result.estimate.high
        if np.isnan(result.estimate.value):
            assert result.verdict in ("unclear", None)
            assert result.power.reason
    with pytest.raises(UsageError, match=r"membership\.nearest\.auc"):
        found["nothing"]


def test_a_leak_is_listed():
    train, holdout, fresh = three(600)
    found = battery(train, holdout, leak(train, fresh, share=0.5, seed=SEED), seed=SEED)
    assert {"membership.nearest.auc", "linkability"} <= {result.name for result in found.leaks}
    assert all(result.verdict == "unclear" for result in found.unclear)


@pytest.mark.parametrize(
    "sizes", [(49, 500, 500), (500, 99, 500), (500, 500, 49), (1, 1, 1), (2, 500, 500), (500, 1, 500)]
)
def test_too_few_patients_are_never_a_pass(sizes):
    found = battery(*(clinic(n, seed) for seed, n in enumerate(sizes)), seed=SEED)
    assert found["membership.nearest.auc"].verdict == "unclear"
    assert "fewer than 50" in found["membership.nearest.auc"].power.reason
    for result in found.results:
        if np.isnan(result.estimate.value):
            assert result.verdict != "clear"
            assert not result.power.enough
    if min(sizes) < 50:
        assert found["linkability"].verdict == "unclear"


def test_one_part_may_be_much_larger():
    found = battery(clinic(1000, 1), clinic(200, 2), clinic(3000, 3), seed=SEED)
    assert found.leaks == ()


@pytest.mark.parametrize("at", range(3))
def test_an_empty_cohort_is_refused(at):
    cohorts = three()
    cohorts[at] = cohorts[at].take(slice(0, 0))
    with pytest.raises(DataError, match=("train", "holdout", "synthetic")[at]):
        battery(*cohorts, seed=SEED)


@pytest.mark.parametrize("make", [clinic, rounds])
def test_training_patients_in_the_holdout_are_counted_and_not_shown(make):
    train, holdout, fresh = three(make=make)
    mixed = joined([holdout.take(slice(0, 50)), train.take(np.array([3, 7, 9])), holdout.take(slice(50, None))])
    with pytest.raises(DataError, match=r"3 patients of it are patients of train, too \(number 51, 52, 53 of"):
        battery(train, mixed, fresh, seed=SEED)
    with pytest.raises(DataError, match=r"120 patients .* \(number 1, 2, 3, 4, 5, ... of"):
        battery(train, train, fresh, seed=SEED)
    # Nor does it help to write each row twice.
    with pytest.raises(DataError, match="120 patients of it are patients of train"):
        battery(train, joined([train, train]), fresh, seed=SEED)
    with pytest.raises(DataError, match="are patients of train"):
        battery(joined([train, train]), train, fresh, seed=SEED)


BUNDLE = Schema.from_dict({
    "name": "bundle", "table": {"age": {"kind": "integer", "low": 0, "high": 9}, **{f"f{at}": {"kind": "flag"} for at in range(8)}},
})  # fmt: skip


def bundle(n, seed):
    """Findings that come together in one of twenty: rows that are unlikely if columns were independent, and frequent."""
    r = np.random.default_rng(seed)
    ill = r.random(n) < 0.05
    static = {"age": r.integers(0, 10, n) * 1.0, **{f"f{at}": (ill | (r.random(n) < 0.02)) * 1.0 for at in range(8)}}
    return Cohort(BUNDLE, static, {}, None, np.arange(n))


def test_findings_that_come_together_are_no_overlap():
    for seed in range(10):
        Parties.of(bundle(1000, seed), bundle(1000, 100 + seed), bundle(10, 200 + seed))


FEW = Schema.from_dict({
    "name": "few", "table": {"a": {"kind": "integer", "low": 0, "high": 29}, "b": {"kind": "integer", "low": 0, "high": 29},
                             "c": {"kind": "flag"}},
})  # fmt: skip


def few(n, seed):
    r = np.random.default_rng(seed)
    static = {"a": r.integers(0, 30, n) * 1.0, "b": r.integers(0, 30, n) * 1.0, "c": r.integers(0, 2, n) * 1.0}
    return Cohort(FEW, static, {}, None, np.arange(n))


def test_patients_who_are_alike_by_chance_are_no_overlap_but_too_many_are():
    for seed in range(20):
        battery(few(100, seed), few(100, 100 + seed), few(49, 200 + seed), seed=SEED)
    train = few(200, 1)
    with pytest.raises(DataError, match="patients of it are patients of train"):
        battery(train, train.take(slice(0, 150)), few(60, 3), seed=SEED)


@pytest.mark.parametrize("at", [1, 2])
def test_other_declarations_are_refused(at):
    def declared(**changes):
        found = CLINIC.to_dict()
        return Schema.from_dict({**found, "table": {**found["table"], **changes}})

    def with_schema(cohort, schema):
        static = {column.name: cohort.static.get(column.name, np.zeros(len(cohort))) for column in schema.table}
        return replace(cohort, schema=schema, static=static)

    lacking = Schema.from_dict(
        {"name": "c", "table": {k: v for k, v in CLINIC.to_dict()["table"].items() if k != "age"}}
    )
    for schema, named in (
        (declared(age={"kind": "integer", "low": 0, "high": 120}), "age"),
        (declared(more={"kind": "flag"}), "more"),
        (lacking, "age"),
        (declared(ward={"kind": "category", "levels": ["d", "c", "b", "a"], "sensitive": True}), "ward"),
    ):
        cohorts = three()
        cohorts[at] = with_schema(cohorts[at], schema)
        with pytest.raises(DataError, match=f"{('train', 'holdout', 'synthetic')[at]}: {named} is not declared"):
            battery(*cohorts, seed=SEED)
    cohorts = three()
    cohorts[at] = rounds(120, 1)
    with pytest.raises(DataError, match="is not declared"):
        battery(*cohorts, seed=SEED)


def test_words_that_do_not_change_rows_may_differ():
    found = CLINIC.to_dict()
    other = Schema.from_dict({**found, "name": "another", "population": 500})
    cohorts = three()
    cohorts[2] = replace(cohorts[2], schema=other)
    battery(*cohorts, seed=SEED)


@pytest.mark.parametrize(
    "bad", [{"epsilon": 0}, {"epsilon": -1}, {"epsilon": float("inf")}, {"delta": 1}, {"delta": -0.1}]
)
def test_claims_that_are_none_are_refused(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        battery(*three(), seed=SEED, **bad)


def test_one_class_constant_columns_and_missing_cells_are_answered():
    def dull(cohort):
        n = len(cohort)
        same = {"ill": np.zeros(n), "hiv": np.zeros(n), "balance": np.full(n, -3.0), "weight": np.full(n, np.nan)}
        return replace(cohort, static={**cohort.static, **same})

    found = battery(*(dull(each) for each in three(300)), seed=SEED)
    for name in ("inference.hiv", "inference.balance"):
        assert found[name].verdict == "unclear"
        assert found[name].power.reason == "all patients have the same value"
    assert found.leaks == ()


def test_nothing_but_holes():
    schema = Schema.from_dict({
        "name": "holes", "table": {name: {"kind": "number", "low": -9, "high": 9, "nullable": True} for name in "ab"},
    })  # fmt: skip
    cohorts = [Cohort(schema, {name: np.full(80, np.nan) for name in "ab"}, {}, None, np.arange(80)) for _ in range(3)]
    found = battery(*cohorts, seed=SEED)
    assert found.leaks == ()
    assert found["inference.a"].power.reason == "0 training patients are fewer than 50"
    assert found["copies.certain"].verdict == "unclear"


def test_one_column_is_answered():
    schema = Schema.from_dict({"name": "one", "table": {"sbp": {"kind": "number", "low": 0, "high": 300}}})
    cohorts = [
        Cohort(schema, {"sbp": np.random.default_rng(seed).normal(130, 15, 200)}, {}, None, np.arange(200))
        for seed in range(3)
    ]
    found = battery(*cohorts, seed=SEED)
    assert "no halves" in found["linkability"].power.reason
    assert found["inference.sbp"].verdict == "unclear"


def test_a_column_may_have_the_name_of_a_figure():
    flag = {"kind": "flag", "sensitive": True}
    schema = Schema.from_dict({"name": "dots", "table": {"x.epsilon": flag, "y": {"kind": "flag"}}})
    found = {each.name: each.by for each in questions(schema)}
    assert found["inference.x.epsilon"] == "interval"
    assert found["membership.forest.epsilon"] == found["copies.certain"] == "value"
    r = np.random.default_rng(1)
    cohorts = [
        Cohort(
            schema, {name: r.integers(0, 2, 90) * 1.0 for name in schema.to_dict()["table"]}, {}, None, np.arange(90)
        )
        for _ in range(3)
    ]
    assert battery(*cohorts, seed=SEED)["inference.x.epsilon"].estimate.n == 90


def test_a_pass_needs_the_interval_and_a_leak_needs_both():
    asked = next(each for each in questions(CLINIC) if each.name == "linkability")

    def verdict(value, low, high, joint):
        estimate = Estimate(value, low, high, 100, "m")
        return asked.judged(estimate, Estimate(value, joint, high, 100, "m"), Power(0.1, enough=True)).verdict

    assert LIMITS["linkability"] == 0.05
    assert verdict(0.0, -0.1, 0.05, -0.2) == "clear"
    assert verdict(0.0, -0.1, 0.06, -0.2) == "unclear"
    assert verdict(0.06, 0.01, 0.1, 0.001) == "leak"
    assert verdict(0.06, 0.01, 0.1, -0.001) == "unclear"
    assert verdict(0.04, 0.02, 0.06, 0.01) == "unclear"


@pytest.mark.parametrize("confidence", [0.95, 0.997])
def test_power_is_what_it_says(confidence):
    """Numbers that far above chance are seen in 80 of 100 cases."""
    from scipy.stats import norm

    shift = reach(confidence)
    assert norm.sf(norm.ppf((1 + confidence) / 2) - shift) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("name", ["membership.nearest.auc", "linkability", "inference.hiv"])
def test_the_power_falls_with_patients(name):
    found = [battery(*three(n), seed=SEED)[name].power.smallest for n in (300, 1200)]
    assert found[1] < found[0]


def test_parties_hide_the_patients():
    each = parties(60)
    assert "0." not in repr(each)
    assert isinstance(battery(*three(), seed=SEED), Battery)
