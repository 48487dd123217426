"""Rules are counted as a loop counts them, and levels that never go together are found."""

import json

import numpy as np
import pandas as pd
import pytest

import wardgan as wg
from wardgan.errors import DataError
from wardgan.evaluate.obedience import rules_kept, unseen_combinations
from wardgan.schema.read import examine
from wardgan.schema.schema import Schema

PRESSURES = {
    "name": "pressures",
    "table": {
        "sbp": {"kind": "integer", "low": 40, "high": 280, "nullable": True},
        "dbp": {"kind": "integer", "low": 20, "high": 200, "nullable": True},
        "sex": {"kind": "category", "levels": ["female", "male"]},
        "pregnant": {"kind": "flag"},
    },
    "rules": ["dbp < sbp", 'if sex == "male" then pregnant == false'],
}


def people(n, seed, *, lawful):
    stream = np.random.default_rng(seed)
    sbp = stream.integers(90, 180, n).astype(float)
    dbp = sbp - stream.integers(20, 60, n) if lawful else stream.integers(50, 130, n).astype(float)
    sex = stream.choice(["female", "male"], n)
    pregnant = (stream.random(n) < 0.2) & ((sex == "female") | (not lawful))
    sbp[stream.random(n) < 0.1] = np.nan
    return pd.DataFrame({"sbp": sbp, "dbp": dbp, "sex": sex, "pregnant": pregnant})


def cohort(frame, found=None):
    return examine(frame, Schema.from_dict(found or PRESSURES)).cohort


def test_shares_are_those_of_a_loop_and_the_impossible_is_named():
    real, made, other = people(500, 1, lawful=True), people(400, 2, lawful=False), people(300, 3, lawful=True)
    found = rules_kept(cohort(real), cohort(made), cohort(other))
    low = np.array([row.dbp >= row.sbp for row in made.itertuples()])
    both = np.array([row.sex == "male" and row.pregnant for row in made.itertuples()])
    one, two = found.rules
    assert (one.rule, two.rule) == tuple(PRESSURES["rules"])
    assert (one.synthetic.value, two.synthetic.value) == (low.mean(), both.mean())
    assert one.real.value == one.synthetic.baseline == one.holdout.value == 0
    assert one.synthetic.low > one.real.high
    assert one.impossible
    assert two.impossible
    assert found.impossible.value == (low | both).mean()
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_what_real_patients_do_too_is_not_impossible():
    real, made = people(500, 1, lawful=False), people(400, 2, lawful=False)
    found = rules_kept(cohort(real), cohort(made))
    assert not any(rule.impossible for rule in found.rules)
    assert found.impossible.value == 0
    for rule in found.rules:
        assert rule.synthetic.low < rule.real.value < rule.synthetic.high
    # Also if only the hold-out does it.
    lawful = rules_kept(cohort(people(500, 1, lawful=True)), cohort(made), cohort(real))
    assert lawful.impossible.value == 0


def test_nobody_breaks_anything():
    real = cohort(people(500, 1, lawful=True))
    found = rules_kept(real, real)
    assert {rule.synthetic.value for rule in found.rules} == {0}
    assert found.impossible.high < 0.01


def test_a_visit_that_breaks_a_rule_counts_for_its_patient():
    declared = {
        "name": "visits", "patient": "id", "table": {"sex": {"kind": "flag"}},
        "visits": {"key": "visit", "grid": ["a", "b"], "columns": {
            "sbp": {"kind": "integer", "low": 0, "high": 300}, "dbp": {"kind": "integer", "low": 0, "high": 300}}},
        "rules": ["dbp < sbp"],
    }  # fmt: skip
    long = pd.DataFrame(
        {"id": [1, 1, 2], "visit": ["a", "b", "a"], "sex": True, "sbp": [120, 80, 120], "dbp": [80, 90, 70]}
    )
    made = cohort(long, declared)
    good = wg.read(long.assign(dbp=10), Schema.from_dict(declared))
    found = rules_kept(good, made)
    assert (found.rules[0].real.value, found.rules[0].synthetic.value) == (0, 0.5)


def test_without_rules_there_is_nothing_to_break_and_wrong_cohorts_are_refused():
    frame = people(50, 1, lawful=True)
    free = cohort(frame, PRESSURES | {"rules": []})
    found = rules_kept(free, free)
    assert (found.rules, found.impossible) == ((), None)
    with pytest.raises(DataError, match="synthetic: its schema has other rules"):
        rules_kept(cohort(frame), free)
    with pytest.raises(DataError, match="synthetic is empty"):
        rules_kept(cohort(frame), cohort(frame).take(np.array([], dtype=np.intp)))


def test_combinations_that_nobody_has_are_found():
    real, made, other = (people(n, at, lawful=at != 2) for at, n in ((1, 500), (2, 400), (3, 300)))
    found = unseen_combinations(real, made, other)
    share = ((made["sex"] == "male") & made["pregnant"]).mean()
    assert found.patients.synthetic.value == share
    assert found.patients.synthetic.low > found.patients.holdout.high
    assert (found.patients.holdout.value, found.watched) == (0, 1)
    (pair,) = found.pairs
    assert (pair.columns, pair.levels) == (("sex", "pregnant"), ("male", "1"))
    men, pregnant = (real["sex"] == "male").sum(), real["pregnant"].sum()
    assert pair.expected == pytest.approx(men * pregnant / 500)
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_combinations_that_real_patients_have_are_none():
    real, made = people(500, 1, lawful=False), people(400, 2, lawful=False)
    found = unseen_combinations(real, made)
    assert (found.patients.synthetic.value, found.patients.holdout, found.pairs, found.watched) == (0, None, (), 0)
    # One real patient is enough, and where none is expected none is missed.
    one = people(500, 1, lawful=True)
    one.loc[0, ["sex", "pregnant"]] = ["male", True]
    assert unseen_combinations(one, made).watched == 0
    assert unseen_combinations(people(60, 1, lawful=True), made).watched == 0


def test_missing_cells_and_new_levels():
    stream = np.random.default_rng(1)
    gone = stream.random(300) < 0.5
    real = pd.DataFrame({"lab": np.where(gone, None, "high"), "ward": np.where(gone, "day", "night")})
    made = pd.DataFrame({"lab": [None, "high", "new", None], "ward": ["night", "night", "day", "other"]})
    found = unseen_combinations(real, made)
    assert found.patients.synthetic.value == 0.25
    assert found.pairs[0].levels == ("missing", "night")
    assert found.watched == 2


@pytest.mark.parametrize("rows", [1, 500])
def test_odd_tables(rows):
    frame = pd.DataFrame(
        {"constant": [-1.0] * rows, "empty": np.nan, "nothing": None, "id": [str(at) for at in range(rows)]}
    )
    copy = frame.copy()
    assert unseen_combinations(frame, frame.iloc[:1], frame).watched == 0
    pd.testing.assert_frame_equal(frame, copy)
