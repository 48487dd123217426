"""Coefficients against slow twins and with intervals that cover; swapped signs are seen, chance is not."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from wardgan.errors import DataError
from wardgan.estimate import Estimate
from wardgan.evaluate.coefficients import coefficient_agreement, interval_overlap
from wardgan.evaluate.columns import columns
from wardgan.evaluate.design import design
from wardgan.evaluate.logistic import PENALTY, logistic, risks
from wardgan.rng import Seed

SEED = Seed(1)


def patients(n, *, seed, effect=1.0):
    """Who dies: older ones, men, those with a high marker; the ward does not matter."""
    stream = np.random.default_rng(seed)
    age, sex = stream.normal(60, 10, n), stream.choice(["f", "m"], n)
    marker, ward = stream.exponential(1, n), stream.choice(["a", "b", "c"], n)
    line = effect * (0.08 * (age - 60) + 1.0 * (sex == "m") + 0.7 * (marker - 1)) - 0.5
    died = stream.random(n) < 1 / (1 + np.exp(-line))
    return pd.DataFrame({"died": np.where(died, "yes", "no"), "age": age, "sex": sex, "marker": marker, "ward": ward})


@pytest.fixture(scope="module")
def real():
    return patients(1000, seed=1)


def asked(real, synthetic, holdout=None, **more):
    return coefficient_agreement(real, synthetic, holdout, **({"target": "died", "seed": SEED} | more))


@pytest.mark.parametrize("penalty", [PENALTY, 1e-6])
def test_logistic_is_a_minimiser_with_the_right_curvature(penalty):
    stream = np.random.default_rng(2)
    values = stream.normal(size=(80, 3))
    event = stream.random(80) < 1 / (1 + np.exp(-values[:, 0] - 0.5))

    def loss(at):
        line = at[0] + values @ at[1:]
        return np.logaddexp(0, line).sum() - line[event].sum() + penalty * (at[1:] ** 2).sum() / 2

    found = logistic(values, event, penalty=penalty)
    slow = optimize.minimize(loss, np.zeros(4), tol=1e-13)
    np.testing.assert_allclose(found.values, slow.x[1:], atol=1e-5)
    unit = 1e-3 * np.eye(4)
    at = slow.x
    bent = [
        [(loss(at + a + b) - loss(at + a - b) - loss(at - a + b) + loss(at - a - b)) / 4e-6 for b in unit] for a in unit
    ]
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(np.linalg.inv(bent)))[1:], rtol=1e-4)
    risk, slopes = risks(values, event, penalty=penalty)
    np.testing.assert_allclose(risk, 1 / (1 + np.exp(-slopes[0] - values @ slopes[1:])))
    np.testing.assert_allclose(slopes, slow.x, atol=1e-5)


def test_logistic_intervals_cover():
    truth, held = np.array([1.0, -0.5, 0.0]), np.zeros(3)
    for at in range(300):
        stream = np.random.default_rng(at)
        values = stream.normal(size=(400, 3))
        found = logistic(values, stream.random(400) < 1 / (1 + np.exp(-values @ truth)))
        held += np.abs(found.values - truth) <= 1.96 * found.errors
    assert ((held / 300 > 0.915) & (held / 300 < 0.985)).all()


def test_a_variable_that_divides_the_classes_has_a_finite_coefficient():
    values = np.linspace(-1, 1, 60)[:, None]
    found = logistic(values, values[:, 0] > 0)
    assert 1 < found.values[0] < 30
    assert np.isfinite(found.errors).all()


def test_samples_agree(real):
    found = asked(real, patients(1500, seed=2), patients(700, seed=3))
    rows = {row.name: row for row in found.coefficients}
    assert found.outcome == "died: yes"
    assert found.refusal is None
    assert {"age (per sd)", "marker (per sd)"} < set(rows)
    assert rows["age (per sd)"].real.low < 0.8 < rows["age (per sd)"].real.high
    # Cut to as many as there are real ones, so that intervals are as wide.
    assert rows["age (per sd)"].synthetic.n == 1000
    assert rows["age (per sd)"].holdout.n == 700
    assert found.signs.synthetic.value == found.signs.holdout.value == 1
    assert found.overlap.synthetic.value > 0.45
    assert found.overlap.synthetic.baseline == found.overlap.holdout.value
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_swapped_classes_have_swapped_signs(real):
    swapped = patients(1000, seed=2).replace({"died": {"yes": "no", "no": "yes"}})
    found = asked(real, swapped, patients(1000, seed=3))
    assert found.signs.synthetic.high < 0.8 < found.signs.holdout.value
    assert found.distance.synthetic.value > 4 > found.distance.holdout.value
    assert found.overlap.synthetic.value < found.overlap.holdout.value


def test_a_weakened_effect_is_seen(real):
    found = asked(real, patients(1000, seed=2, effect=0.1), patients(1000, seed=3))
    assert found.signs.synthetic.value >= 0.5
    assert found.distance.synthetic.value > 2 * found.distance.holdout.value


def test_one_class_against_the_others(real):
    found = asked(real, patients(1000, seed=2), target="ward", level="b")
    assert found.outcome == "ward: b"
    assert found.events[0] == (real["ward"] == "b").sum()
    assert found.signs is None or found.signs.synthetic.n <= 2


@pytest.mark.parametrize("left", [0, 9])
def test_few_events_cannot_be_judged(real, left):
    kept = (real["died"] == "no") | ((real["died"] == "yes").cumsum() <= left)
    for tables in ((real, real[kept]), (real[kept], real)):
        found = asked(*tables, level="yes")
        assert found.coefficients == ()
        assert "fewer than 10" in found.refusal
    # A hold-out that is too small is no ceiling; the rest can be judged.
    found = asked(real, real, real[kept], level="yes")
    assert found.overlap.holdout is None
    assert found.overlap.synthetic.value == 1


def test_a_variable_that_the_generator_lost(real):
    lost = asked(real, patients(1000, seed=2).assign(sex="f", marker=1.0))
    rows = {row.name: row for row in lost.coefficients}
    sex = next(name for name in rows if name.startswith("sex"))
    assert rows[sex].synthetic is None
    assert rows[sex].overlap == rows["marker (per sd)"].overlap == 0
    assert lost.signs.synthetic.value < 0.5


def test_awkward_tables(real):
    def awkward(frame):
        holes = np.random.default_rng(1).random(len(frame)) < 0.2
        return frame.assign(
            constant=-3.0, empty=np.nan, nothing=None, huge=-1e300 * frame["marker"], far=np.where(holes, -1e9, frame["age"]),
            lactate=frame["marker"].mask(holes), same=frame["age"],
        )  # fmt: skip

    one, two = awkward(real), awkward(patients(1000, seed=2)).assign(ward="never seen")
    copies = one.copy(), two.copy()
    found = asked(one, two)
    assert all(math.isfinite(row.real.value) and math.isfinite(row.real.high) for row in found.coefficients)
    assert "lactate: missing" in {row.name for row in found.coefficients}
    for frame, copy in zip((one, two), copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)
    assert asked(one, two.iloc[:1]).refusal
    assert asked(one[["died", "constant"]], two[["died", "constant"]]).refusal.startswith("there is no variable")


def test_refusals_name_the_way_out(real):
    with pytest.raises(DataError, match="target='x' is not a column"):
        asked(real, real, target="x")
    with pytest.raises(DataError, match="has no value in synthetic"):
        asked(real, real.assign(died=None))
    with pytest.raises(DataError, match="age: columns of real that holdout lacks"):
        asked(real, real, real.drop(columns="age"))


def test_overlap():
    def span(low, high):
        return Estimate((low + high) / 2, low, high, 9, "")

    assert interval_overlap(span(0, 2), span(0, 2)) == 1
    assert interval_overlap(span(0, 4), span(1, 3)) == pytest.approx((0.5 + 1) / 2)
    assert interval_overlap(span(-3, -1), span(-1, 4)) == 0
    assert interval_overlap(span(-3, -1), span(2, 4)) == 0


def test_variables_are_fixed_on_the_first_table():
    one = columns(
        pd.DataFrame({"a": [-1.0, 0.0, 1.0, 2.0] * 20, "flag": [True, False] * 40, "x": ["u", "u", "v", None] * 20})
    )
    two = columns(pd.DataFrame({"a": [np.nan, 1e6], "flag": [None, True], "x": ["w", "v"]}))
    found = design([one, two])
    assert found.names == ("a (per sd)", "flag", "x: v", "x: missing")
    np.testing.assert_allclose(found.tables[0][:, 0].std(), 1)
    assert found.tables[1][:, 0].tolist() == [0, 10]
    assert set(found.tables[0][:, 1]) == {0, 1}
    assert found.tables[1][:, 2:].tolist() == [[0, 0], [1, 0]]


def test_rare_levels_make_no_variable():
    table = columns(pd.DataFrame({"x": ["a"] * 80 + ["b"] * 9 + ["c"] * 11, "rare": [1.0] * 9 + [0.0] * 91}))
    assert design([table]).names == ("x: c",)
    assert design([{"x": np.array(["a"] * 30, dtype=object)}]).tables[0].shape == (30, 0)
