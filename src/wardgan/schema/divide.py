"""Setting patients aside: a table in two, each patient with all rows on one side."""

# pandas comes without complete types.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan import check
from wardgan.errors import DataError, UsageError
from wardgan.schema.cells import keys_of
from wardgan.schema.schema import Schema
from wardgan.schema.source import Source, cells_of, frame_of, hint_of


def divide(
    source: Source, schema: Schema, *, share: float, seed: int | None = None, delimiter: str = ","
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Gives the rows to fit to, and those of the patients who are set aside; cells of a CSV file stay as they are.

    A patient's side hangs on the name and the seed alone, so a second file with visits of the same patients is cut the
    same way. Without a patient column each row is a patient.

    Args:
        source: CSV or Parquet file, or dataframe.
        schema: Says which column names the patient.
        share: About which part of the patients is set aside, between 0 and 1.
        seed: Replays the cut; `None` for one that nobody can replay.
        delimiter: Between the cells of a CSV file.

    Raises:
        DataError: The file cannot be read, has no patient column, a row names no patient, or one side is empty.
        UsageError: `share` or `seed` is none, or the source is an NPZ file of images.
    """
    check.in_open_interval(0, 1, share=share)
    if seed is not None:
        check.whole(0, seed=seed)
    if schema.images is not None and isinstance(source, (str, Path)) and Path(source).suffix.lower() == ".npz":
        raise UsageError(
            f"source={str(source)!r}: an NPZ file is not divided; read it with read_images and use "
            "ImageCohort.split, or divide the table of labels of a folder of images."
        )
    frame = frame_of(source, delimiter=delimiter)
    aside = _sides(_keys(frame, schema.patient), seed) < share
    train, held = (_rows(frame, side) for side in (~aside, aside))
    if not len(train) or not len(held):
        raise DataError(f"share={share!r} leaves one of the two sides without a patient.")
    return train, held


def _rows(frame: pd.DataFrame, chosen: NDArray[np.bool_]) -> pd.DataFrame:
    return cast("pd.DataFrame", frame[chosen]).reset_index(drop=True)


def _keys(frame: pd.DataFrame, patient: str | None) -> list[str]:
    if patient is None:
        return [str(at) for at in range(len(frame))]
    if patient not in frame.columns:
        raise DataError(f"{patient}: the patient's column is not in the file{hint_of(frame, patient)}.")
    at, names = keys_of(cells_of(frame, patient))
    if (at < 0).any():
        row = int(np.flatnonzero(at < 0)[0]) + 1
        raise DataError(f"{patient}: row {row} names no patient, so nobody knows on which side it belongs.")
    return [names[place] for place in at]


def _sides(keys: list[str], seed: int | None) -> NDArray[np.float64]:
    """Gives a number in [0, 1) for each row, the same for all rows of a patient."""
    if seed is not None and seed >= 2**64:
        raise UsageError(f"seed={seed} is not below 2^64.")
    secret = secrets.token_bytes(32) if seed is None else b"wardgan split" + seed.to_bytes(8, "big")
    digests = (hashlib.blake2b(key.encode(), digest_size=8, key=secret).digest() for key in keys)
    return np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests])
