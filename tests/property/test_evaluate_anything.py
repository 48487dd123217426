"""Whatever the tables are like, every measure gives numbers in their order, or says that it cannot judge."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardgan.estimate import Estimate
from wardgan.evaluate import (
    Endpoint,
    Grouped,
    coefficient_agreement,
    course,
    detection,
    hazard_agreement,
    likeness,
    neighbourhoods,
    subgroups,
    survival_agreement,
    train_synthetic_test_real,
    unseen_combinations,
)
from wardgan.evaluate.record import plain
from wardgan.rng import Seed

SEED = Seed(1)
SHAPES = ("normal", "constant", "empty", "holes", "huge", "few", "negative")


@st.composite
def tables(draw):
    """Real, synthetic and hold-out patients of the same columns and of any size, each column of any shape in each."""
    found = []
    for _ in range(3):
        n = draw(st.sampled_from([1, 2, 3, 12, 60]))
        stream = np.random.default_rng(draw(st.integers(0, 99)))
        frame = pd.DataFrame({
            "y": pd.array(stream.choice(["a", "b", "c"][: draw(st.integers(1, 3))], n), dtype=object),
            "sex": pd.array(stream.choice(["f", "m", None, "x"][draw(st.integers(0, 2)) :], n), dtype=object),
            "died": stream.random(n) < draw(st.sampled_from([0.0, 0.5, 1.0])),
        })  # fmt: skip
        for name in ("days", "x@0", "x@1", "x@2"):
            frame[name] = numbers(draw(st.sampled_from(SHAPES)), n, stream)
        found.append(frame)
    return found


def numbers(shape, n, stream):
    values = stream.normal(50, 10, n)
    return {
        "normal": values, "constant": np.full(n, -3.0), "empty": np.full(n, np.nan), "huge": values * 1e98,
        "holes": np.where(stream.random(n) < 0.4, np.nan, values), "few": np.round(values / 20), "negative": -values,
    }[shape]  # fmt: skip


MEASURES = {
    "likeness": lambda *all_of: likeness(*all_of, seed=SEED),
    "neighbours": lambda *all_of: neighbourhoods(*all_of, seed=SEED),
    "coefficients": lambda *all_of: coefficient_agreement(*all_of, target="y", seed=SEED),
    "hazards": lambda *all_of: hazard_agreement(*all_of, endpoint=Endpoint("days", "died"), seed=SEED),
    "survival": lambda *all_of: survival_agreement(*all_of, endpoint=Endpoint("days", "died"), by="sex", seed=SEED),
    "course": lambda *all_of: course(*all_of, variable="x", by="y", seed=SEED),
    "subgroups": lambda *all_of: subgroups(
        *all_of, groups={"sex": Grouped(), "days": Grouped((40, 55)), "died": Grouped()}, seed=SEED
    ),
    "unseen": unseen_combinations,
}


def estimates(found):
    if isinstance(found, Estimate):
        yield found
    elif isinstance(found, dict):
        for value in found.values():
            yield from estimates(value)
    elif isinstance(found, (list, tuple)):
        for value in found:
            yield from estimates(value)
    elif hasattr(found, "__dataclass_fields__"):
        for name in found.__dataclass_fields__:
            yield from estimates(getattr(found, name))


def check(found):
    assert json.dumps(plain(found), allow_nan=False)
    for one in estimates(found):
        room = 1e-9 * abs(one.value)  # of rounding
        assert math.isnan(one.value) or one.low - room <= one.value <= one.high + room, one
        assert not math.isnan(one.low)
        assert not math.isnan(one.high)
        assert one.method


@pytest.mark.parametrize("measure", MEASURES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given=tables())
def test_any_tables(measure, given):
    copies = [frame.copy() for frame in given]
    check(MEASURES[measure](*given))
    for frame, copy in zip(given, copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given=tables())
def test_any_tables_for_classifiers(given):
    models = ["logistic regression", "k nearest neighbours"]
    check(train_synthetic_test_real(*given, target="y", seed=SEED, models=models))
    check(detection(*given, seed=SEED))
    groups = {"sex": Grouped()}
    check(subgroups(*given, groups=groups, target="died", seed=SEED))
