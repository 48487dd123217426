"""Poisson batches of patients (Rule P6).

The accountant bills batches in which a coin is tossed for every patient. Anything else (shuffled epochs, batches
of fixed size, rare patients drawn more often) has another price, so there is nothing else here. A batch may be
empty, and the step is taken all the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan.errors import UsageError
from wardgan.rng import Seed


def poisson_batch(patients: int, *, rate: float, cap: int, seed: Seed, step: int) -> NDArray[np.intp]:
    """Gives the patients of one batch: an independent coin for each, and a random subset of more than `cap`.

    Which patients are dropped does not depend on who they are, so that truncation is what the accountant bills.

    Args:
        patients: Number of patients, at least 0.
        rate: Probability that a patient is drawn, in (0, 1].
        cap: Largest batch, at least 1 (from the plan).
        seed: `Seed.secret()`, since who is in a batch is part of the protection; replayable in a rehearsal.
        step: Number of the step (used by replayable seeds).

    Returns:
        Positions of patients, ascending, shape (at most `cap`,).

    Raises:
        UsageError: An argument is out of its range.

    Example:
        >>> poisson_batch(10, rate=0.3, cap=8, seed=Seed(3), step=0)
        array([3, 4, 5, 7])
    """
    check.whole(0, patients=patients)
    check.whole(1, cap=cap)
    if not 0 < rate <= 1:
        raise UsageError(f"rate={rate!r} is not in (0, 1].")
    drawn = np.flatnonzero(seed.choices(patients, rate, "batch", step))
    if len(drawn) <= cap:
        return drawn
    order = np.argsort(seed.gumbels(len(drawn), "truncation", step))
    return np.sort(drawn[order[:cap]])


def padded(index: NDArray[np.intp], cap: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Gives a batch filled up to `cap` places, so that every step has the same shape, and which places are real.

    Args:
        index: Positions of patients, shape (at most `cap`,).
        cap: Number of places.

    Returns:
        Positions of shape (cap,), 0 where nobody was drawn, and a mask of shape (cap,), True where somebody was.

    Raises:
        UsageError: The batch is larger than `cap`.

    Example:
        >>> padded(np.array([4, 7]), 3)
        (array([4, 7, 0]), array([ True,  True, False]))
    """
    if len(index) > cap:
        raise UsageError(f"cap={cap} is smaller than the batch. Use the cap that the batch was drawn with.")
    places = np.zeros(cap, dtype=np.intp)
    places[: len(index)] = index
    return places, np.arange(cap) < len(index)
