"""The privacy rules P1 to P18, each with a test that bites; docs/privacy.md names more of them."""

import ast
import json
import os
import shutil
from pathlib import Path

import families
import numpy as np
import pytest
import torch
from families import BUDGET, FAMILIES, cohort

import wardgan as wg
from wardgan.encode.layout import Layout
from wardgan.encode.units import encode
from wardgan.errors import BudgetError, GateError, PlanError, SchemaError
from wardgan.models.anchor.anchor import COVARIANCE, LABELS
from wardgan.models.fit import DIGEST, _digest
from wardgan.models.planning import plan
from wardgan.privacy.accountant import gaussian_delta, gaussian_mu, pld_epsilon, rdp_epsilon
from wardgan.privacy.accounts.book import Accounts
from wardgan.privacy.accounts.spending import Account
from wardgan.privacy.batches import poisson_batch
from wardgan.privacy.clip import PatientGradients, PrivateStep
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Share, batch_cap, largest, solve
from wardgan.privacy.queries import (
    CellCounts,
    LevelCounts,
    Levels,
    LevelTotals,
    RangeCounts,
    ScoreProducts,
    Scores,
    ScoreSums,
)
from wardgan.privacy.records import Records
from wardgan.rng import Seed

NO_DOSSIER = "A. Tester: no dossier in a test"
SOURCE = Path(wg.__file__).parent
QUERIES = [
    CellCounts(((0, 1), (2,)), (np.linspace(0, 1, 9), np.linspace(0, 1, 17))),
    LevelCounts((Levels((0.3, 0.6), 3, None), Levels(None, 3, 2), Levels((), 1, None)), 2),
    LevelTotals(((1,), (0, 2)), (2, 2)),
    RangeCounts(((1,), (0, 2)), (np.array([0.0, 0.3, 1.0]), np.array([0.0, 0.1, 0.6, 1.0]))),
]
SCORES = Scores(
    (Levels((0.3, 0.6), 3, None), Levels(None, 3, 2), Levels((0.5,), 2, None)), (0, 1, 2, 1),
    (np.array([-1.2, 0.0, 2.5]), np.array([-1.0, 1.0, 0.0]), np.array([-2.0, 2.0]), np.array([-0.4, -0.4, 1.6])), 1.7,
)  # fmt: skip
QUERIES += [ScoreSums(SCORES, 2), ScoreProducts(SCORES, 2)]


def patients(count, *, seed=0):
    numbers = np.random.default_rng(seed)
    units = np.column_stack([numbers.random(count), numbers.integers(-1, 2, count), numbers.random(count)])
    units[numbers.random(units.shape) < 0.1] = np.nan
    return units, numbers.integers(0, 2, count)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: type(query).__name__)
def test_p01_one_patient_moves_a_sum_by_at_most_its_sensitivity(query):
    units, classes = patients(400)
    parts = [query.total(units[i : i + 1], classes[i : i + 1]) for i in range(400)]
    assert max(np.linalg.norm(part) for part in parts) <= query.sensitivity * (1 + 1e-9)
    np.testing.assert_allclose(query.total(units, classes), np.sum(parts, axis=0), atol=1e-9)


def test_p01_the_bounds_are_tight():
    # A bound that were half as large would be broken by these patients.
    units = np.array([[0.95, 1.0, 0.9], [0.1, 0.0, 0.1]])
    for query in QUERIES:
        norms = [np.linalg.norm(query.total(units[i : i + 1], np.array([0]))) for i in range(2)]
        assert max(norms) > 0.6 * query.sensitivity


def test_p02_an_extreme_patient_changes_no_encoder():
    frame = families.table(600)
    usual = wg.read(frame, wg.Schema.from_dict(families.SCHEMA))
    frame.loc[5, ["weight", "site"]] = 200.0, 9
    extreme = wg.read(frame, wg.Schema.from_dict(families.SCHEMA))
    layouts = [Layout.of(one.schema) for one in (usual, extreme)]
    assert layouts[0] == layouts[1]
    rows = [np.delete(encode(one, layouts[0]), 5, axis=0).tobytes() for one in (usual, extreme)]
    assert rows[0] == rows[1]
    assert plan(usual.schema, BUDGET, family="copula") == plan(extreme.schema, BUDGET, family="copula")


def test_p02_bounds_are_declared_or_refused():
    schema = wg.Schema.from_dict(
        {"name": "x", "population": 600, "table": {"weight": {"kind": "number", "nullable": True}}}
    )
    with pytest.raises(SchemaError, match="weight: low and high are not declared"):
        wg.fit(wg.read(families.table(), schema), BUDGET, family="copula")


def test_p03_batches_are_expected_from_the_declared_population():
    one, two = (plan(cohort(patients=n).schema, BUDGET, family=FAMILIES["tabgan"]) for n in (560, 640))
    assert one == two
    assert one.events[-1].batch_cap == batch_cap(600, one.events[-1].sampling_rate)


def test_p04_a_read_that_nobody_paid_for_stops_the_release(tmp_path):
    made = wg.fit(cohort(), BUDGET, family="copula")
    Records(cohort(), made.ledger, noise=Seed.secret()).peek("looking at the weights")
    with pytest.raises(GateError, match="looking at the weights"):
        wg.release(made, tmp_path / "x.hgan")
    assert not (tmp_path / "x.hgan").exists()


def test_p04_a_private_fit_gets_no_patients_to_judge_on():
    ledger = _ledger()
    with pytest.raises(BudgetError, match="held_out"):
        Records(cohort(), ledger, noise=Seed.secret()).held_out(0.2, np.random.default_rng(1))
    assert ledger.steps(LABELS) == 0


def test_p04_no_family_reaches_behind_the_counter():
    for path in SOURCE.rglob("*.py"):
        reached = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        others = {node.attr for node in reached if getattr(node.value, "id", "") != "self"}
        assert not others & {"_units", "_classes", "_rows"}, path
    for path in (SOURCE / "models").rglob("*.py"):
        if path.name != "fit.py":
            names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
            assert not names & {"static", "measured", "peek"}, path


def test_p05_the_step_after_the_last_cannot_be_taken():
    ledger = Ledger(solve(Budget(1.0), [Share("d", 1.0, sampling_rate=0.1, steps=60)], population=500, family="x"))
    ledger.spend("d", 50)
    ledger.spend("d", 10)
    with pytest.raises(BudgetError, match="60 of 60"):
        ledger.spend("d", 1)
    with pytest.raises(BudgetError, match="not in the plan"):
        ledger.spend("another look", 1)
    assert ledger.epsilon() <= 1.0


def test_p05_a_resumed_ledger_knows_what_was_spent(tmp_path):
    planned = solve(Budget(1.0), [Share("d", 1.0, sampling_rate=0.1, steps=60)], population=500, family="x")
    ledger = Ledger(planned)
    ledger.open_file(tmp_path / "ledger.jsonl")
    ledger.spend("d", 50)
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write('{"spend": "d", "st')
    again = Ledger.resume(tmp_path / "ledger.jsonl")
    assert again.steps("d") == 50
    with pytest.raises(BudgetError):
        again.spend("d", 11)


def test_p05_a_killed_fit_goes_on_and_never_overspends(tmp_path):
    class Killed(BaseException):
        pass

    def kill(progress):
        if "discriminator" in progress.doing and progress.done >= 50:
            raise Killed

    config = wg.TabganConfig(steps=120, width=8, noise_inputs=2)
    with pytest.raises(Killed):
        wg.fit(cohort(), BUDGET, family=config, run=tmp_path / "run", watch=kill)
    assert Ledger.resume(tmp_path / "run" / "ledger.jsonl").steps("discriminator") == 50
    # The next block was billed and then lost: it stays billed.
    Ledger.resume(tmp_path / "run" / "ledger.jsonl").spend("discriminator", 50)
    made = wg.fit(cohort(), BUDGET, family=config, run=tmp_path / "run", resume=True)
    assert made.ledger.steps("discriminator") == 120
    assert made.ledger.epsilon() <= BUDGET.epsilon


def test_p06_batches_are_coins_not_epochs():
    sizes = [len(poisson_batch(200, rate=0.1, cap=200, seed=Seed(1), step=step)) for step in range(300)]
    assert len(set(sizes)) > 10
    assert abs(np.mean(sizes) - 20) < 1
    assert max(len(poisson_batch(200, rate=0.5, cap=60, seed=Seed(1), step=step)) for step in range(20)) == 60


def test_p06_a_cohort_beyond_the_cap_is_refused():
    schema = wg.Schema.from_dict({**families.SCHEMA, "population": 500})
    assert largest(500) < 600
    with pytest.raises(PlanError, match="population=500"):
        wg.fit(wg.read(families.table(600), schema), BUDGET, family="copula")


def test_p07_real_patients_are_cut_alone():
    net = torch.nn.Linear(3, 1)
    gradients = PatientGradients(net, PrivateStep(clip_norm=1.0, noise_multiplier=1.0, expected_batch=1.0))
    rows = torch.tensor([[1e6, 0.0, 0.0], [0.0, 1e6, 0.0]])
    both = gradients.clipped_sum(lambda records: net(records)[:, 0], rows, weights=torch.ones(2))
    norm = torch.cat([part.flatten() for part in both]).norm()
    assert float(norm) == pytest.approx(np.sqrt(2), rel=1e-3)


def test_p08_noise_is_divided_by_the_expected_batch():
    from wardgan.privacy.clip import noise_sd

    assert noise_sd(PrivateStep(clip_norm=2.0, noise_multiplier=3.0, expected_batch=60.0)) == pytest.approx(0.1)


@pytest.mark.parametrize("family", ["tabgan", "acgan"])
def test_p09_the_generators_step_sees_no_patient(family):
    tree = ast.parse((SOURCE / "models" / family / "train.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    asked = {call.func.attr for call in calls if getattr(call.func.value, "id", "") in ("records", "training")}
    assert asked <= {"training", "measure", "gradient", "reserve", "go_on"}


def test_p10_noise_is_new_each_time_and_a_rehearsal_stays_home(tmp_path):
    secret = [Records(cohort(), _ledger(), noise=Seed.secret()).measure(LABELS, QUERIES[1]) for _ in range(2)]
    assert not np.array_equal(*secret)
    rehearsal = wg.fit(cohort(), BUDGET, family="copula", seed=3)
    assert rehearsal.ledger.replayable
    with pytest.raises(GateError, match="rehearsal"):
        wg.release(rehearsal, tmp_path / "x.hgan", override="me: please")


def test_p10_measured_noise_has_the_planned_size():
    ledger = _ledger(steps=400)
    records = Records(cohort(), ledger, noise=Seed.secret())
    query = LevelCounts(tuple(Levels((), 2, 1) for _ in range(5)), 2)
    answers = np.array([records.measure(LABELS, query) for _ in range(400)])
    planned = ledger.plan.event(LABELS).noise_multiplier * query.sensitivity
    assert answers.std(axis=0).mean() == pytest.approx(planned, rel=0.05)


def test_p11_what_is_chosen_on_patients_is_billed_as_a_selection():
    kinds = [(family, kind) for family in FAMILIES.values() for kind in ("table", "codes")]
    events = [event for family, kind in kinds for event in plan(cohort(kind).schema, BUDGET, family=family).events]
    asked = {
        "grid", "shared values", "level totals", "label tables", "class means", "covariance", "discriminator",
        "class counts",
    }  # fmt: skip
    others = {event.name for event in events} - asked
    assert others == {"selection", "pairs 1", "pairs 2"}
    assert {event.name for event in events if event.mechanism == "pure"} == {"selection"}
    made = wg.fit(cohort(), BUDGET, family=FAMILIES["marginal"])
    chosen = next(event for event in made.ledger.events if event.name == "selection")
    assert chosen.steps == made.ledger.plan.event("selection").steps > 0


@pytest.mark.parametrize("family", ["tabgan", "acgan"])
def test_p12_the_discriminator_does_not_outlive_the_fit(family, tmp_path):
    wg.fit(cohort(), BUDGET, family=FAMILIES[family], run=tmp_path / "run")
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert not [name for name in left if "checkpoint" in name]
    assert {"generator.onnx", "trained.json", "ledger.jsonl"} <= left


def test_p13_a_file_without_a_dossier_has_no_figure_about_patients(tmp_path):
    made = wg.fit(cohort(), BUDGET, family="copula")
    facts = wg.inspect(wg.release(made, tmp_path / "x.hgan", override=NO_DOSSIER))
    assert [part["name"] for part in facts["parts"]] == [
        "card.json", "generator.onnx", "schema.json", "privacy.json", "README.md",
    ]  # fmt: skip
    assert "accuracy" not in json.dumps(facts)


def _public(run, train, holdout):
    """Gives the public edition without what was paid for: the counts, and what is computed from them."""
    # How often hold-outs were asked before is public, too: each time is the first here.
    shutil.rmtree(run / "figures", ignore_errors=True)
    found = json.loads(wg.assess(run, train, holdout, created="2026-01-31").public.to_json())
    found["facts"].pop("paid")
    found["measured"] = [one for one in found["measured"] if one["gate"] != "public utility"]
    found["judgements"] = [one for one in found["judgements"] if one["gate"] != "public utility"]
    found["overall"] = None
    for section in found["sections"]:
        if section["title"] == "Use":
            section["blocks"] = [block for block in section["blocks"] if block["kind"] not in ("table", "numbers")]
    return json.dumps(found)


def test_p13_one_outlying_patient_changes_no_byte_of_the_public_dossier_but_paid_numbers(tmp_path):
    frame = families.table(501)
    frame.loc[500, ["weight", "site", "sex", "group"]] = 200.0, 9, None, "z"
    whole = wg.read(frame, wg.Schema.from_dict(families.SCHEMA))
    train, holdout = whole.take(np.arange(250)), whole.take(np.arange(250, 500))
    run, book = tmp_path / "run", tmp_path / "ledger.db"
    # The ledger knows this hold-out, and not the one with the outlier: that must not show either.
    wg.fit(holdout, wg.Budget(1.0), family="copula", accounts=Account(book, "south"))
    wg.fit(train, BUDGET, family="copula", run=run, accounts=Account(book, "north"))
    wanted = _public(run, train, holdout)
    assert _public(run, train, whole.take(np.arange(250, 501))) == wanted
    # The same generator, as if it had come out of the fit with the outlier, too.
    more = whole.take(np.array([*range(250), 500]))
    (run / DIGEST).write_text(_digest(more, "copula", wg.Trained.load(run).config))
    assert _public(run, more, holdout) == wanted


def test_p13_the_public_numbers_are_paid_for_with_a_share_of_the_budget(tmp_path):
    whole = cohort()
    train, holdout = whole.take(np.arange(300)), whole.take(np.arange(300, len(whole)))
    wg.fit(train, BUDGET, family="copula", run=tmp_path / "run", accounts=tmp_path / "ledger.db")
    paid = wg.assess(tmp_path / "run", train, holdout).public.facts["paid"]
    assert paid["epsilon"] == pytest.approx(0.05 * BUDGET.epsilon)
    assert gaussian_delta(1 / paid["noise_multiplier"], paid["epsilon"]) <= paid["delta"] * (1 + 1e-6)
    with Accounts.open(tmp_path / "ledger.db") as accounts:
        (found,) = accounts.show()
    assert [entry.kind for entry in found.entries] == ["fit", "figure"]


def test_p14_a_holdout_whose_levels_were_learned_pays_as_it_was_read(tmp_path):
    group = {"kind": "category", "learn": True, "nullable": True}
    found = {**families.SCHEMA, "patient": None, "table": {**families.SCHEMA["table"], "group": group}}
    frame = families.table(600).drop(columns="id")
    frame.loc[500, "group"] = "a level that one patient has"
    whole = wg.read(frame, wg.Schema.from_dict(found))
    train, holdout = whole.take(np.arange(400)), whole.take(np.arange(400, 600))
    made = wg.fit(train, BUDGET, family="copula", run=tmp_path / "run", accounts=tmp_path / "ledger.db")
    assert made.generator.schema.column("group").complete
    wg.assess(tmp_path / "run", train, holdout)
    with Accounts.open(tmp_path / "ledger.db") as accounts:
        assert accounts.whose(accounts.patients(holdout)).how == "same patients"


def test_p14_a_runs_ledger_is_never_begun_twice(tmp_path):
    wg.fit(cohort(), BUDGET, family="copula", run=tmp_path / "run")
    with pytest.raises(wg.WardganError, match="not empty"):
        wg.fit(cohort(), BUDGET, family="copula", run=tmp_path / "run")


def test_p14_fits_of_the_same_patients_add_up_and_a_cap_refuses_the_next(tmp_path):
    book = tmp_path / "ledger.db"
    made = [wg.fit(cohort(), wg.Budget(1.0), family="copula", accounts=book) for _ in range(3)]
    with Accounts.open(book) as accounts:
        (found,) = accounts.show()
        together = pld_epsilon([event for each in made for event in each.ledger.events], 1e-5)
        assert found.total().epsilon == pytest.approx(together, rel=0.002)
        assert 1.5 < found.total().epsilon < 3.0
        accounts.cap(wg.Budget(2.0))
    with pytest.raises(BudgetError, match="At most epsilon") as refused:
        wg.fit(cohort(), wg.Budget(1.5), family="copula", accounts=book)
    left = float(str(refused.value).split("At most epsilon ")[1].split()[0])
    wg.fit(cohort(), wg.Budget(left), family="copula", accounts=book)
    with Accounts.open(book) as accounts:
        assert accounts.show()[0].total().epsilon <= 2.0


def test_p15_sampling_needs_no_patient(tmp_path):
    mine = cohort()
    path = wg.release(wg.fit(mine, BUDGET, family="copula"), tmp_path / "x.hgan", override=NO_DOSSIER)
    for codes in mine.static.values():
        codes[:] = np.nan
    sample = wg.load(path).sample(100, seed=1)
    assert sample["born"].notna().all()


@pytest.mark.parametrize("epsilon", [0, -1, float("inf"), float("nan")])
def test_p16_epsilon_is_finite_and_above_zero(epsilon):
    with pytest.raises(PlanError, match="epsilon"):
        Budget(epsilon)


@pytest.mark.parametrize("delta", [0, 1, 2, -0.1, float("nan")])
def test_p16_delta_is_a_probability(delta):
    with pytest.raises(PlanError, match="delta"):
        Budget(1.0, delta)


def test_p17_golden_epsilons_and_two_accountants():
    one = Event("d", "poisson-gaussian", noise_multiplier=8.0, sampling_rate=1024 / 6000, steps=3000)
    assert pld_epsilon([one], 1e-5) == pytest.approx(5.287, abs=0.01)
    assert rdp_epsilon([one], 1e-5) == pytest.approx(5.7, abs=0.1)
    assert gaussian_mu(1.0, 1e-5) == pytest.approx(0.26805, abs=1e-4)


def test_p17_half_the_noise_is_seen():
    event = plan(cohort().schema, BUDGET, family="copula").event(COVARIANCE)
    half = Event("x", "gaussian", noise_multiplier=event.noise_multiplier / 2)
    assert pld_epsilon([half], 1e-5) > 1.8 * pld_epsilon([event], 1e-5)


def test_p18_a_planted_patient_is_nowhere_in_a_run_folder_that_is_released(tmp_path):
    made = wg.fit(cohort("named"), BUDGET, family="copula", run=tmp_path / "run")
    data = wg.release(made, tmp_path / "x.hgan", override=NO_DOSSIER).read_bytes()
    assert families.CANARY_ID.encode() not in data
    everything = b"".join(path.read_bytes() for path in (tmp_path / "run").iterdir() if os.path.isfile(path))
    assert families.CANARY_ID.encode() not in everything


def _ledger(steps=1):
    return Ledger(solve(BUDGET, [Share(LABELS, 1.0, steps=steps)], population=600, family="copula"))
