"""The plan: every touch of the patients, its noise and its share, solved before anything is read (Rule P5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, cast

from wardgan import check
from wardgan.errors import BudgetError, FormatError, PlanError
from wardgan.privacy.accountant import gaussian_mu, pld_epsilon, tail_above
from wardgan.privacy.events import NEIGHBOURS, UNIT, Budget, Event

# Steps on batches are billed so many at a time, before they are taken.
BLOCK: Final = 50
HEADROOM: Final = 1.1
_TAIL: Final = 8.0
_CUT: Final = 1e-14
_LEAST: Final = 1e-4
_HALVINGS: Final = 9
# Questions along a straight line, before halving goes on.
_GUESSES: Final = 6


@dataclass(frozen=True)
class Share:
    """A wish for a part of the budget.

    Attributes:
        name: What it is for.
        weight: Part of the squared Gaussian-DP parameter mu, relative to the other shares.
        sampling_rate: Of Poisson batches; `None`: all patients at once.
        steps: How many times the mechanism runs.
        pure: Whether it is a selection, billed as a pure mechanism.
        delta: Failure probability of one run (thresholded counts).
    """

    name: str
    weight: float
    sampling_rate: float | None = None
    steps: int = 1
    pure: bool = False
    delta: float = 0.0

    def __post_init__(self) -> None:
        check.positive(weight=self.weight)
        check.whole(1, steps=self.steps)


@dataclass(frozen=True)
class Plan:
    """A solved budget: what will be done, with how much noise.

    Attributes:
        budget: The target.
        events: The mechanisms; their composition costs at most `budget.epsilon` at `budget.delta`.
        population: Public number of patients; `None` until a noisy count is paid for.
        family: The model family it was made for.

    Raises:
        PlanError: Two events have the same name.
    """

    budget: Budget
    events: tuple[Event, ...]
    population: int | None
    family: str

    def __post_init__(self) -> None:
        names = [event.name for event in self.events]
        for name in names:
            if names.count(name) > 1:
                raise PlanError(f"event={name!r} is planned twice; each event needs a name of its own to be billed by.")

    def event(self, name: str) -> Event:
        """Gives a planned event by name.

        Raises:
            BudgetError: The plan has no such event, so it may not happen.
        """
        for event in self.events:
            if event.name == name:
                return event
        raise BudgetError(f"event={name!r} is not in the plan; only what was planned may read patients.")

    def epsilon(self) -> float:
        """Gives what the whole plan costs, by the accountant of record."""
        return pld_epsilon(self.events, self.budget.delta)

    def fits(self) -> bool:
        """Whether the plan stays within its budget on a coarse, pessimistic grid."""
        return _excess(self) <= 0

    def to_dict(self) -> dict[str, object]:
        """Gives the plan for JSON."""
        return {
            "family": self.family,
            "unit": UNIT,
            "neighbours": NEIGHBOURS,
            "epsilon": self.budget.epsilon,
            "delta": self.budget.delta,
            "population": self.population,
            "events": [event.to_dict() for event in self.events],
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, object]) -> Plan:
        """Reads a plan from JSON.

        Raises:
            FormatError: A part is missing or of the wrong type.
        """
        try:
            budget = Budget(float(cast("float", found["epsilon"])), float(cast("float", found["delta"])))
            events = tuple(Event.from_dict(event) for event in cast("list[Mapping[str, object]]", found["events"]))
            return cls(budget, events, cast("int | None", found["population"]), str(found["family"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"plan: {type(error).__name__} at {error}.") from error


def batch_cap(population: int, rate: float) -> int:
    """Gives the largest batch: mean + 8 standard deviations for 1.1 times the population (Rule P6), or more.

    At 8 standard deviations truncation is so rare that even our own accountant, which pays for it out of delta,
    does not notice it. Small batches have longer tails than that, so the cap is raised until a batch is cut with a
    probability of at most 1e-14. A cohort larger than `largest(population)` is refused: beyond it truncation would
    be common, and one more patient could push another one out of a batch.

    Args:
        population: Public number of patients, at least 1.
        rate: Sampling rate in (0, 1].

    Example:
        >>> batch_cap(6500, 1 / 6)
        1444
    """
    most = largest(population)
    cap = min(most, math.ceil(most * rate + _TAIL * math.sqrt(most * rate * (1 - rate))))
    while tail_above(cap, most, rate) > _CUT:
        cap += max(1, cap // 200)
    return min(most, cap)


def largest(population: int) -> int:
    """Gives how many patients a cohort of a declared population may have at most."""
    # 1.1 times 100 is a little more than 110 in floating point.
    return math.ceil(round(HEADROOM * population, 6))


def solve(budget: Budget, shares: Sequence[Share], *, population: int | None, family: str) -> Plan:
    """Gives the plan that spends the budget on the shares: one noise level for all, by bisection on the composition.

    A Gaussian sum with noise multiplier s costs 1/s^2 of mu^2; `steps` Poisson batches at rate q cost about
    q^2 steps (exp(1/s^2) - 1) (Bu, Dong, Long, Su 2020, corollary 5.4), and a pure mechanism with e about e^2/4.
    These are only proportions: what the composition really costs is computed from privacy loss distributions.

    Args:
        budget: The target.
        shares: At least one.
        population: Public number of patients.
        family: Whose shares they are.

    Raises:
        PlanError: The thresholds alone use up delta, or no noise is large enough.
    """
    return _solved(budget, tuple(shares), population, family)


@lru_cache(maxsize=32)
def _solved(budget: Budget, shares: tuple[Share, ...], population: int | None, family: str) -> Plan:
    """Remembers what was solved: a plan is shown before the fit that follows it, and costs seconds."""
    delta = budget.delta - sum(share.delta * share.steps for share in shares)
    if delta <= 0:
        raise PlanError(f"delta={budget.delta!r} is used up by the discovery of levels; declare the levels.")
    total = sum(share.weight for share in shares)

    def plan(mu: float) -> Plan:
        events = tuple(_event(share, mu * math.sqrt(share.weight / total), population) for share in shares)
        return Plan(budget, events, population, family)

    high = gaussian_mu(budget.epsilon, delta)
    if plan(high).fits():
        return plan(high)
    low = 0.8 * high
    while not plan(low).fits():
        low *= 0.8
        if low < _LEAST * high:
            raise PlanError(
                f"epsilon={budget.epsilon:g}: no noise is large enough for this plan; take fewer steps or a larger "
                "sampling rate."
            )
    return plan(_halved(low, high, _last(lambda place: _excess(plan(_halved(low, high, place))))))


def _excess(plan: Plan) -> float:
    """Gives by how much a plan exceeds its budget on a coarse grid; infinity if delta is used up."""
    # A millionth is left over, because the bill is added up on a finer grid and rounds in another way.
    return pld_epsilon(plan.events, plan.budget.delta, grid=5e-4) - plan.budget.epsilon * (1 - 1e-6)


def _last(excess: Callable[[int], float]) -> int:
    """Gives the last of 512 places whose excess is at most 0, as nine halvings would find it, with fewer questions.

    Each question costs a second. The excess grows smoothly with the place, so the next one to ask about is where a
    straight line through both ends meets 0; if that does not end soon, the middle.

    Args:
        excess: Grows with the place; at most 0 at 0, and more than that at 512.
    """
    low, high, asked = 0, 1 << _HALVINGS, 0
    below, above = excess(low), excess(high)
    while high - low > 1:
        share = -below / (above - below) if asked < _GUESSES and math.isfinite(above) else 0.5
        place = min(max(low + int(share * (high - low)), low + 1), high - 1)
        asked, found = asked + 1, excess(place)
        low, high, below, above = (place, high, found, above) if found <= 0 else (low, place, below, found)
    return low


def _halved(low: float, high: float, place: int) -> float:
    """Gives one of 512 places between two numbers, rounded as halving does; the place 512 is the upper one."""
    if place >> _HALVINGS:
        return high
    for bit in reversed(range(_HALVINGS)):
        middle = (low + high) / 2
        low, high = (middle, high) if place >> bit & 1 else (low, middle)
    return low


def with_population(plan: Plan, population: int) -> Plan:
    """Gives the plan once the number of patients is known from a paid noisy count: batches get their caps."""
    events = tuple(
        replace(
            event, population=largest(population), batch_cap=batch_cap(population, cast("float", event.sampling_rate))
        )
        if event.mechanism == "poisson-gaussian"
        else event
        for event in plan.events
    )
    return replace(plan, events=events, population=population)


def _event(share: Share, mu: float, population: int | None) -> Event:
    if share.pure:
        return Event(share.name, "pure", epsilon=2 * mu / math.sqrt(share.steps), steps=share.steps, delta=share.delta)
    if share.sampling_rate is None:
        noise = math.sqrt(share.steps) / mu
        return Event(share.name, "gaussian", noise_multiplier=noise, steps=share.steps, delta=share.delta)
    rate = share.sampling_rate
    noise = 1 / math.sqrt(math.log1p(mu * mu / (share.steps * rate * rate)))
    caps = {} if population is None else {"batch_cap": batch_cap(population, rate), "population": largest(population)}
    return Event(share.name, "poisson-gaussian", noise_multiplier=noise, sampling_rate=rate, steps=share.steps, **caps)
