"""A draft guesses well, and marks whatever came from patients."""

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wardgan.errors import DataError, OutputError
from wardgan.rng import Seed
from wardgan.schema.draft import MARK, draft
from wardgan.schema.guess import column_of, outward
from wardgan.schema.read import examine
from wardgan.schema.schema import Schema
from wardgan.simulate import sprint_like


def column(values, name="x"):
    guess = column_of(name, pd.Series(values))
    assert not isinstance(guess, str), guess
    return guess.column


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 1, 0], "flag"),
        (["0", "1", "0"], "flag"),
        (["0.0", "1.0", ""], "flag"),
        (["yes", "no", "Yes"], "flag"),
        (["True", "False"], "flag"),
        ([True, False], "flag"),
        (["f", "t"], "flag"),
        (["f", "f"], "category"),
        (["f", "m"], "category"),
        (["no", "yes", "unknown"], "category"),
        ([1, 2, 2, 1], "category"),
        ([0, 1, 2, 3], "integer"),
        (["17", "40", "NA", "99"], "integer"),
        ([17.0, 40.0, 18.0, np.nan], "integer"),
        (["1.5", "2.25"], "number"),
        (["2020-01-31", "1999-12-01"], "date"),
        (["2020-01-31 10:30", "1999-12-01 00:00:00"], "date"),
        (pd.to_datetime(["2020-01-31", "1999-12-01"]), "date"),
        (["2020-01-31", "soon"], "category"),
        (["20200131", "19991201", "20000101"], "integer"),
        (["a", "b", None], "category"),
    ],
)
def test_kinds_follow_the_content(values, kind):
    assert column(values).kind == kind


def test_dates_side_by_side_are_noticed_and_their_order_is_not_read_off():
    came = pd.date_range("2010-01-01", periods=30).astype(str)
    for left in (pd.date_range("2010-02-01", periods=30), pd.date_range("2009-02-01", periods=30)):
        made = draft(pd.DataFrame({"id": range(30), "came": came, "left": left.astype(str), "x": 1}), name="demo")
        (notice,) = [text for text in made.notices if "`after`" in text]
        assert notice.startswith("came, left: if one can never be before another, declare `after` and `within`")
        assert all(column.after is None for column in made.schema.columns)
    alone = draft(pd.DataFrame({"id": range(30), "came": came}), name="demo")
    assert not any("`after`" in text for text in alone.notices)


def test_codes_are_categories_by_name_and_counts_are_integers():
    assert column([1, 2, 3], "site").levels == (1, 2, 3)
    assert column([1, 2, 3], "admission_type_id").kind == "category"
    assert column([1, 2, 3], "children").kind == "integer"
    assert column(range(80), "site").kind == "integer"


def test_decimals_are_found():
    assert column([0.5, 1.25, 3.0]).step == 0.01
    assert column([0.1, 0.2, 12.3]).step == 0.1
    assert column([1 / 3, 2 / 7]).step is None
    assert column(np.array([0.1, 0.7], dtype=np.float64) + 1e-13).step == 0.1


def test_a_missing_cell_makes_a_column_nullable_and_is_marked():
    guess = column_of("x", pd.Series(["1", "20", "", "77"]))
    assert guess.column.nullable
    assert guess.marks == ("low", "high", "nullable")
    assert not column_of("x", pd.Series(["1", "20", "77"])).column.nullable


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.sampled_from([1.0, 0.1, 0.01, 1e-9]))
def test_bounds_are_outside_and_round(low, width, least):
    high = low + width
    width = high - low
    bottom, top = outward(low, high, least)
    room = 1e-6 * max(1.0, abs(low), abs(high))
    assert bottom <= low + room
    assert top >= high - room
    assert bottom < top
    # The unit is the next of 1, 2, 5, 10, ... above a fifth of the spread.
    unit = 2.5 * max((width or abs(high)) / 5, least)
    assert top - bottom <= width + 2 * unit + room


def test_dates_are_bounded_by_whole_years():
    found = column(["2001-05-17", "2003-02-28"]).to_dict()
    assert (found["low"], found["high"]) == ("2001-01-01", "2003-12-31")


def test_a_table_of_patients():
    frame = pd.DataFrame(
        {
            "MRN": [f"N{at}" for at in range(487)],
            "age": np.arange(487) % 60 + 20,
            "sex": ["f", "m", "f"] * 162 + ["f"],
            "surname": [f"Name {at}" for at in range(487)],
            "remark": [f"text {at}" for at in range(487)],
            "study_id": range(1000, 1487),
            "row": range(487),
            "empty": [None] * 487,
            "a@b": 1,
        }
    )
    made = draft(frame, name="ward")
    assert made.schema.patient == "MRN"
    assert [c.name for c in made.schema.columns] == ["age", "sex"]
    assert made.schema.population == 490
    assert set(made.left_out) == {"surname", "remark", "study_id", "row", "empty", "a@b"}
    marks = ("population", "table.age.low", "table.age.high", "table.sex.levels", "nullable")
    assert made.schema.confirm == marks
    assert not any("Name" in text or "N4" in text for text in (*made.notices, *made.left_out.values()))


def test_without_a_patient_column_it_warns():
    made = draft(pd.DataFrame({"age": [30, 40, 55]}), name="x")
    assert made.schema.patient is None
    assert any("each row counts as one" in notice for notice in made.notices)


def test_visits_of_a_trial():
    made = draft(sprint_like(50, seed=Seed(1)), name="trial")
    visits = made.schema.visits
    assert (made.schema.patient, visits.key, visits.complete) == ("patient_id", "visit", True)
    assert visits.slots[:4] == ("RZ", "1M", "2M", "3M")
    assert [c.name for c in made.schema.table] == ["arm"]
    assert [c.name for c in visits.columns] == ["sbp", "dbp", "drugs"]
    assert {"visits.grid", "visits.complete", "visits.columns.sbp.low", "table.arm.levels"} <= set(made.schema.confirm)


def test_a_missing_visit_is_seen():
    frame = sprint_like(50, seed=Seed(1)).drop(index=13)
    assert not draft(frame, name="trial").schema.visits.complete


def test_numbered_visits_are_named_and_times_are_counted():
    numbered = pd.DataFrame({"id": [1, 1, 2, 2], "month": [3, 0, 0, 3], "weight": [50, 60, 70, 82]})
    assert draft(numbered, name="x").schema.visits.slots == ("0", "3")
    rng = np.random.default_rng(1)
    timed = pd.DataFrame({"id": np.repeat(range(30), 7), "time": rng.random(210), "pulse": rng.integers(50, 90, 210)})
    visits = draft(timed, name="x").schema.visits
    assert (visits.ragged, len(visits.slots)) == (True, 8)
    assert [c.name for c in visits.columns] == ["time", "pulse"]


def test_a_number_of_a_case_is_not_modelled():
    frame = pd.DataFrame({"id": np.repeat(range(30), 3), "encounter_id": range(90), "weight": np.arange(90) % 7 + 60})
    made = draft(frame, name="x")
    assert made.schema.visits.key == "encounter_id"
    assert [c.name for c in made.schema.columns] == ["weight"]


def test_columns_are_named_by_hand():
    frame = pd.DataFrame({"who": [1, 1, 2, 2], "when": ["b", "a", "b", "a"], "weight": [50, 60, 70, 82]})
    schema = draft(frame, name="x", patient="who", visit="when").schema
    assert (schema.patient, schema.visits.slots) == ("who", ("b", "a"))
    assert draft(frame, name="x", patient="who").schema.visits.key == "when"


def test_a_point_does_not_make_two_patients_of_one():
    ages = [str(20 + at % 40) for at in range(50)]
    frame = pd.DataFrame({"id": [str(at) for at in range(50)] + [f"{at}.0" for at in range(50)], "age": ages * 2})
    frame["visit"] = ["a"] * 50 + ["b"] * 50
    frame["weight"] = [60, 61, 62, 63] * 25
    made = draft(frame, name="x")
    assert made.schema.population == 50
    assert [c.name for c in made.schema.table] == ["age"]
    assert made.schema.visits.complete
    assert draft(frame.assign(id=[f"{at:03}" for at in range(100)]), name="x").schema.population == 100


def test_visits_are_told_apart_as_they_are_read():
    """1 and 1.0 are one visit, 01 is another name; the draft and the reading must agree."""
    frame = pd.DataFrame({"id": [1, 1, 2, 2], "visit": ["1", "2", "1.0", "2.0"], "weight": [50, 60, 70, 82]})
    visits = draft(frame, name="x").schema.visits
    assert (visits.slots, visits.complete) == (("1", "2"), True)
    frame["visit"] = ["02", "01", "01", "02"]
    made = draft(frame, name="x")
    assert made.schema.visits.slots == ("01", "02")
    assert examine(frame, made.schema).findings == ()
    frame["visit"] = ["a", "b ", " a", "b"]
    assert draft(frame, name="x").schema.visits.slots == ("a", "b")
    # Twice the visit 1, so the column cannot tell visits apart.
    with pytest.raises(DataError, match="no column is known"):
        draft(pd.DataFrame({"id": [1, 1], "when": ["1", "1.0"], "w": ["5", "5.0"]}), name="x")


def test_rows_of_nobody_do_not_count():
    frame = pd.DataFrame({"id": ["a", "a", "b", "b", "", "NA"], "visit": ["1", "2"] * 3, "age": [5, 5, 9, 9, 1, 2]})
    frame["weight"] = [50, 60, 70, 82, 50, 60]
    made = draft(frame, name="x")
    assert (made.schema.population, made.schema.visits.complete) == (2, True)
    assert [c.name for c in made.schema.table] == ["age"]


def test_a_first_line_that_is_a_patient_is_not_shown(tmp_path):
    (tmp_path / "t.csv").write_text("Quixote,63,HIV\nSancho,41,HIV\n", encoding="utf-8")
    for wish in ({"patient": "id"}, {"visit": "when"}):
        with pytest.raises(DataError, match="its first line must name the columns, and it names 3") as error:
            draft(tmp_path / "t.csv", name="x", **wish)
        assert not {"Quixote", "63", "HIV"} & set(str(error.value).replace(",", " ").split())
    (tmp_path / "t.csv").write_text("Quixote@la.mancha,@\n,\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column can be drafted: 2 columns: ") as error:
        draft(tmp_path / "t.csv", name="x")
    assert "Quixote" not in str(error.value)


def test_cells_that_are_never_empty_are_marked_once():
    """That no cell is empty is read off patients, too."""
    whole, holes = [30, 40, 55], [30, None, 55]
    made = draft(pd.DataFrame({"age": whole, "bmi": holes}), name="x")
    assert made.schema.confirm.count("nullable") == 1
    assert "`nullable` on that list stands for all columns without `nullable: true`" in made.to_yaml()
    made = draft(pd.DataFrame({"age": holes}), name="x")
    assert "nullable" not in made.schema.confirm
    assert "table.age.nullable" in made.schema.confirm
    assert "stands for all columns" not in made.to_yaml()


def test_a_form_of_another_country_is_told():
    many = [f"{at},5" for at in range(60)]
    made = draft(pd.DataFrame({"x": many, "age": range(60), "seen": ["31.12.2020", "1.1.2021"] * 30}), name="x")
    assert "decimal commas" in made.left_out["x"]
    assert any("seen: it has dates in another form" in notice for notice in made.notices)


@pytest.mark.parametrize(
    ("frame", "given", "phrase"),
    [
        ({"age": []}, {}, "no row"),
        ({"age": [1, 2]}, {"patient": "id"}, "patient='id' is not a column"),
        ({"id": [1, 1], "age": [1, 2]}, {"visit": "when"}, "visit='when' is not a column"),
        ({"id": [1, 1, 1], "a": [1, 2, 2], "b": [2, 2, 3]}, {}, "no column is known to tell their visits apart"),
        ({"id": [1, 1], "visit": ["a", "b"]}, {}, "differ in nothing else"),
        ({"id": [1, 2], "surname": ["a", "b"]}, {}, "no column can be drafted: 1 column: by its name"),
        ({"id": [None, "NA"], "age": [1, 2]}, {}, "patient='id': no row names its patient"),
        ({"ID": [1, 2], "age": [1, 2]}, {"patient": "id"}, "there is 'ID': capital letters count"),
        ({"age": [1, 2]}, {"patient": 3}, "patient: int is not a name"),
        ({"age": [1, 2]}, {"visit": ["a"]}, "visit: list is not a name"),
    ],
)
def test_what_cannot_be_drafted(frame, given, phrase):
    with pytest.raises(DataError, match=phrase):
        draft(pd.DataFrame(frame), name="x", **given)


def test_every_marked_value_carries_a_comment_on_its_line_and_only_these():
    made = draft(sprint_like(40, seed=Seed(2)), name="trial")
    text = made.to_yaml()
    again = Schema.from_dict(yaml.safe_load(text))
    assert again.to_dict() == made.schema.to_dict()
    # `nullable` has no line of its own: it stands for what is not written.
    assert text.count(MARK) == len(made.schema.confirm) - 1
    for line in text.splitlines():
        key = line.strip().split(":")[0]
        assert (MARK in line) == (key in ("population", "levels", "low", "high", "grid", "complete"))


def test_a_value_that_looks_like_a_key_is_not_marked():
    frame = pd.DataFrame({"id": range(4), "low": ["low: 3", "population", "a", "b"], "high": [1, 5, 8, 9]})
    text = draft(frame, name="x").to_yaml()
    marked = [line.strip().split(":")[0] for line in text.splitlines() if MARK in line]
    assert marked == ["population", "levels", "low", "high"]


def test_the_file_is_written_once(tmp_path):
    made = draft(pd.DataFrame({"age": [30, 40, 55]}), name="x")
    made.save(tmp_path / "schema.yaml")
    assert Schema.load(tmp_path / "schema.yaml") == made.schema
    with pytest.raises(OutputError, match="exists"):
        made.save(tmp_path / "schema.yaml")
    made.save(tmp_path / "schema.yaml", force=True)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-1000, 1000)),
            st.one_of(st.none(), st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 2))),
            st.sampled_from(["red", "Null?", "no", "3", "-", "", "2020-01-01"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_every_row_obeys_the_draft_of_its_own_file(rows):
    frame = pd.DataFrame(rows, columns=["count", "value", "word", "flag"])
    try:
        made = draft(frame, name="x")
    except DataError:
        return
    assert [finding for finding in examine(frame, made.schema).findings if finding.blocking] == []
    assert Schema.from_dict(yaml.safe_load(made.to_yaml())) == made.schema


def test_p02_a_draft_never_chooses_a_scale():
    """A long tail would have to be seen in the cells; a scale is declared by a person, or not at all."""
    tail = np.round(11 * np.random.default_rng(0).random(500) ** (-1 / 1.2))
    made = draft(pd.DataFrame({"id": np.arange(500), "cost": tail, "dose": tail / 7}), name="demo")
    assert [made.schema.column(name).scale for name in ("cost", "dose")] == [None, None]
    assert "scale" not in made.to_yaml()
