"""What `check` says about a cohort as a whole."""

import numpy as np
import pandas as pd

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
    return worth_knowing(examine(frame, Schema.from_dict(found)).cohort)


def frame(number=200):
    return pd.DataFrame({"arm": np.array(["a", "b"])[np.arange(number) % 2], "age": np.arange(number) % 90})


def test_nothing_is_said_about_an_ordinary_cohort():
    assert findings(frame(), population=200) == []


def test_a_class_without_patients_stops():
    (found,) = findings(frame().assign(arm="b"), table={"arm": arm(), "age": age()})[-1:]
    assert (found.column, found.blocking) == ("arm", True)
    assert "arm=a" in found.rule


def arm(**more):
    return {"kind": "category", "levels": ["a", "b"], "label": True} | more


def age(**more):
    return {"kind": "integer", "low": 0, "high": 120, "nullable": True} | more


def test_constant_and_empty_columns_are_noted():
    for value, word in ((50, "constant"), (None, "empty")):
        (found,) = findings(frame().assign(age=value))
        assert (found.column, found.blocking) == ("age", False)
        assert word in found.way_out


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
