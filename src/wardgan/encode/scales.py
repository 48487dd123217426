"""Declared scales: a number's position on a logarithmic axis between its bounds.

A column with `scale: log` has a long tail: bounds far apart, most values near the lower one. On an equal scale nearly
all patients would share a few cells. So its position is that of the logarithm. A value v with the step s stands for the
interval from v - s/2 to v + s/2, moved up by s so that 0 has a logarithm: the k-th value lies between the borders
low + s/2 + k s and the next, and the intervals of all values fill the axis. The position of a value is the middle of
its interval, so rounding is exact there and back, as on an equal scale.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from wardgan.schema.columns import Column
from wardgan.schema.steps import step_index, step_values


def log_units(codes: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """Gives the positions of values on a logarithmic axis, in [0, 1]; NaN stays NaN.

    Args:
        codes: Values, any shape; beyond the bounds they count as these.
        column: A column with `scale: log`.
    """
    if column.steps is None:
        low, high = cast("float", column.low), cast("float", column.high)
        return _position(np.clip(codes, low, high), low, high)
    return index_units(np.clip(step_index(codes, column), 0, column.steps - 1), column)


def index_units(index: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """Gives the positions of the values with these numbers: the middle of each one's interval."""
    return (border_units(index, column) + border_units(index + 1, column)) / 2


def border_units(index: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """Gives where the intervals of a stepped column's values begin.

    Args:
        index: Numbers of values, any shape; the number of values itself gives the end, 1.
        column: A stepped column with `scale: log`.
    """
    first, step, steps = _first(column), cast("float", column.step), cast("int", column.steps)
    return _position(first + index * step, first, first + steps * step)


def log_codes(units: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """Gives the values at positions in [0, 1] on a logarithmic axis: the inverse of `log_units`.

    Args:
        units: Any shape; it is overwritten.
        column: A column with `scale: log`.
    """
    np.clip(units, 0.0, 1.0, out=units)
    if column.steps is None:
        low, high = cast("float", column.low), cast("float", column.high)
        # The logarithm of a bound does not always lead back to its last digit, and spikes lie on bounds.
        return np.where(units < 1, np.clip(_value(units, low, high), low, high), high)
    return step_values(index_at(units, column), column)


def index_at(units: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """Gives the numbers of the values of a stepped column in whose intervals positions lie."""
    first, step, steps = _first(column), cast("float", column.step), cast("int", column.steps)
    index = np.floor((_value(units, first, first + steps * step) - first) / step)
    return np.clip(index, 0, steps - 1, out=index)


def _first(column: Column) -> float:
    """Gives the border of the first value, moved up by one step."""
    return cast("float", column.low) + cast("float", column.step) / 2


def _position(value: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return np.log(value / low) / np.log(high / low)


def _value(units: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return low * np.exp(units * np.log(high / low))
