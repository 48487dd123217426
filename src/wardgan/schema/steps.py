"""Possible values of stepped columns: the same floating-point number wherever a value is made."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.schema.columns import Column

_DIGITS: Final = 15


def step_index(codes: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """Gives which possible value is nearest to each code: 0 for `low`, 1 for `low` + `step` and so on.

    Args:
        codes: Values or day numbers, any shape; NaN stays NaN.
        column: A column with a step, or a constant; without `low` the steps are counted from 0.

    Returns:
        Whole numbers as floats, not cut off at the bounds; an array of its own.
    """
    index = codes - column.low if column.low else np.array(codes, dtype=np.float64)
    index /= column.step or 1.0
    return np.rint(index, out=index)


def step_values(index: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """Gives the possible values of a column by number, in place.

    Each value is the float nearest to a short decimal: 3 steps of 0.1 are 0.3 and not 0.30000000000000004.

    Args:
        index: Numbers of values as from `step_index`, any shape; it is overwritten.
        column: A column with a step, or a constant.

    Returns:
        `index`, now holding values.

    Example:
        >>> tenths = Column("ph", "number", low=0.0, high=1.0, step=0.1)
        >>> step_values(np.array([3.0, 7.0, 10.0]), tenths).tolist()
        [0.3, 0.7, 1.0]
    """
    low, step = column.low or 0.0, column.step or 1.0
    if column.steps == 1:
        # A constant of many digits would not survive the rounding below.
        np.copyto(index, low, where=~np.isnan(index))
        return index
    if step != 1:
        index *= step
    if low:
        index += low
    digits = _digits(low, step)
    if digits:
        np.round(index, digits, out=index)
    if column.high is not None and not (step.is_integer() and low.is_integer()):
        # Where no short decimal exists, the last value may lie a rounding error above its bound.
        np.minimum(index, column.high, out=index)
    return index


def snapped(codes: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """Gives the possible values nearest to codes of any shape; without a step, the codes themselves."""
    return codes if column.step is None else step_values(step_index(codes, column), column)


@lru_cache(maxsize=4096)
def _digits(low: float, step: float) -> int | None:
    """Gives how many decimals write both numbers exactly; `None` if too many."""
    return next((n for n in range(_DIGITS + 1) if round(low, n) == low and round(step, n) == step), None)
