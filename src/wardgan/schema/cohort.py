"""A cohort: rows of patients, real or synthetic, that obey a schema."""

# pandas comes without complete types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan import check
from wardgan.errors import DataError, counted
from wardgan.rng import Seed
from wardgan.schema.columns import Column, Level
from wardgan.schema.schema import Schema
from wardgan.schema.visits import Visits

Codes = NDArray[np.float64]
Truth = NDArray[np.bool_]
Decoded = NDArray[Any] | pd.api.extensions.ExtensionArray


@dataclass(frozen=True, eq=False, repr=False)
class Cohort:
    """Patients as numbers: values, day numbers or level indices; NaN where a cell is missing.

    Its `repr` shows the schema and never a row or a count.

    Attributes:
        schema: What the rows obey.
        static: For each column of the table an array of shape (patients,).
        measured: For each column of the visits an array of shape (patients, slots).
        present: Which visits took place, shape (patients, slots); `None` without visits.
        patients: The patients' names, shape (patients,).
        seen: For columns whose levels wait to be learned: the levels that occur. Private.
    """

    schema: Schema
    static: Mapping[str, Codes]
    measured: Mapping[str, Codes]
    present: NDArray[np.bool_] | None
    patients: NDArray[np.object_] | NDArray[np.int64]
    seen: Mapping[str, tuple[Level, ...]] = field(default_factory=dict[str, tuple[Level, ...]])

    def __repr__(self) -> str:
        visits = f", {counted(len(self.schema.visits.slots), 'visit slot')}" if self.schema.visits else ""
        return f"Cohort({self.schema.name!r}, {counted(len(self.schema.columns), 'column')}{visits})"

    def __len__(self) -> int:
        return len(self.patients)

    def take(self, rows: NDArray[np.intp] | slice) -> Cohort:
        """Gives the cohort of some patients, by position."""
        return replace(
            self,
            static={name: codes[rows] for name, codes in self.static.items()},
            measured={name: codes[rows] for name, codes in self.measured.items()},
            present=None if self.present is None else self.present[rows],
            patients=self.patients[rows],
        )

    def split(self, share: float, *, seed: int) -> tuple[Cohort, Cohort]:
        """Gives two cohorts of different patients, the first with about `share` of them.

        Args:
            share: Part of the patients in the first cohort, between 0 and 1.
            seed: Replays the split.

        Raises:
            UsageError: `share` is no share, or one of the two cohorts would have no patient.
        """
        one, other = divided(len(self), share, seed=seed)
        return self.take(one), self.take(other)

    def frame(self) -> pd.DataFrame:
        """Gives the rows as they were read: one row per patient, or per visit that took place.

        Columns: the patient, the columns of the table, which visit it is, and the columns of the visits.
        """
        visits, present = self.schema.visits, self.present
        if visits is None or present is None:
            return pd.DataFrame(self._table(None))
        slot = np.tile(np.arange(len(visits.slots)), len(self))  # (patients x slots,)
        columns: dict[str, object] = {visits.key: _slot_values(visits, slot[present.ravel()])}
        for column in visits.columns:
            # Boolean indexing copies, so nothing that is done to the table reaches the cohort. A key that is modelled
            # takes the place of the slots.
            columns[column.name] = self._values(self.measured[column.name][present], column)
        return pd.DataFrame(self._table(present.sum(axis=1)) | columns, copy=False)

    def wide(self, *, named: bool = True) -> pd.DataFrame:
        """Gives one row per patient; a visit's cells are columns such as `sbp@3M`, missing where there was no visit.

        Args:
            named: Whether the column that names the patient is among them.
        """
        columns = self._table(None)
        if not named and self.schema.patient is not None:
            del columns[self.schema.patient]
        visits = self.schema.visits
        for column in visits.columns if visits else ():
            cells = self.measured[column.name].T.copy()  # (slots, patients)
            for slot, codes in zip(visits.slots if visits else (), cells, strict=True):
                holes = visits is not None and not visits.complete
                columns[f"{column.name}@{slot}"] = self._values(codes, column, holes=holes)
        return pd.DataFrame(columns, copy=False)

    def digest(self, about: bytes = b"") -> str:
        """Gives a SHA-256 of all cells, patients in their order: for files that stay in the hospital.

        Args:
            about: What else is to be told apart.
        """
        waiting = {name: list(levels) for name, levels in sorted(self.seen.items())}
        digest = hashlib.sha256(about + json.dumps(waiting, sort_keys=True).encode())
        for codes in [*self.static.values(), *self.measured.values(), self.present]:
            digest.update(b"" if codes is None else np.ascontiguousarray(codes).tobytes())
        return digest.hexdigest()

    def _values(self, codes: Codes, column: Column, *, holes: bool = False) -> Decoded:
        return decoded(codes, column, holes=holes, levels=self.seen.get(column.name))

    def _table(self, visits: NDArray[np.intp] | None) -> dict[str, Decoded]:
        """Gives the patients' own columns: once, or as often as each of them has visits."""
        columns: dict[str, Decoded] = {}
        if self.schema.patient is not None:
            columns[self.schema.patient] = self.patients
        for column in self.schema.table:
            columns[column.name] = self._values(self.static[column.name], column)
        rows = np.repeat(np.arange(len(self)), 1 if visits is None else visits)
        return {name: values.take(rows) for name, values in columns.items()}


def divided(patients: int, share: float, *, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Gives the positions of the patients of two cohorts, the first with about `share` of them, each in order.

    Args:
        patients: How many there are.
        share: Part of them in the first cohort, between 0 and 1.
        seed: Replays the split.

    Raises:
        UsageError: `share` is no share.
        DataError: One of the two cohorts would have no patient.
    """
    check.in_open_interval(0, 1, share=share)
    order = Seed(seed).stream("split").permutation(patients)
    cut = round(share * patients)
    if not 0 < cut < patients:
        raise DataError(f"share={share!r} leaves one of the two cohorts without a patient.")
    return np.sort(order[:cut]), np.sort(order[cut:])


def joined(cohorts: Sequence[Cohort]) -> Cohort:
    """Gives the patients of some cohorts one after another.

    Args:
        cohorts: At least one, all of the same schema.
    """
    if len(cohorts) == 1:
        return cohorts[0]
    first = cohorts[0]
    return replace(
        first,
        static={name: np.concatenate([each.static[name] for each in cohorts]) for name in first.static},
        measured={name: np.concatenate([each.measured[name] for each in cohorts]) for name in first.measured},
        present=None if first.present is None else np.concatenate([cast("Truth", each.present) for each in cohorts]),
        patients=np.concatenate([each.patients for each in cohorts]),
    )


def decoded(codes: Codes, column: Column, *, holes: bool = False, levels: tuple[Level, ...] | None = None) -> Decoded:
    """Gives a pandas array of a column's values from its codes.

    Args:
        codes: Values, day numbers or level indices, shape (rows,); NaN where missing.
        column: The declaration.
        holes: Whether cells may be missing though the column is not nullable.
        levels: Of a category whose levels wait to be learned: those that occur.

    Returns:
        Integers, floats, booleans, dates (`datetime64[s]`) or a Categorical; nullable kinds where cells may be missing.
    """
    if column.kind == "number":
        return codes
    missing = np.isnan(codes)
    some = bool(missing.any())
    whole = (np.where(missing, 0, codes) if some else codes).astype(np.int64)
    if column.kind == "category":
        if some:
            whole[missing] = -1
        return pd.Categorical.from_codes(whole, categories=_categories(levels or column.levels))  # pyright: ignore[reportArgumentType]
    if column.kind == "date":
        dates = (whole - 719163).astype("datetime64[D]").astype("datetime64[s]")
        dates[missing] = np.datetime64("NaT", "s")
        return dates
    if column.kind == "flag":
        flags = whole.astype(bool)
        return pd.arrays.BooleanArray(flags, missing) if some or holes or column.nullable else flags
    return pd.arrays.IntegerArray(whole, missing) if some or holes or column.nullable else whole


def _categories(levels: tuple[Level, ...]) -> list[Level]:
    # A file's column has one type: numbers and texts among the levels are all written as text.
    numbers = all(isinstance(level, int) for level in levels)
    return list(levels) if numbers else [str(level) for level in levels]


def _slot_values(visits: Visits, slot: NDArray[np.intp]) -> Decoded:
    if visits.time is not None:
        return np.array(visits.time.starts)[slot]
    return pd.Categorical.from_codes(slot, categories=list(visits.slots))  # pyright: ignore[reportArgumentType]
