from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.errors import DataError, UsageError
from wardgan.schema.cohort import Cohort, decoded, joined
from wardgan.schema.columns import Column

NAN = np.nan
SCHEMA = kit.schema(
    {
        "arm": {"kind": "category", "levels": ["a", "b"]},
        "age": {"kind": "integer", "low": 0, "high": 110, "nullable": True},
    },
    {"key": "visit", "grid": ["A", "B"], "columns": {"sbp": {"kind": "integer", "low": 50, "high": 250}}},
)


def cohort() -> Cohort:
    return Cohort(
        SCHEMA,
        {"arm": np.array([1.0, 0.0, 0.0]), "age": np.array([50.0, NAN, 70.0])},
        {"sbp": np.array([[120.0, NAN], [NAN, NAN], [130.0, 140.0]])},
        np.array([[True, False], [False, False], [True, True]]),
        np.array(["x", "y", "z"], dtype=object),
    )


def test_frame_has_one_row_per_visit():
    frame = cohort().frame()
    assert list(frame.columns) == ["id", "arm", "age", "visit", "sbp"]
    assert frame["id"].tolist() == ["x", "z", "z"]
    assert frame["visit"].tolist() == ["A", "A", "B"]
    assert frame["sbp"].tolist() == [120, 130, 140]
    assert frame["arm"].tolist() == ["b", "a", "a"]
    assert frame["age"].tolist() == [50, 70, 70]
    assert [str(kind) for kind in frame.dtypes] == [str(frame["id"].dtype), "category", "Int64", "category", "int64"]


def test_wide_has_one_row_per_patient():
    frame = cohort().wide()
    assert list(frame.columns) == ["id", "arm", "age", "sbp@A", "sbp@B"]
    assert frame["sbp@A"].isna().tolist() == [False, True, False]
    assert frame["sbp@B"].tolist()[2] == 140
    # The type of a column follows from the schema, so that chunks of a stream fit together.
    assert str(frame["sbp@A"].dtype) == "Int64"
    full = Cohort(
        SCHEMA, cohort().static, {"sbp": np.full((3, 2), 99.0)}, np.ones((3, 2), dtype=bool), cohort().patients
    )
    assert (full.wide().dtypes == frame.dtypes).all()
    assert (full.frame().dtypes == cohort().frame().dtypes).all()


def test_a_table_without_visits():
    declared = kit.schema({"age": {"kind": "integer", "low": 0, "high": 110}})
    small = Cohort(declared, {"age": np.array([5.0, 6.0])}, {}, None, np.array([1, 2]))
    assert small.frame().to_dict("list") == small.wide().to_dict("list") == {"age": [5, 6]}


def test_tables_are_copies():
    """Whoever changes a table does not change the cohort."""
    declared = kit.schema({"x": {"kind": "number", "low": 0, "high": 1}}, patient="id")
    small = Cohort(declared, {"x": np.array([0.5])}, {}, None, np.array([1]))
    for frame in (small.frame(), small.wide()):
        frame.loc[0, "x"] = 9.0
        frame.loc[0, "id"] = 9
    assert (small.static["x"].tolist(), small.patients.tolist()) == ([0.5], [1])


def test_slots_of_times_are_their_starts():
    grid = {"start": 0, "stop": 0.5, "step": 0.1}
    declared = kit.schema({}, {"key": "t", "grid": grid, "columns": {"v": {"kind": "flag"}}})
    small = Cohort(declared, {}, {"v": np.ones((1, 5))}, np.ones((1, 5), dtype=bool), np.array([1]))
    assert small.frame()["t"].tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_a_modelled_key_takes_the_place_of_the_slots():
    columns = {"v": {"kind": "flag"}, "year": {"kind": "integer", "low": 0, "high": 9}}
    declared = kit.schema({"f": {"kind": "flag"}}, {"key": "year", "max_visits": 2, "columns": columns})
    measured = {"v": np.ones((1, 2)), "year": np.array([[3.0, 7.0]])}
    small = Cohort(declared, {"f": np.ones(1)}, measured, np.ones((1, 2), dtype=bool), np.array([1]))
    assert list(small.frame().columns) == ["id", "f", "year", "v"]
    assert small.frame()["year"].tolist() == [3, 7]


def test_numbered_slots_stay_readable():
    declared = kit.schema({}, {"key": "t", "max_visits": 2, "columns": {"v": {"kind": "flag"}}})
    small = Cohort(declared, {}, {"v": np.ones((1, 2))}, np.ones((1, 2), dtype=bool), np.array([1]))
    assert small.frame()["t"].tolist() == ["1", "2"]


def test_repr_shows_no_patient_and_no_count():
    assert repr(cohort()) == "Cohort('demo', 3 columns, 2 visit slots)"
    visits = {"key": "visit", "grid": ["A"], "columns": {"v": {"kind": "flag"}}}
    one = Cohort(kit.schema({}, visits), {}, {"v": np.ones((1, 1))}, np.ones((1, 1), dtype=bool), np.array([1]))
    assert repr(one) == "Cohort('demo', 1 column, 1 visit slot)"


def test_take_and_join():
    taken = cohort().take(np.array([2, 0]))
    assert (taken.patients.tolist(), taken.static["arm"].tolist()) == (["z", "x"], [0.0, 1.0])
    assert_array_equal(taken.present, [[True, True], [True, False]])
    parts = [cohort().take(slice(0, 1)), cohort().take(slice(1, 1)), cohort().take(slice(1, 3))]
    assert kit.same(joined(parts), cohort())
    assert joined(parts[:1]) is parts[0]


def test_split_keeps_patients_whole_and_replays():
    declared = kit.schema({"age": {"kind": "integer", "low": 0, "high": 110}})
    many = Cohort(declared, {"age": np.arange(100.0)}, {}, None, np.arange(100))
    one, other = many.split(0.3, seed=5)
    assert (len(one), len(other)) == (30, 70)
    assert sorted([*one.patients, *other.patients]) == list(range(100))
    again, _ = many.split(0.3, seed=5)
    assert_array_equal(one.patients, again.patients)
    assert not np.array_equal(one.patients, many.split(0.3, seed=6)[0].patients)
    assert_array_equal(one.static["age"], one.patients)


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5, NAN, "0.5", None])
def test_a_split_into_nothing_is_refused(share):
    with pytest.raises(UsageError, match="share="):
        cohort().split(share, seed=1)


def test_a_split_of_too_few_patients_is_refused():
    with pytest.raises(DataError, match="without a patient"):
        cohort().split(0.01, seed=1)


@pytest.mark.parametrize(
    ("column", "codes", "values", "kind"),
    [
        (Column("x", "number", low=0, high=9), [1.5, NAN], [1.5, None], "float64"),
        (Column("x", "integer", low=0, high=9), [1.0, 2.0], [1, 2], "int64"),
        (Column("x", "integer", low=0, high=9), [1.0, NAN], [1, None], "Int64"),
        (Column("x", "integer", low=0, high=9, nullable=True), [1.0], [1], "Int64"),
        (Column("x", "flag"), [0.0, 1.0], [False, True], "bool"),
        (Column("x", "flag", nullable=True), [NAN, 1.0], [None, True], "boolean"),
        (Column("x", "category", levels=("b", "a")), [1.0, NAN, 0.0], ["a", None, "b"], "category"),
        (Column("x", "category", levels=(3, 1)), [1.0, 0.0], [1, 3], "category"),
        (Column("x", "category", levels=(3, "a")), [1.0, 0.0], ["a", "3"], "category"),
        (Column("x", "date", low=1, high=900000), [1.0, NAN], [date(1, 1, 1), None], "datetime64[s]"),
        (Column("x", "date", low=1, high=4000000), [3652059.0], [date(9999, 12, 31)], "datetime64[s]"),
    ],
)
def test_values_of_codes(column, codes, values, kind):
    given = np.array(codes)
    series = pd.Series(decoded(given, column))
    assert str(series.dtype) == kind
    found = [None if pd.isna(value) else value for value in series]
    assert found == [pd.Timestamp(value) if isinstance(value, date) else value for value in values]
    assert_array_equal(given, codes)
    assert decoded(np.array([]), column) is not None
