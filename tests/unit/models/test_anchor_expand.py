"""From groups to levels: every level is drawn with its share, however rare, by a small table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from anchors import anchor, draws, run
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wardgan.encode.layout import Layout
from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.expand import add_levels, cells, runs
from wardgan.models.anchor.groups import Grouping
from wardgan.models.anchor.network import copula_network
from wardgan.models.anchor.quantiles import category_table
from wardgan.models.anchor.scores import axes_of
from wardgan.privacy.queries import Levels
from wardgan.sample.network import Graph
from wardgan.schema.schema import Schema
from wardgan.seal.onnx_check import check_network


def joined(groups, inside):
    return Grouping(np.asarray(groups), np.zeros(len(groups)), 0.0, np.asarray(inside, dtype=float))


def shares(table, size):
    """The probability of each level within its group, read off an alias table by adding up its cells."""
    found = np.zeros(size)
    for first, count in zip(table.first, table.size, strict=True):
        for cell in range(first, first + count):
            found[table.own[cell]] += table.cut[cell] / count
            found[table.other[cell]] += (1 - table.cut[cell]) / count
    return found


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_the_cells_hold_each_level_with_its_share(data):
    size = data.draw(st.integers(1, 40))
    groups = np.array(data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)))
    groups = np.unique(groups, return_inverse=True)[1]
    weight = data.draw(arrays(np.float64, size, elements=st.one_of(st.just(0.0), st.floats(1e-6, 1.0)))) + 0.0
    total = np.bincount(groups, weights=weight)
    inside = np.where(total[groups] > 0, weight / np.maximum(total, 1e-300)[groups], 1 / np.bincount(groups)[groups])
    table = cells(joined(groups, inside))
    np.testing.assert_allclose(shares(table, size), inside, atol=1e-12)
    assert (table.size == np.bincount(groups)).all()
    assert ((table.cut >= 0) & (table.cut <= 1)).all()
    assert (groups[table.own] == groups[table.other]).all()
    assert sorted(table.own) == list(range(size))


def test_first_steps_and_numbers_of_steps():
    table = np.array([[[2, 0], [2, 0], [0, 1], [1, 1]], [[1, 1], [1, 1], [1, 0], [2, 0]]], dtype=np.int16)
    first, number = runs(table)  # (classes, groups, variables)
    assert first[0, :, 0].tolist() == [2, 3, 0]
    assert number[0, :, 0].tolist() == [1, 1, 2]
    assert (first[1, 1, 0], number[1, 1, 0]) == (0, 3)
    assert number[1, 0, 0] == 1  # a group without a step is never asked for
    assert number[0, :2, 1].tolist() == [2, 2]


def of_codes(size=700, columns=1, classes=2, rare=1e-4, more=0):
    """An anchor of some codes whose first level is rare, and of some flags."""
    codes = {f"code{at}": {"kind": "category", "levels": [f"c{i}" for i in range(size)]} for at in range(columns)}
    flags = {f"flag{at}": {"kind": "flag"} for at in range(more)}
    arm = {"arm": {"kind": "category", "levels": [f"y{i}" for i in range(classes)], "label": True}}
    layout = Layout.of(Schema.from_dict({"name": "d", "table": (arm if classes > 1 else {}) | codes | flags}))
    weight = 1 / np.arange(1, size + 1)
    weight *= (1 - rare) / weight[1:].sum()
    weight[0] = rare
    groups = np.minimum(np.arange(size) // 25, 27)
    mass = np.bincount(groups, weights=weight)
    grouping = joined(groups, weight / mass[groups])
    margin = np.array([mass, mass[::-1]][:classes])
    two = np.full((classes, 2), 0.5)
    levels = [Levels(None, 28, None, tuple(groups.tolist()))] * columns + [Levels(None, 2, None)] * more
    order = [np.arange(28)] * columns + [np.arange(2)] * more
    number = columns + more
    made = Anchor(
        layout, axes_of(layout), tuple(levels), {}, np.full(classes, 1 / classes),
        tuple([margin] * columns + [two] * more), tuple(order), tuple(np.zeros(one.size) for one in levels),
        np.broadcast_to(np.eye(number), (classes, number, number)).copy(), 1e5,
        groupings={f"code{at}": grouping for at in range(columns)},
    )  # fmt: skip
    return made, weight, groups, margin


@pytest.mark.parametrize("share", [1e-4, 3e-5])
def test_a_rare_level_is_drawn_with_about_its_share(share):
    made, weight, _, _ = of_codes(rare=share, classes=1)
    network = copula_network(made)
    count, found = 0, np.zeros(700)
    stream = np.random.default_rng(5)
    for _ in range(4):
        latent = stream.standard_normal((1_000_000, 1)).astype(np.float32)
        found += np.bincount(
            run(network, latent, np.zeros(len(latent), dtype=np.int64))[:, 0].astype(int), minlength=700
        )
        count += len(latent)
    # Five standard errors, and what the steps of the groups round.
    assert found[0] / count == pytest.approx(share, abs=5 * np.sqrt(share / count) + 0.05 * share)
    assert np.abs(found / count - weight).sum() / 2 < 0.02


def test_the_shares_of_levels_are_those_of_the_class():
    made, weight, groups, margin = of_codes()
    latent, classes = draws(1, 2, 400_000)
    found = run(copula_network(made), latent, classes)[:, 0].astype(int)
    inside = weight / np.bincount(groups, weights=weight)[groups]
    for y in (0, 1):
        seen = np.bincount(found[classes == y], minlength=700) / (classes == y).sum()
        assert np.abs(seen - margin[y][groups] * inside).sum() / 2 < 0.03


def test_where_a_number_lies_in_its_group_decides_on_the_level_alone():
    """The order of the groups is kept: a larger normal never has an earlier group."""
    made, _, groups, _ = of_codes(classes=1)
    latent = np.linspace(-4, 4, 20_001, dtype=np.float32)[:, None]
    found = run(copula_network(made), latent, np.zeros(len(latent), dtype=np.int64))[:, 0].astype(int)
    assert (np.diff(groups[found]) >= 0).all()
    table = category_table(made, 0)[0]
    assert len(np.unique(groups[found])) == len(np.unique(table))


@pytest.mark.parametrize("kind", ["codes"])
def test_extreme_normals_give_levels_that_exist(kind):
    made = anchor(kind)
    latent = np.repeat(np.array([[-40.0], [40.0], [0.0], [1e30], [-1e30]], dtype=np.float32), len(made.axes), axis=1)
    found = run(copula_network(made), latent, np.ones(5, dtype=np.int64))
    for at, variable in enumerate(made.layout.variables):
        if variable.column.name in made.groupings:
            assert set(found[:, at]) <= {-1.0, *map(float, range(variable.column.size))}


def test_forty_columns_with_three_of_700_levels_make_a_small_file_that_the_loader_takes():
    made, *_ = of_codes(columns=3, more=37)
    network = copula_network(made)
    assert len(network) < 500_000
    check_network(network, latent=40, variables=40, classes=2)


def test_visits_of_a_column_share_their_cells():
    made = anchor("codes")
    drug = [at for at, variable in enumerate(made.layout.variables) if variable.column.name == "drug"]
    assert len(drug) == 3

    def bytes_of(chosen):
        graph = Graph(latent=len(chosen))
        inside = graph.add("Mul", "latent", graph.floats(0.0))
        group = graph.add("Cast", inside, to=6)
        return len(graph.finish(add_levels(graph, group, inside, made, chosen), variables=len(chosen)))

    assert bytes_of(drug) < bytes_of(drug[:1]) + 2000
    code = made.layout.names.index("code")
    assert bytes_of([*drug, code]) > bytes_of(drug)


def test_the_largest_position_is_still_inside():
    made = replace(of_codes(classes=1)[0])
    graph = Graph(latent=1)
    group = graph.add("Cast", graph.add("Mul", "latent", graph.floats(0.0)), to=6)
    network = graph.finish(add_levels(graph, group, "latent", made, [0]), variables=1)
    positions = np.array([[0.0], [0.5], [0.99999994], [1.0]], dtype=np.float32)
    found = run(network, positions, np.zeros(4, dtype=np.int64))[:, 0]
    assert ((found >= 0) & (found < 25)).all()


def test_two_columns_of_codes_have_levels_of_their_own():
    """Their tables stand one after the other; each column finds its own."""
    made, weight, groups, _ = of_codes(columns=2, classes=1)
    mirrored = weight[::-1].copy()
    members = groups[::-1].max() - groups[::-1]
    other = joined(members, mirrored / np.bincount(members, weights=mirrored)[members])
    margin = np.bincount(members, weights=mirrored)[None, :]
    made = replace(
        made,
        groupings=made.groupings | {"code1": other},
        levels=(made.levels[0], Levels(None, 28, None, tuple(members.tolist()))),
        margins=(made.margins[0], margin),
    )
    latent, classes = draws(2, 1, 400_000)
    found = run(copula_network(made), latent, classes).astype(int)
    for at, wanted in enumerate((weight, mirrored)):
        seen = np.bincount(found[:, at], minlength=700) / len(found)
        assert np.abs(seen - wanted).sum() / 2 < 0.03
