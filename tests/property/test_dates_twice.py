"""Dates after dates against a slow twin that reads one patient after the other."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.schema.columns import DAY_ZERO
from wardgan.schema.read import examine

many = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))

LOW, HIGH = date(2010, 1, 5), date(2010, 1, 20)
days = st.none() | st.integers(0, 30).map(lambda day: date(2010, 1, 1 + day))


@st.composite
def stays(draw):
    """A chain of dates in any order of columns, and rows that may break it."""
    holes = draw(st.booleans())
    first = draw(st.sampled_from([{"low": str(LOW), "high": str(HIGH)}, {"origin": True}]))
    table = {
        "came": {"kind": "date", "nullable": holes and draw(st.booleans()), **first},
        "left": {"kind": "date", "after": "came", "within": draw(st.integers(1, 9)), "nullable": holes},
        "died": {"kind": "date", "after": draw(st.sampled_from(["came", "left"])), "within": 5, "nullable": True},
    }
    rows = draw(st.lists(st.tuples(days, days, days), min_size=1, max_size=6))
    order = draw(st.permutations(list(table)))
    return {name: table[name] for name in order}, [dict(zip(table, row, strict=True)) for row in rows]


def one(row, table):
    """One patient: whether anything is wrong, and the dates as the cohort holds them."""
    wrong, held = False, {}
    for name in ("came", "left", "died"):
        column, day = table[name], None if row[name] is None else row[name].toordinal()
        if day is None:
            wrong |= not column["nullable"]
        elif "after" in column:
            first, now = row[column["after"]], held[column["after"]]
            gap = None if first is None else day - first.toordinal()
            wrong |= gap is None or not 0 <= gap <= column["within"]
            day = None if now is None else min(max(day, now), now + column["within"])
        elif "low" in column:
            wrong |= not LOW.toordinal() <= day <= HIGH.toordinal()
            day = min(max(day, LOW.toordinal()), HIGH.toordinal())
        held[name] = day
    if table["came"].get("origin"):
        zero = held["came"]
        held = {name: None if None in (day, zero) else day - zero + int(DAY_ZERO) for name, day in held.items()}
    return wrong, held


@many
@given(stays())
def test_each_patients_dates_are_judged_and_moved_as_a_person_would(found):
    table, rows = found
    declared = kit.schema({name: {k: v for k, v in column.items() if v is not False} for name, column in table.items()})
    frame = pd.DataFrame({name: [None if row[name] is None else str(row[name]) for row in rows] for name in table})
    checked = examine(frame.astype(object), declared)
    expected = [one(row, table) for row in rows]
    assert checked.bad.tolist() == [wrong for wrong, _ in expected]
    for name in table:
        twin = np.array([np.nan if held[name] is None else held[name] for _, held in expected], dtype=float)
        assert_array_equal(checked.cohort.static[name], twin, err_msg=name)
    blocking = any(finding.blocking for finding in checked.findings)
    assert blocking == checked.bad.any()


@many
@given(st.data(), st.integers(1, 9), st.booleans())
def test_the_dates_of_visits_too(data, within, origin):
    """Visits are counted from a date of the patient, or from another date of the same row."""
    came = {"kind": "date", "origin": True} if origin else {"kind": "date", "low": str(LOW), "high": str(HIGH)}
    columns = {
        "then": {"kind": "date", "after": "seen", "within": within, "nullable": True},
        "seen": {"kind": "date", "after": "came", "within": 9, "nullable": True},
    }
    declared = kit.schema({"came": came}, {"key": "visit", "grid": ["A", "B"], "columns": columns})
    size = data.draw(st.integers(1, 4))
    first = [date(2010, 1, data.draw(st.integers(5, 20))) for _ in range(size)]
    rows = [
        {"id": at, "came": str(first[at]), "visit": visit, "seen": data.draw(days), "then": data.draw(days)}
        for at in range(size)
        for visit in ("A", "B")
    ]
    checked = examine(pd.DataFrame(rows).astype(object), declared)
    for at in range(size):
        zero, wrong = first[at].toordinal(), False
        for slot, row in enumerate(rows[2 * at : 2 * at + 2]):
            seen, then = (None if row[name] is None else row[name].toordinal() for name in ("seen", "then"))
            wrong |= seen is not None and not 0 <= seen - zero <= 9
            wrong |= then is not None and (seen is None or not 0 <= then - seen <= within)
            now = None if seen is None else min(max(seen, zero), zero + 9)
            later = None if None in (now, then) else min(max(then, now), now + within)
            shift = DAY_ZERO - zero if origin else 0
            for name, day in (("seen", now), ("then", later)):
                held = checked.cohort.measured[name][at, slot]
                assert np.isnan(held) if day is None else held == day + shift, name
        assert checked.bad[at] == wrong
