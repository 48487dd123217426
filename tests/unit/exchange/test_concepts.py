"""The mapping file: what does not fit is told column by column, with the way out, and nothing is guessed in silence."""

from datetime import date

import pytest

import exchange_kit as kit
import wardgan as wg
from wardgan.errors import UsageError, WardganError
from wardgan.exchange.codes import coding_of, system_of, unit_problem
from wardgan.exchange.concepts import Concepts
from wardgan.exchange.entry import KINDS
from wardgan.schema.schema import Schema

TABLE = {
    "sex": {"kind": "category", "levels": ["f", "m"]}, "age": {"kind": "integer", "low": 0, "high": 99},
    "hours": {"kind": "number", "low": 0, "high": 99, "unit": "h"}, "bmi": {"kind": "number", "low": 10, "high": 70, "unit": "kg/m2"},
    "plain": {"kind": "number", "low": 10, "high": 70}, "odd": {"kind": "number", "low": 0, "high": 300, "unit": "mm Hg", "code": "8480-6"},
    "flag": {"kind": "flag"}, "icd": {"kind": "category", "levels": ["I10", "I21"]}, "day": {"kind": "date", "low": "2010-01-01", "high": "2019-12-31"},
    "may": {"kind": "date", "low": "2010-01-01", "high": "2019-12-31", "nullable": True}, "two": {"kind": "category", "levels": ["a  b", "c"]},
}  # fmt: skip
VISITS = {"key": "visit", "grid": ["A", "B"], "columns": {"sbp": {"kind": "integer", "low": 0, "high": 300, "unit": "mm[Hg]"},
                                                        "sex_again": {"kind": "category", "levels": ["f", "m"]}}}  # fmt: skip
SCHEMA = Schema.from_dict({"name": "demo", "patient": "id", "table": TABLE, "visits": VISITS})
NAMED = {"days": {"A": 0, "B": 30}}


def read(columns, **more):
    return Concepts.from_dict({"reference": "2020-01-01", "visits": NAMED, "columns": columns, **more}, SCHEMA)


@pytest.mark.parametrize(
    ("column", "entry", "why"),
    [
        ("nothing", "observation", "nothing: the schema has no such column; it has sex, age"),
        ("sex", "gendre", "sex: as='gendre' is not one of gender, age"),
        ("sex", ["gender"], "sex: it is a mapping such as"),
        ("sex", {"code": "LOINC 1-8"}, "sex: as=None is not one of"),
        ("sex", "gender", "sex: levels: give for 'f' one of male, female, other, unknown"),
        ("sex", {"as": "gender", "levels": {"f": "female", "m": "man"}}, "sex: levels: give for 'm' one of"),
        ("sex", {"as": "gender", "levels": {"f": "female", "x": "male"}}, "sex: levels: 'x' is no level of the column; it has f, m."),
        ("sex", {"as": "gender", "levels": ["female"]}, "sex: levels: is a mapping"),
        ("sex_again", "gender", "sex_again: as: gender is for a column of the table"),
        ("age", "gender", "age: as: gender is for category or flag, and the column is kind=integer."),
        ("age", {"as": "age", "unit": "h"}, "age: unit='h' is no unit of an age"),
        ("age", {"as": "age", "unit": "kg"}, "age: unit='kg' is no unit of an age"),
        ("age", "measurement", "age: it has no unit; give a UCUM unit"),
        ("plain", "observation", "plain: it has no unit; give a UCUM unit"),
        ("bmi", {"as": "measurement", "unit": "g/m2"}, "bmi: unit='g/m2', but the schema declares 'kg/m2', and values are not converted."),
        ("plain", {"as": "measurement", "unit": "mmHg"}, r"plain: unit='mmHg' is no UCUM unit; UCUM writes mm\[Hg\]."),
        ("plain", {"as": "measurement", "unit": "a b"}, "plain: unit='a b' is no UCUM unit: 1 to 50"),
        ("odd", {"as": "measurement", "code": None}, "odd: of the schema, unit='mm Hg' is no UCUM unit.*Give the unit here"),
        ("odd", {"as": "measurement", "unit": "mm[Hg]"}, "odd: of the schema, code='8480-6' names no code system.*say `code: ~` for none"),
        ("flag", {"as": "observation", "unit": "1"}, "flag: unit is for numbers, and the column is kind=flag."),
        ("flag", {"as": "observation", "code": "38341003"}, "flag: code='38341003' names no code system"),
        ("flag", {"as": "observation", "code": "Ours 17"}, "flag: code='Ours 17': 'Ours' is no code system that is known by name"),
        ("flag", {"as": "observation", "code": "LOINC "}, "flag: code='LOINC ' names no code system"),
        ("flag", {"as": "observation", "code": "https://a.example|a  b"}, "flag: code='a  b' is no code"),
        ("flag", {"as": "observation", "code": 17}, "flag: code=17 is not a text; put it into quotes"),
        ("flag", {"as": "observation", "category": "vitals"}, "flag: category='vitals' is not one of social-history"),
        ("flag", {"as": "observation", "omop": -1}, "flag: omop=-1 is no number of a concept"),
        ("flag", {"as": "observation", "omop": 2**31}, "flag: omop=2147483648 is no number of a concept"),
        ("flag", {"as": "observation", "omop": True}, "flag: omop=True is no number of a concept"),
        ("flag", {"as": "observation", "omp": 1}, "flag: as: observation: unknown key 'omp', which looks like omop"),
        ("flag", {"as": "deceased", "code": "LOINC 1-8"}, "flag: as: deceased: 1 unknown key"),
        ("flag", {"as": "condition", "levels": {True: "LOINC 1-8"}}, "flag: levels, system: a flag is true or false"),
        ("flag", {"as": "condition", "on": "bmi"}, "flag: on='bmi' is no column that says when; dates of the same place: day, may."),
        ("flag", {"as": "condition", "after": "bmi"}, "flag: after='bmi' is no column that says when; numbers of the table in a unit of time: hours."),
        ("flag", {"as": "condition", "after": "hours", "on": "day"}, "flag: on, after: they say the same thing"),
        ("sbp", {"as": "measurement", "after": "hours"}, "sbp: after='hours' is no column that says when"),
        ("flag", {"as": "observation", "text": "a\u202eb"}, "flag: text='a.*b' is not a text"),
        ("icd", "condition", "icd: levels: 'I10' has no code; give one, ~ for nothing, or a system"),
        ("icd", {"as": "condition", "levels": {"I10": "ICD-10 I10"}}, "icd: levels: 'I21' has no code"),
        ("icd", {"as": "condition", "system": "Ours"}, "icd: system='Ours' is no code system that is known by name; write its address"),
        ("icd", {"as": "condition", "system": "ICD-10", "code": "ICD-10 I10"}, "icd: code, display, omop: each level has its own"),
        ("icd", {"as": "condition", "system": "ICD-10", "levels": {"I10": 7}}, "icd: levels: I10: is a code such as"),
        ("icd", {"as": "condition", "system": "ICD-10", "levels": {"I10": "I10"}}, "icd: code='I10' names no code system"),
        ("two", {"as": "condition", "system": "ICD-10"}, "two: code='a  b' is no code"),
        ("day", {"as": "observation", "system": "ICD-10"}, "day: levels, system: a column of kind=date has none"),
        ("icd", {"as": "deceased", "levels": {"I10": True}}, "icd: levels: give for 'I21' true, false, or ~"),
        ("day", "gender", "day: as: gender is for category or flag"),
        ("bmi", "condition", "bmi: as: condition is for flag or category or date"),
    ],
)  # fmt: skip
def test_a_column_that_does_not_fit_is_named_with_the_reason(column, entry, why):
    with pytest.raises(UsageError, match=f"- {why}"):
        read({column: entry})


def test_all_columns_that_do_not_fit_are_told_at_once():
    with pytest.raises(UsageError) as refused:
        read(
            {"sex": "gender", "age": "measurement", "none": None},
            reference="soon",
            visits={"class": "X"},
            omop={"type": -1},
        )
    lines = str(refused.value).splitlines()
    assert lines[0] == "concepts: the mapping file does not fit:"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "- none",
        "- sex",
        "- age",
        "- reference",
        "- visits",
        "- omop",
    ]


def test_a_patient_has_one_gender_one_birth_and_one_end():
    twice = {
        "sex": {"as": "gender", "levels": {"f": "female", "m": "male"}},
        "icd": {"as": "gender", "levels": {"I10": "male", "I21": None}},
    }
    with pytest.raises(UsageError, match="sex, icd: a patient has one gender"):
        read(twice)
    with pytest.raises(UsageError, match="age, day: a patient has one age or birth"):
        read({"age": "age", "day": "birth"})
    with pytest.raises(UsageError, match="flag, may: a patient has one deceased"):
        read({"flag": "deceased", "may": "deceased"})


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            {"reference": None},
            "reference: it is missing; give a day such as 2020-01-31, or a date of the table.*: day.",
        ),
        ({"reference": "may"}, "reference: 'may' may be missing, so it is no day 0"),
        ({"reference": "2020-02-30"}, "reference: '2020-02-30' is no day 0"),
        ({"visits": None}, "visits: say which day each visit is: days: {A: 0, ...}"),
        ({"visits": {"days": {"A": 0}}}, r"visits: days: 'B' has no day \(1 of 2 have none\)"),
        ({"visits": {"days": {"A": 0, "B": 1, "C": 2}}}, "visits: days: 'C' is no visit; there are A, B."),
        ({"visits": {"days": {"A": 0, "B": 1.5}}}, "visits: days: B: '1.5' is not a whole number of days"),
        ({"visits": {"on": "sex_again"}}, "visits: on='sex_again' is no date or number of the visits"),
        ({"visits": {"on": "sbp"}}, r"visits: sbp: unit='mm\[Hg\]' is no unit of time"),
        ({"visits": {**NAMED, "on": "sbp"}}, "stands beside days; keep one"),
        ({"visits": {**NAMED, "class": "OUT"}}, "visits: class='OUT' is not one of AMB"),
        ({"visits": {**NAMED, "omop": -1}}, "visits: omop=-1 is not a whole number"),
        ({"omop": {"year_of_birth": 0}}, "omop: year_of_birth=0 is not a whole number from 1 to 9,999"),
    ],
)
def test_what_is_about_everybody_must_fit_too(more, why):
    with pytest.raises(UsageError, match=f"- {why}|{why}"):
        read({"age": "age"}, **more)


def test_unknown_keys_are_refused():
    with pytest.raises(WardganError, match="unknown key 'column', which looks like columns"):
        Concepts.from_dict({"reference": "2020-01-01", "column": {}}, SCHEMA)
    with pytest.raises(UsageError, match="concepts: it is a mapping"):
        Concepts.from_dict([1], SCHEMA)
    with pytest.raises(UsageError, match="concepts: columns is a mapping"):
        Concepts.from_dict({"columns": [1]}, SCHEMA)
    with pytest.raises(UsageError, match="visits: the schema declares none"):
        Concepts.from_dict({"reference": "2020-01-01", "visits": {}}, Schema.from_dict({"name": "x", "table": TABLE}))


def test_ages_have_a_birthday():
    schema = Schema.from_dict(
        {"name": "x", "patient": "id", "table": {"age": {"kind": "integer", "low": -1, "high": 3000}}}
    )
    with pytest.raises(UsageError, match="age: ages of -1 to 3000 a give no birthday before 2020-01-01"):
        Concepts.from_dict({"reference": "2020-01-01", "columns": {"age": "age"}}, schema)


def test_what_is_not_mentioned_is_named_and_what_is_left_out_is_not():
    found = read({"age": "age", "flag": {"as": "condition", "on": "may"}, "icd": None}, reference="day")
    assert found.reference == "day"
    assert found.left_out == ("icd",)
    lost = "sex, hours, bmi, plain, odd, may, two, sbp, sex_again"  # `day` is day 0, `may` only says when
    assert ", ".join(found.unmapped) == lost


def test_a_schema_with_codes_and_units_needs_one_word():
    (sbp,) = Concepts.from_dict(
        {"reference": date(2020, 1, 1), "visits": {"days": 30}, "columns": {"sbp": "measurement"}},
        Schema.from_dict(kit.SPRINT),
    ).columns
    assert (sbp.concept.coding.system, sbp.concept.coding.code, sbp.unit) == ("http://loinc.org", "8480-6", "mm[Hg]")


def test_days_apart_are_counted_from_day_0():
    found = Concepts.from_dict({"reference": "2020-01-01", "visits": {"days": 30}}, Schema.from_dict(kit.SPRINT))
    assert [second / 86_400 for second in found.meetings.seconds] == [30 * at for at in range(12)]


def test_yaml_words_are_the_levels_that_they_stand_for(tmp_path):
    schema = Schema.from_dict(
        {"name": "x", "table": {"c": {"kind": "category", "levels": ["true", 2]}, "d": {"kind": "flag"}}}
    )
    (tmp_path / "c.yaml").write_text(
        "reference: 2020-01-01\ncolumns:\n  c: {as: observation, levels: {true: LOINC 1-8, 2: {text: two}}}\n"
        "  d: {as: gender, levels: {true: female, false: male}}\n"
    )
    c, d = Concepts.load(tmp_path / "c.yaml", schema).columns
    assert [level.source for level in c.levels] == ["LOINC 1-8", "two"]
    assert d.levels == ("male", "female")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "is not YAML, line 1, column 5"),
        ("a: 1\na: 2", "a key is there twice"),
        ("\x00", "is not YAML"),
        ("- 1", "it is a mapping"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, why):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(WardganError, match=why):
        Concepts.load(tmp_path / "c.yaml", SCHEMA)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        Concepts.load(tmp_path / "c.yaml", SCHEMA)
    (tmp_path / "c.yaml").write_bytes(b" " * (5 << 20))
    with pytest.raises(UsageError, match="is it the right file"):
        Concepts.load(tmp_path / "c.yaml", SCHEMA)


def test_images_have_no_mapping():
    schema = Schema.from_dict({"name": "x", "table": {"c": {"kind": "flag"}}, "images": {"size": [32, 32]}})
    with pytest.raises(
        UsageError, match="declares images, and FHIR and OMOP files are for tables and visits; write them as DICOM"
    ):
        Concepts.from_dict({"reference": "2020-01-01"}, schema)


@pytest.mark.parametrize(
    ("text", "system", "code"),
    [
        ("LOINC 8480-6", "http://loinc.org", "8480-6"), ("loinc:8480-6", "http://loinc.org", "8480-6"),
        ("SNOMED CT 38341003", "http://snomed.info/sct", "38341003"), ("ICD-10-GM I21.0", "http://fhir.de/CodeSystem/bfarm/icd-10-gm", "I21.0"),
        ("LOINC|8480-6", "http://loinc.org", "8480-6"), ("http://a.example/b|c d", "http://a.example/b", "c d"),
        ("urn:oid:1.2.3|x", "urn:oid:1.2.3", "x"),
    ],
)  # fmt: skip
def test_codes_are_read_as_people_write_them(text, system, code):
    found = coding_of(text)
    assert (found.system, found.code) == (system, code)


@pytest.mark.parametrize(
    "unit", ["mm[Hg]", "kg/m2", "1", "%", "/min", "10*9/L", "{score}", "Cel", "umol/L", "[IU]/L", "mL/min/{1.73_m2}"]
)
def test_units_of_ucum_pass(unit):
    assert unit_problem(unit) is None


@pytest.mark.parametrize("unit", ["mm Hg", "µmol/L", "", "days", "mm[Hg", "x" * 51, "IU/L"])
def test_other_units_do_not(unit):
    assert unit_problem(unit) is not None


def test_every_kind_is_tried_here():
    tried = {one.kind for case in kit.CASES for one in kit.bound(case).columns}
    assert tried == set(KINDS)


LINK, CALL = '=HYPERLINK("http://example.org")', "=cmd|' /C calc'!A0"
LABS = {"name": "labs", "patient": "id", "population": 1000, "table": {
    "crp": {"kind": "number", "low": 0, "high": 500, "step": 0.5, "unit": "mg/L"},
    "arm": {"kind": "category", "levels": ["A", "B"]}}}  # fmt: skip
HOSTILE = {
    "text": {"arm": {"as": "observation", "text": CALL}},
    "code": {"crp": {"as": "measurement", "code": "=LOINC|cmd!A1"}},
    "code behind": {"crp": {"as": "measurement", "code": "LOINC|=cmd!A1"}},
    "display": {"crp": {"as": "measurement", "code": "LOINC 8480-6", "display": LINK}},
    "unit": {"crp": {"as": "measurement", "unit": "=f(1)"}},
    "text of a level": {"arm": {"as": "observation", "levels": {"A": {"text": LINK}}}},
    "code of a level": {"arm": {"as": "condition", "levels": {"A": "@LOINC|cmd!A1", "B": None}}},
    "system": {"arm": {"as": "condition", "system": "=LOINC|cmd!"}},
}


@pytest.mark.parametrize("columns", HOSTILE.values(), ids=HOSTILE)
def test_no_mapping_file_brings_a_formula(columns, tmp_path):
    """Neither into CSV files for OMOP, nor into texts that people paste from FHIR files."""
    kit.released(LABS, tmp_path / "labs.hgan")
    mapping = {"reference": "2020-01-01", "omop": {"year_of_birth": 1950}, "columns": columns}
    for form, output in (("omop", "omop"), ("fhir", "p.ndjson")):
        with pytest.raises(UsageError, match=r"as a formula by a spreadsheet|is a formula for spreadsheets"):
            wg.export(tmp_path / "labs.hgan", 3, tmp_path / output, mapping, form=form, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["labs.hgan"]


@pytest.mark.parametrize(
    ("name", "changed"),
    [("crp", {"unit": LINK}), ("crp", {"unit": "mg/L", "code": "=LOINC|cmd!A1"}), ("arm", {"levels": ["A", CALL]})],
)
def test_no_schema_brings_a_formula(name, changed):
    schema = Schema.from_dict({**LABS, "table": {**LABS["table"], name: {**LABS["table"][name], **changed}}})
    kind = "observation" if name == "arm" else {"as": "measurement", "unit": "mg/L", "code": None}
    with pytest.raises(UsageError, match=f"{name}: of the schema, .* would be run as a formula"):
        Concepts.from_dict({"reference": "2020-01-01", "columns": {name: kind}}, schema)
    assert Concepts.from_dict({"reference": "2020-01-01", "columns": {name: None}}, schema).columns == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("loinc:8480-6", "LOINC 8480-6"), ("LOINC|8480-6", "LOINC 8480-6"), ("snomed ct 38341003", "SNOMED 38341003"),
        ("http://a.example/b|c d", "http://a.example/b|c d"),
    ],
)  # fmt: skip
def test_a_code_is_called_the_same_however_it_is_written(text, name):
    assert coding_of(text).name == name


def test_levels_with_a_system_are_called_by_its_name():
    schema = Schema.from_dict({**LABS, "table": {"icd": {"kind": "category", "levels": ["I10", "I21"]}}})
    found = Concepts.from_dict(
        {"reference": "2020-01-01", "columns": {"icd": {"as": "condition", "system": "icd 10"}}}, schema
    )
    assert [level.source for level in found.columns[0].levels] == ["ICD-10 I10", "ICD-10 I21"]


@pytest.mark.parametrize(
    "name", ["=LOINC", "@LOINC", "+loinc", "-ICD-10", "LOINC(", "javascript:alert(1)", "file:///etc", "data:x"]
)
def test_what_only_looks_like_a_code_system_is_none(name):
    assert system_of(name) is None
    assert system_of("HTTPS://example.org/codes") == "HTTPS://example.org/codes"
    assert system_of("urn:oid:1.2.3") == "urn:oid:1.2.3"


def test_a_few_lines_of_aliases_are_refused_at_once(tmp_path):
    lines = ["- &a0 [x, x]", *(f"- &a{at} [*a{at - 1}, *a{at - 1}]" for at in range(1, 12))]
    (tmp_path / "c.yaml").write_text("columns:\n  age:\n    as:\n" + "".join(f"      {line}\n" for line in lines))
    with pytest.raises(
        WardganError, match=r"line 5 has an alias \(\* and a name\), which is not allowed; write the value"
    ):
        Concepts.load(tmp_path / "c.yaml", SCHEMA)
