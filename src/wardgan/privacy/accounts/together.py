"""What several fits of the same patients cost one of them together, and what is left under a cap (Rule P14).

Events are composed, epsilons are not added: two fits of epsilon 1 cost less than epsilon 2 together. All that is
composed is stated at one delta, which the cap names, so deltas do not add up either; only the failure probabilities of
thresholds do, and both accountants take them off.

Every number that is given here is an upper bound. The accountants add up events whose noise was fixed beforehand. If
the noise of a fit is chosen after looking at an earlier one, that still holds for Gaussian sums (Smith & Thakurta 2022;
Koskela, Tobaben, Honkela 2023) and for our own Renyi accountant (Feldman & Zrnic 2021); for privacy loss distributions
with other events it is the usual reading, and not proved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal, cast

from wardgan.privacy.accountant import gaussian_delta, gaussian_mu, pld_available, pld_epsilon, rdp_epsilon
from wardgan.privacy.events import Budget, Event

How = Literal["nothing", "exact", "PLD", "RDP", "sum", "no privacy"]
# A fit that has the cap to itself may use all of it, whatever the last digit says.
_SLACK: Final = 1 + 1e-9
_MOST_MECHANISMS: Final = 24
_FEW_MECHANISMS: Final = 6
_WIDEST: Final = 60.0
_GRID: Final = 5e-4
_LEAST: Final = 0.01


@dataclass(frozen=True)
class Part:
    """What one fit has spent, or may still spend.

    Attributes:
        events: What was done with the patients, or is planned.
        budget: What these events cost at most; it bounds a part of them as well.
        protected: Whether noise that nobody can replay stands behind the events; otherwise the cost is infinite.
    """

    events: tuple[Event, ...]
    budget: Budget | None
    protected: bool = True

    @cached_property
    def joined(self) -> tuple[Event, ...]:
        """Its mechanisms, equal ones joined; a tree of hospitals asks for them once at each of its levels."""
        return joined(self.events)


@dataclass(frozen=True)
class Total:
    """What some fits cost together.

    Attributes:
        epsilon: Upper bound; infinity without privacy.
        delta: Probability that goes with it.
        how: `exact` for Gaussian sums alone, `PLD` by the accountant of record, `RDP` by our own, which gives a larger
            number, `sum` of the epsilons and of the deltas, `nothing` spent, or `no privacy`.
    """

    epsilon: float
    delta: float
    how: How


def total(parts: Sequence[Part], delta: float) -> Total:
    """Gives what parts cost together.

    More than 24 different mechanisms, or losses spread over more than epsilon 60, would take the accountant of record
    long: our own then gives a larger bound in milliseconds. If that has none, epsilons and deltas are added.

    Args:
        parts: Fits and paid figures of the same patients.
        delta: At which epsilon is wanted, in (0, 1).

    Returns:
        Epsilon at `delta`; only a `sum` may be at another one.

    Example:
        >>> one = Part((Event("x", "gaussian", noise_multiplier=3.731),), Budget(1.0))
        >>> [round(total([one] * fits, 1e-5).epsilon, 2) for fits in (0, 1, 2, 4)]
        [0.0, 1.0, 1.47, 2.15]
    """
    if not all(part.protected for part in parts):
        return Total(math.inf, delta, "no privacy")
    events = merged([event for part in parts for event in part.events if event.steps])
    if not events:
        return Total(0.0, delta, "nothing")
    best = _composed(events, delta)
    added = _added(parts)
    if best is None or (added.epsilon < best.epsilon and added.delta <= delta):
        return added
    return best


def within(parts: Sequence[Part], cap: Budget, *, quick: bool = False) -> bool:
    """Tells whether parts cost at most `cap.epsilon` at `cap.delta` together: the cheapest proof is tried first.

    Args:
        parts: Fits and paid figures of the same patients.
        cap: What they may cost.
        quick: Whether the accountant of record is left out: then `False` may only mean that our own cannot tell.
    """
    if not all(part.protected for part in parts):
        return False
    added = _added(parts)
    if added.epsilon <= cap.epsilon * _SLACK and added.delta <= cap.delta * _SLACK:
        return True
    events = merged([event for part in parts for event in part.events if event.steps])
    if events and _gaussian(events) is None:
        if rdp_epsilon(events, cap.delta) <= cap.epsilon:
            return True
        if quick:
            return False
    found = total(parts, cap.delta)
    return found.epsilon <= cap.epsilon * _SLACK and found.delta <= cap.delta * _SLACK


def room(parts: Sequence[Part], wanted: Part, cap: Budget, *, quick: bool = False) -> float:
    """Gives the largest epsilon, rounded down, with which the wanted fit would still be within the cap.

    All noise of the wanted fit is scaled together, as `privacy.plan.solve` does it, so a fit of the same kind with the
    epsilon that is given here has at least as much noise as the one that was found to be within the cap.

    Args:
        parts: What is spent or reserved.
        wanted: The fit, as planned for its own budget.
        cap: What all may cost together.
        quick: As for `within`: the answer may then be too small.

    Returns:
        At most the epsilon of `wanted`; 0 if less than 0.01 is left.
    """
    if wanted.budget is None or not wanted.protected or not all(part.protected for part in parts):
        return 0.0
    if within([*parts, wanted], cap, quick=quick):
        return wanted.budget.epsilon
    unknown = Budget(100.0, wanted.budget.delta)  # its own price is not known yet, so it is not to be added
    low, high = 0.0, 1.0
    for _ in range(14):
        middle = (low + high) / 2
        part = Part(tuple(scaled(event, middle) for event in wanted.events), unknown)
        low, high = (middle, high) if within([*parts, part], cap, quick=quick) else (low, middle)
    added = _added(parts)
    rest = cap.epsilon - added.epsilon if added.delta + wanted.budget.delta <= cap.delta else 0.0
    composed = 0.0
    if low:
        small = Part(tuple(scaled(event, low) for event in wanted.events), unknown)
        composed = total([small], wanted.budget.delta).epsilon
    found = max(math.floor(rest * 1000 + 1e-6), math.floor(composed * 1000 * (1 - 1e-6))) / 1000
    found = min(found, wanted.budget.epsilon)
    return found if found >= _LEAST else 0.0


def left(parts: Sequence[Part], cap: Budget) -> float:
    """Gives an epsilon that one more fit may have, if it asks Gaussian sums alone (as `copula` does).

    It is the largest one, unless the earlier fits had more than six other mechanisms: then somewhat more may be left.

    Args:
        parts: What is spent or reserved.
        cap: What all may cost together.
    """
    event = Event("next", "gaussian", noise_multiplier=1 / gaussian_mu(cap.epsilon, cap.delta))
    events = merged([event for part in parts for event in part.events])
    quick = sum(event.mechanism != "gaussian" for event in events) > _FEW_MECHANISMS
    return room(parts, Part((event,), cap), cap, quick=quick)


def scaled(event: Event, factor: float) -> Event:
    """Gives an event with its part of the Gaussian-DP parameter times a factor (formulas: `privacy.plan.solve`).

    Args:
        event: A planned event.
        factor: In (0, 1].

    Example:
        >>> scaled(Event("x", "gaussian", noise_multiplier=2.0), 0.5).noise_multiplier
        4.0
    """
    if event.mechanism == "pure":
        return replace(event, epsilon=cast("float", event.epsilon) * factor)
    noise = cast("float", event.noise_multiplier)
    if event.mechanism == "gaussian":
        return replace(event, noise_multiplier=noise / factor)
    return replace(event, noise_multiplier=1 / math.sqrt(math.log1p(factor**2 * math.expm1(noise**-2))))


def merged(events: Sequence[Event]) -> list[Event]:
    """Gives the same events with equal ones joined: refits of one plan are its mechanisms, run more often."""
    steps: dict[Event, int] = {}
    for event in events:
        kind = replace(event, name="", steps=1)
        steps[kind] = steps.get(kind, 0) + event.steps
    return [kind.times(count) for kind, count in steps.items()]


def joined(events: Sequence[Event]) -> tuple[Event, ...]:
    """Gives events that were run, equal ones joined, in an order that hangs on nothing else.

    Args:
        events: What was done; names do not matter.
    """
    found = merged([event for event in events if event.steps])
    return tuple(sorted(found, key=lambda event: sorted(map(str, event.to_dict().items()))))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Gives the epsilon of a mu-Gaussian-DP mechanism, the other way round than `accountant.gaussian_delta`.

    Args:
        mu: Sensitivity divided by noise sd, greater than 0.
        delta: In (0, 1).
    """
    low, high = 0.0, 1.0
    while gaussian_delta(mu, high) > delta:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if gaussian_delta(mu, middle) <= delta else (middle, high)
    return high


def _composed(events: Sequence[Event], delta: float) -> Total | None:
    """Gives the composition at delta; `None` if thresholds or the cut of batches use it up."""
    rest = delta - sum(event.steps * event.delta for event in events)
    if rest <= 0:
        return None
    mu = _gaussian(events)
    if mu is not None:
        return Total(gaussian_epsilon(mu, rest), delta, "exact")
    bound = rdp_epsilon(events, delta)
    dear = sum(event.mechanism != "gaussian" for event in events)
    if pld_available() and dear <= _MOST_MECHANISMS and bound <= _WIDEST:
        return Total(min(bound, pld_epsilon(events, delta, grid=_GRID)), delta, "PLD")
    return None if math.isinf(bound) else Total(bound, delta, "RDP")


def _gaussian(events: Sequence[Event]) -> float | None:
    """Gives mu if all events are Gaussian sums over all patients: their precisions add up."""
    if any(event.mechanism != "gaussian" for event in events):
        return None
    return math.sqrt(sum(event.steps / cast("float", event.noise_multiplier) ** 2 for event in events))


def _added(parts: Sequence[Part]) -> Total:
    spending = [part.budget for part in parts if any(event.steps for event in part.events)]
    budgets = [budget for budget in spending if budget is not None]
    if len(budgets) < len(spending):
        # What nobody bounded cannot be added.
        return Total(math.inf, 1.0, "sum")
    epsilon, delta = sum(each.epsilon for each in budgets), sum(each.delta for each in budgets)
    return Total(epsilon, min(delta, 1.0), "sum")
