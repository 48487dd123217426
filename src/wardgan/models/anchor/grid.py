"""Private quantile bins of numbers: noisy counts on a binary tree over the declared range.

Consistency of the tree after Hay, Rastogi, Miklau, Suciu 2010 ("Boosting the accuracy of differentially private
histograms through consistency"), section 4: bottom-up averages by inverse variance, top-down corrections.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.encode.scales import border_units, index_at
from wardgan.privacy.queries import CellCounts, Levels
from wardgan.schema.columns import Column

ATOM: Final = 1e-9
_DEPTH: Final = 11
CELLS: Final = 2**_DEPTH
_EMPTY: Final = 0.3
_NORMALS: Final = np.linspace(-8.0, 8.0, 1601)
_BELOW: Final = np.array([NormalDist().cdf(normal) for normal in _NORMALS.tolist()])


@dataclass(frozen=True)
class Grid:
    """The distribution of one number over its declared range, all patients together.

    Attributes:
        edges: Edges of the cells, ascending units, shape (cells + 1,).
        cumulative: Share of values below each edge, shape (cells + 1,); from 0 to 1.
        ends: Noisy counts of the first and the last cell.
        beside: Noisy counts of the cells next to these.
        total: Noisy count of all cells.
    """

    edges: NDArray[np.float64]
    cumulative: NDArray[np.float64]
    ends: tuple[float, float] = (0.0, 0.0)
    beside: tuple[float, float] = (0.0, 0.0)
    total: float = 0.0

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
        cells = levels[-1][np.diff(edges) > 0]
        ends, beside = ((float(cells[low]), float(cells[high])) for low, high in ((0, -1), (1, -2)))
        cumulative = _cumulative(smooth_leaves(levels, edges, sd))
        found[name] = Grid(edges, cumulative, ends, beside, float(levels[0].sum()))
        at += size
    return found


def number_levels(grid: Grid, most: int, *, nullable: bool) -> Levels:
    """Gives the levels of a number: bins of equal share, and one for missing cells."""
    edges = grid.bins(most)
    size = len(edges) + 1
    return Levels(edges, size + nullable, size if nullable else None)


def _edges(column: Column) -> NDArray[np.float64]:
    """Gives the edges of the cells: on borders of values, and of about equal width on the column's scale.

    The first and the last possible value have a cell of their own, as spikes lie there; for a continuous number it has
    hardly any width. Cells beyond the last value have no width, nor have all but one of those that a wide value on a
    logarithmic scale spans; their counts are noise and are dropped.
    """
    if column.steps is None:
        edges = np.linspace(0.0, 1.0, 2**_DEPTH + 1)
        edges[[1, -2]] = ATOM, 1.0 - ATOM
        return edges
    steps = column.steps
    if column.scale is not None:
        second, last = border_units(np.array([1.0, steps - 1.0]), column).tolist()
        depth = int(np.clip(np.ceil(-np.log2(1.0 - last)), 1, _DEPTH))
        even = np.linspace(0.0, 1.0, 2**depth + 1)
        index = index_at(even, column)
        below, above = border_units(index, column), border_units(index + 1, column)
        edges = np.where(even - below <= above - even, below, above)
        # A first value that spans many cells has got its border from one of the next.
        edges[[0, 1, -2, -1]] = 0.0, second if edges[1] > 0 else 0.0, last, 1.0
        return edges
    depth = min(_DEPTH, max(1, int(np.ceil(np.log2(steps)))))
    # Cells begin at multiples of their width, as round numbers do.
    first = np.minimum(np.arange(2**depth + 1) * -(-steps // 2**depth), steps)
    first[1], first[np.searchsorted(first, steps) - 1] = 1, steps - 1
    return first / steps


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
    A spike insists and stays. At the ends of what has been found so far a child may also hold nobody, with a prior
    probability of .3; otherwise each bound that was declared far away would draw a share of the patients out to it.

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
        full = wide[::2] + wide[1::2]
        around = np.concatenate([[0.0], mass / np.maximum(full, 1e-300) * (full > 0), [0.0]])
        even = mass * np.divide(wide[::2], full, out=np.full(len(mass), 0.5), where=full > 0)
        line = np.clip(even + (around[:-2] - around[2:]) * full / 16, 0.0, mass)
        asked = (mass + level[::2] - level[1::2]) / 2 - line
        trust = np.maximum(0.0, 1 - sd**2 / (2 * np.maximum(asked**2, 1e-12)))
        left = np.clip(line + trust * asked, 0.0, mass)
        if sd:
            left = _or_empty(left, line, asked + line, mass, sd / np.sqrt(2))
        left = np.where(wide[1::2] <= 0, mass, np.where(wide[::2] <= 0, 0.0, left))
        mass = np.stack([left, mass - left], axis=1).ravel()
    return mass


def _or_empty(
    left: NDArray[np.float64], line: NDArray[np.float64], seen: NDArray[np.float64], mass: NDArray[np.float64],
    sd: float,
) -> NDArray[np.float64]:  # fmt: skip
    """Gives the mean count of left children if one of the two may be empty.

    That is the left one at the lower end of all nodes with patients, the right one at the upper end; holes in between
    stay as they are.

    Args:
        left: Counts of left children if both hold patients, shape (nodes,).
        line: What neighbours would have; the child that they say less of is rather the empty one.
        seen: Noisy counts of the left children.
        mass: Counts of the nodes.
        sd: Noise of `seen`.
    """
    full = np.maximum(mass, 1e-12)
    before = np.cumsum(mass) - mass
    after = mass.sum() - before - mass
    # Logarithms of densities of what was seen: nobody on the left, nobody on the right, any share on both.
    first, second = -((seen / sd) ** 2) / 2, -(((seen - full) / sd) ** 2) / 2
    inside = np.interp(seen / sd, _NORMALS, _BELOW) - np.interp((seen - full) / sd, _NORMALS, _BELOW)
    both = np.log(np.maximum(inside, 1e-300) * np.sqrt(2 * np.pi) * sd / full)
    top = np.maximum(np.maximum(first, second), both)
    share = np.clip(line / full, 0.0, 1.0)
    no_left = _EMPTY * (1 - share) * (before <= sd / 2) * np.exp(first - top)
    no_right = _EMPTY * share * (after <= sd / 2) * np.exp(second - top)
    some = (1 - _EMPTY) * np.exp(both - top)
    return np.clip((no_right * mass + some * left) / np.maximum(no_left + no_right + some, 1e-300), 0.0, mass)


def _cumulative(leaves: NDArray[np.float64]) -> NDArray[np.float64]:
    running = np.concatenate([[0.0], np.cumsum(leaves)])
    return running / running[-1]
