"""Cohort <-> units: every number as a position between its bounds, every category as a level index.

A stepped number with N possible values has the k-th value at position (k + 1/2) / N, and a position u stands for
value floor(u N): rounding, never truncation, and exactly invertible. With `scale: log` the axis is a logarithm, and the
intervals of the values have other widths (see `wardgan.encode.scales`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout, Variable, gap_column
from wardgan.encode.scales import log_codes, log_units
from wardgan.errors import NetworkError
from wardgan.schema.cohort import Codes, Cohort
from wardgan.schema.columns import Column
from wardgan.schema.references import in_order, since_column
from wardgan.schema.schema import Schema
from wardgan.schema.steps import snapped, step_index, step_values

Units = NDArray[np.float64]
MISSING: Final = -1.0
_HALF: Final = MISSING / 2


def encode(cohort: Cohort, layout: Layout) -> Units:
    """Gives the units of a cohort.

    Args:
        cohort: Patients that obey `layout.schema`.
        layout: The variables.

    Returns:
        Array of shape (patients, variables): positions in [0, 1] of numbers and dates, level indices of categories
        and flags, -1 where a cell is missing, NaN where the whole visit did not take place.
    """
    units = np.empty((len(cohort), len(layout)))
    for at, variable in enumerate(layout.variables):
        units[:, at] = _column_units(cohort, variable)
    return units


def decode(units: Units | NDArray[np.float32], classes: NDArray[np.int64], layout: Layout, *, first: int = 1) -> Cohort:
    """Gives the cohort of units: the inverse of `encode`.

    Args:
        units: Shape (patients, variables), as from `encode`.
        classes: Class of each patient, shape (patients,).
        layout: The variables.
        first: Name of the first patient; the others count on.

    Returns:
        The cohort; values are within their bounds and on their steps.

    Raises:
        NetworkError: A cell is missing that the schema does not allow to be missing.
    """
    static = _static(units, classes, layout)
    present = _present(units, layout)
    measured = _measured(units, static, present, layout)
    return Cohort(layout.schema, static, measured, present, np.arange(first, first + len(units)))


def classes_of(cohort: Cohort) -> NDArray[np.int64]:
    """Gives each patient's class: the labels' levels as one number.

    Returns:
        Array of shape (patients,), 0 to `schema.classes` - 1.
    """
    index = np.zeros(len(cohort), dtype=np.int64)
    for column in cohort.schema.labels:
        index = index * column.size + cohort.static[column.name].astype(np.int64)
    return index


def label_codes(classes: NDArray[np.int64], schema: Schema) -> dict[str, Codes]:
    """Gives the codes of the label columns for classes of shape (patients,)."""
    found: dict[str, Codes] = {}
    index = np.asarray(classes, dtype=np.int64)
    for column in reversed(schema.labels):
        index, level = np.divmod(index, column.size)
        found[column.name] = level.astype(np.float64)
    return found


def to_units(codes: Codes, column: Column) -> Units:
    """Gives the units of a column's codes, any shape; -1 where a cell is missing."""
    if not column.numeric:
        return np.where(np.isnan(codes), MISSING, codes)
    if column.scale is not None:
        units = log_units(codes, column)
    elif column.steps is not None:
        units = (np.clip(step_index(codes, column), 0, column.steps - 1) + 0.5) / column.steps
    else:
        low, high = cast("float", column.low), cast("float", column.high)
        units = np.clip((codes - low) / (high - low), 0.0, 1.0)
    return np.where(np.isnan(codes), MISSING, units)


def to_codes(units: Units | NDArray[np.float32], column: Column) -> Codes:
    """Gives the codes of a column's units, any shape.

    Args:
        units: As from `encode`; numbers beyond 0 and 1 count as these, level indices are rounded to whole ones.
        column: The declaration.

    Returns:
        Values, day numbers or level indices; NaN where the unit is nearer to -1 than to 0, or NaN.
    """
    codes = np.array(units, dtype=np.float64)
    missing = None
    # One pass in the usual case; the minimum of an array with a NaN is NaN.
    if not codes.min(initial=1.0) >= 0:
        missing = ~(codes >= _HALF)
        np.fmax(codes, 0.0, out=codes)
    if not column.numeric:
        np.rint(codes, out=codes)
        np.minimum(codes, column.size - 1, out=codes)
    elif column.scale is not None:
        codes = log_codes(codes, column)
    elif column.steps is not None:
        codes *= column.steps
        np.floor(codes, out=codes)
        np.minimum(codes, column.steps - 1, out=codes)
        step_values(codes, column)
    else:
        low, high = cast("float", column.low), cast("float", column.high)
        codes *= high - low
        codes += low
        np.minimum(codes, high, out=codes)
    if missing is not None:
        codes[missing] = np.nan
    return codes


def _column_units(cohort: Cohort, variable: Variable) -> Units:
    if variable.role == "static":
        codes = cohort.static[variable.name]
        return to_units(codes - cohort.static[variable.since] if variable.since else codes, variable.column)
    present = cast("NDArray[np.bool_]", cohort.present)
    if variable.role == "cell":
        cells = cohort.measured[variable.source]
        codes = cells[:, variable.slot]
        if variable.gap:
            codes = codes - cells[:, variable.slot - 1]
        elif variable.since in cohort.measured:
            codes = codes - cohort.measured[variable.since][:, variable.slot]
        elif variable.since:
            codes = codes - cohort.static[variable.since]
        return np.where(present[:, variable.slot], to_units(codes, variable.column), np.nan)
    if variable.role == "presence":
        return present[:, variable.slot].astype(np.float64)
    return to_units(present.sum(axis=1).astype(np.float64), variable.column)


def _present(units: Units | NDArray[np.float32], layout: Layout) -> NDArray[np.bool_] | None:
    """Gives which visits took place, shape (patients, slots); `None` without visits."""
    visits = layout.schema.visits
    if visits is None:
        return None
    present = np.ones((len(units), len(visits.slots)), dtype=bool)
    for at, variable in enumerate(layout.variables):
        if variable.role == "presence":
            present[:, variable.slot] = to_codes(units[:, at], variable.column) == 1
        elif variable.role == "count":
            present = np.arange(len(visits.slots)) < to_codes(units[:, at], variable.column)[:, None]
    return present


def _static(
    units: Units | NDArray[np.float32], classes: NDArray[np.int64], layout: Layout
) -> dict[str, Codes]:  # fmt: skip
    """Gives the codes of the table's columns, each of shape (patients,)."""
    codes = label_codes(classes, layout.schema)
    for at, variable in enumerate(layout.variables):
        if variable.role == "static":
            codes[variable.name] = _whole(to_codes(units[:, at], variable.column), variable.column, None)
    for column in in_order(layout.schema.table):
        if column.constant:
            codes[column.name] = np.full(len(units), cast("float", column.low))
        elif column.after is not None:
            codes[column.name] += codes[column.after]
    return {column.name: codes[column.name] for column in layout.schema.table}


def _measured(
    units: Units | NDArray[np.float32], static: Mapping[str, Codes], present: NDArray[np.bool_] | None, layout: Layout
) -> dict[str, Codes]:
    """Gives the codes of the visits' columns, each of shape (patients, slots)."""
    visits = layout.schema.visits
    codes: dict[str, Codes] = {}
    for column in in_order(visits.columns if visits else ()):
        first = None
        if column.after is not None:
            first = codes[column.after] if column.after in codes else static[column.after][:, None]
        if visits is not None and column.constant:
            mine = np.full((len(units), len(visits.slots)), cast("float", column.low))
        elif visits is not None and visits.ragged and column.name == visits.key:
            mine = _times(units[:, layout.cells[column.name]], column, first)
        else:
            cells = units[:, layout.cells[column.name]]
            mine = to_codes(cells, column) if first is None else to_codes(cells, since_column(column)) + first
        codes[column.name] = _whole(mine, column, present)
    return {column.name: codes[column.name] for column in (visits.columns if visits else ())}


def _times(units: Units | NDArray[np.float32], column: Column, since: Codes | None) -> Codes:
    """Gives the times of ragged visits from the first one and the gaps after it, shape (patients, slots)."""
    codes = np.empty(units.shape)
    codes[:, :1] = to_codes(units[:, :1], column if since is None else since_column(column))
    codes[:, 1:] = to_codes(units[:, 1:], gap_column(column))
    end = cast("float", column.high) if since is None else float(column.within or 0)
    # A gap that would pass the end starts again within the time that is left, so that visits do not pile up on the
    # last possible day.
    room, one = end - codes[:, 0], column.step or 0.0
    for gap in codes.T[1:]:
        beyond = gap > room
        np.copyto(gap, np.mod(gap, np.maximum(room + one, 1e-300)), where=beyond)
        np.minimum(gap, room, out=gap)
        room = room - gap
    np.cumsum(codes, axis=1, out=codes)
    if since is not None:
        return np.minimum(codes, end) + since
    return np.minimum(snapped(codes, column), end)


def _whole(codes: Codes, column: Column, present: NDArray[np.bool_] | None) -> Codes:
    """Empties the cells of visits that did not take place, and refuses any other hole that is not allowed."""
    if present is not None and not present.all():
        np.copyto(codes, np.nan, where=~present)
    if not column.nullable and not codes.min(initial=0.0) > -np.inf:
        holes = np.isnan(codes) if present is None else np.isnan(codes) & present
        if holes.any():
            raise NetworkError(f"network: it leaves cells of {column.name} empty, which is not nullable.")
    return codes
