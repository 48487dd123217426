"""What makes the refined normals of an axis uniform, so that the quantile tables give the anchor's margins again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_BYTES: Final = 200_000


@dataclass(frozen=True)
class Warp:
    """The distribution of each axis in each class.

    Attributes:
        below: Share of patients whose normal g has Phi(g) below k / steps: from 0 to 1, shape
            (classes, steps + 1, axes).
    """

    below: NDArray[np.float64]

    @classmethod
    def of(cls, drawn: Iterable[Iterable[NDArray[np.float64]]], *, classes: int, axes: int) -> Warp:
        """Counts drawn patients.

        Args:
            drawn: For each class some arrays of Phi(g), shape (patients, axes).
            classes: Number of classes.
            axes: Number of axes.
        """
        steps = warp_steps(classes, axes)
        counts = np.zeros((classes, steps, axes))
        for y, parts in enumerate(drawn):
            for uniform in parts:
                step = np.clip(np.floor(uniform * steps), 0, steps - 1).astype(np.int64)
                cell = step * axes + np.arange(axes)
                counts[y] += np.bincount(cell.ravel(), minlength=steps * axes).reshape(steps, axes)
        below = np.concatenate([np.zeros((classes, 1, axes)), np.cumsum(counts, axis=1)], axis=1)
        return cls(below / below[:, -1:])


def warp_steps(classes: int, axes: int) -> int:
    """Gives the number of steps: a power of two that keeps the model small."""
    return int(2 ** np.clip(np.floor(np.log2(_BYTES / (8 * classes * axes))), 5, 8))
