from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.encode.layout import Layout
from wardgan.encode.units import classes_of, decode, encode, label_codes, to_codes, to_units
from wardgan.errors import NetworkError
from wardgan.schema.cohort import Cohort
from wardgan.schema.columns import Column

NAN = np.nan
TENTHS = Column("x", "number", low=0, high=1, step=0.1, nullable=True)
FREE = Column("x", "number", low=-5, high=15)
LEVELS = Column("x", "category", levels=("a", "b", "c"))


@pytest.mark.parametrize(
    ("column", "codes", "units"),
    [
        (TENTHS, [0, 0.5, 1, NAN], [0.5 / 11, 5.5 / 11, 10.5 / 11, -1]),
        (TENTHS, [0.24, 0.26, -3, 7], [2.5 / 11, 3.5 / 11, 0.5 / 11, 10.5 / 11]),
        (FREE, [-5, 0, 15, -9, 99, NAN], [0, 0.25, 1, 0, 1, -1]),
        (LEVELS, [0, 2, NAN], [0, 2, -1]),
        (Column("x", "flag"), [0, 1], [0, 1]),
        (Column("x", "date", low=1, high=4), [1, 4], [0.125, 0.875]),
    ],
)
def test_units_of_codes(column, codes, units):
    assert to_units(np.array(codes, dtype=float), column) == pytest.approx(units)


@pytest.mark.parametrize(
    ("column", "units", "codes"),
    [
        (TENTHS, [0, 0.0909, 0.0910, 0.999, 1, 1.5, np.inf], [0, 0, 0.1, 1, 1, 1, 1]),
        (TENTHS, [-1, NAN, -0.6, -0.4, -1e-9, -np.inf], [NAN, NAN, NAN, 0, 0, NAN]),
        (FREE, [0, 0.25, 1, 2, np.inf, -0.1, -1], [-5, 0, 15, 15, 15, -5, NAN]),
        (LEVELS, [0, 1, 2, 3, np.inf, -1, NAN, -0.3], [0, 1, 2, 2, 2, NAN, NAN, 0]),
        (LEVELS, [0.999999, 1.000001, 1.9999], [1, 1, 2]),
        (Column("x", "flag"), [0.99, 0.01, 2], [1, 0, 1]),
    ],
)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_codes_of_units(column, units, codes, kind):
    given = np.array(units, dtype=kind)
    copy = given.copy()
    assert_array_equal(to_codes(given, column), codes)
    assert_array_equal(given, copy)
    assert to_codes(given, column).dtype == np.float64
    assert_array_equal(to_codes(np.array([given, given]).T, column), np.array([codes, codes]).T)


def test_no_patients_at_all():
    assert to_codes(np.empty(0), TENTHS).shape == (0,)
    declared = kit.schema({"x": {"kind": "flag"}}, {"key": "t", "columns": {"v": {"kind": "flag"}}, "max_visits": 2})
    empty = decode(np.empty((0, 4)), np.empty(0, dtype=np.int64), Layout.of(declared))
    assert (len(empty), empty.present.shape, empty.measured["v"].shape) == (0, (0, 2), (0, 2))
    assert len(encode(empty, Layout.of(declared))) == 0


def test_classes_are_the_labels_as_one_number():
    declared = kit.schema(
        {
            "arm": {"kind": "category", "levels": ["a", "b", "c"], "label": True},
            "x": {"kind": "flag"},
            "sex": {"kind": "flag", "label": True},
        }
    )
    arm, sex = np.repeat([0.0, 1.0, 2.0], 2), np.tile([0.0, 1.0], 3)
    cohort = Cohort(declared, {"arm": arm, "x": sex, "sex": sex}, {}, None, np.arange(6))
    assert classes_of(cohort).tolist() == [0, 1, 2, 3, 4, 5]
    found = label_codes(np.arange(6), declared)
    assert_array_equal(found["arm"], arm)
    assert_array_equal(found["sex"], sex)
    assert [declared.class_levels(at)["arm"] for at in range(6)] == ["a", "a", "b", "b", "c", "c"]


def test_without_labels_there_is_one_class():
    declared = kit.schema({"x": {"kind": "flag"}})
    cohort = Cohort(declared, {"x": np.zeros(3)}, {}, None, np.arange(3))
    assert classes_of(cohort).tolist() == [0, 0, 0]
    assert label_codes(np.zeros(3, dtype=np.int64), declared) == {}


def test_visits_that_did_not_take_place_are_empty():
    declared = kit.schema(
        {}, {"key": "t", "columns": {"v": {"kind": "integer", "low": 0, "high": 9}}, "grid": ["A", "B"]}
    )
    units = np.array([[1, 0, 0.5, 0.5], [0, 1, -1, 0.95], [0.9, 0.2, 0.05, NAN]])
    cohort = decode(units, np.zeros(3, dtype=np.int64), Layout.of(declared))
    assert_array_equal(cohort.present, [[True, False], [False, True], [True, False]])
    assert_array_equal(cohort.measured["v"], [[5, NAN], [NAN, 9], [0, NAN]])
    with pytest.raises(NetworkError, match="cells of v empty"):
        decode(np.array([[1, 0, -1, 0.5]]), np.zeros(1, dtype=np.int64), Layout.of(declared))


def test_times_of_ragged_visits_never_fall():
    when = {"kind": "number", "low": 1, "high": 5, "step": 0.5}
    layout = Layout.of(kit.schema({}, {"key": "t", "columns": {"t": when}, "max_visits": 4}))
    rng = np.random.default_rng(2)
    units = rng.random((500, len(layout)))
    cohort = decode(units, np.zeros(500, dtype=np.int64), layout)
    times = cohort.measured["t"]
    with np.errstate(invalid="ignore"):
        assert not (np.diff(times, axis=1) < 0).any()
    assert np.nanmax(times) == 5
    assert np.nanmin(times) == 1
    assert_array_equal(np.isnan(times), ~cohort.present)
    assert cohort.present.sum(axis=1).min() == 0
    assert cohort.present.sum(axis=1).max() == 4


@pytest.mark.parametrize("when", [{"low": 0, "high": 99, "step": 1}, {"low": 0, "high": 99}])
def test_visits_beyond_the_end_do_not_pile_up_on_the_last_day(when):
    layout = Layout.of(kit.schema({}, {"key": "t", "columns": {"t": {"kind": "number", **when}}, "max_visits": 6}))
    units = np.random.default_rng(1).random((20_000, len(layout)))
    units[:, 0] = 0.99  # all six take place
    times = decode(units, np.zeros(20_000, dtype=np.int64), layout).measured["t"]
    assert (np.diff(times, axis=1) >= 0).all()
    assert times.max() <= 99
    beyond = units[:, 1] + units[:, 2] > 1
    second = times[beyond, 1]
    assert (second >= 99).mean() < 0.12
    assert np.unique(np.floor(second)).size > 60


def test_gaps_add_up_without_rounding_errors():
    """Seven gaps of 0.1 are 0.7 and not 0.7999999999999999."""
    when = {"kind": "number", "low": 0, "high": 10, "step": 0.1}
    declared = kit.schema({}, {"key": "t", "columns": {"t": when}, "max_visits": 9})
    times = np.array([[at / 10 for at in range(9)]])
    cohort = Cohort(declared, {}, {"t": times}, np.ones((1, 9), dtype=bool), np.array([1]))
    layout = Layout.of(declared)
    assert decode(encode(cohort, layout), np.zeros(1, dtype=np.int64), layout).measured["t"].tolist() == times.tolist()


def test_constants_come_back_wherever_they_are():
    five, tenth = {"kind": "integer", "low": 5, "high": 5}, {"kind": "number", "low": 0.1, "high": 0.1}
    some = {**tenth, "nullable": True}
    declared = kit.schema(
        {"five": five, "some": some}, {"key": "t", "columns": {"tenth": tenth, "x": some}, "grid": ["A", "B"]}
    )
    layout = Layout.of(declared)
    units = np.array([[0.99, 1, 0, 0.2, 0.7], [-1, 1, 1, -1, 0.0]])
    found = decode(units, np.zeros(2, dtype=np.int64), layout)
    assert_array_equal(found.static["five"], [5, 5])
    assert_array_equal(found.static["some"], [0.1, NAN])
    assert_array_equal(found.measured["tenth"], [[0.1, NAN], [0.1, 0.1]])
    assert_array_equal(found.measured["x"], [[0.1, NAN], [NAN, 0.1]])
    assert encode(found, layout)[:, 0].tolist() == [0.5, -1]


def test_days_are_added_to_the_date_they_are_counted_from():
    table = {
        "died": {"kind": "date", "after": "left", "within": 3, "nullable": True},
        "left": {"kind": "date", "after": "came", "within": 4},
        "came": {"kind": "date", "low": "2010-01-01", "high": "2010-01-10"},
    }
    seen = {"kind": "date", "after": "came", "within": 9}
    layout = Layout.of(kit.schema(table, {"key": "t", "columns": {"t": seen}, "max_visits": 3}))
    units = np.array([[0.99, 0.5, 0.0, 1, 0.05, 0.45, 0.95], [-1, 0, 0.95, 0.6, 0.99, 0.99, 0.5]])
    found = decode(units, np.zeros(2, dtype=np.int64), layout)
    low = layout.schema.column("came").low
    assert_array_equal(found.static["came"], [low, low + 9])
    assert_array_equal(found.static["left"], [low + 2, low + 9])
    assert_array_equal(found.static["died"], [low + 5, NAN])
    assert_array_equal(found.measured["t"], [[low, low + 4, low + 7], [low + 18, low + 18, NAN]])


def test_patients_are_numbered_from_where_one_says():
    declared = kit.schema({"x": {"kind": "flag"}})
    cohort = decode(np.zeros((3, 1)), np.zeros(3, dtype=np.int64), Layout.of(declared), first=101)
    assert cohort.patients.tolist() == [101, 102, 103]
