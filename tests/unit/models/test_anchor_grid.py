"""The tree of noisy counts against brute force least squares, and the bins made from it."""

from __future__ import annotations

import numpy as np
import pytest
from anchors import anchor, cohort

from wardgan.encode.layout import Layout
from wardgan.encode.scales import border_units
from wardgan.encode.units import to_codes, to_units
from wardgan.models.anchor.grid import (
    ATOM,
    Grid,
    _edges,
    _or_empty,
    cell_query,
    consistent,
    grids,
    number_levels,
    smooth_leaves,
)
from wardgan.privacy.queries import CellCounts
from wardgan.schema.columns import Column


def tree(leaves):
    levels = [np.asarray(leaves, dtype=np.float64)]
    while len(levels[-1]) > 2:
        levels.append(levels[-1].reshape(-1, 2).sum(axis=1))
    return levels[::-1]


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_consistency_is_least_squares(depth):
    numbers = np.random.default_rng(depth)
    size = 2**depth
    # One row for each node: which leaves are below it.
    design = np.vstack([np.repeat(np.eye(2**k), size // 2**k, axis=1) for k in range(1, depth + 1)])
    noisy = numbers.normal(size=len(design)) * 10
    brute = np.linalg.lstsq(design, noisy, rcond=None)[0]
    found = consistent(np.split(noisy, np.cumsum([2**k for k in range(1, depth)])))
    for level, exact in zip(found, tree(brute), strict=True):
        np.testing.assert_allclose(level, exact, atol=1e-9)


def test_a_tree_without_noise_stays_as_it_is():
    levels = tree(np.arange(16.0))
    for found, given in zip(consistent(levels), levels, strict=True):
        np.testing.assert_allclose(found, given)


@pytest.mark.parametrize("sd", [0.0, 3.0, 50.0])
def test_leaves_are_shares_whatever_the_noise(sd):
    numbers = np.random.default_rng(1)
    levels = consistent([level + numbers.normal(0, sd, len(level)) for level in tree(numbers.poisson(4, 64))])
    leaves = smooth_leaves(levels, np.linspace(0, 1, 65), sd)
    assert (leaves >= 0).all()
    assert leaves.sum() == pytest.approx(max(levels[0].sum(), 1e-9))
    if sd == 0:
        np.testing.assert_allclose(leaves, levels[-1], atol=1e-9)


def test_a_spike_stays_and_silence_stays_silent():
    numbers, sd = np.random.default_rng(2), 5.0
    truth = np.zeros(256)
    truth[40], truth[100:110] = 4000, 50
    levels = consistent([level + numbers.normal(0, sd, len(level)) for level in tree(truth)])
    leaves = smooth_leaves(levels, np.linspace(0, 1, 257), sd)
    assert leaves[40] == pytest.approx(4000, abs=40)
    assert leaves[180:].sum() < 25


def test_cells_beyond_the_last_value_get_nothing():
    edges = _edges(Column("x", "integer", low=0, high=4, step=1))
    np.testing.assert_allclose(edges, [0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
    noisy = [level + 3.0 for level in tree([5, 4, 3, 2, 1, 0, 0, 0])]
    assert smooth_leaves(consistent(noisy), edges, 3.0)[5:].tolist() == [0, 0, 0]


@pytest.mark.parametrize("steps", [2, 3, 100, 2048, 5000, None])
def test_edges_are_on_the_borders_of_values(steps):
    column = (
        Column("x", "number", low=0, high=1) if steps is None else Column("x", "integer", low=1, high=steps, step=1)
    )
    edges = _edges(column)
    assert (edges[0], edges[-1]) == (0, 1)
    assert (np.diff(edges) >= 0).all()
    assert np.log2(len(edges) - 1) == round(np.log2(len(edges) - 1)) <= 11
    if steps:
        np.testing.assert_allclose(edges * steps, np.round(edges * steps), atol=1e-9)
    # The first and the last value have a cell of their own.
    width = np.diff(edges)[np.diff(edges) > 0]
    np.testing.assert_allclose(width[[0, -1]], 1 / steps if steps else ATOM, rtol=1e-6)
    assert np.median(width) < 3 / 2048 or len(width) == steps


TAILS = [
    Column("x", "integer", low=0, high=4, scale="log"),
    Column("x", "integer", low=0, high=1, scale="log"),
    Column("x", "integer", low=0, high=300, scale="log"),
    Column("x", "integer", low=0, high=100_000, scale="log"),
    Column("x", "integer", low=5_000, high=90_000, scale="log"),
    Column("x", "number", low=0, high=50, step=0.1, scale="log"),
    Column("x", "number", low=0.01, high=1e6, scale="log"),
]


@pytest.mark.parametrize("column", TAILS, ids=lambda column: f"{column.low:g}-{column.high:g}")
def test_edges_on_a_logarithmic_scale_are_on_borders_of_values(column):
    edges = _edges(column)
    assert (edges[0], edges[-1]) == (0, 1)
    assert (np.diff(edges) >= 0).all()
    assert np.log2(len(edges) - 1) == round(np.log2(len(edges) - 1)) <= 11
    if column.steps is None:
        return
    borders = border_units(np.arange(column.steps + 1.0), column)
    assert np.isin(edges, borders).all()
    width = np.diff(edges)
    ends = width[width > 0][[0, -1]]
    np.testing.assert_allclose(ends, np.diff(borders)[[0, -1]])
    # Wide values are not cut, and narrow ones share cells of about equal width.
    assert (width <= np.maximum(np.diff(borders).max(), 2.1 / (len(edges) - 1))).all()
    if column.steps < 400:
        assert (np.unique(edges) == borders).all()


def counted(column, values, sd=0.0, seed=0):
    """The grid of one column from values, with noise of known size on each count."""
    query = CellCounts(((0,),), (_edges(column),))
    total = query.total(to_units(values, column)[:, None], np.zeros(len(values), dtype=np.int64))
    noise = np.random.default_rng(seed).normal(0, sd, len(total)) if sd else 0.0
    return grids(query, ["x"], total + noise, sd)["x"]


@pytest.mark.parametrize("column", TAILS, ids=lambda column: f"{column.low:g}-{column.high:g}")
def test_a_grid_without_noise_is_the_distribution_on_any_scale(column):
    numbers = np.random.default_rng(3)
    values = np.clip(np.exp(numbers.normal(3, 2, 4000)), column.low, column.high)
    values = to_codes(to_units(values, column), column)
    grid = counted(column, values)
    units = to_units(values, column)
    for edge, below in zip(grid.edges, grid.cumulative, strict=True):
        if edge > 0:
            assert below == pytest.approx((units < edge).mean(), abs=1e-9)
    assert grid.ends == (np.sum(values == column.low), np.sum(values == column.high))
    assert grid.total == pytest.approx(4000)


# --- spikes and tails -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("high", [100.0, 100_000.0])
@pytest.mark.parametrize("step", [None, 1.0])
def test_a_spike_of_zeros_is_told_from_small_numbers(high, step):
    column = Column("x", "number", low=0, high=high, step=step)
    numbers = np.random.default_rng(1)
    rest = np.clip(np.exp(numbers.normal(3, 1, 4000)), 0.6, high)
    values = np.where(numbers.random(4000) < 0.6, 0.0, rest if step is None else np.round(rest))
    grid = counted(column, values, sd=30.0)
    first = 1 / column.steps if step else ATOM
    assert grid.share_below(np.array([first]))[0] == pytest.approx((values == 0).mean(), abs=0.03)
    assert grid.ends[0] == pytest.approx((values == 0).sum(), abs=150)


def test_no_spike_is_made_where_there_is_none():
    """An even distribution: the cell of a bound is hardly wide, so hardly anybody is in it."""
    column = Column("x", "number", low=0, high=1)
    values = np.random.default_rng(1).random(4000)
    for seed in range(5):
        grid = counted(column, values, sd=40.0, seed=seed)
        ends = grid.share_below(np.array([ATOM, 1 - ATOM]))
        assert max(ends[0], 1 - ends[1]) < 0.01


@pytest.mark.parametrize("far", ["high", "low"])
def test_a_bound_far_away_draws_nobody_to_it(far):
    """Median 100, 99 % below 450, bound 15,000: hundreds of empty cells, each with noise. The same upside down."""
    column = Column("x", "integer", low=0, high=15_000)
    values = np.round(np.exp(np.random.default_rng(1).normal(4.6, 0.6, 4000)))
    middle, tail = [], []
    for seed in range(20):
        grid = counted(column, values if far == "high" else 15_000 - values, sd=100.0, seed=seed)
        half, last = 15_000 * np.interp([0.5, 0.99 if far == "high" else 0.01], grid.cumulative, grid.edges)
        middle.append(half if far == "high" else 15_000 - half)
        tail.append(last if far == "high" else 15_000 - last)
    assert np.mean(middle) == pytest.approx(100, abs=10)
    assert np.median(tail) < 500
    assert np.mean(tail) < 2000


@pytest.mark.parametrize("column", [Column("x", "integer", low=0, high=92), TAILS[2], TAILS[3]], ids=str)
def test_what_is_not_known_is_spread_over_the_axis_evenly(column):
    """Children that say nothing: each node is split by the widths of its halves, not into equal parts."""
    edges = _edges(column)
    silent = [np.full(2**k, 4000.0 / 2**k) for k in range(1, int(np.log2(len(edges) - 1)) + 1)]
    below = np.concatenate([[0.0], np.cumsum(smooth_leaves(silent, edges, 1e6))]) / 4000
    np.testing.assert_allclose(below, edges, atol=0.07)


def test_a_tail_that_is_there_stays():
    column = Column("x", "integer", low=0, high=999)
    values = np.random.default_rng(1).integers(0, 1000, 4000)
    for seed in range(5):
        grid = counted(column, values, sd=40.0, seed=seed)
        np.testing.assert_allclose(grid.share_below(np.array([0.1, 0.5, 0.9])), [0.1, 0.5, 0.9], atol=0.05)
        assert 1 - grid.share_below(np.array([0.95]))[0] > 0.02


def test_two_heaps_with_nothing_between_stay_two():
    column = Column("x", "integer", low=0, high=255)
    values = np.repeat([20, 230], 2000)
    grid = counted(column, values, sd=20.0)
    assert np.diff(grid.share_below(np.array([21 / 256, 229 / 256])))[0] < 0.02
    assert grid.share_below(np.array([0.5]))[0] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("mass", [[400.0], [300.0, 500.0], [3.0, 200.0, 90.0, 300.0, 2.0], [0.0, 400.0, 0.0]])
def test_nobody_or_everybody_on_one_side_by_adding_up_densities(mass):
    """The twin: node after node, with the three cases written out as integrals."""
    numbers, sd = np.random.default_rng(4), 15.0
    density = lambda x: np.exp(-((x / sd) ** 2) / 2)  # noqa: E731
    for _ in range(20):
        line, left = (np.array([numbers.uniform(0, one) for one in mass]) for _ in range(2))
        seen = np.array([numbers.choice([0, one / 3, one]) for one in mass]) + numbers.normal(0, sd, len(mass))
        found = _or_empty(left, line, seen, np.array(mass), sd)
        for at, one in enumerate(mass):
            if not one:
                assert found[at] == 0
                continue
            steps = (np.arange(20_000) + 0.5) / 20_000 * one
            lower_end, upper_end = sum(mass[:at]) <= sd / 2, sum(mass[at + 1 :]) <= sd / 2
            share = line[at] / one
            weights = [
                0.3 * (1 - share) * density(seen[at]) * lower_end,
                0.3 * share * density(seen[at] - one) * upper_end,
                0.7 * density(seen[at] - steps).mean(),
            ]
            slow = np.array(weights) @ [0.0, one, left[at]] / sum(weights)
            assert found[at] == pytest.approx(slow, rel=2e-3, abs=1e-6)


@pytest.mark.parametrize("most", [1, 2, 4, 24])
def test_bins_have_about_equal_shares_on_edges_of_cells(most):
    shares = np.random.default_rng(0).dirichlet(np.ones(64))
    grid = Grid(np.linspace(0, 1, 65), np.concatenate([[0], np.cumsum(shares)]))
    bins = grid.bins(most)
    assert len(bins) < most + 1
    assert set(bins) <= set(grid.edges.tolist())
    inside = np.diff(grid.share_below(np.array([0, *bins, 1])))
    assert inside.max() <= 1 / most + 2 * shares.max()
    assert number_levels(grid, most, nullable=True).missing == len(bins) + 1


def test_visits_share_a_grid_and_labels_have_none():
    query, names = cell_query(Layout.of(cohort("named").schema))
    assert names == ["age", "weight", "sbp"]
    assert [len(columns) for columns in query.columns] == [1, 1, 3]


def test_the_grid_of_exact_counts_is_the_distribution():
    layout, patients = Layout.of(cohort().schema), cohort()
    from wardgan.encode.units import encode

    query, names = cell_query(layout)
    units = encode(patients, layout)
    found = grids(query, names, query.total(units, np.zeros(len(units), dtype=np.int64)), 0.0)
    age = units[:, layout.names.index("age")]
    for edge, below in zip(found["age"].edges, found["age"].cumulative, strict=True):
        assert below == pytest.approx((age < edge - 1e-9).mean(), abs=1e-9)


def test_the_number_of_bins_comes_from_the_declared_population():
    sizes = [levels.size for levels in anchor().levels]
    assert max(sizes) <= 64
