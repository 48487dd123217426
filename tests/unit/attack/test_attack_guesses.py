"""What right guesses prove: against the published numbers, every outcome counted, and mechanisms that are known."""

import itertools
import math

import numpy as np
import pytest

from wardgan.attack.guesses import chance, fewest, least_epsilon

EPSILONS = (0.0, 0.3, 1.0, 2.5)


def obvious_chance(canaries, guesses, right, epsilon, delta):
    """Each outcome of randomised response by itself, and the sums as the theorem states them."""
    rate = math.exp(epsilon) / (1 + math.exp(epsilon))
    likely = dict.fromkeys(range(-guesses, guesses + 1), 0.0)
    for outcome in itertools.product([True, False], repeat=guesses):
        likely[sum(outcome)] += math.prod(rate if hit else 1 - rate for hit in outcome)
    most = sum(share for hits, share in likely.items() if hits >= right)
    gains = [
        2 * canaries * delta / i * sum(share for hits, share in likely.items() if right - i <= hits < right)
        for i in range(1, canaries + 1)
    ]
    return min(1.0, most + max(gains))


@pytest.mark.parametrize(("canaries", "guesses"), [(1, 1), (6, 6), (9, 4), (30, 8)])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 0.01, 0.3])
def test_the_chance_is_that_of_all_outcomes_counted(canaries, guesses, delta):
    for right, epsilon in itertools.product(range(guesses + 1), EPSILONS):
        found = chance(canaries, guesses, right, epsilon=epsilon, delta=delta)
        assert found == pytest.approx(obvious_chance(canaries, guesses, right, epsilon, delta), abs=1e-12)


@pytest.mark.parametrize(("canaries", "guesses"), [(7, 7), (20, 8)])
@pytest.mark.parametrize("delta", [0.0, 0.01])
@pytest.mark.parametrize("confidence", [0.6, 0.95])
def test_the_bound_is_the_largest_epsilon_that_is_refuted(canaries, guesses, delta, confidence):
    grid = np.arange(0, 4, 0.05)
    for right in range(guesses + 1):
        chances = [obvious_chance(canaries, guesses, right, epsilon, delta) for epsilon in grid]
        refuted = [epsilon for epsilon, likely in zip(grid, chances, strict=True) if likely <= 1 - confidence]
        found = least_epsilon(canaries, guesses, right, delta=delta, confidence=confidence)
        assert found == pytest.approx(max(refuted, default=0.0), abs=0.051)
        assert found == 0 or chance(canaries, guesses, right, epsilon=found, delta=delta) <= 1 - confidence


def test_the_published_numbers_come_out():
    # Steinke, Nasr, Jagielski 2023: appendix D, and figure 11.
    assert least_epsilon(1_000, 100, 75, delta=1e-4) == pytest.approx(0.673, abs=5e-4)
    assert least_epsilon(100_000, 1_510, 1_439, delta=1e-5) == pytest.approx(2.675, abs=1e-3)
    assert least_epsilon(1_000, 100, 75, delta=0) > 0.674  # the tolerance cannot hide a delta that was left out


@pytest.mark.parametrize("guesses", [1, 7, 40, 250])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 1e-3, 0.02])
def test_more_right_guesses_never_prove_less(guesses, delta):
    bounds = [least_epsilon(2 * guesses, guesses, right, delta=delta) for right in range(guesses + 1)]
    assert bounds == sorted(bounds)
    assert bounds[guesses // 2] == 0
    smaller = [least_epsilon(2 * guesses, guesses, right, delta=delta + 1e-3) for right in range(guesses + 1)]
    assert all(one >= other for one, other in zip(bounds, smaller, strict=True))


def test_a_bound_saturates():
    assert least_epsilon(250, 250, 250, delta=0) == pytest.approx(-math.log(0.05 ** (-1 / 250) - 1))
    assert least_epsilon(250, 250, 250, delta=0) < 4.5


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("guesses", [20, 100])
def test_randomised_response_is_hardly_ever_accused(epsilon, guesses):
    """The mechanism for which the theorem is tight: 95 % hold, and not much more."""
    stream, runs = np.random.default_rng(int(10 * epsilon) + guesses), 2_000
    right = stream.binomial(guesses, 1 / (1 + math.exp(-epsilon)), runs)
    accused = [least_epsilon(200, guesses, each, delta=1e-5) > epsilon for each in range(guesses + 1)]
    share = sum(accused[each] for each in right) / runs
    assert share <= 0.06
    assert share >= 0.005 or accused == [False] * (guesses + 1)


def test_what_fails_with_delta_is_billed():
    """Every tenth canary is given away: (0, 0.1)-private. Who is sure is guessed first."""
    stream, runs, delta, canaries, guesses = np.random.default_rng(1), 300, 0.1, 100, 5
    with_delta = without = 0
    for _ in range(runs):
        inside, given = stream.random(canaries) < 0.5, stream.random(canaries) < delta
        order = np.argsort(-(given & inside).astype(float), kind="stable")[:guesses]
        right = int(inside[order].sum())
        with_delta += least_epsilon(canaries, guesses, right, delta=delta) > 0
        without += least_epsilon(canaries, guesses, right, delta=0) > 0
    assert with_delta / runs <= 0.05
    assert without / runs > 0.2


def test_how_many_canaries_are_enough():
    enough = fewest(2.0, share=0.5, delta=1e-5)
    assert least_epsilon(enough, enough // 2, enough // 2, delta=1e-5) > 2.0
    fewer = round(enough / 1.2)
    assert least_epsilon(fewer, fewer // 2, fewer // 2, delta=1e-5) <= 2.0
    assert fewest(10.0, share=0.5, delta=1e-5) == 0
