"""Cells of a file to codes, and what is wrong with them, without ever repeating a value."""

# pandas comes without complete types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.schema.cohort import Codes
from wardgan.schema.columns import FARTHEST, Column, Level
from wardgan.schema.forms import other_form
from wardgan.schema.steps import snapped, step_index

MISSING_WORDS: Final = frozenset({"", "na", "nan", "n/a", "#n/a", "null", "none", "nat", ".", "?", "<na>"})
FLAG_WORDS: Final = {
    "0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0, "no": 0.0, "yes": 1.0, "f": 0.0, "t": 1.0,
    "n": 0.0, "y": 1.0,
}  # fmt: skip
BOUNDS: Final = "every cell is within the declared bounds"
MISSING: Final = "no cell is missing"
NAME: Final = "A label is never missing: give these patients a level of their own, or leave them out."
_KIND: Final = "Mend the rows, or change the kind in the schema."
STEPS: Final = "every value is a whole number of steps from low"
FILL: Final = "Set nullable: true in the schema, or fill the rows."
_EXAMPLES: Final = 5
_COARSE: Final = "They are rounded to the nearest step. Declare a finer step if the digits matter, or none."
_ROUND: Final = 1e-12
_STORED: Final = 0.01
_MICROSECONDS: Final = 86400e6
_WHOLE: Final = re.compile(r"([+-]?\d+)\.0*")


@dataclass(frozen=True)
class Finding:
    """One way in which rows break the schema.

    Attributes:
        column: The column, or the key, it is about.
        rule: What should hold.
        count: How many rows (or patients) break it.
        rows: A few row numbers as examples; the first data row is 1.
        way_out: What a person can do.
        blocking: Whether reading is refused; otherwise it is only worth knowing.
    """

    column: str
    rule: str
    count: int
    rows: tuple[int, ...]
    way_out: str
    blocking: bool = True

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.rows)) + (", ..." if self.count > len(self.rows) else "")
        where = f" (row {rows})" if self.rows else ""
        times = "once" if self.count == 1 else f"{self.count} times"
        return f"{self.column}: {self.rule}; broken {times}{where}. {self.way_out}"


def found(column: str, rule: str, broken: NDArray[np.bool_], way_out: str) -> list[Finding]:
    """Gives one finding for the rows that break a rule, or none.

    Args:
        column: The column it is about.
        rule: What should hold.
        broken: Which rows break it, shape (rows,).
        way_out: What a person can do.
    """
    rows = np.flatnonzero(broken)
    if not len(rows):
        return []
    return [Finding(column, rule, len(rows), tuple(int(row) + 1 for row in rows[:_EXAMPLES]), way_out)]


@dataclass(frozen=True)
class Coded:
    """A column as codes.

    Attributes:
        codes: Shape (rows,), NaN where missing.
        bad: Rows whose cell breaks the schema, shape (rows,).
        findings: The same, counted and explained.
        seen: The levels that occur, if the column waits for levels.
    """

    codes: Codes
    bad: NDArray[np.bool_]
    findings: tuple[Finding, ...]
    seen: tuple[Level, ...] = ()


def code(series: pd.Series, column: Column, *, complete: bool = True) -> Coded:
    """Turns the cells of a column into codes.

    Args:
        series: Cells of any type, shape (rows,).
        column: The declaration.
        complete: Whether a missing cell breaks the schema if the column is not nullable.

    Returns:
        The codes, with every cell that breaks the schema marked.
    """
    seen: tuple[Level, ...] = ()
    if column.kind == "category":
        codes, bad, seen = _levels(series, column)
        findings = found(
            column.name, "the level is not declared", bad, "Add the level to the schema, or mend the rows."
        )
    elif column.kind == "flag":
        codes, bad = _flags(series)
        findings = found(column.name, "every cell is yes or no", bad, _KIND)
    elif column.kind == "date":
        codes, bad = moments(series)
        codes = np.floor(codes)
        findings = found(column.name, "every cell is a date like 2020-12-31", bad, _mend(series, bad))
    else:
        codes, bad = _numbers(series)
        findings = found(column.name, "every cell is a number", bad, _mend(series, bad))
    for rule, broken, way_out in _misplaced(codes, column):
        findings += found(column.name, rule, broken, way_out)
        bad = bad | broken
    if column.kind in ("number", "integer"):
        # Files store 0.79993 for 0.8: the declared step says how fine a value is.
        near = snapped(codes, column)
        if column.step is not None:
            moved = (np.abs(codes - near) > _STORED * column.step) & ~bad
            findings += [replace(one, blocking=False) for one in found(column.name, STEPS, moved, _COARSE)]
        codes = near
    if complete and not column.nullable:
        hole = np.isnan(codes) & ~bad
        findings += found(column.name, MISSING, hole, NAME if column.label else FILL)
        bad = bad | hole
    return Coded(codes, bad, tuple(findings), seen)


def recode(codes: Codes, seen: Sequence[Level], column: Column) -> Codes:
    """Turns codes over the levels that occur into codes over the declared levels.

    A level that is not declared becomes the last one ("(other)").

    Args:
        codes: Indices into `seen`, any shape; NaN where missing.
        seen: The levels that occur.
        column: The column with its final levels.
    """
    index = {str(level): float(at) for at, level in enumerate(column.levels)}
    table = np.array([index.get(str(level), float(column.size - 1)) for level in seen] + [np.nan])
    return table[np.where(np.isnan(codes), len(seen), codes).astype(np.intp)]


def distinct(series: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    """Gives the different cells as texts without spaces around them, and which of them each row holds.

    Whole numbers are written without a point (2.0 is "2"), a missing cell is "".

    Args:
        series: Cells of any type, shape (rows,).

    Returns:
        Positions in the texts, shape (rows,), and the texts, the last of which is "".
    """
    if series.dtype == object and pd.api.types.infer_dtype(series, skipna=True) != "string":
        # By their texts: True equals 1, and lists, which Parquet files may hold, have no hash.
        series = series.map(_text, na_action="ignore")
    at, values = pd.factorize(series)
    texts = [_text(value) for value in cast("Sequence[object]", values)]
    return at.astype(np.intp), [*texts, ""]


def keys_of(series: pd.Series, *, missing: frozenset[str] = MISSING_WORDS) -> tuple[NDArray[np.intp], list[str]]:
    """Gives the different keys of patients or visits as texts, and which of them each row holds.

    "P1" and "P1 " are one key, and so are "7" and "7.0", or the unit of privacy would be half a patient. "007" is
    another one.

    Args:
        series: Cells of any type, shape (rows,).
        missing: Words, in small letters, that are no key.

    Returns:
        Positions in the texts, shape (rows,), -1 where the key is missing; and the texts, in the order of the rows.
    """
    at, texts = distinct(series)
    keys = np.array([None if text.lower() in missing else _whole(text) for text in texts], dtype=object)
    merged, names = pd.factorize(keys)
    return merged[at].astype(np.intp), [str(name) for name in names]


def place(texts: Sequence[str], names: Sequence[Level]) -> NDArray[np.float64]:
    """Gives the position of each text among names, NaN where it is none of them; 2.0 stands for 2 as well.

    Args:
        texts: Texts of cells.
        names: Levels of a category, or names of visits.
    """
    index = {_whole(str(name)): float(at) for at, name in enumerate(names)}
    index |= {str(name): float(at) for at, name in enumerate(names)}
    return np.array([index.get(text, index.get(_whole(text), np.nan)) for text in texts])


def _mend(series: pd.Series, bad: NDArray[np.bool_]) -> str:
    """Gives the way out for cells that cannot be read."""
    hint = other_form(distinct(pd.Series(series[bad]))[1][:-1]) if bad.any() else ""
    return f"{hint[0].upper()}{hint[1:]}." if hint else _KIND


def _text(value: object) -> str:
    if isinstance(value, (float, np.floating)) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _whole(text: str) -> str:
    match = _WHOLE.fullmatch(text)
    return match[1] if match else text


def _levels(series: pd.Series, column: Column) -> tuple[Codes, NDArray[np.bool_], tuple[Level, ...]]:
    at, texts = distinct(series)
    # A declared level wins over a word for "missing": "None" is a real level in some files.
    missing = np.array([text.lower() in MISSING_WORDS for text in texts])
    if column.levels:
        codes = _placed(texts, column.levels)
        return codes[at], (np.isnan(codes) & ~missing)[at], ()
    seen = tuple(sorted({text for text, hole in zip(texts, missing, strict=True) if not hole}))
    return place(texts, seen)[at], np.zeros(len(at), dtype=bool), seen


def _placed(texts: Sequence[str], levels: Sequence[Level]) -> NDArray[np.float64]:
    """Gives the position of each text among levels, each cell by itself.

    Some programs write truth values as True and False: among levels of which one means true and one false, such as no
    and yes, they stand for these. What other cells hold must not matter, or one patient would change all others.
    """
    codes = place(texts, levels)
    meaning = [FLAG_WORDS.get(str(level).lower()) for level in levels]
    if meaning.count(1.0) == meaning.count(0.0) == 1:
        for word, truth in (("True", 1.0), ("False", 0.0)):
            spelled = np.array([text == word for text in texts])
            codes = np.where(spelled & np.isnan(codes), float(meaning.index(truth)), codes)
    return codes


def _flags(series: pd.Series) -> tuple[Codes, NDArray[np.bool_]]:
    at, texts = distinct(series)
    words = [text.lower() for text in texts]
    codes = np.array([FLAG_WORDS.get(word, np.nan) for word in words])
    bad = np.isnan(codes) & np.array([word not in MISSING_WORDS for word in words])
    return codes[at], bad[at]


def _numbers(series: pd.Series) -> tuple[Codes, NDArray[np.bool_]]:
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = pd.Series(np.asarray(series))
    if series.dtype.kind in "iuf" and pd.api.types.is_numeric_dtype(series):
        codes = np.array(series.to_numpy(dtype=np.float64, na_value=np.nan))
        bad = np.zeros(len(codes), dtype=bool)
    elif pd.api.types.infer_dtype(series, skipna=True) in ("string", "empty"):
        codes = np.array(pd.to_numeric(series, errors="coerce"), dtype=np.float64)
        bad = np.isnan(codes)
        at, texts = distinct(pd.Series(series[bad]))
        bad[bad] = np.array([text.lower() not in MISSING_WORDS for text in texts])[at]
    else:
        at, texts = distinct(series)
        codes = np.array([_float(text) for text in texts])
        words = np.array([text.lower() in MISSING_WORDS for text in texts])
        codes, bad = codes[at], (np.isnan(codes) & ~words)[at]
    bad |= np.abs(codes) > FARTHEST  # infinite, or so large that arithmetic would make it so
    codes[bad] = np.nan
    codes += 0.0  # -0.0 becomes 0.0
    return codes, bad


def _float(text: str) -> float:
    try:
        return float(text) if text.isascii() and "_" not in text else np.nan
    except ValueError:
        return np.nan


def moments(series: pd.Series) -> tuple[Codes, NDArray[np.bool_]]:
    """Gives day numbers with the time of day as a fraction, by the clock of the place where it was written down.

    Args:
        series: Dates or times of any type, shape (rows,).

    Returns:
        Day numbers since 0001-01-01, NaN where missing, and which cells are no dates.
    """
    if isinstance(series.dtype, pd.DatetimeTZDtype) or (
        series.dtype.kind == "M" and isinstance(series.dtype, np.dtype)
    ):
        stamps = series.dt.tz_localize(None) if isinstance(series.dtype, pd.DatetimeTZDtype) else series
        missing = pd.isna(stamps).to_numpy()
        days = stamps.to_numpy().astype("datetime64[us]").astype(np.int64) / _MICROSECONDS + 719163.0
        days[missing] = np.nan
        return days, np.zeros(len(days), dtype=bool)
    at, texts = distinct(series)
    days = np.array([_moment(text) for text in texts])
    bad = np.isnan(days) & np.array([text.lower() not in MISSING_WORDS for text in texts])
    return days[at], bad[at]


def _moment(text: str) -> float:
    try:
        # "2020" and "20201231" are numbers, not dates.
        stamp = datetime.fromisoformat(text) if text[4:5] == "-" else None
    except ValueError:
        return np.nan
    if stamp is None:
        return np.nan
    clock = stamp.hour * 3600 + stamp.minute * 60 + stamp.second + stamp.microsecond * 1e-6
    return stamp.toordinal() + clock / 86400


def _misplaced(codes: Codes, column: Column) -> list[tuple[str, NDArray[np.bool_], str]]:
    """Gives which numbers are outside the bounds, and which are not whole though they should be."""
    broken: list[tuple[str, NDArray[np.bool_], str]] = []
    own = column.after is None and not column.origin
    if column.numeric and own and column.low is not None and column.high is not None:
        way_out = "Widen low and high in the schema, mend the rows, or read with invalid='clip' (--invalid clip)."
        broken.append((BOUNDS, _outside(codes, column), way_out))
    if column.kind == "integer":
        broken.append(
            ("every cell is a whole number", ~np.isnan(codes) & (codes != np.rint(codes)), "Use kind: number.")
        )
    return broken


def _outside(codes: Codes, column: Column) -> NDArray[np.bool_]:
    low, high = cast("float", column.low), cast("float", column.high)
    if column.kind == "number" and column.step is not None and column.steps is not None:
        # Judged after rounding to the step, so that 0.99993 is within a high of 1.
        index = step_index(codes, column)
        return (index < 0) | (index >= column.steps)
    grace = _ROUND * max(abs(low), abs(high)) if column.kind == "number" else 0.0
    return (codes < low - grace) | (codes > high + grace)
