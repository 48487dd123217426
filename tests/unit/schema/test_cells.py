from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from wardgan.schema.cells import BOUNDS, STEPS, Finding, code, distinct, found, moments, place, recode
from wardgan.schema.cohort import decoded
from wardgan.schema.columns import Column

NAN = np.nan
NUMBER = Column("x", "number", low=-100, high=100, nullable=True)
WHOLE = Column("x", "integer", low=-100, high=100, nullable=True)
FLAG = Column("x", "flag", nullable=True)
DATE = Column("x", "date", low=date(1900, 1, 1).toordinal(), high=date(2100, 1, 1).toordinal(), nullable=True)


def category(*levels):
    return Column("x", "category", levels=levels, nullable=True)


def arrow(values, kind):
    return pd.Series(values, dtype=pd.ArrowDtype(kind))


def day(text):
    return float(date.fromisoformat(text).toordinal())


@pytest.mark.parametrize(
    ("cells", "codes", "bad"),
    [
        ([1, 2, -3], [1, 2, -3], [0, 0, 0]),
        ([1.5, None, NAN], [1.5, NAN, NAN], [0, 0, 0]),
        (["1", " 2 ", "1e1", "+3", "4."], [1, 2, 10, 3, 4], [0] * 5),
        (["", "NA", "nan", "N/A", "#N/A", "null", "None", ".", "?", "NaT"], [NAN] * 10, [0] * 10),
        (["x", "1,5", "0x1F", "1_0", "٣", "inf", "-Infinity", "True", "--1"], [NAN] * 9, [1] * 9),
        ([np.inf, -np.inf, 1.0], [NAN, NAN, 1], [1, 1, 0]),
        (["99999999999999999999", "-8e15", "1e101"], [1e20, -8e15, NAN], [1, 1, 1]),
        ([2**63 - 1, 10**30], [2.0**63, 1e30], [1, 1]),
        (np.array([2**64 - 1, 5], dtype=np.uint64), [2.0**64, 5], [1, 0]),
        ([True, False], [NAN, NAN], [1, 1]),
        ([Decimal("1.50"), None, 2, "3", 4.5], [1.5, NAN, 2, 3, 4.5], [0] * 5),
        (pd.Categorical(["5", "x", None]), [5, NAN, NAN], [0, 1, 0]),
        (pd.Categorical([5, 6, None]), [5, 6, NAN], [0, 0, 0]),
        (pd.array([1, None], dtype="Int64"), [1, NAN], [0, 0]),
        (pd.array([1.5, None], dtype="Float32"), [1.5, NAN], [0, 0]),
        (np.array([1.5, 2], dtype=np.float16), [1.5, 2], [0, 0]),
        (pd.arrays.SparseArray([0.0, 2.0]), [0, 2], [0, 0]),
        (arrow([1, None], pa.int8()), [1, NAN], [0, 0]),
        (arrow([Decimal("1.5"), None], pa.decimal128(5, 2)), [1.5, NAN], [0, 0]),
        (arrow(["7", None, "?"], pa.string()), [7, NAN, NAN], [0, 0, 0]),
        ([1 + 2j, 3j], [NAN, NAN], [1, 1]),
        ([[1], {"a": 1}, None], [NAN, NAN, NAN], [1, 1, 0]),
        (pd.to_datetime(["2020-01-01", None]), [NAN, NAN], [1, 0]),
        (pd.to_timedelta([1, None], unit="D"), [NAN, NAN], [1, 0]),
        ([b"1", b"x"], [NAN, NAN], [1, 1]),
        ([], [], []),
    ],
)
def test_numbers_of_every_type(cells, codes, bad):
    series = cells if isinstance(cells, pd.Series) else pd.Series(cells)
    series.index = pd.Index(range(10, 10 + len(series))[::-1])
    before = series.copy()
    coded = code(series, NUMBER)
    assert_array_equal(coded.codes, codes)
    assert_array_equal(coded.bad, np.array(bad, dtype=bool))
    pd.testing.assert_series_equal(series, before)


def test_negative_zero_is_zero():
    for cells in ([-0.0], ["-0"], ["-0.0"]):
        assert not np.signbit(code(pd.Series(cells), NUMBER).codes).any()


@pytest.mark.parametrize(
    ("cells", "bad"),
    [
        ([-100, 100], [0, 0]),
        ([-100.001, 100.001], [1, 1]),
        ([100 * (1 + 1e-15), 100 * (1 + 1e-11)], [0, 1]),
    ],
)
def test_bounds_are_meant(cells, bad):
    coded = code(pd.Series(cells), NUMBER)
    assert_array_equal(coded.bad, np.array(bad, dtype=bool))
    assert [finding.rule for finding in coded.findings] == ["every cell is within the declared bounds"] * any(bad)


def test_bounds_of_large_whole_numbers_are_exact():
    column = Column("x", "integer", low=0, high=10**10)
    assert_array_equal(code(pd.Series([10**10, 10**10 + 1]), column).bad, [False, True])


def test_whole_numbers_are_whole():
    coded = code(pd.Series(["3", "3.0", "3.5", "3.0000001"]), WHOLE)
    assert_array_equal(coded.bad, [False, False, True, True])
    assert [(f.rule, f.rows) for f in coded.findings] == [("every cell is a whole number", (3, 4))]


def test_a_step_says_how_fine_a_value_is():
    column = Column("x", "number", low=0, high=1, step=0.1)
    coded = code(pd.Series([0.79993, "0.3", 0.1 + 0.2, 1.04, 1.06, -0.04, -0.06]), column)
    assert coded.codes[:4].tolist() == [0.8, 0.3, 0.3, 1.0]
    assert_array_equal(coded.bad, [False] * 4 + [True, False, True])


def test_cells_that_are_moved_to_a_step_are_counted_and_stop_nothing():
    column = Column("ph", "number", low=0, high=1, step=0.1)
    coded = code(pd.Series([0.79993, 0.3, 0.1 + 0.2, np.float32(0.7), 0.34, np.nan, 7.03, 0.86]), column)
    told, outside = sorted(coded.findings, key=lambda one: one.blocking)[:2]
    assert (told.rule, told.count, told.rows, told.blocking) == (STEPS, 2, (5, 8), False)
    assert outside.rule == BOUNDS
    assert not coded.bad[[4, 7]].any()
    fives = code(pd.Series([5, 7, 10.5]), Column("dose", "integer", low=0, high=100, step=5))
    assert [(one.rows, one.blocking) for one in fives.findings if one.rule == STEPS] == [((2,), False)]
    assert code(pd.Series([1.234]), Column("x", "number", low=0, high=9)).findings == ()


@pytest.mark.parametrize(
    "cells",
    [
        [1, 0, None], [1.0, 0.0, NAN], [True, False, None], ["1", "0", ""], ["1.0", "0.0", "NA"], ["Yes", "NO", "."],
        ["T", "f", "?"], [" true", "False ", "none"], ["Y", "n", "null"], [np.True_, np.False_, NAN],
        pd.Categorical(["yes", "no", None]), pd.array([True, False, None], dtype="boolean"),
        pd.array([1, 0, None], dtype="Int8"),
    ],
)  # fmt: skip
def test_flags_are_written_in_many_ways(cells):
    coded = code(pd.Series(cells), FLAG)
    assert_array_equal(coded.codes, [1, 0, NAN])
    assert coded.findings == ()


@pytest.mark.parametrize("cell", [2, -1, 0.5, "maybe", "10", [1], "01"])
def test_what_is_no_flag(cell):
    coded = code(pd.Series([cell, "yes"], dtype=object), FLAG)
    assert_array_equal(coded.bad, [True, False])
    assert [finding.rule for finding in coded.findings] == ["every cell is yes or no"]


@pytest.mark.parametrize(
    ("cells", "levels", "codes"),
    [
        (["a", "b", " a ", ""], ("a", "b"), [0, 1, 0, NAN]),
        (["None", "NA", "", None, "nan"], ("None", "NA"), [0, 1, NAN, NAN, NAN]),
        ([1, 2, 1], (1, 2), [0, 1, 0]),
        ([1.0, NAN, 2.0], (1, 2), [0, NAN, 1]),
        (["1", "2.0", "2."], (1, 2), [0, 1, 1]),
        ([1.0, 2.0], ("1.0", "2.0"), [0, 1]),
        (["1", "1.0"], ("1", "1.0"), [0, 1]),
        (["1.50", "1.5"], ("1.5", "1.50"), [1, 0]),
        (["01", "1"], ("1", "01"), [1, 0]),
        (["-1", -1, -1.0], (-1,), [0, 0, 0]),
        ([True, False, None], ("no", "yes"), [1, 0, NAN]),
        ([True, False], ("true", "false"), [0, 1]),
        ([True, False], ("True", "False"), [0, 1]),
        ([True, False], (0, 1), [1, 0]),
        (["True", "False"], ("n", "y"), [1, 0]),
        (pd.Categorical(["b", None, "a"], categories=["z", "b", "a"]), ("a", "b"), [1, NAN, 0]),
        (pd.Categorical([2, 1, None]), (1, 2), [1, 0, NAN]),
        (pd.array(["a", None], dtype="string"), ("a",), [0, NAN]),
        (pd.array([3, None], dtype="Int64"), (3,), [0, NAN]),
        ([Decimal(1), "b"], (1, "b"), [0, 1]),
    ],
)
def test_levels_of_every_type(cells, levels, codes):
    coded = code(pd.Series(cells), category(*levels))
    assert_array_equal(coded.codes, codes)
    assert coded.findings == ()


@pytest.mark.parametrize(
    ("cells", "levels"),
    [(["c"], ("a",)), (["A"], ("a",)), ([1.5], (1,)), (["1"], ("01",)), ([True], ("f", "m")), ([False], ("f", "m")),
     ([[1]], ("a",)), ([1], ("a",)), (["2020-01-01"], ("2020",))],
)  # fmt: skip
def test_unknown_levels(cells, levels):
    coded = code(pd.Series(cells), category(*levels))
    assert_array_equal(coded.bad, [True])
    assert [finding.rule for finding in coded.findings] == ["the level is not declared"]


def test_levels_that_wait_to_be_learned_are_kept_aside():
    coded = code(pd.Series(["b", "NA", "a", " b", None]), Column("x", "category", nullable=True, learn=True))
    assert coded.seen == ("a", "b")
    assert_array_equal(coded.codes, [1, NAN, 0, 1, NAN])


def test_learned_levels_replace_the_seen_ones():
    column = Column("x", "category", levels=("c", "a", "(other)"))
    codes = np.array([[0.0, 1.0], [2.0, NAN]])
    assert_array_equal(recode(codes, ("a", "b", "c"), column), [[1, 2], [0, NAN]])
    assert_array_equal(recode(np.array([NAN]), (), column), [NAN])


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        (["2020-02-29", " 2020-02-29 ", "2020-02-29T23:59:59", "2020-02-29 10:30"], [day("2020-02-29")] * 4),
        (["2020-02-29T00:30+02:00", "2020-07-01T00:00:00+03:00", "2020-07-01T23:00Z"],
         [day("2020-02-29"), day("2020-07-01"), day("2020-07-01")]),
        (["1900-01-01", "2100-01-01", "", "NaT", None], [day("1900-01-01"), day("2100-01-01"), NAN, NAN, NAN]),
        (pd.to_datetime(["2020-02-29 23:59", None]), [day("2020-02-29"), NAN]),
        (pd.to_datetime(["1960-01-01 00:00", "1969-12-31 23:59"]), [day("1960-01-01"), day("1969-12-31")]),
        (pd.to_datetime(["2020-02-29 23:30"]).tz_localize("America/New_York"), [day("2020-02-29")]),
        (np.array(["2020-02-29"], dtype="datetime64[D]"), [day("2020-02-29")]),
        ([date(2020, 2, 29), datetime(2020, 2, 29, 23, 59), datetime(2020, 2, 29, 23, tzinfo=UTC), None],
         [day("2020-02-29")] * 3 + [NAN]),
        (arrow([date(2020, 2, 29), None], pa.date32()), [day("2020-02-29"), NAN]),
        (arrow([datetime(2020, 2, 29, 23), None], pa.timestamp("us")), [day("2020-02-29"), NAN]),
        (pd.Categorical(["2020-02-29", None]), [day("2020-02-29"), NAN]),
    ],
)  # fmt: skip
def test_dates_of_every_type(cells, codes):
    series = cells if isinstance(cells, pd.Series) else pd.Series(cells)
    coded = code(series, DATE)
    assert_array_equal(coded.codes, codes)
    assert coded.findings == ()


@pytest.mark.parametrize(
    "cell", ["2020", "20201231", "31.12.2020", "2021-02-29", "12/31/2020", 2020, 43831.0, "today", True]
)
def test_what_is_no_date(cell):
    coded = code(pd.Series([cell]), DATE)
    assert_array_equal(coded.bad, [True])
    assert [finding.rule for finding in coded.findings] == ["every cell is a date like 2020-12-31"]


def test_dates_outside_their_bounds():
    assert_array_equal(code(pd.Series(["1899-12-31", "2100-01-02"]), DATE).bad, [True, True])


def test_the_first_and_the_last_day_of_all():
    column = Column("x", "date", low=1, high=date.max.toordinal())
    assert code(pd.Series(["0001-01-01", "9999-12-31"]), column).codes.tolist() == [1.0, float(date.max.toordinal())]


def test_moments_keep_the_time_of_day():
    found_, bad = moments(pd.Series(["2020-01-01 06:00", "2020-01-01T18:00:00.5", "x", ""]))
    assert found_[:2] == pytest.approx([day("2020-01-01") + 0.25, day("2020-01-01") + 0.75 + 0.5 / 86400])
    assert_array_equal(bad, [False, False, True, False])
    stamps, _ = moments(pd.to_datetime(pd.Series(["2020-01-01 06:00"])))
    assert stamps == pytest.approx(found_[:1])


@pytest.mark.parametrize("column", [NUMBER, WHOLE, FLAG, DATE, category("a")])
def test_missing_cells_must_be_allowed(column):
    cells = pd.Series([None, "", "NA", NAN], dtype=object)
    assert code(cells, column).findings == ()
    strict = Column(column.name, column.kind, low=column.low, high=column.high, levels=column.levels)
    coded = code(cells, strict)
    assert coded.bad.all()
    assert [(f.rule, f.count) for f in coded.findings] == [("no cell is missing", 4)]


def test_a_bad_cell_is_not_called_missing():
    coded = code(pd.Series(["x", ""]), Column("x", "number", low=0, high=1))
    assert [(f.rule, f.count) for f in coded.findings] == [("every cell is a number", 1), ("no cell is missing", 1)]


def test_findings_count_and_never_repeat_a_value():
    secret = "Quixote"
    for column in (NUMBER, WHOLE, FLAG, DATE, category("a")):
        text = " ".join(map(str, code(pd.Series([secret] * 9), column).findings))
        assert "broken 9 times (row 1, 2, 3, 4, 5, ...)" in text
        assert secret not in text
    assert found("x", "rule", np.array([False]), "way") == []
    assert str(Finding("x", "the rule", 3, (), "Way out.")) == "x: the rule; broken 3 times. Way out."


def test_distinct_cells_as_text():
    at, texts = distinct(pd.Series([2.0, NAN, 2.5, 2.0]))
    assert ([texts[i] for i in at], texts[-1]) == (["2", "", "2.5", "2"], "")
    assert distinct(pd.Series([], dtype=object)) == (pytest.approx([]), [""])
    assert_array_equal(place(["b", "c", "2.0"], ["a", "b", 2]), [1, NAN, 2])


def test_a_constant_has_one_value_up_to_rounding():
    five = Column("x", "number", low=5, high=5)
    found = code(pd.Series([5.0, 5.3, 4.6, 5 + 1e-13, 5.0001]), five)
    assert found.bad.tolist() == [False, True, True, False, True]
    tenths = code(pd.Series([5.04, 5.06]), Column("x", "number", low=5, high=5, step=0.1))
    assert tenths.bad.tolist() == [False, True]
    assert tenths.codes[0] == 5
    assert code(pd.Series([5, 6]), Column("x", "integer", low=5, high=5)).bad.tolist() == [False, True]


def test_integers_with_a_step_are_rounded_to_it_and_stay_whole():
    column = Column("packs", "integer", low=0, high=200, step=5)
    found = code(pd.Series([0, 12.0, 13, 200, 201, 2.5]), column)
    assert found.codes[:4].tolist() == [0, 10, 15, 200]
    assert found.bad.tolist() == [False, False, False, False, True, True]
    assert decoded(found.codes[:4], column).dtype == np.int64
