"""Releases whose patients are known, judges of FHIR and OMOP files, and the way back from these to tables."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from fhir.resources.R4B import get_fhir_model_class
from fhirclient.models import fhirelementfactory
from pydantic import BaseModel
from typer.testing import CliRunner

import data_kit
import release_kit
from wardgan.cli.main import app
from wardgan.exchange.concepts import Concepts
from wardgan.exchange.draft import draft_concepts
from wardgan.imaging.marks import Origin
from wardgan.schema.cohort import Cohort
from wardgan.schema.references import origins
from wardgan.schema.schema import Schema
from wardgan.schema.yaml_text import structure_of
from wardgan.seal import artifact
from wardgan.simulate import SPRINT_SCHEMA

ORIGIN = Origin("sha256:" + "0123456789abcdef" * 4, 7, 1.0)
MIXED = {
    "name": "mixed", "patient": "id", "population": 1000,
    "table": {
        "sex": {"kind": "category", "levels": ["f", "m", "x"], "nullable": True},
        "age": {"kind": "integer", "low": 0, "high": 99, "unit": "a", "nullable": True},
        "bmi": {"kind": "number", "low": 10, "high": 70, "decimals": 1, "unit": "kg/m2", "code": "LOINC 39156-5", "nullable": True},
        "crp": {"kind": "number", "low": 0.01, "high": 500, "scale": "log", "unit": "mg/L", "nullable": True},
        "kids": {"kind": "integer", "low": 0, "high": 9, "nullable": True},
        "cells": {"kind": "integer", "low": 0, "high": 2**40, "step": 2**30, "nullable": True},
        "smoker": {"kind": "flag", "nullable": True},
        "diabetes": {"kind": "flag", "code": "SNOMED 73211009", "nullable": True},
        "cancer": {"kind": "category", "levels": ["none", "C50", "C61"], "nullable": True},
        "drug": {"kind": "category", "levels": ["aspirin", "statin", "nothing"], "nullable": True},
        "stage": {"kind": "category", "levels": ["I", 2, "<b>\"é\"</b> & 'x', {y}"], "nullable": True},
        "diagnosed": {"kind": "date", "low": "2010-01-01", "high": "2019-12-31", "nullable": True},
        "seen": {"kind": "date", "low": "1899-12-31", "high": "2100-01-01", "nullable": True},
        "dead": {"kind": "flag", "nullable": True},
        "died_on": {"kind": "date", "low": "2020-01-01", "high": "2024-12-31", "nullable": True},
        "site": {"kind": "category", "levels": ["a", "b"]},
    },
    "visits": {
        "key": "hour", "grid": {"start": 0, "stop": 24, "step": 6, "unit": "h"},
        "columns": {
            "hr": {"kind": "integer", "low": 20, "high": 250, "unit": "/min", "code": "LOINC 8867-4", "nullable": True},
            "rhythm": {"kind": "category", "levels": ["sinus", "af"], "nullable": True},
            "awake": {"kind": "flag", "nullable": True},
            "pressor": {"kind": "flag", "nullable": True},
            "drawn": {"kind": "date", "low": "2020-01-01", "high": "2020-02-01", "nullable": True},
        },
    },
}  # fmt: skip
MIXED_CONCEPTS = {
    "reference": "2020-06-30", "omop": {"year_of_birth": 1950, "type": 32880},
    "visits": {"class": "IMP", "omop": 9201},
    "columns": {
        "sex": {"as": "gender", "levels": {"f": "female", "m": "male", "x": None}}, "age": "age",
        "bmi": {"as": "measurement", "omop": 3038553, "unit_omop": 9531, "category": "vital-signs", "display": "Body mass index"},
        "crp": "measurement", "kids": "observation", "cells": "observation",
        "smoker": {"as": "observation", "code": "SNOMED 77176002", "on": "seen"}, "diabetes": {"as": "condition", "omop": 201826},
        "cancer": {"as": "condition", "system": "ICD-10", "levels": {"none": None}, "on": "diagnosed"},
        "drug": {"as": "medication", "levels": {
            "aspirin": {"code": "ATC B01AC06", "display": "acetylsalicylic acid", "omop": 1112807}, "statin": "ATC C10AA",
            "nothing": None}},
        "stage": {"as": "observation", "code": "SNOMED 385356007", "levels": {"I": {"code": "https://example.org/stages|1", "omop": 7}}},
        "diagnosed": {"as": "condition", "text": "the diagnosis"}, "seen": "observation",
        "dead": {"as": "deceased", "on": "died_on"}, "died_on": None, "site": None,
        "hr": {"as": "measurement", "omop": 3027018}, "rhythm": {"as": "condition", "levels": {"sinus": None, "af": "SNOMED 49436004"}},
        "awake": {"as": "observation", "on": "drawn"}, "drawn": "observation", "pressor": {"as": "medication", "code": "ATC C01CA"},
    },
}  # fmt: skip
EVENTS = {
    "name": "survival", "patient": "id", "population": 1000,
    "table": {
        "gender": {"kind": "category", "levels": ["male", "female"], "nullable": True},
        "born": {"kind": "date", "low": "1920-01-01", "high": "1999-12-31"},
        "days": {"kind": "integer", "low": 0, "high": 2000, "unit": "d"}, "died": {"kind": "flag"},
        "cause": {"kind": "category", "levels": ["heart", "cancer"], "nullable": True},
    },
    "events": {"time": "days", "event": "died"},
}  # fmt: skip
EVENTS_CONCEPTS = {
    "reference": "2015-01-01",
    "columns": {
        "gender": "gender", "born": "birth", "days": "observation", "died": "deceased",
        "cause": {"as": "condition", "after": "days", "levels": {"heart": "ICD-10 I25.9", "cancer": "ICD-10 C80"}},
    },
}  # fmt: skip
STAYS = {
    "name": "stays", "patient": "id", "population": 1000,
    "table": {
        "admitted": {"kind": "date", "origin": True}, "left": {"kind": "date", "after": "admitted", "within": 365},
        "age": {"kind": "number", "low": 0, "high": 240, "unit": "months", "step": 1},
    },
    "visits": {
        "key": "seen_on", "max_visits": 3,
        "columns": {
            "seen_on": {"kind": "date", "after": "admitted", "within": 365},
            "crp": {"kind": "number", "low": 0, "high": 500, "decimals": 1, "unit": "mg/L"},
        },
    },
}  # fmt: skip
SPRINT = {**SPRINT_SCHEMA, "rules": []}
CASES = {
    "mixed": (MIXED, MIXED_CONCEPTS), "events": (EVENTS, EVENTS_CONCEPTS),
    "sprint": (SPRINT, {
        "reference": "2012-03-01", "omop": {"year_of_birth": 1947},
        "visits": {"days": {slot: 30 * at for at, slot in enumerate(SPRINT["visits"]["grid"])}},
        "columns": {"arm": "observation", "sbp": "measurement", "dbp": "measurement", "drugs": "observation"},
    }),
    "stays": (STAYS, {
        "reference": "2018-05-06", "columns": {"age": "age", "left": "observation", "crp": "measurement", "admitted": None},
    }),
}  # fmt: skip


def bound(case):
    """The mapping of a case, read."""
    schema, concepts = CASES[case]
    return Concepts.from_dict(concepts, Schema.from_dict(schema))


def drafted(schema):
    """The draft of a schema, read, with a year of birth for everybody."""
    return replace(Concepts.from_dict(structure_of(draft_concepts(schema)), schema), year_of_birth=1950)


def generator(schema):
    claim = {name: release_kit.LEDGER.get(name) for name in ("mode", "epsilon", "delta", "unit", "neighbours")}
    return replace(data_kit.generator(Schema.from_dict(schema)), family="copula", privacy=claim)


def released(schema, path):
    """A release whose patients are independent uniform values, a quarter of them missing where they may be."""
    made = release_kit.Fit(generator(schema), release_kit.Bill())
    artifact.release(made, path, None, release_kit.OVERRIDE, created=release_kit.DAY)
    return path


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.stdout, done.stderr, done.exception)
    return done


# FHIR


def read_bundles(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def resources(bundle):
    return [entry["resource"] for entry in bundle["entry"]]


def judge_fhir(found):
    """R4B as pydantic models with their code lists, and R4 itself; both refuse unknown elements and wrong types."""
    model = get_fhir_model_class(found["resourceType"]).model_validate(found)
    judge_codes(model)
    fhirelementfactory.FHIRElementFactory.instantiate(found["resourceType"], found)


def judge_codes(model):
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        known = (field.json_schema_extra or {}).get("enum_values")
        if known and isinstance(value, str):
            assert value in known or "+" in known, (name, value)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, BaseModel):
                judge_codes(one)


def judge_bundle(bundle):
    """What no model checks: addresses are those of the resources, references lead to one of them, all are marked."""
    judge_fhir(bundle)
    found = resources(bundle)
    names = [f"{one['resourceType']}/{one['id']}" for one in found]
    assert len(set(names)) == len(names)
    assert [entry["fullUrl"] for entry in bundle["entry"]] == [f"https://wardgan.invalid/fhir/{name}" for name in names]
    assert set(re.findall(r'"reference": "([^"]*)"', json.dumps(found))) <= set(names)
    assert names[0].startswith("Patient/")
    for one in [bundle, *found]:
        assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", one["id"])
        tags = {tag["system"]: tag["code"] for tag in one["meta"]["tag"]}
        assert tags["http://terminology.hl7.org/CodeSystem/v3-ActReason"] == "HTEST"
        assert tags["urn:wardgan:release"].startswith("sha256:")
        if one["resourceType"] not in ("Patient", "Bundle"):
            assert one["subject"] == {"reference": names[0]}


def fhir_cells(bundles, concepts):
    """Gives {(patient, column, slot): value} of Observations, as the FHIR files say it."""
    texts = {
        mapped.concept.text: mapped for mapped in concepts.columns if mapped.kind in ("observation", "measurement")
    }
    found = {}
    for bundle in bundles:
        patient, *others = resources(bundle)
        number = int(patient["identifier"][0]["value"])
        visits = {
            f"Encounter/{one['id']}": one["type"][0]["text"] for one in others if one["resourceType"] == "Encounter"
        }
        for one in others:
            if one["resourceType"] == "Observation":
                mapped = texts[one["code"]["text"]]
                slot = visits[one["encounter"]["reference"]] if mapped.visit else None
                assert (number, mapped.name, slot) not in found
                found[number, mapped.name, slot] = fhir_value(one)
    return found


def fhir_value(one):
    (value,) = [value for key, value in one.items() if key.startswith("value")]
    if isinstance(value, dict) and "text" in value:
        return value["text"]
    if isinstance(value, dict):
        return value["value"]
    return value


def cells(cohort, concepts, kinds=("observation", "measurement")):
    """The same from the table, as it is read by people; levels that mean nothing are not there."""
    wide, found = cohort.wide(named=False), {}
    slots = cohort.schema.visits.slots if cohort.schema.visits else ()
    for mapped in concepts.columns:
        if mapped.kind not in kinds:
            continue
        places = [(slot, f"{mapped.name}@{slot}") for slot in slots] if mapped.visit else [(None, mapped.name)]
        nothing = {str(level) for level, one in zip(mapped.column.levels, mapped.levels, strict=False) if one is None}
        texts = {
            str(level): one.text
            for level, one in zip(mapped.column.levels, mapped.levels, strict=False)
            if hasattr(one, "text")
        }
        for slot, name in places:
            for number, value in zip(cohort.patients.tolist(), wide[name], strict=True):
                if not pd.isna(value) and str(value) not in nothing:
                    moved = mapped.name in origins(cohort.schema.columns)
                    found[number, mapped.name, slot] = plain(
                        value, mapped.column, texts, concepts.reference if moved else None
                    )
    return found


def plain(value, column, texts, origin):
    if column.kind == "date":
        day = np.datetime64(value, "D")
        return str(day if origin is None else day - np.datetime64("2000-01-01") + np.datetime64(origin))
    if column.kind == "flag":
        return bool(value)
    if column.kind == "category":
        return texts.get(str(value), str(value))
    return float(value)


# OMOP


def read_omop(folder):
    """Gives each table as a list of rows, texts as they stand in the file."""
    found = {}
    for path in sorted(Path(folder).iterdir()):
        with path.open(encoding="utf-8", newline="") as file:
            found[path.stem] = list(csv.DictReader(file))
    return found


@cache
def fields():
    """The fields of the OMOP CDM 5.4, as a plain table: (table, field) -> (needed, type)."""
    with (Path(__file__).parent / "omop_cdm_5_4.csv").open(encoding="utf-8", newline="") as file:
        return {(row["table"], row["field"]): (row["needed"] == "yes", row["type"]) for row in csv.DictReader(file)}


def fits(text, kind):
    if kind == "integer":
        return re.fullmatch(r"\d+", text) is not None and int(text) < 2**31
    if kind == "float":
        return np.isfinite(float(text))
    if kind == "date":
        return date.fromisoformat(text) is not None and len(text) == 10
    if kind == "datetime":
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S") is not None
    return len(text) <= int(re.search(r"\d+|$", kind).group() or 10**9)


def judge_omop(folder):
    """Judges the files by the plain table: header, types, what is needed, ids, and what they lead to."""
    declared, found = fields(), read_omop(folder)
    for name, rows in found.items():
        mine = {field: rule for (table, field), rule in declared.items() if table == name}
        with (Path(folder) / f"{name}.csv").open(encoding="utf-8") as file:
            assert next(csv.reader(file)) == list(mine)
        for row in rows:
            for field, (needed, kind) in mine.items():
                assert (row[field] != "") or not needed, (name, field)
                assert row[field] == "" or fits(row[field], kind), (name, field, row[field])
        ids = [row[next(iter(mine))] for row in rows]
        assert len(set(ids)) == len(ids), name
    persons, visits = (
        {row[f"{name}_id"]: row for row in found[table]}
        for name, table in (("person", "person"), ("visit_occurrence", "visit_occurrence"))
    )
    periods = {row["person_id"]: row for row in found["observation_period"]}
    assert set(periods) == set(persons)
    for name, rows in found.items():
        for row in rows if name != "cdm_source" else ():
            assert row["person_id"] in persons
            day = next(
                (
                    row[field]
                    for field in row
                    if field.endswith(("_start_date", "measurement_date", "observation_date", "death_date"))
                ),
                None,
            )
            period = periods[row["person_id"]]
            assert (
                day is None or period["observation_period_start_date"] <= day <= period["observation_period_end_date"]
            ), (name, row)
            visit = row.get("visit_occurrence_id")
            assert not visit or visits[visit]["person_id"] == row["person_id"]
    return found


def omop_cells(found, concepts):
    """Gives {(patient, column, slot): value} of observations and measurements, as the OMOP files say it."""
    slots = {row["visit_occurrence_id"]: row["visit_source_value"] for row in found["visit_occurrence"]}
    sources = {
        mapped.concept.source[:50]: mapped
        for mapped in concepts.columns
        if mapped.kind in ("observation", "measurement")
    }
    made = {}
    for table in ("measurement", "observation"):
        for row in found[table]:
            mapped = sources[row[f"{table}_source_value"]]
            slot = slots[row["visit_occurrence_id"]] if mapped.visit else None
            key = (int(row["person_id"]), mapped.name, slot)
            assert key not in made
            made[key] = omop_value(row, mapped)
    return made


def omop_value(row, mapped):
    if mapped.column.kind in ("number", "integer"):
        return float(row["value_as_number"])
    text = row["value_source_value"]
    if mapped.column.kind == "flag":
        return {"true": True, "false": False}[text]
    return {one.source[:50]: one.text for one in mapped.levels if hasattr(one, "text")}.get(text, text)


# Small things


def cohort(schema, static):
    """A cohort with the given codes."""
    size = len(next(iter(static.values())))
    codes = {name: np.array(values, dtype=float) for name, values in static.items()}
    return Cohort(schema, codes, {}, None, np.arange(1, size + 1))


def changed(found, **fields):
    return replace(found, **fields)
