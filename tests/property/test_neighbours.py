"""One patient more or less changes nothing in how the others are read: the ground that every guarantee stands on."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardgan.schema.read import examine
from wardgan.schema.schema import Schema

many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

COLUMNS = {
    "words": {"kind": "category", "levels": ["no", "yes"], "nullable": True},
    "both": {"kind": "category", "levels": ["True", "False", "no", "yes"], "nullable": True},
    "codes": {"kind": "category", "levels": [0, 1, "x", "None"], "nullable": True},
    "flag": {"kind": "flag", "nullable": True},
    "number": {"kind": "number", "low": -5, "high": 5, "decimals": 1, "nullable": True},
    "whole": {"kind": "integer", "low": 0, "high": 9, "nullable": True},
    "day": {"kind": "date", "low": "2000-01-01", "high": "2030-12-31", "nullable": True},
    "next": {"kind": "date", "after": "day", "within": 400, "nullable": True},
    "zero": {"kind": "date", "origin": True, "nullable": True},
    "late": {"kind": "date", "after": "zero", "within": 4000, "nullable": True},
    "five": {"kind": "integer", "low": 5, "high": 5, "nullable": True},
}
RULES = ['if words == "yes" then present(number) or flag == true', "whole >= 0 and day <= next", 'codes in (0, "x")']
TABLE = Schema.from_dict({"name": "demo", "patient": "id", "table": COLUMNS, "rules": RULES})
RAGGED = Schema.from_dict({
    "name": "demo", "patient": "id",
    "visits": {"key": "when", "max_visits": 3, "columns": {name: COLUMNS[name] for name in ("words", "number")}},
})  # fmt: skip
DATED = Schema.from_dict({
    "name": "demo", "patient": "id", "table": {name: COLUMNS[name] for name in ("zero", "day")},
    "visits": {
        "key": "when", "grid": {"start": 0, "stop": 9, "step": 3},
        "columns": {
            "since": {"kind": "date", "after": "zero", "within": 4000, "nullable": True},
            "then": {"kind": "date", "after": "since", "within": 40, "nullable": True},
            "later": {"kind": "date", "after": "day", "within": 400, "nullable": True},
        },
    },
    "rules": ["then - zero < 4000 or missing(day)"],
})  # fmt: skip
BINS = Schema.from_dict({
    "name": "demo", "patient": "id",
    "visits": {
        "key": "when", "grid": {"start": 0, "stop": 9, "step": 3},
        "columns": {name: COLUMNS[name] for name in ("codes", "whole")},
    },
})  # fmt: skip
ODD = [
    True, False, "True", "False", "true", "yes", "no", 0, 1, 0.0, 1.0, "0", "1", "1.0", " 1 ", None, np.nan, "", "NA",
    "None", "x", "?", 7, 7.5, -3.25, "7,5", "1e1", "1_0", "inf", 2**60 + 1, 10**400, "2020-01-31", "31.01.2020", "5",
    "2020-01-31T12:30", "2020-02-01", "2019-12-31", datetime.date(2020, 1, 31), datetime.datetime(2021, 2, 3, 4, 5), [1], "\u0661", b"1",
]  # fmt: skip
cells = st.sampled_from(ODD)


def row(schema):
    names = [column.name for column in schema.columns] + (["when"] if schema.visits else [])
    return st.fixed_dictionaries(dict.fromkeys(names, cells))


def frame(rows, keys):
    made = pd.DataFrame({name: pd.Series([one[name] for one in rows], dtype=object) for name in rows[0]})
    made.insert(0, "id", pd.Series(keys, dtype=object))
    return made


def same(rows, odd, schema, keys, key, *, through):
    alone = examine(through(frame(rows, keys)), schema)
    for place in (0, len(rows)):
        joined = frame([*rows[:place], odd, *rows[place:]], [*keys[:place], key, *keys[place:]])
        both = examine(through(joined), schema)
        others = np.array([at for at, name in enumerate(both.cohort.patients) if str(name) != str(key)])
        assert len(others) == len(alone.cohort), "a patient of the others was lost or split"
        mine = both.cohort.take(others)
        np.testing.assert_array_equal(both.bad[others], alone.bad)
        for name, codes in alone.cohort.static.items():
            np.testing.assert_array_equal(mine.static[name], codes, err_msg=name)
        for name, codes in alone.cohort.measured.items():
            np.testing.assert_array_equal(mine.measured[name], codes, err_msg=name)
        if alone.cohort.present is not None:
            np.testing.assert_array_equal(mine.present, alone.cohort.present)


def as_it_is(made):
    return made


def as_text(made):
    """As a CSV file has it."""
    return made.map(lambda cell: None if cell is None or cell != cell else str(cell)).astype("string")


@pytest.mark.parametrize("through", [as_it_is, as_text])
@many
@given(st.lists(row(TABLE), min_size=1, max_size=5), row(TABLE))
def test_p01_a_row_is_read_alone(through, rows, odd):
    same(rows, odd, TABLE, [f"p{at}" for at in range(len(rows))], "odd", through=through)


@pytest.mark.parametrize("schema", [RAGGED, BINS, DATED], ids=["ragged", "bins", "dated"])
@pytest.mark.parametrize("through", [as_it_is, as_text])
@many
@given(st.data(), st.integers(1, 6))
def test_p01_a_visit_is_read_alone(schema, through, data, size):
    rows = data.draw(st.lists(row(schema), min_size=size, max_size=size))
    keys = [f"p{at // 2}" for at in range(size)]
    same(rows, data.draw(row(schema)), schema, keys, "odd", through=through)


@pytest.mark.parametrize("key", [None, "x", 7.5, True, 2**60 + 3, "9007199254740993.0"])
def test_p01_a_key_is_read_alone(tmp_path, key):
    """Keys above 2^53, as whole numbers and as text; the odd one out makes none of them another."""
    keys = [2**53 + 2 * at + 1 for at in range(40)]
    rows = [dict.fromkeys(COLUMNS) for _ in keys]
    alone = examine(frame(rows, keys), TABLE)
    assert len(alone.cohort) == 40
    both = examine(frame([*rows, rows[0]], [*keys, key]), TABLE)
    assert {str(name) for name in both.cohort.patients} >= {str(one) for one in keys}
    if key is None:
        made = pd.DataFrame({"id": pd.array([*keys, None], dtype="Int64")})
        for name in COLUMNS:
            made[name] = pd.Series([None] * 41, dtype="string")
        made.to_parquet(tmp_path / "x.parquet")
        assert len(examine(tmp_path / "x.parquet", TABLE).cohort) == 40


def test_p01_truth_and_one_are_two_patients():
    rows = [dict.fromkeys(COLUMNS) for _ in range(4)]
    names = {str(name) for name in examine(frame(rows, [True, 1, "1", 1.0]), TABLE).cohort.patients}
    assert names == {"True", "1"}


def test_p01_one_cell_does_not_translate_the_others():
    """The words True and False stand for yes and no in each cell, or in none: whatever one patient wrote."""
    rows = [dict.fromkeys(COLUMNS) | {"words": at % 2 == 0} for at in range(6)]
    alone = examine(frame(rows, [f"p{at}" for at in range(6)]), TABLE)
    np.testing.assert_array_equal(alone.cohort.static["words"], [1, 0, 1, 0, 1, 0])
    both = examine(frame([*rows, rows[0] | {"words": "yes"}], [f"p{at}" for at in range(7)]), TABLE)
    np.testing.assert_array_equal(both.cohort.static["words"], [1, 0, 1, 0, 1, 0, 1])
    assert not both.bad.any()
