"""Synthetic patients to files, in streams of constant memory, marked as synthetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
from pyarrow import parquet

from wardgan.errors import OutputError, UsageError
from wardgan.files import new_file

Format = Literal["csv", "parquet", "arrow"]
FORMATS: Final = get_args(Format)


def write(
    chunks: Iterator[pd.DataFrame], path: str | Path, *, kind: Format, note: dict[str, str], force: bool = False,
    wrote: Callable[[int], None] | None = None,
) -> int:  # fmt: skip
    """Writes chunks of synthetic patients beside the target, and renames the file when it is whole.

    Args:
        chunks: Tables with the same columns; at least one, which may have no rows.
        path: The target.
        kind: `csv`, `parquet` or `arrow` (Arrow IPC file).
        note: Provenance for the file's metadata (Parquet, Arrow).
        force: Whether an existing file may be replaced.
        wrote: Called with the number of rows of each chunk.

    Returns:
        The number of rows.

    Raises:
        OutputError: The target exists, or cannot be written; nothing is left behind.
        UsageError: An unknown kind, no chunk, or chunks that differ in their columns.
    """
    if kind not in FORMATS:
        raise UsageError(f"format={kind!r} is not one of {', '.join(FORMATS)}.")
    with new_file(path, force=force) as file:
        try:
            return _stream(chunks, file, kind, note, wrote or _nobody)
        except pa.ArrowException as error:
            raise OutputError(f"output={str(path)!r} cannot be written: {error}; nothing was left behind.") from error


def csv_bytes(frame: pd.DataFrame, *, header: bool) -> bytes:
    """Gives a chunk of a CSV file.

    Args:
        frame: Synthetic patients.
        header: Whether the names of the columns come first.
    """
    out = pa.BufferOutputStream()
    arrow_csv.write_csv(_table(frame, "csv"), out, arrow_csv.WriteOptions(include_header=header))
    return out.getvalue().to_pybytes()


def _stream(
    chunks: Iterator[pd.DataFrame], file: BinaryIO, kind: Format, note: dict[str, str], wrote: Callable[[int], None]
) -> int:
    first = next(chunks, None)
    if first is None:
        raise UsageError("chunks: there is no chunk to write.")
    table = _table(first, kind)
    schema = table.schema.with_metadata({**(table.schema.metadata or {}), **note})
    rows = 0
    with _writer(file, schema, kind) as writer:
        while True:
            writer.write_table(table.cast(schema))
            rows += len(table)
            wrote(len(table))
            following = next(chunks, None)
            if following is None:
                return rows
            table = _table(following, kind)
            if table.column_names != schema.names:
                raise UsageError("chunks: they do not have the same columns.")


def _table(frame: pd.DataFrame, kind: Format) -> pa.Table:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if kind != "csv":
        return table
    # A date in a text file is a day, and not midnight of that day.
    days = [field.with_type(pa.date32()) if pa.types.is_timestamp(field.type) else field for field in table.schema]
    return table.cast(pa.schema(days))


def _writer(
    file: BinaryIO, schema: pa.Schema, kind: Format
) -> arrow_csv.CSVWriter | parquet.ParquetWriter | pa.RecordBatchFileWriter:
    if kind == "csv":
        return arrow_csv.CSVWriter(file, schema)
    if kind == "parquet":
        return parquet.ParquetWriter(file, schema, compression="zstd")
    return pa.ipc.new_file(file, schema)


def _nobody(rows: int) -> None:
    pass
