"""Sums over patients with a proved sensitivity: the only questions that are asked with noise.

A query gives `total`, a sum over patients, and `sensitivity`, a bound of the L2 norm of one patient's part. The
neighbouring relation is add or remove one patient with everything of theirs. Two properties make a query right,
and the tests check both on arbitrary patients: the total of a cohort is the sum of the totals of its patients,
and the total of one patient has at most the norm `sensitivity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.units import Units

Classes = NDArray[np.int64]
Total = NDArray[np.float64]


class Query(Protocol):
    """A question that is answered with noise."""

    @property
    def sensitivity(self) -> float:
        """Largest L2 norm of one patient's part."""
        ...

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives the sum over patients, as a flat array."""
        ...


@dataclass(frozen=True)
class PatientCount:
    """How many patients there are; sensitivity 1."""

    @property
    def sensitivity(self) -> float:
        """1."""
        return 1.0

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives the count, shape (1,)."""
        return np.array([float(len(units))])


@dataclass(frozen=True)
class ClassCounts:
    """How many patients each class has; sensitivity 1.

    Attributes:
        classes: Number of classes.
    """

    classes: int

    @property
    def sensitivity(self) -> float:
        """1: a patient is in one class."""
        return 1.0

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives the counts, shape (classes,)."""
        return np.bincount(classes, minlength=self.classes).astype(np.float64)


@dataclass(frozen=True)
class Levels:
    """The levels of one variable.

    Attributes:
        edges: Interior edges of the bins of a number, ascending units; `None` for a category.
        size: Number of levels, the one for missing cells included.
        missing: Index of the level for missing cells, or `None` if cells are never missing.
        groups: For each declared level of a large category the group that stands for it here; `None`: each level
            stands for itself.
    """

    edges: tuple[float, ...] | None
    size: int
    missing: int | None
    groups: tuple[int, ...] | None = None

    def index(self, units: NDArray[np.float64]) -> NDArray[np.int64]:
        """Gives the level of each unit, shape (patients,); -1 where the visit did not take place."""
        absent = np.isnan(units)
        hole = units < 0
        plain = np.where(absent | hole, 0.0, units)
        last = self.size - 1 - (self.missing is not None)
        if self.groups is not None:
            declared = np.clip(np.floor(plain), 0, len(self.groups) - 1).astype(np.int64)
            level = np.asarray(self.groups, dtype=np.int64)[declared]
        elif self.edges is None:
            level = np.clip(np.floor(plain), 0, last).astype(np.int64)
        else:
            level = np.searchsorted(np.asarray(self.edges), plain, side="right").astype(np.int64)
        level[hole] = -1 if self.missing is None else self.missing
        level[absent] = -1
        return level


def _between(units: Units, columns: tuple[int, ...], edges: NDArray[np.float64]) -> Total:
    """Gives how many values lie between edges, shape (edges - 1,): each with weight 1 / (how many the patient has).

    Missing ones count nowhere; those beyond the ends count in the first and the last place.
    """
    mine = units[:, list(columns)]  # (patients, visits)
    there = mine >= 0
    weight = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
    place = np.clip(np.searchsorted(edges, np.where(there, mine, 0.0), side="right") - 1, 0, len(edges) - 2)
    return np.bincount(place.ravel(), weights=weight.ravel(), minlength=len(edges) - 1).astype(np.float64)


@dataclass(frozen=True)
class CellCounts:
    """Counts of each number in the nodes of a binary tree over its range, on all tree levels.

    Attributes:
        columns: For each number the positions of its variables (one, or one for each visit).
        edges: For each number the edges of its 2^depth leaves, ascending units, shape (2^depth + 1,).

    A patient with several visits counts with weight 1 / visits in each, so their counts sum to at most 1 on each
    tree level; hence the sensitivity is the root of the number of tree levels, summed over numbers.
    """

    columns: tuple[tuple[int, ...], ...]
    edges: tuple[NDArray[np.float64], ...]

    @property
    def sensitivity(self) -> float:
        """Root of the number of tree levels."""
        return float(np.sqrt(sum(self.depths())))

    def depths(self) -> list[int]:
        """Gives the number of tree levels of each number."""
        return [int(np.log2(len(edges) - 1)) for edges in self.edges]

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives for each number the counts of 2, 4, ... 2^depth nodes, one after the other."""
        parts: list[Total] = []
        for columns, edges in zip(self.columns, self.edges, strict=True):
            tree = [_between(units, columns, edges)]
            while len(tree[-1]) > 2:
                tree.append(tree[-1].reshape(-1, 2).sum(axis=1))
            parts += reversed(tree)
        return np.concatenate(parts) if parts else np.empty(0)


@dataclass(frozen=True)
class RangeCounts:
    """Counts of each number between edges of its own, all classes and visits together; missing cells are not counted.

    Attributes:
        columns: For each number the positions of its variables (one, or one for each visit).
        edges: For each number the edges of its ranges, ascending units, shape (ranges + 1,).

    A patient with several visits counts with weight 1 / visits in each. In one number these weights are not negative
    and sum to at most 1, so their norm is at most 1; hence the sensitivity is the root of the number of numbers.
    """

    columns: tuple[tuple[int, ...], ...]
    edges: tuple[NDArray[np.float64], ...]

    @property
    def sensitivity(self) -> float:
        """Root of the number of numbers."""
        return float(np.sqrt(len(self.columns)))

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives for each number the counts of its ranges, one after the other."""
        parts = [_between(units, *one) for one in zip(self.columns, self.edges, strict=True)]
        return np.concatenate(parts) if parts else np.empty(0)

    def parts(self, flat: Total) -> list[NDArray[np.float64]]:
        """Cuts a total into one array of shape (ranges,) for each number."""
        return np.split(flat, np.cumsum([len(edges) - 1 for edges in self.edges])[:-1])


@dataclass(frozen=True)
class LevelTotals:
    """Counts of every level of some categories, all classes and visits together; missing cells are not counted.

    Attributes:
        columns: For each category the positions of its variables (one, or one for each visit).
        sizes: For each category its number of levels.

    A patient with several visits counts with weight 1 / visits in each. In one category these weights are not
    negative and sum to at most 1, so their norm is at most 1; hence the sensitivity is the root of the number of
    categories.
    """

    columns: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]

    @property
    def sensitivity(self) -> float:
        """Root of the number of categories."""
        return float(np.sqrt(len(self.columns)))

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives for each category the weight of each of its levels, one after the other."""
        pairs = zip(self.columns, self.sizes, strict=True)
        parts = [_between(units, columns, np.arange(size + 1.0)) for columns, size in pairs]
        return np.concatenate(parts) if parts else np.empty(0)

    def parts(self, flat: Total) -> list[NDArray[np.float64]]:
        """Cuts a total into one array of shape (levels,) for each category."""
        return np.split(flat, np.cumsum(self.sizes)[:-1])


@dataclass(frozen=True)
class LevelCounts:
    """Counts of every level of every variable, crossed with the class; sensitivity: root of the number of variables.

    Attributes:
        levels: The levels of each variable.
        classes: Number of classes.
    """

    levels: tuple[Levels, ...]
    classes: int

    @property
    def sensitivity(self) -> float:
        """Root of the number of variables: a patient is in at most one cell of each variable's table."""
        return float(np.sqrt(len(self.levels)))

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives for each variable a table (classes, levels), flattened, one after the other."""
        return np.concatenate([self._table(units[:, at], classes, levels) for at, levels in enumerate(self.levels)])

    def tables(self, flat: Total) -> list[NDArray[np.float64]]:
        """Cuts a total into one table of shape (classes, levels) for each variable."""
        sizes = np.cumsum([self.classes * levels.size for levels in self.levels])[:-1]
        return [part.reshape(self.classes, -1) for part in np.split(flat, sizes)]

    def _table(self, units: NDArray[np.float64], classes: Classes, levels: Levels) -> Total:
        level = levels.index(units)
        there = level >= 0
        cell = classes[there] * levels.size + level[there]
        return np.bincount(cell, minlength=self.classes * levels.size).astype(np.float64)


@dataclass(frozen=True)
class Scores:
    """The scores of a patient: a few numbers for each variable, scaled down together to at most a norm.

    Attributes:
        levels: The levels of each variable.
        owners: For each score the variable that it is of.
        tables: For each score its value at each level of that variable; a visit that did not take place scores 0.
        radius: The norm, greater than 0.
    """

    levels: tuple[Levels, ...]
    owners: tuple[int, ...]
    tables: tuple[NDArray[np.float64], ...]
    radius: float

    def __len__(self) -> int:
        return len(self.tables)

    def of(self, units: Units) -> NDArray[np.float64]:
        """Gives the scores, shape (patients, scores)."""
        scores = np.zeros((len(units), len(self)))
        level = {at: self.levels[at].index(units[:, at]) for at in set(self.owners)}
        for place, (at, table) in enumerate(zip(self.owners, self.tables, strict=True)):
            scores[:, place] = np.where(level[at] >= 0, table[np.maximum(level[at], 0)], 0.0)
        return scaled_down(scores, self.radius)


def scaled_down(scores: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Gives rows scaled down to at most the norm `radius`, shape as given."""
    norm = np.linalg.norm(scores, axis=1, keepdims=True)
    return scores * np.minimum(1.0, radius / np.maximum(norm, 1e-300))


@dataclass(frozen=True)
class ScoreSums:
    """Sums of scores for each class; sensitivity: the norm R of the scores, since classes are disjoint.

    Attributes:
        scores: How a patient is scored.
        classes: Number of classes.
    """

    scores: Scores
    classes: int

    @property
    def sensitivity(self) -> float:
        """R."""
        return self.scores.radius

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives the sums, shape (classes x scores,)."""
        scores = self.scores.of(units)
        return np.concatenate([scores[classes == y].sum(axis=0) for y in range(self.classes)])


@dataclass(frozen=True)
class ScoreProducts:
    """Sums of products of two scores, for each class.

    With scores of norm at most R, the products z_i z_j, i < j, have the norm
    sqrt((|z|^4 - sum z_i^4) / 2) <= R^2 sqrt((1 - 1/d) / 2), and classes are disjoint.

    Attributes:
        scores: How a patient is scored.
        classes: Number of classes.
    """

    scores: Scores
    classes: int

    @property
    def sensitivity(self) -> float:
        """R^2 sqrt((1 - 1/d) / 2) for d scores."""
        return self.scores.radius**2 * float(np.sqrt((1 - 1 / max(len(self.scores), 2)) / 2))

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives the strict upper triangles, class after class."""
        scores = self.scores.of(units)
        upper = np.triu_indices(scores.shape[1], 1)
        return np.concatenate([(scores[classes == y].T @ scores[classes == y])[upper] for y in range(self.classes)])

    def matrices(self, flat: Total) -> NDArray[np.float64]:
        """Cuts a total into symmetric matrices with a zero diagonal, shape (classes, scores, scores)."""
        size = len(self.scores)
        found = np.zeros((self.classes, size, size))
        upper = np.triu_indices(size, 1)
        for y, part in enumerate(np.split(flat, self.classes)):
            found[y][upper] = part
            found[y] += found[y].T
        return found


@dataclass(frozen=True)
class ValueCounts:
    """Counts of given values of one column, for the discovery of bounds or levels; sensitivity 1.

    A patient with several values counts with weight 1 / values in each.

    Attributes:
        columns: Positions of the column's variables.
        edges: Edges of the values, ascending.
    """

    columns: Sequence[int]
    edges: NDArray[np.float64]

    @property
    def sensitivity(self) -> float:
        """1: a patient's weights sum to at most 1."""
        return 1.0

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives the weight between each two neighbouring edges, shape (edges - 1,)."""
        if len(self.edges) < 2:
            return np.empty(0)
        mine = units[:, list(self.columns)]
        there = ~np.isnan(mine)
        weight = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
        place = np.searchsorted(self.edges, np.where(there, mine, self.edges[0]), side="right") - 1
        place = np.clip(place, 0, len(self.edges) - 2)
        return np.bincount(place.ravel(), weights=weight.ravel(), minlength=len(self.edges) - 1).astype(np.float64)
