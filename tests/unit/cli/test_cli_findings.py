"""What `check` says about a cohort as a whole."""

import numpy as np
import pandas as pd
import pytest

from wardgan.cli.findings import worth_knowing
from wardgan.privacy.plan import largest
from wardgan.schema.read import examine
from wardgan.schema.schema import Schema


def findings(frame, **changes):
    found = {
        "name": "demo",
        "table": {
            "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
            "age": {"kind": "integer", "low": 0, "high": 120, "nullable": True},
        },
    } | changes
    return worth_knowing(examine(frame, Schema.from_dict(found)))


def frame(number=200):
    return pd.DataFrame({"arm": np.array(["a", "b"])[np.arange(number) % 2], "age": np.arange(number) % 90})


def test_nothing_is_said_about_an_ordinary_cohort():
    assert findings(frame(), population=200) == []


def test_a_class_without_patients_is_told():
    (found,) = findings(frame().assign(arm="b"), table={"arm": arm(), "age": age()})[-1:]
    assert (found.column, found.blocking) == ("arm", False)
    assert "arm=a" in found.rule


def arm(**more):
    return {"kind": "category", "levels": ["a", "b"], "label": True} | more


def age(**more):
    return {"kind": "integer", "low": 0, "high": 120, "nullable": True} | more


def test_rules_that_contradict_each_other_are_noted():
    assert findings(frame(), rules=["age >= 0"]) == []
    (found,) = findings(frame(), rules=["age > 50", "age < 40"], table={"arm": arm(), "age": age(nullable=False)})
    assert (found.column, found.blocking) == ("rules", False)
    assert "none of 100,000 rows of declared values meets them" in found.rule
    assert "Mend the rules, 'age" in found.way_out


def test_constant_and_empty_columns_are_noted():
    for value, word in ((50, "constant"), (None, "empty")):
        (found,) = findings(frame().assign(age=value))
        assert (found.column, found.blocking) == ("age", False)
        assert word in found.way_out


def test_a_declared_constant_is_not_noted():
    smoker = {"smoker": {"kind": "flag"}}
    rows = frame().assign(smoker=[True, False] * 100)
    declared = {"kind": "integer", "low": 50, "high": 50}
    assert findings(rows.assign(age=50), table={"arm": arm(), "age": declared} | smoker) == []
    origin = {"arm": arm(), "age": {"kind": "date", "origin": True}} | smoker
    assert findings(rows.assign(age="2010-01-01"), table=origin) == []


def test_labels_and_constants_alone_stop():
    declared = {"kind": "integer", "low": 50, "high": 50}
    (found,) = findings(frame().assign(age=50), table={"arm": arm(), "age": declared})
    assert (found.column, found.rule, found.blocking) == ("table", "there is a column to model", True)


def test_no_patient_is_said_once():
    (found,) = findings(frame(0))
    assert (found.rule, found.blocking) == ("the file has a patient", True)


def test_more_variables_than_patients_are_noted_without_their_number():
    columns = {"sbp": {"kind": "integer", "low": 0, "high": 300}, "dbp": {"kind": "integer", "low": 0, "high": 300}}
    rows = frame(140).assign(id=range(140), sbp=range(100, 240), dbp=[70, 80] * 70, visit=1)
    for slots, told in ((69, []), (70, [False])):
        visits = {"key": "visit", "max_visits": slots, "columns": columns}
        found = findings(rows, patient="id", visits=visits)
        assert [one.blocking for one in found] == told
        assert "140" not in str(found)


@pytest.mark.parametrize(
    ("cells", "declared"),
    [
        (["1,5", "2,5"], {"kind": "number", "low": 0, "high": 9}),
        (["1.2.2020", "3.4.2021"], {"kind": "date", "low": "2000-01-01", "high": "2030-12-31"}),
        (["x", "y"], {"kind": "category", "levels": ["a", "b"]}),
        (["old", "50"], {"kind": "integer", "low": 0, "high": 99}),
    ],
)
@pytest.mark.parametrize("nullable", [False, True])
def test_a_column_that_cannot_be_read_is_neither_empty_nor_constant(cells, declared, nullable):
    told = findings(frame().assign(age=cells * 100), table={"arm": arm(), "age": declared | {"nullable": nullable}})
    assert told == []


def test_visits_without_a_place_are_not_empty():
    columns = {"sbp": {"kind": "integer", "low": 0, "high": 300}}
    visits = {"key": "visit", "grid": ["A"], "columns": columns}
    rows = frame().assign(id=range(200), sbp=[100, 110] * 100, visit="B")
    assert findings(rows, patient="id", visits=visits) == []
    (found,) = findings(rows.assign(visit="A", sbp=None), patient="id", visits=visits)
    assert (found.column, found.way_out) == ("sbp", "It is empty; leave it out of the schema.")
    nobody = rows.assign(visit="A", id=[None] * 196 + [1, 2, 3, 4], sbp=[100] * 196 + [None] * 4)
    assert "sbp" not in {found.column for found in findings(nobody, patient="id", visits=visits)}


def test_few_patients_are_noted_without_their_number():
    (found,) = findings(frame(96))
    assert not found.blocking
    assert "96" not in str(found)
    assert findings(frame(100)) == []


def test_a_population_that_is_too_small_stops_and_one_that_is_too_large_is_noted():
    most = largest(180)
    assert findings(frame(most), population=180) == []
    assert [found.blocking for found in findings(frame(most + 1), population=180)] == [True]
    assert [found.blocking for found in findings(frame(), population=401)] == [False]
    assert findings(frame(), population=400) == []


def test_what_is_not_declared_or_confirmed_is_noted():
    table = {"arm": arm(), "age": {"kind": "integer", "nullable": True}}
    (found,) = findings(frame(), table=table)
    assert (found.column, found.blocking) == ("age", False)
    table["age"]["learn"] = True
    assert findings(frame(), table=table) == []
    (found,) = findings(frame(), confirm=["population"])
    assert found.column == "confirm"


def test_a_label_with_cells_that_break_the_schema_is_no_fault():
    broken = frame()
    broken.loc[0, "arm"] = "z"
    assert findings(broken) == []
