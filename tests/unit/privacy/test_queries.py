"""Two properties make a query right: it adds up over patients, and no patient weighs more than its sensitivity."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wardgan.privacy.pairs import PairCounts, PairGaps
from wardgan.privacy.queries import (
    CellCounts,
    ClassCounts,
    LevelCounts,
    Levels,
    LevelTotals,
    PatientCount,
    RangeCounts,
    ScoreProducts,
    Scores,
    ScoreSums,
    ValueCounts,
    scaled_down,
)

VARIABLES, CLASSES = 5, 3
# A number with holes, a number, a category, a category with holes, a number of one bin.
LEVELS = (
    Levels((0.2, 0.5, 0.9), 5, 4),
    Levels((0.1, 0.11), 3, None),
    Levels(None, 4, None),
    Levels(None, 3, 2),
    Levels((), 1, None),
)
TABLES = tuple(np.linspace(-2.5, 2.5, levels.size) if levels.size > 1 else np.array([2.5]) for levels in LEVELS)
HOLES = (np.array([-0.5, -0.5, -0.5, -0.5, 1.5]), np.array([-0.2, -0.2, 1.8]))
SCORES = Scores(LEVELS, (0, 1, 2, 3, 4, 0, 3), TABLES + HOLES, radius=2.7)
# A large category of six levels in three groups, with holes.
GROUPED = (Levels(None, 4, 3, groups=(0, 2, 1, 1, 0, 2)), Levels(None, 2, None, groups=(1, 1, 0)))
EDGES = (np.linspace(0, 1, 9), np.minimum(np.arange(5) * 2 / 7, 1.0))
GROUPS = (
    np.array([0, 1, 1, 2, 3]),
    np.array([0, 1, 1]),
    np.array([1, 0, 1, 0]),
    np.array([0, 1, 2]),
    np.array([0]),
)
PAIRS = PairCounts(LEVELS, GROUPS, ((0, 1), (0, 3), (2, 4)), CLASSES)
QUERIES = {
    "patients": PatientCount(),
    "classes": ClassCounts(CLASSES),
    "cells": CellCounts(((0, 1, 4), (2,)), EDGES),
    "levels": LevelCounts(LEVELS, CLASSES),
    "groups of levels": LevelCounts((*GROUPED, *LEVELS[2:]), CLASSES),
    "level totals": LevelTotals(((2,), (0, 1, 4)), (4, 3)),
    "level totals of one visit": LevelTotals(((3,),), (2,)),
    "ranges": RangeCounts(((0, 1, 4), (2,)), (np.array([0.0, 0.2, 0.25, 0.9, 1.0]), np.array([0.0, 1.0]))),
    "ranges of one visit": RangeCounts(((3,),), (np.array([0.0, 0.5, 1.0]),)),
    "score sums": ScoreSums(SCORES, CLASSES),
    "score products": ScoreProducts(SCORES, CLASSES),
    "one variable": ScoreProducts(Scores(LEVELS[:2], (0, 1), TABLES[:2], 1.0), CLASSES),
    "values": ValueCounts((0, 3, 4), np.array([-1e6, 0.0, 0.5, 2.0, 1e6])),
    "values of one visit": ValueCounts((1,), np.arange(4.0)),
    "pairs": PAIRS,
    "no values": ValueCounts((1,), np.arange(1.0)),
}
ABSURD = [np.nan, np.inf, -np.inf, -1.0, -0.0, 1.0, 1.5, 7.0, 1e300, -1e300, 5e-324, np.nextafter(1, 2)]


def patients(rows):
    cell = st.one_of(st.sampled_from(ABSURD), st.floats(-2, 5), st.floats(0, 1))
    return st.tuples(
        arrays(np.float64, (rows, VARIABLES), elements=cell),
        arrays(np.int64, rows, elements=st.integers(0, CLASSES - 1)),
    )


def width(query):
    return 2 if query is QUERIES["one variable"] else VARIABLES


def total(query, units, classes):
    with np.errstate(over="ignore"):
        return query.total(units[:, : width(query)], classes)


def heaviest(query, count=400):
    """Gives the largest norm of one patient's part over many patients, absurd ones among them."""
    rng = np.random.default_rng(5)
    drawn = rng.uniform(-0.2, 4.2, (count, VARIABLES))
    drawn[::2] = rng.choice([0.05, 0.3, 0.6, 0.95], (len(drawn[::2]), VARIABLES))
    strange = rng.random(drawn.shape) < 0.1
    drawn[strange] = rng.choice(ABSURD, strange.sum())
    classes = rng.integers(0, CLASSES, count)
    return max(np.linalg.norm(total(query, drawn[[at]], classes[[at]])) for at in range(count))


@pytest.mark.parametrize("name", QUERIES)
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_p01_no_patient_weighs_more_than_the_sensitivity(name, data):
    units, classes = data.draw(patients(1))
    query = QUERIES[name]
    assert np.linalg.norm(total(query, units, classes)) <= query.sensitivity * (1 + 1e-9)


@pytest.mark.parametrize("name", QUERIES)
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_p01_the_total_is_the_sum_of_the_patients(name, data):
    query = QUERIES[name]
    units, classes = data.draw(patients(data.draw(st.integers(0, 6))))
    whole = total(query, units, classes)
    parts = sum((total(query, units[[at]], classes[[at]]) for at in range(len(units))), np.zeros_like(whole))
    assert whole.shape == total(query, units[:0], classes[:0]).shape  # the shape says nothing about patients
    np.testing.assert_allclose(whole, parts, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in QUERIES if name != "no values"])
def test_the_sensitivity_is_hardly_more_than_needed(name):
    # Otherwise a mutant of half the sensitivity could not be seen below.
    query = QUERIES[name]
    assert heaviest(query) > 0.55 * query.sensitivity


@dataclass(frozen=True)
class Whole(CellCounts):
    """A mutant: each visit counts fully."""

    def total(self, units, classes):
        return super().total(units, classes) * 3


@dataclass(frozen=True)
class WholeVisits(LevelTotals):
    """A mutant: each visit counts fully."""

    def total(self, units, classes):
        return sum(
            LevelTotals((columns,), (size,)).total(units[:, [at] * 5], classes).sum() * np.ones(1)
            for columns, size in zip(self.columns, self.sizes, strict=True)
            for at in columns
        )


@dataclass(frozen=True)
class WholeRanges(RangeCounts):
    """A mutant: each visit counts fully."""

    def total(self, units, classes):
        return super().total(units, classes) * 3


@dataclass(frozen=True)
class Unscaled(ScoreSums):
    """A mutant: the scores keep their length."""

    def total(self, units, classes):
        return ScoreSums(replace(self.scores, radius=1e9), self.classes).total(units, classes)


@pytest.mark.parametrize(
    ("mutant", "claimed"),
    [
        (Whole(QUERIES["cells"].columns, EDGES), QUERIES["cells"].sensitivity),
        (WholeRanges(QUERIES["ranges"].columns, QUERIES["ranges"].edges), QUERIES["ranges"].sensitivity),
        (Unscaled(SCORES, CLASSES), SCORES.radius),
        (LevelCounts(LEVELS, CLASSES), 1.0),
        (PAIRS, np.sqrt(2)),
        (QUERIES["level totals"], 1.0),
        (WholeVisits(((2,), (0, 1, 4)), (4, 3)), QUERIES["level totals"].sensitivity),
        (CellCounts(((0, 1, 4), (2,)), EDGES), np.sqrt(2)),
        (ScoreProducts(SCORES, CLASSES), SCORES.radius**2 / 2),
        (ScoreSums(SCORES, CLASSES), SCORES.radius / 2),
    ],
)
def test_p17_a_sensitivity_that_is_too_small_is_seen(mutant, claimed):
    assert heaviest(mutant) > claimed


@pytest.mark.parametrize(
    "query", [PatientCount, lambda **how: ClassCounts(2, **how), lambda **how: ValueCounts([0], np.arange(3), **how)]
)
def test_a_sensitivity_is_a_fact_and_no_setting(query):
    with pytest.raises(TypeError):
        query(sensitivity=0.001)


def test_products_reach_their_bound():
    # All scores alike: sum over pairs of z_i^2 z_j^2 is R^4 (1 - 1/d) / 2.
    levels = (Levels(None, 1, None),) * 6
    scores = Scores(levels, tuple(range(6)), (np.array([9.0]),) * 6, radius=1.5)
    query = ScoreProducts(scores, 1)
    found = query.total(np.zeros((1, 6)), np.zeros(1, dtype=np.int64))
    assert np.linalg.norm(found) == pytest.approx(query.sensitivity)


def test_ranges_by_hand():
    query = RangeCounts(((0, 1), (2,)), (np.array([0.0, 0.25, 0.5, 1.0]), np.array([0.0, 0.5, 1.0])))
    units = np.array([[0.1, 0.6, 0.5], [0.3, np.nan, -1], [-1, -1, 0.49], [0.25, 1.0, np.nan]])
    numbers, others = query.parts(query.total(units, np.zeros(4, dtype=np.int64)))
    assert numbers.tolist() == [0.5, 1.5, 1.0]
    assert others.tolist() == [1.0, 1.0]


def test_levels():
    units = np.array([np.nan, -1, -7, -np.inf, 0, 0.2, 0.89, 0.9, 1, 50, np.inf])
    assert LEVELS[0].index(units).tolist() == [-1, 4, 4, 4, 0, 1, 2, 3, 3, 3, 3]
    assert LEVELS[1].index(units[1:4]).tolist() == [-1, -1, -1]
    assert LEVELS[3].index(np.array([np.nan, -1, 0, 1.9, 2, 99])).tolist() == [-1, 2, 0, 1, 1, 1]


def test_the_tree_of_cells_by_hand():
    query = CellCounts(((0, 1),), (np.linspace(0, 1, 5),))
    units = np.array([[0.1, 0.6], [0.3, np.nan], [-1, -1], [0.25, 1.0]])
    halves, quarters = [2.0, 1.0], [0.5, 1.5, 0.5, 0.5]
    assert query.depths() == [2]
    assert query.total(units, np.zeros(4, dtype=np.int64)).tolist() == halves + quarters
    assert query.sensitivity == pytest.approx(np.sqrt(2))


def test_groups_of_levels():
    units = np.array([np.nan, -1, 0, 1, 2, 3.9, 5, 99])
    assert GROUPED[0].index(units).tolist() == [-1, 3, 0, 2, 1, 1, 2, 2]
    assert GROUPED[1].index(units[1:6]).tolist() == [-1, 1, 1, 0, 0]


def test_the_totals_of_levels_by_hand():
    query = LevelTotals(((0, 1), (2,)), (3, 2))
    units = np.array([[0, 2, 1], [1, np.nan, -1], [-1, -1, np.nan], [2, 2, 0], [1, -1, 7]])
    assert query.total(units, np.zeros(5, dtype=np.int64)).tolist() == [0.5, 2.0, 1.5, 1.0, 2.0]
    assert [part.tolist() for part in query.parts(np.arange(5.0))] == [[0, 1, 2], [3, 4]]
    assert query.sensitivity == pytest.approx(np.sqrt(2))


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_the_totals_of_levels_one_patient_after_the_other(data):
    units, classes = data.draw(patients(data.draw(st.integers(0, 6))))
    query = QUERIES["level totals"]
    slow = [[0.0] * size for size in query.sizes]
    for row in units:
        for counts, columns in zip(slow, query.columns, strict=True):
            seen = [row[at] for at in columns if row[at] >= 0]
            for value in seen:
                counts[int(min(np.floor(value), len(counts) - 1))] += 1 / len(seen)
    found = query.total(units, classes)
    np.testing.assert_allclose(found, np.concatenate(slow), atol=1e-9)


def test_tables_and_matrices_are_cut_as_they_were_laid():
    rng = np.random.default_rng(0)
    units, classes = rng.uniform(0, 2, (50, VARIABLES)), rng.integers(0, CLASSES, 50)
    counts, products = QUERIES["levels"], QUERIES["score products"]
    tables = counts.tables(counts.total(units, classes))
    for at, (table, levels) in enumerate(zip(tables, LEVELS, strict=True)):
        level = levels.index(units[:, at])
        slow = [[((classes == y) & (level == k)).sum() for k in range(levels.size)] for y in range(CLASSES)]
        assert table.tolist() == slow
    z = SCORES.of(units)
    matrices = products.matrices(products.total(units, classes))
    for y, matrix in enumerate(matrices):
        slow = sum(np.outer(row, row) for row in z[classes == y])
        np.testing.assert_allclose(matrix, slow - np.diag(np.diag(slow)), atol=1e-9)


def test_a_visit_that_did_not_take_place_scores_nothing():
    scores = SCORES.of(np.array([[np.nan, 0.5, np.nan, np.nan, np.nan]]))
    assert np.flatnonzero(scores[0]).tolist() == [1]


def test_scaling_down_never_scales_up():
    rows = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [1e100, 0.0]])
    np.testing.assert_allclose(scaled_down(rows, 1.0), [[0.6, 0.8], [0.3, 0.4], [0, 0], [1, 0]])
    assert scaled_down(rows, np.inf).tolist() == rows.tolist()


# --- pairs ------------------------------------------------------------------------------------------------------------


@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_the_tables_of_pairs_are_those_of_a_loop_over_patients(data):
    units, classes = data.draw(patients(data.draw(st.integers(0, 5))))
    expected = [np.zeros(size) for size in PAIRS.sizes()]
    for row, y in zip(units, classes, strict=True):
        for table, (one, other) in zip(expected, PAIRS.pairs, strict=True):
            levels = [int(LEVELS[at].index(row[[at]])[0]) for at in (one, other)]
            if min(levels) >= 0:
                table[y, GROUPS[one][levels[0]], GROUPS[other][levels[1]]] += 1
    for found, table in zip(PAIRS.tables(PAIRS.total(units, classes)), expected, strict=True):
        np.testing.assert_array_equal(found, table)


def gaps(scale=1.0):
    numbers = np.random.default_rng(4)
    expected = tuple(scale * numbers.random(size) * 3 for size in PAIRS.sizes())
    return PairGaps(PAIRS, expected, numbers.random(len(PAIRS.pairs)))


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_p11_one_patient_moves_no_score_by_more_than_the_sensitivity(data):
    units, classes = data.draw(patients(data.draw(st.integers(1, 6))))
    scoring = gaps()
    moved = np.abs(scoring.scores(units, classes) - scoring.scores(units[1:], classes[1:]))
    assert moved.max() <= scoring.sensitivity + 1e-9


def test_p11_a_score_that_moves_by_more_would_be_seen():
    @dataclass(frozen=True)
    class Squared(PairGaps):
        """A mutant: squares instead of magnitudes."""

        def _gaps(self, units, classes):
            tables = self.counts.tables(self.counts.total(units, classes))
            return (float(((t - e) ** 2).sum()) for t, e in zip(tables, self.expected, strict=True))

    numbers = np.random.default_rng(5)
    units, classes = numbers.random((50, VARIABLES)), numbers.integers(0, CLASSES, 50)

    def moved(scoring):
        return np.abs(scoring.scores(units, classes) - scoring.scores(units[1:], classes[1:])).max()

    honest = gaps()
    assert moved(honest) <= 1 + 1e-9
    assert moved(Squared(honest.counts, honest.expected, honest.allowance)) > 1
