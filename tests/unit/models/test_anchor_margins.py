"""The margins of each class: that a class with three patients says nothing about the shapes of the others."""

import numpy as np
import pandas as pd
import pytest

import wardgan as wg
from wardgan.models.anchor.margins import tilt

PATIENTS = 8_000


def fitted(levels, *, rare, epsilon, family="copula", **more):
    """The sick are bimodal, with the same mean as the others, and half of them have one code."""
    numbers = np.random.default_rng(1)
    state = np.where(numbers.random(PATIENTS) < 0.2, "sick", "well").astype(object)
    if rare:
        state[:3] = "rare"
    sick = state == "sick"
    value = np.where(
        sick,
        np.where(numbers.random(PATIENTS) < 0.5, 30, 70) + numbers.normal(0, 4, PATIENTS),
        numbers.normal(50, 8, PATIENTS),
    )
    code = np.where(sick & (numbers.random(PATIENTS) < 0.5), 5, numbers.integers(0, 12, PATIENTS))
    schema = wg.Schema.from_dict({
        "name": "classes", "population": PATIENTS, "table": {
            "state": {"kind": "category", "levels": levels, "label": True},
            "value": {"kind": "number", "low": 0, "high": 100, "decimals": 1},
            "code": {"kind": "category", "levels": [f"c{at}" for at in range(12)]},
        },
    })  # fmt: skip
    frame = pd.DataFrame({"state": state, "value": value.clip(0, 100).round(1), "code": [f"c{at}" for at in code]})
    made = wg.fit(wg.read(frame, schema), wg.Budget(epsilon), family=family, **more).generator
    drawn = made.sample(20_000, where={"state": "sick"}, seed=2)
    return drawn["value"].between(45, 55).mean(), (drawn["code"] == "c5").mean(), (code[sick] == 5).mean()


@pytest.mark.parametrize("epsilon", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("rare", [True, False])
def test_a_class_with_three_patients_or_none_takes_no_shape_from_others(rare, epsilon):
    middle, code, real = fitted(["well", "sick", "rare"], rare=rare, epsilon=epsilon)
    assert middle < 0.1  # real: hardly anybody; drawn from the shape of all it would be .4
    assert code == pytest.approx(real, abs=0.1)


@pytest.mark.parametrize("family", [wg.MarginalConfig(steps=200), wg.TabganConfig(steps=20)])
def test_other_families_begin_with_the_same_shapes(family):
    middle, code, real = fitted(["well", "sick", "rare"], rare=True, epsilon=3.0, family=family)
    assert middle < 0.15
    assert code == pytest.approx(real, abs=0.15)


def test_a_rare_event_leaves_the_times_of_the_others():
    """Nobody dies on the day on which the study ends, whatever else twenty patients had."""
    numbers = np.random.default_rng(2)
    times = numbers.exponential(900, PATIENTS)
    event = np.where(times < 1095, "died", "censored").astype(object)
    event[np.flatnonzero(event == "died")[:20]] = "transplant"
    schema = wg.Schema.from_dict({
        "name": "times", "population": PATIENTS, "events": {"time": "days", "event": "event"}, "table": {
            "days": {"kind": "integer", "low": 0, "high": 1095},
            "event": {"kind": "category", "levels": ["censored", "died", "transplant"]},
        },
    })  # fmt: skip
    frame = pd.DataFrame({"days": np.minimum(times, 1095).round().astype(int), "event": event})
    made = wg.fit(wg.read(frame, schema), wg.Budget(1.0), family="copula").generator.sample(20_000, seed=1)
    assert (made.loc[made["event"] == "died", "days"] == 1095).mean() < 0.02
    assert (made.loc[made["event"] == "censored", "days"] == 1095).mean() > 0.95


@pytest.mark.parametrize("epsilon", [1.0, 8.0, None])
def test_a_panel_of_tests_is_missing_together(epsilon):
    numbers = np.random.default_rng(1)
    gone = numbers.random(PATIENTS) < 0.4
    names = [f"lab{at}" for at in range(6)]
    table = {name: {"kind": "integer", "low": 0, "high": 100, "nullable": True} for name in names}
    schema = wg.Schema.from_dict({"name": "panel", "population": PATIENTS, "table": table})
    frame = pd.DataFrame({name: np.where(gone, np.nan, numbers.normal(50, 10, PATIENTS).round()) for name in names})
    how = {"privacy": "none"} if epsilon is None else {"budget": wg.Budget(epsilon)}
    made = wg.fit(wg.read(frame, schema), family="copula", seed=1, **how).generator.sample(20_000, seed=1)
    missing = made[names].isna().sum(axis=1)
    assert missing.between(1, 5).mean() < 0.06
    assert (missing == 6).mean() == pytest.approx(0.4, abs=0.04)


def test_a_tilt_has_the_mean_that_is_wanted_and_moves_no_more_than_that():
    shares, score = np.array([0.2, 0.5, 0.3]), np.array([-1.0, 0.0, 1.0])
    found = tilt(shares, score, 0.4)
    assert found @ score == pytest.approx(0.4)
    assert found.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(np.diff(np.log(found / shares)), np.diff(np.log(found / shares))[0])
    np.testing.assert_allclose(tilt(shares, score, 0.1), shares, atol=1e-9)
