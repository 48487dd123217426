"""Shapes of simulated columns rise with the score, stay within what is declared, and are read back."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import data_kit as kit
from wardgan.schema.columns import Column
from wardgan.schema.steps import snapped
from wardgan.simulate.shapes import LevelShape, NumberShape, cuts_of, shape_of, stepped

many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
WIDE = Column("lab", "number", low=0, high=80, step=0.1)


def shapes(column, number=200):
    return [shape_of(column, np.random.default_rng(seed)) for seed in range(number)]


@many
@given(kit.columns("x"), st.integers(0, 999))
def test_values_are_within_what_is_declared(column, seed):
    scores = np.concatenate([np.random.default_rng(seed).normal(size=300), [-40, -4, 0, 4, 40]])
    shape = shape_of(column, np.random.default_rng(seed))
    codes = shape.codes(scores)
    if column.numeric:
        assert codes.min() >= column.low
        assert codes.max() <= column.high
        np.testing.assert_array_equal(codes, snapped(codes, column))
        assert (np.diff(shape.codes(np.sort(scores))) >= 0).all()
    else:
        assert set(codes) <= set(range(column.size))
        assert (np.diff(np.argsort(shape.order)[shape.codes(np.sort(scores)).astype(int)]) >= 0).all()


@many
@given(kit.columns("x"), st.integers(0, 999))
def test_features_are_finite_and_missing_where_the_cell_is(column, seed):
    shape = shape_of(column, np.random.default_rng(seed))
    codes = shape.codes(np.random.default_rng(seed).normal(size=(50, 3)))
    codes[::4, 1] = np.nan
    features = shape.features(codes)
    np.testing.assert_array_equal(np.isnan(features), np.isnan(codes))
    assert np.abs(features[~np.isnan(features)]).max() < 50


def test_features_of_fine_numbers_are_their_scores():
    scores = np.random.default_rng(0).normal(size=2000)
    for shape in shapes(Column("x", "number", low=-50, high=950), 40):
        inside = (scores > max(shape.spike, -3)) & (scores < 3)
        np.testing.assert_allclose(shape.features(shape.codes(scores))[inside], scores[inside], atol=0.05)


def test_laboratory_values_fill_a_small_part_and_are_skewed():
    scores = np.random.default_rng(0).normal(size=4000)
    kinds = {"skewed": 0, "plain": 0, "spike": 0}
    for shape in shapes(WIDE):
        values = shape.codes(scores)
        assert (values == 80).mean() < 0.002
        if shape.spike > -10:
            kinds["spike"] += 1
            assert 0.25 < (values == 0).mean() < 0.8
        elif shape.skewed:
            kinds["skewed"] += 1
            assert np.median(values) < 0.45 * 80
            assert values.mean() > np.median(values)
        else:
            kinds["plain"] += 1
            assert abs(values.mean() - np.median(values)) < 1
    assert min(kinds.values()) > 15


def test_rare_levels_and_rare_flags():
    scores = np.random.default_rng(0).normal(size=20_000)
    for shape in shapes(Column("site", "category", levels=tuple("abcdefgh")), 30):
        shares = np.sort(np.bincount(shape.codes(scores).astype(int), minlength=8))[::-1] / 20_000
        assert 0.2 < shares[0] < 0.7
        assert shares[-1] < 0.085
        np.testing.assert_allclose(shares, sorted(shares_of(shape.cuts), reverse=True), atol=0.02)
    for shape in shapes(Column("flag", "flag"), 30):
        assert 0.04 < shape.codes(scores).mean() < 0.52


def shares_of(cuts):
    from statistics import NormalDist

    edges = [0.0, *(NormalDist().cdf(cut) for cut in cuts), 1.0]
    return np.diff(edges)


def test_effects_of_levels_are_standardised():
    scores = np.random.default_rng(0).normal(size=50_000)
    for shape in shapes(Column("site", "category", levels=tuple("abcde")), 20):
        features = shape.features(shape.codes(scores))
        assert features.mean() == pytest.approx(0, abs=0.05)
        assert features.std() == pytest.approx(1, abs=0.05)


def test_one_level_and_thousands():
    one = shape_of(Column("x", "category", levels=("a",)), np.random.default_rng(0))
    assert one.codes(np.array([-3.0, 3.0])).tolist() == [0, 0]
    assert one.features(np.array([0.0])).tolist() == [0.0]
    levels = tuple(f"level {at}" for at in range(10_000))
    many = shape_of(Column("x", "category", levels=levels), np.random.default_rng(0))
    assert np.isfinite(many.cuts).all()
    assert many.codes(np.array([40.0])) < 10_000


def test_a_spike_by_hand():
    shape = NumberShape(Column("x", "integer", low=0, high=100), 0.1, 0.5, skewed=True, spike=0.0)
    assert shape.codes(np.array([-1.0, 0.0, 1.0])).tolist() == [0, 10, 16]  # 101 steps: 0.1 x 101, 0.1 x e^0.5 x 101
    np.testing.assert_allclose(shape.features(np.array([0.0])), [0.0])


def test_levels_by_hand():
    shape = LevelShape(cuts_of(np.array([0.5, 0.25, 0.25])), np.array([2, 0, 1]), np.array([5.0, 6.0, 7.0]))
    assert shape.codes(np.array([-1.0, 0.5, 1.0])).tolist() == [2, 0, 1]
    assert shape.features(np.array([0.0, np.nan]))[0] == 5.0


def test_stepped_keeps_to_the_bounds():
    column = Column("x", "number", low=0.0, high=1.0, step=0.25)
    assert stepped(np.array([-1.0, 0.3, 0.9, 7.0]), column).tolist() == [0.0, 0.25, 1.0, 1.0]
    assert stepped(np.array([-1.0, 0.3]), Column("x", "number", low=0.0, high=1.0)).tolist() == [0.0, 0.3]
