"""OMOP CDM 5.4: the files fit the tables that OHDSI declares, and every cell is a row."""

import sqlite3
from collections import Counter
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pytest
import sqlalchemy as sa
from omop_cdm.regular.cdm54 import tables as declared

import exchange_kit as kit
from wardgan.errors import UsageError
from wardgan.exchange.concepts import Concepts
from wardgan.exchange.omop import check_omop, tables
from wardgan.exchange.omop_tables import SCHEMAS, TABLES
from wardgan.exchange.write import Wish
from wardgan.schema.schema import Schema

THEIRS = {model.__tablename__: model.__table__ for model in vars(declared).values() if hasattr(model, "__tablename__")}


def written(case, folder, n=40, cohorts=None, concepts=None):
    concepts = concepts or kit.bound(case)
    cohort = kit.generator(kit.CASES[case][0]).draw(n, seed=3)
    wish = Wish("omop", folder / "omop", concepts, kit.ORIGIN, ("2026-01-31", "2026-02-01"))
    made = wish.write(cohorts(cohort) if cohorts else [cohort], n)
    return cohort, concepts, made, kit.judge_omop(folder / "omop")


def test_the_plain_table_is_what_others_declare():
    mine = kit.fields()
    assert [name for name, _ in dict.fromkeys((table, None) for table, _ in mine)] == list(TABLES)
    for table in TABLES:
        theirs = list(THEIRS[table].columns)
        assert [column.name for column in theirs] == [field for name, field in mine if name == table]
        for column in theirs:
            needed, kind = mine[table, column.name]
            assert needed == (not column.nullable), column
            said = str(column.type).lower()
            assert {"biginteger": "integer", "bigint": "integer", "numeric": "float"}.get(said, said) == kind, column


def test_our_types_are_those_of_the_plain_table():
    kinds = {"integer": "int64", "float": "double", "date": "date32[day]", "datetime": "timestamp[s]"}
    for (table, field), (needed, kind) in kit.fields().items():
        mine = SCHEMAS[table].field(field)
        assert (not mine.nullable, str(mine.type)) == (needed, kinds.get(kind, "string"))


@pytest.mark.parametrize("case", ["mixed", "sprint", "events", "stays"])
def test_the_files_fit_and_each_cell_is_a_row_with_its_value(case, tmp_path):
    cohort, concepts, made, found = written(case, tmp_path)
    assert set(found) == set(TABLES)
    assert made.counts == {name: len(rows) for name, rows in found.items()}
    assert kit.omop_cells(found, concepts) == kit.cells(cohort, concepts)
    assert len(found["visit_occurrence"]) == (0 if cohort.present is None else cohort.present.sum())
    assert [int(row["person_id"]) for row in found["person"]] == cohort.patients.tolist()


def test_a_database_that_others_declare_takes_them(tmp_path):
    _, _, _, found = written("mixed", tmp_path)
    engine = sa.create_engine("sqlite://").execution_options(
        schema_translate_map={"cdm_schema": None, "vocab_schema": None}
    )
    declared.Base.metadata.create_all(engine, tables=[THEIRS[name] for name in TABLES])
    kinds = {
        "integer": int,
        "float": float,
        "date": date.fromisoformat,
        "datetime": lambda text: datetime.strptime(text, "%Y-%m-%d %H:%M:%S"),
    }
    with engine.begin() as connection:
        for name, rows in found.items():
            typed = [
                {
                    field: kinds.get(kit.fields()[name, field][1], str)(text) if text else None
                    for field, text in row.items()
                }
                for row in rows
            ]
            if typed:
                connection.execute(THEIRS[name].insert(), typed)
        beats = connection.execute(
            sa.text("select count(*) from measurement where measurement_concept_id = 3027018")
        ).scalar()
        assert beats == sum(row["measurement_source_value"] == "LOINC 8867-4" for row in found["measurement"]) > 0
    assert sqlite3.sqlite_version


def test_people_conditions_and_drugs_are_those_of_the_table(tmp_path):
    cohort, _, made, found = written("mixed", tmp_path, 60)
    wide = cohort.wide().reset_index(drop=True)
    for at, row in enumerate(found["person"]):
        sex, age = wide.loc[at, "sex"], wide.loc[at, "age"]
        assert int(row["gender_concept_id"]) == {"f": 8532, "m": 8507}.get(sex, 0)
        assert row["gender_source_value"] == (sex if sex == sex else "")
        assert int(row["year_of_birth"]) == (1950 if wide.isna().loc[at, "age"] else 2020 - age)
        assert row["month_of_birth"] == row["day_of_birth"] == ""
    assert f"{wide['age'].isna().sum()} persons born in 1950, for want of an age." in made.notices
    conditions = Counter(row["condition_source_value"] for row in found["condition_occurrence"])
    assert conditions["SNOMED 73211009"] == (wide["diabetes"] == True).sum()  # noqa: E712
    assert (conditions["ICD-10 C50"], conditions["ICD-10 C61"]) == tuple(
        (wide["cancer"] == one).sum() for one in ("C50", "C61")
    )
    assert conditions["the diagnosis"] == wide["diagnosed"].notna().sum()
    drugs = Counter((row["drug_source_value"], row["drug_concept_id"]) for row in found["drug_exposure"])
    assert drugs["ATC B01AC06", "1112807"] == (wide["drug"] == "aspirin").sum()
    assert drugs["ATC C10AA", "0"] == (wide["drug"] == "statin").sum()
    zeros = {name: sum(int(row[f"{short}_concept_id"]) == 0 for row in found[name]) for name, short in
             (("measurement", "measurement"), ("observation", "observation"), ("condition_occurrence", "condition"), ("drug_exposure", "drug"))}  # fmt: skip
    told = [f"{name}: {count:,} rows with concept 0, no matching concept." for name, count in zeros.items()]
    assert set(told) == {one for one in made.notices if "concept 0" in one}
    assert {row["visit_concept_id"] for row in found["visit_occurrence"]} == {"9201"}
    assert {row["unit_concept_id"] for row in found["measurement"] if row["measurement_concept_id"] == "3038553"} == {
        "9531"
    }


def test_deaths_have_a_day(tmp_path):
    cohort, _, made, found = written("mixed", tmp_path, 60)
    wide = cohort.wide().reset_index(drop=True)
    dead = wide[wide["dead"] == True]  # noqa: E712
    days = {row["person_id"]: row["death_date"] for row in found["death"]}
    assert set(days) == set(dead["id"].astype(str))
    ends = {row["person_id"]: row["observation_period_end_date"] for row in found["observation_period"]}
    for row in dead.to_dict("records"):
        known = row["died_on"] == row["died_on"]
        assert days[str(row["id"])] == (str(np.datetime64(row["died_on"], "D")) if known else ends[str(row["id"])])
    assert f"{dead['died_on'].isna().sum()} deaths on the last day of observation, for want of a date." in made.notices


def test_observation_lasts_as_long_as_something_is_known(tmp_path):
    cohort, _, _, found = written("events", tmp_path)
    for row, period, person in zip(
        cohort.wide().to_dict("records"), found["observation_period"], found["person"], strict=True
    ):
        assert period["observation_period_start_date"] == "2015-01-01"
        assert period["observation_period_end_date"] == str(
            np.datetime64("2015-01-01") + np.timedelta64(int(row["days"]), "D")
        )  # dead or not
        born = str(np.datetime64(row["born"], "D"))
        assert (
            person["year_of_birth"],
            f"{int(person['month_of_birth']):02d}",
            f"{int(person['day_of_birth']):02d}",
        ) == tuple(born.split("-"))
    _, _, _, stays = written("stays", tmp_path / "stays") if (tmp_path / "stays").mkdir() is None else None
    assert all(person["month_of_birth"] and not person["day_of_birth"] for person in stays["person"])


def test_times_of_the_day_are_kept(tmp_path):
    _, _, _, found = written("mixed", tmp_path)
    six = [row for row in found["visit_occurrence"] if row["visit_source_value"] == "6h"]
    assert {row["visit_start_datetime"] for row in six} == {"2020-06-30 06:00:00"}
    ids = {row["visit_occurrence_id"] for row in six}
    beats = {row["measurement_datetime"] for row in found["measurement"] if row["visit_occurrence_id"] in ids}
    assert beats == {"2020-06-30 06:00:00"}


def test_a_visit_whose_day_is_not_known_is_on_day_0(tmp_path):
    schema = Schema.from_dict(kit.MIXED)
    found = {**kit.MIXED_CONCEPTS, "visits": {"on": "drawn"}}
    cohort, _, _, rows = written("mixed", tmp_path, concepts=Concepts.from_dict(found, schema))
    days = Counter(row["visit_start_date"] for row in rows["visit_occurrence"])
    lost = (np.isnan(cohort.measured["drawn"]) & cohort.present).sum()
    assert days["2020-06-30"] == lost > 0
    assert sum(count for day, count in days.items() if day < "2020-03") == cohort.present.sum() - lost


def test_the_source_says_that_all_is_synthetic(tmp_path):
    _, _, _, found = written("events", tmp_path)
    (row,) = found["cdm_source"]
    assert row["cdm_source_name"] == "SYNTHETIC survival"
    assert kit.ORIGIN.model in row["source_description"]
    assert "with seed 7. Epsilon: 1." in row["source_description"]
    assert (row["source_release_date"], row["cdm_release_date"]) == ("2026-01-31", "2026-02-01")
    assert (row["cdm_version"], row["cdm_version_concept_id"]) == ("v5.4", "756265")


def test_ids_do_not_hang_on_how_many_are_drawn(tmp_path):
    cohort = kit.generator(kit.MIXED).draw(20, seed=3)
    whole, _ = tables(cohort, kit.bound("mixed"))
    for part in (cohort.take(slice(0, 7)), cohort.take(slice(7, 20))):
        some, _ = tables(part, kit.bound("mixed"))
        for name, table in some.items():
            assert set(map(str, table.to_pylist())) <= set(map(str, whole[name].to_pylist()))


def test_chunks_make_the_same_files(tmp_path):
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    written("mixed", tmp_path / "one")
    written(
        "mixed", tmp_path / "many", cohorts=lambda cohort: (cohort.take(slice(at, at + 7)) for at in range(0, 40, 7))
    )
    for file in (tmp_path / "one" / "omop").iterdir():
        assert file.read_bytes() == (tmp_path / "many" / "omop" / file.name).read_bytes()


def test_nobody_is_a_set_of_empty_tables(tmp_path):
    _, _, made, found = written("mixed", tmp_path, 0)
    assert made.counts == dict.fromkeys(TABLES, 0) | {"cdm_source": 1}
    assert not found["person"]


def test_omop_wants_a_year_of_birth():
    sprint = replace(kit.bound("sprint"), year_of_birth=None)
    with pytest.raises(UsageError, match=r"no column gives an age.*year_of_birth: 1950"):
        check_omop(sprint, 5)
    with pytest.raises(UsageError, match="age may be missing"):
        check_omop(replace(kit.bound("mixed"), year_of_birth=None), 5)
    check_omop(replace(kit.bound("events"), year_of_birth=None), 5)


def test_levels_that_are_the_same_once_they_are_cut_are_refused():
    levels = ["x" * 50 + "a", "x" * 50 + "b"]
    schema = Schema.from_dict({"name": "x", "patient": "id", "table": {"c": {"kind": "category", "levels": levels}}})
    found = {"reference": "2020-01-01", "omop": {"year_of_birth": 1}, "columns": {"c": "observation"}}
    with pytest.raises(UsageError, match="c: two levels have the same first 50 letters"):
        check_omop(Concepts.from_dict(found, schema), 1)
    found["columns"] = {"c": {"as": "observation", "levels": {levels[1]: {"text": "b"}}}}
    check_omop(Concepts.from_dict(found, schema), 1)


def test_ids_end_at_32_bits():
    most = (2**31 - 1) // 24  # 12 visits, two measurements each
    check_omop(kit.bound("sprint"), most)
    with pytest.raises(UsageError, match=f"ask for at most {most:,}"):
        check_omop(kit.bound("sprint"), most + 1)
