"""What right guesses prove: a lower bound of epsilon from one training with canaries."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MOST: Final = 64.0
_ROUNDS: Final = 40
_MANY: Final = 200_000


def least_epsilon(canaries: int, guesses: int, right: int, *, delta: float, confidence: float = 0.95) -> float:
    """Gives a lower bound of epsilon: no (epsilon, delta)-private training below it lets somebody guess so well.

    A fair coin decided for each canary alone whether it was trained on. The guesses may hang on each other and on
    all that the training gave out; who is guessed and how many must be fixed before the coins are looked at.

    Args:
        canaries: How many coins were tossed, at least 1.
        guesses: For how many canaries "in" or "out" was guessed; nothing was said about the others.
        right: How many of the guesses are right.
        delta: Of the claim, at least 0 and below 1.
        confidence: Of the bound, in (0, 1).

    Returns:
        The bound, rounded down; 0 says nothing at all.

    Source:
        Steinke, Nasr and Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023, theorem 5.2.

    Example:
        >>> round(least_epsilon(1000, 100, 75, delta=1e-4), 3)
        0.673
    """
    low, high = 0.0, _MOST
    if chance(canaries, guesses, right, epsilon=low, delta=delta) > 1 - confidence:
        return 0.0
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        rejected = chance(canaries, guesses, right, epsilon=middle, delta=delta) <= 1 - confidence
        low, high = (middle, high) if rejected else (low, middle)
    return low


def chance(canaries: int, guesses: int, right: int, *, epsilon: float, delta: float) -> float:
    """Gives how likely so many right guesses are, at most, under an (epsilon, delta)-private training.

    With W right guesses of randomised response, each right with e^epsilon / (1 + e^epsilon): P(W >= v), and for
    delta at most 2 m delta max_i P(v - i <= W < v) / i on top of it.

    Args:
        canaries: Number of coins, m.
        guesses: Number of guesses, r.
        right: Number of right guesses, v.
        epsilon: Of the training.
        delta: Of the training.

    Example:
        >>> round(chance(100, 100, 75, epsilon=math.log(3), delta=0), 3)
        0.553
    """
    likely = _binomial(guesses, 1 / (1 + math.exp(-epsilon)))
    below = np.cumsum(likely[:right][::-1])  # P(v - i <= W < v) for i = 1 to v
    extra = float((below / np.arange(1, right + 1)).max(initial=0.0))
    return min(1.0, float(likely[right:].sum()) + 2 * canaries * delta * extra)


def fewest(claim: float, *, share: float, delta: float, confidence: float = 0.95) -> int:
    """Gives how many canaries can prove a bound above a claim, if a share of them is guessed and all guesses are right.

    Args:
        claim: Epsilon.
        share: Part of the canaries that is guessed, in (0, 1].
        delta: Of the claim.
        confidence: Of the bound.

    Returns:
        The number, at most a tenth too large; 0 if there is none up to 200,000. Delta counts once for each canary, so
        more of them do not always prove more.
    """
    count = 8
    while count <= _MANY:
        guesses = math.floor(share * count)
        if chance(count, guesses, guesses, epsilon=claim, delta=delta) < 1 - confidence:
            return count
        count = math.ceil(1.1 * count)
    return 0


def _binomial(n: int, rate: float) -> NDArray[np.float64]:
    """Gives the chance of exactly j of n, for j = 0 to n."""
    logs = np.cumsum(np.log(np.r_[1.0, np.arange(1, n + 1)]))
    at = np.arange(n + 1)
    # 1 - rate is exp(-epsilon) times rate, and never exactly 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = at * math.log(rate) + np.where(at < n, (n - at) * math.log(max(1 - rate, 1e-300)), 0.0)
    return np.exp(logs[n] - logs - logs[::-1] + terms)
