"""Projections, tilts and correlations against brute force; refusals from noisy counts alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from anchors import anchor, cohort
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wardgan.encode.layout import Layout
from wardgan.errors import PlanError
from wardgan.models.anchor import anchor as anchor_module
from wardgan.models.anchor.anchor import (
    LABELS,
    anchor_shares,
    check_feasible,
    measure_anchor,
)
from wardgan.models.anchor.dependence import Dependence, _factor, drawn, pair_blocks
from wardgan.models.anchor.feasible import least_epsilon
from wardgan.models.anchor.margins import tilt
from wardgan.models.anchor.scores import axes_of, filled, hole_scores, level_scores, normal_quantile
from wardgan.models.anchor.tables import borrowed, class_sizes, margins, simplex
from wardgan.models.copula.config import CopulaConfig
from wardgan.models.fit import fit
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan
from wardgan.privacy.queries import Levels
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.schema.read import read
from wardgan.schema.schema import Schema


@given(arrays(np.float64, st.integers(1, 6), elements=st.floats(-3, 3)))
@settings(deadline=None, max_examples=80)
def test_the_nearest_shares_by_trying_every_support(vector):
    size, best = len(vector), None
    for count in range(1, size + 1):
        for support in combinations(range(size), count):
            shares = np.zeros(size)
            shares[list(support)] = vector[list(support)] - (vector[list(support)].sum() - 1) / count
            if (shares >= -1e-12).all() and (
                best is None or np.linalg.norm(shares - vector) < np.linalg.norm(best - vector)
            ):
                best = shares
    np.testing.assert_allclose(simplex(vector), best, atol=1e-9)


@given(
    arrays(np.float64, 6, elements=st.floats(0.01, 1)),
    arrays(np.float64, 6, elements=st.floats(-2.5, 2.5)),
    st.floats(0.02, 0.98),
)
@settings(deadline=None, max_examples=60)
def test_a_tilt_meets_the_mean_and_changes_nothing_else(shares, score, part):
    shares = shares / shares.sum()
    if np.ptp(score) < 0.5:
        return
    goal = score.min() + part * np.ptp(score)
    tilted = tilt(shares, score, goal)
    assert tilted.sum() == pytest.approx(1)
    weight = np.exp(20 * (score - score.max())) * shares, np.exp(-20 * (score - score.min())) * shares
    low, high = sorted(float(each @ score / each.sum()) for each in weight)
    assert tilted @ score == pytest.approx(np.clip(goal, low, high), abs=1e-6)
    # The nearest distribution with that mean: log-ratios are linear in the score.
    ratio = np.log(np.maximum(tilted, 1e-300) / shares)
    order = np.argsort(score)
    slope = np.polyfit(score[order], ratio[order], 1)
    np.testing.assert_allclose(np.polyval(slope, score), ratio, atol=1e-5)


def test_a_tilt_to_the_own_mean_is_no_tilt():
    shares, score = np.array([0.2, 0.5, 0.3]), np.array([-1.0, 0.2, 2.0])
    np.testing.assert_allclose(tilt(shares, score, float(shares @ score)), shares, atol=1e-9)


@pytest.mark.parametrize("sd", [0.0, 5.0, 500.0])
def test_margins_are_shares_whatever_the_noise(sd):
    numbers = np.random.default_rng(1)
    table = np.array([[50.0, 30, 20], [400, 100, 0]]) + numbers.normal(0, sd, (2, 3))
    found = margins(table, sd)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    if sd == 0:
        np.testing.assert_allclose(found, [[0.5, 0.3, 0.2], [0.8, 0.2, 0]])


def test_scores_of_levels_are_standardised_and_holes_score_nothing():
    margin, shares = np.array([[0.2, 0.3, 0.4, 0.1], [0.5, 0.2, 0.2, 0.1]]), np.array([0.4, 0.6])
    scores, order = level_scores(margin, shares, Levels((0.2, 0.5), 4, 3), keep_order=False)
    part = (shares @ margin)[:3] / (shares @ margin)[:3].sum()
    assert part @ scores[:3] == pytest.approx(0, abs=1e-9)
    assert part @ scores[:3] ** 2 == pytest.approx(1, abs=1e-9)
    assert scores[3] == 0
    assert order.tolist() == [0, 1, 2]
    hole = hole_scores(margin, shares, Levels((0.2, 0.5), 4, 3))
    assert hole.tolist() == pytest.approx([-0.2, -0.2, -0.2, 1.8])
    assert shares @ margin @ hole == pytest.approx(0, abs=1e-12)
    assert (np.diff(scores[:3]) > 0).all()


def test_levels_of_a_category_are_ordered_by_class_unless_they_have_an_order():
    margin, shares = np.array([[0.1, 0.8, 0.1], [0.6, 0.1, 0.3]]), np.array([0.5, 0.5])
    free = level_scores(margin, shares, Levels(None, 3, None), keep_order=False)[1]
    kept = level_scores(margin, shares, Levels(None, 3, None), keep_order=True)[1]
    assert free.tolist() == [1, 2, 0]
    assert kept.tolist() == [0, 1, 2]


def test_a_broken_matrix_becomes_correlations():
    matrix = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    factor = _factor(matrix)
    found = factor @ factor.T
    np.testing.assert_allclose(np.diag(found), 1)
    assert np.linalg.eigvalsh(found).min() > 0
    assert np.allclose(factor, np.tril(factor))
    good = np.array([[1, 0.5], [0.5, 1]])
    np.testing.assert_allclose(_factor(good) @ _factor(good).T, good)


def dependence(made):
    return Dependence(
        made.layout, made.axes, made.levels, made.margins, made.scores, made.probabilities * 900,
        np.ones((2, len(made.layout))), made.order, np.inf,
    )  # fmt: skip


def test_pairs_of_visits_at_the_same_distance_share_a_block():
    made = anchor("complete")
    blocks, names = pair_blocks(dependence(made)), made.layout.names
    at = {name: names.index(name) for name in names}
    pair = lambda one, other: blocks[at[one], at[other]]  # noqa: E731
    assert pair("sbp@A", "sbp@B") == pair("sbp@B", "sbp@C") == pair("sbp@C", "sbp@B")
    assert pair("sbp@A", "sbp@C") != pair("sbp@A", "sbp@B")
    assert pair("age", "sbp@A") != pair("age", "sbp@B")
    assert (blocks == blocks.T).all()
    holes = anchor("named").holes
    blocks, names = pair_blocks(dependence(anchor("named"))), anchor("named").layout.names
    hole = [holes[names.index(f"sbp@{visit}")] for visit in "ABC"]
    assert blocks[hole[0], hole[1]] == blocks[hole[1], hole[2]] != blocks[hole[0], hole[2]]
    assert blocks[hole[0], hole[1]] != blocks[names.index("sbp@A"), names.index("sbp@B")]


def test_axes_are_values_and_then_holes():
    layout = Layout.of(cohort().schema)
    axes = axes_of(layout)
    assert [axis.at for axis in axes[: len(layout)]] == list(range(len(layout)))
    nullable = [at for at, variable in enumerate(layout.variables) if variable.column.nullable]
    assert [axis.at for axis in axes[len(layout) :]] == nullable
    assert [axis.hole for axis in axes] == [False] * len(layout) + [True] * len(nullable)


def test_quantiles_of_the_normal():
    from scipy.stats import norm

    shares = np.linspace(1e-6, 1 - 1e-6, 99)
    np.testing.assert_allclose(normal_quantile(shares), norm.ppf(shares), atol=1e-9)


def known_cohort(correlation, patients=6000):
    numbers = np.random.default_rng(4)
    z = numbers.multivariate_normal(np.zeros(3), correlation, patients)
    frame = pd.DataFrame({
        "arm": np.where(numbers.random(patients) < 0.5, "a", "b"),
        "x": np.round(100 + 15 * z[:, 0]), "y": np.round(50 + 8 * z[:, 1]), "w": z[:, 2] > 0.4,
    })  # fmt: skip
    number = {"kind": "integer", "low": 0, "high": 200}
    arm = {"kind": "category", "levels": ["a", "b"], "label": True}
    schema = Schema.from_dict({"name": "d", "table": {"arm": arm, "x": number, "y": number, "w": {"kind": "flag"}}})
    return read(frame, schema)


@pytest.mark.parametrize("other", [0.6, -0.3])
def test_known_correlations_are_found_in_spite_of_bins_and_flags(other):
    truth = np.array([[1, 0.7, other], [0.7, 1, 0.2], [other, 0.2, 1]])
    made = measure_anchor(Records(known_cohort(truth), Ledger(None), noise=Seed(1)), population=6000)
    # Levels of a category stand in the order of the class, so a flag may stand on its head.
    turned = np.diag([1, 1, 1 if made.order[2][0] == 0 else -1])
    for factor in made.factors:
        np.testing.assert_allclose(turned @ factor @ factor.T @ turned, truth, atol=0.06)


def holes_cohort(patients=8000):
    """Two numbers that go together, whose holes go together too, and with the numbers of neither."""
    numbers = np.random.default_rng(4)
    z = numbers.multivariate_normal(
        [0, 0, 0, 0], [[1, 0.6, 0, 0], [0.6, 1, 0, 0], [0, 0, 1, 0.8], [0, 0, 0.8, 1]], patients
    )
    frame = pd.DataFrame({"x": np.round(100 + 15 * z[:, 0]), "y": np.round(50 + 8 * z[:, 1])})
    frame["x"] = frame["x"].where(z[:, 2] < 0.3)
    frame["y"] = frame["y"].where(z[:, 3] < -0.2)
    number = {"kind": "integer", "low": 0, "high": 200, "nullable": True}
    return read(frame, Schema.from_dict({"name": "d", "table": {"x": number, "y": number}}))


def test_holes_that_go_together_are_made_together():
    made = measure_anchor(Records(holes_cohort(), Ledger(None), noise=Seed(1)), population=8000)
    truth = np.array([[1, 0.6, 0, 0], [0.6, 1, 0, 0], [0, 0, 1, 0.8], [0, 0, 0.8, 1]])
    np.testing.assert_allclose(made.factors[0] @ made.factors[0].T, truth, atol=0.06)
    trained = fit(holes_cohort(), family=CopulaConfig(), privacy="none", seed=1)
    real, synthetic = holes_cohort().frame(), trained.generator.sample(20_000, seed=2)
    both = [(frame["x"].isna() & frame["y"].isna()).mean() for frame in (real, synthetic)]
    assert both[1] == pytest.approx(both[0], abs=0.02)
    found = [frame[["x", "y"]].corr().iloc[0, 1] for frame in (real, synthetic)]
    assert found[1] == pytest.approx(found[0], abs=0.05)


def test_drawn_patients_have_the_margins_they_are_drawn_from():
    made = dependence(anchor())
    independent = np.broadcast_to(np.eye(len(made.axes)), (2, len(made.axes), len(made.axes)))
    found = np.array([scores.sum(axis=0) / there.sum(axis=0) for scores, there in drawn(made, independent)])
    np.testing.assert_allclose(found, made.moments(), atol=0.05)
    seen = np.array([there.mean(axis=0) for _, there in drawn(made, independent)])
    np.testing.assert_allclose(seen, made.there(), atol=0.02)


# --- refusals ---------------------------------------------------------------------------------------------------------


def noisy_plan(layout, noise):
    events = tuple(Event(share.name, "gaussian", noise_multiplier=noise) for share in anchor_shares(layout, None))
    return Plan(Budget(3.0), events, 900, "copula")


def measured(patients, noise, seed=1):
    ledger = Ledger(noisy_plan(Layout.of(patients.schema), noise), replayable=True)
    return measure_anchor(Records(patients, ledger, noise=Seed(seed)), population=900)


def test_a_noisy_anchor_is_an_anchor():
    for kind in ("none", "named", "ragged"):
        made = measured(cohort(kind), 3.0)
        assert all(np.isfinite(margin).all() and (margin >= 0).all() for margin in made.margins)
        assert made.probabilities.sum() == pytest.approx(1)
        assert np.isfinite(made.factors).all()


@pytest.mark.parametrize("patients", [1, 5])
def test_p03_too_few_patients_are_refused_by_the_noisy_count(patients):
    with pytest.raises(PlanError, match="noisy count there are fewer than"):
        measured(cohort().take(np.arange(patients)), 1.0)


@pytest.mark.parametrize("kind", ["none", "named"])
def test_a_class_that_cannot_be_told_from_none_is_like_all_patients(kind):
    alone = cohort(kind)
    alone = alone.take(np.flatnonzero(alone.static["arm"] == 1))
    for seed in range(25):
        made = measured(alone, 2.0, seed)
        assert 0 < made.probabilities[0] < 0.05
        for margin in made.margins:
            np.testing.assert_allclose(margin[0], margin[1], atol=0.01)
        np.testing.assert_allclose(made.factors[0], made.factors[1], atol=0.01)
        assert "class arm=a has" in made.notes[0]


def test_a_class_of_three_patients_costs_the_others_nothing():
    arm = cohort().static["arm"]
    few = cohort().take(np.flatnonzero((arm == 1) | (np.cumsum(arm == 0) <= 3)))
    made, whole = measured(few, 2.0), measured(few.take(np.flatnonzero(few.static["arm"] == 1)), 2.0)
    for margin, other in zip(made.margins, whole.margins, strict=True):
        np.testing.assert_allclose(margin[1], other[1], atol=0.05)


def test_borrowed_answers_are_means_of_all_patients():
    answer, sizes = np.array([[40.0, 60.0], [-7.0, 3.0], [10.0, 0.0]]), np.array([100.0, 1.0, 9.0])
    assert borrowed(answer, sizes, np.zeros(3, dtype=bool)) is answer
    found = borrowed(answer, sizes, np.array([False, True, False]))
    np.testing.assert_array_equal(found[[0, 2]], answer[[0, 2]])
    np.testing.assert_allclose(found[1], [43 / 110, 63 / 110])


def test_p03_the_refusals_see_noisy_tables_only(monkeypatch):
    seen = []
    honest = anchor_module.class_sizes
    monkeypatch.setattr(anchor_module, "class_sizes", lambda *given: seen.append(given) or honest(*given))
    measured(cohort(), 2.0)
    ((_, tables, noise),) = seen
    assert noise == pytest.approx(2.0 * np.sqrt(len(tables)))
    assert all((np.abs(table - np.round(table)) > 1e-9).any() for table in tables)  # no exact counts


def test_a_class_is_lost_below_two_standard_deviations_of_its_size():
    layout = Layout.of(cohort().schema)
    noise, levels = 10.0, [level.size for level in anchor().levels]
    sd = noise / np.sqrt(sum(1 / size for size in levels))
    for size, lost in ((1.9 * sd, True), (2.1 * sd, False), (-3.0, True)):
        tables = [np.outer([size, 500], np.full(n, 1 / n)) for n in levels]
        sizes, found = class_sizes(layout, tables, noise)
        assert found.tolist() == [lost, False]
        np.testing.assert_allclose(sizes, [max(size, 1.0), 500])
    assert class_sizes(layout, [np.outer([1, 500], np.full(n, 1 / n)) for n in levels], 0.0)[1].tolist() == [False] * 2


def test_the_class_sizes_are_as_good_as_their_claim():
    layout = Layout.of(cohort().schema)
    truth = np.bincount(cohort().static["arm"].astype(int))
    noise, sizes = 40.0, []
    exact = [np.outer(truth, np.full(levels.size, 1 / levels.size)) for levels in anchor().levels]
    numbers = np.random.default_rng(0)
    for _ in range(300):
        tables = [table + numbers.normal(0, noise, table.shape) for table in exact]
        sizes.append(anchor_module.class_sizes(layout, tables, 0.0)[0])
    sd = noise / np.sqrt(sum(1 / levels.size for levels in anchor().levels))
    np.testing.assert_allclose(np.std(sizes, axis=0), sd, rtol=0.2)
    np.testing.assert_allclose(np.mean(sizes, axis=0), truth, atol=5 * sd / np.sqrt(300))


def test_the_least_epsilon_falls_with_patients_and_rises_with_variables():
    layout = Layout.of(cohort().schema)
    wide = Layout.of(cohort("complete").schema)
    least = [least_epsilon(layout, population=n, delta=1e-5, part=0.3) for n in (100, 1000, 10_000)]
    assert least == sorted(least, reverse=True)
    assert least_epsilon(wide, population=1000, delta=1e-5, part=0.3) > least[1]


def test_what_is_not_feasible_is_refused_before_anything_is_read():
    layout = Layout.of(cohort().schema)
    with pytest.raises(PlanError, match=r"Possible from about epsilon="):
        check_feasible(layout, Budget(0.01), 100, shares=anchor_shares(layout, None))
    check_feasible(layout, Budget(0.01), None, shares=anchor_shares(layout, None))
    check_feasible(layout, Budget(0.01), 10**7, shares=anchor_shares(layout, None))


def test_shares_leave_out_what_has_nothing_to_measure():
    def names(table):
        return [share.name for share in anchor_shares(Layout.of(Schema.from_dict({"name": "d", "table": table})), None)]

    flag, number = {"kind": "flag"}, {"kind": "integer", "low": 0, "high": 9}
    assert names({"a": flag}) == [LABELS]
    assert names({"a": flag, "b": flag}) == [LABELS, "covariance"]
    assert names({"a": number}) == ["grid", LABELS]
    label = {"kind": "flag", "label": True}
    assert names({"y": label, "a": number}) == ["grid", LABELS, "class means"]


def test_without_privacy_a_fit_is_near_its_patients():
    made = fit(cohort(), family=CopulaConfig(), privacy="none", seed=1)
    synthetic, real = made.generator.sample(20_000, seed=2), cohort().frame()
    assert synthetic["age"].mean() == pytest.approx(real["age"].mean(), abs=1.0)
    assert synthetic["sex"].mean() == pytest.approx(real["sex"].mean(), abs=0.03)
    assert synthetic["weight"].isna().mean() == pytest.approx(real["weight"].isna().mean(), abs=0.03)
    by_arm = synthetic.groupby("arm", observed=True)["age"].mean()
    assert by_arm["b"] - by_arm["a"] == pytest.approx(20, abs=3)


@pytest.mark.parametrize("privacy", ["none", "private"])
def test_a_class_whose_cells_are_all_missing(privacy):
    """Nothing is known of its values, and nothing needs to be: its margins stay numbers."""
    table = {
        "died": {"kind": "flag", "label": True},
        "lab": {"kind": "number", "low": 0, "high": 9, "nullable": True},
        "age": {"kind": "integer", "low": 0, "high": 99},
    }
    numbers = np.random.default_rng(0)
    died = np.arange(600) % 5 == 0
    lab = np.where(died, np.nan, numbers.uniform(1, 5, 600))
    frame = pd.DataFrame({"died": died, "lab": lab, "age": numbers.integers(20, 90, 600)})
    found = read(frame, Schema.from_dict({"name": "demo", "population": 600, "table": table}))
    budget = Budget(20) if privacy == "private" else None
    drawn = fit(found, budget, family="copula", privacy=privacy, seed=1).generator.sample(2000, seed=1)
    assert drawn[drawn["died"]]["lab"].isna().mean() > 0.95
    assert drawn[~drawn["died"]]["lab"].isna().mean() < 0.05


def test_a_class_without_values_has_those_of_the_others():
    margin = np.array([[0.0, 0.0, 1.0], [0.3, 0.2, 0.5]])
    np.testing.assert_allclose(filled(margin, Levels(None, 3, 2)), [[0.6, 0.4, 0.0], [0.6, 0.4, 0.0]])
    nobody = np.array([[0.0, 0.0, 1.0]])
    np.testing.assert_allclose(filled(nobody, Levels(None, 3, 2)), [[0.5, 0.5, 0.0]])
    np.testing.assert_array_equal(filled(margin, Levels(None, 3, None)), margin)
