"""Budgets and events refuse what has no price (Rule P16)."""

from __future__ import annotations

import math

import pytest

from wardgan.errors import FormatError, PlanError, WardganError
from wardgan.privacy.events import Budget, Event

BATCHES = Event(
    "d", "poisson-gaussian", noise_multiplier=2.0, sampling_rate=0.1, batch_cap=200, population=1000, steps=7
)


@pytest.mark.parametrize("epsilon", [math.inf, -math.inf, math.nan, 0, 0.0, -1e-9, -3])
def test_epsilon_is_finite_and_positive(epsilon):
    with pytest.raises(PlanError, match="epsilon="):
        Budget(epsilon)


@pytest.mark.parametrize("delta", [0, 1, -1e-5, 1.5, 0.0011, 0.5, math.nan, math.inf])
def test_delta_is_between_0_and_1(delta):
    with pytest.raises(PlanError, match="delta="):
        Budget(1.0, delta)


def test_delta_is_a_chosen_number_and_not_one_over_n():
    assert Budget(1.0).delta == 1e-5


@pytest.mark.parametrize("noise", [0, -1.0, math.nan, math.inf, None])
def test_a_gaussian_event_needs_noise(noise):
    with pytest.raises(WardganError, match="noise_multiplier"):
        Event("a", "gaussian", noise_multiplier=noise)


@pytest.mark.parametrize("rate", [0, -0.1, 1.0001, math.nan, None])
def test_batches_need_a_rate(rate):
    with pytest.raises(FormatError, match="sampling_rate"):
        Event("a", "poisson-gaussian", noise_multiplier=1.0, sampling_rate=rate)


@pytest.mark.parametrize("epsilon", [0, -1.0, math.nan, math.inf, None])
def test_a_selection_needs_an_epsilon(epsilon):
    with pytest.raises(WardganError, match="epsilon"):
        Event("a", "pure", epsilon=epsilon)


@pytest.mark.parametrize("delta", [-1e-12, 1.0, math.nan])
def test_a_failure_probability_is_below_1_and_never_negative(delta):
    with pytest.raises(FormatError, match="delta"):
        Event("a", "gaussian", noise_multiplier=1.0, delta=delta)


def test_an_unknown_mechanism_is_refused():
    with pytest.raises(FormatError, match="laplace"):
        Event("a", "laplace", noise_multiplier=1.0)


@pytest.mark.parametrize("steps", [-1, 1.5, True])
def test_steps_are_whole(steps):
    with pytest.raises(WardganError, match="steps"):
        Event("a", "gaussian", noise_multiplier=1.0, steps=steps)


@pytest.mark.parametrize("half", [{"batch_cap": 5}, {"population": 5}])
def test_a_cap_without_its_population_would_be_billed_too_low(half):
    with pytest.raises(FormatError, match="go together"):
        Event("a", "poisson-gaussian", noise_multiplier=1.0, sampling_rate=0.1, **half)


@pytest.mark.parametrize("caps", [{"batch_cap": 0, "population": 5}, {"batch_cap": 5, "population": -1}])
def test_caps_are_positive(caps):
    with pytest.raises(WardganError, match="whole number of at least 1"):
        Event("a", "poisson-gaussian", noise_multiplier=1.0, sampling_rate=0.1, **caps)


@pytest.mark.parametrize(
    "event",
    [BATCHES, Event("g", "gaussian", noise_multiplier=3.5, delta=1e-7), Event("p", "pure", epsilon=0.2, steps=4)],
)
def test_json_and_back(event):
    assert Event.from_dict(event.to_dict()) == event
    assert None not in event.to_dict().values()


def test_times_changes_the_steps_alone():
    assert BATCHES.times(3).to_dict() == {**BATCHES.to_dict(), "steps": 3}


@pytest.mark.parametrize(
    "wrong",
    [
        {"noise_multiplier": "2"},
        {"noise_multiplier": True},
        {"noise_multiplier": math.nan},
        {"sampling_rate": math.inf},
        {"steps": 2.0},
        {"steps": True},
        {"population": "many"},
        {"name": 3},
        {"mechanism": None},
        {"clip": 1.0},
    ],
)
def test_foreign_json_is_refused(wrong):
    with pytest.raises(FormatError):
        Event.from_dict({**BATCHES.to_dict(), **wrong})
