"""Large categories: what is joined, what stays alone, and that noise does not become patients."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from anchors import CODES, anchor, cohort
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wardgan.encode.layout import Layout
from wardgan.encode.units import encode
from wardgan.models.anchor import groups
from wardgan.models.anchor.anchor import TOTALS, Weights, anchor_shares, measure_anchor
from wardgan.models.anchor.groups import LARGE, denoised, group_margins, grouping, is_large, level_query
from wardgan.models.copula.config import CopulaConfig
from wardgan.models.fit import fit
from wardgan.models.planning import plan
from wardgan.privacy.events import Budget
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.schema.columns import Column
from wardgan.schema.read import read
from wardgan.schema.schema import Schema

some = settings(deadline=None, max_examples=80)
noisy = arrays(np.float64, st.integers(2, 60), elements=st.floats(-200, 2000))


def category(size, parts=None, **more):
    names = tuple(f"l{at:03d}" for at in range(size))
    if parts is None:
        return Column("x", "category", levels=names, **more)
    cuts = np.cumsum([0, *parts])
    return Column(
        "x",
        "category",
        groups=tuple((f"g{i}", names[a:b]) for i, (a, b) in enumerate(pairwise(cuts))),
    )


def zipf(size=700, used=700, patients=20_000, ratio=300, seed=0):
    numbers = np.random.default_rng(seed)
    truth = np.zeros(size)
    truth[:used] = 1 / np.arange(1, used + 1)
    truth = numbers.permutation(truth / truth.sum())
    sd = patients / ratio
    return truth, numbers.multinomial(patients, truth) + numbers.normal(0, sd, size), sd


# --- which columns, and what is asked ---------------------------------------------------------------------------------


def test_a_category_is_large_above_24_levels_or_if_its_levels_are_learned():
    assert not is_large(category(LARGE))
    assert is_large(category(LARGE + 1))
    assert is_large(category(3, learn=True))
    assert not is_large(Column("x", "flag"))
    assert not is_large(Column("x", "integer", low=0, high=500))
    assert not is_large(category(40, label=True))


def test_small_tables_plan_as_before_and_large_ones_pay_for_totals():
    small, large = (Layout.of(cohort(kind).schema) for kind in ("none", "codes"))
    assert TOTALS not in {share.name for share in anchor_shares(small, None)}
    (share,) = [share for share in anchor_shares(large, None) if share.name == TOTALS]
    assert share.weight == Weights.of(large).totals


def test_the_visits_of_a_column_are_asked_together():
    query, columns = level_query(Layout.of(cohort("codes").schema))
    assert [column.name for column in columns] == ["code", "drug"]
    assert [len(mine) for mine in query.columns] == [1, 3]
    assert query.sizes == (60, 40)


# --- shares within a group --------------------------------------------------------------------------------------------


@given(noisy, st.floats(0, 300), st.data())
@some
def test_shares_of_each_group_sum_to_one(totals, sd, data):
    size = data.draw(st.integers(1, len(totals)))
    members = np.concatenate(
        [
            np.arange(size),
            np.array(
                data.draw(st.lists(st.integers(0, size - 1), min_size=len(totals) - size, max_size=len(totals) - size)),
                dtype=int,
            ),
        ]
    )
    mass = data.draw(arrays(np.float64, size, elements=st.floats(0, 1e4)))
    found = denoised(totals, members, mass, sd)
    assert (found >= 0).all()
    np.testing.assert_allclose(np.bincount(members, weights=found), 1)


def test_without_noise_the_shares_are_those_of_the_totals():
    totals = np.array([5.0, 0, 20, 75, 0, 0])
    found = denoised(totals, np.array([0, 0, 1, 1, 2, 2]), np.array([5.0, 95, 0]), 0.0)
    np.testing.assert_allclose(found, [1, 0, 20 / 95, 75 / 95, 0.5, 0.5])


def test_what_stands_out_keeps_its_total_and_the_rest_is_spread_evenly():
    numbers = np.random.default_rng(1)
    totals = np.concatenate([[500.0], np.minimum(numbers.normal(0, 10, 400), 29)])
    found = denoised(totals, np.zeros(401, dtype=int), np.array([600.0]), 10.0)
    assert found[0] == pytest.approx(500 / 600)
    assert found[1:].max() < 5 / 600


@pytest.mark.parametrize("ratio", [30, 100, 300, 1000, 3000])
def test_noise_of_hundreds_of_empty_levels_does_not_become_patients(ratio):
    """Cutting off negative counts, which is what a small category does, is far worse."""
    apart = {"ours": [], "cut off": []}
    for seed in range(5):
        truth, totals, sd = zipf(used=350, ratio=ratio, seed=seed)
        ours = denoised(totals, np.zeros(700, dtype=int), np.array([20_000.0]), sd)
        cut = np.maximum(totals, 0) / np.maximum(totals, 0).sum()
        apart["ours"].append(np.abs(ours - truth).sum() / 2)
        apart["cut off"].append(np.abs(cut - truth).sum() / 2)
    limit = {30: 0.62, 100: 0.45, 300: 0.32, 1000: 0.2, 3000: 0.11}[ratio]
    assert np.mean(apart["ours"]) < limit
    assert np.mean(apart["ours"]) < np.mean(apart["cut off"]) * (0.85 if ratio < 2000 else 1.1)


# --- groups -----------------------------------------------------------------------------------------------------------


@given(st.data())
@some
def test_each_level_is_in_one_of_few_groups(data):
    totals = data.draw(arrays(np.float64, st.integers(25, 90), elements=st.floats(-50, 1000)))
    most, sd = data.draw(st.integers(2, 64)), data.draw(st.floats(0, 100))
    cut = data.draw(st.integers(1, len(totals) - 1))
    column = data.draw(st.sampled_from([category(len(totals)), category(len(totals), [cut, len(totals) - cut])]))
    found = grouping(column, totals, sd, most)
    assert found.groups.shape == totals.shape
    assert set(found.groups.tolist()) == set(range(found.size))
    assert found.size <= most
    # Numbered by their first level.
    assert (np.diff(np.unique(found.groups, return_index=True)[1]) > 0).all()
    np.testing.assert_allclose(np.bincount(found.groups, weights=found.inside), 1)
    levels = found.levels(nullable=True)
    assert (levels.size, levels.missing, levels.groups) == (found.size + 1, found.size, tuple(found.groups.tolist()))


def test_large_levels_stay_alone_and_the_others_are_joined_with_their_neighbours():
    totals = np.full(100, 10.0)
    totals[[7, 60]] = 1000
    found = grouping(category(100), totals, 2.0, 8)
    size = np.bincount(found.groups)
    assert size[found.groups[7]] == size[found.groups[60]] == 1
    rest = np.delete(found.groups, [7, 60])
    assert (np.diff(rest) >= 0).all()
    assert np.bincount(rest)[np.bincount(rest) > 0].max() <= 18


@pytest.mark.parametrize(("size", "most"), [(100, 8), (30, 15)])
def test_levels_that_do_not_stand_out_are_all_joined(size, most):
    totals = 15 + np.random.default_rng(0).normal(0, 10, size)
    found = grouping(category(size), np.minimum(totals, 29.0), 10.0, most)
    assert np.bincount(found.groups).min() > 1


def test_declared_groups_are_kept_apart():
    totals = np.full(60, 5.0)
    totals[3] = 400
    found = grouping(category(60, [10, 30, 20]), totals, 1.0, 16)
    declared = np.repeat([0, 1, 2], [10, 30, 20])
    assert all(len(set(declared[found.groups == group])) == 1 for group in range(found.size))
    assert found.size == 4
    assert np.bincount(found.groups)[found.groups[3]] == 1


def test_too_many_declared_groups_are_joined_as_neighbours():
    found = grouping(category(100, [2] * 50), np.full(100, 10.0), 1.0, 8)
    assert found.size <= 8
    declared = np.repeat(np.arange(50), 2)
    assert all(len(set(found.groups[declared == group])) == 1 for group in range(50))


def test_learned_levels_that_are_few_stay_as_they_are():
    found = grouping(category(10, learn=True), np.arange(10.0), 5.0, 4)
    assert found.groups.tolist() == list(range(10))


# --- margins ----------------------------------------------------------------------------------------------------------


def drawn(noise, sd, seed, classes=2, patients=20_000, parts=40):
    numbers = np.random.default_rng(seed)
    truth, totals, _ = zipf(size=200, used=200, ratio=1e9, seed=seed)
    sizes = patients * np.array([0.8, 0.2])[:classes]
    joined = np.repeat(np.arange(parts), 200 // parts)
    shares = np.bincount(joined, weights=truth)
    table = sizes[:, None] * shares + numbers.normal(0, noise, (classes, parts))
    totals = patients * truth + numbers.normal(0, sd, 200)
    found = groups.Grouping(joined, totals, sd, denoised(totals, joined, np.bincount(joined, weights=totals), sd))
    return found, table, shares


def test_the_totals_of_many_levels_weigh_less_than_that_of_one(monkeypatch):
    """A group's total has the noise of all its levels; the table's count of it that of one per class."""
    centres = []
    monkeypatch.setattr(groups, "_towards", lambda centre, *_: centres.append(centre))
    joined, sd, noise = np.repeat([0, 1, 2], [1, 1, 98]), 10.0, 20.0
    totals = np.concatenate([[400.0, 200.0], np.full(98, 400 / 98)])
    table = np.array([[150.0, 100, 250], [150.0, 100, 250]])
    inside = denoised(totals, joined, np.bincount(joined, weights=totals), sd)
    group_margins(groups.Grouping(joined, totals, sd, inside), [table], [table / 500], noise, 1000.0)
    first, second = np.array([0.4, 0.2, 0.4]), np.array([0.3, 0.2, 0.5])
    precise = 1 / (np.array([1, 1, 98]) * sd**2), np.full(3, 1 / (2 * noise**2))
    mean = (first * precise[0] + second * precise[1]) / (precise[0] + precise[1])
    np.testing.assert_allclose(np.diff(centres[0]), np.diff(mean), atol=1e-9)


def test_margins_are_better_for_knowing_the_totals():
    ours, alone = [], []
    for seed in range(10):
        found, table, shares = drawn(120.0, 30.0, seed)
        plain = np.maximum(table, 0) / np.maximum(table, 0).sum(axis=1, keepdims=True)
        better, (margin,) = group_margins(found, [table], [plain], 120.0, 20_000.0)
        np.testing.assert_allclose(margin.sum(axis=1), 1)
        assert (margin >= 0).all()
        np.testing.assert_allclose(np.bincount(better.groups, weights=better.inside), 1)
        ours.append(np.abs(margin - shares).sum(axis=1) / 2)
        alone.append(np.abs(plain - shares).sum(axis=1) / 2)
    assert (np.mean(ours, axis=0) < [0.06, 0.07]).all()
    assert (np.mean(ours, axis=0) < np.mean(alone, axis=0) / 2).all()


def test_a_class_that_differs_much_keeps_its_difference():
    found, table, shares = drawn(20.0, 5.0, 0)
    table[1, 3] += 1500
    plain = np.maximum(table, 0) / np.maximum(table, 0).sum(axis=1, keepdims=True)
    _, (margin,) = group_margins(found, [table], [plain], 20.0, 20_000.0)
    assert margin[1, 3] == pytest.approx(table[1, 3] / table[1].sum(), abs=0.02)
    assert margin[0, 3] == pytest.approx(shares[3], abs=0.03)


def test_missing_cells_keep_their_share():
    found, table, _ = drawn(20.0, 5.0, 0)
    table = np.column_stack([table, [4000.0, 500.0]])
    plain = np.maximum(table, 0) / np.maximum(table, 0).sum(axis=1, keepdims=True)
    _, (margin,) = group_margins(found, [table], [plain], 20.0, 24_500.0)
    np.testing.assert_allclose(margin[:, -1], plain[:, -1])
    np.testing.assert_allclose(margin.sum(axis=1), 1)


def test_without_noise_nothing_is_changed():
    found, table, _ = drawn(0.0, 0.0, 0)
    plain = table / table.sum(axis=1, keepdims=True)
    assert group_margins(found, [table], [plain], 0.0, 20_000.0) == (found, [plain])


# --- a whole fit ------------------------------------------------------------------------------------------------------


def test_an_anchor_without_noise_has_the_exact_shares_of_codes():
    mine, made = cohort("codes"), anchor("codes")
    at = made.layout.names.index("code")
    units = encode(mine, made.layout)[:, at]
    classes = mine.static["arm"].astype(int)
    joined = made.groupings["code"]
    levels = made.layout.variables[at].column.levels
    assert levels == tuple(CODES)
    for y in (0, 1):
        known = units[(classes == y) & (units >= 0)].astype(int)
        exact = np.bincount(joined.groups[known], minlength=joined.size) / len(known)
        np.testing.assert_allclose(made.values(at)[y][:-1], exact, atol=0.02)
    pooled = np.bincount(units[units >= 0].astype(int), minlength=60)
    within = pooled / np.maximum(np.bincount(joined.groups, weights=pooled), 1)[joined.groups]
    busy = np.bincount(joined.groups, weights=pooled)[joined.groups] > 0
    np.testing.assert_allclose(joined.inside[busy], within[busy], atol=1e-9)


def codes_frame(patients=8000, levels=300):
    numbers = np.random.default_rng(2)
    share = 1 / np.arange(1, levels + 1)
    code = numbers.choice(levels, patients, p=share / share.sum())
    arm = np.where(numbers.random(patients) < np.where(code == 0, 0.8, 0.3), "a", "b")
    return pd.DataFrame({"arm": arm, "code": np.char.mod("c%03d", code), "age": numbers.integers(20, 90, patients)})


SCHEMA = {
    "name": "codes", "population": 8000,
    "table": {
        "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
        "code": {"kind": "category", "levels": [f"c{at:03d}" for at in range(300)]},
        "age": {"kind": "integer", "low": 0, "high": 99},
    },
}  # fmt: skip


def variation(one, other):
    one, other = (frame.value_counts(normalize=True) for frame in (one, other))
    return one.sub(other, fill_value=0).abs().sum() / 2


def test_codes_of_a_private_fit_are_nearer_with_groups_than_in_one_table(monkeypatch):
    frame = codes_frame()
    mine = read(frame, Schema.from_dict(SCHEMA))
    apart = {}
    for name, large in (("one table", 10**6), ("groups", LARGE)):
        monkeypatch.setattr(groups, "LARGE", large)
        made = fit(mine, Budget(1.0), family=CopulaConfig(), seed=3)
        synthetic = made.generator.sample(50_000, seed=1)
        apart[name] = variation(frame["code"], synthetic["code"].astype(str))
    # A large level keeps its lean to the class.
    assert (synthetic["arm"] == "a")[synthetic["code"] == "c000"].mean() == pytest.approx(0.8, abs=0.1)
    assert apart["groups"] < 0.8 * apart["one table"]


def test_levels_that_are_learned_are_joined_too():
    schema = Schema.from_dict({**SCHEMA, "table": {**SCHEMA["table"], "code": {"kind": "category", "learn": True}}})
    planned = plan(schema, Budget(3.0), family="copula")
    assert {"levels of code", TOTALS} <= {event.name for event in planned.events}
    made = fit(read(codes_frame(), schema), Budget(3.0), family="copula")
    assert {event.name: event.steps for event in made.ledger.events} == {event.name: 1 for event in planned.events}
    levels = made.generator.schema.column("code").levels
    assert 10 < len(levels) < 200
    assert levels[-1] == "(other)"
    found = made.generator.sample(20_000, seed=1)["code"].astype(str)
    kept = codes_frame()["code"].where(codes_frame()["code"].isin(levels), "(other)")
    assert variation(kept, found) < 0.1


def test_all_visits_of_a_column_have_the_same_groups():
    ledger = Ledger(None)
    made = measure_anchor(Records(cohort("codes"), ledger, noise=Seed(1)), population=900)
    tables = [
        levels for levels, variable in zip(made.levels, made.layout.variables, strict=True)
        if variable.column.name == "drug"
    ]  # fmt: skip
    assert len(tables) == 3
    assert len({levels.groups for levels in tables}) == 1
