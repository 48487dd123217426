"""Private selection: the best of public candidates, by noisy scores (Rule P11)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan.encode.units import Units
from wardgan.errors import UsageError


class Scoring(Protocol):
    """A score of each of a public list of candidates."""

    @property
    def sensitivity(self) -> float:
        """By how much one patient, added or removed, can change the score of any one candidate."""
        ...

    def scores(self, units: Units, classes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Gives the score of each candidate, shape (candidates,); larger is better."""
        ...


def noisy_top(
    scores: NDArray[np.float64], count: int, *, sensitivity: float, epsilon: float, gumbels: NDArray[np.float64]
) -> NDArray[np.intp]:  # fmt: skip
    """Gives the places of the largest noisy scores, best first: report-noisy-max with Gumbel noise, `count` times.

    One choice draws candidate c with probability proportional to exp(epsilon score_c / (2 sensitivity)), as the
    exponential mechanism does (McSherry & Talwar 2007, theorem 6), so it is epsilon-DP however many candidates there
    are. Several largest ones at once are distributed as that many choices one after the other, each among the
    candidates that are left (Durfee & Rogers 2019, lemma 4.2), so they cost `count` times as much. Only the places are
    private; scores and noise must not leave.

    Args:
        scores: Shape (candidates,); finite, or minus infinity for a candidate that must not be chosen.
        count: How many, at most the number of candidates that may be chosen.
        sensitivity: Largest change of one score between neighbours, greater than 0.
        epsilon: Of one choice, greater than 0.
        gumbels: Standard Gumbel numbers, shape (candidates,).

    Raises:
        UsageError: There are fewer candidates than asked for, or a score is no number.

    Example:
        >>> noisy_top(np.array([3.0, 9.0]), 1, sensitivity=1.0, epsilon=1.0, gumbels=np.array([0.1, -0.2])).tolist()
        [1]
    """
    check.positive(sensitivity=sensitivity, epsilon=epsilon)
    check.whole(1, count=count)
    if np.isnan(scores).any() or np.isposinf(scores).any() or np.isfinite(scores).sum() < count:
        raise UsageError(f"scores: a selection of {count} needs at least as many candidates, and finite scores.")
    return np.argsort(-(scores * (epsilon / (2 * sensitivity)) + gumbels), kind="stable")[:count]
