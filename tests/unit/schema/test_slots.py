from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from wardgan.schema.slots import Slotted, slot_rows
from wardgan.schema.visits import Visits

NAN = np.nan
BP = {"sbp": {"kind": "integer", "low": 50, "high": 250, "nullable": True}}


def slotted(rows, patients=2, **more) -> Slotted:
    """Slots rows of (patient, key, value)."""
    visits = Visits.from_dict({"key": "when", "columns": {"sbp": BP["sbp"]}, **more})
    owner = np.array([row[0] for row in rows], dtype=np.intp)
    long = pd.DataFrame({"when": [row[1] for row in rows], "sbp": [row[2] for row in rows]})
    long.index = pd.Index([7] * len(long))
    return slot_rows(long, owner, patients, visits)


def rules(found: Slotted):
    return [(finding.column, finding.rule, finding.count) for finding in found.findings]


def test_named_visits_stand_in_the_order_of_the_grid():
    found = slotted([(1, "B", 90), (0, "A", 120), (1, "A", 100)], grid=["A", "B"])
    assert_array_equal(found.measured["sbp"], [[120, NAN], [100, 90]])
    assert_array_equal(found.present, [[True, False], [True, True]])
    assert (rules(found), found.bad.tolist()) == ([], [False, False])


@pytest.mark.parametrize("keys", [[1, 2], [1.0, 2.0], ["1", "2"], ["1.0", " 2"], pd.Categorical([1, 2])])
def test_visits_may_be_numbered(keys):
    found = slotted([(0, keys[0], 100), (0, keys[1], 110)], patients=1, grid=[1, 2])
    assert_array_equal(found.measured["sbp"], [[100, 110]])


def test_unknown_and_repeated_visits():
    found = slotted(
        [(0, "A", 1e2), (0, "A", 2e2), (1, "X", 1e2), (1, None, 1e2), (-1, "A", 1e2), (-1, "A", 1e2)], grid=["A"]
    )
    assert rules(found) == [("when", "the visit is on the grid", 2), ("when", "a patient has a visit once", 1)]
    assert found.bad.tolist() == [True, True]


def test_rows_of_unknown_patients_belong_to_nobody():
    found = slotted([(-1, "A", 1e9), (-1, "X", 100), (1, "A", 100)], grid=["A"])
    assert found.bad.tolist() == [False, False]
    assert_array_equal(found.measured["sbp"], [[NAN], [100]])


def test_complete_means_every_visit():
    found = slotted([(0, "A", 100), (0, "B", 100), (1, "A", 100)], grid=["A", "B"], complete=True)
    assert (rules(found), found.bad.tolist()) == ([("visits", "every patient has every visit", 1)], [False, True])


def test_times_fall_into_bins_and_several_rows_become_one():
    grid = {"start": 0, "stop": 24, "step": 6}
    rows = [(0, 0, 100), (0, 5.9, 111), (0, 6, 120), (0, "23.99", NAN), (1, 12, 90)]
    found = slotted(rows, grid=grid)
    assert_array_equal(found.measured["sbp"], [[106, 120, NAN, NAN], [NAN, NAN, 90, NAN]])  # 105.5 to the even one
    assert_array_equal(found.present, [[True, True, False, True], [False, False, True, False]])
    assert rules(found) == []


def test_the_mean_of_a_bin_lies_on_a_step():
    column = {"kind": "number", "low": 30, "high": 43, "step": 0.1}
    rows = [(0, 0, 36.6), (0, 0, 36.6), (0, 0, 36.9)]
    found = slotted(rows, patients=1, grid={"start": 0, "stop": 1, "step": 1}, columns={"sbp": column})
    assert found.measured["sbp"].tolist() == [[36.7]]


def test_kinds_without_a_mean_keep_the_last_row():
    column = {"kind": "category", "levels": ["a", "b"], "nullable": True}
    rows = [(0, 0, "a"), (0, 0, "b"), (0, 0, None)]
    found = slotted(rows, patients=1, grid={"start": 0, "stop": 1, "step": 1}, columns={"sbp": column})
    assert found.measured["sbp"].tolist() == [[1.0]]


@pytest.mark.parametrize("number", range(10))
def test_the_start_of_a_bin_belongs_to_it(number):
    """0.3 / 0.1 is 2.9999999999999996 in floating point."""
    grid = {"start": 0, "stop": 1, "step": 0.1}
    for time in (number / 10, number * 0.1, f"0.{number}"):
        assert np.flatnonzero(slotted([(0, time, 100)], patients=1, grid=grid).present).tolist() == [number]


@pytest.mark.parametrize(("start", "stop", "step"), [(0, 24, 6), (0, 1, 0.1), (-3, 0, 0.3), (0, 1000, 1)])
def test_the_last_bin_is_closed(start, stop, step):
    """As in a histogram: hour 48 of 48 hours is no fault."""
    grid = {"start": start, "stop": stop, "step": step}
    last = round((stop - start) / step) - 1
    found = slotted([(0, stop, 100), (1, stop - step / 2, 110)], grid=grid)
    assert np.flatnonzero(found.present[0]).tolist() == [last]
    assert np.flatnonzero(found.present[1]).tolist() == [last]
    late = slotted([(0, stop + step * 1e-6, 100)], patients=1, grid=grid)
    assert [rule[1:] for rule in rules(late)] == [(f"the time is from {start} to {stop}", 1)]


@pytest.mark.parametrize("time", [-0.001, 24.001, 1e300, np.inf, NAN, None, "soon", "", "2020-01-01"])
def test_times_beyond_the_grid(time):
    found = slotted([(0, time, 100)], patients=1, grid={"start": 0, "stop": 24, "step": 6})
    assert rules(found) == [("when", "the time is from 0 to 24", 1)]
    assert found.bad.tolist() == [True]


@pytest.mark.parametrize(
    "keys",
    [
        [3, 1, 2], [0.3, -1.5, 0.2], ["10", "9", "9.5"], ["2020-03-01", "2020-01-01", "2020-02-01"],
        ["2020-01-01 10:00", "2020-01-01 08:00", "2020-01-01 09:30"],
        list(pd.to_datetime(["2020-03-01", "1960-01-01", "2020-02-01"])),
    ],
)  # fmt: skip
def test_ragged_visits_are_ordered_by_their_key(keys):
    rows = [(0, keys[0], 103), (1, keys[0], 90), (0, keys[1], 101), (0, keys[2], 102), (-1, keys[0], 99)]
    found = slotted(rows, max_visits=3)
    assert_array_equal(found.measured["sbp"], [[101, 102, 103], [90, NAN, NAN]])
    assert_array_equal(found.present, [[True, True, True], [True, False, False]])
    assert rules(found) == []


def test_rows_of_one_time_keep_their_order():
    found = slotted([(0, 5, 100), (0, 5, 101), (0, 1, 99), (0, 5, 102)], patients=1, max_visits=4)
    assert found.measured["sbp"].tolist() == [[99, 100, 101, 102]]


def test_too_many_visits_and_missing_keys():
    found = slotted([(0, 3, 103), (0, 1, 101), (0, 2, 102), (1, None, 90), (1, 7, 91)], max_visits=2)
    assert rules(found) == [
        ("when", "every visit has a time or a number", 1),
        ("when", "a patient has at most 2 visits", 1),
    ]
    assert_array_equal(found.measured["sbp"], [[101, 102], [91, NAN]])
    assert found.bad.tolist() == [True, True]


def test_nobody_has_too_many_visits():
    found = slotted([(-1, at, 100) for at in range(9)] + [(0, 1, 100)], patients=1, max_visits=2)
    assert (rules(found), found.bad.tolist()) == ([], [False])


def test_a_missing_date_is_no_visit():
    """pandas turns a missing time stamp into a very small number."""
    when = list(pd.to_datetime(["2020-03-01", None, "2020-01-01"]))
    found = slotted([(0, when[0], 103), (0, when[1], 99), (0, when[2], 101)], patients=1, max_visits=3)
    assert_array_equal(found.measured["sbp"], [[101, 103, NAN]])
    assert found.bad.tolist() == [True]


def test_dates_with_a_hole_are_still_dates():
    found = slotted([(0, "2020-03-01", 103), (0, "", 99), (0, "2020-01-01", 101)], patients=1, max_visits=3)
    assert_array_equal(found.measured["sbp"], [[101, 103, NAN]])
    assert rules(found) == [("when", "every visit has a time or a number", 1)]


def test_a_modelled_key_is_measured_too():
    columns = {**BP, "when": {"kind": "number", "low": 0, "high": 16, "step": 0.01}}
    found = slotted([(0, "1.5", 102), (0, "0.49999", 101), (1, 99, 90)], max_visits=2, columns=columns)
    assert found.measured["when"][0].tolist() == [0.5, 1.5]
    assert rules(found) == [("when", "every cell is within the declared bounds", 1)]
    assert found.bad.tolist() == [False, True]


def test_bad_cells_are_counted_for_their_patient():
    found = slotted([(0, "A", "x"), (1, "A", 1000)], grid=["A"])
    assert found.bad.tolist() == [True, True]
    assert_array_equal(found.measured["sbp"], [[NAN], [1000]])


def test_no_rows_at_all():
    found = slotted([], patients=0, grid=["A"])
    assert (found.present.shape, found.measured["sbp"].shape, rules(found)) == ((0, 1), (0, 1), [])
    assert slotted([], patients=0, max_visits=3).present.shape == (0, 3)
    assert slotted([], patients=3, max_visits=3).present.sum() == 0


def test_slots_agree_with_a_loop_over_rows():
    rng = np.random.default_rng(5)
    rows = [(int(rng.integers(-1, 6)), float(rng.integers(0, 40)), float(rng.integers(50, 250))) for _ in range(300)]
    grid = {"start": 0, "stop": 40, "step": 5}
    found = slotted(rows, patients=6, grid=grid)
    for patient in range(6):
        for slot in range(8):
            mine = [value for who, when, value in rows if who == patient and slot * 5 <= when < slot * 5 + 5]
            assert found.present[patient, slot] == bool(mine)
            assert np.array_equal(
                found.measured["sbp"][patient, slot], round(np.mean(mine)) if mine else NAN, equal_nan=True
            )
