"""Which pairs a survey asks for: those of which a copula of public patients says least."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.models.anchor.anchor import Anchor
from wardgan.models.pairs.candidates import candidate_pairs, groups_of
from wardgan.models.pairs.drawn import drawn_groups, expected_tables
from wardgan.models.pairs.pairing import Pairing
from wardgan.models.pairs.settings import GROUPS
from wardgan.privacy.pairs import Table
from wardgan.privacy.records import Asked
from wardgan.rng import Seed

_DRAWN: Final = 1 << 15
_FEWEST: Final = 1 << 10
_DEPENDENCE: Final = 0.02
_QUESTION: Final = "all pairs"


def pairing_of(public: Asked, anchor: Anchor, *, count: int, patients: int, noise: float) -> Pairing:
    """Gives the pairs whose tables teach most about what a copula cannot say, and groups of their levels.

    A pair's score is how far a copula of the public patients is from them, in units of what noise and chance explain:
    the squared gap of each cell over the variance that it will have in the sums. What the gap has by chance, because
    so many patients were drawn, is taken off. Public patients who were drawn from a copula show no gap at all; so a
    fiftieth of the same distance from independence is added, and where nothing else is known those pairs come first
    that depend most on each other.

    Args:
        public: Patients whom nothing protects; they answer without noise.
        anchor: A copula of them.
        count: How many pairs.
        patients: About how many patients all hospitals have together.
        noise: Standard deviation of each count in the sums.
    """
    candidates, groups = candidate_pairs(anchor.layout), groups_of(anchor, GROUPS)
    fixed = tuple(tuple(one.tolist()) for one in groups)
    asked = Pairing(candidates, fixed).query(anchor.levels, len(anchor.probabilities))
    drawn = _drawn(anchor, groups)
    sizes = anchor.patients * anchor.probabilities  # (classes,)
    # Both sides have chance in them: the public patients, and those who were drawn.
    chance = 1 + sizes / [len(one) for one in drawn]
    part = patients / anchor.patients
    found = asked.tables(public.measure(_QUESTION, asked))
    scores = [
        _stands_out(table, expected, part, noise, chance) + _DEPENDENCE * _stands_out(table, _apart(table), part, noise)
        for table, expected in zip(found, expected_tables(drawn, sizes, asked), strict=True)
    ]
    best = np.argsort(-np.array(scores), kind="stable")[:count]
    return Pairing(tuple(candidates[place] for place in sorted(best)), fixed)


def _drawn(anchor: Anchor, groups: tuple[NDArray[np.int64], ...]) -> list[NDArray[np.int64]]:
    """Gives for each class the groups of patients drawn from a copula; the same ones each time."""
    found: list[NDArray[np.int64]] = []
    size = max(_FEWEST, _DRAWN // len(anchor.probabilities))
    for y, factor in enumerate(anchor.factors):
        normals = Seed(0).stream("pairs of a survey", y).standard_normal((size, len(anchor.axes)))
        found.append(drawn_groups(normals @ factor.T, y, anchor, groups))
    return found


def _stands_out(
    table: Table, expected: Table, part: float, noise: float, chance: NDArray[np.float64] | None = None
) -> float:
    """Gives how far a table is from what is expected, in units of the variance of its counts in the sums.

    Args:
        table: Counts of the public patients, shape (classes, groups, groups).
        expected: The same, as a model expects them.
        part: How many patients of the hospitals there are for one public patient.
        noise: Standard deviation of each count in the sums.
        chance: Variance of the gap by chance alone, for each expected patient, shape (classes,).
    """
    gap = (table - expected) ** 2
    if chance is not None:
        gap = gap - expected * chance[:, None, None]
    return float((part**2 * gap / (noise**2 + np.maximum(part * table, 1.0))).sum())


def _apart(table: Table) -> Table:
    """Gives the counts if the two variables knew nothing of each other, within each class."""
    rows, columns = table.sum(axis=2, keepdims=True), table.sum(axis=1, keepdims=True)
    return rows * columns / np.maximum(table.sum(axis=(1, 2), keepdims=True), 1.0)
