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
    in a million, which leaves room for columns that depend on each other. For the same reason, empty cells do not
    count, and of a column that is measured at several visits only the rarest value does.

    Args:
        rows: Shape (patients, variables); each row occurs in the population.
        population: All patients that frequencies are taken from, shape (people, variables).
        sources: The column of the data of each variable.
        trials: How many patients each row is compared with.

    Returns:
        Shape (patients,).
    """
    rarest: dict[str, NDArray[np.float64]] = {}
    for at, source in enumerate(sources):
        values, counts = np.unique(population[:, at], return_counts=True)
        mine = rows[:, at]
        place = np.minimum(np.searchsorted(values, mine), len(values) - 1)
        share = np.where(mine < 0, 1.0, np.maximum(counts[place] / len(population), 1 / len(population)))
        rarest[source] = np.minimum(rarest.get(source, 1.0), share)
    expected = np.log(trials) + np.sum([np.log(share) for share in rarest.values()], axis=0)
    return expected < np.log(CHANCE)
