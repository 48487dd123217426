from __future__ import annotations

import traceback

import pytest

from wardgan.errors import OutputError, SchemaError
from wardgan.models.planning import plan
from wardgan.privacy.events import Budget
from wardgan.schema.schema import Schema
from wardgan.schema.texts import travel_problem
from wardgan.schema.yaml_text import structure_of, yaml_of

FULL = {
    "name": "demo",
    "patient": "id",
    "population": 6500,
    "table": {
        "arm": {"kind": "category", "levels": ["standard", "intensive"], "label": True},
        "sex": {"kind": "flag", "label": True},
        "age": {"kind": "integer", "low": 18, "high": 110},
        "died": {"kind": "flag"},
        "years": {"kind": "number", "low": 0, "high": 16, "step": 0.01},
    },
    "visits": {
        "key": "visit",
        "grid": ["RZ", "1M"],
        "columns": {
            "sbp": {"kind": "integer", "low": 50, "high": 250},
            "dbp": {"kind": "integer", "low": 20, "high": 160},
        },
    },
    "events": {"time": "years", "event": "died"},
    "rules": ["dbp < sbp", "age > 20 or died == 0"],
    "terms": {"licence": "CC-BY-4.0", "use": ["DUO:0000007"], "until": "2030-01-01", "fee": 0.5, "open": None},
    "confirm": ["table.age.low"],
}


def changed(**more):
    return {**FULL, **more}


def table(**more):
    return changed(table={**FULL["table"], **more})


def visits(**more):
    return changed(visits={**FULL["visits"], **more})


def test_a_schema_is_written_as_it_was_read(tmp_path):
    schema = Schema.from_dict(FULL)
    assert schema.to_dict() == FULL
    schema.save(tmp_path / "s.yaml")
    schema.save(tmp_path / "s.yaml")  # saving again replaces the file
    assert Schema.load(tmp_path / "s.yaml") == schema
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + schema.to_yaml().encode())
    assert Schema.load(str(tmp_path / "bom.yaml")) == schema


def test_a_folder_that_is_not_there_is_an_error_for_people(tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        Schema.from_dict(FULL).save(tmp_path / "no" / "s.yaml")


def test_classes_count_through_all_labels():
    schema = Schema.from_dict(changed(events={}))
    assert schema.classes == 4
    assert [schema.class_name(at) for at in range(4)] == [
        "arm=standard, sex=false",
        "arm=standard, sex=true",
        "arm=intensive, sex=false",
        "arm=intensive, sex=true",
    ]
    assert schema.class_levels(2) == {"arm": "intensive", "sex": "false"}
    assert Schema.from_dict({"name": "x", "table": {"a": {"kind": "flag"}}}).class_name(0) == "all patients"


def test_the_event_of_a_pair_is_a_label_without_being_written_as_one():
    schema = Schema.from_dict(FULL)
    assert [column.name for column in schema.labels] == ["arm", "sex", "died"]
    assert (schema.classes, schema.class_name(5)) == (8, "arm=intensive, sex=false, died=true")
    assert schema.to_dict() == FULL
    assert "label" not in schema.to_dict()["table"]["died"]
    said = Schema.from_dict(table(died={"kind": "flag", "label": True}))
    assert said.labels[2].label
    assert said.to_dict()["table"]["died"] == {"kind": "flag", "label": True}
    assert (said.classes, said.fingerprint() == schema.fingerprint()) == (8, False)


def test_columns_are_found_and_replaced():
    schema = Schema.from_dict(FULL)
    assert [column.name for column in schema.columns] == ["arm", "sex", "age", "died", "years", "sbp", "dbp"]
    wider = schema.replace_columns({n: schema.column(n).with_bounds(10, 300) for n in ("age", "sbp")})
    assert (wider.column("age").high, wider.column("sbp").high, wider.column("dbp").high) == (300, 300, 160)
    with pytest.raises(SchemaError, match="'weight' is not in the schema"):
        schema.column("weight")


def test_the_fingerprint_of_a_schema_never_changes():
    """It stands in files that were released."""
    golden = "sha256:1f6233ef0e5e4c736cf3ae1811df7626a41b320dce4ea5e6366c27073a4493f0"
    assert Schema.from_dict(FULL).fingerprint() == golden
    dates = {"came": {"kind": "date", "origin": True}, "left": {"kind": "date", "after": "came", "within": 9}}
    five = {"kind": "integer", "low": 5, "high": 5}
    newer = Schema.from_dict({"name": "demo", "table": {**dates, "five": five}, "rules": ["left - came < 9"]})
    assert newer.fingerprint() == "sha256:73cfd4d820873818407e150826668e46f00e83eac425dcf29b1d3a226f0a8515"


def test_the_fingerprint_follows_what_is_declared():
    same, other = Schema.from_dict(changed()), Schema.from_dict(changed(population=6400))
    assert same.fingerprint() == Schema.from_dict(FULL).fingerprint() != other.fingerprint()
    assert same.fingerprint().startswith("sha256:")


def test_the_fingerprint_of_a_schema_without_groups_is_what_it_was():
    """Files that exist must keep theirs: it is in their cards."""
    table = {"age": {"kind": "integer", "low": 0, "high": 9}, "x": {"kind": "category", "levels": ["a", "b"]}}
    known = "sha256:d94a5539dea70b08e9191718b4c84bb0652c77d7c2579a3071e0eb6ac1085ecb"
    assert Schema.from_dict({"name": "demo", "table": table}).fingerprint() == known


def test_the_order_of_groups_is_the_order_of_levels_and_counts():
    def mark(groups):
        return Schema.from_dict({"name": "d", "table": {"x": {"kind": "category", "groups": groups}}}).fingerprint()

    one, two = {"a": ["p", "q"], "b": ["r"]}, {"b": ["r"], "a": ["p", "q"]}
    assert mark(one) == mark(dict(one)) != mark(two)
    assert mark(one) != mark({"a": ["p"], "b": ["q", "r"]})


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        (None, "is a mapping"),
        ([], "is a mapping"),
        ({"name": "x"}, "has no column"),
        (changed(name=""), "name=''"),
        (changed(name=3), "name=3"),
        (changed(images={}), "images"),
        (changed(color="red"), "schema: 1 unknown key; known are name, patient"),
        (changed(pateint="id"), "unknown key 'pateint', which looks like patient"),
        (changed(**{"Ann Smith;HIV": 1, "name;age": 2}), "schema: 2 unknown keys; known are"),
        (changed(table=[]), "table: is a mapping"),
        (changed(rules="a < b"), "rules: is a list"),
        (changed(rules=["arm < sbp"]), "a category cannot be compared with a number"),
        (changed(rules=["weight < sbp"]), "which is no column of the schema"),
        (changed(rules=["sbp < dbp - 110"]), "can never hold, because sbp is 50 to 250; dbp is 20 to 160"),
        (changed(population=0), "population=0"),
        (changed(population=True), "population=True"),
        (changed(population=6.5), "population=6.5"),
        (changed(patient=None), "visits need a column that names the patient"),
        (changed(patient=""), "patient=''"),
        (changed(patient="age"), "age: the column is the key"),
        (changed(patient="visit"), "names the patient, so it cannot tell visits apart"),
        (changed(events={"time": "years"}), "the two keys time and event"),
        (changed(events={"time": "years", "event": "dead"}), "'dead' is not in the schema"),
        (
            changed(events={"time": "years", "event": "died", "Ann Smith": "HIV"}),
            "events: 1 unknown key; known are time, e",
        ),
        (table(years={"kind": "number", "low": 3, "high": 3}), "time='years' has one possible value"),
        (changed(events={"time": ["years"], "event": "died"}), "events: time is not the name of a column"),
        (changed(events={"time": "years", "event": True}), "events: event is not the name of a column"),
        (changed(events={"time": "years", "event": None}), "events: event is not the name of a column"),
        (changed(events={"time": "arm", "event": "died"}), "time='arm' has kind=category; name a number"),
        (changed(events={"time": "years", "event": "age"}), "event='age' has kind=integer; name a flag"),
        (changed(events={"time": "years", "event": "years"}), "event='years' has kind=number; name a flag"),
        (changed(events={"time": "sbp", "event": "died"}), "time='sbp' is measured at visits; name a column of the t"),
        (changed(events={"time": "years", "event": "dbp"}), "event='dbp' is measured at visits"),
        (table(died={"kind": "flag", "nullable": True}), "declare a level for patients whose end is not known"),
        (
            table(died={"kind": "category", "levels": ["no"]}, age={"kind": "flag"}) | {"rules": []},
            "event='died' needs two declared levels",
        ),
        (table(died={"kind": "category", "learn": True}) | {"rules": []}, "event='died' needs two declared levels"),
        (table(arm={"kind": "category", "levels": ["a"], "label": True}), "a label with one level tells nobody apart"),
        (table(visit={"kind": "flag"}), "visit: the column is the key"),
        (table(sbp={"kind": "flag"}), "sbp: the column is declared twice"),
        (table(**{"a@b": {"kind": "flag"}}), "contain '@'"),
        (table(**{" a": {"kind": "flag"}}), "have spaces around it"),
        (table(**{"": {"kind": "flag"}}), "must not be empty"),
        (changed(table={False: {"kind": "flag"}}), "the column name False is not text"),
        (changed(table={1: {"kind": "flag"}, "1": {"kind": "flag"}}), "1: the column is declared twice"),
        (table(site={"kind": "category", "levels": list(range(9)), "label": True}), "72 classes; 64 are allowed"),
        (visits(columns={"id": {"kind": "flag"}}), "id: the column is the key"),
        (visits(columns={"visit": {"kind": "integer", "low": 0, "high": 9}}, key="visit"), "visit"),
        (changed(terms={"until": __import__("datetime").date(2030, 1, 1)}), "put it into quotes"),
        (changed(terms={"fee": float("nan")}), "cannot be written as JSON"),
        (changed(terms={"x": [[[[[[[[1]]]]]]]]}), "nested more than"),
    ],
)
def test_contradictions_are_refused(found, rule):
    with pytest.raises(SchemaError) as error:
        Schema.from_dict(found)
    assert rule in str(error.value)


def test_ragged_visits_may_model_their_key_and_only_they():
    ragged = {"key": "year", "max_visits": 3, "columns": {"year": {"kind": "integer", "low": 0, "high": 9}}}
    assert Schema.from_dict(changed(visits=ragged, rules=[])).visits.ragged
    with pytest.raises(SchemaError, match="year: the column is the key"):
        Schema.from_dict(table(year={"kind": "flag"}) | {"visits": {**FULL["visits"], "key": "year"}})
    without = {**ragged, "columns": {"sbp": {"kind": "flag"}}}
    with pytest.raises(SchemaError, match="year: the column is the key"):
        Schema.from_dict(table(year={"kind": "flag"}) | {"visits": without, "rules": []})


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("name: a\nname: b\ntable: {x: {kind: flag}}", "a key is there twice in one mapping, in lines 1 and 2"),
        ("name: a\ntable: {x: {kind: flag, kind: flag}}", "a key is there twice in one mapping, in lines 2 and 2"),
        ("name: a\ntable: {x: {kind: flag}", "is not YAML"),
        ("name: a\ntable: {x: {kind: date, low: 2020-02-30, high: 2021-01-01}}", "is not YAML"),
        ("[" * 5000, "is not YAML"),
        ("? {a: b}\n: c", "is not YAML"),
        ("name: !!python/object/apply:os.getcwd []", "is not YAML"),
        ("name: a\ntable: {x: {<<: {kind: flag}}}", "'<<' is not allowed"),
        ("name: a\nbase: &b {kind: flag}\ntable: {x: *b}", "line 3 has an alias (* and a name), which is not allowed"),
        ("name: \x00", "is not YAML"),
        ("", "is a mapping"),
        ("name: a\ntable: {no: {kind: flag}}", "the column name False is not text"),
        ("name: &a [*a]", "line 1 has an alias"),
        (f"name: 0x{'f' * 5000}\ntable: {{x: {{kind: flag}}}}", "is not YAML"),
    ],
)
def test_files_that_are_no_schema_are_refused(tmp_path, text, rule):
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SchemaError) as error:
        Schema.load(path)
    assert rule in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "Ann Smith;HIV\n64: x: y\n",
        "Ann Smith;HIV: 3\n",
        "Ann Smith: HIV\nAnn Smith: HIV\n",
        '{"name": "Ann Smith", "patient": "HIV", "population": "HIV"}',
        "name: {Ann Smith: HIV}\npatient: [HIV]",
        "patient,diagnosis\nAnn Smith,HIV\n",
        "a: 'Ann Smith;HIV\n",
        "*HIV",
        "!Ann_Smith HIV",
        "- Ann Smith\n- HIV",
        "Ann Smith: \tHIV: [",
        "Ann Smith HIV \x07",
        "Ann Smith: 2020-02-30",
    ],
)
def test_a_text_that_is_no_schema_is_never_repeated(tmp_path, text):
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SchemaError) as error:
        Schema.load(path)
    shown = "".join(traceback.format_exception(error.value))
    assert "HIV" not in shown
    assert "Smith" not in shown


def test_a_fault_of_yaml_has_a_line(tmp_path):
    (tmp_path / "s.yaml").write_text("name: a\ntable: {x: }}\n", encoding="utf-8")
    with pytest.raises(SchemaError, match=r"is not YAML, line 2, column 13"):
        Schema.load(tmp_path / "s.yaml")


@pytest.mark.parametrize("name", ["p.csv", "p.TSV", "p.csv.gz", "p.parquet", "p.arrow", "p.xlsx"])
def test_a_table_is_no_schema_and_is_not_even_opened(tmp_path, name):
    with pytest.raises(SchemaError, match="is a table by its name"):
        Schema.load(tmp_path / name)


@pytest.mark.parametrize("path", [None, 3, b"s.yaml", ["s.yaml"], "a\0b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(SchemaError, match="is not a path"):
        Schema.load(path)
    with pytest.raises(OutputError, match="is not a path"):
        Schema.from_dict(FULL).save(path)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(SchemaError, match="cannot be read"):
        Schema.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: Bär".encode("latin-1"))
    with pytest.raises(SchemaError, match="cannot be read as UTF-8"):
        Schema.load(tmp_path / "latin.yaml")


def test_text_of_any_language_survives(tmp_path):
    schema = Schema.from_dict(
        {"name": "Bär 患者", "table": {"größe": {"kind": "category", "levels": ["groß", "no", "1"]}}}
    )
    schema.save(tmp_path / "s.yaml")
    assert Schema.load(tmp_path / "s.yaml") == schema
    assert "größe" in (tmp_path / "s.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        {"table": {"=f(1)": {"kind": "flag"}}},
        {"table": {"sex": {"kind": "category", "levels": ["a", "@SUM(1)"]}}},
        {"table": {"a\u200bge": {"kind": "flag"}}},
        {"table": {"sex": {"kind": "category", "groups": {"on\u200be": ["a"]}}}},
        {"table": {"sex": {"kind": "category", "groups": {"one": ["a", "=f(1)"]}}}},
        {"table": {"sex": {"kind": "category", "levels": ["a", "b\nc"]}}},
        {"table": {"age": {"kind": "integer", "low": 0, "high": 9, "unit": "a\u202e"}}},
        {"table": {"age": {"kind": "integer", "low": 0, "high": 9, "unit": "=f(1)"}}},
        {"table": {"sex": {"kind": "flag", "code": "=LOINC|cmd!A1"}}},
        {"table": {"sex": {"kind": "category", "groups": {"@f(1)": ["a"]}}}},
        {"name": "a\tb"},
        {"patient": "=f(2)"},
        {"rules": ["sex ==\ttrue"]},
    ],
)
def test_what_could_not_be_released_is_refused_before_anything_is_spent(change):
    found = {"name": "demo", "population": 1000, "table": {"sex": {"kind": "flag"}}}
    assert travel_problem(Schema.from_dict(found)) is None
    wrong = Schema.from_dict({**found, **change})
    with pytest.raises(SchemaError, match="could not be released"):
        plan(wrong, Budget(1.0), family="copula")


def test_units_and_codes_that_only_look_like_formulas_pass():
    units = ("%", "10*3/uL", "mm[Hg]", "-", "+", "{=}", "[IU]/L", "/min", "mL/min/{1.73_m2}", "{(a|b)!}", "=")
    table = {f"c{at}": {"kind": "integer", "low": 0, "high": 9, "unit": unit} for at, unit in enumerate(units)}
    codes = ("LOINC 8480-6", "http://a.example/b|c (d)", "-1", "our own (1)", "@home", "a=b!")
    table |= {f"d{at}": {"kind": "flag", "code": code} for at, code in enumerate(codes)}
    assert travel_problem(Schema.from_dict({"name": "demo", "table": table})) is None


def test_what_is_written_has_no_aliases():
    """Two columns with the same list of levels."""
    levels = ["a", "b"]
    shared = {name: {"kind": "category", "levels": levels} for name in ("x", "y")}
    assert structure_of(yaml_of(shared)) == shared
    assert "*" not in yaml_of(shared)
