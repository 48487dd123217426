"""From groups to levels: each group of a large category is taken apart by the shares of its levels.

A group's levels stand in a table of cells of equal width, as many as levels, each shared by at most two of them (the
alias method; Walker 1977). So a level of any share is drawn with just that share, and the table grows with the number
of levels alone: 700 levels take about 10 kB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.groups import Grouping
from wardgan.sample.network import Graph


@dataclass(frozen=True)
class Cells:
    """The alias table of one large category: cells of all groups, one after the other.

    Attributes:
        first: Number of the first cell of each group, shape (groups,).
        size: Number of cells of each group, shape (groups,).
        cut: Part of each cell that is its own level's, shape (levels,).
        own: Level of each cell, shape (levels,).
        other: Level of the rest of each cell, shape (levels,).
    """

    first: NDArray[np.int64]
    size: NDArray[np.int64]
    cut: NDArray[np.float64]
    own: NDArray[np.int64]
    other: NDArray[np.int64]


def cells(grouping: Grouping) -> Cells:
    """Gives the alias table of a large category."""
    members = [np.flatnonzero(grouping.groups == group) for group in range(grouping.size)]
    size = np.array([len(mine) for mine in members], dtype=np.int64)
    cut, other = np.empty(size.sum()), np.empty(size.sum(), dtype=np.int64)
    own = np.concatenate(members).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    for start, mine in zip(first, members, strict=True):
        part, alias = _alias(grouping.inside[mine] * len(mine))
        cut[start : start + len(mine)] = part
        other[start : start + len(mine)] = mine[alias]
    return Cells(first, size, cut, own, other)


def _alias(scaled: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Gives for each cell the part of its own level, and the level of the rest (Vose 1991).

    Args:
        scaled: Share of each level times the number of levels, shape (levels,); sum about the number of levels.
    """
    left = scaled.copy()
    part, alias = np.ones(len(left)), np.arange(len(left))
    small = [at for at in range(len(left)) if left[at] < 1]
    large = [at for at in range(len(left)) if left[at] >= 1]
    while small and large:
        less, more = small.pop(), large[-1]
        part[less], alias[less] = left[less], more
        left[more] -= 1 - left[less]
        if left[more] < 1:
            small.append(large.pop())
    return part, alias


def runs(table: NDArray[np.int16]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gives the first step of each group in each class, and its number of steps (at least 1).

    Args:
        table: Group of each step, shape (classes, steps, variables); the steps of a group are neighbours.

    Returns:
        Two arrays of shape (classes, groups, variables).
    """
    classes, steps, variables = table.shape
    shape = (classes, int(table.max()) + 1, variables)
    first, number = np.full(shape, steps, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    y, step, at = np.indices(table.shape).reshape(3, -1)
    np.minimum.at(first, (y, table.ravel(), at), step)
    np.add.at(number, (y, table.ravel(), at), 1)
    return first, np.maximum(number, 1)


def add_levels(graph: Graph, group: str, inside: str, anchor: Anchor, chosen: list[int]) -> str:
    """Adds the levels of large categories, from their groups.

    Args:
        graph: The network.
        group: Value of shape (patients, chosen), int32: groups.
        inside: Value of the same shape: uniform numbers from 0 to 1, independent of the group.
        anchor: The groupings.
        chosen: Positions of variables whose column is a large category.

    Returns:
        Value of the same shape: level numbers as float32.
    """
    names = [anchor.layout.variables[at].column.name for at in chosen]
    # Visits of one column share their cells.
    tables = {name: cells(anchor.groupings[name]) for name in dict.fromkeys(names)}
    starts = dict(zip(tables, np.cumsum([0, *(len(table.own) for table in tables.values())]), strict=False))
    groups = max(len(table.size) for table in tables.values())
    first, size = np.zeros((groups, len(chosen))), np.ones((groups, len(chosen)))
    for place, name in enumerate(names):
        number = len(tables[name].size)
        first[:number, place] = tables[name].first + starts[name]
        size[:number, place] = tables[name].size
    width = graph.add("GatherElements", graph.floats(size), group, axis=0)
    scaled = graph.add("Mul", inside, width)
    cell = graph.add("Min", graph.add("Floor", scaled), graph.add("Sub", width, graph.floats(1)))
    begin = graph.add("GatherElements", graph.whole(first), group, axis=0)
    row = graph.add("Add", graph.add("Cast", cell, to=7), begin)

    def looked_up(arrays: list[NDArray[np.float64]] | list[NDArray[np.int64]]) -> str:
        return graph.add("Gather", graph.floats(np.concatenate(arrays)), row, axis=0)

    found = list(tables.values())
    cut, own, other = (
        looked_up(arrays)
        for arrays in ([one.cut for one in found], [one.own for one in found], [one.other for one in found])
    )
    return graph.add("Where", graph.add("Less", graph.add("Sub", scaled, cell), cut), own, other)
