"""Labels come with the shares and the strength that were asked for."""

import numpy as np
import pytest

from wardgan.evaluate.ranks import auroc
from wardgan.simulate.outcome import Outcome, mean_area, shared_direction, softmax


def features(n=4000, width=8, *, seed=0):
    stream = np.random.default_rng(seed)
    illness = stream.normal(size=(n, 1))
    return 0.5 * illness + np.sqrt(0.75) * stream.normal(size=(n, width))


def areas(outcome, patients, codes):
    chances = softmax(outcome.base + outcome.strength * outcome.risk(patients))
    return [auroc(chances[:, level], codes == level) for level in range(chances.shape[1])]


@pytest.mark.parametrize("shares", [(0.74, 0.26), (0.95, 0.05), (0.6, 0.25, 0.15), (0.4, 0.3, 0.2, 0.1)])
@pytest.mark.parametrize("area", [0.7, 0.85, 0.95])
def test_other_patients_show_what_was_asked_for(shares, area):
    stream = np.random.default_rng(5)
    outcome = Outcome.of(features(), np.array(shares), area, stream)
    others = features(30_000, seed=1)
    codes = outcome.codes(others, stream)
    np.testing.assert_allclose(np.bincount(codes.astype(int)) / 30_000, shares, atol=0.015)
    assert np.mean(areas(outcome, others, codes)) == pytest.approx(area, abs=0.02)


def test_a_weak_law_is_weaker_than_a_strong_one():
    weak, strong = (Outcome.of(features(), np.array([0.7, 0.3]), area, np.random.default_rng(3)) for area in (0.6, 0.9))
    assert 0 < weak.strength < strong.strength / 2


def test_what_the_features_cannot_carry_is_not_carried():
    flag = np.where(features(width=1) > 0, 1.0, -1.0)
    outcome = Outcome.of(flag, np.array([0.9, 0.1]), 0.999, np.random.default_rng(0))
    assert np.isfinite(outcome.base).all()
    assert np.bincount(outcome.codes(flag, np.random.default_rng(1)).astype(int))[1] == pytest.approx(400, abs=80)


def test_without_features_labels_are_by_chance():
    outcome = Outcome.of(np.zeros((500, 0)), np.array([0.7, 0.3]), 0.9, np.random.default_rng(0))
    codes = outcome.codes(np.zeros((20_000, 0)), np.random.default_rng(1))
    assert codes.mean() == pytest.approx(0.3, abs=0.01)


def test_one_level():
    outcome = Outcome.of(features(), np.array([1.0]), 0.85, np.random.default_rng(0))
    assert set(outcome.codes(features(10), np.random.default_rng(1))) == {0.0}


def test_constant_features_do_no_harm():
    outcome = Outcome.of(np.ones((500, 3)), np.array([0.5, 0.5]), 0.85, np.random.default_rng(0))
    codes = outcome.codes(np.ones((2000, 3)), np.random.default_rng(1))
    assert codes.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("seed", range(20))
def test_the_area_is_the_one_over_all_pairs(seed):
    stream = np.random.default_rng(seed)
    chance = stream.random(12)
    up = down = 0.0
    for i in range(12):
        for j in range(12):
            if i != j:
                weight = chance[i] * (1 - chance[j])
                up += weight * (chance[i] > chance[j])
                down += weight
    assert mean_area(np.column_stack([1 - chance, chance])) == pytest.approx(up / down)


def test_the_area_of_certainty_and_of_nothing():
    assert mean_area(np.array([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(1)
    assert mean_area(np.full((50, 3), 1 / 3)) == pytest.approx(0.5)
    assert mean_area(np.ones((5, 1))) == 0.5
    assert mean_area(np.ones((5, 0))) == 0.5


def test_the_shared_direction_is_the_first_principal_component():
    values = features(900, 5) * np.array([1, 1, 2, 1, 1])
    _, _, right = np.linalg.svd(values - values.mean(axis=0))
    assert abs(shared_direction(values) @ right[0]) == pytest.approx(1, abs=1e-3)
