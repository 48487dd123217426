"""CSV and Parquet files as dataframes: names checked, cells of CSV files left as text."""

# pandas and pyarrow come without complete types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false

from __future__ import annotations

import csv
import gzip
import re
import zlib
from pathlib import Path
from typing import Final, TextIO, cast

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
from pyarrow import parquet

from wardgan.errors import DataError

Source = str | Path | pd.DataFrame
_PARQUET: Final = (".parquet", ".pq")
_CSV: Final = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_BLOCK: Final = 1 << 24
_WHOLE: Final = {
    pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(), pa.uint16(): pd.UInt16Dtype(), pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}  # fmt: skip
_ROW: Final = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")


def frame_of(source: Source, *, delimiter: str = ",") -> pd.DataFrame:
    """Gives the dataframe of a CSV or Parquet file; the cells of a CSV file stay text.

    Args:
        source: A path, or a dataframe, which is not changed.
        delimiter: Between the cells of a CSV file; a `.tsv` file is separated by tabs anyway.

    Raises:
        DataError: The file is missing, of an unknown kind, not UTF-8, cut off, has another delimiter or two columns
            of the same name. No message and no cause repeats a cell, or a header, which may be a patient's row.
    """
    if isinstance(source, pd.DataFrame):
        return _named(source.reset_index(drop=True), "the dataframe")
    if not isinstance(source, (str, Path)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"source: a {type(source).__name__} is neither a path nor a pandas dataframe.")
    path, name = Path(source), str(source).lower()
    if not path.is_file():
        raise DataError(f"source={str(path)!r} is not a file.")
    if name.endswith(_PARQUET):
        return _named(_parquet(path), repr(str(path)))
    if not name.endswith(_CSV):
        raise DataError(f"source={str(path)!r} is neither CSV (.csv, .csv.gz, .tsv) nor Parquet (.parquet).")
    text = isinstance(delimiter, str)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not text or len(delimiter) != 1 or delimiter in '"\r\n' or not delimiter.isascii():
        raise DataError(f"delimiter={delimiter!r} is not a single character such as ',', ';' or a tab.")
    tabs = name.removesuffix(".gz").endswith(".tsv") and delimiter == ","
    return _csv(path, "\t" if tabs else delimiter)


def cells_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """Gives one column of a dataframe whose column names differ."""
    return cast("pd.Series", frame[name])


def hint_of(frame: pd.DataFrame, name: str) -> str:
    """Gives a hint for a column that is not there, if only its capital letters are wrong.

    Other headers are never listed: in a file without a header line they are a patient's cells.

    Args:
        frame: The table.
        name: The column that was looked for.
    """
    alike = next((header for header in frame.columns if str(header).lower() == name.lower()), None)
    return "" if alike is None else f" (there is {alike!r}: capital letters count)"


def _parquet(path: Path) -> pd.DataFrame:
    try:
        table = parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"source={str(path)!r} cannot be read as Parquet: {type(error).__name__}.") from None
    _no_twice(table.column_names, repr(str(path)))
    # Without pandas' own notes in the file, a column that was the index of a dataframe is a column like the others.
    # Whole numbers with missing cells stay whole: as floats, keys above 2^53 would become one another.
    return table.to_pandas(ignore_metadata=True, types_mapper=_WHOLE.get)


def _csv(path: Path, delimiter: str) -> pd.DataFrame:
    names = _header(path, delimiter)
    _no_twice(names, repr(str(path)))
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|,"):
        raise DataError(
            f"source={str(path)!r} has one column only; it seems to be separated by another character than "
            f"{delimiter!r}: pass delimiter=';' (or '\\t', '|')."
        )
    try:
        _check_quotes(path, delimiter)
        with _opened(path) as stream:
            table = arrow_csv.read_csv(
                stream,
                # One thread: only then does Arrow know the number of a line.
                read_options=arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK),
                parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
                ),
            )
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except (OSError, EOFError, zlib.error, csv.Error, pa.ArrowException) as error:
        # A header without an end of line is an empty file to Arrow.
        if "Empty CSV file" in str(error):
            return pd.DataFrame({name.strip(): pd.Series(dtype=str) for name in names})
        raise _unreadable(path, error) from None
    return table.rename_columns(names).to_pandas(ignore_metadata=True).rename(columns=str.strip)


def _opened(path: Path) -> pa.NativeFile:
    return pa.input_stream(str(path), compression="gzip" if path.name.lower().endswith(".gz") else None)


def _lines(path: Path) -> TextIO:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _header(path: Path, delimiter: str) -> list[str]:
    try:
        with _lines(path) as lines:
            names = next((row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row), None)
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise _unreadable(path, error) from None
    if names is None:
        raise DataError(f"source={str(path)!r} is empty; the first line must name the columns.")
    return names


def _check_quotes(path: Path, delimiter: str) -> None:
    """Refuses a quote that is never closed, which would swallow all rows behind it."""
    with _opened(path) as stream:
        quotes = sum(block.count(b'"') for block in iter(lambda: stream.read(_BLOCK), b""))
    if quotes % 2:
        # Rare, so it may be slow: a lone quote may also be part of a cell such as 5'11".
        with _lines(path) as lines:
            for _ in csv.reader(lines, delimiter=delimiter, strict=True):
                pass


def _unreadable(path: Path, error: Exception) -> DataError:
    row = _ROW.search(str(error))
    if row is not None:
        return DataError(
            f"source={str(path)!r}: line {row[1]} has {row[3]} cells where the header has {row[2]}; is a delimiter or "
            "a quote missing, or the file cut off?"
        )
    if "UTF8" in str(error):
        return _not_utf8(path)
    what = "a quote is never closed" if isinstance(error, csv.Error) else type(error).__name__
    return DataError(f"source={str(path)!r} cannot be read as CSV: {what}; is it cut off?")


def _not_utf8(path: Path) -> DataError:
    return DataError(f"source={str(path)!r} is not UTF-8 text; save it as 'CSV UTF-8'.")


def _named(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    names = [str(name).strip() for name in frame.columns]
    _no_twice(names, where)
    return frame.set_axis(names, axis=1)


def _no_twice(names: list[str], where: str) -> None:
    places: dict[str, int] = {}
    for at, name in enumerate(names, start=1):
        if name.strip() in places:
            first = places[name.strip()]
            raise DataError(f"source: columns {first} and {at} of {where} have the same name; rename one of them.")
        places[name.strip()] = at
