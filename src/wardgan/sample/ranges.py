"""Conditions as ranges of units: what the network must give for a patient to meet them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np

from wardgan.encode.layout import Layout
from wardgan.sample.forms import Floats
from wardgan.sample.wish import Condition
from wardgan.schema.columns import Column
from wardgan.schema.steps import step_index

_HOLE: Final = -0.5
_HALF: Final = 0.5
_HAIR: Final = 1e-9


@dataclass(frozen=True)
class Need:
    """A variable that must lie in one of some ranges.

    Attributes:
        variable: Its number.
        ranges: Both ends included, shape (ranges, 2).
    """

    variable: int
    ranges: Floats


def needs(condition: Condition, layout: Layout) -> tuple[Need, ...]:
    """Gives what every patient who meets a condition has; there may be patients who have it and do not meet it.

    A missing cell of a visit is a hole or the want of the visit, and the number of named visits is a sum: nothing is
    said about them, nor about constants, dates that are counted from others, and logarithmic scales.

    Args:
        condition: It is not about a label.
        layout: The variables.
    """
    at = condition.place
    visits = layout.schema.visits
    if at.kind in ("column", "cell") and not _direct(layout, at.name):
        return ()
    if at.kind == "column":
        return (_need(layout, at.name, condition),)
    if at.kind == "visit":
        return (_need(layout, at.name, condition),)
    ragged = visits is not None and visits.ragged
    if at.kind == "count":
        return (_need(layout, at.name, condition),) if ragged else ()
    complete = visits is not None and visits.complete
    if condition.missing and not complete:
        return ()
    found = [] if complete else [_visit(layout, at.slot)]
    variable = layout.variables[layout.names.index(at.name)]
    return (*found, *([] if variable.gap else [_need(layout, at.name, condition)]))


def _direct(layout: Layout, name: str) -> bool:
    """Whether a variable stands for a column's own values, in equal steps."""
    if name not in layout.names:
        return False
    variable = layout.variables[layout.names.index(name)]
    return not variable.since and variable.column.scale is None


def _need(layout: Layout, name: str, condition: Condition) -> Need:
    parts = _ranges(condition)
    return Need(layout.names.index(name), np.array(parts, dtype=np.float64).reshape(-1, 2))


def _visit(layout: Layout, slot: int) -> Need:
    """Gives what says that a visit took place."""
    for at, variable in enumerate(layout.variables):
        if variable.role == "presence" and variable.slot == slot:
            return Need(at, np.array([[_HALF - _HAIR, np.inf]]))
        if variable.role == "count":
            steps = cast("int", variable.column.steps)
            return Need(at, np.array([[(slot + 1) / steps - _HAIR, np.inf]]))
    return Need(0, np.array([[-np.inf, np.inf]]))


def _ranges(condition: Condition) -> list[tuple[float, float]]:
    column = condition.place.column
    pairs = [condition.codes] if condition.range else [(code, code) for code in condition.codes]
    found = [_span(low, high, column) for low, high in pairs]
    # A visit that is not known to have taken place did not, and a count that is not known is none.
    lost = condition.place.kind in ("visit", "count") and any(low <= 0 for low, _ in pairs)
    return [*found, (-np.inf, _HOLE)] if condition.missing or lost else found


def _span(low: float, high: float, column: Column) -> tuple[float, float]:
    """Gives the units of the codes between two ends, as `encode.units.to_codes` reads them."""
    least, most = (
        (0.0, column.size - 1.0) if not column.numeric else (cast("float", column.low), cast("float", column.high))
    )
    first, last = max(low, least), min(high, most)
    if not column.numeric:
        ends = first - _HALF, last + _HALF
    elif column.steps is not None:
        index = step_index(np.array([first, last]), column)
        ends = index[0] / column.steps, (index[1] + 1) / column.steps
    else:
        ends = (first - least) / (most - least), (last - least) / (most - least)
    return (_HOLE if low <= least else ends[0]) - _HAIR, np.inf if high >= most else ends[1] + _HAIR
