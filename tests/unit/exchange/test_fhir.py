"""FHIR R4: other people's models accept every resource, and every cell is in one of them."""

import json
from collections import Counter

import numpy as np
import pytest

import exchange_kit as kit
from wardgan.exchange import fhir
from wardgan.exchange.concepts import Concepts
from wardgan.schema.schema import Schema

MARKS = fhir.Marks(kit.ORIGIN)


def bundles(cohort, concepts):
    found = zip(cohort.patients, fhir.patients(cohort, concepts, MARKS), strict=True)
    return [json.loads(json.dumps(fhir.bundle(one, MARKS, int(number)))) for number, one in found]


def drawn(case, n=40):
    concepts = kit.bound(case)
    return kit.generator(kit.CASES[case][0]).draw(n, seed=3), concepts


def of(found, kind):
    return [one for bundle in found for one in kit.resources(bundle) if one["resourceType"] == kind]


def one(table, entry, cell, **more):
    """The resources of one patient with one cell."""
    schema = Schema.from_dict({"name": "one", "patient": "id", "table": {"c": table}})
    concepts = Concepts.from_dict({"reference": "2020-06-30", **more, "columns": {"c": entry}}, schema)
    return fhir.patients(kit.cohort(schema, {"c": [cell]}), concepts, MARKS)[0]


@pytest.mark.parametrize("case", kit.CASES)
def test_models_of_others_accept_every_resource(case):
    for bundle in bundles(*drawn(case, 6)):
        kit.judge_bundle(bundle)


@pytest.mark.parametrize("case", kit.CASES)
def test_each_cell_is_one_observation_with_its_value(case):
    cohort, concepts = drawn(case)
    assert kit.fhir_cells(bundles(cohort, concepts), concepts) == kit.cells(cohort, concepts)


def test_conditions_and_medications_are_those_that_somebody_has():
    cohort, concepts = drawn("mixed", 60)
    found = bundles(cohort, concepts)
    wide = cohort.wide()
    codes = Counter(one["code"].get("coding", [{"code": "?"}])[0]["code"] for one in of(found, "Condition"))
    assert codes["73211009"] == (wide["diabetes"] == True).sum()  # noqa: E712
    assert (codes["C50"], codes["C61"]) == tuple((wide["cancer"] == level).sum() for level in ("C50", "C61"))
    assert codes["?"] == wide["diagnosed"].notna().sum()
    fibrillating = sum((wide[f"rhythm@{slot}"] == "af").sum() for slot in cohort.schema.visits.slots)
    assert codes["49436004"] == fibrillating
    assert codes.total() == len(of(found, "Condition"))
    assert set(codes) == {"73211009", "C50", "C61", "?", "49436004"}
    drugs = Counter(one["medicationCodeableConcept"]["coding"][0]["code"] for one in of(found, "MedicationStatement"))
    assert (drugs["B01AC06"], drugs["C10AA"]) == tuple((wide["drug"] == level).sum() for level in ("aspirin", "statin"))
    assert drugs["C01CA"] == sum((wide[f"pressor@{slot}"] == True).sum() for slot in cohort.schema.visits.slots)  # noqa: E712
    given = [one for one in of(found, "MedicationStatement") if "context" in one]
    assert len(given) == drugs["C01CA"] > 0


def test_people_are_who_the_table_says():
    cohort, concepts = drawn("mixed", 60)
    wide = cohort.wide().reset_index(drop=True)
    for at, patient in enumerate(of(bundles(cohort, concepts), "Patient")):
        row = wide.loc[at]
        assert patient["identifier"][0]["value"] == str(row["id"])
        assert patient.get("gender") == {"f": "female", "m": "male"}.get(row["sex"])
        assert patient.get("birthDate") == (None if row.isna()["age"] else f"{2020 - row['age']:04d}")
        dead, day = row["dead"], row["died_on"]
        wanted = {} if row.isna()["dead"] else {"deceasedBoolean": bool(dead)}
        if not row.isna()["dead"] and dead and not row.isna()["died_on"]:
            wanted = {"deceasedDateTime": str(np.datetime64(day, "D"))}
        assert {key: value for key, value in patient.items() if key.startswith("deceased")} == wanted


def test_the_time_of_an_event_is_counted_from_day_0():
    cohort, concepts = drawn("events")
    wide = cohort.wide()
    found = bundles(cohort, concepts)
    for row, bundle in zip(wide.to_dict("records"), found, strict=True):
        patient, *others = kit.resources(bundle)
        day = str(np.datetime64("2015-01-01") + np.timedelta64(int(row["days"]), "D"))
        assert patient.get("deceasedDateTime") == (day if row["died"] else None)
        assert patient.get("deceasedBoolean") == (None if row["died"] else False)
        assert patient["birthDate"] == str(np.datetime64(row["born"], "D"))
        assert [one["onsetDateTime"] for one in others if one["resourceType"] == "Condition"] == [day] * (
            row["cause"] == row["cause"]
        )


def test_visits_are_encounters_with_a_time():
    cohort, concepts = drawn("mixed")
    found = bundles(cohort, concepts)
    encounters = of(found, "Encounter")
    assert len(encounters) == cohort.present.sum() < cohort.present.size
    starts = {one["type"][0]["text"]: one["period"] for one in encounters}
    assert starts["6h"] == {"start": "2020-06-30T06:00:00Z", "end": "2020-06-30T06:00:00Z"}
    assert {one["class"]["code"] for one in encounters} == {"IMP"}
    beats = [one for one in of(found, "Observation") if one["code"]["text"] == "hr"]
    assert {one["effectiveDateTime"][10:] for one in beats} == {f"T{hour:02d}:00:00Z" for hour in (0, 6, 12, 18)}
    awake = [one["effectiveDateTime"] for one in of(found, "Observation") if one["code"]["text"] == "awake"]
    assert {text[:7] for text in awake if len(text) == 10} == {"2020-01", "2020-02"}  # the date in `drawn`
    assert any(len(text) > 10 for text in awake)  # and where it is missing, the visit


def test_dates_without_a_calendar_are_counted_from_day_0():
    cohort, concepts = drawn("stays")
    wide = cohort.wide()
    found = bundles(cohort, concepts)
    for row, bundle in zip(wide.to_dict("records"), found, strict=True):
        others = kit.resources(bundle)
        (left,) = [
            one["valueDateTime"]
            for one in others
            if one["resourceType"] == "Observation" and one["code"]["text"] == "left"
        ]
        days = (np.datetime64(row["left"], "D") - np.datetime64("2000-01-01")).astype(int)
        assert left == str(np.datetime64("2018-05-06") + days)
        starts = [one["period"]["start"] for one in others if one["resourceType"] == "Encounter"]
        seen = [row[f"seen_on@{slot}"] for slot in (1, 2, 3)]
        offsets = [(np.datetime64(day, "D") - np.datetime64("2000-01-01")) for day in seen if day == day]
        assert starts == [str(np.datetime64("2018-05-06") + offset) for offset in offsets]
        months = int(row["age"])
        assert others[0]["birthDate"] == str(np.datetime64("2018-05") - np.timedelta64(months, "M"))


@pytest.mark.parametrize(
    ("unit", "age", "born"),
    [("a", 65, "1955"), ("mo", 7, "2019-11"), ("wk", 2, "2020-06-16"), ("d", 30, "2020-05-31"), (None, 0, "2020")],
)
def test_an_age_says_no_more_of_a_birthday_than_it_knows(unit, age, born):
    column = {"kind": "integer", "low": 0, "high": 99} | ({"unit": unit} if unit else {})
    (patient,) = one(column, "age", age)
    assert patient["birthDate"] == born


def test_an_age_with_decimals_is_a_day():
    (patient,) = one({"kind": "number", "low": 0, "high": 99, "step": 0.5}, "age", 10.5)
    assert patient["birthDate"] == "2009-12-30"


@pytest.mark.parametrize(
    ("column", "entry", "cell", "value"),
    [
        ({"kind": "integer", "low": 0, "high": 9}, "observation", 7, {"valueInteger": 7}),
        ({"kind": "integer", "low": 0, "high": 2**31}, "observation", 7, {"valueQuantity": {"value": 7}}),
        ({"kind": "integer", "low": -(2**31), "high": 2}, "observation", 2, {"valueQuantity": {"value": 2}}),
        ({"kind": "flag"}, "observation", 0, {"valueBoolean": False}),
        ({"kind": "date", "low": "2000-02-29", "high": "2000-02-29"}, "observation", 730179, {"valueDateTime": "2000-02-29"}),
        (
            {"kind": "number", "low": 0, "high": 1, "step": 1e-7, "unit": "mg"}, "measurement", 1e-7,
            {"valueQuantity": {"value": 1e-7, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}},
        ),
        (
            {"kind": "category", "levels": ["a", "b"]}, {"as": "observation", "levels": {"b": {"code": "LOINC 1-8", "display": "B", "text": "bee"}}},
            1, {"valueCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "1-8", "display": "B"}], "text": "bee"}},
        ),
    ],
)  # fmt: skip
def test_values_have_the_type_of_their_column(column, entry, cell, value):
    _, found = one(column, entry, cell)
    assert {key: found[key] for key in found if key.startswith("value")} == value


def test_what_means_nothing_is_not_there():
    assert len(one({"kind": "category", "levels": ["a", "b"]}, {"as": "observation", "levels": {"a": None}}, 0)) == 1
    assert len(one({"kind": "flag"}, "condition", 0)) == 1
    assert len(one({"kind": "flag", "nullable": True}, "condition", float("nan"))) == 1
    assert len(one({"kind": "flag"}, "condition", 1)) == 2


def test_a_cell_of_a_visit_that_did_not_take_place_is_no_observation():
    cohort, concepts = drawn("mixed", 5)
    cohort.present[:] = False
    found = bundles(cohort, concepts)
    assert not of(found, "Encounter")
    assert not [one for one in of(found, "Observation") if "encounter" in one]


def test_ids_are_those_of_release_seed_and_patient():
    cohort, concepts = drawn("mixed", 6)
    found = fhir.patients(cohort, concepts, MARKS)
    later = fhir.patients(cohort.take(np.array([4])), concepts, MARKS)
    assert later == [found[4]]
    fewer = Concepts.from_dict({**kit.MIXED_CONCEPTS, "columns": {"hr": "measurement"}}, cohort.schema)
    ids = {one["id"] for one in found[4]}
    assert {one["id"] for one in fhir.patients(cohort, fewer, MARKS)[4]} < ids  # whatever else is mapped
    for origin in ("seed", "model"):
        changed = kit.changed(kit.ORIGIN, **{origin: 8 if origin == "seed" else "sha256:" + "f" * 64})
        assert not ids & {one["id"] for one in fhir.patients(cohort, concepts, fhir.Marks(changed))[4]}


def test_the_draft_of_hostile_texts_is_accepted_and_says_them():
    names = [
        'a"b',
        "ünï cödé",
        "<script>",
        "{{x}}",
        "=1+1",
        "x" * 90,
        "it's",
        "\\n",
        "null",
        "1",
        "true",
        "a: b",
        "# c",
    ]
    levels = ['"', "\\", "</b>", "no", "~", "'", "- x", "é" * 80, "{", "\t-\t".strip(), "&amp;"]
    table = {name: {"kind": "category", "levels": levels} for name in names}
    schema = Schema.from_dict({"name": 'x"y', "patient": "id", "table": table})
    concepts = kit.drafted(schema)
    cohort = kit.cohort(schema, {name: [at % len(levels), 0] for at, name in enumerate(names)})
    found = bundles(cohort, concepts)
    for bundle in found:
        kit.judge_bundle(bundle)
    assert kit.fhir_cells(found, concepts) == kit.cells(cohort, concepts)
