"""Report-noisy-max: the frequencies are those of the exponential mechanism, and each choice is billed (Rule P11)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wardgan.errors import BudgetError, UsageError
from wardgan.privacy import choose as choosing
from wardgan.privacy.choose import noisy_top
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.schema.read import read
from wardgan.schema.schema import Schema

EPSILON, PLAYS = 1.0, 20_000
SCHEMA = Schema.from_dict({"name": "demo", "table": {"age": {"kind": "integer", "low": 0, "high": 3}}})
PICK = Event("pick", "pure", epsilon=EPSILON, steps=3)
PLAN = Plan(Budget(9.0), (PICK, Event("table", "gaussian", noise_multiplier=2.0)), 10, "test")


@dataclass(frozen=True)
class Votes:
    """How many patients have each of four ages: one patient changes one score by 1."""

    sensitivity: float = 1.0

    def scores(self, units, classes):
        return np.bincount(np.floor(units[:, 0] * 4).astype(int), minlength=4).astype(float)


def records(ages=(0, 1, 1, 2, 2, 2), ledger=None, *, noise=None, folder=None):
    cohort = read(pd.DataFrame({"age": ages}), SCHEMA)
    seed = Seed.secret() if noise is None else noise
    return Records(cohort, ledger or Ledger(PLAN, replayable=seed.replayable), noise=seed, folder=folder)


def shares(scores, sensitivity=1.0, epsilon=EPSILON):
    """The exponential mechanism, from its formula."""
    weight = np.exp(epsilon * (np.asarray(scores) - np.max(scores)) / (2 * sensitivity))
    return weight / weight.sum()


def played(scores, sensitivity=1.0, epsilon=EPSILON, plays=PLAYS):
    numbers = Seed.secret()
    gumbels = numbers.gumbels(plays * len(scores), "plays").reshape(plays, -1)
    picks = [
        noisy_top(np.asarray(scores), 1, sensitivity=sensitivity, epsilon=epsilon, gumbels=row)[0] for row in gumbels
    ]
    return np.bincount(picks, minlength=len(scores))


def agrees(counts, expected):
    return stats.chisquare(counts, expected * counts.sum()).pvalue > 1e-6


@pytest.mark.parametrize(("sensitivity", "epsilon"), [(1.0, 1.0), (2.0, 1.0), (0.5, 3.0)])
def test_p11_choices_have_the_shares_of_the_exponential_mechanism(sensitivity, epsilon):
    scores = [0.0, 1.0, 2.5, 2.0]
    assert agrees(played(scores, sensitivity, epsilon), shares(scores, sensitivity, epsilon))


def test_p11_the_shares_tell_planted_mistakes():
    scores = [0.0, 1.0, 2.5, 2.0]
    for mutant in (shares(scores, 0.5), shares(scores, epsilon=2.0), shares(scores, epsilon=1e-9)):
        assert not agrees(played(scores), mutant)


def test_p11_neighbours_stay_within_epsilon():
    one, other = shares([0.0, 1.0, 2.0]), shares([1.0, 0.0, 1.0])  # every score moved by its sensitivity
    assert np.abs(np.log(one / other)).max() <= EPSILON + 1e-12


def test_p11_records_choose_by_the_same_mechanism():
    counts = np.zeros(4)
    for _ in range(1500):
        counts[records().choose("pick", Votes())[0]] += 1
    assert agrees(counts, shares([1, 2, 3, 0]))


def test_p11_each_choice_is_billed_before_it_is_made(monkeypatch):
    mine = records()
    billed = []
    honest = choosing.noisy_top
    monkeypatch.setattr(
        "wardgan.privacy.records.noisy_top",
        lambda *args, **how: (billed.append(mine.ledger.steps("pick")), honest(*args, **how))[1],
    )
    for _ in range(3):
        mine.choose("pick", Votes())
    assert billed == [1, 2, 3]
    with pytest.raises(BudgetError, match="3 of 3"):
        mine.choose("pick", Votes())
    with pytest.raises(BudgetError, match="planned as gaussian"):
        mine.choose("table", Votes())


def test_p11_patients_are_not_scored_before_the_bill():
    mine = records()
    billed = []

    class Watched(Votes):
        def scores(self, units, classes):
            billed.append(mine.ledger.steps("pick"))
            return super().scores(units, classes)

    mine.choose("pick", Watched(), 2)
    mine.choose("pick", Watched())
    with pytest.raises(BudgetError):
        mine.choose("pick", Watched())
    assert billed == [2, 3]


def test_a_rehearsal_chooses_with_noise_and_with_other_noise_in_each_round():
    first, second = np.zeros(4), np.zeros(4)
    same = 0
    for seed in range(400):
        mine = records(noise=Seed(seed))
        one, other = mine.choose("pick", Votes())[0], mine.choose("pick", Votes())[0]
        first[one] += 1
        second[other] += 1
        same += one == other
        assert records(noise=Seed(seed)).choose("pick", Votes()) == [one]
    assert agrees(first, shares([1, 2, 3, 0]))
    assert agrees(second, shares([1, 2, 3, 0]))
    assert abs(same / 400 - (shares([1, 2, 3, 0]) ** 2).sum()) < 0.12


def test_p12_nothing_but_the_places_of_a_choice_is_kept(tmp_path):
    mine = records(ledger=Ledger(PLAN, path=tmp_path / "ledger.jsonl"), folder=tmp_path)
    chosen = mine.choose("pick", Votes(), 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.jsonl", "pick-0.npy"]
    assert np.load(tmp_path / "pick-0.npy").tolist() == chosen


def test_an_unbilled_choice_in_the_folder_is_not_believed(tmp_path):
    np.save(tmp_path / "pick-0.npy", np.array([3.0, 3.0, 3.0]))
    mine = records(ledger=Ledger(PLAN, path=tmp_path / "ledger.jsonl"), folder=tmp_path)
    chosen = mine.choose("pick", Votes(), 3)
    assert len(set(chosen)) == 3
    assert mine.ledger.steps("pick") == 3


def test_p11_a_wrong_sensitivity_is_seen_in_the_shares():
    counts = np.zeros(4)
    for _ in range(1500):
        counts[records().choose("pick", Votes(sensitivity=0.25))[0]] += 1
    assert not agrees(counts, shares([1, 2, 3, 0]))


def test_p05_choices_of_a_stopped_run_are_read_again_and_not_made_again(tmp_path):
    path = tmp_path / "ledger.jsonl"
    first = records(ledger=Ledger(PLAN, path=path), folder=tmp_path)
    made = [first.choose("pick", Votes()) for _ in range(2)]
    again = records(ledger=Ledger.resume(path), folder=tmp_path)
    assert [again.choose("pick", Votes()) for _ in range(2)] == made
    assert again.ledger.steps("pick") == 2
    again.choose("pick", Votes())
    assert again.ledger.steps("pick") == 3


def test_p05_a_choice_that_was_paid_for_and_lost_ends_the_run(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(PLAN, path=path).spend("pick")
    with pytest.raises(BudgetError, match="paid for and is lost"):
        records(ledger=Ledger.resume(path), folder=tmp_path).choose("pick", Votes())


def test_without_privacy_the_best_is_chosen():
    assert records(ledger=Ledger(None)).choose("pick", Votes()) == [2]


def test_p11_several_choices_at_once_are_choices_one_after_the_other():
    scores = np.array([0.0, 1.0, 2.5, 2.0])
    numbers = Seed.secret()
    gumbels = numbers.gumbels(PLAYS * 4, "plays").reshape(PLAYS, -1)
    pairs = np.zeros((4, 4))
    for row in gumbels:
        first, second = noisy_top(scores, 2, sensitivity=1.0, epsilon=EPSILON, gumbels=row)
        pairs[first, second] += 1
    expected = np.zeros((4, 4))
    for first in range(4):
        left = np.delete(np.arange(4), first)
        expected[first, left] = shares(scores)[first] * shares(scores[left])
    off = ~np.eye(4, dtype=bool)
    assert agrees(pairs[off], expected[off])
    assert not agrees(pairs[off], np.full(12, 1 / 12))


def test_p11_each_of_several_choices_is_billed(tmp_path):
    path = tmp_path / "ledger.jsonl"
    mine = records(ledger=Ledger(PLAN, path=path), folder=tmp_path)
    chosen = mine.choose("pick", Votes(), 2)
    assert len(set(chosen)) == 2
    assert mine.ledger.steps("pick") == 2
    with pytest.raises(BudgetError, match="2 of 3"):
        mine.choose("pick", Votes(), 2)
    again = records(ledger=Ledger.resume(path), folder=tmp_path)
    assert again.choose("pick", Votes(), 2) == chosen
    assert again.ledger.steps("pick") == 2
    assert records(ledger=Ledger(None)).choose("pick", Votes(), 3) == [2, 1, 0]


def test_p11_a_candidate_of_score_minus_infinity_is_never_chosen():
    for row in Seed(1).gumbels(400, "plays").reshape(-1, 4):
        chosen = noisy_top(np.array([5.0, -np.inf, 0.0, 1.0]), 3, sensitivity=1.0, epsilon=9.0, gumbels=row)
        assert 1 not in chosen
    with pytest.raises(UsageError, match="selection of 4"):
        noisy_top(np.array([5.0, -np.inf, 0.0, 1.0]), 4, sensitivity=1.0, epsilon=9.0, gumbels=np.zeros(4))


@pytest.mark.parametrize("scores", [[], [1.0, np.nan], [np.inf, 0.0]])
def test_scores_that_are_no_scores_are_refused(scores):
    with pytest.raises(UsageError, match="at least as many candidates"):
        noisy_top(np.array(scores), 1, sensitivity=1.0, epsilon=1.0, gumbels=np.zeros(len(scores)))
