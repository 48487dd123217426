"""What can be asked of a column, a cell of a visit, a visit and the number of visits."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.errors import UsageError
from wardgan.sample.conditions import conditions
from wardgan.sample.wish import Condition, condition, place_of
from wardgan.schema.cohort import Cohort

SBP = {"kind": "integer", "low": 50, "high": 250}
LAB = {"kind": "number", "low": 0, "high": 20, "nullable": True}
TABLE = {
    "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
    "age": {"kind": "integer", "low": 18, "high": 110},
    "lactate": LAB,
    "word": {"kind": "category", "levels": ["missing", "present", "x"], "nullable": True},
    "seen": {"kind": "date", "low": "2020-01-01", "high": "2020-12-31", "nullable": True},
}
NAMED = kit.schema(TABLE, {"key": "v", "grid": ["RZ", "3M", "count"], "columns": {"sbp": SBP, "lab": LAB}})
COMPLETE = kit.schema(TABLE, {"key": "v", "grid": ["RZ", "3M"], "complete": True, "columns": {"sbp": SBP, "lab": LAB}})
RAGGED = kit.schema(TABLE, {"key": "v", "max_visits": 3, "columns": {"sbp": SBP}})
TIMED = kit.schema(
    TABLE, {"key": "t", "grid": {"start": 0, "stop": 12, "step": 6, "unit": "h"}, "columns": {"sbp": SBP}}
)
FLAT = kit.schema(TABLE)


@pytest.mark.parametrize(
    ("schema", "name", "kind", "slot", "holes"),
    [
        (FLAT, "age", "column", -1, False),
        (FLAT, "lactate", "column", -1, True),
        (NAMED, "sbp@3M", "cell", 1, True),
        (COMPLETE, "sbp@3M", "cell", 1, False),
        (COMPLETE, "lab@RZ", "cell", 0, True),
        (RAGGED, "sbp@2", "cell", 1, True),
        (TIMED, "sbp@6h", "cell", 1, True),
        (NAMED, "visit@RZ", "visit", 0, False),
        (NAMED, "visit@count", "visit", 2, False),  # here it is the name of a visit
        (TIMED, "visit@count", "count", -1, False),
        (RAGGED, "visit@count", "count", -1, False),
    ],
)
def test_names_stand_for_places(schema, name, kind, slot, holes):
    found = place_of(schema, name)
    assert (found.name, found.kind, found.slot, found.holes) == (name, kind, slot, holes)


@pytest.mark.parametrize(
    ("schema", "name", "rule"),
    [
        (FLAT, "weight", "the column 'weight' is not in the generator's table; it has arm, age"),
        (FLAT, "sbp@3M", "'sbp@3M' is about a visit, but the generator's schema has no visits"),
        (NAMED, "sbp", "'sbp' is not in the generator's table but measured at visits; say at which, such as sbp@RZ"),
        (NAMED, "sbp@4M", "there is no visit '4M'; the visits are RZ, 3M, count"),
        (NAMED, "sbp@", "there is no visit ''"),
        (NAMED, "age@3M", "'age' is not measured at visits; sbp, lab and visit are"),
        (NAMED, "@3M", "'' is not measured at visits"),
        (COMPLETE, "visit@3M", "every patient has every visit, so there is nothing to ask"),
        (COMPLETE, "visit@count", "every patient has every visit, so there is nothing to ask"),
        (RAGGED, "visit@2", "visits are counted here; write visit@count=2.."),
        (RAGGED, "visit@7", "there is no visit '7'"),
    ],
)
def test_unknown_places_are_refused(schema, name, rule):
    with pytest.raises(UsageError) as error:
        place_of(schema, name)
    assert str(error.value).startswith("where: ")
    assert rule in str(error.value)


def ask(schema, name, wanted) -> Condition:
    return condition(place_of(schema, name), wanted)


@pytest.mark.parametrize(
    ("schema", "name", "wanted", "codes", "is_range", "missing"),
    [
        (FLAT, "lactate", "missing", (), False, True),
        (FLAT, "lactate", ["missing"], (), False, True),
        (FLAT, "lactate", "present", (-np.inf, np.inf), True, False),
        (FLAT, "age", "present", (-np.inf, np.inf), True, False),
        (FLAT, "seen", "missing", (), False, True),
        (FLAT, "seen", [date(2020, 1, 1), "missing"], (737425.0,), False, True),
        (FLAT, "word", "missing", (0.0,), False, False),  # the level of this name
        (FLAT, "word", "present", (1.0,), False, False),
        (NAMED, "sbp@3M", "missing", (), False, True),
        (NAMED, "sbp@3M", (140, 200), (140.0, 200.0), True, False),
        (NAMED, "sbp@3M", [140, "missing"], (140.0,), False, True),
        (NAMED, "visit@3M", True, (1.0,), False, False),
        (NAMED, "visit@3M", "no", (0.0,), False, False),
        (RAGGED, "visit@count", (2, 3), (2.0, 3.0), True, False),
        (RAGGED, "visit@count", 2, (2.0,), False, False),
        (FLAT, "age", (65 - 1e-9, 80), (65.0, 80.0), True, False),
    ],
)
def test_wishes_become_codes(schema, name, wanted, codes, is_range, missing):
    found = ask(schema, name, wanted)
    assert (found.codes, found.range, found.missing) == (codes, is_range, missing)


@pytest.mark.parametrize(
    ("schema", "name", "wanted", "rule"),
    [
        (FLAT, "age", "missing", "age is never missing"),
        (FLAT, "arm", "missing", "arm is never missing"),
        (COMPLETE, "sbp@3M", "missing", "sbp@3M is never missing"),
        (NAMED, "visit@3M", "missing", "visit@3M is never missing"),
        (RAGGED, "visit@count", "missing", "visit@count is never missing"),
        (NAMED, "sbp@3M", (300, 400), "sbp@3M between 300 and 400 is outside 50 to 250"),
        (NAMED, "sbp@3M", (140.2, 140.4), "sbp@3M between 140.2 and 140.4 holds none of its values"),
        (NAMED, "visit@3M", "perhaps", "'perhaps' is not a level of visit@3M; it has false, true"),
        (NAMED, "visit@3M", (0, 2), "'2' is not a level of visit@3M"),
        (RAGGED, "visit@count", (4, 9), "visit@count between 4 and 9 is outside 0 to 3"),
        (RAGGED, "visit@count", "many", "visit@count='many' is not a number"),
        (FLAT, "word", (1, 2), "'1' is not a level of word"),
        (FLAT, "age", ("present", 4), "age='present' is not a number"),
        (FLAT, "lactate", ("missing", 4), "is one point of a continuous column"),
    ],
)
def test_what_no_patient_can_be_is_refused(schema, name, wanted, rule):
    with pytest.raises(UsageError) as error:
        ask(schema, name, wanted)
    assert rule in str(error.value)


@pytest.mark.parametrize(
    ("schema", "where", "rule"),
    [
        (
            NAMED,
            {"sbp@3M": (140, 200), "visit@3M": False},
            "sbp@3M needs the visit 3M, and visit@3M asks that it does not",
        ),
        (NAMED, {"sbp@3M": "present", "visit@3M": [False]}, "sbp@3M needs the visit 3M"),
        (
            TIMED,
            {"sbp@6h": 120, "visit@count": 0},
            "visit@count contradicts the other conditions, which need 1 to 2 visits",
        ),
        (TIMED, {"visit@6h": False, "visit@count": 2}, "which need 0 to 1 visits"),
        (RAGGED, {"sbp@3": 120, "visit@count": (0, 2)}, "which need 3 to 3 visits"),
    ],
)
def test_contradictions_are_refused(schema, where, rule):
    with pytest.raises(UsageError) as error:
        conditions(schema, (0.5, 0.5), where, None)
    assert rule in str(error.value)


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        (NAMED, {"sbp@3M": "missing", "visit@3M": False}),
        (NAMED, {"sbp@3M": 120, "visit@3M": [True, False]}),
        (TIMED, {"sbp@6h": [120, "missing"], "visit@count": 0}),
        (TIMED, {"sbp@6h": 120, "visit@0h": False, "visit@count": (0, 1)}),
        (RAGGED, {"sbp@2": 120, "visit@count": [0, 2]}),
    ],
)
def test_what_some_patient_may_meet_is_no_contradiction(schema, where):
    assert len(conditions(schema, (0.5, 0.5), where, None).others) == len(where)


def test_present_labels_are_all_levels():
    found = conditions(FLAT, (0.5, 0.5), {"arm": "present"}, None)
    assert found.others == ()
    assert found.turns.tolist() == [[0.5, 0.5]]


def test_cells_and_visits_of_patients():
    present = np.array([[True, False, True], [True, True, True], [False, False, False]])
    nan = np.nan
    lab = np.array([[1.0, nan, nan], [nan, 3.0, 9.0], [nan, nan, nan]])
    static = {column.name: np.zeros(3) for column in NAMED.table}
    cohort = Cohort(NAMED, static, {"sbp": lab, "lab": lab}, present, np.arange(3))
    timed = Cohort(TIMED, static, {"sbp": lab[:, :2]}, present[:, :2], np.arange(3))

    def who(name, wanted, schema=NAMED, among=cohort):
        return ask(schema, name, wanted).holds(among).tolist()

    assert who("lab@3M", (2, 4)) == [False, True, False]
    assert who("lab@3M", "missing") == [True, False, True]
    assert who("lab@RZ", "present") == [True, False, False]
    assert who("visit@3M", True) == [False, True, False]
    assert who("visit@3M", False) == [True, False, True]
    assert who("visit@count", True) == [True, True, False]
    assert who("visit@count", (1, 2), TIMED, timed) == [True, True, False]
    assert who("visit@count", 0, TIMED, timed) == [False, False, True]
    assert_array_equal(place_of(TIMED, "visit@count").codes(timed), [1, 2, 0])
