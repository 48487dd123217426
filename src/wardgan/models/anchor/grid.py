"""Private quantile bins of numbers: noisy counts on a binary tree over the declared range.

Consistency of the tree after Hay, Rastogi, Miklau, Suciu 2010 ("Boosting the accuracy of differentially private
histograms through consistency"), section 4: bottom-up averages by inverse variance, top-down corrections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.privacy.queries import CellCounts, Levels
from wardgan.schema.columns import Column

_DEPTH: Final = 11


@dataclass(frozen=True)
class Grid:
    """The distribution of one number over its declared range, all patients together.

    Attributes:
        edges: Edges of the cells, ascending units, shape (cells + 1,).
        cumulative: Share of values below each edge, shape (cells + 1,); from 0 to 1.
    """

    edges: NDArray[np.float64]
    cumulative: NDArray[np.float64]

    def bins(self, most: int) -> tuple[float, ...]:
        """Gives the interior edges of at most `most` bins of equal share, on cell edges."""
        middle = (self.cumulative[1:] + self.cumulative[:-1]) / 2
        number = np.minimum(np.floor(most * middle), most - 1)
        return tuple(self.edges[1:-1][np.diff(number) > 0].tolist())

    def share_below(self, units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives the share of values below units of any shape."""
        return np.interp(units, self.edges, self.cumulative)


def cell_query(layout: Layout) -> tuple[CellCounts, list[str]]:
    """Gives the query for all numbers of a layout, and their names; visits of one column share a grid."""
    positions: dict[str, list[int]] = {}
    columns: dict[str, Column] = {}
    for at, variable in enumerate(layout.variables):
        if variable.column.numeric:
            positions.setdefault(variable.column.name, []).append(at)
            columns[variable.column.name] = variable.column
    edges = tuple(_edges(column) for column in columns.values())
    return CellCounts(tuple(tuple(mine) for mine in positions.values()), edges), list(positions)


def grids(query: CellCounts, names: list[str], noisy: NDArray[np.float64], sd: float) -> dict[str, Grid]:
    """Gives the grid of each number from the answer to `cell_query`.

    Args:
        query: What was asked.
        names: The numbers, in the order of the query.
        noisy: The answer.
        sd: Noise of each count.
    """
    found: dict[str, Grid] = {}
    at = 0
    for name, edges, depth in zip(names, query.edges, query.depths(), strict=True):
        size = 2 ** (depth + 1) - 2
        levels = consistent([noisy[at + 2**k - 2 : at + 2 ** (k + 1) - 2] for k in range(1, depth + 1)])
        found[name] = Grid(edges, _cumulative(smooth_leaves(levels, edges, sd)))
        at += size
    return found


def number_levels(grid: Grid, most: int, *, nullable: bool) -> Levels:
    """Gives the levels of a number: bins of equal share, and one for missing cells."""
    edges = grid.bins(most)
    size = len(edges) + 1
    return Levels(edges, size + nullable, size if nullable else None)


def _edges(column: Column) -> NDArray[np.float64]:
    if column.steps is None:
        return np.linspace(0.0, 1.0, 2**_DEPTH + 1)
    depth = min(_DEPTH, max(1, int(np.ceil(np.log2(column.steps)))))
    per_cell = -(-column.steps // 2**depth)
    # Cells beyond the last value have no width; their counts are noise and are dropped below.
    return np.minimum(np.arange(2**depth + 1) * per_cell / column.steps, 1.0)


def consistent(levels: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Gives the least squares tree whose nodes are the sums of their children, from noisy levels of 2, 4, ... nodes."""
    variance = 1.0
    upward = [levels[-1]]
    for level in reversed(levels[:-1]):
        below = upward[-1].reshape(-1, 2).sum(axis=1)
        weight = 1 / (1 + 1 / (2 * variance))
        upward.append(weight * level + (1 - weight) * below)
        variance = weight
    final = [upward[-1]]
    for level in reversed(upward[:-1]):
        gap = final[-1] - level.reshape(-1, 2).sum(axis=1)
        final.append(level + np.repeat(gap / 2, 2))
    return final


def smooth_leaves(levels: list[NDArray[np.float64]], edges: NDArray[np.float64], sd: float) -> NDArray[np.float64]:
    """Gives counts of the leaves that are not negative, with the noise taken out where the tree is silent.

    From the top down, each node's count is split over its two children: as a straight line through the neighbouring
    nodes would have it, and away from that as far as the noisy children insist (James & Stein 1961, in one dimension).
    A spike insists and stays; the far tail, where counts are all noise, follows its neighbours down to 0.

    Args:
        levels: The consistent tree: 2, 4, ... nodes.
        edges: Edges of the leaves; leaves beyond the last value have no width and get nothing.
        sd: Noise of each count before consistency.

    Returns:
        Array of shape (leaves,).
    """
    width = [np.diff(edges)]
    while len(width[-1]) > 2:
        width.append(width[-1].reshape(-1, 2).sum(axis=1))
    mass = np.maximum(levels[0].sum(keepdims=True), 1e-9)
    for level, wide in zip(levels, reversed(width), strict=True):
        around = np.concatenate([[0.0], mass, [0.0]])
        line = np.clip((around[:-2] - around[2:]) / 16, -mass / 2, mass / 2)
        asked = (level[::2] - level[1::2]) / 2 - line
        trust = np.maximum(0.0, 1 - sd**2 / (2 * np.maximum(asked**2, 1e-12)))
        left = np.clip(mass / 2 + line + trust * asked, 0.0, mass)
        left = np.where(wide[1::2] <= 0, mass, left)
        mass = np.stack([left, mass - left], axis=1).ravel()
    return mass


def _cumulative(leaves: NDArray[np.float64]) -> NDArray[np.float64]:
    running = np.concatenate([[0.0], np.cumsum(leaves)])
    return running / running[-1]
