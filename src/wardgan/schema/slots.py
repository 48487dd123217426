"""Rows of visits to the slots of the grid."""

# pandas comes without complete types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import counted
from wardgan.schema.cells import Coded, Finding, code, distinct, found, moments, place
from wardgan.schema.cohort import Codes
from wardgan.schema.columns import Column, Level
from wardgan.schema.gaps import misplaced
from wardgan.schema.source import cells_of
from wardgan.schema.steps import snapped
from wardgan.schema.visits import TimeGrid, Visits

Own: TypeAlias = tuple[Column, Codes]
_ROUND: Final = 1e-9


@dataclass(frozen=True)
class Slotted:
    """Visits on their grid.

    Attributes:
        measured: For each column the codes, shape (patients, slots).
        present: Which visits took place, shape (patients, slots); `None` without visits.
        bad: Patients with a row that breaks the schema, shape (patients,).
        findings: The same, counted.
        seen: For columns that wait for levels: the levels that occur.
    """

    measured: Mapping[str, Codes]
    present: NDArray[np.bool_] | None
    bad: NDArray[np.bool_]
    findings: tuple[Finding, ...] = ()
    seen: Mapping[str, tuple[Level, ...]] = field(default_factory=dict[str, tuple[Level, ...]])

    @classmethod
    def nothing(cls, patients: int) -> Slotted:
        """Gives the visits of a schema that declares none."""
        return cls({}, None, np.zeros(patients, dtype=bool))


def slot_rows(
    long: pd.DataFrame, row_patient: NDArray[np.intp], patients: int, visits: Visits, *,
    static: Mapping[str, Own] = MappingProxyType({}),
) -> Slotted:  # fmt: skip
    """Puts each row of a long file into the slot of its patient and visit.

    Several rows in one bin of a time grid become one visit: numbers their mean, other kinds the last one.

    Args:
        long: One row per visit.
        row_patient: Position of each row's patient, shape (rows,); -1 where unknown.
        patients: Number of patients.
        visits: The grid and the columns.
        static: The patients' own columns with their codes, from which dates of visits may be counted.
    """
    slot, findings = _slots(cells_of(long, visits.key), row_patient, visits)
    known = row_patient >= 0
    kept = (slot >= 0) & known
    bad = np.zeros(patients, dtype=bool)
    bad[row_patient[known & (slot < 0)]] = True
    if visits.time is None and not visits.ragged:
        cell = row_patient * len(visits.slots) + slot
        twice = pd.Series(cell).where(kept).duplicated(keep="first").to_numpy() & kept
        findings += found(visits.key, "a patient has a visit once", twice, "Mend the rows.")
        bad[row_patient[twice]] = True
    present = np.zeros((patients, len(visits.slots)), dtype=bool)
    present[row_patient[kept], slot[kept]] = True
    measured: dict[str, Codes] = {}
    seen: dict[str, tuple[Level, ...]] = {}
    declared = {column.name: column for column in visits.columns}
    rows = {name: code(cells_of(long, name), column) for name, column in declared.items()}
    for column in visits.columns:
        coded = rows[column.name]
        findings += coded.findings
        bad[row_patient[known & coded.bad]] = True
        if column.after is not None:
            late, wrong = _late(column, rows, declared, static, row_patient)
            findings += late
            bad[row_patient[known & wrong]] = True
        measured[column.name] = _cells(coded, column, row_patient, slot, kept, present.shape)
        if coded.seen:
            seen[column.name] = coded.seen
    if visits.complete:
        short = present.sum(axis=1) < len(visits.slots)
        findings += found("visits", "every patient has every visit", short, "Set complete: false, or leave them out.")
        bad |= short
    return Slotted(measured, present, bad, tuple(findings), seen)


def _late(
    column: Column, rows: Mapping[str, Coded], declared: Mapping[str, Column], static: Mapping[str, Own],
    row_patient: NDArray[np.intp],
) -> tuple[list[Finding], NDArray[np.bool_]]:  # fmt: skip
    """Gives the dates of visits that are not within the declared days after the date they are counted from."""
    after = str(column.after)
    if after in rows:
        return misplaced(rows[column.name].codes, rows[after].codes, column, certain=not declared[after].nullable)
    first, codes = static[after]
    # Rows of nobody look at the last place, where nothing is; they have a finding of their own.
    mine = np.where(row_patient < 0, np.nan, rows[column.name].codes)
    return misplaced(mine, np.append(codes, np.nan)[row_patient], column, certain=not first.nullable)


def _slots(key: pd.Series, row_patient: NDArray[np.intp], visits: Visits) -> tuple[NDArray[np.intp], list[Finding]]:
    if visits.time is not None:
        return _bins(key, visits.key, visits.time)
    if visits.ragged:
        return _order(key, row_patient, visits)
    at, texts = distinct(key)
    named = place(texts, visits.slots)
    slot = np.where(np.isnan(named), -1, named).astype(np.intp)[at]
    return slot, found(visits.key, "the visit is on the grid", slot < 0, "Add the visit to the grid, or mend the rows.")


def _bins(key: pd.Series, name: str, grid: TimeGrid) -> tuple[NDArray[np.intp], list[Finding]]:
    number = _numbers(key)
    # A time of 0.3 is the start of the third bin of 0.1, though 0.3 / 0.1 is a little below 3 in floating point.
    bins = np.floor((number - grid.start) / grid.step + _ROUND)
    inside = (bins >= 0) & (number <= grid.stop + _ROUND * grid.step)
    rule = f"the time is from {grid.start:.12g} to {grid.stop:.12g}"
    # The last bin is closed, as in a histogram.
    slot = np.where(inside, np.minimum(bins, grid.bins - 1), -1).astype(np.intp)
    return slot, found(name, rule, ~inside, "Widen the grid, or leave the rows out.")


def _order(key: pd.Series, row_patient: NDArray[np.intp], visits: Visits) -> tuple[NDArray[np.intp], list[Finding]]:
    modelled = next((column.kind for column in visits.columns if column.name == visits.key), None)
    when = moments(key)[0] if modelled == "date" else _numbers(key)
    if modelled is None:
        # Each cell by itself: what others wrote must not matter.
        when = np.where(np.isnan(when), moments(key)[0], when)
    empty = np.isnan(when)
    rows = np.lexsort((when, row_patient))  # stable: rows of the same time keep their order
    owner = row_patient[rows]
    first = np.flatnonzero(np.diff(owner, prepend=-2))
    slot = np.empty(len(rows), dtype=np.intp)
    slot[rows] = np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
    late = (slot >= len(visits.slots)) & (row_patient >= 0)
    findings = found(visits.key, "every visit has a time or a number", empty, "Fill the key or remove the rows.")
    findings += found(
        visits.key, f"a patient has at most {counted(len(visits.slots), 'visit')}", late & ~empty, "Raise max_visits."
    )
    slot[empty | late] = -1
    return slot, findings


def _numbers(key: pd.Series) -> Codes:
    return code(key, Column("key", "number", nullable=True)).codes


def _cells(
    coded: Coded, column: Column, patient: NDArray[np.intp], slot: NDArray[np.intp], kept: NDArray[np.bool_],
    shape: tuple[int, int],
) -> Codes:  # fmt: skip
    filled = kept & ~np.isnan(coded.codes)
    cell, codes = (patient * shape[1] + slot)[filled], coded.codes[filled]
    grid = np.full(shape[0] * shape[1], np.nan)
    if not column.numeric:
        grid[cell] = codes
        return grid.reshape(shape)
    total = np.bincount(cell, weights=codes, minlength=len(grid))
    count = np.bincount(cell, minlength=len(grid))
    np.divide(total, count, out=grid, where=count > 0)
    return (snapped(grid, column) if count.max(initial=0) > 1 else grid).reshape(shape)
