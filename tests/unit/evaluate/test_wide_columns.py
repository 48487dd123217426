"""Wide tables become arrays without losing what is missing, and two tables become comparable or are refused."""

import numpy as np
import pandas as pd
import pytest

from wardgan.errors import DataError, UsageError
from wardgan.evaluate.columns import binned, columns, is_number, level_name, missing, numbers, paired, visit_columns


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (pd.Series([1, 2]), [1.0, 2.0]),
        (pd.Series([True, False]), [1.0, 0.0]),
        (pd.Series([1, None], dtype="Int64"), [1.0, np.nan]),
        (pd.Series([True, None], dtype="boolean"), [1.0, np.nan]),
        (pd.Series([1.5, np.inf]), [1.5, np.nan]),
        (pd.Series(pd.to_datetime(["1970-01-03", None])), [2.0, np.nan]),
        (pd.Series(pd.to_datetime(["1970-01-03", None]).tz_localize("UTC")), [2.0, np.nan]),
        (pd.Series(np.array(["0001-01-01", "9999-12-31"], dtype="datetime64[s]")), [-719162.0, 2932896.0]),
    ],
)
def test_numbers_flags_and_dates_become_floats(series, expected):
    np.testing.assert_array_equal(columns(pd.DataFrame({"x": series}))["x"], np.array(expected))


@pytest.mark.parametrize("kind", ["object", "str", "category"])
def test_text_becomes_objects_with_none_for_missing(kind):
    column = columns(pd.DataFrame({"x": pd.Series(["a", None], dtype=kind)}))["x"]
    assert column.tolist() == ["a", None]
    assert not is_number(column)
    assert missing(column).tolist() == [False, True]


def test_arrays_are_tables_too():
    assert list(numbers(columns(np.ones((2, 3))))) == ["0", "1", "2"]


def test_the_table_is_left_as_it_was():
    frame = pd.DataFrame({"x": ["a", None], "y": [np.inf, 1.0]})
    before = frame.copy()
    columns(frame)["x"][0] = "changed"
    pd.testing.assert_frame_equal(frame, before)


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(DataError, match="x: columns with the same name"):
        columns(pd.DataFrame(np.ones((1, 2)), columns=["x", "x"]))


def test_paired_tables_have_the_columns_of_the_first_one():
    ours, theirs = paired(pd.DataFrame({"a": [1], "b": ["x"]}), pd.DataFrame({"c": [0], "b": [None], "a": [2]}))
    assert list(ours) == list(theirs) == ["a", "b"]
    assert theirs["b"].tolist() == [None]


@pytest.mark.parametrize("empty", [pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame(index=range(3))])
def test_empty_tables_are_refused(empty):
    full = pd.DataFrame({"a": [1]})
    with pytest.raises(DataError, match="real is empty"):
        paired(empty, full)
    with pytest.raises(DataError, match="synthetic is empty"):
        paired(full, empty)


def test_a_column_that_is_lost_is_refused():
    with pytest.raises(DataError, match="b: columns of real that synthetic lacks"):
        paired(pd.DataFrame({"a": [1], "b": [1]}), pd.DataFrame({"a": [1]}))


@pytest.mark.parametrize(("ours", "theirs"), [([1], ["1"]), (["1"], [1])])
def test_text_for_numbers_is_refused_without_showing_a_value(ours, theirs):
    with pytest.raises(DataError, match=r"^a: numbers in one of real and synthetic, text in the other"):
        paired(pd.DataFrame({"a": ours}), pd.DataFrame({"a": theirs}))


def test_bins_hold_equal_shares_and_missing_values_their_own():
    values = np.append(np.arange(1000.0), [np.nan] * 10)
    codes, other = binned(values, np.array([-1e9, 1e9, np.nan]), 20)
    assert np.bincount(codes, minlength=22).tolist() == [50] * 20 + [0, 10]
    assert other.tolist() == [0, 19, 21]


def test_few_values_are_counted_by_value():
    codes, other = binned(np.array([0.0, 0.0, 3.0]), np.array([3.0, 0.0, 1.0]), 20)
    assert codes.tolist() == [0, 0, 1]
    assert other.tolist() == [1, 0, 20]


def test_rare_and_unseen_levels_share_a_bin():
    ours = np.array(["a"] * 3 + ["b"] * 2 + ["c", None], dtype=object)
    codes, other = binned(ours, np.array(["b", "z", None], dtype=object), 2)
    assert codes.tolist() == [0, 0, 0, 1, 1, 2, 3]
    assert other.tolist() == [1, 2, 3]


def test_a_column_without_values_is_all_missing():
    codes, other = binned(np.full(2, np.nan), np.array([1.0]), 5)
    assert codes.tolist() == [6, 6]
    assert other.tolist() == [5]


def test_no_bins_are_refused():
    with pytest.raises(UsageError, match="bins=0"):
        binned(np.ones(2), np.ones(2), 0)


def test_visits_of_one_measure_only():
    names = ["sbp@RZ", "sbp_old@RZ", "dbp@RZ", "sbp", "sbp@1M"]
    assert visit_columns(pd.DataFrame(columns=names), "sbp") == {"RZ": "sbp@RZ", "1M": "sbp@1M"}


def test_classes_are_written_as_people_do():
    assert [level_name(level) for level in (0.0, 2.5, "x", True)] == ["0", "2.5", "x", "True"]
