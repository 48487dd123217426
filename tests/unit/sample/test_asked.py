"""Conditions of the command line."""

from datetime import date

import pytest

from wardgan.errors import UsageError
from wardgan.sample.asked import parse_where
from wardgan.schema.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "demo",
        "patient": "id",
        "table": {
            "arm": {"kind": "category", "levels": ["standard", "intensive", "a|b", "x..y"], "label": True},
            "site": {"kind": "category", "levels": [1, 2, 3]},
            "died": {"kind": "flag"},
            "age": {"kind": "integer", "low": 18, "high": 110},
            "change": {"kind": "number", "low": -5, "high": 5},
            "born": {"kind": "date", "low": "1920-01-01", "high": "2000-12-31"},
            "lactate": {"kind": "number", "low": 0, "high": 20, "nullable": True},
            "named": {"kind": "date", "after": "born", "within": 31},
        },
        "visits": {"key": "visit", "grid": ["A"], "columns": {"sbp": {"kind": "integer", "low": 50, "high": 260}}},
    }
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("arm=intensive", {"arm": "intensive"}),
        (" arm = intensive ", {"arm": "intensive"}),
        ("arm=intensive|standard", {"arm": ["intensive", "standard"]}),
        ("arm=a|b", {"arm": "a|b"}),
        ("arm=x..y", {"arm": "x..y"}),
        ("site=2|3", {"site": ["2", "3"]}),
        ("died=yes", {"died": "true"}),
        ("died=0", {"died": "false"}),
        ("died=TRUE|no", {"died": ["true", "false"]}),
        ("age=65", {"age": 65.0}),
        ("named=..1990-01-01", {"named": (date(1920, 1, 1), date(1990, 1, 1))}),
        ("named=1990-01-01..", {"named": (date(1990, 1, 1), date(2001, 1, 31))}),
        ("age=65..80", {"age": (65.0, 80.0)}),
        ("age=65..", {"age": (65.0, 110.0)}),
        ("age=..80", {"age": (18.0, 80.0)}),
        ("change=-5..-1.5", {"change": (-5.0, -1.5)}),
        ("born=1950-01-01..1959-12-31", {"born": (date(1950, 1, 1), date(1959, 12, 31))}),
        ("born=1950-01-01..", {"born": (date(1950, 1, 1), date(2000, 12, 31))}),
        ("lactate=missing", {"lactate": "missing"}),
        ("born=present", {"born": "present"}),
        ("site=1|missing", {"site": ["1", "missing"]}),
        ("sbp@A=140..", {"sbp@A": (140.0, 260.0)}),
        ("sbp@A=missing", {"sbp@A": "missing"}),
        ("visit@A=yes", {"visit@A": "true"}),
        ("visit@count=0..1", {"visit@count": (0.0, 1.0)}),
        ("visit@count=1..", {"visit@count": (1.0, 1.0)}),
    ],
)
def test_a_condition_is_understood(text, wanted):
    assert parse_where([text], SCHEMA) == wanted


def test_conditions_add_up():
    assert parse_where(["arm=intensive", "age=65.."], SCHEMA) == {"arm": "intensive", "age": (65.0, 110.0)}
    assert parse_where([], SCHEMA) == {}


@pytest.mark.parametrize(
    ("texts", "phrase"),
    [
        (["arm"], "is not a condition"),
        (["arm="], "is not a condition"),
        (["=intensive"], "is not a condition"),
        (["arm=standard", "arm=intensive"], "asked for twice"),
        (["colour=red"], "not in the generator's table; it has arm"),
        (["sbp=120..140"], "measured at visits; say at which, such as sbp@A"),
        (["sbp@B=120..140"], "there is no visit 'B'; the visits are A"),
        (["age@A=65"], "'age' is not measured at visits; sbp and visit are"),
        (["sbp@A=high"], "neither a number nor a range"),
        (["id=7"], "not in the generator's table"),
        (["age=old"], "neither a number nor a range"),
        (["age=65|70"], "neither a number nor a range"),
        (["age=60..70..80"], "neither a number nor a range"),
        (["born=1950"], "neither a date like 2020-12-31 nor a range"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_way_out(texts, phrase):
    with pytest.raises(UsageError, match=phrase):
        parse_where(texts, SCHEMA)


def test_a_sign_within_a_name_is_part_of_the_name():
    table = {name: {"kind": "integer", "low": 0, "high": 9} for name in ("x", "x=y", "x=y=z", "arm=a")}
    table["arm"] = {"kind": "category", "levels": ["a", "b"]}
    schema = Schema.from_dict({"name": "signs", "table": table})
    assert parse_where(["x=y=3", "x=y=z = 2", "x=1"], schema) == {"x=y": 3.0, "x=y=z": 2.0, "x": 1.0}
    assert parse_where(["arm=a"], schema) == {"arm": "a"}
