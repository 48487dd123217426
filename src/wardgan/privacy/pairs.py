"""Tables of pairs of variables: which are worth asking for, and what they say. Both have a proved sensitivity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.units import Units
from wardgan.privacy.queries import Classes, Levels, Total

Table = NDArray[np.float64]


@dataclass(frozen=True)
class PairCounts:
    """Counts of each pair of groups of levels of chosen pairs of variables, for each class.

    A patient is in at most one cell of each pair's table, with weight 1; hence the sensitivity is the root of the
    number of pairs.

    Attributes:
        levels: The levels of each variable.
        groups: For each variable the group of each of its levels, shape (levels,), from 0 on.
        pairs: Positions of two variables each.
        classes: Number of classes.
    """

    levels: tuple[Levels, ...]
    groups: tuple[NDArray[np.int64], ...]
    pairs: tuple[tuple[int, int], ...]
    classes: int

    @property
    def sensitivity(self) -> float:
        """Root of the number of pairs."""
        return float(np.sqrt(len(self.pairs)))

    def sizes(self) -> list[tuple[int, int, int]]:
        """Gives the shape of each pair's table: classes, groups of the one, groups of the other."""
        number = [int(group.max(initial=0)) + 1 for group in self.groups]
        return [(self.classes, number[one], number[other]) for one, other in self.pairs]

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives the tables, flattened, one after the other."""
        group = {at: self.group(units[:, at], at) for at in {at for pair in self.pairs for at in pair}}
        parts = [
            _table(classes, group[one], group[other], size)
            for (one, other), size in zip(self.pairs, self.sizes(), strict=True)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def tables(self, flat: Total) -> list[Table]:
        """Cuts a total into one table of shape (classes, groups, groups) for each pair."""
        sizes = self.sizes()
        ends = np.cumsum([np.prod(size) for size in sizes])[:-1]
        return [part.reshape(size) for part, size in zip(np.split(flat, ends), sizes, strict=True)]

    def group(self, units: NDArray[np.float64], at: int) -> NDArray[np.int64]:
        """Gives the group of each unit of a variable, shape (patients,); -1 where the visit did not take place."""
        level = self.levels[at].index(units)
        return np.where(level >= 0, self.groups[at][np.maximum(level, 0)], -1)


@dataclass(frozen=True)
class PairGaps:
    """How far the table of each candidate pair is from what a model expects: the scores of a private selection.

    The score of a pair is the sum of |count - expected count| over its cells, less an allowance that knows no
    patient. One patient more changes one count of a table by 1, so a score by at most 1.

    Attributes:
        counts: The candidates.
        expected: For each candidate the counts that the model expects, shape (classes, groups, groups).
        allowance: Subtracted from each score, shape (pairs,); infinite for a pair that must not be chosen again.
    """

    counts: PairCounts
    expected: tuple[Table, ...]
    allowance: NDArray[np.float64]

    @property
    def sensitivity(self) -> float:
        """1."""
        return 1.0

    def scores(self, units: Units, classes: Classes) -> NDArray[np.float64]:
        """Gives the score of each candidate, shape (pairs,)."""
        return np.fromiter(self._gaps(units, classes), dtype=np.float64) - self.allowance

    def _gaps(self, units: Units, classes: Classes) -> Iterator[float]:
        tables = self.counts.tables(self.counts.total(units, classes))
        for table, expected in zip(tables, self.expected, strict=True):
            yield float(np.abs(table - expected).sum())


def _table(classes: Classes, one: NDArray[np.int64], other: NDArray[np.int64], size: tuple[int, int, int]) -> Total:
    there = (one >= 0) & (other >= 0)
    cell = (classes[there] * size[1] + one[there]) * size[2] + other[there]
    return np.bincount(cell, minlength=size[0] * size[1] * size[2]).astype(np.float64)
