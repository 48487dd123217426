"""The judge of simulated generators sees what is planted, and nothing where there is nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import data_kit as kit
from wardgan.evaluate.fidelity import total_variation
from wardgan.rehearsal.judge import CLASSIFIERS, PAIRED, Stage, Target, targets_of, wide_of
from wardgan.rng import Seed
from wardgan.simulate.schemas import generic_schema
from wardgan.simulate.world import World

NUMBER = {"kind": "number", "low": 0, "high": 100}


def staged(schema, patients=1500, unseen=2000):
    world = World.of(schema, seed=Seed(1))
    return Stage.of(world.draw(patients, seed=Seed(1)), world.draw(unseen, seed=Seed(1), group="unseen"), Seed(1))


@pytest.fixture(scope="module")
def stage():
    return staged(generic_schema(8))


def shuffled(cohort, name):
    order = np.random.default_rng(0).permutation(len(cohort))
    return replace(cohort, static={**cohort.static, name: cohort.static[name][order]})


def test_a_generator_that_returns_the_patients_reaches_the_best(stage):
    judged, best = stage.judge(stage.cohort), stage.best()
    assert judged.areas == best.areas
    assert judged.columns == judged.pairs == 0
    np.testing.assert_array_equal(judged.classes, best.classes)


def test_the_best_is_that_of_unseen_patients(stage):
    best = stage.best()
    # Gradient boosting would know its own patients by heart: an area of 1.
    assert all(0.7 < area < 0.95 for areas in best.areas.values() for area in areas)
    assert 0 < best.columns < best.pairs < 0.2
    assert best.columns == total_variation(stage.real, stage.unseen.iloc[: len(stage.real)]).mean
    assert best.classes.sum() == pytest.approx(1)


def test_labels_by_chance_teach_nothing(stage):
    areas = stage.judge(shuffled(stage.cohort, "outcome")).areas
    assert all(0.3 < area < 0.7 for found in areas.values() for area in found)


def test_a_lost_column_is_seen(stage):
    gone = np.zeros(len(stage.cohort))
    judged = stage.judge(replace(stage.cohort, static={**stage.cohort.static, "number 1": gone}))
    assert judged.columns > 0.03
    assert judged.pairs > judged.columns


def test_another_order_of_the_patients_changes_no_likeness(stage):
    judged = stage.judge(stage.cohort.take(np.random.default_rng(1).permutation(len(stage.cohort))))
    assert judged.columns == judged.pairs == 0


def test_columns_that_depend_on_nothing_lose_pairs_alone(stage):
    judged = stage.judge(shuffled(stage.cohort, "number 1"))
    assert judged.columns == 0
    assert judged.pairs > 0.005


def test_of_many_columns_the_pairs_of_some_are_compared():
    stage = staged(generic_schema(60), patients=60, unseen=60)
    assert len(stage.paired) == PAIRED == len(set(stage.paired))
    assert list(stage.paired) != list(stage.real.columns[:PAIRED])
    assert [name for name in stage.real.columns if name in stage.paired] == list(stage.paired)


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ({"y": {"kind": "flag", "label": True}, "x": NUMBER}, [Target("y", None, label=True)]),
        (
            {"y": {"kind": "flag", "label": True}, "z": {"kind": "category", "levels": ["a", "b"], "label": True}, "x": NUMBER},
            [Target("y", None, label=True), Target("z", None, label=True)],
        ),
        ({"one": {"kind": "category", "levels": ["a"]}, "x": {"kind": "flag"}}, [Target("x", None, label=False)]),
        ({"a": {"kind": "category", "levels": [1, 2, 3]}, "b": {"kind": "flag"}}, [Target("b", None, label=False)]),
    ],
)  # fmt: skip
def test_labels_are_predicted_or_else_the_column_with_the_fewest_levels(table, found):
    schema = kit.schema(table)
    assert list(targets_of(schema, wide_of(World.of(schema, seed=Seed(1)).draw(50, seed=Seed(1))))) == found


def test_numbers_are_cut_at_their_median():
    (target,) = targets_of(kit.schema({"x": NUMBER}), pd.DataFrame({"x": [1.0, 2.0, 3.0, np.nan]}))
    assert target == Target("x", 2.0, label=False)
    assert str(target) == "whether x is above its median"
    asked = target.asked(pd.DataFrame({"x": [1.0, 2.5, np.nan], "y": [1, 2, 3]}))
    assert asked["x"].tolist()[:2] == ["below", "above"]
    assert pd.isna(asked["x"][2])
    assert asked["y"].tolist() == [1, 2, 3]


def test_a_median_at_the_top_still_parts_the_patients():
    (target,) = targets_of(kit.schema({"x": NUMBER}), pd.DataFrame({"x": [1.0, 3.0, 3.0, 3.0]}))
    assert target.asked(pd.DataFrame({"x": [1.0, 3.0]}))["x"].tolist() == ["below", "above"]


def test_what_never_differs_is_not_predicted():
    assert targets_of(kit.schema({"x": NUMBER}), pd.DataFrame({"x": [3.0, 3.0]})) == ()
    alone = staged(kit.schema({"x": {"kind": "category", "levels": ["a"]}}), patients=30, unseen=30)
    assert alone.targets == ()
    assert alone.best().areas == dict.fromkeys(CLASSIFIERS, ())


def test_dates_long_ago_are_judged_too():
    schema = kit.schema({"born": {"kind": "date", "low": "1200-01-01", "high": "1300-01-01"}, "x": NUMBER})
    stage = staged(schema, patients=200, unseen=200)
    assert stage.targets[0].name == "born"
    assert 0 < stage.best().columns < 0.5


def test_visits_stand_beside_each_other_and_names_do_not():
    visits = {"key": "when", "grid": ["A", "B"], "columns": {"m": NUMBER}}
    stage = staged(kit.schema({"y": {"kind": "flag", "label": True}}, visits), patients=50, unseen=50)
    assert list(stage.real.columns) == ["y", "m@A", "m@B"]
