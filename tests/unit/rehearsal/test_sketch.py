"""A sketch rehearses the real fits on simulated patients, and says what came out, or why nothing did."""

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest

import data_kit as kit
import wardgan as wg
from wardgan.errors import PlanError, SchemaError, UsageError
from wardgan.estimate import Estimate
from wardgan.rehearsal import sketch as module
from wardgan.rehearsal.result import Rehearsed, Sketch
from wardgan.rehearsal.sketch import sketch
from wardgan.rehearsal.words import HEADER, cells, legend, page, refusals, verdict
from wardgan.simulate.assume import Assumptions
from wardgan.simulate.schemas import generic_schema

NUMBER = {"kind": "number", "low": 0, "high": 100, "nullable": True}
FLAG = {"kind": "flag", "label": True}
SMALL = kit.schema({"died": FLAG, "age": NUMBER, "lab": NUMBER, "sex": {"kind": "flag"}}, population=600)
CLASSIFIERS = ("logistic regression", "gradient boosting")


@pytest.fixture(scope="module")
def made():
    return sketch(SMALL, epsilons=[8, 0.02, 2], seeds=2)


def numbers(estimate):
    return (estimate.value, estimate.low, estimate.high)


def test_one_row_for_each_epsilon_and_one_without_privacy(made):
    assert [row.epsilon for row in made.rows] == [0.02, 2, 8, None]
    assert [row.refused for row in made.rows] == [True, False, False, False]
    assert (made.patients, made.simulated, made.variables, made.seeds) == (600, 600, 3, 2)
    assert (made.family, made.delta, made.predicted, made.labelled) == ("copula", 1e-5, ("died",), True)


def test_a_refused_budget_is_a_row_with_the_words_of_the_plan(made):
    with pytest.raises(PlanError) as refused:
        wg.plan(SMALL, wg.Budget(0.02))
    assert made.rows[0] == Rehearsed(0.02, (str(refused.value),))
    assert refusals(made) == [f"Epsilon 0.02 is refused: {refused.value}"]


def test_every_number_is_an_estimate_with_an_interval(made):
    for row in made.rows[1:]:
        assert row.refusals == ()
        several = [*row.shares.values(), *row.auroc.values(), *row.classes.values()]
        for estimate in [row.share, row.columns, row.pairs, row.seconds, *several]:
            assert isinstance(estimate, Estimate)
            assert estimate.n == 2
            assert estimate.low <= estimate.value <= estimate.high
        assert set(row.shares) == set(row.auroc) == set(CLASSIFIERS)
        assert sum(estimate.value for estimate in row.classes.values()) == pytest.approx(1)


def test_the_share_is_the_area_as_a_part_of_that_of_the_patients(made):
    for row in made.rows[1:]:
        for name in CLASSIFIERS:
            assert row.auroc[name].baseline == pytest.approx(made.best.auroc[name].value)
            near = row.auroc[name].value / row.auroc[name].baseline
            assert row.shares[name].value == pytest.approx(near, abs=0.01)
        assert row.share.value == pytest.approx(np.mean([share.value for share in row.shares.values()]))
        assert row.columns.baseline == pytest.approx(made.best.columns.value)
        assert row.pairs.baseline == pytest.approx(made.best.pairs.value)


def test_the_best_is_that_of_patients_who_were_not_fitted(made):
    assert made.best.columns.value > 0.01
    assert all(area.value < 0.97 for area in made.best.auroc.values())


def test_those_who_judge_are_drawn_apart(monkeypatch):
    groups = []

    def spied(self, patients, *, seed, group="patients"):
        groups.append((group, patients))
        return real(self, patients, seed=seed, group=group)

    real = module.World.draw
    monkeypatch.setattr(module.World, "draw", spied)
    sketch(SMALL, patients=50, epsilons=[0.1], seeds=1)
    assert groups == [("patients", 50), ("unseen", 10_000)]


def test_the_noise_is_that_of_the_plan(made):
    from wardgan.models.anchor.anchor import count_noise

    for row in made.rows[1:3]:
        assert row.count_noise == count_noise(wg.plan(SMALL, wg.Budget(row.epsilon)), SMALL)
    assert made.rows[-1].count_noise is None


def test_the_smallest_class_is_found(made):
    assert made.smallest == "died=true"
    assert made.best.classes["died=true"].value == pytest.approx(0.26, abs=0.06)
    assert made.rows[-1].classes["died=true"].value == pytest.approx(made.best.classes["died=true"].value, abs=0.06)


def test_the_same_sketch_twice(made):
    again = sketch(SMALL, epsilons=[2], seeds=2)
    assert [numbers(again.rows[0].share), numbers(again.best.pairs)] == [
        numbers(made.rows[1].share),
        numbers(made.best.pairs),
    ]


def test_less_budget_is_less_use_and_the_best_is_the_best():
    found = sketch(generic_schema(12), patients=1500, epsilons=[0.3, 8], seeds=3)
    little, much, plain = (row.share.value for row in found.rows)
    assert little < much - 0.05
    assert much <= plain + 0.02
    assert found.rows[0].columns.value > 2 * found.rows[1].columns.value
    assert found.rows[1].pairs.value > found.best.pairs.value - 0.02


def test_a_strong_signal_is_predicted_better_than_a_weak_one():
    weak, strong = (
        sketch(generic_schema(10), patients=1500, epsilons=[3], seeds=2, assume=Assumptions(signal=signal))
        for signal in ("weak", "strong")
    )
    for name in CLASSIFIERS:
        assert weak.best.auroc[name].value < strong.best.auroc[name].value - 0.1
        assert weak.rows[0].auroc[name].value < strong.rows[0].auroc[name].value


def test_a_rare_class_costs_use():
    rare, even = (
        sketch(generic_schema(8), patients=1500, epsilons=[1.5], seeds=2, assume=Assumptions(rarest=share))
        for share in (0.05, 0.5)
    )
    assert rare.best.classes["outcome=true"].value == pytest.approx(0.05, abs=0.02)
    assert rare.rows[0].share.value < even.rows[0].share.value - 0.02


def test_the_interval_is_where_one_more_table_would_lie():
    values = [0.9, 0.94, 0.92, 0.98]
    found = module._mean(values, [1.0, 1.0, 1.0, 1.0])
    spread = np.std(values, ddof=1) * math.sqrt(1 + 1 / 4) * 3.182
    assert numbers(found) == pytest.approx((0.935, 0.935 - spread, 0.935 + spread), abs=1e-4)
    assert (found.n, found.baseline) == (4, 1.0)


def test_what_is_defined_nowhere_has_no_estimate():
    assert module._mean([math.nan, math.nan]) is None
    assert module._mean([math.nan, 0.5]).value == 0.5
    assert module._mean([0.5]).low == -math.inf


def test_one_table_has_no_interval():
    found = sketch(SMALL, epsilons=[8], seeds=1)
    assert found.rows[0].share.low == -math.inf
    assert "±" not in str(found)
    assert "one more table" not in found.verdict()
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["rows"][0]["share"]["low"] is None


def test_a_fit_that_is_refused_on_the_way_is_no_traceback():
    """Without a declared population the plan cannot know that there are too few; the fit does."""
    found = sketch(kit.schema({"died": FLAG, "x": NUMBER}), patients=30, epsilons=[0.3], seeds=2)
    assert found.rows[0].refused
    assert len(found.rows[0].refusals) == 2
    assert found.verdict().startswith("At every epsilon that was asked for, a fit would be refused.")


def test_some_tables_may_be_refused(monkeypatch):
    calls, real = [], module.fit

    def sometimes(cohort, budget, **more):
        calls.append(budget)
        if budget is not None and len(calls) % 3 == 0:
            raise PlanError("cohort: by the noisy count there are fewer than 20 patients.")
        return real(cohort, budget, **more)

    monkeypatch.setattr(module, "fit", sometimes)
    found = sketch(kit.schema({"died": FLAG, "x": NUMBER}), patients=130, epsilons=[9], seeds=4)
    row = next(row for row in found.rows if row.refusals and not row.refused)
    assert 0 < len(row.refusals) < 4
    assert row.share.n == 4 - len(row.refusals)
    assert any(f"for {len(row.refusals)} of 4 simulated tables: " in line for line in refusals(found))
    assert any(cell[0].endswith("*") for cell in cells(found))


def test_what_is_to_be_learned_is_learned_in_the_rehearsal(monkeypatch):
    given = []

    def spied(cohort, budget, **more):
        given.append(cohort)
        return real(cohort, budget, **more)

    real = module.fit
    monkeypatch.setattr(module, "fit", spied)
    schema = kit.schema({
        "died": FLAG,
        "age": {"kind": "integer", "learn": True},
        "site": {"kind": "category", "learn": True},
        "born": {"kind": "date", "learn": True},
    }, population=1500)  # fmt: skip
    found = sketch(schema, epsilons=[0.5, 8], seeds=1)
    assert not found.rows[-1].refused
    assert found.rows[1].share.value > 0.7
    names = [event.name for event in wg.plan(schema, wg.Budget(8)).events]
    assert "levels of site" in names
    for cohort in given:
        assert cohort.schema == schema
        assert len(cohort.seen["site"]) == 100
    assert found.rows[0].refused or found.rows[0].columns.value > found.rows[1].columns.value


def test_several_labels_are_all_predicted():
    columns = {
        "died": FLAG,
        "ward": {"kind": "category", "levels": ["a", "b"], "label": True},
        "x": NUMBER,
        "y": NUMBER,
    }
    found = sketch(kit.schema(columns), patients=800, epsilons=[8], seeds=1)
    assert found.predicted == ("died", "ward")
    assert set(found.rows[0].classes) == {f"died={d}, ward={w}" for d in ("false", "true") for w in "ab"}
    assert found.smallest == "died=true, ward=b"


def test_without_a_label_another_column_is_predicted():
    found = sketch(kit.schema({"x": NUMBER, "y": NUMBER}), patients=400, epsilons=[8], seeds=1)
    assert (found.predicted, found.labelled, found.smallest) == (
        ("whether x is above its median",),
        False,
        "all patients",
    )
    assert "signal" not in page(found).splitlines()[0]


def test_one_constant_column():
    found = sketch(kit.schema({"x": {"kind": "category", "levels": ["a"]}}), patients=100, epsilons=[8], seeds=1)
    assert (found.predicted, found.rows[0].share, found.reaches(0.95)) == ((), None, None)
    assert found.verdict().startswith("This is a simulation")
    assert "no column that could be predicted" in str(found)


VISITS = {
    "named": {"grid": ["A", "B", "C"]},
    "complete": {"grid": ["A", "B"], "complete": True},
    "timed": {"grid": {"start": 0, "stop": 4, "step": 1}},
    "ragged": {"max_visits": 3},
}


@pytest.mark.parametrize("kind", VISITS)
def test_visits_of_every_kind(kind):
    columns = {"lab": NUMBER, "on": {"kind": "flag"}}
    if kind == "ragged":
        columns["when"] = {"kind": "number", "low": 0, "high": 5, "decimals": 1}
    schema = kit.schema({"died": FLAG}, {"key": "when", "columns": columns, **VISITS[kind]}, population=600)
    found = sketch(schema, epsilons=[8], seeds=1)
    assert not found.rows[0].refused, found.rows[0].refusals
    assert 0.5 < found.rows[0].share.value < 1.1


def test_the_given_number_of_patients_wins():
    found = sketch(SMALL, patients=300, epsilons=[8], seeds=1)
    assert (found.patients, found.simulated) == (300, 300)
    assert found.rows[0].count_noise == pytest.approx(sketch(SMALL, epsilons=[8], seeds=1).rows[0].count_noise)


def test_the_plan_knows_the_given_number():
    """The declared population would be enough; the given one is not."""
    epsilon = 0.4
    assert not sketch(SMALL, epsilons=[epsilon], seeds=1).rows[0].refused
    assert "population=50" in sketch(SMALL, patients=50, epsilons=[epsilon], seeds=1).rows[0].refusals[0]


def test_very_large_tables_are_simulated_in_part(monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 400)
    found = sketch(SMALL, patients=2_000_000, epsilons=[8], seeds=1)
    assert (found.patients, found.simulated) == (2_000_000, 400)
    assert "400 (of 2,000,000) patients" in str(found)
    assert "Simulated were 400 of 2,000,000 patients" in found.verdict()


def test_very_wide_tables_are_simulated_in_part(monkeypatch):
    monkeypatch.setattr(module, "_CELLS", 900)
    found = sketch(SMALL, epsilons=[8], seeds=1)
    assert (found.patients, found.simulated, found.variables) == (600, 300, 3)
    assert found.rows[0].refused is False


def test_the_plan_is_for_those_who_are_simulated(monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 50)
    assert "population=50" in sketch(SMALL, epsilons=[0.4], seeds=1).rows[0].refusals[0]


def test_progress_is_told():
    told = []
    sketch(SMALL, epsilons=[0.02, 8], seeds=2, watch=lambda done, total, doing: told.append((done, total, doing)))
    # The refused epsilon takes no step.
    assert [done for done, _, _ in told] == list(range(7))
    assert {total for _, total, _ in told} == {6}
    assert told[0][2] == "table 1 of 2: simulating"
    assert told[1][2] == "table 1 of 2: epsilon 8"
    assert told[-1] == (6, 6, "done")


def test_a_family_with_gradients():
    config = wg.AcganConfig(steps=2, dense=8, channels=2, latent=4, sampling_rate=0.5)
    found = sketch(SMALL, epsilons=[8], seeds=1, family=config)
    assert (found.family, found.rows[0].count_noise, found.rows[0].refused) == ("acgan", None, False)


@pytest.mark.parametrize(
    ("given", "kind", "phrase"),
    [
        ({"epsilons": [0]}, PlanError, "epsilon=0 "),
        ({"epsilons": [-1.0]}, PlanError, r"epsilon=-1\.0 "),
        ({"epsilons": [math.nan]}, PlanError, "epsilon=nan"),
        ({"epsilons": [1000]}, PlanError, "epsilon=1000 "),
        ({"epsilons": []}, PlanError, r"epsilons=\[\] "),
        ({"epsilons": 3}, PlanError, "epsilons=3 "),
        ({"epsilons": "13"}, PlanError, "epsilons='13' "),
        ({"delta": 2}, PlanError, "delta=2 "),
        ({"family": "gan"}, PlanError, "family='gan' "),
        ({"patients": 0}, UsageError, "patients=0 "),
        ({"patients": -5}, UsageError, "patients=-5 "),
        ({"patients": 10.5}, UsageError, r"patients=10\.5 "),
        ({"seeds": 0}, UsageError, "seeds=0 "),
        ({"assume": Assumptions(rarest=0.9)}, UsageError, r"rarest=0\.9"),
    ],
)
def test_what_is_refused(given, kind, phrase):
    with pytest.raises(kind, match=phrase):
        sketch(SMALL, **{"epsilons": [8], "seeds": 1, **given})


@pytest.mark.parametrize(
    ("schema", "phrase"),
    [
        (kit.schema({"x": NUMBER}), "patients: the schema declares no population"),
        (kit.schema({"x": {"kind": "number"}}, population=500), "x: low and high are not declared"),
        (kit.schema({"x": NUMBER}, population=500, confirm=["table.x.low"]), "confirm: 1 value of the draft"),
        (kit.schema({"died": FLAG}, population=500), "besides the labels and constants there is no column"),
        (kit.schema({"x": NUMBER, "a": {"kind": "category", "levels": ["=1+A1|x!"]}}, population=500), "spreadsheet"),
    ],
)  # fmt: skip
def test_schemas_that_a_fit_refuses_are_refused(schema, phrase):
    with pytest.raises((SchemaError, UsageError), match=phrase):
        sketch(schema, epsilons=[8], seeds=1)


def test_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sketch(SMALL, epsilons=[8], seeds=1)
    assert list(tmp_path.rglob("*")) == []


def test_every_fit_is_a_rehearsal_without_a_run_folder(monkeypatch):
    fits = []

    def spied(cohort, budget, **more):
        fits.append((budget, more))
        return real(cohort, budget, **more)

    real = module.fit
    monkeypatch.setattr(module, "fit", spied)
    sketch(SMALL, epsilons=[8], seeds=2)
    assert len(fits) == 4
    for budget, more in fits:
        assert more["seed"] is not None
        assert "run" not in more
        assert more["privacy"] == ("none" if budget is None else "private")


# --- words ----------------------------------------------------------------------------------------------------------


def example(shares, *, plain=0.99, area=0.85, refused=(), wide=0.01):
    """A sketch whose shares are known, by epsilon."""

    def row(epsilon, share):
        if epsilon in refused:
            return Rehearsed(epsilon, ("too small.",))
        one = Estimate(share, share - wide, share + wide, 4, "mean")
        return Rehearsed(epsilon, (), one, dict.fromkeys(CLASSIFIERS, one), seconds=one)

    best = Rehearsed(
        None,
        auroc=dict.fromkeys(CLASSIFIERS, Estimate(area, area, area, 4, "mean")),
        classes={"died=true": Estimate(0.2, 0.2, 0.2, 4, "mean")},
    )
    rows = [*(row(epsilon, share) for epsilon, share in shares.items()), row(None, plain)]
    return Sketch(
        "ward", 5000, 5000, 20, "copula", 1e-5, Assumptions(), 4, ("died",), True, "died=true", best, tuple(rows)
    )  # fmt: skip


def test_the_verdict_names_the_epsilons():
    text = verdict(example({0.5: 0.9, 1: 0.96, 3: 0.975, 8: 0.985}))
    assert "From epsilon 1 on, the share is on average at least 95 % (there, in one more table, 95 to 97 %)." in text
    assert "From epsilon 8 on, the share is on average at least 98 % (there, in one more table, 98 to 100 %)." in text
    assert "This is a simulation" in text
    assert "no promise about yours" in text


def test_a_share_that_falls_again_does_not_count():
    found = example({0.5: 0.96, 1: 0.94, 3: 0.97})
    assert found.reaches(0.95) == 3
    assert found.reaches(0.9) == 0.5
    assert found.reaches(0.99) is None


def test_a_refused_epsilon_does_not_reach_anything():
    found = example({0.5: 0.0, 1: 0.99, 3: 0.99}, refused=[0.5])
    assert found.reaches(0.95) == 1
    assert example({0.5: 0.99, 1: 0.99}, refused=[1]).reaches(0.95) is None


def test_an_epsilon_that_is_sometimes_refused_reaches_nothing():
    found = example({1: 0.99, 3: 0.99})
    rows = (replace(found.rows[0], refusals=("too small.",)), *found.rows[1:])
    assert replace(found, rows=rows).reaches(0.95) == 3


def test_what_no_epsilon_reaches():
    text = verdict(example({1: 0.9, 3: 0.96}, plain=0.99))
    assert "No epsilon that was asked for reaches 98 %." in text
    text = verdict(example({1: 0.9, 3: 0.96}, plain=0.97))
    assert (
        "reaches 98 %, and no privacy at all reaches 97.0 ± 1.0 %: the limit is not the noise, but the family." in text
    )
    text = verdict(example({1: 0.9, 3: 0.92}, plain=0.99))
    assert "reaches 95 %." in text
    assert "98 %" not in text


def test_a_guessed_share_of_the_rarest_level_is_owned_up_to():
    assert "That 20 % are in the smallest class is a guess" in verdict(example({1: 0.99}))
    known = replace(example({1: 0.99}), assume=Assumptions(rarest=0.2))
    assert "guess" not in verdict(known)
    assert "guess" not in verdict(replace(example({1: 0.99}), labelled=False))


def test_nothing_to_predict_is_said():
    text = verdict(example({1: 0.99}, area=0.55))
    assert text.startswith("What is predicted can hardly be predicted from the simulated patients either")


def test_all_refused_is_said():
    text = verdict(example({1: 0.0, 3: 0.0}, refused=[1, 3]))
    assert text.startswith("At every epsilon that was asked for, a fit would be refused.")
    assert "--rarest" not in text


def test_an_interval_that_says_nothing_is_called_so():
    text = verdict(example({1: 0.98}, wide=0.2))
    assert "78 to 118 %: 4 simulated tables cannot say, ask for more (--seeds)" in text
    assert "--seeds" not in verdict(example({1: 0.98}, wide=0.14))


def test_the_table_has_its_columns(made):
    rows = cells(made)
    assert [row[0] for row in rows] == ["0.02", "2", "8", "no privacy", "patients"]
    assert {len(row) for row in rows} == {len(HEADER)}
    assert rows[0][1] == "refused"
    text = str(made)
    assert text == page(made)
    for row in rows:
        assert any(line.split()[: len(row[0].split())] == row[0].split() for line in text.splitlines())
    assert max(len(line) for line in text.splitlines()[2:8]) <= 78
    words = " ".join(legend(made))
    assert all(name in words for name in HEADER[1:])
    assert "about 1" in words
    assert "predict died for unseen" in words


def test_the_json_has_everything(made):
    found = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert set(found) >= {field.name for field in fields(Sketch)}
    assert set(found["rows"][0]) == {field.name for field in fields(Rehearsed)}
    assert found["rows"][0]["refusals"] == list(made.rows[0].refusals)
    assert found["rows"][1]["share"]["value"] == made.rows[1].share.value
    assert found["reaches"] == {"0.95": made.reaches(0.95), "0.98": made.reaches(0.98)}
    assert found["assume"] == {"signal": "medium", "missing": 0.2, "rarest": None}
