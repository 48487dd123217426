"""Distances between points, in blocks: what attacks on images and measures of images share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Owners = NDArray[np.int64]

_BLOCK: Final = 500


def squared(one: Points, other: Points) -> Points:
    """Gives squared distances of shape (first, second); those of two equal points are 0 but for rounding.

    Args:
        one: Shape (first, numbers).
        other: Shape (second, numbers).
    """
    found = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.maximum(found, 0.0)


def nearest(
    points: Points, base: Points, owners: Owners | None = None, mine: Owners | None = None
) -> tuple[Points, NDArray[np.intp]]:  # fmt: skip
    """Gives the distance to the nearest point of the base and its place, both of shape (points,).

    Args:
        points: Shape (points, numbers).
        base: Shape (others, numbers).
        owners: Patient of each point of the base; points of one's own patient do not count. Who has no other point
            there is infinitely far.
        mine: Patient of each point; `None` if the base is the points themselves.
    """
    whose = owners if mine is None else mine
    found, place = np.empty(len(points)), np.empty(len(points), dtype=np.intp)
    for part in parts(len(points)):
        apart = squared(points[part], base)
        if owners is not None and whose is not None:
            apart[whose[part, None] == owners] = np.inf
        place[part] = apart.argmin(axis=1)
        # The difference of large numbers loses digits where two points are the same, so the winner is measured again.
        found[part] = np.linalg.norm(points[part] - base[place[part]], axis=1)
        found[part][~np.isfinite(apart.min(axis=1))] = np.inf
    return found, place


def parts(count: int) -> Iterator[slice]:
    """Gives slices that cover so many points, few enough at a time for a table of their distances."""
    return (slice(at, at + _BLOCK) for at in range(0, count, _BLOCK))


def even(*owners: Owners) -> bool:
    """Tells whether all patients of all sides have the same number of points.

    Whoever has more is nearer to everything; where the sides differ in that, their numbers cannot be compared.

    Args:
        owners: Of each side the patient of each point.

    Example:
        >>> even(np.array([0, 0, 1, 1]), np.array([5, 5])), even(np.array([0, 1, 1]), np.array([5]))
        (True, False)
    """
    return len({int(count) for side in owners for count in np.unique(side, return_counts=True)[1]}) == 1
