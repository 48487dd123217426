"""Choices among candidates: their frequencies, their bill, and what a run that stopped does (Rules P5, P11)."""

import numpy as np
import pytest
from scipy import stats

import choice_kit
from wardgan.errors import BudgetError
from wardgan.privacy.ledger import Ledger
from wardgan.select import decide, score
from wardgan.select.boosting import Heard, Payoff, boosted, within
from wardgan.select.choice import CHOICE, Choice
from wardgan.select.decide import Pool, decided, heaviest, told

PLAYS = 1_500
FEW = {"candidates": 3, "k": 2, "rounds": 4}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(decide, "_TAUGHT", 200)
    monkeypatch.setattr(score, "_TREES", 5)


@pytest.fixture
def known(monkeypatch):
    """Scores that are known, so that the choice alone is asked."""
    scoring = decide.recognition(choice_kit.field())
    scores = scoring.scores(*choice_kit.patients(8))

    class Known:
        sensitivity = scoring.sensitivity

        def scores(self, units, classes):
            assert len(units) == 8
            return scores

    monkeypatch.setattr(decide, "recognition", lambda _: Known())
    return scores


def agrees(counts, expected):
    return stats.chisquare(counts, np.asarray(expected) * np.sum(counts)).pvalue > 1e-6


def test_p11_a_choice_has_the_chances_of_the_exponential_mechanism(known):
    # Brute force: exp(epsilon x weighed number of those named rightly), over all candidates.
    epsilon, counts = 0.4, np.zeros(3)
    for _ in range(PLAYS):
        counts += decided(Choice("noisy-max", **FEW), choice_kit.records(epsilon, 1, size=8), choice_kit.field())
    chances = np.exp(epsilon * known) / np.exp(epsilon * known).sum()
    assert agrees(counts, chances)
    for wrong in (0.5 * epsilon, 2 * epsilon):
        assert not agrees(counts, np.exp(wrong * known) / np.exp(wrong * known).sum())


def test_p11_no_budget_no_knowledge(known):
    counts = np.zeros(3)
    for _ in range(600):
        counts += decided(Choice("noisy-max", **FEW), choice_kit.records(1e-6, 1, size=8), choice_kit.field())
    assert agrees(counts, [1 / 3] * 3)


def test_p11_the_best_few_are_chosen_one_after_the_other(known):
    epsilon, pairs = 0.4, {}
    for _ in range(PLAYS):
        weights = decided(Choice("top-k", **FEW), choice_kit.records(epsilon, 2, size=8), choice_kit.field())
        assert sorted(weights) == [0, 0.5, 0.5]
        pairs[tuple(np.flatnonzero(weights))] = pairs.get(tuple(np.flatnonzero(weights)), 0) + 1
    force = np.exp(epsilon * known)
    expected = {}
    for first in range(3):
        for second in {0, 1, 2} - {first}:
            chance = force[first] / force.sum() * force[second] / (force.sum() - force[first])
            pair = tuple(sorted((first, second)))
            expected[pair] = expected.get(pair, 0) + chance
    assert agrees([pairs.get(pair, 0) for pair in expected], list(expected.values()))


@pytest.mark.parametrize(("how", "runs"), [("noisy-max", 1), ("top-k", 2), ("boosting", 4)])
def test_p05_what_is_chosen_is_billed_and_no_more_than_was_planned(how, runs):
    mine = choice_kit.records(2.0, runs)
    weights = decided(Choice(how, **FEW), mine, choice_kit.field())
    assert weights.sum() == pytest.approx(1)
    assert mine.ledger.steps(CHOICE) == runs
    with pytest.raises(BudgetError, match=f"{runs} of {runs} planned runs are spent"):
        decided(Choice(how, **FEW), mine, choice_kit.field())
    other = choice_kit.ledger(2.0, runs)
    object.__setattr__(other.plan, "events", ())
    unplanned = choice_kit.records(2.0, runs, book=other)
    with pytest.raises(BudgetError, match="not in the plan"):
        decided(Choice(how, **FEW), unplanned, choice_kit.field())


@pytest.mark.parametrize("how", ["noisy-max", "top-k", "boosting"])
def test_p05_a_run_that_stopped_reads_its_choices_and_asks_nothing_again(how, tmp_path, monkeypatch):
    choice, path = Choice(how, **FEW), tmp_path / "ledger.jsonl"
    book = choice_kit.ledger(0.2, choice.runs, path=path)
    first = decided(choice, choice_kit.records(None, 0, folder=tmp_path, book=book), choice_kit.field())
    for _ in range(3):
        again = choice_kit.records(None, 0, folder=tmp_path, book=Ledger.resume(path))
        monkeypatch.setattr(decide.Recognition, "scores", asked_again)
        monkeypatch.setattr(Payoff, "scores", asked_again)
        assert (decided(choice, again, choice_kit.field()) == first).all()
        assert again.ledger.steps(CHOICE) == choice.runs


def asked_again(*_):
    raise AssertionError("the patients were asked again")


def test_p05_a_boosting_that_was_killed_goes_on_with_the_next_round(tmp_path):
    choice, path = Choice("boosting", **FEW), tmp_path / "ledger.jsonl"
    mine = choice_kit.records(None, 0, folder=tmp_path, book=choice_kit.ledger(0.2, 4, path=path))
    for _ in range(2):
        mine.choose(CHOICE, Payoff(Heard(choice_kit.verdicts), np.zeros(3), 60.0))
    again = choice_kit.records(None, 0, folder=tmp_path, book=Ledger.resume(path))
    decided(choice, again, choice_kit.field())
    assert again.ledger.steps(CHOICE) == 4
    # Billed, and lost before it was kept: it is not made again for nothing.
    (tmp_path / "choice-of-weights-3.npy").unlink()
    with pytest.raises(BudgetError, match="paid for and is lost"):
        decided(choice, choice_kit.records(None, 0, folder=tmp_path, book=Ledger.resume(path)), choice_kit.field())


def test_without_privacy_the_best_are_taken():
    for how, best in (("noisy-max", [0, 1, 0]), ("top-k", [0.5, 0.5, 0])):
        weights = decided(Choice(how, **FEW), choice_kit.records(None, 0), choice_kit.field())
        assert weights.tolist() == best


def test_a_note_says_what_was_chosen():
    assert told(np.array([0.0, 1.0]), (3, 4), Choice()).startswith("The generator has the weights of step 4, of 2 cand")
    assert "a mixture of the weights of step 3 (25%), step 4 (75%)" in told(np.array([0.25, 0.75]), (3, 4), Choice())


# Boosting


def slow(patients, pool, picks, rounds):
    """The game by loops, with the discriminators that were picked."""
    real, said = patients, pool
    size, judges = said.shape
    rate = np.sqrt(8 * np.log(size) / rounds)
    phi, total, payoffs = [1 / size] * size, [0.0] * size, []
    for chosen in picks:
        payoff = []
        for j in range(judges):
            payoff.append(sum(row[j] for row in real) - 60.0 * sum(phi[b] * said[b, j] for b in range(size)))
        payoffs.append(payoff)
        moved = [phi[b] * np.exp(rate * said[b, chosen]) for b in range(size)]
        phi = [one / sum(moved) for one in moved]
        total = [total[b] + phi[b] for b in range(size)]
    return np.array(total) / rounds, np.array(payoffs)


def test_p11_the_boosting_has_the_chances_of_a_brute_force_over_all_games():
    rounds, epsilon, judges = 2, 0.3, 3
    units, classes = choice_kit.patients(8)
    real = within(choice_kit.verdicts(units, classes))
    numbers = np.random.default_rng(2)
    pool = within(numbers.random((6, judges)) * [0.5, 1, 1])
    chances, results = {}, {}
    for first in range(judges):
        for second in range(judges):
            results[first, second], payoffs = slow(real, pool, (first, second), rounds)
            chances[first, second] = np.prod([force(payoffs[0], epsilon)[first], force(payoffs[1], epsilon)[second]])
    assert sum(chances.values()) == pytest.approx(1)
    keys = list(chances)
    counts = np.zeros(len(keys))
    for _ in range(PLAYS):
        asked = choice_kit.records(epsilon, rounds, size=8)
        phi = boosted(asked, Heard(choice_kit.verdicts), pool, patients=60.0, rounds=rounds)
        gaps = [np.abs(phi - results[key]).max() for key in keys]
        assert min(gaps) < 1e-9
        counts[int(np.argmin(gaps))] += 1
    known = np.array([chances[key] for key in keys])
    likely = known * PLAYS > 5
    assert agrees([*counts[likely], counts[~likely].sum() + 1e-9], [*known[likely], known[~likely].sum() + 1e-12])


def force(payoff, epsilon):
    weight = np.exp(epsilon * (payoff - payoff.max()))
    return weight / weight.sum()


def test_p11_one_patient_moves_a_payoff_by_the_sensitivity_and_no_more():
    units, classes = choice_kit.patients(100)

    def wild(units, classes):
        found = np.tile([np.nan, np.inf, -np.inf, 7.0, -3.0, 0.25], (len(units), 1))
        found[:, 5] = units[:, 0]
        return found

    scores = [Payoff(Heard(wild), np.full(6, 0.1), 60.0).scores(units[:size], classes[:size]) for size in range(1, 101)]
    moved = np.abs(np.diff(scores, axis=0))
    assert moved.max() == 0.5 == Payoff(Heard(wild), np.zeros(6), 60.0).sensitivity
    assert np.isfinite(scores).all()


def test_p11_payoffs_are_sums_over_patients_exactly():
    units, classes = choice_kit.patients(100)
    pool = np.array([0.1, 0.0, -0.2])
    nobody = Payoff(Heard(choice_kit.verdicts), pool, 60.0).scores(units[:0], classes[:0])
    parts = [
        Payoff(Heard(choice_kit.verdicts), pool, 60.0).scores(units[at : at + 1], classes[at : at + 1]) - nobody
        for at in range(100)
    ]
    whole = Payoff(Heard(choice_kit.verdicts), pool, 60.0).scores(units, classes) - nobody
    np.testing.assert_allclose(whole, np.sum(parts, axis=0), atol=1e-12)


def test_p05_patients_are_not_heard_before_the_bill():
    billed = []
    mine = choice_kit.records(1.0, 3)

    def watched(units, classes):
        billed.append(mine.ledger.steps(CHOICE))
        return choice_kit.verdicts(units, classes)

    boosted(mine, Heard(watched), np.full((4, 3), 0.5), patients=60.0, rounds=3)
    assert billed == [1]


def test_boosting_finds_the_candidate_that_the_discriminators_take_for_patients():
    """Of patients .42 have large doses, of the candidates' none and half: a discriminator that sees it mixes them."""

    def judge(units, classes):
        return np.stack([np.full(len(units), 0.5), (units[:, 0] > 0.7).astype(float)], axis=1)

    found = choice_kit.field((0.0, 0.9), judge)
    mine = choice_kit.records(5.0, 20)
    weights = decided(Choice("boosting", candidates=2, rounds=20), mine, found)
    assert 0.65 < weights[1] < 0.95


def test_the_pool_is_the_same_each_time_and_has_all_candidates():
    one, two = Pool.of(choice_kit.field(), 32), Pool.of(choice_kit.field(), 32)
    assert (one.units == two.units).all()
    assert np.bincount(one.owner).tolist() == [32, 32, 32]


def test_the_heaviest_are_kept():
    assert heaviest(np.array([0.2, 0.2, 0.6]), 2).tolist() == pytest.approx([0.25, 0, 0.75])
    assert heaviest(np.array([0.0, 1.0]), 2).tolist() == [0, 1]
