"""A first guess of the schema of images: how they look, and what their labels are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd

from wardgan.errors import DataError
from wardgan.imaging.draft import draft_format
from wardgan.imaging.links import is_key, patient_column
from wardgan.imaging.npz import opened
from wardgan.schema.columns import Column
from wardgan.schema.draft import Drafted, draft
from wardgan.schema.guess import plain
from wardgan.schema.schema import Schema
from wardgan.schema.source import Source, frame_of

_MOST: Final = 12
_ARRAYS: Final = ("images", "masks", "note")
_ALONE: Final = (
    "no column names the patient: unless a header says it, each image counts as one. If a patient can have several, "
    "name the column, or a patient with many images is not protected."
)


def draft_images(
    source: str | Path, *, name: str, labels: Source | None = None, patient: str | None = None, mask: str | None = None
) -> Drafted:
    """Gives a first guess of the schema of images, for a person to correct and confirm; no image is decoded.

    Args:
        source: A folder of images, or an NPZ file.
        name: Short name of the data set.
        labels: Table of the labels of a folder. Its columns with few levels become labels.
        patient: The column that names the patient; guessed if left out.
        mask: The column with the paths of masks.

    Raises:
        DataError: There is no image to look at, or the table cannot be read.
    """
    look = draft_format(source)
    frame = _frame(Path(source), labels)
    notices = [*look.notices, *(f"some images cannot be used as they are: {reason}." for reason in look.unusable)]
    form = replace(look.format, mask=True) if mask is not None else look.format
    if frame is None:
        confirm = ("population", "images.size")
        schema = Schema(name, None, (), look.images, confirm=confirm, images=form)
        return Drafted(
            schema, {}, (*notices, "no labels: each image counts as one patient, unless its header says it.")
        )
    key, guess = patient_column(frame, patient)
    kept = frame.drop(columns=[each for each in frame.columns if is_key(str(each)) or each in (mask, key)])
    if not len(kept.columns):
        raise DataError("labels: besides the columns that name images and patients there is none.")
    # Each row is an image here, so that several images of a patient are no visits.
    drafted = draft(kept, name=name)
    table, left_out = _labels(drafted)
    mine = tuple(f"table.{column.name}." for column in table)
    confirm = [place for place in drafted.schema.confirm if place.startswith(mine)]
    people = len(frame) if key is None else frame[key].nunique()
    schema = Schema(
        name,
        key,
        table,
        max(1, int(float(f"{people:.1e}"))),
        confirm=("population", *confirm, "images.size"),
        images=form,
    )
    alone = () if key is not None else (_ALONE,)
    return Drafted(schema, left_out, (*notices, *guess, *alone))


def _frame(source: Path, labels: Source | None) -> pd.DataFrame | None:
    if labels is not None:
        return frame_of(labels)
    if not source.is_file():
        return None
    with opened(source) as archive:
        length = archive.header("images").shape[0]
        names = [name for name in archive.names if name not in _ARRAYS]
        found = {name: pd.Series(archive.small(name, length)) for name in names}
    return pd.DataFrame(found) if found else None


def _labels(drafted: Drafted) -> tuple[tuple[Column, ...], dict[str, str]]:
    left_out = dict(drafted.left_out)
    table: list[Column] = []
    for column in drafted.schema.columns:
        if column.numeric and column.low is not None and column.high is not None and column.kind == "integer":
            # A code of few whole numbers is more likely a label than a measure.
            count = round(column.high - column.low) + 1
            levels = tuple(range(round(column.low), round(column.high) + 1))
            column = Column(column.name, "category", levels=levels) if count <= _MOST else column  # noqa: PLW2901
        if column.numeric or not column.levels or column.size > _MOST:
            paths = " If it names the files of masks, say so with --mask." if "mask" in plain(column.name) else ""
            left_out[column.name] = f"no label: it has many values.{paths}" if paths else "no label: it has many values"
        elif column.nullable:
            left_out[column.name] = "no label: it is missing in some rows"
        else:
            table.append(replace(column, label=True))
    return tuple(table), left_out
