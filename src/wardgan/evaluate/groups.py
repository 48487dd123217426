"""Groups of patients: those of one level, one band of ages, or an unknown one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from wardgan.evaluate.columns import level_name
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema

UNKNOWN: Final = "unknown"
SMALL: Final = 12
AGES: Final = (18, 40, 65, 80)


@dataclass(frozen=True)
class Grouped:
    """A column whose groups of patients are looked at one by one.

    Attributes:
        bounds: For numbers, also those that levels begin with such as `[40-50)`: the first number of each further band.
        names: What levels are called.

    Example:
        >>> Grouped((50, 65)).of(pd.Series([49.9, 50, 70, None])).tolist()
        ['below 50', '50 to 64', '65 and over', 'unknown']
    """

    bounds: tuple[int, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    def of(self, column: pd.Series) -> pd.Series:
        """Gives the group of each patient; `unknown` where the cell is empty."""
        if not self.bounds:
            return column.astype(object).map(self._named, na_action="ignore").where(column.notna(), UNKNOWN)
        numbers = (
            column
            if pd.api.types.is_numeric_dtype(column)
            else column.astype(object).astype(str).str.extract(r"(\d+)")[0]
        )
        found = pd.Series(pd.to_numeric(numbers, errors="coerce")).to_numpy(dtype=float, na_value=np.nan)
        band = np.searchsorted(self.bounds, found, side="right")
        return pd.Series(np.array(self.bands, dtype=object)[band], column.index).where(~np.isnan(found), UNKNOWN)

    @property
    def bands(self) -> list[str]:
        """Names of the bands, lowest first."""
        edges = [f"below {self.bounds[0]}"]
        edges += [f"{low} to {high - 1}" for low, high in zip(self.bounds, self.bounds[1:], strict=False)]
        return [*edges, f"{self.bounds[-1]} and over"]

    def place(self, group: str) -> tuple[bool, int, str]:
        """Gives where a group stands in a list: bands from the lowest, the unknown last."""
        bands = self.bands if self.bounds else []
        return group == UNKNOWN, bands.index(group) if group in bands else len(bands), group

    def _named(self, level: object) -> str:
        return self.names.get(str(level), level_name(level))


def default_groups(schema: Schema) -> dict[str, Grouped]:
    """Gives the groups that a schema lets one look at: labels, flags, small categories, and ages in bands.

    A number counts as an age if its unit is `a` (years in UCUM) or `age` is a word of its name. Its bands are children,
    then from 18, 40, 65 and 80 on; they are public, not made from the patients. A category counts with at most 12
    levels, or if it is a label.

    Args:
        schema: Declarations.

    Example:
        >>> found = {"age": {"kind": "integer", "low": 0, "high": 110}, "died": {"kind": "flag"},
        ...          "sbp": {"kind": "integer", "low": 40, "high": 280}}
        >>> list(default_groups(Schema.from_dict({"name": "demo", "table": found})))
        ['age', 'died']
    """
    labels = {label.name for label in schema.labels}
    found: dict[str, Grouped] = {}
    for column in schema.table:
        if _age(column):
            found[column.name] = Grouped(AGES)
        elif column.name in labels or (not column.numeric and 1 < column.size <= SMALL):
            found[column.name] = Grouped()
    return found


def _age(column: Column) -> bool:
    words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column.name).lower())
    return column.kind in ("number", "integer") and (column.unit == "a" or "age" in words)
