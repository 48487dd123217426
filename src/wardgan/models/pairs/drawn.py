"""Tables of pairs that drawn patients give, in numpy: what a network, or a copula, expects."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.dependence import absent_cells
from wardgan.privacy.pairs import PairCounts, Table

Groups = tuple[NDArray[np.int64], ...]


def drawn_groups(normals: NDArray[np.float64], y: int, anchor: Anchor, groups: Groups) -> NDArray[np.int64]:
    """Gives the group of each variable of drawn patients of one class; -1 where the visit did not take place.

    Each axis is read by ranks, so the margins are those of the anchor, as they will be in the finished network.

    Args:
        normals: Shape (patients, axes).
        y: The class.
        anchor: Margins.
        groups: For each variable the group of each level.

    Returns:
        Shape (patients, variables).
    """
    rank = np.argsort(np.argsort(normals, axis=0), axis=0)
    uniform = (rank + 0.5) / len(normals)
    levels = np.empty((len(normals), len(groups)), dtype=np.int64)
    for at, order in enumerate(anchor.order):
        borders = np.cumsum(anchor.values(at)[y][order])[:-1]
        levels[:, at] = order[np.searchsorted(borders, uniform[:, at])]
        if at in anchor.holes:
            hole = uniform[:, anchor.holes[at]] >= 1 - anchor.missing(at)[y]
            levels[hole, at] = cast("int", anchor.levels[at].missing)
    found = np.stack([group[levels[:, at]] for at, group in enumerate(groups)], axis=1)
    return np.where(absent_cells(anchor.layout, levels, anchor.counts), -1, found)


def expected_tables(drawn: list[NDArray[np.int64]], patients: NDArray[np.float64], asked: PairCounts) -> list[Table]:
    """Gives the counts that a network expects in the tables of pairs.

    Args:
        drawn: For each class the groups of drawn patients, as from `drawn_groups`.
        patients: Number of patients of each class, shape (classes,).
        asked: The pairs.
    """
    found = [np.zeros(size) for size in asked.sizes()]
    for y, group in enumerate(drawn):
        for place, (one, other) in enumerate(asked.pairs):
            there = (group[:, one] >= 0) & (group[:, other] >= 0)
            shape = found[place].shape[1:]
            cell = group[there, one] * shape[1] + group[there, other]
            count = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
            found[place][y] = count * patients[y] / len(group)
    return found
