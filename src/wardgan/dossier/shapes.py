"""Figures of single columns: shares of levels as bars, numbers as the share of patients below each value."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.dossier.document import Bars, Curves, Who
from wardgan.dossier.draw import Axis, Line
from wardgan.evaluate.columns import Columns, columns, missing
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema

Tables = Mapping[Who, pd.DataFrame]
_NAMES: Final[Mapping[Who, str]] = {"real": "real", "holdout": "hold-out", "synthetic": "synthetic"}
AXES: Final = "The highest and the lowest 0.5 % of each number lie beyond its axis."
_LEVELS: Final = 12
_POINTS: Final = 40
_EDGE: Final = 0.005
_MISSING: Final = "(missing)"
_OTHERS: Final = "(all others)"


def shapes(schema: Schema, tables: Tables, names: Sequence[str]) -> list[Bars | Curves]:
    """Gives one figure for each column.

    Args:
        schema: Declarations.
        tables: Wide tables by who they are of.
        names: Columns of these, such as `age` or `sbp@3M`.
    """
    arrays: dict[Who, Columns] = {who: columns(table) for who, table in tables.items()}
    found: list[Bars | Curves] = []
    for name in names:
        column = _column(schema, name)
        if column is None or column.kind == "date" or column.constant:
            continue
        cells: dict[Who, NDArray[Any]] = {who: table[name] for who, table in arrays.items()}
        figure = _steps(column, name, cells) if column.numeric else _shares(column, name, cells)
        found += [] if figure is None else [figure]
    return found


def _column(schema: Schema, name: str) -> Column | None:
    source = name.partition("@")[0]
    return next((column for column in schema.columns if column.name == source), None)


def _shares(column: Column, name: str, cells: Mapping[Who, NDArray[Any]]) -> Bars:
    shares: dict[Who, dict[str, float]] = {who: _counted(column, one) for who, one in cells.items()}
    levels = ["False", "True"] if column.kind == "flag" else [str(level) for level in column.levels]
    if any(_MISSING in one for one in shares.values()):
        levels.append(_MISSING)
    # A page has room for a dozen; which ones is told by the real patients, or by the synthetic ones alone.
    first = shares.get("real", shares["synthetic"])
    frequent = sorted(levels, key=lambda level: -first.get(level, 0.0))[: _LEVELS - 1]
    shown = levels if len(levels) <= _LEVELS else [level for level in levels if level in frequent]
    cut = len(levels) > len(shown)
    groups: list[tuple[str, Who, list[float]]] = []
    for who, one in shares.items():
        each = [one.get(level, 0.0) for level in shown]
        groups.append((_NAMES[who], who, [*each, max(0.0, 1.0 - math.fsum(each))] if cut else each))
    labels = [*shown, _OTHERS] if cut else shown
    return Bars(f"{name}: share of patients with each level", labels, groups)


def _counted(column: Column, cells: NDArray[Any]) -> dict[str, float]:
    """Gives the share of each level; flags come as numbers."""
    texts = [_MISSING if absent else cell for cell, absent in zip(cells.tolist(), missing(cells), strict=True)]
    counts = Counter(
        text if text == _MISSING else str(bool(text)) if column.kind == "flag" else _plain(text) for text in texts
    )
    return {level: count / len(texts) for level, count in counts.items()}


def _plain(cell: object) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _steps(column: Column, name: str, cells: Mapping[Who, NDArray[Any]]) -> Curves | None:
    known: dict[Who, NDArray[Any]] = {who: values[np.isfinite(values)] for who, values in cells.items()}
    if any(not values.size for values in known.values()):
        return None
    whole = np.concatenate(list(known.values()))
    low, high = (float(np.quantile(whole, edge)) for edge in (_EDGE, 1 - _EDGE))
    if low == high:
        low, high = float(whole.min()), float(whole.max())
    if low == high:
        return None
    log = column.scale == "log" and low > 0
    grid = np.geomspace(low, high, _POINTS) if log else np.linspace(low, high, _POINTS)
    lines = [
        Line(_NAMES[who], who, [_round(x) for x in grid], [round(float((values <= x).mean()), 4) for x in grid])
        for who, values in known.items()
    ]
    unit = f" ({column.unit})" if column.unit else ""
    across = Axis(f"{name}{unit}", _round(low), _round(high), log=log)
    title = f"{name}: share of patients at or below each value"
    return Curves(title, lines, across, Axis("share of patients", 0.0, 1.0))


def _round(value: float) -> float:
    """Gives a number with as many digits as a figure can show."""
    return float(f"{value:.5g}")
