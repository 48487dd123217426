"""Which pairs of variables may be asked for, and in which groups of levels, from public facts and paid answers."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout, Variable

if TYPE_CHECKING:
    from wardgan.models.anchor.anchor import Anchor

Pairs = tuple[tuple[int, int], ...]
MOST: Final = 5_000


def candidate_pairs(layout: Layout) -> Pairs:
    """Gives pairs of variables in order; where there are too many, those of visits that are near each other.

    Whether a visit took place is never paired with its own cells, which exist only where it did.
    """
    variables = layout.variables
    found = [
        pair for pair in combinations(range(len(variables)), 2) if not _own(variables[pair[0]], variables[pair[1]])
    ]
    if len(found) > MOST:
        far = [_distance(variables[one], variables[other]) for one, other in found]
        found = sorted(found[at] for at in np.argsort(far, kind="stable")[:MOST])
    return tuple(found)


def _own(one: Variable, other: Variable) -> bool:
    flag, cell = (one, other) if one.role == "presence" else (other, one)
    return flag.role == "presence" and cell.role == "cell" and flag.slot == cell.slot


def _distance(one: Variable, other: Variable) -> int:
    """Gives how many visits lie between two variables; 0 if one of them belongs to no visit."""
    return 0 if min(one.slot, other.slot) < 0 else abs(one.slot - other.slot)


def groups_of(anchor: Anchor, most: int) -> tuple[NDArray[np.int64], ...]:
    """Gives for each variable the group of each of its levels: at most `most` of about equal shares.

    Groups are neighbours in the order of the anchor's axis; missing cells are a group of their own, the last one.

    Args:
        anchor: Paid answers.
        most: At least 2.
    """
    return tuple(_groups(anchor, at, most) for at in range(len(anchor.levels)))


def _groups(anchor: Anchor, at: int, most: int) -> NDArray[np.int64]:
    order, levels = anchor.order[at], anchor.levels[at]
    group = np.arange(len(order))
    if len(order) > most:
        share = (anchor.probabilities @ anchor.values(at))[order]
        middle = (np.cumsum(share) - share / 2) / share.sum()
        _, group = np.unique(np.minimum(np.floor(most * middle), most - 1), return_inverse=True)
    found = np.zeros(levels.size, dtype=np.int64)
    found[order] = group
    if levels.missing is not None:
        found[levels.missing] = group.max() + 1
    return found
