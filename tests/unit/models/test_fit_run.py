"""A fit and its run folder: everything must be as when it was begun, and nothing is spent twice (Rules P4, P5, P10)."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import wardgan as wg
from wardgan.errors import BudgetError, DataError, FormatError, OutputError, PlanError, SchemaError, UsageError
from wardgan.files import locked
from wardgan.models import auto_family, family_config
from wardgan.models.base import CHECKPOINT, Run, Trained
from wardgan.models.fit import LEDGER, fit
from wardgan.models.planning import COUNT, plan
from wardgan.privacy import records as records_module
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import largest
from wardgan.rng import Seed
from wardgan.schema.schema import Schema

BUDGET = wg.Budget(epsilon=1.0)
SCHEMA = {
    "name": "demo",
    "population": 1200,
    "table": {
        "age": {"kind": "integer", "low": 0, "high": 99},
        "sex": {"kind": "flag"},
        "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
    },
}
TABGAN = wg.TabganConfig(steps=60, width=8, noise_inputs=2)


def cohort(patients=1200, seed=0, **schema):
    numbers = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "age": numbers.integers(20, 90, patients), "sex": numbers.random(patients) < 0.5,
        "arm": np.where(np.arange(patients) % 3 == 0, "a", "b"),
    })  # fmt: skip
    found = {key: value for key, value in {**SCHEMA, **schema}.items() if value is not None}
    return wg.read(frame, Schema.from_dict(found))


class Killed(BaseException):
    """Ends a fit in the middle."""


def killed_at(doing, done=0):
    def watch(progress):
        if doing in progress.doing and progress.done >= done:
            raise Killed

    return watch


def stopped(tmp_path, doing="discriminator", family=TABGAN, **how):
    with pytest.raises(Killed):
        fit(
            cohort(),
            BUDGET,
            family=family,
            run=tmp_path / "run",
            watch=killed_at(doing, 50 * (doing == "discriminator")),
            **how,
        )
    return tmp_path / "run"


# --- a run goes on only as it was begun -------------------------------------------------------------------------------


def test_p05_a_finished_run_is_not_run_again(tmp_path):
    made = fit(cohort(), BUDGET, family="copula", run=tmp_path / "run")
    with pytest.raises(DataError, match="finished"):
        fit(cohort(), BUDGET, family="copula", run=tmp_path / "run", resume=True)
    again = Trained.load(tmp_path / "run")
    assert again.generator.network == made.generator.network
    assert again.ledger.to_dict() == made.ledger.to_dict()
    assert again.generator.privacy == made.generator.privacy


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"budget": wg.Budget(epsilon=5.0)}, PlanError),
        ({"budget": wg.Budget(epsilon=1.0, delta=1e-4)}, PlanError),
        ({"budget": None, "privacy": "none"}, PlanError),
        ({"seed": 3}, PlanError),
        ({"family": "copula"}, DataError),
        ({"family": replace(TABGAN, width=16)}, DataError),
        ({"family": replace(TABGAN, clip_norm=0.5)}, DataError),
        ({"cohort": cohort(seed=1)}, DataError),
        ({"cohort": cohort(patients=1199)}, DataError),
        ({"cohort": cohort(name="other")}, DataError),
    ],
)
def test_p05_a_run_goes_on_only_as_it_was_begun(tmp_path, change, error):
    run = stopped(tmp_path, doing="anchor")
    before = (run / LEDGER).read_bytes()
    how = {"cohort": cohort(), "budget": BUDGET, "family": TABGAN, **change}
    with pytest.raises(error):
        fit(how.pop("cohort"), how.pop("budget"), run=run, resume=True, **how)
    assert (run / LEDGER).read_bytes() == before


def test_there_must_be_a_run_to_go_on_with(tmp_path):
    for run in (None, tmp_path / "none"):
        with pytest.raises(DataError, match="no run that stopped"):
            fit(cohort(), BUDGET, run=run, resume=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(OutputError, match="not empty"):
        fit(cohort(), BUDGET, run=tmp_path / "full")
    with pytest.raises(FormatError, match="not a run folder"):
        Trained.load(tmp_path / "full")


def test_p05_answers_and_steps_are_not_paid_twice(tmp_path, monkeypatch):
    run = stopped(tmp_path)
    billed = Ledger.resume(run / LEDGER)
    assert billed.steps("discriminator") == 50
    asked = []
    monkeypatch.setattr(records_module, "noised", lambda *_: asked.append(1))
    made = fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)
    assert not asked  # all tables came from the disk
    assert {event.name: event.steps for event in made.ledger.events} == {
        e.name: e.steps for e in made.ledger.plan.events
    }
    assert made.ledger.epsilon() <= BUDGET.epsilon
    assert not (run / CHECKPOINT).exists()


def test_p05_auto_goes_on_with_the_family_it_began_with(tmp_path):
    with pytest.raises(Killed):
        fit(cohort(), BUDGET, run=tmp_path / "run", watch=killed_at("measuring"))
    assert fit(cohort(), BUDGET, run=tmp_path / "run", resume=True).generator.family == "copula"


def test_auto_follows_public_facts():
    plain = cohort().schema
    measured = {"key": "visit", "grid": ["A", "B"], "columns": {"sbp": {"kind": "integer", "low": 50, "high": 250}}}
    visits = Schema.from_dict({**SCHEMA, "patient": "id", "visits": measured})
    assert auto_family(plain, private=True, patients=10**6) == "copula"
    assert auto_family(plain, private=False, patients=500) == "marginal"
    assert auto_family(plain, private=False, patients=499) == "copula"
    assert auto_family(visits, private=False, patients=10**6) == "copula"
    assert plan(plain, BUDGET).family == "copula"


def test_without_privacy_auto_takes_the_family_that_is_named(monkeypatch):
    taken = []
    monkeypatch.setattr("wardgan.models.planning.family_config", lambda name: taken.append(name) or wg.CopulaConfig())
    fit(cohort(), privacy="none")
    assert taken == [auto_family(cohort().schema, private=False, patients=len(cohort()))]


def test_p05_a_bill_without_an_answer_ends_the_run(tmp_path):
    run = stopped(tmp_path, doing="anchor")
    Ledger.resume(run / LEDGER).spend("grid")  # killed before the answer
    with pytest.raises(BudgetError, match="was paid for and is lost; start a new run"):
        fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)


def test_p05_spent_steps_without_a_result_end_the_run(tmp_path):
    run = stopped(tmp_path)
    ledger = Ledger.resume(run / LEDGER)
    ledger.spend("discriminator", 10)
    (run / CHECKPOINT).unlink()
    with pytest.raises(BudgetError, match="lost"):
        fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)


def test_a_generator_that_could_not_be_written_can_be_had_from_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(Trained, "save", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        fit(cohort(), BUDGET, family=TABGAN, run=tmp_path / "run", seed=2)
    monkeypatch.undo()
    made = fit(cohort(), BUDGET, family=TABGAN, run=tmp_path / "run", seed=2, resume=True)
    assert made.generator.network == fit(cohort(), BUDGET, family=TABGAN, seed=2).generator.network


# --- seeds ------------------------------------------------------------------------------------------------------------


class Spy:
    """A family that trains nothing and keeps what it was given."""

    family = "copula"

    def __init__(self):
        self.runs = []

    def shares(self, layout, budget):
        return wg.CopulaConfig().shares(layout, budget)

    def check(self, *_given):
        pass

    def train(self, records, run):
        self.runs.append((records, run))
        return wg.CopulaConfig().train(records, run)


def test_p10_without_a_seed_the_noise_is_secret_and_the_rest_is_not_the_noise():
    spy = Spy()
    for _ in range(2):
        fit(cohort(), BUDGET, family=spy)
    (records, run), (_, other) = spy.runs
    assert isinstance(run, Run)
    assert run.noise == Seed.secret()
    assert records._noise == Seed.secret()
    assert run.seed.replayable
    assert run.seed != other.seed
    assert not records.ledger.replayable


def test_p10_with_a_seed_it_is_a_rehearsal_and_says_so():
    spy = Spy()
    made = fit(cohort(), BUDGET, family=spy, seed=11)
    assert spy.runs[0][1].noise == Seed(11)
    assert made.ledger.replayable
    assert made.ledger.to_dict()["replayable"] is True


def test_p10_secret_fits_of_the_same_patients_differ():
    one, two = (fit(cohort(), BUDGET, family="copula").generator for _ in range(2))
    assert one.network != two.network
    assert one.probabilities != two.probabilities


# --- plan, population, privacy ----------------------------------------------------------------------------------------


def test_p03_a_paid_count_takes_the_place_of_the_population():
    made = fit(cohort(population=None), BUDGET, family=TABGAN)
    planned = made.ledger.plan
    assert made.ledger.steps(COUNT) == 1
    assert planned.population > 1200  # eight standard deviations above
    assert planned.event("discriminator").population == largest(planned.population)
    assert made.ledger.epsilon() <= BUDGET.epsilon
    again = {fit(cohort(population=None), BUDGET, family="copula").ledger.plan.population for _ in range(4)}
    assert len(again) > 1


def test_p03_the_population_declares_the_batches_and_not_the_patients():
    spy = Spy()
    fit(cohort(patients=1111), BUDGET, family=spy)
    assert spy.runs[0][1].population == 1200


def test_p16_privacy_is_said_aloud():
    with pytest.raises(PlanError, match="privacy='maybe'"):
        fit(cohort(), BUDGET, privacy="maybe")
    with pytest.raises(PlanError, match="has no budget"):
        fit(cohort(), BUDGET, privacy="none")
    with pytest.raises(PlanError, match="say how much"):
        fit(cohort())
    made = fit(cohort(), family="copula", privacy="none")
    assert made.generator.privacy["mode"] == "none"
    assert made.ledger.plan is None


def test_p02_values_of_a_draft_are_refused():
    with pytest.raises(SchemaError, match="read off patients"):
        fit(cohort(confirm=["table.age.low"]), BUDGET)


def test_p03_exact_counts_judge_fits_without_privacy_only():
    alone = cohort().take(np.array([1]))
    with pytest.raises(DataError, match="one patient"):
        fit(alone, family="copula", privacy="none")
    with pytest.raises(PlanError, match="noisy count"):
        fit(alone, BUDGET, family="copula")


def test_too_little_budget_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(PlanError, match="too small for population"):
        fit(cohort(), wg.Budget(epsilon=0.01), family="copula", run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_p12_nothing_in_the_run_folder_but_what_is_noisy_or_public(tmp_path):
    run = tmp_path / "run"
    fit(cohort(), BUDGET, family=TABGAN, run=run)
    left = {path.name for path in run.iterdir()}
    answers = {"grid.npy", "label-tables.npy", "class-means.npy", "covariance.npy"}
    questions = {name.replace(".npy", ".question") for name in answers}
    assert left == {"cohort.sha256", "schema.json", LEDGER, "generator.onnx", "trained.json"} | answers | questions
    # Digests of questions, which are public or made of answers that were paid for.
    assert all(re.fullmatch("[0-9a-f]{64}", (run / name).read_text()) for name in questions)
    about = json.loads((run / "trained.json").read_text())
    assert set(about) == {"family", "latent", "probabilities", "privacy", "config", "network", "notes", "schema"}
    tables = np.load(run / "label-tables.npy")
    assert (np.abs(tables - np.round(tables)) > 1e-6).any()


def test_p10_a_family_is_chosen_from_public_facts():
    planned = [plan(cohort(patients=n).schema, BUDGET).family for n in (1000, 1300)]
    assert planned == ["copula", "copula"]
    with pytest.raises(PlanError, match="not one of auto"):
        family_config("ctgan")


def test_p04_the_bill_is_all_that_is_known_of_the_patients_after_a_fit():
    mine = cohort()
    made = fit(mine, BUDGET, family=TABGAN)
    held = [made, made.generator, made.ledger, made.ledger.plan, made.generator.schema]
    for thing in held:
        for value in vars(thing).values():
            assert not isinstance(value, (np.ndarray, pd.DataFrame, wg.Cohort)), type(value)


@pytest.mark.parametrize("shift", [0.0, 40.0])
def test_p03_the_population_follows_the_noisy_count_and_nothing_else(monkeypatch, shift):
    """The noise is known here, so the noisy count is: what is published is it, rounded, and its margin."""
    honest = records_module.noised
    heard = []

    def known(total, sd, normals):
        if len(total) > 1:
            return honest(total, sd, normals)
        heard.append((float(total[0]) + shift, sd))
        return np.array([heard[-1][0]])

    monkeypatch.setattr(records_module, "noised", known)
    made = fit(cohort(population=None), BUDGET, family="copula")
    ((count, sd),) = heard
    assert count == 1200 + shift
    assert made.ledger.plan.population == round(count + 8 * sd)


def test_p03_a_paid_count_that_is_too_small_ends_the_fit_before_the_rest_is_spent(monkeypatch, tmp_path):
    honest = records_module.noised
    monkeypatch.setattr(
        records_module,
        "noised",
        lambda total, sd, normals: np.array([7.0]) if len(total) == 1 else honest(total, sd, normals),
    )
    with pytest.raises(PlanError, match=r"too small for population=7 "):
        fit(cohort(population=None), BUDGET, family="copula", run=tmp_path / "run")
    spent = Ledger.resume(tmp_path / "run" / LEDGER)
    assert [event.name for event in spent.events] == [COUNT]


@pytest.mark.parametrize(
    ("how", "phrase"),
    [
        ({"cohort": pd.DataFrame({"age": [1]})}, "is no cohort"),
        ({"budget": 3.5}, r"wg.Budget\(epsilon=3\)"),
        ({"seed": "a"}, "seed='a'"),
        ({"seed": 1.5}, r"seed=1\.5"),
    ],
)
def test_arguments_of_a_wrong_type_are_errors_for_people(how, phrase):
    with pytest.raises(UsageError, match=phrase):
        fit(**{"cohort": cohort(), "budget": BUDGET, **how})


@pytest.mark.parametrize("ends", ["well", "killed"])
def test_p05_two_processes_do_not_go_on_with_one_run(tmp_path, ends):
    run = stopped(tmp_path)
    with locked(run / LEDGER), pytest.raises(OutputError, match="in use by another process"):
        fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)
    tried = []

    def another(progress):
        with pytest.raises(OutputError, match="in use"):
            fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)
        tried.append(progress)
        if ends == "killed":
            raise Killed

    if ends == "killed":
        with pytest.raises(Killed):
            fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True, watch=another)
    made = fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True, watch=None if ends == "killed" else another)
    assert made.ledger.steps("discriminator") == TABGAN.steps
    assert tried
    with pytest.raises(OutputError, match="in use"), locked(run / LEDGER), locked(run / LEDGER):
        pass


def test_p05_a_run_that_begins_is_held_too(tmp_path):
    def another(progress):
        with pytest.raises(OutputError, match="in use"):
            fit(cohort(), BUDGET, family="copula", run=tmp_path / "run", resume=True)

    fit(cohort(), BUDGET, family="copula", run=tmp_path / "run", watch=another)


def test_the_network_of_another_run_is_not_taken_for_this_ones(tmp_path):
    """Copied over the private one, it would leave under the private one's bill."""
    fit(cohort(), BUDGET, family="copula", run=tmp_path / "private")
    fit(cohort(), privacy="none", family="copula", run=tmp_path / "open")
    (tmp_path / "private" / "generator.onnx").write_bytes((tmp_path / "open" / "generator.onnx").read_bytes())
    with pytest.raises(FormatError, match="is not the network that was trained in this folder"):
        wg.Trained.load(tmp_path / "private")
