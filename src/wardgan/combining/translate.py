"""Patients of one schema as patients of another: columns by name, units by a factor, levels by a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.units import label_codes, to_codes, to_units
from wardgan.errors import SchemaError
from wardgan.schema.cohort import Codes, Cohort
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Source:
    """Where a column's values come from.

    Attributes:
        name: The column of the other schema.
        times: What its numbers are multiplied by, as for another unit.
        plus: What is added then.
        levels: For levels of the other schema what they are called here; others keep their name.
    """

    name: str
    times: float = 1.0
    plus: float = 0.0
    levels: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def plain(self) -> bool:
        """Whether values stay what they are."""
        return self.times == 1 and self.plus == 0 and not self.levels


@dataclass(frozen=True, eq=False)
class Translation:
    """Makes cohorts of one schema into cohorts of another.

    Attributes:
        source: What is given.
        target: What is wanted.
        columns: For each column of the target where it comes from; those that are not here are missing.
    """

    source: Schema
    target: Schema
    columns: Mapping[str, Source]

    def __call__(self, cohort: Cohort) -> Cohort:
        """Gives the same patients under the target's schema.

        Args:
            cohort: Patients under the source's schema.
        """
        count, visits = len(cohort), self.target.visits
        static = {column.name: self._column(cohort.static, column, (count,)) for column in self.target.table}
        if visits is None:
            return Cohort(self.target, static, {}, None, cohort.patients)
        shape = (count, len(visits.slots))
        measured = {column.name: self._column(cohort.measured, column, shape) for column in visits.columns}
        return Cohort(self.target, static, measured, cohort.present, cohort.patients)

    @cached_property
    def _same(self) -> frozenset[str]:
        """Columns of the target whose codes are those of the source."""
        pairs = {name: (self.source.column(one.name), self.target.column(name)) for name, one in self.columns.items()}
        return frozenset(name for name, pair in pairs.items() if unchanged(*pair, self.columns[name]))

    def classes(self) -> NDArray[np.int64]:
        """Gives for each class of the source the class of the target, shape (classes,)."""
        codes = label_codes(np.arange(self.source.classes), self.source)
        found = np.zeros(self.source.classes, dtype=np.int64)
        for label in self.target.labels:
            here = self._codes(codes[self.columns[label.name].name], label)
            found = found * label.size + here.astype(np.int64)
        return found

    def _column(self, given: Mapping[str, Codes], column: Column, shape: tuple[int, ...]) -> Codes:
        source = self.columns.get(column.name)
        if source is None:
            return np.full(shape, np.nan)
        codes = given[source.name]
        return codes if column.name in self._same else self._codes(codes, column)

    def _codes(self, codes: NDArray[Any], column: Column) -> Codes:
        source = self.columns[column.name]
        if not column.numeric:
            return _levels(codes, self.source.column(source.name), column, source.levels)
        return fitted(codes * source.times + source.plus, column)


def fitted(values: Codes, column: Column) -> Codes:
    """Gives values on a column's grid and between its bounds, any shape; NaN stays.

    Args:
        values: Numbers or days.
        column: A number, integer or date with declared bounds.
    """
    inside = np.clip(values, cast("float", column.low), cast("float", column.high))
    return to_codes(to_units(inside, column), column)


def level_names(column: Column, renamed: Mapping[str, str]) -> list[str]:
    """Gives a column's levels as they are called after renaming.

    Args:
        column: A category or a flag.
        renamed: New names by old ones.
    """
    return [renamed.get(str(level), str(level)) for level in column.levels]


def _levels(codes: NDArray[Any], given: Column, column: Column, renamed: Mapping[str, str]) -> Codes:
    table = np.array([float(column.places.get(name, -1)) for name in level_names(given, renamed)] + [np.nan])
    table[table < 0] = np.nan
    found = codes.astype(np.float64)
    return table[np.where(np.isnan(found), len(table) - 1, found).astype(np.intp)]


def unchanged(given: Column, column: Column, source: Source) -> bool:
    """Tells whether each code of one column means the same in the other.

    Args:
        given: A column of the source.
        column: A column of the target.
        source: How one becomes the other.
    """
    if not column.numeric:
        return level_names(given, source.levels) == [str(level) for level in column.levels]
    return source.plain and (given == column or _same_grid(given, column))


def _same_grid(given: Column, column: Column) -> bool:
    """Tells whether each value of one column is a value of the other as it is."""
    if given.low is None or column.low is None or given.high is None or column.high is None:
        raise SchemaError(f"{column.name}: its bounds are not declared.")
    if given.low < column.low or given.high > column.high:
        return False
    if column.step is None:
        return True
    if given.step is None:
        return False
    ratio, offset = given.step / column.step, (given.low - column.low) / column.step
    return all(abs(part - round(part)) < _ROUNDING for part in (ratio, offset))
