"""The tree of noisy counts against brute force least squares, and the bins made from it."""

from __future__ import annotations

import numpy as np
import pytest
from anchors import anchor, cohort

from wardgan.encode.layout import Layout
from wardgan.models.anchor.grid import Grid, _edges, cell_query, consistent, grids, number_levels, smooth_leaves
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
    assert edges.tolist() == [0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1]
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
