"""Columns as the variables of a regression, the same for each table: what they stand for is fixed on real patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.evaluate.columns import Columns, is_number, level_name, missing

LEAST: Final = 10
_FARTHEST: Final = 10.0
_VARIABLES: Final = 200


@dataclass(frozen=True, eq=False, repr=False)
class Design:
    """Variables of a regression.

    Attributes:
        names: What each variable is, such as `age (per sd)`, `sex: f` or `lactate: missing`.
        tables: For each table the variables, shape (patients, variables).
    """

    names: tuple[str, ...]
    tables: tuple[NDArray[np.float64], ...]


def design(tables: Sequence[Columns], *, least: int = LEAST) -> Design:
    """Gives the variables of a regression for each table, all of them fixed on the first one.

    A number is counted in standard deviations from its mean, and what is more than 10 away counts as 10; one with two
    values is 0 and 1. Missing ones are replaced by the median, and marked by a variable of their own. Text has a
    variable for each level but the most frequent. What fewer than `least` patients of the first table have, or all but
    so few, has no variable. At most 200 variables are made, those of the first columns.

    Args:
        tables: Columns as from `paired`, of the same kinds; at least one table.
        least: How many patients make a variable.

    Example:
        >>> table = {"sex": np.array(["f", "m", "f", None], dtype=object), "sbp": np.array([1.0, 3.0, np.nan, 2.0])}
        >>> found = design([table], least=1)
        >>> found.names
        ('sex: m', 'sex: missing', 'sbp (per sd)', 'sbp: missing')
        >>> found.tables[0][:, 0].tolist()
        [0.0, 1.0, 0.0, 0.0]
    """
    found: list[tuple[str, list[NDArray[np.float64]]]] = []
    for name, column in tables[0].items():
        each = [table[name] for table in tables]
        found += (_number if is_number(column) else _text)(name, each, least)
    kept = found[:_VARIABLES]
    parts = tuple(
        np.column_stack([variable[at] for _, variable in kept])
        if kept
        else np.empty((next(iter(table.values())).size if table else 0, 0))
        for at, table in enumerate(tables)
    )
    return Design(tuple(name for name, _ in kept), parts)


def _number(name: str, each: list[NDArray[Any]], least: int) -> list[tuple[str, list[NDArray[np.float64]]]]:
    known = each[0][~missing(each[0])]
    values, counts = np.unique(known, return_counts=True)
    found: list[tuple[str, list[NDArray[np.float64]]]] = []
    if values.size > 1 and known.size - counts.max() >= least:
        middle = float(np.median(known))
        if values.size == 2:
            low, width, text = float(values[0]), float(values[1] - values[0]), name
            middle = float(values[counts.argmax()])
        else:
            reach = float(np.abs(known).max())
            low = float((known / reach).mean() * reach)
            width, text = float((known / reach - low / reach).std() * reach), f"{name} (per sd)"
        if np.isfinite(width) and width > 0:
            found.append((text, [_scaled(np.where(missing(one), middle, one), low, width) for one in each]))
    return found + _marks(f"{name}: missing", [missing(one) for one in each], least)


def _scaled(values: NDArray[np.float64], low: float, width: float) -> NDArray[np.float64]:
    # Divided before they are subtracted, so that very large numbers stay finite.
    return np.clip(values / width - low / width, -_FARTHEST, _FARTHEST)


def _text(name: str, each: list[NDArray[Any]], least: int) -> list[tuple[str, list[NDArray[np.float64]]]]:
    counts = pd.Series(each[0]).dropna().value_counts(sort=False)
    patients = dict(zip(counts.index.tolist(), counts.tolist(), strict=True))
    order = sorted(patients, key=lambda level: (-patients[level], str(level)))
    found: list[tuple[str, list[NDArray[np.float64]]]] = []
    for level in order[1:]:
        found += _marks(f"{name}: {level_name(level)}", [np.asarray(one == level, dtype=bool) for one in each], least)
    return found + _marks(f"{name}: missing", [missing(one) for one in each], least)


def _marks(name: str, each: list[NDArray[np.bool_]], least: int) -> list[tuple[str, list[NDArray[np.float64]]]]:
    count = int(each[0].sum())
    return [(name, [one.astype(np.float64) for one in each])] if least <= count <= each[0].size - least else []
