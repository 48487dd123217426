"""Several networks in one: a latent normal chooses which of them makes a patient."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from wardgan.sample.network import Graph


def cuts(weights: NDArray[np.float64]) -> list[float]:
    """Gives the normals between which each part is chosen, one fewer than parts.

    Args:
        weights: Share of each part, all above 0, shape (parts,); sums to 1.

    Example:
        >>> [round(cut, 3) for cut in cuts(np.array([0.25, 0.25, 0.5]))]
        [-0.674, 0.0]
    """
    below = np.clip(np.cumsum(weights / weights.sum())[:-1], 1e-12, 1 - 1e-12)
    return [NormalDist().inv_cdf(float(part)) for part in below]


def add_choice(graph: Graph, parts: Sequence[str], weights: NDArray[np.float64], *, latent: int) -> str:
    """Adds the choice of one of several values for each patient, by the last latent normal.

    Args:
        graph: The network.
        parts: Values of one shape (patients, numbers).
        weights: Share of each part, shape (parts,).
        latent: Number of latent normals, with that of the choice.

    Returns:
        Value of the same shape.
    """
    last = graph.add("Slice", "latent", graph.whole([latent - 1]), graph.whole([latent]), graph.whole([1]))
    found = parts[-1]
    for part, cut in reversed(list(zip(parts[:-1], cuts(weights), strict=True))):
        found = graph.add("Where", graph.add("Less", last, graph.floats([[cut]])), part, found)
    return found
