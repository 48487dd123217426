"""The audit sees planted leaks, accuses nobody else, leaves nothing behind, and is billed."""

from __future__ import annotations

import gc
import json
import sys
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import data_kit as kit
import wardgan as wg
from mutants import copies_of_patients, noise_of_answers_on_the_mean, planted
from wardgan.attack import audit as exported
from wardgan.attack.audit import WAYS, Audit, Way, audit, guessed
from wardgan.attack.guesses import least_epsilon
from wardgan.attack.suspicion import Scene
from wardgan.errors import BudgetError, DataError, PlanError, UsageError
from wardgan.estimate import Estimate
from wardgan.models import fit as fits
from wardgan.privacy.accounts.book import Accounts
from wardgan.privacy.events import Budget
from wardgan.rng import Seed
from wardgan.simulate import World

BUDGET = wg.Budget(epsilon=1.0)
TABLE = {
    "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
    "age": {"kind": "integer", "low": 18, "high": 110},
    "sbp": {"kind": "number", "low": 50, "high": 260, "decimals": 1},
    "dbp": {"kind": "number", "low": 30, "high": 160, "decimals": 1},
    "weight": {"kind": "number", "low": 30, "high": 200, "decimals": 1},
    "crp": {"kind": "number", "low": 0.1, "high": 500, "scale": "log", "nullable": True},
    "ward": {"kind": "category", "levels": ["n", "e", "s", "w"]},
}
PATIENTS, CANARIES = 1_600, 200


def patients(number=PATIENTS, *, population=PATIENTS, seed=1):
    schema = wg.Schema.from_dict({"name": "clinic", "patient": "id", "population": population, "table": TABLE})
    drawn = World.of(schema, seed=Seed(seed)).draw(number, seed=Seed(2))
    return replace(drawn, patients=np.array([f"P{at}" for at in range(number)], dtype=object))


COHORT = patients()


def run(seed=1, cohort=COHORT, budget=BUDGET, **more):
    return audit(cohort, budget, **{"family": "copula", "canaries": CANARIES, "seed": seed, **more})


@pytest.fixture
def trained_on(monkeypatch):
    """The cohorts that were trained on."""
    seen, old = [], fits._fitted
    monkeypatch.setattr(
        fits, "_fitted", lambda cohort, *more, **how: (seen.append(cohort), old(cohort, *more, **how))[1]
    )
    return seen


@pytest.mark.parametrize("seed", range(5))
def test_honest_code_is_not_accused(seed):
    found = run(seed)
    assert found.verdict == "within the claim"
    assert (found.claim, found.delta, found.family, found.canaries) == (1.0, 1e-5, "copula", CANARIES)
    assert found.power > found.claim


@pytest.mark.parametrize("mutant", [noise_of_answers_on_the_mean, copies_of_patients])
def test_a_planted_mistake_is_seen(mutant):
    with planted(mutant):
        found = run()
    assert found.verdict == "above the claim"
    assert found.right > 0.8 * found.guesses
    assert found.estimate.value == least_epsilon(
        CANARIES, found.guesses, found.right, delta=1e-5, confidence=1 - 0.05 / 6
    )
    assert found.estimate.low == found.estimate.value <= found.power
    assert found.estimate.n == found.guesses
    assert "copies" in found.estimate.method or mutant is not copies_of_patients


def test_without_privacy_there_is_no_claim_and_much_leaks():
    found = run(budget=None, privacy="none")
    assert (found.claim, found.verdict) == (None, None)
    assert found.estimate.value > 1


def test_an_audit_with_a_seed_is_replayed_and_says_so():
    assert run(3) == run(3)
    assert run(3).replayable
    assert not run(None).replayable


def test_the_result_is_plain_numbers_for_json():
    found = run()
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["verdict"] == found.verdict
    assert set(found.to_dict()) == {*found.__dataclass_fields__, "verdict"}


@pytest.mark.parametrize(("bound", "claim", "verdict"), [(1.0, 1.0, "within"), (1.0001, 1.0, "above"), (9.0, None, "")])
def test_the_verdict_is_by_the_bound(bound, claim, verdict):
    found = Audit(Estimate(bound, bound, np.inf, 9, ""), claim, 1e-5, "copula", 20, 9, 9, 1.0)
    assert (found.verdict or "").startswith(verdict)


def test_real_patients_make_room_whatever_the_coins_say(trained_on):
    for seed in range(3):
        run(seed)
    for cohort in trained_on:
        names = {str(name) for name in cohort.patients}
        assert len(names) == len(cohort)
        assert PATIENTS - CANARIES < len(cohort) < PATIENTS
    sizes = [len(cohort) - (PATIENTS - CANARIES) for cohort in trained_on]
    assert len(set(sizes)) > 1
    assert all(abs(size - CANARIES / 2) < 4 * CANARIES**0.5 / 2 for size in sizes)


def test_those_who_are_trained_on_are_real_patients_and_the_canaries_of_the_coins(trained_on, monkeypatch):
    made, seen = [], []
    module = sys.modules["wardgan.attack.audit"]  # the function of this name stands in front of it
    honest = module.canary_patients
    monkeypatch.setattr(module, "canary_patients", lambda *how: made.append(honest(*how)) or made[-1])
    monkeypatch.setattr(
        module, "guessed", lambda scene, inside, **how: seen.append(inside) or guessed(scene, inside, **how)
    )
    run()
    (cohort,), (birds,), (inside,) = trained_on, made, seen
    assert kit.same(cohort.take(slice(PATIENTS - CANARIES, None)), birds.take(np.flatnonzero(inside)), names=False)
    real = {tuple(row) for row in COHORT.frame().drop(columns="id").astype(str).to_numpy()}
    kept = cohort.take(slice(PATIENTS - CANARIES)).frame().drop(columns="id").astype(str).to_numpy()
    assert all(tuple(row) in real for row in kept)
    assert 0.3 < inside.mean() < 0.7


def test_a_cohort_at_the_cap_of_its_population_can_be_audited():
    run(cohort=patients(1_760, population=1_600))
    with pytest.raises(PlanError, match="population=1600 is declared"):
        run(cohort=patients(1_761, population=1_600))


def test_a_population_that_is_counted_privately_can_be_audited():
    assert run(cohort=patients(population=None), budget=wg.Budget(2.0)).claim == 2.0


def test_a_family_with_a_training_can_be_audited():
    found = run(family=wg.TabganConfig(steps=4, width=8, noise_inputs=2))
    assert (found.family, found.verdict) == ("tabgan", "within the claim")


def test_visits_can_be_audited():
    from attack_kit import VISITS

    cohort = World.of(VISITS, seed=Seed(1)).draw(900, seed=Seed(2))
    assert audit(cohort, wg.Budget(2.0), family="copula", canaries=100, seed=1).verdict == "within the claim"
    assert audit(cohort, privacy="none", family="copula", canaries=100, seed=1).estimate.value > 0


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    home, spare = tmp_path / "home", tmp_path / "spare"
    home.mkdir()
    spare.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("TMPDIR", str(spare))
    made, old = [], fits.Trained

    def trained(*parts, **more):
        found = old(*parts, **more)
        made.extend(weakref.ref(part) for part in (found, found.generator))
        return found

    monkeypatch.setattr(fits, "Trained", trained)
    found = run()
    gc.collect()
    assert len(made) == 2
    assert [each() for each in made] == [None, None]
    assert [*home.iterdir(), *spare.iterdir()] == []
    assert {type(value) for value in vars(found).values()} <= {Estimate, float, str, int, bool}


def entries(ledger):
    with Accounts.open(ledger, writable=False) as accounts:
        return [(each, entry) for each in accounts.show() for entry in each.entries]


def test_p14_the_training_is_entered_with_the_real_patients(tmp_path):
    ledger = tmp_path / "ledger.db"
    made = wg.fit(COHORT, BUDGET, family="copula", accounts=ledger)
    run(None, accounts=ledger)
    (one, fitted), (other, audited) = entries(ledger)
    assert one.ids == other.ids  # the same patients, though others were trained on
    assert (audited.family, audited.state, audited.run) == ("audit of copula", "done", None)
    assert audited.events == made.ledger.events == fitted.events
    assert 1.3 < other.total().epsilon < 2
    assert sorted(path.name for path in tmp_path.iterdir() if "-" not in path.name) == ["ledger.db", "ledger.db.key"]
    with Accounts.open(ledger) as accounts:
        assert len(accounts.show()[0].ids) == 1
        marks = accounts._connection.execute("SELECT count(*) FROM fingerprint").fetchone()
    assert marks == (1,)


def test_p14_a_cap_refuses_an_audit_before_it_reads_anybody(tmp_path, trained_on):
    ledger = tmp_path / "ledger.db"
    with Accounts.open(ledger, create=True) as accounts:
        accounts.cap(Budget(0.5))
    with pytest.raises(BudgetError, match=r"At most epsilon 0\.5 is left"):
        run(None, accounts=ledger)
    assert trained_on == []
    assert entries(ledger) == []


def test_p14_an_audit_that_fails_counts_what_was_billed(tmp_path):
    ledger = tmp_path / "ledger.db"

    def watch(progress):
        if progress.done:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run(None, accounts=ledger, watch=watch)
    ((_, entry),) = entries(ledger)
    assert entry.state == "failed"
    assert entry.events


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ({"canaries": 19}, UsageError, "canaries=19 is not a whole number of at least 20"),
        ({"canaries": 2.5}, UsageError, "canaries=2.5"),
        ({"canaries": 801}, DataError, "canaries=801 are more than half of the patients"),
        ({"canaries": 20}, UsageError, "can certify an epsilon of at most 0.49, and the claim is 1: no mistake could"),
        ({"budget": wg.Budget(8.0)}, UsageError, "audit with a smaller epsilon"),
        ({"budget": wg.Budget(3.1)}, UsageError, r"take at least 2\d\d canaries, or audit with a smaller epsilon"),
        ({"budget": None}, PlanError, "budget: say how much"),
        ({"privacy": "none"}, PlanError, "privacy='none' has no budget"),
        ({"cohort": pd.DataFrame()}, UsageError, "is no cohort"),
        ({"family": "gan"}, PlanError, "family='gan'"),
    ],
)
def test_what_cannot_be_audited_is_refused_before_anything_is_read(how, kind, said, trained_on):
    with pytest.raises(kind, match=said):
        run(**how)
    assert trained_on == []


def test_a_way_guesses_the_highest_in_and_the_lowest_out():
    way = Way("by hand", lambda scene: None, 0.2, 0.3)
    scores = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0, -1.0, -2.0, -3.0, -4.0])
    inside = np.array([1, 0, 1, 1, 1, 1, 1, 0, 1, 0], dtype=bool)
    assert way.counts(10) == (2, 3)
    assert way.right(scores, inside) == 1 + 2
    assert Way("in", way.score, 0.2, 0.0).right(scores, inside) == 1
    assert Way("in", way.score, 0.2, 0.0).right(-scores, inside) == 1
    assert Way("ties", way.score, 0.2, 0.0).right(np.zeros(10), inside) == 1


def test_the_best_of_six_ways_accuses_hardly_anybody(monkeypatch):
    """Randomised response, for which the theorem is tight; each way sees the answers in an order of its own."""
    stream, runs, epsilon, wrong, blind = np.random.default_rng(5), 300, 1.0, 0, 0
    module = sys.modules["wardgan.attack.audit"]
    for _ in range(runs):
        inside = stream.random(CANARIES) < 0.5
        answer = np.where(stream.random(CANARIES) < 1 / (1 + np.exp(-epsilon)), inside, ~inside)
        ways = [replace(way, name=str(at), score=shaken(answer, at)) for at, way in enumerate(WAYS)]
        monkeypatch.setattr(module, "WAYS", tuple(ways))
        found, _, _ = guessed(Scene(None, None, None, None), inside, delta=1e-5)
        wrong += found.value > epsilon
        blind += found.value == 0
    assert wrong / runs <= 0.05
    assert blind / runs < 0.2


def shaken(answer, number):
    return lambda scene: answer + 0.1 * np.random.default_rng(number).random(len(answer))


def test_it_is_one_function_under_three_names():
    assert wg.audit is exported is audit
