from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.schema.columns import Column
from wardgan.schema.steps import snapped, step_index, step_values

stepped = st.one_of(kit.numbers("n"), kit.integers("n"), kit.dates("n")).filter(lambda column: column.step)


@settings(deadline=None)
@given(stepped)
def test_values_are_the_floats_that_decimal_arithmetic_gives(column):
    index = np.arange(column.steps, dtype=float)
    values = step_values(index.copy(), column)
    assert values.tolist() == kit.values_of(column)
    assert_array_equal(step_index(values, column), index)


@settings(deadline=None)
@given(stepped, st.integers(0, 2**32))
def test_snapping_finds_the_nearest_value(column, seed):
    given_ = np.random.default_rng(seed).uniform(column.low, column.high, 50)
    values = np.array(kit.values_of(column))
    nearest = np.abs(given_[:, None] - values).min(axis=1)
    found = snapped(given_, column)
    assert np.isin(found, values).all()
    assert np.abs(found - given_) == pytest.approx(nearest, abs=1e-9 * column.step)
    assert_array_equal(snapped(found, column), found)


def test_missing_stays_missing_and_the_argument_stays_whole():
    column = Column("n", "number", low=0, high=1, step=0.1)
    codes = np.array([0.31, np.nan])
    assert_array_equal(snapped(codes, column), [0.3, np.nan])
    assert_array_equal(codes, [0.31, np.nan])
    assert snapped(codes, Column("n", "number", low=0, high=1)) is codes


def test_steps_are_counted_from_zero_while_bounds_wait_to_be_learned():
    assert snapped(np.array([0.29999, -1.26]), Column("n", "number", step=0.1)).tolist() == [0.3, -1.3]


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [(1 / 3, 1 / 3 + 0.9, 0.1), (0.6369616873214543, 4.953549107543378, 0.2697867137638703)],
)
def test_bounds_without_a_short_decimal_stay_bounds(low, high, step):
    column = Column("n", "number", low=low, high=high, step=step)
    values = step_values(np.arange(column.steps, dtype=float), column)
    assert (values[0], values[-1]) == (low, pytest.approx(high))
    assert ((values >= low) & (values <= high)).all()


def test_a_constant_of_many_digits_stays_as_it_is():
    many = Column("x", "number", low=90072.63614774053, high=90072.63614774053)
    assert step_values(np.array([0.0, np.nan]), many)[0] == 90072.63614774053
    assert np.isnan(step_values(np.array([np.nan]), many)[0])
