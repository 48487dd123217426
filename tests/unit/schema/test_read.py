from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from data_kit import schema
from wardgan.errors import DataError, SchemaError
from wardgan.schema.read import broken, examine, read
from wardgan.schema.schema import Schema

AGE = {"kind": "integer", "low": 0, "high": 110}
SBP = {"kind": "integer", "low": 50, "high": 250}
NAN = np.nan


def refused(source, declared, **more):
    with pytest.raises(DataError) as error:
        read(source, declared, **more)
    assert "Quixote" not in str(error.value)
    return str(error.value)


def rules(source, declared, **more):
    return [(finding.rule, finding.count) for finding in examine(source, declared, **more).findings]


PATIENTS = schema({"age": AGE, "arm": {"kind": "category", "levels": ["a", "b"], "label": True}}, patient="id")
VISITS = schema({"age": AGE}, {"key": "visit", "grid": ["A", "B"], "columns": {"sbp": SBP}})


def test_one_row_per_patient():
    cohort = read(pd.DataFrame({"arm": ["b", "a"], "id": [7, 3], "age": [50, 60], "more": [1, 2]}), PATIENTS)
    assert list(cohort.static) == ["age", "arm"]
    assert_array_equal(cohort.static["age"], [50, 60])
    assert_array_equal(cohort.static["arm"], [1, 0])
    assert (cohort.patients.tolist(), cohort.present, cohort.measured) == ([7, 3], None, {})


def test_rows_without_a_patient_column_are_patients():
    cohort = read(pd.DataFrame({"age": [50, 50]}), schema({"age": AGE}))
    assert cohort.patients.tolist() == [1, 2]


def test_one_row_per_visit():
    long = pd.DataFrame({"id": ["y", "x", "y"], "visit": ["A", "B", "B"], "age": [50, 60, 50], "sbp": [120, 130, 140]})
    cohort = read(long, VISITS)
    assert cohort.patients.tolist() == ["y", "x"]
    assert_array_equal(cohort.static["age"], [50, 60])
    assert_array_equal(cohort.measured["sbp"], [[120, 140], [NAN, 130]])
    assert_array_equal(cohort.present, [[True, True], [False, True]])


def test_a_value_need_not_be_repeated_but_must_be_there():
    long = pd.DataFrame(
        {"id": [1, 1, 2, 2, None], "visit": ["A", "B", "A", "B", "A"], "age": [None, 50, None, None, None], "sbp": 99}
    )
    found = examine(long, VISITS)
    assert [(f.rule, f.count, f.rows) for f in found.findings] == [
        ("every row names its patient", 1, (5,)),
        ("no cell is missing", 1, (3,)),
    ]
    assert found.bad.tolist() == [False, True]
    assert_array_equal(found.cohort.static["age"], [50, NAN])


@pytest.mark.parametrize(
    "keys", [(["1", "2"], [2, 1]), ([1, 2], ["2 ", "1"]), ([1.0, 2.0], ["2", "1.0"]), ([1, 2], [2.0, 1.0])]
)
def test_two_files_are_joined_by_the_patient(keys):
    table = pd.DataFrame({"id": keys[0], "age": [50, 60]})
    long = pd.DataFrame({"id": keys[1], "visit": ["A", "B"], "sbp": [120, 130]})
    if "1.0" in keys[1]:
        keys[1][1] = "1"
        long["id"] = keys[1]
    cohort = read(table, VISITS, visits=long)
    assert_array_equal(cohort.measured["sbp"], [[NAN, 130], [120, NAN]])


def test_a_visit_of_nobody_is_found_and_a_patient_without_visits_is_none():
    table = pd.DataFrame({"id": [1, 2], "age": [50, 60]})
    long = pd.DataFrame({"id": [1, 9, None], "visit": ["A", "A", "B"], "sbp": [120, 130, 140]})
    assert rules(table, VISITS, visits=long) == [("every visit belongs to a patient of the table", 2)]
    assert examine(table, VISITS, visits=long).cohort.present.sum() == 1


def test_spaces_do_not_make_two_patients_of_one():
    long = pd.DataFrame(
        {"id": ["P1", "P1 ", " P1"], "visit": ["A", "B", "A"], "age": [50, 50, 50], "sbp": [120, 130, 1]}
    )
    found = examine(long, VISITS)
    assert found.cohort.patients.tolist() == ["P1"]
    assert ("a patient has a visit once", 1) in [(f.rule, f.count) for f in found.findings]


@pytest.mark.parametrize(
    "keys", [["7", "7.0", "8"], ["7.0", "7", "8.00"], [7, "7.0", "8"], [7.0, 7, 8], ["7.", " 7.0 ", "8"]]
)
def test_a_point_does_not_make_two_patients_of_one(keys):
    """Otherwise the unit of privacy would be half a patient."""
    frame = pd.DataFrame({"id": keys, "age": [50, 50, 60], "arm": ["a", "a", "b"]})
    found = examine(frame, PATIENTS)
    assert [str(name) for name in found.cohort.patients] == ["7", "8"]
    assert [(f.rule, f.rows) for f in found.findings] == [("one row per patient", (1, 2))]
    long = pd.DataFrame({"id": keys, "visit": ["A", "B", "A"], "age": [50, 50, 60], "sbp": [120, 130, 140]})
    assert_array_equal(examine(long, VISITS).cohort.measured["sbp"], [[120, 130], [140, NAN]])


@pytest.mark.parametrize("keys", [["7", "007"], ["7", "7.5"], ["7.0", "07.0"], ["P7", "P7.0"], ["7", "70"]])
def test_other_keys_stay_apart(keys):
    frame = pd.DataFrame({"id": keys, "age": [50, 60], "arm": ["a", "b"]})
    assert len(read(frame, PATIENTS)) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["132539.0", "007"], ["132539", "007.0"]), (["132539", "007"], ["132539.0", "007"]),
        ([132539, 7], ["132539.0", "7.0"]), ([132539.0, 7.0], ["132539", "7"]), (["132539.0", "7"], [132539, 7]),
    ],
)  # fmt: skip
def test_a_point_does_not_keep_two_files_apart(first, second):
    table = pd.DataFrame({"id": first, "age": [50, 60]})
    long = pd.DataFrame({"id": second, "visit": ["A", "A"], "sbp": [120, 130]})
    assert rules(table, VISITS, visits=long) == []
    assert_array_equal(read(table, VISITS, visits=long).measured["sbp"][:, 0], [120, 130])


def test_007_of_one_file_is_not_7_of_the_other():
    table = pd.DataFrame({"id": ["007"], "age": [50]})
    long = pd.DataFrame({"id": ["7"], "visit": ["A"], "sbp": [120]})
    assert rules(table, VISITS, visits=long) == [("every visit belongs to a patient of the table", 1)]


@pytest.mark.parametrize(
    ("kind", "cells", "phrase"),
    [
        ("number", ["1,5", "2,75", "77"], "It has numbers with decimal commas"),
        ("integer", ["1,500", "2,750,000", "77"], "commas between thousands"),
        ("date", ["31.12.2020", "01.02.2021", "2020-01-01"], "It has dates in another form; write them as in 2020"),
        ("date", ["31/12/20 10:30", "1/2/2021", None], "It has dates in another form"),
        ("date", ["20201231", "2020/1/2", "5-Jan-2020"], "It has dates in another form"),
        ("number", ["old", "1,5", "older"], "Mend the rows, or change the kind in the schema"),
        ("date", ["soon", "1.2.2020", "later"], "Mend the rows, or change the kind in the schema"),
    ],
)
def test_a_form_of_another_country_is_told_and_no_cell(kind, cells, phrase):
    low, high = ("2000-01-01", "2030-12-31") if kind == "date" else (0, 10_000_000)
    declared = schema({"x": {"kind": kind, "low": low, "high": high, "nullable": True}})
    text = refused(pd.DataFrame({"x": cells}), declared)
    assert phrase in text
    assert [cell for cell in cells if cell and cell in text.replace("2020-12-31", "")] == []


@pytest.mark.parametrize("declared", [{}, "schema.yaml", None])
def test_what_is_no_schema_is_refused(declared):
    with pytest.raises(SchemaError, match=r"is no Schema; use Schema\.load"):
        read(pd.DataFrame({"age": [1]}), declared)


@pytest.mark.parametrize("source", [123, None, b"t.csv", {"age": [1]}])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(DataError, match="neither a path nor a pandas dataframe"):
        read(source, PATIENTS)
    with pytest.raises(DataError, match="neither a path nor a pandas dataframe"):
        read(pd.DataFrame({"id": [1], "age": [50]}), VISITS, visits=123)


def test_what_is_no_delimiter_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("id,age\n", encoding="utf-8")
    with pytest.raises(DataError, match="delimiter=None"):
        read(tmp_path / "t.csv", PATIENTS, delimiter=None)


@pytest.mark.parametrize("holes", [["", "x"], ["NA", "x"], [None, "x"], [" ", "x"], [NAN, 5.0]])
def test_rows_without_a_patient_are_found(holes):
    frame = pd.DataFrame({"id": holes, "age": [1000, 60], "arm": ["z", "a"]})
    found = examine(frame, PATIENTS)
    assert (found.findings[0].rule, found.findings[0].rows) == ("every row names its patient", (1,))
    # The row belongs to nobody, so it makes no patient bad.
    assert found.bad.tolist() == [False]
    assert_array_equal(read(frame, PATIENTS, invalid="drop").static["age"], [60])


def test_a_file_in_which_nobody_has_a_name():
    frame = pd.DataFrame({"id": [None, ""], "age": [50, 60], "arm": ["a", "b"], "visit": ["A", "B"], "sbp": [99, 99]})
    for declared in (PATIENTS, VISITS):
        assert rules(frame, declared)[0] == ("every row names its patient", 2)
        assert "has no patient" in refused(frame, declared)
        assert "has no patient" in refused(frame, declared, invalid="drop")


def test_a_file_without_rows(tmp_path):
    (tmp_path / "t.csv").write_text("id,age,arm,visit,sbp\n")
    for declared in (PATIENTS, VISITS):
        assert refused(tmp_path / "t.csv", declared) == "source: the file has no patient."


def test_repeated_patients_need_visits():
    frame = pd.DataFrame({"id": [1, 1, 2], "age": [50, 50, 60], "arm": ["a", "a", "b"]})
    found = examine(frame, PATIENTS)
    assert [(f.rule, f.count, f.rows) for f in found.findings] == [("one row per patient", 2, (1, 2))]
    assert found.bad.tolist() == [True, False]


def test_a_patient_has_one_value_in_all_rows():
    long = pd.DataFrame({"id": [1, 1, 2], "visit": ["A", "B", "A"], "age": [50, 51, 60], "sbp": [120, 130, 140]})
    found = examine(long, VISITS)
    assert [(f.rule, f.count, f.rows) for f in found.findings] == [("a patient has one value in all rows", 1, (2,))]
    assert found.bad.tolist() == [True, False]
    assert_array_equal(found.cohort.static["age"], [50, 60])


BAD = pd.DataFrame({"id": range(5), "age": [50, 200, "Quixote", None, -1], "arm": ["a", "b", "a", "Quixote", "a"]})


def test_refuse_counts_everything_and_shows_nothing():
    text = refused(BAD, PATIENTS)
    assert text.startswith("4 rules of the schema are broken:\n- age: every cell is a number; broken once (row 3).")
    assert "- age: every cell is within the declared bounds; broken 2 times (row 2, 5)." in text
    assert "- age: no cell is missing; broken once (row 4)." in text
    assert "- arm: the level is not declared; broken once (row 4)." in text


def test_clip_mends_bounds_and_nothing_else():
    assert "declared bounds" not in refused(BAD, PATIENTS, invalid="clip")
    assert_array_equal(read(BAD.iloc[[0, 1, 4]], PATIENTS, invalid="clip").static["age"], [50, 110, 0])


def test_drop_leaves_the_patients_without_fault():
    cohort = read(BAD, PATIENTS, invalid="drop")
    assert cohort.patients.tolist() == [0]
    assert "leaves no patient" in refused(BAD.iloc[1:], PATIENTS, invalid="drop")


def test_drop_acts_on_each_patient_alone():
    """Whether a patient stays does not depend on anybody else (that is what the guarantee needs)."""
    kept = {name for name in BAD["id"] if not examine(BAD[BAD["id"] == name], PATIENTS).bad[0]}
    assert kept == set(read(BAD, PATIENTS, invalid="drop").patients.tolist())


def test_other_words_are_refused():
    assert "invalid='ignore' is not one of refuse, clip, drop" in refused(BAD, PATIENTS, invalid="ignore")


def test_many_broken_rules_are_summed_up():
    names = [f"c{at}" for at in range(20)]
    text = refused(pd.DataFrame([["x"] * 20], columns=names), schema(dict.fromkeys(names, AGE)))
    assert text.startswith("20 rules of the schema are broken:")
    assert text.endswith("- and 8 more")


def test_rules_between_columns():
    declared = schema(
        {"age": AGE},
        {"key": "visit", "grid": ["A", "B"], "columns": {"sbp": {**SBP, "nullable": True}, "dbp": SBP}},
        rules=["dbp < sbp", "age + sbp < 300", "age > 20"],
    )
    long = pd.DataFrame(
        {"id": [1, 1, 2, 3, 4], "visit": ["A", "B", "A", "A", "B"], "age": [50, 50, 90, 20, 30],
         "sbp": [120, 100, 220, None, 120], "dbp": [80, 100, 90, 90, 80]}
    )  # fmt: skip
    cohort = examine(long, declared).cohort
    findings, bad = broken(cohort)
    assert bad.tolist() == [True, True, True, False]
    assert [(f.rule.split(" holds")[0], f.count) for f in findings] == [
        ("dbp < sbp", 1),
        ("age + sbp < 300", 1),
        ("age > 20", 1),
    ]
    assert read(long, declared, invalid="drop").patients.tolist() == [4]


def test_rules_are_judged_after_clipping():
    declared = schema({"dbp": {"kind": "integer", "low": 0, "high": 160}, "sbp": SBP}, rules=["dbp < sbp"])
    frame = pd.DataFrame({"dbp": [300], "sbp": [200]})
    assert_array_equal(read(frame, declared, invalid="clip").static["dbp"], [160])
    frame = pd.DataFrame({"dbp": [300], "sbp": [150]})
    assert "dbp < sbp holds" in refused(frame, declared, invalid="clip")


def test_columns_that_are_not_there():
    text = refused(pd.DataFrame({"Age": [1], "Quixote": [2]}), schema({"age": AGE, "sex": {"kind": "flag"}}))
    assert "the column 'age' of the schema is not in the file (there is 'Age': capital letters count)" in text
    assert "nor is 1 other of 2" in text
    three = {"age": AGE, "sex": {"kind": "flag"}, "died": {"kind": "flag"}}
    assert "nor are 2 others of 3" in refused(pd.DataFrame({"x": [1]}), schema(three))
    assert "'id'" in refused(pd.DataFrame({"age": [1], "arm": ["a"]}), PATIENTS)
    frame = pd.DataFrame({"id": [1], "age": [1]})
    assert refused(frame, VISITS).startswith("visits: the column 'visit'")
    assert refused(frame, VISITS, visits=frame).startswith("visits: the column 'visit'")


def test_a_first_line_that_is_a_patient_is_not_shown(tmp_path):
    (tmp_path / "t.csv").write_text("Quixote,63\nSancho,41\n")
    assert "and it names 2" in refused(tmp_path / "t.csv", PATIENTS)


def test_visits_need_a_schema_with_visits():
    frame = pd.DataFrame({"id": [1], "age": [1], "arm": ["a"]})
    assert "declares no visits" in refused(frame, PATIENTS, visits=frame)


def test_levels_wait_to_be_learned():
    declared = schema({"site": {"kind": "category", "learn": True}, "age": {"kind": "integer", "learn": True}})
    cohort = read(pd.DataFrame({"site": ["b", "a", "b"], "age": [1, 2, 10**9]}), declared)
    assert cohort.seen == {"site": ("a", "b")}
    assert_array_equal(cohort.static["age"], [1, 2, 10**9])
    assert list(cohort.frame()["site"]) == list(cohort.wide()["site"]) == ["b", "a", "b"]


def test_levels_of_visits_that_wait_to_be_learned_are_shown_as_they_are():
    declared = Schema.from_dict(
        {
            "name": "t",
            "patient": "id",
            "table": {"age": {"kind": "integer", "low": 0, "high": 9}},
            "visits": {"key": "visit", "grid": ["A", "B"], "columns": {"ward": {"kind": "category", "learn": True}}},
        }
    )
    rows = {"id": [1, 1, 2], "visit": ["A", "B", "A"], "age": [5, 5, 6], "ward": ["west", "east", "east"]}
    cohort = read(pd.DataFrame(rows), declared)
    assert list(cohort.frame()["ward"]) == rows["ward"]
    assert list(cohort.wide()["ward@A"]) == ["west", "east"]


def test_the_source_is_left_alone():
    frame = pd.DataFrame({"id": [1, 1], "visit": ["A", "B"], "age": [50, None], "sbp": [300, 130]})
    copy = frame.copy()
    examine(frame, VISITS)
    pd.testing.assert_frame_equal(frame, copy)


def test_examine_is_fast_enough_to_be_used_on_every_keystroke_of_a_schema():
    """Cells are not looped over: 10,000 x 50 cells take as many calls of `str` as there are different cells."""
    rng = np.random.default_rng(0)
    calls = 0

    class Counted(str):
        def strip(self, *rest):
            nonlocal calls
            calls += 1
            return str.strip(self, *rest)

    cells = [Counted("a"), Counted("b")]
    frame = pd.DataFrame(
        {"id": range(10_000), "arm": [cells[at] for at in rng.integers(0, 2, 10_000)], "age": 50}, dtype=object
    )
    examine(frame, PATIENTS)
    assert calls <= 2
