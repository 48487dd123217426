from __future__ import annotations

import os

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import data_kit as kit
from wardgan.errors import OutputError, UsageError
from wardgan.sample.write import FORMATS, write
from wardgan.schema.read import read

ALL = {
    "n": {"kind": "number", "low": 0, "high": 1, "step": 0.01, "nullable": True},
    "i": {"kind": "integer", "low": 0, "high": 9, "nullable": True},
    "c": {"kind": "category", "levels": ["a", 'é, "x"'], "nullable": True},
    "m": {"kind": "category", "levels": [1, "b"]},
    "k": {"kind": "category", "levels": [3, 7]},
    "f": {"kind": "flag", "nullable": True},
    "d": {"kind": "date", "low": "1899-12-31", "high": "2100-01-01", "nullable": True},
}
TABLE = kit.generator(kit.schema(ALL))
VISITS = kit.generator(
    kit.schema(
        {"i": ALL["i"]},
        {"key": "t", "grid": ["A", "B"], "columns": {"c": ALL["c"], "v": {"kind": "integer", "low": 0, "high": 9}}},
    )
)


def back(path, kind):
    if kind == "arrow":
        return pa.ipc.open_file(path).read_pandas()
    return path


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("generator", [TABLE, VISITS])
def test_what_is_written_is_read_as_it_was(tmp_path, kind, generator):
    path = tmp_path / f"out.{kind}"
    counts = []
    rows = write(generator.stream(300, chunk=70, seed=1), path, kind=kind, note={"a": "b"}, wrote=counts.append)
    expected = generator.sample(300, seed=1)
    assert rows == sum(counts) == len(expected)
    assert len(counts) == 5
    found, truth = read(back(path, kind), generator.schema), read(expected, generator.schema)
    assert kit.same(found, truth)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", FORMATS)
def test_wide_chunks_fit_together(tmp_path, kind):
    """A column may be whole in one chunk and have holes in the next."""
    path = tmp_path / f"out.{kind}"
    write((cohort.wide() for cohort in VISITS.draws(40, chunk=1, seed=2)), path, kind=kind, note={})
    found = back(path, kind)
    found = found if kind == "arrow" else pd.read_parquet(path) if kind == "parquet" else pd.read_csv(path)
    expected = VISITS.draw(40, seed=2).wide()
    assert list(found.columns) == list(expected.columns)
    assert found["v@A"].isna().tolist() == expected["v@A"].isna().tolist()
    assert 0 < found["v@A"].isna().sum() < 40


@pytest.mark.parametrize("kind", FORMATS)
def test_no_patients_still_make_a_file(tmp_path, kind):
    path = tmp_path / f"out.{kind}"
    assert write(TABLE.stream(0, seed=1), path, kind=kind, note={}) == 0
    found = back(path, kind)
    found = found if kind == "arrow" else pd.read_parquet(path) if kind == "parquet" else pd.read_csv(path)
    assert (len(found), list(found.columns)) == (0, list(ALL))


def test_provenance_is_in_the_file(tmp_path):
    note = {"synthetic": "true", "model": "sha256:é"}
    write(TABLE.stream(5, seed=1), tmp_path / "o.parquet", kind="parquet", note=note)
    write(TABLE.stream(5, seed=1), tmp_path / "o.arrow", kind="arrow", note=note)
    for metadata in (
        parquet.read_schema(tmp_path / "o.parquet").metadata,
        pa.ipc.open_file(tmp_path / "o.arrow").schema.metadata,
    ):
        assert {key.decode(): value.decode() for key, value in metadata.items() if key != b"pandas"} == note


def test_days_in_text_files_are_days(tmp_path):
    write(TABLE.stream(5, seed=1), tmp_path / "o.csv", kind="csv", note={})
    text = (tmp_path / "o.csv").read_text(encoding="utf-8")
    assert "00:00" not in text
    assert text.splitlines()[0] == '"n","i","c","m","k","f","d"'


def test_a_file_is_replaced_by_force_only(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write(TABLE.stream(5, seed=1), path, kind="csv", note={})
    assert path.read_text() == "mine"
    write(TABLE.stream(5, seed=1), path, kind="csv", note={}, force=True)
    assert path.read_text() != "mine"


def broken_stream():
    yield TABLE.sample(5, seed=1)
    raise UsageError("where: too rare")


def unlike():
    yield TABLE.sample(5, seed=1)
    yield pd.DataFrame({"other": [1]})


@pytest.mark.parametrize("kind", FORMATS)
def test_a_failure_leaves_nothing_behind(tmp_path, kind):
    path = tmp_path / "o"
    with pytest.raises(UsageError, match="too rare"):
        write(broken_stream(), path, kind=kind, note={})
    path.write_text("mine")
    with pytest.raises(UsageError, match="too rare"):
        write(broken_stream(), path, kind=kind, note={}, force=True)
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["o"]


@pytest.mark.parametrize("kind", FORMATS)
def test_chunks_that_do_not_fit_together_are_refused(tmp_path, kind):
    with pytest.raises(UsageError, match="do not have the same columns"):
        write(unlike(), tmp_path / "o", kind=kind, note={})
    assert list(tmp_path.iterdir()) == []


def test_wrong_targets_and_kinds(tmp_path):
    with pytest.raises(UsageError, match="format='xlsx' is not one of csv, parquet, arrow"):
        write(TABLE.stream(1, seed=1), tmp_path / "o", kind="xlsx", note={})
    with pytest.raises(UsageError, match="there is no chunk"):
        write(iter(()), tmp_path / "o", kind="csv", note={})
    with pytest.raises(OutputError, match="does not exist"):
        write(TABLE.stream(1, seed=1), tmp_path / "no" / "o", kind="csv", note={})
    with pytest.raises(OutputError, match="is a folder"):
        write(TABLE.stream(1, seed=1), tmp_path, kind="csv", note={}, force=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full here")
def test_a_full_disk_is_an_error_for_people(tmp_path, monkeypatch):
    import wardgan.files

    real = os.open
    monkeypatch.setattr(
        wardgan.files.os,
        "open",
        lambda path, flags, *rest: (
            real("/dev/full", os.O_WRONLY) if str(path).endswith(".part") else real(path, flags, *rest)
        ),
    )
    for kind in FORMATS:
        with pytest.raises(OutputError, match="No space left"):
            write(TABLE.stream(100_000, seed=1), tmp_path / "o", kind=kind, note={})
