"""The draft of a mapping file: it fits, and it guesses what names, units and codes say."""

import pytest
import yaml

import exchange_kit as kit
from wardgan.errors import UsageError
from wardgan.exchange.concepts import Concepts
from wardgan.exchange.draft import draft_concepts
from wardgan.schema.schema import Schema


def drafted(table, visits=None, **more):
    found = {"name": "x", "patient": "id", "table": table, **more} | ({"visits": visits} if visits else {})
    schema = Schema.from_dict(found)
    text = draft_concepts(schema)
    Concepts.from_dict(yaml.safe_load(text), schema)
    return text, yaml.safe_load(text)


@pytest.mark.parametrize("case", kit.CASES)
def test_it_fits_and_leaves_nothing_out(case):
    schema = Schema.from_dict(kit.CASES[case][0])
    found = kit.drafted(schema)
    assert found.unmapped == ()
    assert {one.name for one in found.columns} | set(found.left_out) == {column.name for column in schema.columns}


def test_it_guesses_who_a_patient_is():
    flag, day = {"kind": "flag"}, {"kind": "date", "low": "1900-01-01", "high": "2019-12-31"}
    _, found = drafted({
        "Sex": {"kind": "category", "levels": ["F", "m", "Unknown"]}, "age_at_baseline": {"kind": "integer", "low": 0, "high": 9, "unit": "years"},
        "died": flag, "date_of_death": {**day, "nullable": True},
    })  # fmt: skip
    assert found["columns"]["Sex"] == {"as": "gender", "levels": {"F": "female", "m": "male", "Unknown": "unknown"}}
    assert found["columns"]["age_at_baseline"] == {"as": "age"}
    assert found["columns"]["died"] == {"as": "deceased", "on": "date_of_death"}
    _, found = drafted({"died": flag, "death_date": day, "dob": day, "age": {"kind": "integer", "low": 0, "high": 9}})
    assert found["columns"] == {
        "died": {"as": "deceased", "on": "death_date"}, "death_date": None, "dob": {"as": "birth"}, "age": {"as": "observation"},
    }  # fmt: skip
    _, found = drafted({"death_date": {**day, "nullable": True}})
    assert found["columns"] == {"death_date": {"as": "deceased"}}


def test_it_guesses_nothing_from_names_that_only_look_like_it():
    number = {"kind": "integer", "low": 0, "high": 9, "unit": "h"}
    _, found = drafted({
        "sex": {"kind": "category", "levels": ["1", "2"]}, "age": number, "stage": {"kind": "integer", "low": 0, "high": 9},
        "dead_space": {"kind": "integer", "low": 0, "high": 9}, "birth": {"kind": "flag"}, "ages": {"kind": "integer", "low": 0, "high": 9},
    })  # fmt: skip
    assert {entry["as"] for entry in found["columns"].values()} == {"observation", "measurement"}


def test_remarks_say_what_to_look_at():
    text, found = drafted({
        "a": {"kind": "number", "low": 0, "high": 9, "unit": "puffs a day", "code": "17"}, "b": {"kind": "number", "low": 0, "high": 9},
        "c": {"kind": "integer", "low": 0, "high": 9, "unit": "days", "code": "LOINC 1-8"},
    })  # fmt: skip
    assert found["columns"]["a"] == {"as": "measurement", "code": None, "unit": "{puffs_a_day}"}
    assert found["columns"]["b"] == {"as": "observation", "unit": "1"}
    assert found["columns"]["c"] == {"as": "measurement", "unit": "d"}
    lines = {line.split(":")[0].strip(): line.partition("#")[2] for line in text.partition("columns:")[2].splitlines()}
    assert lines["a"] == " the code of the schema names no code system, the unit of the schema is not written in UCUM"
    assert lines["b"] == " no code, no unit"
    assert lines["c"] == " the unit of the schema is not written in UCUM"


@pytest.mark.parametrize(
    ("slots", "days"),
    [
        (["RZ", "1M", "2 months", "1y", "W6"], [0, 30, 61, 365, 42]), (["baseline", "week 1", "day_3", "D100"], [0, 7, 3, 100]),
        ([1, 2, 3], [0, 30, 60]), (["12M", "99999D", "x"], [365, 395, 425]),
    ],
)  # fmt: skip
def test_it_guesses_days_from_the_names_of_visits(slots, days):
    visits = {"key": "v", "grid": slots, "columns": {"x": {"kind": "flag"}}}
    _, found = drafted({"y": {"kind": "flag"}}, visits)
    assert list(found["visits"]["days"].values()) == days


def test_times_of_visits_need_a_unit():
    flag = {"x": {"kind": "flag"}}
    _, found = drafted({}, {"key": "t", "grid": {"start": 0, "stop": 4, "step": 1}, "columns": flag})
    assert found["visits"]["unit"] == "d"
    _, found = drafted({}, {"key": "t", "grid": {"start": 0, "stop": 4, "step": 1, "unit": "h"}, "columns": flag})
    assert set(found["visits"]) == {"class"}
    _, found = drafted({}, {"key": "t", "max_visits": 3, "columns": flag})
    assert found["visits"]["days"] == 30
    _, found = drafted(
        {}, {"key": "t", "max_visits": 3, "columns": {**flag, "t": {"kind": "number", "low": 0, "high": 9}}}
    )
    assert found["visits"]["unit"] == "d"


def test_a_year_of_birth_is_never_made_up():
    text, found = drafted({"x": {"kind": "flag"}})
    assert found["omop"] == {"type": 32880}
    assert "  # year_of_birth: 1950\n" in text
    text, _ = drafted({"age": {"kind": "integer", "low": 0, "high": 9}})
    assert "year_of_birth" not in text


def test_texts_that_cannot_be_shown_get_another():
    _, found = drafted({"a\u200bb": {"kind": "category", "levels": ["x\u202ey", "ok"]}})
    entry = {"as": "observation", "text": "column a\\u200bb", "levels": {"x\u202ey": {"text": "level x\\u202ey"}}}
    assert found["columns"] == {"a\u200bb": entry}


def test_images_have_none():
    schema = Schema.from_dict({"name": "x", "table": {"c": {"kind": "flag"}}, "images": {"size": [32, 32]}})
    with pytest.raises(UsageError, match="declares images"):
        draft_concepts(schema)
