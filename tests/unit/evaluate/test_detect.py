"""Detector, propensity scores and neighbourhoods see a generator that fails and none where there is another sample."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from test_fidelity import patients

from wardgan.errors import DataError
from wardgan.evaluate.detect import detection, detector, propensity_ratio
from wardgan.evaluate.neighbours import NEAREST, _inside, _reach, neighbourhoods
from wardgan.rng import Seed

SEED = Seed(1)


@pytest.fixture(scope="module")
def real():
    return patients(1500, seed=1)


@pytest.fixture(scope="module")
def alike():
    return patients(1500, seed=2)


@pytest.fixture(scope="module")
def holdout():
    return patients(1000, seed=3)


@pytest.fixture(scope="module")
def shuffled(real):
    stream = np.random.default_rng(3)
    return pd.DataFrame({name: stream.permutation(column) for name, column in real.items()})


def test_another_sample_cannot_be_told(real, alike, holdout):
    area, ratio = detection(real, alike, holdout, seed=SEED)
    for pair, none in ((area, 0.5), (ratio, 1.0)):
        for found in (pair.synthetic, pair.holdout):
            assert found.low < none < found.high
            assert found.n == 1000
        assert pair.synthetic.baseline == pair.holdout.value


def test_broken_links_can_be_told(real, shuffled, holdout):
    area, ratio = detection(real, shuffled, holdout, seed=SEED)
    assert area.synthetic.low > 0.8 > area.holdout.high
    assert ratio.synthetic.low > 5 > ratio.holdout.high


def test_moved_means_can_be_told_by_propensity(real, alike):
    assert propensity_ratio(real, alike.assign(**{"sbp@RZ": alike["sbp@RZ"] + 4}), seed=SEED).low > 2


@pytest.mark.parametrize("n", [200, 1500])
def test_the_propensity_ratio_is_1_by_chance(n):
    found = [
        propensity_ratio(patients(n, seed=2 * at), patients(n, seed=2 * at + 1), seed=Seed(at)) for at in range(25)
    ]
    assert np.mean([one.value for one in found]) == pytest.approx(1, abs=0.12)
    assert np.mean([one.low <= 1 <= one.high for one in found]) >= 0.9


def test_the_detector_is_at_chance_by_chance():
    found = [detector(patients(300, seed=2 * at), patients(300, seed=2 * at + 1), seed=Seed(at)) for at in range(15)]
    assert np.mean([one.value for one in found]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([one.low <= 0.5 <= one.high for one in found]) >= 0.85


@pytest.mark.parametrize("rows", [1, 19])
def test_few_patients_cannot_be_judged(real, rows):
    for ask in (detector, propensity_ratio):
        found = ask(real, real.iloc[:rows], seed=SEED)
        assert math.isnan(found.value)
        assert found.method.endswith("too few patients")
    found = neighbourhoods(real, real.iloc[: min(rows, NEAREST)], seed=SEED)
    assert "cannot be judged" in found.refusal


def test_awkward_tables(real, alike):
    def awkward(frame):
        return frame.assign(constant=-1.0, empty=np.nan, nothing=None, origin="real", huge=-1e300 * frame["sbp@RZ"])

    one, two = awkward(real), awkward(alike).assign(sex=None)
    copies = one.copy(), two.copy()
    assert detector(one, two, seed=SEED).value > 0.9
    assert propensity_ratio(one, two.assign(sex=np.where(np.arange(1500) % 3, "f", "x")), seed=SEED).low > 1
    assert neighbourhoods(one, two, seed=SEED).refusal is None
    for frame, copy in zip((one, two), copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)
    constant = pd.DataFrame({"a": [1.0] * 50})
    assert math.isnan(propensity_ratio(constant, constant, seed=SEED).value)
    assert neighbourhoods(constant, constant, seed=SEED).refusal
    with pytest.raises(DataError, match="sex"):
        detector(real, alike.drop(columns="sex"), seed=SEED)


def test_neighbourhoods_of_another_sample(real, alike, holdout):
    found = neighbourhoods(real, alike, holdout, seed=SEED)
    for pair in (found.precision, found.coverage):
        assert pair.synthetic.low <= pair.holdout.high
        assert pair.holdout.low <= pair.synthetic.high
        assert pair.synthetic.value > 0.85
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_neighbourhoods_see_strangers_and_a_lost_half(real, alike, holdout):
    far = alike.assign(**{"sbp@RZ": alike["sbp@RZ"] - 200})
    found = neighbourhoods(real, far, holdout, seed=SEED)
    assert found.precision.synthetic.high < 0.1 < found.precision.holdout.low
    women = pd.concat([alike[alike["sex"] == "f"]] * 2)
    found = neighbourhoods(real, women, holdout, seed=SEED)
    assert found.coverage.synthetic.high < 0.8 < found.coverage.holdout.low
    copies = neighbourhoods(real, real, holdout, seed=SEED)
    assert copies.precision.synthetic.value > copies.precision.holdout.value


@pytest.mark.parametrize("block", [7, 500])
def test_neighbourhoods_are_those_of_a_loop(monkeypatch, block):
    monkeypatch.setattr("wardgan.evaluate.neighbours._BLOCK", block)
    stream = np.random.default_rng(1)
    real, other = stream.normal(size=(40, 3)).round(1), stream.normal(size=(30, 3)).round(1) + 0.5
    reach = _reach(real)
    within, covered = _inside(real, reach, other)
    slow = [
        sorted(((one - each) ** 2).sum() for at, each in enumerate(real) if at != mine)[NEAREST - 1]
        for mine, one in enumerate(real)
    ]
    np.testing.assert_allclose(reach, slow, atol=1e-9)
    near = [[((one - each) ** 2).sum() <= far + 1e-9 for each, far in zip(real, slow, strict=True)] for one in other]
    assert within.tolist() == [any(row) for row in near]
    assert covered.tolist() == [any(column) for column in zip(*near, strict=True)]
