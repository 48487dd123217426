"""Dates that are counted from other dates: what may be declared, how they are read, and each patient's day 0."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.errors import DataError, SchemaError
from wardgan.schema.columns import DAY_ZERO, Column
from wardgan.schema.read import BOUNDS, examine, read
from wardgan.schema.references import in_order, origins
from wardgan.schema.schema import Schema

NAN = np.nan
DAY = {"kind": "date", "low": "2010-01-01", "high": "2010-12-31"}
LEFT = {"kind": "date", "after": "came", "within": 30}
DIED = {"kind": "date", "after": "left", "within": 1000, "nullable": True}
STAY = {"died": DIED, "left": LEFT, "came": DAY}


def days(*texts):
    return np.array([NAN if text is None else date.fromisoformat(text).toordinal() for text in texts])


def frame(**columns):
    return pd.DataFrame({"id": range(len(next(iter(columns.values())))), **columns})


def test_bounds_follow_from_the_first_date():
    schema = kit.schema(STAY)
    low, high = days("2010-01-01", "2010-12-31")
    assert (schema.column("left").low, schema.column("left").high) == (low, high + 30)
    assert (schema.column("died").low, schema.column("died").high) == (low, high + 1030)
    assert [column.name for column in schema.table] == ["died", "left", "came"]
    wider = schema.replace_columns({"came": schema.column("came").with_bounds(low - 10, high)})
    assert wider.column("died").low == low - 10
    assert all(column.complete for column in schema.table)


def test_a_file_has_no_bounds_that_were_worked_out():
    schema = kit.schema(STAY)
    assert schema.to_dict()["table"] == STAY
    assert Schema.from_dict(schema.to_dict()) == schema
    origin = kit.schema({"came": {"kind": "date", "origin": True}, "left": LEFT})
    assert origin.to_dict()["table"] == {"came": {"kind": "date", "origin": True}, "left": LEFT}


def test_a_first_date_may_wait_to_be_learned():
    schema = kit.schema({"came": {"kind": "date", "learn": True}, "left": LEFT})
    assert (schema.column("left").low, schema.column("left").high, schema.column("left").complete) == (None, None, True)


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ({"a": LEFT}, "a: after='came' is not in the schema; name a date column"),
        ({"a": LEFT, "came": {"kind": "flag"}}, "a: after='came' has kind=flag"),
        ({"a": LEFT, "came": {**DAY, "nullable": True}}, "a: came may be missing, and then a is, too; set nullable: true"),
        ({"came": LEFT}, "came: the dates after which it comes lead back to itself"),
        ({"came": {**LEFT, "after": "b"}, "b": LEFT}, "lead back to itself"),
        ({"a": LEFT, "came": {**LEFT, "after": "b"}, "b": LEFT}, "lead back to itself"),
        ({"a": {**LEFT, "low": "2010-01-01"}, "came": DAY}, "a date with after or origin has no low and high"),
        ({"a": {"kind": "date", "origin": True, "high": "2010-01-01"}}, "a date with after or origin has no low and high"),
        ({"a": {"kind": "date", "after": "came"}, "came": DAY}, "declare both"),
        ({"a": {**DAY, "within": 3}}, "declare both"),
        ({"a": {**LEFT, "within": 0}, "came": DAY}, "within=0 is not a whole number of days, at least 1"),
        ({"a": {**LEFT, "within": -3}, "came": DAY}, "within=-3"),
        ({"a": {**LEFT, "within": 2.5}, "came": DAY}, "within=2.5"),
        ({"a": {**LEFT, "within": True}, "came": DAY}, "within=True"),
        ({"a": {**LEFT, "within": "9"}, "came": DAY}, "within='9'"),
        ({"a": {**LEFT, "within": 10**400}, "came": DAY}, "within=a number of too many digits"),
        ({"a": {**LEFT, "within": 3_000_000}, "came": DAY}, "a: within=3000000 leads beyond the year 9999"),
        ({"a": {**LEFT, "after": 3}, "came": DAY}, "after=3 is not text"),
        ({"a": {**LEFT, "learn": True}, "came": DAY}, "no bounds to learn"),
        ({"a": {**LEFT, "origin": True}, "came": DAY}, "keep one of the two"),
        ({"a": {"kind": "integer", "after": "came", "within": 3}, "came": DAY}, "after, within and origin belong to kind: date"),
        ({"a": {"kind": "category", "levels": ["x"], "origin": True}}, "after, within and origin belong to kind: date"),
        ({"a": {"kind": "date", "origin": "yes"}}, "origin='yes' is not true or false"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_refused(table, rule):
    with pytest.raises(SchemaError) as error:
        kit.schema(table)
    assert rule in str(error.value)


def visits(columns, **more):
    return {"key": "when", "grid": ["A", "B"], "columns": columns, **more}


@pytest.mark.parametrize(
    ("table", "declared", "rule"),
    [
        (
            {"a": {**LEFT, "after": "seen"}},
            visits({"seen": DAY}),
            "a: seen is measured at visits; a date of the table can",
        ),
        ({"came": DAY}, visits({"o": {"kind": "date", "origin": True}}), "o: the origin is a date of the table"),
        (
            {"came": DAY},
            {"key": "when", "max_visits": 3, "columns": {"seen": DAY, "when": {**LEFT, "after": "seen"}}},
            "when: the key of the visits can only be after a date of the table, not after seen",
        ),
        (
            {"came": {**DAY, "nullable": True}},
            {"key": "when", "max_visits": 3, "columns": {"when": LEFT}},
            "when: came may be missing",
        ),
    ],
)
def test_visits_cannot_turn_time_around(table, declared, rule):
    with pytest.raises(SchemaError) as error:
        kit.schema(table, declared)
    assert rule in str(error.value)


def test_the_order_is_that_of_need_and_a_long_chain_is_no_burden():
    chain = {f"d{at}": {"kind": "date", "after": f"d{at + 1}", "within": 1} for at in range(5000)}
    chain["d5000"] = DAY
    schema = kit.schema(chain)
    assert [column.name for column in in_order(schema.table)] == [f"d{at}" for at in range(5000, -1, -1)]
    assert schema.column("d0").high == schema.column("d5000").high + 5000


def test_a_calendar_is_gone_behind_an_origin():
    table = {"came": {"kind": "date", "origin": True}, "left": LEFT, "died": DIED, "other": DAY}
    assert origins(kit.schema(table).table) == {"came": "came", "left": "came", "died": "came"}
    assert Column("x", "date", origin=True).low == DAY_ZERO == date(2000, 1, 1).toordinal()


CAME = ["2010-01-10", "2010-02-10", "2010-03-10", "2010-04-10"]


def test_dates_in_order_are_read_as_they_are():
    rows = frame(
        came=CAME,
        left=["2010-01-10", "2010-03-12", "2010-03-11", "2010-04-20"],
        died=["2012-10-06", "2010-03-12", None, None],
    )
    cohort = read(rows, kit.schema(STAY, patient="id"))
    assert_array_equal(cohort.static["left"], days(*rows["left"]))
    assert_array_equal(cohort.static["died"], days("2012-10-06", "2010-03-12", None, None))


def test_dates_out_of_order_are_found_and_counted():
    rows = frame(
        came=CAME,
        left=["2010-01-09", "2010-03-13", "2010-03-11", "2010-05-10"],
        died=[None, "2010-03-12", None, "2013-02-04"],
    )
    schema = kit.schema(STAY, patient="id")
    found = examine(rows, schema)
    assert [(f.column, f.rule, f.count, f.rows) for f in found.findings] == [
        ("died", BOUNDS, 2, (2, 4)),
        ("left", BOUNDS, 2, (1, 2)),
    ]
    assert found.findings[1].way_out.startswith("They are 0 to 30 days after came: raise within")
    assert found.bad.tolist() == [True, True, False, True]
    with pytest.raises(DataError, match="broken 2 times"):
        read(rows, schema)
    assert read(rows, schema, invalid="drop").patients.tolist() == [2]
    clipped = read(rows, schema, invalid="clip")
    assert_array_equal(clipped.static["left"], days("2010-01-10", "2010-03-12", "2010-03-11", "2010-05-10"))
    assert_array_equal(clipped.static["died"], days(None, "2010-03-12", None, "2013-02-03"))


def test_what_follows_a_clipped_date_is_counted_from_where_it_is_now():
    rows = frame(came=["2009-12-01", "2011-02-01"], left=["2009-12-20", "2011-02-02"], died=[None, None])
    clipped = read(rows, kit.schema(STAY, patient="id"), invalid="clip")
    assert_array_equal(clipped.static["came"], days("2010-01-01", "2010-12-31"))
    assert_array_equal(clipped.static["left"], days("2010-01-01", "2011-01-30"))


def test_a_date_without_the_one_before_it_is_found():
    table = {"came": {**DAY, "nullable": True}, "left": {**LEFT, "nullable": True}}
    rows = frame(came=[None, None, CAME[2]], left=["2010-01-09", None, None])
    schema = kit.schema(table, patient="id")
    found = examine(rows, schema)
    assert [(f.column, f.rule, f.rows) for f in found.findings] == [("left", "came is there where left is", (1,))]
    assert found.bad.tolist() == [True, False, False]
    with pytest.raises(DataError, match="came is there where left is"):
        read(rows, schema, invalid="clip")
    assert read(rows, schema, invalid="drop").patients.tolist() == [1, 2]


def test_a_first_date_that_is_missing_or_unreadable_is_told_once():
    rows = frame(came=[None, "1.2.2010"], left=["2010-01-09", "2010-01-09"])
    found = examine(rows, kit.schema({"came": DAY, "left": LEFT}, patient="id"))
    assert {f.column for f in found.findings} == {"came"}
    assert found.bad.all()


def test_an_origin_becomes_day_zero_and_the_days_stay():
    table = {"came": {"kind": "date", "origin": True}, "left": LEFT, "died": DIED, "other": DAY}
    rows = frame(
        came=["1890-01-10", "2110-02-10"], left=["1890-01-11", "2110-03-12"], died=["1890-01-13", None], other=CAME[:2]
    )
    schema = kit.schema(table, patient="id")
    cohort = read(rows, schema)
    assert_array_equal(cohort.static["came"], [DAY_ZERO, DAY_ZERO])
    assert_array_equal(cohort.static["left"], [DAY_ZERO + 1, DAY_ZERO + 30])
    assert_array_equal(cohort.static["died"], [DAY_ZERO + 3, NAN])
    assert_array_equal(cohort.static["other"], days(*CAME[:2]))
    shown = cohort.frame()
    assert shown["came"].astype(str).tolist() == ["2000-01-01"] * 2
    again = read(shown, schema)
    assert kit.same(cohort, again)
    late = examine(rows.assign(left="1890-01-09"), schema)
    assert [(f.column, f.count) for f in late.findings] == [("left", 2)]


def test_an_origin_that_is_missing_takes_its_dates_along():
    table = {"came": {"kind": "date", "origin": True, "nullable": True}, "left": {**LEFT, "nullable": True}}
    cohort = read(frame(came=[None, CAME[0]], left=[None, None]), kit.schema(table, patient="id"))
    assert_array_equal(cohort.static["came"], [NAN, DAY_ZERO])


LONG = {"seen": {**LEFT, "within": 400}, "result": {"kind": "date", "after": "seen", "within": 10, "nullable": True}}


def long(**columns):
    return pd.DataFrame({"id": [1, 1, 2], "came": [*CAME[:1] * 2, CAME[1]], **columns})


def test_dates_of_visits_are_counted_from_the_patients_or_the_visits_own():
    schema = kit.schema({"came": DAY}, visits(LONG))
    rows = long(
        when=["A", "B", "A"], seen=["2010-01-12", "2011-01-12", "2010-02-09"], result=["2010-01-13", "2011-02-12", None]
    )
    found = examine(rows, schema)
    assert [(f.column, f.rule, f.rows) for f in found.findings] == [("seen", BOUNDS, (3,)), ("result", BOUNDS, (2,))]
    assert found.bad.tolist() == [True, True]
    clipped = read(rows, schema, invalid="clip")
    assert_array_equal(clipped.measured["seen"], [days("2010-01-12", "2011-01-12"), days("2010-02-10", None)])
    assert_array_equal(clipped.measured["result"], [days("2010-01-13", "2011-01-22"), days(None, None)])


def test_visits_of_nobody_are_counted_from_nothing():
    schema = kit.schema({"came": DAY}, visits(LONG))
    table = pd.DataFrame({"id": [1, 2], "came": CAME[:2]})
    rows = long(when=["A", "B", "A"], seen=["2010-01-12", "2011-01-12", "2010-02-11"], result=None)
    rows.loc[1, "id"] = 7
    found = examine(table, schema, visits=rows.drop(columns="came"))
    assert [f.rule for f in found.findings] == ["every visit belongs to a patient of the table"]
    assert found.bad.tolist() == [False, False]
    some = kit.schema({"came": {**DAY, "nullable": True}}, visits({"seen": {**LONG["seen"], "nullable": True}}))
    again = examine(table, some, visits=rows.drop(columns=["came", "result"]))
    assert [f.rule for f in again.findings] == ["every visit belongs to a patient of the table"]


@pytest.mark.parametrize("origin", [False, True])
def test_the_key_of_ragged_visits_may_be_counted_from_a_date(origin):
    came = {"kind": "date", "origin": True} if origin else DAY
    schema = kit.schema(
        {"came": came},
        {
            "key": "when",
            "max_visits": 3,
            "columns": {"when": {**LEFT, "within": 400}, "lab": LONG["result"] | {"after": "when"}},
        },
    )
    rows = long(when=["2010-05-12", "2010-01-12", "2010-02-11"], lab=["2010-05-13", "2010-01-12", None])
    cohort = read(rows, schema)
    first = np.array([DAY_ZERO, DAY_ZERO]) if origin else days(*CAME[:2])
    assert_array_equal(cohort.measured["when"], first[:, None] + [[2, 122, NAN], [1, NAN, NAN]])
    assert_array_equal(cohort.measured["lab"], first[:, None] + [[2, 123, NAN], [NAN, NAN, NAN]])
    assert kit.same(cohort, read(cohort.frame(), schema))
    early = examine(rows.assign(when="2010-01-09"), schema)
    assert (BOUNDS, 3) in [(f.rule, f.count) for f in early.findings]


def test_several_rows_of_a_bin_keep_the_order():
    """The mean of two days is rounded, and must not lead beyond the declared days."""
    declared = {
        "key": "hour",
        "grid": {"start": 0, "stop": 2, "step": 1},
        "columns": {"seen": DAY, "result": {**LEFT, "after": "seen", "within": 1}},
    }
    schema = kit.schema({"x": {"kind": "flag"}}, declared)
    start = date(2010, 5, 1)
    for one, two in ((0, 1), (1, 2)):
        seen = [str(start + timedelta(one)), str(start + timedelta(two))]
        result = [str(start + timedelta(one + 1)), str(start + timedelta(two + 1))]
        cohort = read(pd.DataFrame({"id": 1, "x": 1, "hour": 0.5, "seen": seen, "result": result}), schema)
        gap = kit.gaps(cohort, schema.column("result"))
        assert ((gap >= 0) & (gap <= 1)).all()
