"""Whether two rows can be the same by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

# How often a coincidence may be expected, as if columns were independent. They are not, so this leaves a factor of a
# million for dependence.
CHANCE: Final = 1e-6


def unlikely(
    rows: NDArray[np.float32], population: NDArray[np.float32], sources: Sequence[str], *, trials: int
) -> NDArray[np.bool_]:
    """Tells which rows are so special that one of many other patients has the same only if copied.

    The expected number of coincidences is `trials` times the product of the values' frequencies. It must be below one
    in a million, which leaves room for columns that depend on each other. For the same reason empty cells do not count;
    and of a column that is measured at several visits the rarest value counts, and of its other values only those that
    are not as in the visit before, by the root of their frequency.

    Args:
        rows: Shape (patients, variables).
        population: All patients that frequencies are taken from, shape (people, variables).
        sources: The column of the data of each variable; those of one column stand in the order of the visits.
        trials: How many patients each row is compared with.

    Returns:
        Shape (patients,).
    """
    surprise = np.zeros(len(rows))
    for source in sorted(set(sources)):
        cells = [at for at, name in enumerate(sources) if name == source]
        mine = np.stack([_surprise(rows[:, at], population[:, at]) for at in cells])  # (slots, patients)
        changed = np.ones(mine.shape, dtype=bool)
        changed[1:] = rows[:, cells[1:]].T != rows[:, cells[:-1]].T
        largest = mine.max(axis=0)
        surprise += (largest + (mine * changed).sum(axis=0)) / 2
    return np.log(trials) - surprise < np.log(CHANCE)


def _surprise(values: NDArray[np.float32], population: NDArray[np.float32]) -> NDArray[np.float64]:
    """Gives minus the logarithm of the frequency of each value; 0 for an empty cell."""
    known, counts = np.unique(population, return_counts=True)
    place = np.minimum(np.searchsorted(known, values), known.size - 1)
    often = np.where(known[place] == values, counts[place], 1) / population.size
    return np.where(values < 0, 0.0, -np.log(often))
