"""The marginal family: groups, soft tables, the goal, the hold-out, and what it finds that a copula cannot say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from anchors import anchor, cohort
from scipy.special import ndtr

import wardgan as wg
from wardgan.encode.layout import Layout
from wardgan.encode.units import classes_of, encode
from wardgan.errors import BudgetError
from wardgan.models.pairs import fitting
from wardgan.models.pairs import tables as soft_tables
from wardgan.models.pairs.candidates import MOST, candidate_pairs, groups_of
from wardgan.models.pairs.drawn import drawn_groups, expected_tables
from wardgan.models.pairs.goal import Goal, Measured
from wardgan.models.pairs.holdout import HoldOut
from wardgan.models.pairs.settings import SELECTION
from wardgan.models.pairs.tables import SoftGroups, pair_tables
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.pairs import PairCounts
from wardgan.privacy.records import Records
from wardgan.rng import Seed

KINDS = ["none", "named", "complete", "ragged"]
BUDGET = wg.Budget(epsilon=8.0)
SMALL = wg.MarginalConfig(steps=10, width=16, noise_inputs=4)


def normals(made, patients=4000, y=0):
    latent = np.random.default_rng(5).standard_normal((patients, len(made.axes)))
    return latent @ made.factors[y].T


# --- which pairs, in which groups -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_no_flag_of_a_visit_is_paired_with_its_own_cells(kind):
    layout = Layout.of(cohort(kind).schema)
    pairs = candidate_pairs(layout)
    assert len(set(pairs)) == len(pairs)
    assert all(one < other for one, other in pairs)
    names = {(layout.names[one], layout.names[other]) for one, other in pairs}
    assert ("visit@A", "sbp@A") not in names
    if kind == "named":
        assert ("visit@A", "sbp@B") in names


def test_of_too_many_pairs_those_of_near_visits_are_kept():
    columns = {f"c{at}": {"kind": "flag"} for at in range(12)}
    visits = {"key": "v", "grid": [f"v{at}" for at in range(12)], "complete": True, "columns": columns}
    schema = wg.Schema.from_dict(
        {"name": "wide", "patient": "id", "table": {"sex": {"kind": "flag"}}, "visits": visits}
    )
    layout = Layout.of(schema)
    pairs = candidate_pairs(layout)
    assert len(pairs) == MOST
    slots = np.array([variable.slot for variable in layout.variables])
    far = [abs(slots[one] - slots[other]) for one, other in pairs if min(slots[one], slots[other]) >= 0]
    assert max(far) < 11
    assert sum(one == 0 for one, _ in pairs) == 144  # the static one is near to all


@pytest.mark.parametrize("kind", KINDS)
def test_groups_are_neighbours_of_about_equal_share(kind):
    made = anchor(kind)
    for at, group in enumerate(groups_of(made, 4)):
        order, levels = made.order[at], made.levels[at]
        assert (np.diff(group[order]) >= 0).all()
        assert sorted(set(group)) == list(range(group.max() + 1))
        assert group[order].max() < 4
        if levels.missing is not None:
            assert (group == group[levels.missing]).sum() == 1
        if levels.size > 8:
            share = np.bincount(group[order], weights=(made.probabilities @ made.values(at))[order])
            assert share.max() < 0.5


# --- tables that a network expects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_soft_groups_are_the_groups_of_the_patients(kind):
    made = anchor(kind)
    groups = groups_of(made, 5)
    soft = SoftGroups(made, groups)
    both = np.stack([normals(made, y=y) for y in (0, 1)])
    member = soft(torch.from_numpy(both.astype(np.float32))).numpy()
    for y in (0, 1):
        group = drawn_groups(both[y], y, made, groups)
        hard = group[:, :, None] == np.arange(soft.size)
        # The twin reads axes by ranks, so a few patients lie on the other side of a border.
        assert (np.abs(member[y] - hard) > 0.5).any(axis=2).mean() < 0.02
    assert set(np.unique(member.round(3))) <= {0.0, 1.0}


@pytest.mark.parametrize("kind", ["none", "ragged"])
def test_the_gradient_points_to_the_border(kind):
    made = anchor(kind)
    soft = SoftGroups(made, groups_of(made, 5))
    latent = torch.zeros(2, 4, len(made.axes), requires_grad=True)
    soft(latent)[..., 0].sum().backward()
    assert bool((latent.grad[:, :, 1] < 0).all())  # a larger normal leaves the lowest group


def test_both_ways_to_multiply_give_the_same_tables(monkeypatch):
    made = anchor("named")
    groups = groups_of(made, 5)
    pairs = candidate_pairs(made.layout)[::3]
    member = SoftGroups(made, groups)(torch.from_numpy(np.stack([normals(made, 300, y) for y in (0, 1)])).float())
    dense = pair_tables(member, pairs)
    monkeypatch.setattr(soft_tables, "_DENSE", 0)
    torch.testing.assert_close(pair_tables(member, pairs), dense)
    slow = torch.zeros_like(dense)
    for y in (0, 1):
        for place, (one, other) in enumerate(pairs):
            for patient in member[y]:
                slow[y, place] += torch.outer(patient[one], patient[other]) / 300
    torch.testing.assert_close(slow, dense)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copula_expects_the_tables_of_its_own_patients(kind):
    made, mine = anchor(kind), cohort(kind)
    groups = groups_of(made, 4)
    asked = PairCounts(made.levels, groups, candidate_pairs(made.layout), 2)
    units, classes = encode(mine, made.layout), classes_of(mine)
    drawn = [drawn_groups(normals(made, 20_000, y), y, made, groups) for y in (0, 1)]
    expected = expected_tables(drawn, np.bincount(classes), asked)
    real = asked.tables(asked.total(units, classes))
    apart = [np.abs(one - other).sum() / 2 / other.sum() for one, other in zip(expected, real, strict=True)]
    assert np.mean(apart) < 0.08  # chance alone gives about .05 for 900 patients
    uncorrelated = [
        drawn_groups(np.random.default_rng(1).standard_normal((20_000, len(made.axes))), y, made, groups)
        for y in (0, 1)
    ]
    loose = expected_tables(uncorrelated, np.bincount(classes), asked)
    worse = [np.abs(one - other).sum() / 2 / other.sum() for one, other in zip(loose, real, strict=True)]
    assert np.mean(worse) > np.mean(apart)


# --- the goal ---------------------------------------------------------------------------------------------------------


def goal_of(made, *, sd=5.0, shift=0.0):
    groups = groups_of(made, 4)
    asked = PairCounts(made.levels, groups, candidate_pairs(made.layout)[:6], 2)
    drawn = [drawn_groups(normals(made, 40_000, y), y, made, groups) for y in (0, 1)]
    tables = expected_tables(drawn, made.patients * made.probabilities, asked)
    for table in tables:
        table[:, 0, 0] += shift
    return Goal(made, Measured(list(asked.pairs), tables, [sd] * len(tables)), SoftGroups(made, groups))


def mean_goal(goal, made, batches=60):
    numbers = np.random.default_rng(9)
    found = []
    for _ in range(batches):
        latent = numbers.standard_normal((2, 512, len(made.axes)))
        both = np.stack([latent[y] @ made.factors[y].T for y in (0, 1)])
        found.append(float(goal(torch.from_numpy(both.astype(np.float32)))))
    return np.mean(found), np.std(found) / np.sqrt(batches)


def test_the_goal_is_reached_by_the_truth_and_by_nothing_else():
    made = anchor()
    mean, error = mean_goal(goal_of(made), made)
    assert abs(mean) < 5 * error + 0.05
    missed, _ = mean_goal(goal_of(made, shift=60.0), made)
    assert missed > mean + 10 * error
    noisy, _ = mean_goal(goal_of(made, shift=60.0, sd=500.0), made)
    assert noisy < missed / 10  # what is hardly known hardly counts


def test_the_goal_weighs_moments_by_their_noise():
    """The same sum over all terms, one after the other."""
    made = replace(anchor(), noise=12.0)
    soft = SoftGroups(made, groups_of(made, 4))
    goal = Goal(made, Measured([(0, 1)], [np.full((2, 1, 1), 1e9)], [1e15]), soft)  # a table that nothing is known of
    half = np.random.default_rng(2).normal(0.2, 1.1, (2, 30, len(made.axes)))
    found = float(goal(torch.from_numpy(np.concatenate([half, half], axis=1).astype(np.float32))))
    expected, terms = 0.0, 2.0
    for y, patients in enumerate(made.patients * made.probabilities):
        gap = half[y].T @ half[y] / 30 - made.factors[y] @ made.factors[y].T
        variance = (12.0 / patients) ** 2 + 1 / patients
        expected += (gap**2).sum() / (2 * variance) + patients * (half[y].mean(axis=0) ** 2).sum()
        terms += gap.size / 2
    assert found == pytest.approx(expected / terms, rel=1e-4)


# --- the hold-out -----------------------------------------------------------------------------------------------------


def test_the_task_tells_a_copula_from_independent_columns():
    made, mine = anchor(), cohort()
    groups = groups_of(made, 5)
    held = HoldOut.of(encode(mine, made.layout), classes_of(mine), made, groups)
    good = held.task([drawn_groups(normals(made, 8000, y), y, made, groups) for y in (0, 1)], made)
    shuffled = [np.random.default_rng(y).permuted(held.groups, axis=0)[:500] for y in (0, 1)]
    null = held.task(shuffled, made)
    assert good > null + 0.03
    assert abs(null - 0.5) < 0.03


def test_in_the_task_classes_count_by_their_share_and_not_by_how_many_were_drawn():
    made, mine = anchor(), cohort()
    groups = groups_of(made, 5)
    held = HoldOut.of(encode(mine, made.layout), classes_of(mine), made, groups)
    drawn = [drawn_groups(normals(made, 4000, y), y, made, groups) for y in (0, 1)]
    more = [drawn[0], np.tile(drawn[1], (20, 1))]
    assert held.task(more, made) == pytest.approx(held.task(drawn, made), abs=1e-4)


def test_the_task_of_a_constant_table_is_not_a_number():
    made = anchor()
    held = HoldOut(np.zeros((40, 2), dtype=np.int64), np.zeros(40, dtype=np.int64), (1, 1))
    drawn = [np.zeros((10, 2), dtype=np.int64), np.zeros((10, 2), dtype=np.int64)]
    assert np.isnan(held.task(drawn, made))


def test_p04_a_private_fit_has_no_hold_out():
    private = Records(cohort(), Ledger(wg.plan(cohort().schema, BUDGET), replayable=True), noise=Seed(1))
    with pytest.raises(BudgetError, match="no hold-out"):
        private.held_out(0.1, Seed(1).stream("hold-out"))
    open_records = Records(cohort(), Ledger(None), noise=Seed(1))
    rest, units, classes = open_records.held_out(0.1, Seed(1).stream("hold-out"))
    assert len(units) == len(classes) == 90
    assert rest.measure("any", PairCounts((), (), (), 2)).size == 0


# --- the plan ---------------------------------------------------------------------------------------------------------


def schema_of(population, columns=8):
    table = {"arm": {"kind": "flag", "label": True}}
    table |= {f"c{at}": {"kind": "integer", "low": 0, "high": 99} for at in range(columns)}
    return wg.Schema.from_dict({"name": "demo", "population": population, "table": table})


def test_the_number_of_pairs_follows_public_facts():
    def pairs(population, epsilon):
        plan = wg.plan(schema_of(population), wg.Budget(epsilon), family="marginal")
        return sum(event.steps for event in plan.events if event.name == SELECTION)

    assert pairs(2_000, 0.5) == 0
    assert 0 < pairs(3_000, 1.0) < pairs(3_000, 3.0) <= 24
    assert pairs(1_000_000, 3.0) == 24
    # One pair for eight variables is too little to be worth a part of the budget; two are not.
    assert {pairs(population, 0.5) for population in range(3_000, 6_500, 500)} == {0, 2}


def test_without_pairs_it_is_a_copula():
    mine = cohort()
    schema = replace(mine.schema, population=900)
    budget = wg.Budget(epsilon=1.0)
    assert [e.name for e in wg.plan(schema, budget, family="marginal").events] == [
        e.name for e in wg.plan(schema, budget, family="copula").events
    ]
    mine = replace(mine, schema=schema)
    one, other = (wg.fit(mine, budget, family=family, seed=4) for family in ("marginal", "copula"))
    assert one.generator.network == other.generator.network
    # Whoever asked for pairs is told that there are none.
    assert next(note for note in one.notes if note not in other.notes).startswith("No table of a pair")


# --- what it is for ---------------------------------------------------------------------------------------------------


def ring(patients=3000):
    """Two numbers on a ring and a flag that is their exclusive or: pairs that no Gaussian copula can say."""
    numbers = np.random.default_rng(1)
    angle = numbers.random(patients) * 2 * np.pi
    frame = pd.DataFrame({
        "x": np.clip(np.round(50 + 35 * np.cos(angle) + numbers.normal(0, 3, patients)), 0, 99).astype(int),
        "y": np.clip(np.round(50 + 35 * np.sin(angle) + numbers.normal(0, 3, patients)), 0, 99).astype(int),
        "z": numbers.integers(0, 100, patients),
    })  # fmt: skip
    table = {name: {"kind": "integer", "low": 0, "high": 99} for name in frame}
    return frame, wg.Schema.from_dict({"name": "ring", "population": patients, "table": table})


def in_the_middle(frame):
    return float(((frame["x"] - 50).abs() < 15).mul((frame["y"] - 50).abs() < 15).mean())


@pytest.mark.parametrize("privacy", ["private", "none"])
def test_it_finds_a_ring_that_a_copula_fills(privacy):
    frame, schema = ring()
    mine = wg.read(frame, schema)
    budget = {"budget": BUDGET} if privacy == "private" else {"privacy": "none"}
    config = wg.MarginalConfig(steps=60, width=32, noise_inputs=8)
    found = {
        family: in_the_middle(wg.fit(mine, family=config if family == "marginal" else family, seed=3, **budget).generator.sample(20_000, seed=1))
        for family in ("copula", "marginal")
    }  # fmt: skip
    assert in_the_middle(frame) == 0
    assert found["copula"] > 0.05
    assert found["marginal"] < found["copula"] / 2


def test_it_does_no_harm_where_the_copula_is_right():
    numbers = np.random.default_rng(2)
    values = numbers.multivariate_normal([50, 50], [[100, 60], [60, 100]], 3000)
    frame = pd.DataFrame(np.clip(values.round(), 0, 99).astype(int), columns=["x", "y"])
    table = {name: {"kind": "integer", "low": 0, "high": 99} for name in frame}
    mine = wg.read(frame, wg.Schema.from_dict({"name": "plain", "population": 3000, "table": table}))
    made = wg.fit(mine, BUDGET, family=wg.MarginalConfig(steps=40, width=32, noise_inputs=8), seed=3)
    sample = made.generator.sample(20_000, seed=1)
    assert sample.corr().iloc[0, 1] == pytest.approx(0.6, abs=0.06)
    assert sample.mean().to_numpy() == pytest.approx([50, 50], abs=1)
    assert sample.std().to_numpy() == pytest.approx([10, 10], abs=0.8)


def test_tables_are_asked_for_and_expected_with_the_right_noise_and_sizes(monkeypatch):
    """The noise of a count is that of all tables that are asked for together; each class has its own size."""
    numbers = np.random.default_rng(6)
    sick, first = numbers.random(4000) < 0.25, numbers.normal(0, 1, 4000)
    frame = pd.DataFrame({f"x{at}": 50 + 10 * first + 5 * numbers.normal(0, 1, 4000) for at in range(6)})
    table = {name: {"kind": "number", "low": 0, "high": 100} for name in frame}
    table["sick"] = {"kind": "flag", "label": True}
    schema = wg.Schema.from_dict({"name": "six", "population": 4000, "table": table})
    frame = frame.clip(0, 100).assign(sick=sick)
    expected, known = [], []
    honest, trained = fitting.expected_tables, fitting.PairFit.trained
    monkeypatch.setattr(
        fitting,
        "expected_tables",
        lambda drawn, patients, asked: expected.append(patients) or honest(drawn, patients, asked),
    )
    monkeypatch.setattr(fitting.PairFit, "trained", lambda self, *rest: known.append(trained(self, *rest)) or known[-1])
    made = wg.fit(wg.read(frame, schema), BUDGET, family=SMALL, seed=2)
    events = {event.name: event for event in made.ledger.plan.events}
    (found,) = known
    rounds = [event for name, event in events.items() if name.startswith("pairs")]
    each = len(found.pairs) // len(rounds)
    assert each > 1
    # A patient is in one cell of each table, so `each` tables have the sensitivity sqrt(each).
    sds = np.repeat([event.noise_multiplier * np.sqrt(each) for event in rounds], each)
    np.testing.assert_allclose(found.sd, sds)
    for patients in expected:
        np.testing.assert_allclose(patients / patients.sum(), made.generator.probabilities, rtol=1e-6)
        assert patients.sum() == pytest.approx(len(frame), rel=0.05)


def test_p05_a_fit_that_stops_goes_on_without_asking_again(tmp_path, monkeypatch):
    frame, schema = ring()
    mine = wg.read(frame, schema)
    whole = wg.fit(mine, BUDGET, family=SMALL, seed=2)

    class Killed(BaseException):
        pass

    honest = Records.measure

    def measure(self, name, query):
        if name == "pairs 2":
            raise Killed
        return honest(self, name, query)

    monkeypatch.setattr(Records, "measure", measure)
    with pytest.raises(Killed):
        wg.fit(mine, BUDGET, family=SMALL, seed=2, run=tmp_path / "run")
    monkeypatch.undo()
    again = wg.fit(mine, BUDGET, family=SMALL, seed=2, run=tmp_path / "run", resume=True)
    assert again.generator.network == whole.generator.network
    assert again.ledger.events == whole.ledger.events
    # Rule P12: of a selection the places alone are kept, of everything else the noisy answer.
    answers = {path.stem: np.load(path) for path in (tmp_path / "run").glob("*.npy")}
    places = [answer for name, answer in answers.items() if name.startswith("selection-")]
    assert sum(map(len, places)) == whole.ledger.plan.event(SELECTION).steps
    assert len(np.unique(np.concatenate(places))) == sum(map(len, places))
    counts = {name: answer for name, answer in answers.items() if not name.startswith("selection-")}
    rounds = {event.name.replace(" ", "-") for event in whole.ledger.plan.events if event.mechanism == "gaussian"}
    assert set(counts) == rounds
    assert len([name for name in rounds if name.startswith("pairs")]) == len(places) > 1
    assert all((np.abs(answer - np.round(answer)) > 1e-6).any() for answer in counts.values())


def test_normals_of_an_anchor_are_standard():
    made = anchor()
    assert np.abs(ndtr(normals(made)).mean(axis=0) - 0.5).max() < 0.03
