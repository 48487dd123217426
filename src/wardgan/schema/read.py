"""CSV, Parquet or a dataframe to a cohort that obeys its schema."""

# pandas comes without complete types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, cast, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import DataError, SchemaError, counted
from wardgan.schema.cells import BOUNDS, FILL, MISSING, NAME, Coded, Finding, code, found, keys_of
from wardgan.schema.cohort import Codes, Cohort, Truth
from wardgan.schema.gaps import bounded, misplaced_in_table, on_day_zero
from wardgan.schema.schema import Schema
from wardgan.schema.slots import Slotted, slot_rows
from wardgan.schema.source import Source, cells_of, frame_of, hint_of

__all__ = ["Checked", "Invalid", "Source", "broken", "broken_rules", "examine", "frame_of", "read"]

Invalid = Literal["refuse", "clip", "drop"]
_INVALID: Final = get_args(Invalid)


@dataclass(frozen=True)
class Checked:
    """What a file holds and how it breaks the schema.

    Attributes:
        cohort: The patients; cells that break the schema are missing or clipped.
        findings: Everything that is wrong or worth knowing, counted.
        bad: Patients with anything wrong, shape (patients,).
    """

    cohort: Cohort
    findings: tuple[Finding, ...]
    bad: NDArray[np.bool_]


def read(
    source: Source, schema: Schema, *, visits: Source | None = None, invalid: Invalid = "refuse", delimiter: str = ","
) -> Cohort:
    """Gives the cohort of a file or a dataframe.

    Args:
        source: CSV or Parquet file, or dataframe: one row per patient, or one row per visit with the patient's
            own columns repeated.
        schema: What the rows must obey.
        visits: A second source with the visits, if the first one has one row per patient.
        invalid: `refuse` any row that breaks the schema; `clip` values to their bounds and refuse the rest;
            `drop` patients with a row that breaks it. The last two act on each patient alone, so they do not
            weaken the guarantee.
        delimiter: Between the cells of a CSV file.

    Raises:
        DataError: The file cannot be read, or rows break the schema (counted, never repeated).
        SchemaError: `schema` is none.

    Example:
        >>> schema = Schema.from_dict({"name": "demo", "table": {"age": {"kind": "integer", "low": 0, "high": 99}}})
        >>> read(pd.DataFrame({"age": [50, 61]}), schema)
        Cohort('demo', 1 column)
        >>> read(pd.DataFrame({"age": [50, 610]}), schema)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        wardgan.errors.DataError: 1 rule of the schema is broken:
        - age: every cell is within the declared bounds; broken once (row 2). Widen low and high ...
    """
    if invalid not in _INVALID:
        raise DataError(f"invalid={invalid!r} is not one of {', '.join(_INVALID)}.")
    checked = examine(source, schema, visits=visits, delimiter=delimiter)
    if not len(checked.cohort):
        raise DataError("source: the file has no patient.")
    if invalid == "drop":
        kept = np.flatnonzero(~checked.bad)
        if not len(kept):
            raise DataError("invalid='drop' leaves no patient; run the check to see what is wrong.")
        return checked.cohort.take(kept)
    _refuse([f for f in checked.findings if f.blocking and not (invalid == "clip" and f.rule == BOUNDS)])
    return checked.cohort


def _refuse(findings: list[Finding]) -> None:
    if findings:
        rules = f"{counted(len(findings), 'rule')} of the schema {'is' if len(findings) == 1 else 'are'}"
        lines = "\n".join(f"- {finding}" for finding in findings[:12])
        more = f"\n- and {len(findings) - 12} more" if len(findings) > 12 else ""
        raise DataError(f"{rules} broken:\n{lines}{more}")


def examine(source: Source, schema: Schema, *, visits: Source | None = None, delimiter: str = ",") -> Checked:
    """Gives the cohort of a file together with everything that breaks the schema.

    Args: as for `read`.

    Raises:
        DataError: The file cannot be read, or a declared column is not in it.
        SchemaError: `schema` is none, or declares images.
    """
    if not isinstance(schema, Schema):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SchemaError(f"schema: {type(schema).__name__} is no Schema; use Schema.load(path) or Schema.from_dict.")
    if schema.images is not None:
        raise SchemaError(f"schema={schema.name!r} declares images; read a folder or an NPZ file with read_images.")
    table = frame_of(source, delimiter=delimiter)
    _require(table, [column.name for column in schema.table], "source")
    if schema.visits is None and visits is not None:
        raise DataError("visits: a file of visits is given, but the schema declares no visits.")
    names, row_patient, findings = _patients(table, schema.patient)
    size = len(names)
    static, bad = _static(table, row_patient, size, schema)
    codes = {name: coded.codes for name, coded in static.items()}
    against_order, bad_order = misplaced_in_table(codes, schema, size)
    findings += [*(finding for coded in static.values() for finding in coded.findings), *against_order]
    bad |= bad_order
    if schema.visits is None:
        repeated = np.bincount(row_patient[row_patient >= 0], minlength=size) > 1
        findings += _repeated(row_patient, repeated, schema)
        bad |= repeated
        slotted = Slotted.nothing(size)
    else:
        long = table if visits is None else frame_of(visits, delimiter=delimiter)
        slotted = _visits(long, long is table, names, row_patient, codes, schema)
    seen = {name: coded.seen for name, coded in static.items() if coded.seen} | dict(slotted.seen)
    # Rules are judged after clipping, because that is what the cohort holds.
    cohort = on_day_zero(bounded(Cohort(schema, codes, slotted.measured, slotted.present, names, seen)))
    against_rules, bad_rules = broken(cohort)
    return Checked(cohort, (*findings, *slotted.findings, *against_rules), bad | slotted.bad | bad_rules)


def broken(cohort: Cohort) -> tuple[list[Finding], NDArray[np.bool_]]:
    """Gives the rules between columns that a cohort breaks, and the patients who break one.

    Args:
        cohort: Real or synthetic patients.

    Returns:
        One finding for each broken rule (rows are patients), and a mask of shape (patients,).
    """
    bad = np.zeros(len(cohort), dtype=bool)
    findings: list[Finding] = []
    for rule, patients in zip(cohort.schema.rules, broken_rules(cohort), strict=True):
        findings += found(
            ", ".join(rule.names), f"{rule.text} holds for every patient", patients, "Mend the rows or the rule."
        )
        bad |= patients
    return findings, bad


def broken_rules(cohort: Cohort) -> list[Truth]:
    """Gives for each rule of the schema, in order, the patients who break it: masks of shape (patients,)."""
    masks: list[Truth] = []
    for rule in cohort.schema.rules:
        columns = {
            name: cohort.measured[name] if name in cohort.measured else cohort.static[name] for name in rule.names
        }
        if any(codes.ndim == 2 for codes in columns.values()):
            columns = {name: codes if codes.ndim == 2 else codes[:, None] for name, codes in columns.items()}
        truth = rule.broken(columns)  # (patients,) or (patients, slots)
        if truth.ndim == 2 and cohort.present is not None:
            # A visit that did not take place has no cells to judge, though the patient's own columns are there.
            truth = truth & cohort.present
        masks.append(cast("Truth", truth.any(axis=1)) if truth.ndim == 2 else truth)
    return masks


def _require(table: pd.DataFrame, names: list[str], argument: str) -> None:
    absent = [name for name in names if name not in table.columns]
    if not absent:
        return
    others = len(absent) - 1
    more = "" if not others else f", nor {'is' if others == 1 else 'are'} {counted(others, 'other')} of {len(names)}"
    raise DataError(
        f"{argument}: the column {absent[0]!r} of the schema is not in the file{hint_of(table, absent[0])}{more}; its "
        f"first line must name the columns, and it names {table.shape[1]}."
    )


def _patients(
    table: pd.DataFrame, key: str | None
) -> tuple[NDArray[np.object_] | NDArray[np.int64], NDArray[np.intp], list[Finding]]:
    """Gives the patients' names, the position of each row's patient (-1 where unknown), and findings."""
    if key is None:
        return np.arange(1, len(table) + 1), np.arange(len(table)), []
    _require(table, [key], "source")
    row_patient, names = keys_of(cells_of(table, key))
    findings = found(key, "every row names its patient", row_patient < 0, "Fill the key or remove the rows.")
    if cells_of(table, key).dtype.kind == "i":
        return np.array([int(name) for name in names], dtype=np.int64), row_patient, findings
    return np.asarray(names, dtype=object), row_patient, findings


def _repeated(row_patient: NDArray[np.intp], repeated: NDArray[np.bool_], schema: Schema) -> list[Finding]:
    rows = np.append(repeated, False)[row_patient]
    way_out = "Declare the repeated rows as visits in the schema, or keep one row per patient."
    return found(schema.patient or "row", "one row per patient", rows, way_out)


def _static(
    table: pd.DataFrame, row_patient: NDArray[np.intp], patients: int, schema: Schema
) -> tuple[dict[str, Coded], NDArray[np.bool_]]:
    """Gives each table column once per patient: the first cell that is not missing."""
    bad = np.zeros(patients, dtype=bool)
    coded: dict[str, Coded] = {}
    known = row_patient >= 0
    first = np.zeros(len(row_patient), dtype=bool)
    first[np.unique(row_patient, return_index=True)[1]] = True
    for column in schema.table:
        rows = code(cells_of(table, column.name), column, complete=False)
        codes = np.full(patients + 1, np.nan)  # the last one belongs to rows of unknown patients
        filled = np.flatnonzero(known & ~np.isnan(rows.codes))[::-1]
        codes[row_patient[filled]] = rows.codes[filled]
        differs = known & ~np.isnan(rows.codes) & (rows.codes != codes[row_patient])
        wrong = np.zeros(patients + 1, dtype=bool)
        wrong[row_patient[known & (rows.bad | differs)]] = True
        empty = np.isnan(codes) & ~wrong & (not column.nullable)
        bad |= (wrong | empty)[:-1]
        findings = [
            *rows.findings,
            *found(
                column.name,
                "a patient has one value in all rows",
                differs,
                "Declare it under visits, or mend the rows.",
            ),
            *found(column.name, MISSING, first & known & empty[row_patient], NAME if column.label else FILL),
        ]
        coded[column.name] = replace(rows, codes=codes[:-1], findings=tuple(findings))
    return coded, bad


def _visits(
    long: pd.DataFrame, same: bool, names: NDArray[np.object_] | NDArray[np.int64], row_patient: NDArray[np.intp],
    static: Mapping[str, Codes], schema: Schema,
) -> Slotted:  # fmt: skip
    if schema.visits is None or schema.patient is None:
        raise DataError("visits: the schema declares no visits.")
    _require(long, [schema.patient, schema.visits.key, *(c.name for c in schema.visits.columns)], "visits")
    own = {column.name: (column, static[column.name]) for column in schema.table}
    if same:
        return slot_rows(long, row_patient, len(names), schema.visits, static=own)
    # By text, because one file may hold the number 7 and the other the text "7" or "7.0".
    position = {str(name): at for at, name in enumerate(names)}
    at, keys = keys_of(cells_of(long, schema.patient))
    owner = np.array([*(position.get(key, -1) for key in keys), -1], dtype=np.intp)[at]
    slotted = slot_rows(long, owner, len(names), schema.visits, static=own)
    stray = found(schema.patient, "every visit belongs to a patient of the table", owner < 0, "Mend the key.")
    return replace(slotted, findings=(*stray, *slotted.findings))
