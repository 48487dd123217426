"""Quantile tables: from a uniform number to a value, in the same steps for torch, numpy and ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.units import to_codes
from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.grid import ATOM
from wardgan.schema.columns import Column

_BYTES: Final = 400_000
_FEWEST_STEPS: Final = 256
_MOST_STEPS: Final = 4096
_HAIR: Final = 1e-8
_ULP: Final = 2.0**-23


@dataclass(frozen=True)
class NumberTable:
    """Units of one number for equal steps of a uniform number, for each class.

    Within a step the unit goes from `start` to `start + rise`; a jump of the distribution (a spike) never lies inside
    a step, so no value between two spikes is ever made. Missing cells have an axis of their own.

    Attributes:
        start: Shape (classes, steps).
        rise: Shape (classes, steps).
    """

    start: NDArray[np.float64]
    rise: NDArray[np.float64]


def number_steps(anchor: Anchor) -> int:
    """Gives the number of steps of number tables: a power of two that keeps the model small."""
    numbers = sum(variable.column.numeric for variable in anchor.layout.variables)
    fitting = _BYTES / max(8 * numbers * len(anchor.probabilities), 1)
    return int(2 ** np.clip(np.floor(np.log2(max(fitting, 1))), 6, 10))


def number_table(anchor: Anchor, at: int, steps: int) -> NumberTable:
    """Gives the table of one number.

    Args:
        anchor: The anchor.
        at: Position of the variable.
        steps: Number of steps.
    """
    levels, column = anchor.levels[at], anchor.layout.variables[at].column
    grid = anchor.grids[column.name]
    bins = levels.size - (levels.missing is not None)
    edges = np.concatenate([[0.0], np.asarray(levels.edges or ()), [1.0]])
    start, rise = np.empty((2, len(anchor.probabilities), steps))
    for y, margin in enumerate(anchor.values(at)):
        shares = np.concatenate([[0.0], np.cumsum(margin[:bins])])
        u = np.arange(steps + 1) / steps
        # A hair inside the step: exactly on its border stands whatever is empty there.
        left = _unit(u[:-1] + _HAIR, shares, edges, grid.edges, grid.cumulative)
        right = _unit(u[1:] - _HAIR, shares, edges, grid.edges, grid.cumulative)
        start[y], rise[y] = _off_borders(*_without_jumps(*_on_bounds(left, right, column), column), column)
    return NumberTable(start, rise)


def category_steps(anchor: Anchor) -> int:
    """Gives the number of steps of category tables: a power of two that keeps the model small, 4,096 at most."""
    categories = sum(not variable.column.numeric for variable in anchor.layout.variables)
    fitting = _BYTES / max(2 * categories * len(anchor.probabilities), 1)
    return int(np.clip(2 ** np.floor(np.log2(max(fitting, 1))), _FEWEST_STEPS, _MOST_STEPS))


def category_table(anchor: Anchor, at: int) -> NDArray[np.int16]:
    """Gives the level for each of equal steps of a uniform number, shape (classes, steps).

    Steps are given to levels by largest remainder, so that a rare level keeps its share.
    """
    steps = category_steps(anchor)
    order = anchor.order[at]
    table = np.empty((len(anchor.probabilities), steps), dtype=np.int16)
    for y, margin in enumerate(anchor.values(at)):
        exact = margin[order] / margin[order].sum() * steps
        count = np.floor(exact).astype(int)
        rest = steps - count.sum()
        count[np.argsort(count - exact, kind="stable")[:rest]] += 1
        table[y] = np.repeat(order, count)
    return table


def _unit(
    u: NDArray[np.float64], shares: NDArray[np.float64], edges: NDArray[np.float64], cells: NDArray[np.float64],
    cumulative: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Gives the unit below which a share u of the values lies."""
    level = np.clip(u, 0.0, 1.0 - 1e-12)
    which = np.clip(np.searchsorted(shares, level, side="right") - 1, 0, len(edges) - 2)
    width = np.maximum(shares[which + 1] - shares[which], 1e-12)
    inside = np.clip((level - shares[which]) / width, 0.0, 1.0)
    below = np.interp(edges, cells, cumulative)
    target = below[which] + inside * (below[which + 1] - below[which])
    flat = below[which + 1] - below[which] < 1e-9
    # The inverse of the grid inside the bin; a bin without mass on the grid is filled evenly.
    strictly = np.maximum.accumulate(cumulative + np.arange(len(cumulative)) * 1e-13)
    unit = np.interp(target, strictly, cells)
    even = edges[which] + inside * (edges[which + 1] - edges[which])
    return np.clip(np.where(flat, even, unit), edges[which], edges[which + 1])


def _on_bounds(
    left: NDArray[np.float64], right: NDArray[np.float64], column: Column
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moves what lies in the cell of a continuous number's bound onto the bound, as spikes lie there exactly."""
    if column.steps is not None:
        return left, right
    left, right = (np.where(end <= ATOM, 0.0, np.where(end >= 1 - ATOM, 1.0, end)) for end in (left, right))
    return left, right


def _without_jumps(
    left: NDArray[np.float64], right: NDArray[np.float64], column: Column
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rise = np.maximum(right - left, 0.0)
    # A rise far above its neighbours', over several possible values, is the gap between two spikes.
    usual = np.median(rise[rise > 0]) if (rise > 0).any() else 0.0
    wide = rise > 0.01 if column.step is None else to_codes(right, column) - to_codes(left, column) > 1.5 * column.step
    gap = (rise > 20 * max(usual, 1e-9)) & wide
    inner = gap & (np.roll(rise, 1) < rise / 5) & (np.roll(rise, -1) < rise / 5)
    inner[[0, -1]] = False
    return left, np.where(inner, 0.0, rise)


def _off_borders(
    start: NDArray[np.float64], rise: NDArray[np.float64], column: Column
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moves both ends of each step off the borders of possible values: single precision would round across them.

    Otherwise a patient would now and then have the value after the one that is meant, which may be one that no patient
    can have, such as a day after the end of a study.
    """
    if column.steps is None:
        return start, rise
    short = np.maximum(rise - 2 * _ULP, 0.0)
    return start + np.where(rise > 2 * _ULP, _ULP, np.maximum(rise / 2, _ULP)), short
