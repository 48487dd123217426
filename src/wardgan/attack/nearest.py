"""Nearest neighbours among patients with numbers, levels and empty cells."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

# Distances made at once: a block of them stays in a processor's cache.
_BLOCK: Final = 1 << 18


def nearest(queries: Rows, base: Rows, numeric: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Gives the nearest patient of `base` for each query.

    The distance is a mean over the variables, all weighed alike: between numbers the difference of their positions,
    between levels 0 or 1, between an empty cell and a full one 1, the largest (Gower, Biometrics 1971;27:857).

    Args:
        queries: Shape (patients, variables), as in `Parties`.
        base: Shape (people, variables), at least one.
        numeric: Which variables are positions, shape (variables,).

    Returns:
        Distances of shape (patients,), from 0 to 1, and positions in `base`: of several that are equally near, the
        first.
    """
    kinds = [bool(kind) for kind in numeric]
    columns = np.ascontiguousarray(base.T)  # (variables, people)
    holes = np.asarray((queries < 0).any(axis=0) | (base < 0).any(axis=0), dtype=bool)
    found, place = np.empty(len(queries), dtype=np.float32), np.empty(len(queries), dtype=np.intp)
    size = max(1, _BLOCK // len(base))
    part = np.empty((size, len(base)), dtype=np.float32)
    total = np.empty_like(part)
    for start in range(0, len(queries), size):
        block = queries[start : start + size]
        summed, one = total[: len(block)], part[: len(block)]
        summed[:] = 0
        for at in range(len(kinds)):
            mine = block[:, at, None]
            if kinds[at]:
                np.subtract(mine, columns[at], out=one)
                np.abs(one, out=one)
                if holes[at]:
                    np.minimum(one, 1, out=one)  # an empty cell is -1, so at least 1 from any position
                summed += one
            else:
                summed += mine != columns[at]
        at_least = summed.argmin(axis=1)
        place[start : start + size] = at_least
        found[start : start + size] = summed[np.arange(len(block)), at_least]
    return found / np.float32(max(1, len(numeric))), place
