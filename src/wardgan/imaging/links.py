"""The labels of images: a table with one row for each image, each examination or each patient."""

# pandas comes without complete types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import DataError, SchemaError
from wardgan.imaging.dicom import Header
from wardgan.schema.cells import Finding, code, found, keys_of
from wardgan.schema.columns import Column
from wardgan.schema.guess import plain
from wardgan.schema.source import Source, cells_of, frame_of, hint_of

Labels = dict[str, NDArray[np.int64]]
KEYS: Final = ("file", "SOPInstanceUID", "AccessionNumber", "PatientID")
_FILE_COLUMNS: Final = (
    "file", "filename", "filepath", "path", "image", "imagefile", "imagename", "imagepath", "imageid", "dicom",
)  # fmt: skip
_PATIENT_COLUMNS: Final = (
    "patientid", "patient", "patients", "patid", "pid", "subjectid", "subject", "subjid", "participantid",
    "participant", "mrn",
)  # fmt: skip
_ONE_IMAGE: Final = ("file", "SOPInstanceUID")


@dataclass(frozen=True)
class ImageNames:
    """Which columns of the labels say what.

    Attributes:
        key: The column that links a row to its images. Its name tells what it holds: a file (its path below the folder
            or its name, with or without its ending), SOPInstanceUID, AccessionNumber or PatientID. Of a column with
            another name say so: `study=AccessionNumber`. Left out: the first of these that the table has.
        patient: The column that says whose an image is. Left out: a column with a common name such as `patient_id`,
            else the PatientID of DICOM files, else each image counts as one patient.
        mask: The column with the paths of masks, counted from the folder of the images.
        anyone: Whether it does not matter whose the images are, as for somebody who only counts them.
    """

    key: str | None = None
    patient: str | None = None
    mask: str | None = None
    anyone: bool = False

    def __post_init__(self) -> None:
        for name in ("key", "patient", "mask"):
            value: object = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise DataError(
                    f"names: {name} is of type {type(value).__name__}; it is the name of a column, as text."
                )


@dataclass(frozen=True, repr=False)
class Links:
    """Rows of labels, ready to be asked for an image's row. It stays in the hospital.

    Attributes:
        kind: What the key holds: one of `KEYS`.
        rows: The row of each key.
        codes: Codes of the labels by column, each of shape (rows,), -1 where the row breaks a rule.
        bad: Rows that break a rule, shape (rows,).
        patients: Whose each row is; `None` if the table does not say.
        masks: Path of each row's mask; `None` if there is no such column.
        findings: What is wrong with the rows.
        notices: What a person should know.
        guessed: The column that says whose an image is, if it was guessed.
        key: The column that links rows to images.
    """

    kind: str
    rows: Mapping[str, int]
    codes: Labels
    bad: NDArray[np.bool_]
    patients: tuple[str, ...] | None
    masks: tuple[str, ...] | None
    findings: tuple[Finding, ...]
    notices: tuple[str, ...]
    guessed: str | None
    key: str

    def row_of(self, name: str, header: Header | None) -> int | None:
        """Gives the row of an image, or `None` if it has none.

        Args:
            name: Its path below the folder.
            header: What its DICOM header says; `None` for other files.
        """
        if self.kind == "file":
            return next((self.rows[form] for form in _forms(name) if form in self.rows), None)
        if header is None:
            return None
        found = {"SOPInstanceUID": header.uid, "AccessionNumber": header.accession, "PatientID": header.patient_id}
        return self.rows.get(found[self.kind])

    def one_file_each(self, names: Iterable[str]) -> Links:
        """Gives the links with rows marked that more than one file answers to.

        Args:
            names: Paths of all images below the folder.
        """
        if self.kind != "file":
            return self
        answers = Counter(self.row_of(name, None) for name in names)
        several = np.array([answers[row] > 1 for row in range(len(self.bad))], dtype=bool)
        more = found("key", "one file answers to each row", several, "Write the path below the folder.")
        return replace(self, bad=self.bad | several, findings=(*self.findings, *more))


def link(labels: Source, columns: Sequence[Column], names: ImageNames) -> Links:
    """Gives the rows of a table of labels.

    Args:
        labels: CSV or Parquet file, or dataframe.
        columns: Declared labels: categories or flags.
        names: Which columns say what.

    Raises:
        DataError: The table cannot be read, has no row, or a named column is not in it.
        SchemaError: A declared column is no label.
    """
    frame = frame_of(labels)
    if not len(frame):
        raise DataError("labels: the table has no row.")
    check_columns(columns)
    for column in columns:
        _require(frame, column.name, "columns")
    key, kind = _key(frame, names.key)
    if names.mask is not None and kind not in _ONE_IMAGE:
        raise DataError(f"names: a mask belongs to one image, but the key {key!r} holds {kind}; name another key.")
    cells = cells_of(frame, key)
    at, keys = keys_of(cells.map(plain_path, na_action="ignore") if kind == "file" else cells)
    findings = found(key, "every row has a key", at < 0, "Fill it, or remove the row.")
    repeated = (at >= 0) & (np.bincount(at[at >= 0], minlength=len(keys) + 1)[at] > 1)
    findings += found(key, "each key has one row", repeated, "Keep one row of each.")
    bad = (at < 0) | repeated
    codes: Labels = {}
    for column in columns:
        coded = code(cells_of(frame, column.name), replace(column, nullable=False))
        codes[column.name] = np.where(np.isnan(coded.codes), -1, coded.codes).astype(np.int64)
        findings += coded.findings
        bad |= coded.bad
    patient, notices = patient_column(frame, names.patient)
    patients = _texts(frame, patient, "every row says whose it is", findings, bad)
    masks = _texts(frame, names.mask, "every row names its mask", findings, bad)
    rows = {keys[place]: row for row, place in reversed(list(enumerate(at))) if place >= 0}
    guessed = patient if names.patient is None else None
    return Links(kind, rows, codes, bad, patients, masks, tuple(findings), tuple(notices), guessed, key)


def is_key(name: str) -> bool:
    """Tells whether a column of labels links rows to images, by its name; the patient's own is not meant.

    Example:
        >>> is_key("Image Path"), is_key("PatientID")
        (True, False)
    """
    return plain(name) in (*_FILE_COLUMNS, "sopinstanceuid", "accessionnumber")


def plain_path(name: object) -> str:
    """Gives a path as it is compared: composed letters, slashes, without `./` in front.

    Args:
        name: A path below the folder, as a file system or a table writes it.

    Example:
        >>> plain_path("./left/0001.png ")
        'left/0001.png'
    """
    return unicodedata.normalize("NFC", str(name)).strip().replace("\\", "/").removeprefix("./")


def check_columns(columns: Sequence[Column]) -> None:
    """Refuses columns that cannot be labels of images.

    Args:
        columns: Declared labels.

    Raises:
        SchemaError: One of them is no category or flag, or has no declared levels; or two have the same name.
    """
    for column in columns:
        if not isinstance(column, Column):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SchemaError(f"columns: {type(column).__name__} is no Column of a schema.")
        if column.numeric or not column.levels:
            raise SchemaError(f"columns: {column.name!r} is no category or flag with declared levels; declare them.")
    repeated = [name for name, count in Counter(column.name for column in columns).items() if count > 1]
    if repeated:
        raise SchemaError(f"columns: {repeated[0]!r} is declared twice; keep one.")


def _key(frame: pd.DataFrame, given: str | None) -> tuple[str, str]:
    """Gives the column that links rows to images, and what it holds."""
    by_name = {plain(name): name for name in reversed(list(map(str, frame.columns)))}
    wanted: dict[str, str] = {**dict.fromkeys(_FILE_COLUMNS, "file"), **{key.lower(): key for key in KEYS}}
    if given is not None:
        column, _, kind = given.partition("=")
        _require(frame, column, "names.key")
        if kind and kind not in KEYS:
            raise DataError(f"names: key={given!r} ends in none of {', '.join('=' + key for key in KEYS)}.")
        return column, kind or wanted.get(plain(column), "file")
    for name, kind in wanted.items():
        if name in by_name:
            return by_name[name], kind
    raise DataError(
        "labels: no column is known to link rows to images (such as file, SOPInstanceUID, AccessionNumber or "
        "PatientID); name it in names.key (--key)."
    )


def patient_column(frame: pd.DataFrame, given: str | None) -> tuple[str | None, list[str]]:
    """Gives the column that says whose an image is, and a notice if it was guessed.

    Args:
        frame: The table of labels.
        given: What a person says.

    Raises:
        DataError: The table has no such column.
    """
    if given is not None:
        _require(frame, given, "names.patient")
        return given, []
    by_name = {plain(name): name for name in reversed(list(map(str, frame.columns)))}
    for candidate in _PATIENT_COLUMNS:
        if candidate in by_name:
            return by_name[candidate], [f"{by_name[candidate]!r} was taken for the column that says whose an image is."]
    return None, []


def _texts(
    frame: pd.DataFrame, column: str | None, rule: str, findings: list[Finding], bad: NDArray[np.bool_]
) -> tuple[str, ...] | None:
    """Gives the cells of a column as keys, and marks the rows where one is missing."""
    if column is None:
        return None
    _require(frame, column, "names")
    at, texts = keys_of(cells_of(frame, column))
    findings += found(column, rule, at < 0, "Fill it, or remove the row.")
    bad |= at < 0
    return tuple(texts[place] if place >= 0 else "" for place in at)


def _require(frame: pd.DataFrame, column: str, argument: str) -> None:
    if column not in frame.columns:
        raise DataError(
            f"{argument}: the column {column!r} is not in the labels{hint_of(frame, column)}; their first line must "
            "name the columns."
        )


def _forms(name: str) -> list[str]:
    """Gives how a table may write a file: its path or its name, each with or without its ending."""
    path = PurePosixPath(plain_path(name))
    return [str(path), str(path.with_suffix("")), path.name, path.stem]
