"""One private step gives away no more than it bills, and the game that says so sees planted mistakes (Rule P17)."""

from __future__ import annotations

import pytest

from mutants import STEPS, planted
from step_game import least_mu, training_step
from wardgan.privacy.clip import PrivateStep

PLAYS = 500
RULE = PrivateStep(clip_norm=1.0, noise_multiplier=0.5, expected_batch=16.0)


def least(rule: PrivateStep = RULE) -> float:
    play, parts = training_step(rule)
    return least_mu(play, parts=parts, plays=PLAYS)


@pytest.mark.parametrize("noise_multiplier", [0.5, 1.0, 3.0])
def test_p17_an_honest_step_keeps_its_promise(noise_multiplier):
    assert least(PrivateStep(1.0, noise_multiplier, 16.0)) <= 1 / noise_multiplier


def test_the_game_is_not_blind():
    # The bound of an honest step is not far below the truth, so that a step twice as leaky cannot pass.
    assert least() > 0.3 / RULE.noise_multiplier


@pytest.mark.parametrize("mutant", STEPS, ids=lambda mutant: mutant.__name__)
def test_p17_the_game_sees(mutant):
    with planted(mutant):
        assert least() > 1 / RULE.noise_multiplier
    assert least() <= 1 / RULE.noise_multiplier
