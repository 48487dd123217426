"""Statistics that look only at the order of numbers: ranks, Spearman's correlation, area under the ROC curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import area_under_curve


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the ranks from 1 to n of an array of shape (n,), equal values sharing their mean rank.

    Example:
        >>> ranks(np.array([5.0, 1.0, 5.0])).tolist()
        [2.5, 1.0, 2.5]
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def spearman(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Gives Spearman's rank correlation of two arrays of shape (n,); NaN if one is constant or n < 2.

    Example:
        >>> spearman(np.array([1.0, 2.0, 9.0]), np.array([0.0, 5.0, 6.0]))
        1.0
    """
    one, two = (ranks(values) - (values.size + 1) / 2 for values in (left, right))
    spread = float(np.sqrt((one**2).sum() * (two**2).sum()))
    return float((one * two).sum() / spread) if spread else float("nan")


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Gives the chance that a positive patient has the higher score than a negative one (ties count half).

    Args:
        scores: Array of shape (patients,).
        positive: Array of shape (patients,).

    Returns:
        0 to 1; NaN if all patients are positive or all are negative.

    Source:
        Mann and Whitney 1947; Hanley and McNeil, Radiology 1982;143:29.

    Example:
        >>> auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
        0.875
    """
    cases = int(positive.sum())
    controls = positive.size - cases
    if not cases or not controls:
        return float("nan")
    above = float(ranks(scores)[positive].sum()) - cases * (cases + 1) / 2
    return above / (cases * controls)


def auroc_interval(area: float, cases: int, controls: int) -> tuple[float, float]:
    """Gives the 95 % interval of an area under the ROC curve, sensible also near 0 and 1.

    Args:
        area: The measured area, 0 to 1.
        cases: Number of positive patients, at least 1.
        controls: Number of negative patients, at least 1.

    Example:
        >>> [round(end, 3) for end in auroc_interval(0.9, 50, 50)]
        [0.816, 0.946]
    """
    found = area_under_curve(area, cases, controls)
    return found.low, found.high


def weighted_aurocs(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Gives the area under the ROC curve if each patient counted so many times; shape (draws,).

    Args:
        scores: Array of shape (patients,).
        positive: Array of shape (patients,).
        weights: How often each patient counts in each draw, shape (draws, patients).

    Returns:
        NaN where all patients that count are positive, or all negative.

    Example:
        >>> weights = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 2.0]])
        >>> scores, positive = np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True])
        >>> weighted_aurocs(scores, positive, weights).tolist()
        [0.875, 1.0]
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    above = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)  # (draws, distinct scores)
    below = np.add.reduceat(weights[:, order] * ~positive[order], starts, axis=1)
    pairs = above.sum(axis=1) * below.sum(axis=1)
    won = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
    return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1.0), np.nan)
