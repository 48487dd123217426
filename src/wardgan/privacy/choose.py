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


def noisy_max(
    scores: NDArray[np.float64], *, sensitivity: float, epsilon: float, gumbels: NDArray[np.float64]
) -> int:  # fmt: skip
    """Gives the place of the largest noisy score: report-noisy-max with Gumbel noise.

    It draws candidate c with probability proportional to exp(epsilon score_c / (2 sensitivity)), as the exponential
    mechanism does (McSherry & Talwar 2007, theorem 6; Durfee & Rogers 2019, lemma 4.2), so it is epsilon-DP however
    many candidates there are. Only the place is private; scores and noise must not leave.

    Args:
        scores: Shape (candidates,), finite.
        sensitivity: Largest change of one score between neighbours, greater than 0.
        epsilon: Of this one selection, greater than 0.
        gumbels: Standard Gumbel numbers, shape (candidates,).

    Raises:
        UsageError: There is no candidate, or a score is not finite.

    Example:
        >>> noisy_max(np.array([3.0, 9.0]), sensitivity=1.0, epsilon=1.0, gumbels=np.array([0.1, -0.2]))
        1
    """
    check.positive(sensitivity=sensitivity, epsilon=epsilon)
    if not len(scores) or not np.isfinite(scores).all():
        raise UsageError("scores: a selection needs at least one candidate, and finite scores.")
    return int(np.argmax(scores * (epsilon / (2 * sensitivity)) + gumbels))
