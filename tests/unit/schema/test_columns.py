from __future__ import annotations

from datetime import date

import pytest

from wardgan.errors import SchemaError
from wardgan.schema.columns import MAX_LEVELS, Column


def read(**found):
    return Column.from_dict("x", found)


@pytest.mark.parametrize(
    "found",
    [
        {"kind": "number", "low": -1.5, "high": 2.25},
        {"kind": "number", "low": 0, "high": 1, "step": 0.1, "unit": "mmol/L", "code": "LOINC 1", "nullable": True},
        {"kind": "integer", "low": -3, "high": 110, "sensitive": True},
        {"kind": "integer", "learn": True},
        {"kind": "integer", "low": 0, "high": 200, "step": 5},
        {"kind": "date", "low": "1900-02-28", "high": "2024-02-29"},
        {"kind": "category", "levels": ["a", 2, "None"], "label": True},
        {"kind": "category", "groups": {"heart": ["I10", "I21"], "b": [7, "z"]}, "nullable": True},
        {"kind": "integer", "low": 0, "high": 100_000, "scale": "log"},
        {"kind": "number", "low": 0, "high": 10, "step": 0.1, "scale": "log", "unit": "mg/L"},
        {"kind": "number", "low": 0.01, "high": 500, "scale": "log"},
        {"kind": "integer", "low": 5, "scale": "log", "learn": True},
        {"kind": "flag"},
    ],
)
def test_a_declaration_is_written_as_it_was_read(found):
    assert read(**found).to_dict() == found


def test_what_a_kind_implies():
    assert Column("x", "integer", low=0, high=9).steps == 10
    assert Column("x", "date", low=1, high=2).step == 1.0
    assert Column("x", "flag").levels == ("false", "true")
    assert Column("x", "number", low=0, high=1).steps is None
    assert read(kind="number", low=0, high=1, decimals=2).steps == 101
    assert read(kind="date", low=date(2020, 1, 1), high="2020-12-31").steps == 366


def test_complete_means_that_bounds_or_levels_are_there():
    assert [c.complete for c in (Column("x", "number", low=0), Column("x", "category"), Column("x", "flag"))] == [
        False,
        False,
        True,
    ]
    assert Column("x", "number").with_bounds(0, 1).complete
    assert Column("x", "category").with_levels(("a",)).complete


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        ({"kind": "real"}, "kind='real' is not one of"),
        ({}, "kind=None"),
        ({"kind": "number", "lows": 1}, "unknown key 'lows'"),
        ({"kind": "number", "low": 2, "high": 1}, "low=2 is above high=1"),
        ({"kind": "number", "low": True, "high": 3}, "low=True is not a finite number"),
        ({"kind": "number", "low": "1", "high": 3}, "is not a finite number"),
        ({"kind": "number", "low": float("nan"), "high": 3}, "is not a finite number"),
        ({"kind": "number", "low": 0, "high": float("inf")}, "is not a finite number"),
        ({"kind": "number", "low": 0, "high": 10**400}, "a number of too many digits is not a finite number"),
        ({"kind": "integer", "low": 0, "high": 2**60}, "beyond 2"),
        ({"kind": "integer", "low": 0.5, "high": 3}, "is not a whole number"),
        ({"kind": "integer", "low": 0, "high": 3, "step": 2}, "is not a multiple of step=2"),
        ({"kind": "integer", "low": 0, "high": 3, "step": 1.5}, "step=1.5 is not a whole number"),
        ({"kind": "flag", "step": 1}, "step belongs to a number or an integer, not to kind=flag"),
        ({"kind": "date", "low": "2020-01-01", "high": "2020-12-30", "step": 7}, "not to kind=date"),
        ({"kind": "integer", "low": 0, "high": 3, "decimals": 1}, "belong to kind: number"),
        ({"kind": "number", "low": 0, "high": 1, "step": 0.3}, "is not a multiple of step=0.3"),
        ({"kind": "number", "low": 0, "high": 1000000.5, "step": 1}, "is not a multiple of step=1"),
        ({"kind": "number", "low": 0, "high": 1, "step": 0}, "greater than 0"),
        ({"kind": "number", "low": 0, "high": 1, "step": -0.5}, "greater than 0"),
        ({"kind": "number", "low": 0, "high": 1, "step": float("nan")}, "is not a finite number"),
        ({"kind": "number", "low": 0, "high": 1, "step": True}, "is not a finite number"),
        ({"kind": "number", "low": 0, "high": 1e9, "step": 1e-9}, "step=1e-09 is too small"),
        ({"kind": "number", "low": 0, "high": 1, "step": 0.1, "decimals": 1}, "keep one"),
        ({"kind": "number", "low": 0, "high": 1, "decimals": 13}, "from 0 to 12"),
        ({"kind": "number", "levels": ["a"]}, "levels belong to a category"),
        ({"kind": "date", "low": "2020-13-01", "high": "2021-01-01"}, "is not a date"),
        ({"kind": "category", "low": 0, "levels": ["a"]}, "low and high belong to numbers"),
        ({"kind": "category", "levels": []}, "at least one level"),
        ({"kind": "category", "levels": "abc"}, "is a list"),
        ({"kind": "category", "levels": ["a", True]}, "put words such as no"),
        ({"kind": "category", "levels": ["a", None]}, "put words such as no"),
        ({"kind": "category", "levels": [1.5]}, "put words such as no"),
        ({"kind": "category", "levels": ["1", 1]}, "level '1' is declared twice"),
        ({"kind": "category", "levels": ["a", ""]}, "is empty or has spaces"),
        ({"kind": "category", "levels": [" a"]}, "is empty or has spaces"),
        ({"kind": "category", "levels": [str(at) for at in range(MAX_LEVELS + 1)]}, "group them"),
        ({"kind": "flag", "levels": ["no", "yes"]}, "levels false and true"),
        ({"kind": "category", "groups": {}}, "groups is a mapping"),
        ({"kind": "category", "groups": ["a", "b"]}, "groups is a mapping"),
        ({"kind": "category", "groups": {"a": []}}, "a group is a list with at least one level"),
        ({"kind": "category", "groups": {"a": None}}, "a group is a list with at least one level"),
        ({"kind": "category", "groups": {"a": "bc"}}, "a group is a list with at least one level"),
        ({"kind": "category", "groups": {"a": ["b", True]}}, "put words such as no"),
        ({"kind": "category", "groups": {"a": ["b"], "c": ["d", "b"]}}, "level 'b' is declared twice"),
        ({"kind": "category", "groups": {"a": [1], "c": ["1"]}}, "level '1' is declared twice"),
        ({"kind": "category", "groups": {7: ["b"]}}, "the group 7 is not a short text"),
        ({"kind": "category", "groups": {"": ["b"]}}, "the group '' is not a short text"),
        ({"kind": "category", "groups": {" a": ["b"]}}, "the group ' a' is not a short text"),
        ({"kind": "category", "groups": {"a": ["b"]}, "levels": ["b"]}, "both say what the levels are"),
        ({"kind": "category", "groups": {"a": ["b", "c"]}, "label": True}, "not to a label"),
        ({"kind": "integer", "low": 0, "high": 9, "groups": {"a": [1]}}, "not to kind=integer"),
        ({"kind": "flag", "groups": {"a": ["x"]}}, "a flag has the levels"),
        (
            {
                "kind": "category",
                "groups": {"a": [f"a{at}" for at in range(6000)], "b": [f"b{at}" for at in range(6000)]},
            },
            "12000 levels are more than 10000",
        ),
        ({"kind": "number", "low": 1, "high": 9, "scale": "sqrt"}, "scale='sqrt' is not one of log"),
        ({"kind": "number", "low": 1, "high": 9, "scale": True}, "scale=True is not text"),
        ({"kind": "date", "low": "2000-01-01", "high": "2001-01-01", "scale": "log"}, "not to kind=date"),
        ({"kind": "category", "levels": ["a"], "scale": "log"}, "not to kind=category"),
        ({"kind": "number", "low": 0, "high": 9, "scale": "log"}, "low=0, but scale=log needs low above 0"),
        ({"kind": "number", "low": -0.0, "high": 9, "scale": "log"}, "needs low above 0"),
        ({"kind": "number", "low": -1, "high": 9, "scale": "log"}, "low=-1, but scale=log"),
        ({"kind": "integer", "low": -1, "high": 9, "scale": "log"}, "needs low at least 0"),
        ({"kind": "number", "scale": "log", "learn": True}, "scale=log needs low"),
        ({"kind": "number", "low": 0, "high": 2**41, "step": 1, "scale": "log"}, "too small for scale=log"),
        ({"kind": "number", "low": 0, "high": 1, "label": True}, "label=true needs"),
        ({"kind": "flag", "label": True, "nullable": True}, "a label cannot be nullable"),
        ({"kind": "category", "label": True, "learn": True}, "levels of a label cannot be learned"),
        ({"kind": "flag", "label": "yes"}, "is not true or false"),
        ({"kind": "flag", "unit": 3}, "is not text"),
    ],
)
def test_contradictions_are_refused(found, rule):
    with pytest.raises(SchemaError, match=r"^x: ") as error:
        read(**found)
    assert rule in str(error.value)


def test_the_levels_are_those_of_the_groups():
    column = read(kind="category", groups={"heart": ["I10", "I21"], "lung": ["J18"]})
    assert column.levels == ("I10", "I21", "J18")
    assert (column.size, column.complete) == (3, True)
    with pytest.raises(SchemaError, match="leave levels out"):
        Column("x", "category", levels=("b", "a"), groups=(("g", ("a", "b")),))


def test_a_column_that_is_no_mapping_is_refused():
    with pytest.raises(SchemaError, match="a column is a mapping"):
        Column.from_dict("x", ["kind"])


def test_a_flag_built_by_hand_has_no_other_levels():
    with pytest.raises(SchemaError, match="levels false and true"):
        Column("x", "flag", levels=("no", "yes"))
