"""Spikes of numbers with more possible values than the grid has cells: which value within a heavy cell is shared.

The grid of such a number counts ranges of values. Where one of them towers over its neighbours, its values are counted
one by one, with a small part of the budget, and those that stand out get cells of their own. Which ranges are looked
into follows from the noisy grid alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.encode.scales import border_units, index_at
from wardgan.models.anchor.grid import CELLS, Grid, cell_query
from wardgan.privacy.queries import RangeCounts
from wardgan.schema.columns import Column

PILE: Final = 0.05
SURE: Final = 4.0
TOWER: Final = 3.0
_MOST_VALUES: Final = 4_096
_HAIR: Final = 1e-12
_WHOLE: Final = np.array([0.0, 1.0])


def coarse(layout: Layout) -> dict[str, Column]:
    """Gives the numbers with more possible values than cells; those without steps have no value twice.

    Args:
        layout: The variables.
    """
    numbers = {one.column.name: one.column for one in layout.variables if one.column.numeric}
    return {name: column for name, column in numbers.items() if column.steps is not None and column.steps > CELLS}


def heavy(grid: Grid, column: Column, sd: float) -> list[int]:
    """Gives the cells of several possible values that tower over their neighbours, in order.

    Args:
        grid: Of the number.
        column: Its declaration.
        sd: Noise of each count.
    """
    counts = np.diff(grid.cumulative) * max(grid.total, 0.0)
    real = np.flatnonzero(np.diff(grid.edges) > 0)
    inner = real[1:-1]
    around = (counts[real[:-2]] + counts[real[2:]]) / 2
    towers = inner[(counts[inner] > max(PILE * grid.total, SURE * sd)) & (counts[inner] > TOWER * around)].tolist()
    return [at for at in towers if column.steps is None or len(_borders(grid, at, column)) > 2]


def spike_query(layout: Layout, grids: Mapping[str, Grid], cells: Mapping[str, list[int]]) -> RangeCounts:
    """Gives the query for the values within heavy cells. It is asked about all coarse numbers, whatever was found.

    Args:
        layout: The variables.
        grids: For each number its grid.
        cells: For each coarse number its heavy cells.
    """
    every, names = cell_query(layout)
    wanted = coarse(layout)
    columns = tuple(every.columns[names.index(name)] for name in wanted)
    borders = {name: [_borders(grids[name], at, column) for at in cells[name]] for name, column in wanted.items()}
    return RangeCounts(columns, tuple(map(_edges, borders.values())))


def with_spikes(
    layout: Layout, grids: Mapping[str, Grid], cells: Mapping[str, list[int]], answer: Sequence[NDArray[np.float64]],
    noise: float,
) -> dict[str, Grid]:  # fmt: skip
    """Gives the grids with cells of their own for values that many patients share.

    Args:
        layout: The variables.
        grids: For each number its grid.
        cells: For each coarse number its heavy cells.
        answer: For each coarse number the counts that `spike_query` asked for.
        noise: Noise of each of them.
    """
    found = dict(grids)
    for (name, column), counts in zip(coarse(layout).items(), answer, strict=True):
        borders = [_borders(grids[name], at, column) for at in cells[name]]
        edges = _edges(borders)
        # From the last one on, so that the places of the others stay.
        for at, mine in reversed(list(zip(cells[name], borders, strict=True))):
            first = int(np.searchsorted(edges, mine[0]))
            found[name] = _split(found[name], at, mine, counts[first : first + len(mine) - 1], noise)
    return found


def _split(
    grid: Grid, at: int, borders: NDArray[np.float64], counts: NDArray[np.float64], noise: float
) -> Grid:  # fmt: skip
    """Gives a grid in which the values of a cell that stand out have cells of their own; the rest is spread evenly."""
    share = grid.cumulative[at + 1] - grid.cumulative[at]
    whole = max(share * grid.total, 1e-9)
    usual = max(float(np.sort(counts)[: max(1, len(counts) // 2)].mean()), 0.0)
    spikes = np.flatnonzero(counts > max(SURE * noise, TOWER * usual, PILE * whole))
    if not len(spikes):
        return grid
    parts = np.zeros(len(counts))
    parts[spikes] = np.clip(counts[spikes] - usual, 0.0, None) / whole
    parts /= max(1.0, float(parts.sum()))
    parts += (1.0 - parts.sum()) / len(parts)
    running = grid.cumulative[at] + share * np.concatenate([[0.0], np.cumsum(parts)])
    kept = np.unique(np.concatenate([[0, len(counts)], spikes, spikes + 1]))
    edges = np.concatenate([grid.edges[:at], borders[kept], grid.edges[at + 2 :]])
    cumulative = np.concatenate([grid.cumulative[:at], running[kept], grid.cumulative[at + 2 :]])
    return replace(grid, edges=edges, cumulative=cumulative)


def _edges(borders: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Gives the ranges that are counted of a number: the values within its heavy cells, and what lies between."""
    return np.unique(np.concatenate([_WHOLE, *borders]))


def _borders(grid: Grid, at: int, column: Column) -> NDArray[np.float64]:
    """Gives the borders of the values in a cell, ascending units; those of the cell alone if it has too many."""
    low, high = float(grid.edges[at]), float(grid.edges[at + 1])
    ends = np.array([low, high])
    steps = cast("int", column.steps)
    if column.scale is None:
        index = np.arange(round(low * steps), round(high * steps) + 1)
        return ends if len(index) > _MOST_VALUES + 1 else index / steps
    first, last = index_at(np.array([low + _HAIR, high - _HAIR]), column).tolist()
    if last - first >= _MOST_VALUES:
        return ends
    return np.concatenate([[low], border_units(np.arange(first + 1, last + 1), column), [high]])
