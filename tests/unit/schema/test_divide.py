"""Setting patients aside: nobody is on both sides, and no cell changes."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from wardgan.cli.main import app
from wardgan.errors import DataError, UsageError
from wardgan.schema.divide import divide
from wardgan.schema.schema import Schema

SCHEMA = Schema.from_dict({"name": "t", "patient": "id", "table": {"age": {"kind": "integer", "low": 0, "high": 99}}})
ROWS = Schema.from_dict({"name": "t", "table": {"age": {"kind": "integer", "low": 0, "high": 99}}})


@given(st.lists(st.integers(0, 40), min_size=2, max_size=200), st.integers(0, 2**63))
def test_a_patient_is_on_one_side_with_all_rows(names, seed):
    frame = pd.DataFrame({"id": [f" P{name}" for name in names], "age": range(len(names))})
    try:
        train, held = divide(frame, SCHEMA, share=0.5, seed=seed)
    except DataError:
        return
    assert not {name.strip() for name in train["id"]} & {name.strip() for name in held["id"]}
    both = pd.concat([train, held]).sort_values("age").reset_index(drop=True)
    pd.testing.assert_frame_equal(both, frame)


def test_another_file_of_the_same_patients_is_cut_the_same_way():
    one = pd.DataFrame({"id": [f"P{at}" for at in range(300)], "age": 1})
    two = pd.DataFrame({"id": [f"P{at % 300}" for at in range(900)], "sbp": 2})
    sides = [divide(frame, SCHEMA, share=0.3, seed=8)[1]["id"] for frame in (one, two)]
    assert set(sides[0]) == set(sides[1])
    assert 60 < len(sides[0]) < 120
    assert set(divide(one, SCHEMA, share=0.3, seed=9)[1]["id"]) != set(sides[0])
    assert set(divide(one, SCHEMA, share=0.3)[1]["id"]) != set(divide(one, SCHEMA, share=0.3)[1]["id"])


def test_without_a_patient_column_each_row_is_a_patient():
    train, held = divide(pd.DataFrame({"age": range(1000)}), ROWS, share=0.2, seed=1)
    assert 150 < len(held) < 250
    assert len(train) + len(held) == 1000


@pytest.mark.parametrize(("frame", "share", "why"), [
    (pd.DataFrame({"ID": ["a", "b"], "age": [1, 2]}), 0.5, "capital letters"),
    (pd.DataFrame({"id": ["a", None], "age": [1, 2]}), 0.5, "row 2 names no patient"),
    (pd.DataFrame({"id": ["a", " "], "age": [1, 2]}), 0.5, "row 2 names no patient"),
    (pd.DataFrame({"id": ["a", "a"], "age": [1, 2]}), 0.5, "without a patient"),
])  # fmt: skip
def test_what_cannot_be_cut_is_refused(frame, share, why):
    with pytest.raises(DataError, match=why):
        divide(frame, SCHEMA, share=share, seed=1)


@pytest.mark.parametrize("share", [0, 1, -1, "half", float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(UsageError, match="share"):
        divide(pd.DataFrame({"id": ["a", "b"]}), SCHEMA, share=share)


def test_cells_of_a_csv_file_stay_as_they_are(tmp_path):
    SCHEMA.save(tmp_path / "s.yaml")
    text = "id,age,note\n" + "".join(f'P{at:03d},007,"a, ""b"" {at}"\n' for at in range(40))
    (tmp_path / "all.csv").write_text(text)
    words = ["split", str(tmp_path / "all.csv"), str(tmp_path / "s.yaml"), "-o", str(tmp_path / "a.csv"),
             "--holdout", str(tmp_path / "b.csv"), "--seed", "3"]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    lines = [(tmp_path / name).read_text().splitlines() for name in ("a.csv", "b.csv")]
    assert sorted([*lines[0][1:], *lines[1][1:]]) == sorted(text.splitlines()[1:])
    assert CliRunner().invoke(app, words).exit_code == 2
    assert CliRunner().invoke(app, [*words[:-3], str(tmp_path / "all.csv"), "--force"]).exit_code == 2
    assert (tmp_path / "all.csv").read_text() == text


def test_a_name_that_is_written_in_two_ways_is_one_patient():
    frame = pd.DataFrame({"id": [f"{at}{end}" for at in range(200) for end in ("", ".0", " ")], "age": 1})
    train, held = divide(frame, SCHEMA, share=0.5, seed=2)
    sides = [{name.strip().removesuffix(".0") for name in side["id"]} for side in (train, held)]
    assert not sides[0] & sides[1]
