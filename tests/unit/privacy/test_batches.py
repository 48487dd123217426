"""Batches are what the accountant bills: a coin for every patient, whoever that is (Rule P6)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, chi2

from wardgan.errors import UsageError
from wardgan.privacy.batches import padded, poisson_batch
from wardgan.rng import Seed

PATIENTS, RATE, STEPS = 300, 0.1, 3000
RARE = 3  # patients 0, 1 and 2 have the rare label
FALSE_ALARM = 1e-9

Sampler = Callable[[int], NDArray[np.intp]]


def honest(seed: Seed, cap: int = PATIENTS) -> Sampler:
    return lambda step: poisson_batch(PATIENTS, rate=RATE, cap=cap, seed=seed, step=step)


def drawn_by(sampler: Sampler, steps: int = STEPS) -> NDArray[np.bool_]:
    """Gives who was drawn when: (steps, patients)."""
    drawn = np.zeros((steps, PATIENTS), dtype=bool)
    for step in range(steps):
        drawn[step, sampler(step)] = True
    return drawn


def everyone_alike(drawn: NDArray[np.bool_]) -> bool:
    """Whether each patient's number of batches is one that coins at the rate give."""
    low, high = binom.ppf([FALSE_ALARM / PATIENTS, 1 - FALSE_ALARM / PATIENTS], len(drawn), RATE)
    times = drawn.sum(axis=0)
    return bool(((times >= low) & (times <= high)).all())


def sizes_vary(drawn: NDArray[np.bool_]) -> bool:
    """Whether the variance of batch sizes is one that independent coins give."""
    sizes = drawn.sum(axis=1)
    statistic = sizes.var(ddof=1) * (len(sizes) - 1) / (PATIENTS * RATE * (1 - RATE))
    low, high = chi2.ppf([FALSE_ALARM, 1 - FALSE_ALARM], len(sizes) - 1)
    return bool(low < statistic < high)


def steps_are_independent(drawn: NDArray[np.bool_]) -> bool:
    """Whether patients are drawn twice in a row as often as coins do it."""
    again = int((drawn[1:] & drawn[:-1]).sum())
    low, high = binom.ppf([FALSE_ALARM, 1 - FALSE_ALARM], drawn[1:].size, RATE**2)
    # Pairs of steps overlap, which widens the spread by less than a factor of 1 + 2 RATE.
    middle, half = (low + high) / 2, (high - low) / 2 * (1 + 2 * RATE)
    return bool(abs(again - middle) < half)


@pytest.fixture(scope="module", params=[Seed.secret(), Seed(5)], ids=["secret", "replayable"])
def drawn(request: pytest.FixtureRequest) -> NDArray[np.bool_]:
    return drawn_by(honest(request.param))


def test_p6_each_patient_is_drawn_at_the_rate(drawn):
    assert everyone_alike(drawn)


def test_p6_batches_have_no_fixed_size(drawn):
    assert sizes_vary(drawn)


def test_p6_no_epoch_no_memory(drawn):
    assert steps_are_independent(drawn)


def by_label(step: int) -> NDArray[np.intp]:
    generator = Seed(1).stream("label", step)
    chances = np.where(np.arange(PATIENTS) < RARE, 3 * RATE, RATE)
    return np.flatnonzero(generator.random(PATIENTS) < chances)


def fixed_size(step: int) -> NDArray[np.intp]:
    return Seed(1).stream("fixed", step).choice(PATIENTS, round(PATIENTS * RATE), replace=False)


def epochs(step: int) -> NDArray[np.intp]:
    epoch, part = divmod(step, round(1 / RATE))
    return np.array_split(Seed(1).stream("shuffle", epoch).permutation(PATIENTS), round(1 / RATE))[part]


def drop_last(step: int) -> NDArray[np.intp]:
    return honest(Seed(1))(step)[:-1]


def the_same_coins(step: int) -> NDArray[np.intp]:
    return honest(Seed(1))(step // 2)


@pytest.mark.parametrize(
    ("mutant", "seen_by"),
    [
        (by_label, everyone_alike),
        (drop_last, everyone_alike),
        (fixed_size, sizes_vary),
        (epochs, sizes_vary),
        (epochs, steps_are_independent),
        (the_same_coins, steps_are_independent),
    ],
    ids=lambda each: each.__name__,
)
def test_p17_another_sampling_is_seen(mutant, seen_by):
    assert not seen_by(drawn_by(mutant, 1500))


def test_p6_who_is_dropped_at_the_cap_is_a_matter_of_chance():
    cap = 20
    truncated = drawn_by(honest(Seed.secret(), cap))
    assert truncated.sum(axis=1).max() == cap
    assert (truncated.sum(axis=1) == cap).mean() > 0.9
    # E[min(batch, cap)] / patients, the same for each.
    sizes = np.arange(PATIENTS + 1)
    rate = float((np.minimum(sizes, cap) * binom.pmf(sizes, PATIENTS, RATE)).sum()) / PATIENTS
    low, high = binom.ppf([FALSE_ALARM / PATIENTS, 1 - FALSE_ALARM / PATIENTS], STEPS, rate)
    times = truncated.sum(axis=0)
    assert ((times >= low) & (times <= high)).all()


def test_p6_empty_batches_happen():
    sizes = [len(poisson_batch(2, rate=0.1, cap=2, seed=Seed(3), step=step)) for step in range(50)]
    assert {0, 1} <= set(sizes)
    assert len(poisson_batch(0, rate=0.5, cap=3, seed=Seed.secret(), step=0)) == 0


def test_rate_one_takes_everyone():
    assert np.array_equal(poisson_batch(5, rate=1, cap=5, seed=Seed.secret(), step=0), np.arange(5))


def test_replayable_batches_are_the_same_and_secret_ones_are_not():
    first, second = (drawn_by(honest(Seed(9), 25), 5) for _ in range(2))
    assert np.array_equal(first, second)
    first, second = (drawn_by(honest(Seed.secret(), 25), 5) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1.1}, {"rate": float("nan")}, {"cap": 0}, {"patients": -1}])
def test_arguments_out_of_range_are_refused(wrong):
    given = {"patients": 5, "rate": 0.5, "cap": 3, **wrong}
    with pytest.raises(UsageError, match=next(iter(wrong))):
        poisson_batch(given.pop("patients"), **given, seed=Seed(1), step=0)


def test_every_padded_batch_has_the_same_shape():
    for index in (np.array([], dtype=np.intp), np.array([4]), np.array([1, 2, 9])):
        places, mask = padded(index, 3)
        assert places.shape == mask.shape == (3,)
        assert np.array_equal(places[mask], index)
    with pytest.raises(UsageError, match="cap=2"):
        padded(np.arange(3), 2)
