from __future__ import annotations

import pytest

from wardgan.errors import SchemaError
from wardgan.schema.visits import MAX_SLOTS, Visits

BP = {"sbp": {"kind": "integer", "low": 50, "high": 250}}


def read(**found):
    return Visits.from_dict({"key": "visit", "columns": BP, **found})


@pytest.mark.parametrize(
    "found",
    [
        {"grid": ["RZ", "1M", "3M"]},
        {"grid": ["RZ", "1M"], "complete": True},
        {"grid": {"start": 0.0, "stop": 48.0, "step": 6.0, "unit": "h"}},
        {"max_visits": 16},
        {"max_visits": 3, "columns": {**BP, "visit": {"kind": "number", "low": 0, "high": 9, "step": 0.5}}},
    ],
)
def test_visits_are_written_as_they_were_read(found):
    assert read(**found).to_dict() == {"key": "visit", "columns": BP, **found}


def test_slots_are_named():
    assert read(grid=["RZ", 1]).slots == ("RZ", "1")
    assert read(max_visits=3).slots == ("1", "2", "3")
    assert read(grid={"start": 0, "stop": 0.4, "step": 0.1, "unit": "h"}).slots == ("0h", "0.1h", "0.2h", "0.3h")
    assert read(grid={"start": 1e6, "stop": 1e6 + 3, "step": 1}).slots == ("1000000", "1000001", "1000002")


def test_starts_are_short_decimals():
    assert read(grid={"start": 0, "stop": 1, "step": 0.1}).time.starts[3] == 0.3


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        ({}, "declare either grid or max_visits"),
        ({"grid": ["A"], "max_visits": 3}, "declare either grid or max_visits"),
        ({"grids": ["A"]}, "unknown key 'grids'"),
        ({"key": None, "grid": ["A"]}, "key names the column"),
        ({"columns": [], "grid": ["A"]}, "columns is a mapping"),
        ({"columns": {}, "grid": ["A"]}, "columns has no column"),
        ({"columns": {True: {"kind": "flag"}}, "grid": ["A"]}, "the column name True is not text"),
        ({"grid": []}, "0 slots"),
        ({"grid": ["A", "A"]}, "declared twice"),
        ({"grid": [1, "1"]}, "declared twice"),
        ({"grid": "AB"}, "grid is a list of visit names"),
        ({"grid": [True]}, "put it into quotes"),
        ({"grid": [1.5]}, "put it into quotes"),
        ({"grid": [" A"]}, "has spaces around it"),
        ({"grid": [str(at) for at in range(MAX_SLOTS + 1)]}, "not between 1 and"),
        ({"grid": ["A"], "complete": "yes"}, "is not true or false"),
        ({"max_visits": 0}, "is not a whole number"),
        ({"max_visits": True}, "is not a whole number"),
        ({"max_visits": MAX_SLOTS + 1}, "is not a whole number"),
        ({"max_visits": 3, "complete": True}, "contradict each other"),
        ({"grid": {"start": 0, "stop": 1}}, "grid step is not a finite number"),
        ({"grid": {"start": 0, "stop": float("inf"), "step": 1}}, "grid stop is not a finite number"),
        ({"grid": {"start": 0, "stop": 10**400, "step": 1}}, "grid stop is not a finite number"),
        ({"grid": {"start": 0, "stop": 1, "step": 0}}, "has no bin"),
        ({"grid": {"start": 1, "stop": 1, "step": 1}}, "has no bin"),
        ({"grid": {"start": 0, "stop": 1, "step": 0.3}}, "must be a whole number"),
        ({"grid": {"start": 0, "stop": 1, "step": 2}}, "must be a whole number"),
        ({"grid": {"start": 0, "stop": 1e12, "step": 1e-12}}, "must be a whole number"),
        ({"grid": {"start": 0, "stop": 2, "step": 1, "unit": 3}}, "unit=3 in grid is not text"),
        ({"grid": {"begin": 0}}, "visits: grid: 1 unknown key; known are start"),
        ({"grid": ["A"], "columns": {"y": {"kind": "flag", "label": True}}}, "a label is a column of the table"),
        ({"grid": ["A"], "columns": {"visit": {"kind": "flag"}}, "key": "when"}, "the name stands for"),
        ({"max_visits": 3, "columns": {"visit": {"kind": "flag"}}}, "is a number or a date, and not nullable"),
        (
            {"max_visits": 3, "columns": {"visit": {"kind": "integer", "low": 0, "high": 9, "nullable": True}}},
            "is a number or a date, and not nullable",
        ),
    ],
)
def test_contradictions_are_refused(found, rule):
    with pytest.raises(SchemaError) as error:
        read(**found)
    assert rule in str(error.value)


def test_visits_that_are_no_mapping_are_refused():
    with pytest.raises(SchemaError, match="is a mapping"):
        Visits.from_dict(["key"])
