"""Simulated populations: their patients obey the schema, and hang together as was asked for."""

from dataclasses import replace

import numpy as np
import pytest

import data_kit as kit
from wardgan.encode.units import classes_of
from wardgan.errors import SchemaError, UsageError
from wardgan.evaluate.utility import score_classifiers
from wardgan.rng import Seed
from wardgan.schema.read import broken
from wardgan.schema.schema import Schema
from wardgan.simulate.assume import Assumptions
from wardgan.simulate.schemas import generic_schema
from wardgan.simulate.world import World

FLAG = {"kind": "flag", "label": True}
NUMBER = {"kind": "number", "low": 0, "high": 100}
WARD = kit.schema({"died": FLAG} | {f"lab{at}": NUMBER | {"nullable": True} for at in range(20)})
COURSE = {"grid": [str(at) for at in range(8)], "columns": {f"m{at}": NUMBER for at in range(6)}}


def visits(*, key="when", **more):
    return kit.schema({"died": FLAG}, {"key": key, **COURSE, **more})


def ranked(values):
    return np.argsort(np.argsort(values, axis=0), axis=0)


def test_the_same_seed_gives_the_same_patients():
    one, two = (World.of(WARD, seed=Seed(3)).draw(50, seed=Seed(4)) for _ in range(2))
    assert kit.same(one, two)


def test_another_seed_or_group_gives_others():
    world = World.of(WARD, seed=Seed(3))
    first = world.draw(50, seed=Seed(4))
    assert not kit.same(first, world.draw(50, seed=Seed(5)))
    assert not kit.same(first, world.draw(50, seed=Seed(4), group="unseen"))
    assert not kit.same(first, World.of(WARD, seed=Seed(5)).draw(50, seed=Seed(4)))


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()
    World.of(WARD, seed=Seed(1)).draw(10, seed=Seed(1))
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize("patients", [0, 1, 7])
def test_as_many_patients_as_asked_for(patients):
    for schema in (WARD, visits()):
        cohort = World.of(schema, seed=Seed(1)).draw(patients, seed=Seed(1))
        assert len(cohort) == patients
        assert cohort.patients.tolist() == list(range(1, patients + 1))


@pytest.mark.parametrize("patients", [-1, 2.5, True])
def test_what_is_no_number_of_patients(patients):
    with pytest.raises(UsageError, match="patients="):
        World.of(WARD, seed=Seed(1)).draw(patients, seed=Seed(1))


def test_gaps_in_the_schema_are_refused():
    with pytest.raises(SchemaError, match="age: bounds or levels are not declared"):
        World.of(kit.schema({"age": {"kind": "integer", "learn": True}}), seed=Seed(1))


@pytest.mark.parametrize("missing", [0.0, 0.2, 0.6])
def test_cells_are_missing_as_often_as_asked_for(missing):
    cohort = World.of(WARD, seed=Seed(2), assume=Assumptions(missing=missing)).draw(8000, seed=Seed(2))
    shares = np.isnan(np.array([cohort.static[f"lab{at}"] for at in range(20)])).mean(axis=1)
    assert shares.mean() == pytest.approx(missing, abs=0.25 * missing)
    assert (shares <= 1.5 * missing + 0.02).all()
    assert (shares >= 0.5 * missing - 0.02).all()
    assert not np.isnan(cohort.static["died"]).any()


def test_columns_of_one_panel_are_missing_together():
    world = World.of(WARD, seed=Seed(2))
    cohort = world.draw(8000, seed=Seed(2))
    panels = {trait.column.name: trait.panel for trait in world.traits}
    holes = np.corrcoef([np.isnan(cohort.static[name]) for name in panels])
    same = np.equal.outer(list(panels.values()), list(panels.values())) & ~np.eye(20, dtype=bool)
    assert holes[same].mean() > 0.4
    assert holes[same].mean() > 3 * holes[~same & ~np.eye(20, dtype=bool)].mean()


def test_correlations_are_those_of_clinical_tables():
    """Mean size .05 to .13 on the public tables of the benchmarks, a few pairs far above."""
    found = []
    for seed in range(6):
        cohort = World.of(generic_schema(20, missing=False), seed=Seed(seed)).draw(4000, seed=Seed(1))
        values = ranked(np.column_stack([codes for name, codes in cohort.static.items() if "number" in name]))
        size = np.abs(np.corrcoef(values.T))[np.tril_indices(10, -1)]
        found.append((size.mean(), size.max()))
    mean, largest = np.mean(found, axis=0)
    assert 0.07 < mean < 0.25
    assert 0.3 < largest < 0.8


@pytest.mark.parametrize("declared", [WARD, visits(complete=True), visits()], ids=["table", "complete", "visits"])
def test_a_strong_signal_can_be_learned_better_than_a_weak_one(declared):
    areas = {}
    for signal in ("weak", "medium", "strong"):
        world = World.of(declared, seed=Seed(1), assume=Assumptions(signal=signal))
        train, test = (world.draw(4000, seed=Seed(1), group=group).wide() for group in ("a", "b"))
        found = score_classifiers(train, test, target="died", seed=Seed(1), models=["logistic regression"])
        areas[signal] = found["logistic regression"].auroc
    assert areas["weak"] + 0.05 < areas["medium"] < areas["strong"] - 0.05
    assert 0.74 < areas["medium"] < 0.87


def test_labels_have_their_shares_and_are_not_all_one():
    schema = kit.schema(
        {"died": FLAG, "ward": {"kind": "category", "levels": ["a", "b", "c"], "label": True}, "x": NUMBER}
    )
    cohort = World.of(schema, seed=Seed(1), assume=Assumptions(rarest=0.1)).draw(10_000, seed=Seed(1))
    assert cohort.static["died"].mean() == pytest.approx(0.1, abs=0.02)
    assert (cohort.static["ward"] == 2).mean() == pytest.approx(0.1, abs=0.02)
    assert len(np.unique(classes_of(cohort))) == 6


def test_visits_remember_the_one_before():
    cohort = World.of(visits(complete=True), seed=Seed(1)).draw(3000, seed=Seed(1))
    assert cohort.present.all()
    fades = []
    for codes in cohort.measured.values():
        together = np.corrcoef(ranked(codes).T)
        assert np.diag(together, 1).min() > 0.2
        fades.append(np.diag(together, 1).mean() - together[0, -1])
    assert np.mean(fades) > 0.1


def test_patients_come_less_and_less_but_once_at_least():
    cohort = World.of(visits(), seed=Seed(1)).draw(5000, seed=Seed(1))
    come = cohort.present.mean(axis=0)
    assert cohort.present.any(axis=1).all()
    assert come[0] > 0.93
    assert 0.4 < come[-1] < 0.9
    assert come[0] - come[-1] > 0.05
    together = np.corrcoef(cohort.present.T)
    assert together[5, 6] > 0.2
    for codes in cohort.measured.values():
        assert (np.isnan(codes) == ~cohort.present).all()


@pytest.mark.parametrize("kind", [{"kind": "number", "low": 0, "high": 16, "decimals": 2}, {"kind": "date", "low":
    "2000-01-01", "high": "2020-01-01"}, {"kind": "integer", "low": -5, "high": 3}])  # fmt: skip
def test_times_of_ragged_visits_rise(kind):
    columns = {"when": kind, "x": NUMBER | {"nullable": True}}
    schema = kit.schema({"died": FLAG}, {"key": "when", "max_visits": 6, "columns": columns})
    world = World.of(schema, seed=Seed(1))
    cohort = world.draw(3000, seed=Seed(1))
    count = cohort.present.sum(axis=1)
    assert set(count) <= set(range(1, 7))
    assert len(set(count)) > 3
    assert (cohort.present == (np.arange(6) < count[:, None])).all()
    times = np.where(cohort.present, cohort.measured["when"], np.inf)
    assert (times[:, 1:] >= times[:, :-1]).all()
    low, high = schema.visits.columns[0].low, schema.visits.columns[0].high
    assert np.nanmin(cohort.measured["when"]) >= low
    assert np.nanmax(cohort.measured["when"]) <= high


RULES = {
    "one": kit.schema({"a": NUMBER, "b": NUMBER, "died": FLAG}, rules=["a < b"]),
    "three": kit.schema({"a": NUMBER, "b": NUMBER, "c": NUMBER}, rules=["a < b", "b <= c", "a + b < 120"]),
    "label": kit.schema({"a": NUMBER, "died": FLAG}, rules=["died == 0 or a > 20"]),
    "visits": kit.schema(
        {"age": NUMBER}, {"key": "when", **COURSE, "complete": True}, rules=["m0 < m1", "m2 < age"], patient="id"
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_rules_are_obeyed(name):
    cohort = World.of(RULES[name], seed=Seed(2)).draw(300, seed=Seed(2))
    assert len(cohort) == 300
    assert broken(cohort)[0] == []


def test_of_several_populations_the_most_lawful_is_taken():
    schema = RULES["visits"]
    free = kit.schema({"age": NUMBER}, {"key": "when", **COURSE, "complete": True}, patient="id")
    plain = [World.of(free, seed=Seed(seed)) for seed in range(12)]
    by_chance = [World(schema, w.traits, w.outcomes, w.stays, w.pace).lawful(Seed(1)) for w in plain]
    chosen = [World.of(schema, seed=Seed(seed)).lawful(Seed(seed)) for seed in range(4)]
    assert np.mean(chosen) > np.mean(by_chance) + 0.1


def test_a_rule_that_nobody_obeys_is_named():
    schema = kit.schema({"a": NUMBER, "b": NUMBER}, rules=["a == 2 * b + 7"])
    with pytest.raises(UsageError, match=r"rules: 0 of [\d,]+ simulated patients obey a == 2 \* b \+ 7"):
        World.of(schema, seed=Seed(1)).draw(50, seed=Seed(1))


def test_only_labels():
    cohort = World.of(kit.schema({"died": FLAG}), seed=Seed(1)).draw(2000, seed=Seed(1))
    assert 0.2 < cohort.static["died"].mean() < 0.32
    assert list(cohort.static) == ["died"]


def test_its_repr_shows_no_number():
    assert repr(World.of(WARD, seed=Seed(1))) == "World('demo')"


REPEATED = {
    "name": "repeated", "patient": "id", "table": {"age": {"kind": "number", "low": 0, "high": 1, "nullable": True}},
    "visits": {
        "key": "v", "grid": ["A", "B", "C", "D"], "columns": {"crp": {"kind": "number", "low": 0, "high": 1}},
    },
}  # fmt: skip


def changed(world, **traits):
    return replace(world, traits=tuple(replace(trait, **traits) for trait in world.traits))


def test_measures_move_from_the_first_visit_to_the_last():
    world = World.of(Schema.from_dict(REPEATED), seed=Seed(3))
    for trend, sign in ((2.0, 1), (-2.0, -1)):
        means = np.nanmean(changed(world, trend=trend).draw(2000, seed=Seed(4)).measured["crp"], axis=0)
        assert (sign * np.diff(means) > 0.02).all()


def test_the_ill_come_to_more_or_fewer_visits_than_others():
    world = World.of(Schema.from_dict(REPEATED), seed=Seed(3))
    ill = changed(world, loadings=np.array([0.95, 0.0, 0.0, 0.0]), hole=-np.inf).draw(4000, seed=Seed(4))
    assert abs(np.corrcoef(ill.static["age"], ill.present.sum(axis=1))[0, 1]) > 0.1


def test_labels_may_depend_on_cells_that_are_missing():
    cohort = (world := World.of(Schema.from_dict(REPEATED), seed=Seed(3))).draw(500, seed=Seed(4))
    holes = np.where(np.isnan(cohort.static["age"]), 1.0, -1.0)
    assert 0 < (holes > 0).mean() < 1
    assert any(np.array_equal(feature, holes) for feature in world.features(cohort).T)


def test_the_first_trait_leads():
    table = {f"x{at}": {"kind": "flag"} for at in range(200)}
    world = World.of(Schema.from_dict({"name": "wide", "table": table}), seed=Seed(3))
    size = np.square([trait.loadings for trait in world.traits]).mean(axis=0)
    assert size[0] > 2 * size[1:].max()
