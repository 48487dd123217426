"""Adaptive shrinkage: what noisy numbers most likely are, when few of them are large and their noise is known."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_ROUNDS: Final = 60
_FEWEST: Final = 8


def shrunk(
    values: NDArray[np.float64], variances: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives posterior means and variances of numbers that were seen with normal noise of known variance.

    The prior is a mixture of normals around 0, of fixed widths, whose weights are fitted to all numbers together
    (empirical Bayes by expectation-maximisation; Stephens 2017, "False discovery rates: a new deal", section 2). So
    many numbers near 0 are drawn to 0, and a few large ones stay.

    Args:
        values: Any shape.
        variances: Of the noise, the same shape, greater than 0.

    Returns:
        Means and variances, of the same shape; fewer than 8 numbers are given back as they are.
    """
    if values.size < _FEWEST:
        return values, variances
    flat, noise = values.ravel(), variances.ravel()
    widest = float(np.sqrt(max((flat**2 - noise).max(), noise.min())))
    narrow = float(np.sqrt(noise.min())) / 4
    number = max(2, int(np.ceil(2 * np.log2(2 * widest / narrow))))
    prior = np.concatenate([[0.0], (narrow * 2 ** (np.arange(number + 1) / 2)) ** 2])  # (widths,)
    total = prior[:, None] + noise
    log_like = -0.5 * (np.log(total) + flat**2 / total)  # (widths, numbers)
    like = np.exp(log_like - log_like.max(axis=0))
    weight = np.full(len(prior), 1 / len(prior))
    for _ in range(_ROUNDS):
        part = weight[:, None] * like
        part /= part.sum(axis=0)
        # A little mass at 0: where nothing tells, nothing is there.
        count = part.sum(axis=1)
        count[0] += 1.0
        weight = count / count.sum()
    part = weight[:, None] * like
    part /= part.sum(axis=0)
    keep = prior[:, None] / total
    mean = (part * keep * flat).sum(axis=0)
    second = (part * (keep * noise + (keep * flat) ** 2)).sum(axis=0)
    return mean.reshape(values.shape), np.maximum(second - mean**2, 1e-12).reshape(values.shape)
