"""Canary patients: nobody is like them, so a generator that shows one of them has learned from that one."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.attack.patients import rows_of
from wardgan.encode.layout import Layout
from wardgan.encode.units import decode
from wardgan.errors import SchemaError, UsageError
from wardgan.schema.cohort import Cohort, joined
from wardgan.schema.read import broken
from wardgan.schema.schema import Schema

_CHOICE: Final = 4
_TRIED: Final = 16


def canaries(schema: Schema, count: int, stream: np.random.Generator) -> Cohort:
    """Gives patients who obey the schema and are unlike all others: any value with any other, without regard to sense.

    Every number is drawn evenly between its declared bounds and every level with the same chance, each for itself; so a
    canary has values where hardly any patient is, in combinations that nobody has. No cell is empty and no visit is
    left out, because an empty cell tells nobody apart. Of four times as many candidates those are taken who are
    farthest from each other. Who breaks a rule between columns is taken only if there are too few others, and of these
    such whose visits are all alike come first. No patient is looked at.

    Args:
        schema: The declarations.
        count: How many, at least 1.
        stream: What is drawn from.

    Raises:
        SchemaError: A column waits for bounds or levels.
        UsageError: The schema does not allow so many different patients.
    """
    for column in schema.columns:
        if not column.complete:
            raise SchemaError(
                f"{column.name}: an audit makes patients from the schema, and its {_what(column.numeric)} are not "
                "declared. Declare them in a copy of the schema for the audit."
            )
    layout = Layout.of(schema)
    found = _candidates(layout, _CHOICE * count, stream)
    rows, variables = rows_of(found)
    chosen = _far_apart(rows, variables.numeric, count)
    if len(chosen) < count:
        raise UsageError(
            f"canaries={count} are more than the different patients that the schema allows ({len(chosen)} were found); "
            "take fewer."
        )
    return found.take(np.sort(chosen))


def _candidates(layout: Layout, count: int, stream: np.random.Generator) -> Cohort:
    """Gives candidates, those who obey the rules first."""
    kept: list[Cohort] = []
    rest: list[Cohort] = []
    found = 0
    for turn in range(1 if not layout.schema.rules else _TRIED):
        drawn = _drawn(layout, count, stream, alike=turn >= _TRIED // 2)
        bad = broken(drawn)[1]
        kept.append(drawn.take(np.flatnonzero(~bad)))
        rest.append(drawn.take(np.flatnonzero(bad)))
        found += len(kept[-1])
        if found >= count:
            break
    return joined([*kept, *rest[::-1]]).take(slice(count))


def _drawn(layout: Layout, count: int, stream: np.random.Generator, *, alike: bool) -> Cohort:
    """Gives patients whose variables are independent; with `alike`, each has the same values at all visits."""
    units = np.empty((count, len(layout)))
    first: dict[str, int] = {}
    for at, variable in enumerate(layout.variables):
        column = variable.column
        if variable.role in ("presence", "count"):
            units[:, at] = 1.0
        elif alike and variable.source in first:
            units[:, at] = units[:, first[variable.source]]
        else:
            units[:, at] = stream.random(count) if column.numeric else stream.integers(0, column.size, count)
        if variable.source and not variable.gap:
            first.setdefault(variable.source, at)
    return decode(units, stream.integers(0, layout.schema.classes, count), layout)


def _far_apart(rows: NDArray[np.float32], numeric: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    """Gives the places of rows each of which is the farthest from those before it; fewer if no other differs."""
    chosen = [0]
    away = _distance(rows, rows[0], numeric)
    while len(chosen) < count and away.max() > 0:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, _distance(rows, rows[chosen[-1]], numeric))
    return np.array(chosen)


def _distance(rows: NDArray[np.float32], row: NDArray[np.float32], numeric: NDArray[np.bool_]) -> NDArray[np.float32]:
    gaps = np.where(numeric, np.minimum(np.abs(rows - row), 1), rows != row)
    return gaps.mean(axis=1, dtype=np.float32)


def _what(numeric: bool) -> str:
    return "bounds" if numeric else "levels"
