from __future__ import annotations

import gzip
import traceback

import numpy as np
import pandas as pd
import pytest

from wardgan.errors import DataError
from wardgan.schema.source import frame_of

TEXT = "id,age,arm\nP1,50,a\nP2,,b\n"


@pytest.fixture
def file(tmp_path):
    def write(data, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return write


def refused(path, **more):
    """Gives the message of a refusal, and makes sure that neither it nor its causes show a cell."""
    with pytest.raises(DataError) as error:
        frame_of(path, **more)
    shown = "".join(traceback.format_exception(error.value))
    assert "Quixote" not in shown
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", TEXT.encode()),
        ("T.CSV", TEXT.encode()),
        ("t.txt", TEXT.encode()),
        ("t.csv.gz", gzip.compress(TEXT.encode(), mtime=0)),
        ("T.CSV.GZ", gzip.compress(TEXT.encode(), mtime=0)),
        ("t.tsv", TEXT.replace(",", "\t").encode()),
        ("t.tsv.gz", gzip.compress(TEXT.replace(",", "\t").encode(), mtime=0)),
        ("t.csv", b"\xef\xbb\xbf" + TEXT.encode()),
        ("t.csv", TEXT.replace("\n", "\r\n").encode()),
        ("t.csv", TEXT.replace("\n", "\r").encode()),
        ("t.csv", b"\n\n" + TEXT.encode() + b"\n\n"),
        ("t.csv", TEXT[:-1].encode()),
        ("t.csv", b'"id" , "age",arm\n"P1","50",a\n"P2","",b\n'),
        ("t.csv", b" id,age ,arm\nP1,50,a\nP2,,b\n"),
    ],
)
def test_tables_as_text(file, name, data):
    if b'"id" ,' in data:
        data = data.replace(b'"id" , "age"', b'"id","age"')
    frame = frame_of(str(file(data, name)))
    assert list(frame.columns) == ["id", "age", "arm"]
    assert frame["arm"].tolist() == ["a", "b"]
    assert frame["age"].tolist()[0] == "50"
    assert frame["age"].isna().tolist() == [False, True]


def test_a_named_delimiter(file):
    path = file("id;age\nP1;1,5\n")
    assert frame_of(path, delimiter=";")["age"].tolist() == ["1,5"]
    assert "pass delimiter=';'" in refused(path)
    assert frame_of(file("id\tage\nP1\t5\n", "t.tsv"), delimiter="\t")["age"].tolist() == ["5"]


@pytest.mark.parametrize("delimiter", ["", "||", '"', "\n", "é"])
def test_what_is_no_delimiter(file, delimiter):
    assert "is not a single character" in refused(file(TEXT), delimiter=delimiter)


def test_cells_with_delimiters_quotes_and_lines(file):
    frame = frame_of(file('a,b\n"x, y","say ""hi"""\n"two\nlines",2\n'))
    assert frame.to_numpy().tolist() == [["x, y", 'say "hi"'], ["two\nlines", "2"]]


def test_a_quote_may_be_part_of_a_cell(file):
    frame = frame_of(file("height,age\n5'11\",50\n6',60\n"))
    assert frame["height"].tolist() == ["5'11\"", "6'"]


def test_cells_stay_text(file):
    frame = frame_of(file("a,b,c,d\n007,1e5,NA,true\n"))
    assert frame.iloc[0].tolist() == ["007", "1e5", "NA", "true"]


def test_a_header_alone_is_a_table_without_rows(file):
    assert frame_of(file("id,age\n")).shape == (0, 2)
    assert frame_of(file("id,age")).shape == (0, 2)


@pytest.mark.parametrize(
    ("data", "name", "rule"),
    [
        ("", "t.csv", "is empty"),
        ("\n\n", "t.csv", "is empty"),
        (b"\xef\xbb\xbf", "t.csv", "is empty"),
        (gzip.compress(b"", mtime=0), "t.csv.gz", "is empty"),
        ("a,b\n1,2\nQuixote\n", "t.csv", "line 3 has 1 cells where the header has 2"),
        ("a,b\n1,2\n1,Quixote,3\n", "t.csv", "line 3 has 3 cells where the header has 2"),
        ("a,b\n1,Quixote,\n", "t.csv", "line 2 has 3 cells"),
        ('a,b\n1,"Quixote\n2,3\n', "t.csv", "a quote is never closed"),
        (gzip.compress(b'a,b\n1,"Quixote\n2,3\n', mtime=0), "t.csv.gz", "a quote is never closed"),
        (b'a,b\n1,"Quix\xf6te\n2,3\n', "t.csv", "is not UTF-8"),
        (b"a,b\n1,Quix\xf6te,3\n", "t.csv", "is not UTF-8"),
        (b"a,b\n" + b"1,2\n" * 9999 + b"1,Quix\xf6te,3\n", "t.csv", "line 10001 has 3 cells"),
        ("a,b\n1,Quixöte\n".encode("latin-1"), "t.csv", "is not UTF-8"),
        ("ä,b\n1,Quixote\n".encode("latin-1"), "t.csv", "is not UTF-8"),
        ("a,b\n1,Quixote\n".encode("utf-16"), "t.csv", "is not UTF-8"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-12], "t.csv.gz", "cut off"),
        (b"Quixote", "t.csv.gz", "cannot be read"),
        (b"PAR1Quixote", "t.parquet", "cannot be read as Parquet"),
        (b"", "t.parquet", "cannot be read as Parquet"),
        (TEXT, "t.xlsx", "is neither CSV"),
        ("id,a,id\n1,2,3\n", "t.csv", "columns 1 and 3 of"),
        ("Quixote, Quixote\n1,2\n", "t.csv", "columns 1 and 2 of"),
        ("Quixote;63;m\nSancho;41;m\n", "t.csv", "has one column only"),
    ],
)
def test_files_that_are_no_table_are_refused_without_showing_a_cell(file, data, name, rule):
    assert rule in refused(file(data, name))


def test_missing_files_and_other_things_are_refused(tmp_path):
    assert "is not a file" in refused(tmp_path / "none.csv")
    assert "is not a file" in refused(tmp_path)
    for thing in (None, 3, [1], {"a": [1]}, b"t.csv"):
        assert "is neither a path nor a pandas dataframe" in refused(thing)


def test_parquet_keeps_types_and_the_index_is_a_column(tmp_path):
    frame = pd.DataFrame(
        {"age": [50, 60], "when": pd.to_datetime(["2020-01-01", "2021-01-01"])}, index=pd.Index(["P1", "P2"], name="id")
    )
    frame.to_parquet(tmp_path / "t.parquet")
    found = frame_of(tmp_path / "t.parquet")
    assert sorted(found.columns) == ["age", "id", "when"]
    assert (found["age"].dtype.kind, found["when"].dtype.kind) == ("i", "M")


def test_dataframes_get_names_of_text_and_stay_as_they_were():
    given = pd.DataFrame([[1, 2]], columns=[1, (2, "x")], index=["row"])
    found = frame_of(given)
    assert list(found.columns) == ["1", "(2, 'x')"]
    assert list(found.index) == [0]
    assert list(given.columns) == [1, (2, "x")]
    assert "columns 1 and 2 of the dataframe" in refused(pd.DataFrame([[1, 2]], columns=[1, "1"]))
    assert "columns 1 and 2 of the dataframe" in refused(pd.DataFrame([[1, 2]], columns=["a", " a"]))


def test_a_wide_row_is_read(file):
    names = [f"c{at}" for at in range(5000)]
    row = ["x" * 300] * 5000
    assert frame_of(file(",".join(names) + "\n" + ",".join(row) + "\n")).shape == (1, 5000)


def test_large_tables_are_read_whole(file):
    rows = np.arange(50_000)
    frame = frame_of(file("a,b\n" + "".join(f"{at},{at * 2}\n" for at in rows)))
    assert (frame["b"].astype(int) == rows * 2).all()
