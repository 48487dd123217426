"""Notes say what noisy answers showed, about planted faults, and say nothing where there is none."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

import wardgan as wg
from wardgan.encode.layout import Layout
from wardgan.errors import PlanError
from wardgan.models.anchor import anchor as anchor_module
from wardgan.models.anchor import notes
from wardgan.models.anchor.notes import class_notes, shape_notes
from wardgan.models.base import TRAINED, Trained
from wardgan.privacy.queries import Levels
from wardgan.privacy.records import Records

PATIENTS = 6000
TABLE = {
    "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
    "sbp": {"kind": "integer", "low": 90, "high": 200},
    "lab": {"kind": "number", "low": 0, "high": 50, "nullable": True},
    "stage": {"kind": "integer", "low": 1, "high": 4},
    "code": {"kind": "category", "levels": [f"c{at:02d}" for at in range(80)]},
}


def frame(*, arm=0.5, clipped=False, missing=0.1, seed=0):
    numbers = np.random.default_rng(seed)
    sbp = np.round(numbers.normal(140, 12, PATIENTS))
    lab = np.clip(np.exp(numbers.normal(1, 0.7, PATIENTS)), 0.1, 49)
    return pd.DataFrame({
        "arm": np.where(numbers.random(PATIENTS) < arm, "a", "b"),
        "sbp": np.clip(sbp + (45 if clipped else 0), 90, 200),
        "lab": np.where(numbers.random(PATIENTS) < missing, np.nan, lab),
        "stage": numbers.integers(1, 5, PATIENTS),
        "code": np.char.mod("c%02d", np.minimum(numbers.geometric(0.05, PATIENTS), 80) - 1),
    })  # fmt: skip


def fitted(made, *, epsilon=3.0, table=TABLE, family=None, seed=3, **more):
    schema = wg.Schema.from_dict({"name": "d", "population": PATIENTS, "table": table})
    budget = None if epsilon is None else wg.Budget(epsilon=epsilon)
    mode = "none" if epsilon is None else "private"
    return wg.fit(wg.read(made, schema), budget, family=family or wg.CopulaConfig(), privacy=mode, seed=seed, **more)


def about(notes, word):
    return [note for note in notes if note.startswith(word)]


@pytest.mark.parametrize("epsilon", [3.0, None])
def test_bounds_that_cut_off_are_noted_and_others_are_not(epsilon):
    assert about(fitted(frame(), epsilon=epsilon).notes, ("sbp", "lab", "stage")) == []
    (note,) = about(fitted(frame(clipped=True), epsilon=epsilon).notes, "sbp")
    assert "lie on its bound high=200" in note
    assert "if that is not a natural spike (such as 0), widen the bounds" in note


def test_the_share_on_a_bound_is_about_right():
    made = frame(clipped=True)
    (note,) = about(fitted(made).notes, "sbp")
    said = float(re.search(r"about (\d+) %", note)[1])
    assert said == pytest.approx(100 * (made["sbp"] == 200).mean(), abs=4)


@pytest.mark.parametrize("epsilon", [3.0, None])
def test_a_spike_that_is_lost_is_noted_and_one_that_stays_is_not(epsilon):
    number = np.random.default_rng(4)
    made = frame().assign(
        cost=np.where(number.random(PATIENTS) < 0.3, 1_000, number.uniform(0, 100_000, PATIENTS)),
        dose=np.where(number.random(PATIENTS) < 0.3, 100, number.integers(0, 1_000, PATIENTS)),
        free=np.where(number.random(PATIENTS) < 0.3, 0, number.integers(0, 100_000, PATIENTS)),
    )
    more = {
        "cost": {"kind": "number", "low": 0, "high": 100_000}, "dose": {"kind": "integer", "low": 0, "high": 1_000},
        "free": {"kind": "integer", "low": 0, "high": 100_000},
    }  # fmt: skip
    trained = fitted(made, epsilon=epsilon, table=TABLE | more)
    (note,) = about(trained.notes, "cost")
    low, high = (float(text.replace(",", "")) for text in re.search(r"lie between (\S+) and (\S+)\. If", note).groups())
    assert low <= 1_000 <= high
    assert high - low < 100
    assert about(trained.notes, "dose") == []
    assert all("is lost" not in one for one in trained.notes if not one.startswith("cost"))
    drawn = trained.generator.sample(20_000, seed=1)
    assert (drawn["dose"] == 100).mean() == pytest.approx(0.3, abs=0.05)
    assert (drawn["free"] == 0).mean() == pytest.approx(0.3, abs=0.05)


def test_the_lower_bound_is_looked_at_as_well():
    made = frame().assign(lab=lambda rows: np.where(np.arange(PATIENTS) % 4 == 0, 0.0, rows["lab"]))
    (note,) = about(fitted(made).notes, "lab")
    assert "low=0" in note


def test_few_on_a_bound_are_no_pile_however_sure_it_is():
    made = frame().assign(lab=lambda rows: np.where(np.arange(PATIENTS) % 40 == 0, 0.0, rows["lab"]))
    assert about(fitted(made, epsilon=None).notes, "lab") == []


def test_a_date_after_another_one_is_called_by_its_name_and_only_within_can_be_widened():
    numbers = np.random.default_rng(2)
    days = np.minimum(numbers.geometric(0.1, PATIENTS) - 1, 30)
    came = pd.Timestamp("2019-01-01") + pd.to_timedelta(numbers.integers(0, 300, PATIENTS), unit="D")
    left = pd.Series(came + pd.to_timedelta(np.where(days > 9, 30, days), unit="D"))
    made = pd.DataFrame({"came": came, "left": left, "died": left.where(numbers.random(PATIENTS) < 0.03)})
    table = {
        "came": {"kind": "date", "low": "2018-01-01", "high": "2020-12-31"},
        "left": {"kind": "date", "after": "came", "within": 30},
        "died": {"kind": "date", "after": "left", "within": 300, "nullable": True},
    }
    assert (left == came).mean() > 0.08
    found = fitted(made, table=table).notes
    (bound,) = about(found, "left: ")
    assert "on its bound within=30;" in bound
    (empty,) = about(found, "died: ")
    assert "of the cells are missing" in empty
    assert not [note for note in found if "@since" in note]


def test_times_between_visits_are_no_column_to_note():
    """Visits on one day are 0 days apart; that is a bound, but none that was declared."""
    numbers = np.random.default_rng(3)
    first = numbers.integers(20, 60, 2000)
    days = np.concatenate([first, first, first + 2])
    made = pd.DataFrame({"id": np.tile(np.arange(2000), 3), "day": days, "x": numbers.integers(0, 2, 6000)})
    visits = {
        "key": "day", "max_visits": 3,
        "columns": {"day": {"kind": "integer", "low": 0, "high": 100}, "x": {"kind": "flag"}},
    }  # fmt: skip
    schema = wg.Schema.from_dict({"name": "d", "population": 2000, "patient": "id", "visits": visits})
    assert wg.fit(wg.read(made, schema), wg.Budget(epsilon=8.0), family=wg.CopulaConfig(), seed=3).notes == ()


def test_a_scale_of_a_few_values_has_no_bounds_to_note():
    natural = frame().assign(stage=lambda rows: np.where(np.arange(PATIENTS) % 7 < 2, 4, rows["stage"]))
    assert about(fitted(natural).notes, "stage") == []


@pytest.mark.parametrize("epsilon", [3.0, None])
@pytest.mark.parametrize("high", [5, 15, 18, 19, 20])
def test_bounds_that_cut_off_half_of_a_short_scale_are_noted(high, epsilon):
    table = TABLE | {"stage": {"kind": "integer", "low": 0, "high": high}}
    days = np.random.default_rng(5).integers(0, 2 * high + 1, PATIENTS)
    (note,) = about(fitted(frame().assign(stage=np.minimum(days, high)), table=table, epsilon=epsilon).notes, "stage")
    assert f"lie on its bound high={high};" in note
    within = np.clip(days // 2, 1, high - 1)
    assert about(fitted(frame().assign(stage=within), table=table, epsilon=epsilon).notes, "stage") == []


def test_a_short_scale_with_many_zeros_is_natural():
    many = frame().assign(stage=lambda rows: np.where(np.arange(PATIENTS) % 5 < 4, 0, rows["stage"]))
    table = TABLE | {"stage": {"kind": "integer", "low": 0, "high": 4}}
    assert about(fitted(many, table=table).notes, "stage") == []


def test_days_cut_off_by_a_short_within_are_noted():
    numbers = np.random.default_rng(2)
    came = pd.Series(pd.Timestamp("2019-01-01") + pd.to_timedelta(numbers.integers(0, 300, PATIENTS), unit="D"))
    left = came + pd.to_timedelta(np.minimum(numbers.integers(0, 21, PATIENTS), 10), unit="D")
    table = {
        "came": {"kind": "date", "low": "2018-01-01", "high": "2020-12-31"},
        "left": {"kind": "date", "after": "came", "within": 10},
    }
    (note,) = about(fitted(pd.DataFrame({"came": came, "left": left}), table=table).notes, "left: ")
    assert "on its bound within=10;" in note


def test_many_patients_who_are_not_there_are_noted():
    assert about(fitted(frame()).notes, "population") == []
    (note,) = about(fitted(frame().iloc[: PATIENTS // 2]).notes, "population")
    said = float(re.search(r"about ([\d,]+) patients, of 6,000 declared", note)[1].replace(",", ""))
    assert said == pytest.approx(PATIENTS / 2, rel=0.05)
    assert about(fitted(frame().iloc[: PATIENTS // 2], epsilon=None).notes, "population") == []


@pytest.mark.parametrize("levels", [30, 600])
def test_learned_levels_that_hide_many_patients_are_noted(levels):
    numbers = np.random.default_rng(8)
    shares = 1 / np.arange(1, levels + 1)
    made = frame().assign(code=np.char.mod("c%03d", numbers.choice(levels, PATIENTS, p=shares / shares.sum())))
    table = TABLE | {"code": {"kind": "category", "learn": True}}
    trained = fitted(made, table=table, epsilon=1.5)
    known = set(trained.generator.schema.column("code").levels)
    hidden = 100 * (~made["code"].isin(known)).mean()
    found = [note for note in trained.notes if "share to be learned" in note]
    if levels == 30:
        assert found == []
        return
    assert float(re.search(r"code: about (\d+) % of the cells", found[0])[1]) == pytest.approx(hidden, abs=6)
    assert hidden > 30


def test_without_privacy_a_class_of_a_few_patients_is_noted():
    few = frame().assign(arm=np.where(np.arange(PATIENTS) < 3, "a", "b"))
    (note,) = about(fitted(few, epsilon=None).notes, "label")
    assert "class arm=a has 3 patients to train on, and nothing protects them" in note


def test_a_column_that_is_nearly_empty_is_noted():
    assert about(fitted(frame(missing=0.5)).notes, "lab") == []
    (note,) = about(fitted(frame(missing=0.97)).notes, "lab")
    assert float(re.search(r"about (\d+) % of the cells are missing", note)[1]) == pytest.approx(97, abs=2)


def test_without_privacy_no_note_speaks_of_noise_or_a_budget():
    (note,) = about(fitted(frame(missing=0.97), epsilon=None).notes, "lab")
    assert note.endswith("only few patients say what its values are.")
    (note,) = about(fitted(frame(missing=0.97)).notes, "lab")
    assert "noise" in note
    assert "budget" in note


def test_what_the_noise_hides_is_not_said():
    """At a tiny epsilon nothing about bounds and holes can be told, so nothing is."""
    made = frame(clipped=True, missing=0.93)
    found = fitted(made, epsilon=0.15).notes
    assert about(found, ("lab",)) == []


def test_small_classes_are_named():
    assert about(fitted(frame()).notes, "label") == []
    (note,) = about(fitted(frame(arm=0.004), epsilon=1.0).notes, "label")
    assert "class arm=a" in note
    layout = Layout.of(wg.Schema.from_dict({"name": "d", "table": TABLE}))
    none, first = np.zeros(2, dtype=bool), np.array([True, False])
    assert len(list(class_notes(layout, np.array([49.0, 51.0]), none, 10.0))) == 1  # below five times the noise
    assert list(class_notes(layout, np.array([51.0, 51.0]), none, 10.0)) == []
    (note,) = class_notes(layout, np.array([1.0, 51.0]), first, 10.0)
    assert "class arm=a has too few patients to be told from none: its patients are drawn like all" in note


def test_a_class_too_small_for_shapes_of_its_own_is_named():
    """It is told where half of its patients could be elsewhere, unseen; a class whose shape is kept is not named."""
    layout = Layout.of(wg.Schema.from_dict({"name": "d", "table": TABLE}))
    none = np.zeros(2, dtype=bool)
    levels = [Levels(tuple(range(23)) if one.column.numeric else None, 24, None) for one in layout.variables]
    names = [one.column.name for one in layout.variables]
    numbers = [one.column.name for one in layout.variables if one.column.numeric]

    def said(size, noise=10.0, lost=none):
        return list(shape_notes(layout, levels, np.array([size, 100_000.0]), lost, noise))

    # sqrt(23 (1 + 2 sqrt(2 / 24))) = 6.02: of a number 1 / sqrt(24), of a category one half.
    assert said(6.02 * 10 * 24**0.5 * 1.01) == []
    (note,) = said(6.02 * 10 * 24**0.5 * 0.99)
    assert "class arm=a is too small for shapes of its own of " + ", ".join(numbers[:5]) in note
    (note,) = said(6.02 * 10 * 2 * 0.99)
    assert f"of {', '.join(names)}: their means" in note
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notes, "_NAMED", 2)
        (note,) = said(6.02 * 10 * 2 * 0.99)
        assert f"of {', '.join(names[:2])} and {len(names) - 2} more: their" in note
    # What another note tells of is not told twice, and without noise nothing is hidden.
    assert said(49.0) == []
    assert said(100.0, lost=np.array([True, False])) == []
    assert said(20.0, noise=0.0) == []


def test_a_shape_that_is_kept_gets_no_note():
    numbers = np.random.default_rng(3)
    for size, epsilon, told in ((200, 1.0, False), (60, 1.0, True)):
        two = np.arange(PATIENTS) < size
        x = np.where(two, numbers.choice([30, 70], PATIENTS), 50) + numbers.normal(0, np.where(two, 3, 8))
        rows = pd.DataFrame({"arm": np.where(two, "a", "b"), "x": x.clip(0, 100).round()})
        table = {"arm": {"kind": "category", "levels": ["a", "b"], "label": True},
                 "x": {"kind": "number", "low": 0, "high": 100}}  # fmt: skip
        made = fitted(rows, table=table, epsilon=epsilon)
        drawn = made.generator.sample(20_000, where={"arm": "a"}, seed=1)
        middle = float((np.abs(drawn["x"] - 50) <= 10).mean())
        assert bool([one for one in made.notes if "shapes of its own of x" in one]) == told
        assert (middle > 0.25) == told, middle


def test_joined_levels_are_counted():
    (note,) = about(fitted(frame()).notes, "code")
    assert "its 80 levels were joined into" in note
    made = fitted(frame(), epsilon=None)
    few = TABLE | {"code": TABLE["code"] | {"levels": TABLE["code"]["levels"][:25]}}
    rows = frame().assign(code=np.char.mod("c%02d", np.arange(PATIENTS) % 25))
    assert about(fitted(rows, table=few, epsilon=None).notes, "code") == []
    assert 8 <= int(re.search(r"into (\d+) groups", about(made.notes, "code")[0])[1]) <= 64


@pytest.mark.parametrize("family", [wg.CopulaConfig(), wg.TabganConfig(steps=4, width=8, noise_inputs=2)])
def test_every_family_with_an_anchor_passes_them_on(family):
    assert about(fitted(frame(clipped=True), family=family).notes, "sbp")


def test_notes_stay_in_the_run_folder(tmp_path):
    made = fitted(frame(clipped=True), seed=None, run=tmp_path / "run")
    assert made.notes
    assert json.loads((tmp_path / "run" / TRAINED).read_text())["notes"] == list(made.notes)
    again = Trained.load(tmp_path / "run")
    assert again.notes == made.notes
    assert set(made.generator.privacy) == {"mode", "epsilon", "delta", "unit", "neighbours"}
    data = wg.release(again, tmp_path / "x.hgan", override="A. Tester: no dossier in a test").read_bytes()
    for note in made.notes:
        assert note.encode() not in data
    assert b"widen the bounds" not in data


def test_a_run_folder_from_before_has_no_notes(tmp_path):
    fitted(frame(), run=tmp_path / "run")
    about_it = json.loads((tmp_path / "run" / TRAINED).read_text())
    about_it.pop("notes")
    (tmp_path / "run" / TRAINED).write_text(json.dumps(about_it))
    assert Trained.load(tmp_path / "run").notes == ()


def test_p13_notes_are_made_from_noisy_answers_alone(monkeypatch):
    """The same noisy answers give the same notes, whoever the patients are."""
    honest, kept = Records.measure, {}

    def remember(self, name, query):
        kept[name] = honest(self, name, query)
        return kept[name]

    monkeypatch.setattr(Records, "measure", remember)
    first = fitted(frame(clipped=True), seed=5).notes
    monkeypatch.setattr(Records, "measure", lambda self, name, query: self.ledger.spend(name) and kept[name])
    assert fitted(frame(missing=0.97, seed=8), seed=5).notes == first


def test_p13_no_note_repeats_an_exact_count(monkeypatch):
    seen = []
    honest = anchor_module.hole_notes
    monkeypatch.setattr(anchor_module, "hole_notes", lambda *given: seen.append(given) or honest(*given))
    fitted(frame(missing=0.97))
    ((_, _, tables, noise),) = seen
    assert noise > 0
    assert all((np.abs(table - np.round(table)) > 1e-9).any() for table in tables)


# --- refused plans ----------------------------------------------------------------------------------------------------


def planned(epsilon, population, *, columns=12, slots=12, family="copula"):
    visits = {
        "key": "v", "grid": [f"{at}M" for at in range(slots)],
        "columns": {
            "sbp": {"kind": "integer", "low": 50, "high": 260, "nullable": True},
            "dbp": {"kind": "integer", "low": 20, "high": 160},
        },
    }  # fmt: skip
    table = {f"x{at}": {"kind": "flag"} for at in range(columns)} | {"arm": TABLE["arm"]}
    found = {"name": "d", "patient": "id", "population": population, "table": table, "visits": visits}
    return wg.plan(wg.Schema.from_dict(found), wg.Budget(epsilon=epsilon), family=family)


def test_a_refused_plan_names_what_costs_most():
    with pytest.raises(PlanError) as error:
        planned(0.3, 500)
    text = str(error.value)
    assert "too small for population=500 with 48 variables and 2 classes" in text
    assert (
        "What costs most: sbp (12 variables, and 12 for missing cells), visit (12 variables), dbp (12 variables)"
        in text
    )
    assert "and 11 other columns" in text or "x0 (1 variable) and 11 other columns" in text


@pytest.mark.parametrize(
    ("epsilon", "population", "dropped"), [(0.4, 800, ["sbp"]), (0.5, 600, ["sbp", "dbp"]), (0.3, 500, None)]
)
def test_a_refused_plan_names_columns_without_which_it_would_do(epsilon, population, dropped):
    with pytest.raises(PlanError) as error:
        planned(epsilon, population)
    if dropped is None:
        assert "possible without" not in str(error.value)
        return
    assert str(error.value).endswith(f" It would be possible without {' and '.join(dropped)}.")
    visits = {
        "key": "v", "grid": [f"{at}M" for at in range(12)], "columns": {"dbp": {"kind": "integer", "low": 20, "high": 160}},
    }  # fmt: skip
    table = {f"x{at}": {"kind": "flag"} for at in range(12)} | {"arm": TABLE["arm"]}
    found = {"name": "d", "patient": "id", "population": population, "table": table}
    schema = wg.Schema.from_dict(found if "dbp" in dropped else found | {"visits": visits})
    wg.plan(schema, wg.Budget(epsilon=epsilon), family="copula")


def test_a_refused_plan_of_columns_that_cost_alike_names_none():
    table = {f"x{at}": {"kind": "flag"} for at in range(60)} | {"arm": TABLE["arm"]}
    schema = wg.Schema.from_dict({"name": "d", "population": 100, "table": table})
    with pytest.raises(PlanError, match=r"variables\. All columns cost alike: keep those that matter most\.$"):
        wg.plan(schema, wg.Budget(epsilon=2), family="copula")
    with pytest.raises(PlanError, match=r"alone would not do\. Labels multiply what is needed: arm \(2 levels\)\.$"):
        wg.plan(schema, wg.Budget(epsilon=0.05), family="copula")


@pytest.mark.parametrize("without", [False, True])
def test_a_refused_plan_names_the_large_category_without_which_it_would_do(without):
    code = {} if without else {"code": {"kind": "category", "levels": [f"c{at}" for at in range(700)]}}
    table = {f"x{at}": {"kind": "flag"} for at in range(14)} | {"arm": TABLE["arm"]} | code
    schema = wg.Schema.from_dict({"name": "d", "population": 1500, "table": table})
    if without:
        wg.plan(schema, wg.Budget(epsilon=0.08), family="copula")
        return
    with pytest.raises(PlanError, match=r"It would be possible without code: the totals of more than 24 levels"):
        wg.plan(schema, wg.Budget(epsilon=0.08), family="copula")
    with pytest.raises(PlanError) as error:
        wg.plan(schema, wg.Budget(epsilon=0.04), family="copula")
    assert "without code" not in str(error.value)


def test_a_refused_plan_without_labels_speaks_of_one_class():
    table = {f"x{at}": {"kind": "flag"} for at in range(14)}
    schema = wg.Schema.from_dict({"name": "d", "population": 100, "table": table})
    with pytest.raises(PlanError, match="with 14 variables and 1 class: "):
        wg.plan(schema, wg.Budget(epsilon=0.2), family="copula")


@pytest.mark.parametrize("family", ["copula", "tabgan"])
def test_what_a_refusal_promises_is_kept(family):
    """From that epsilon on, and from that population on, the plan is taken; a little below it is not."""
    with pytest.raises(PlanError) as error:
        planned(0.3, 500, family=family)
    found = re.search(r"about epsilon=([\d.]+) on, or from population=(\d+) on", str(error.value))
    epsilon, population = float(found[1]), int(found[2])
    planned(1.05 * epsilon, 500, family=family)
    planned(0.3, population, family=family)
    with pytest.raises(PlanError):
        planned(0.9 * epsilon, 500, family=family)
    with pytest.raises(PlanError):
        planned(0.3, int(0.9 * population), family=family)


def test_as_few_variables_as_a_refusal_names_would_do():
    def plan_of(count):
        table = {f"x{at}": {"kind": "flag"} for at in range(count)} | {"arm": TABLE["arm"]}
        schema = wg.Schema.from_dict({"name": "d", "population": 800, "table": table})
        return wg.plan(schema, wg.Budget(epsilon=0.2), family="copula")

    with pytest.raises(PlanError) as error:
        plan_of(48)
    few = int(re.search(r"with at most (\d+) variables", str(error.value))[1])
    assert 2 <= few < 48
    plan_of(few)
    with pytest.raises(PlanError):
        plan_of(few + 1)


def test_more_columns_than_patients():
    with pytest.raises(PlanError) as error:
        planned(0.5, 40, columns=100)
    text = str(error.value)
    assert "fewer columns alone would not do" in text
    assert "population=40 with 136 variables" in text
