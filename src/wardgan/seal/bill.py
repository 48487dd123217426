"""The privacy bill of a foreign file: added up again, in a time that is known beforehand.

Our own accountant needs numpy only and milliseconds, so every file that is read is billed by it. It gives an upper
bound, some 5 to 20 % above the truth for the plans of this package and more for unusual ones, so it can find an absurd
claim and confirm a modest one, and nothing in between. That takes the accountant of record.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from wardgan.errors import FormatError, TrustError
from wardgan.privacy.accountant import pld_available, pld_epsilon, rdp_epsilon
from wardgan.privacy.events import Event
from wardgan.seal.records import Bill

Rebill = Callable[[Mapping[str, object]], float]
TOLERANCE: Final = 1.01
_GRID: Final = 1e-4
_FINEST: Final = 1e-5
_PIECE: Final = 1_000
_POINTS: Final = 4e6


def bound_of(ledger: Bill) -> float | None:
    """Gives an upper bound of what a ledger's events cost, by our own accountant; `None` without privacy.

    Args:
        ledger: A ledger that passed the gate.

    Returns:
        Epsilon; infinity if batches are cut off so often that our own accountant has no bound.

    Raises:
        FormatError: The events cost far more than the ledger says, or one of them is malformed.
    """
    if ledger.mode == "none":
        return None
    target, events, delta = _target(ledger), events_of(ledger), ledger.delta or 0.0
    least = _uncut(events, delta)
    # For the plans that are possible our own accountant is at most 4.8 times the claim, where epsilon is small.
    if not least <= 4 * target + 4:
        raise FormatError(f"privacy.json: its events cost up to epsilon {least:.4g}, the file claims {target:.4g}.")
    return least if not _can_be_cut(events) else rdp_epsilon(events, delta)


def billed(ledger: Bill, bound: float, rebill: Rebill | None) -> float | None:
    """Gives what a ledger's events cost, if it is what the ledger says.

    Args:
        ledger: A ledger that passed the gate.
        bound: What `bound_of` gives.
        rebill: Bills a ledger's JSON; `None` for the accountant of record.

    Returns:
        Epsilon; `None` if the accountant of record is not installed and our own confirms the claim.

    Raises:
        FormatError: The events cost more than the ledger says.
        TrustError: Our own accountant cannot confirm the claim, and the accountant of record is not there or would
            take too long.
    """
    target = _target(ledger)
    claim = min(target, ledger.spent.epsilon if ledger.spent else 0.0)
    if rebill is None and not pld_available():
        if bound <= 1.3 * target + 0.1:
            return None
        raise TrustError(
            f"Not verified: by our own accountant the events cost up to epsilon {bound:.4g}, the file claims "
            f"{target:.4g}. Only the accountant of record can tell: pip install 'wardgan[train]'."
        )
    if rebill is None:
        epsilon = _of_record(events_of(ledger), ledger.delta or 0.0, claim)
    else:
        epsilon = rebill(ledger.model_dump(exclude_none=True))
    if not epsilon <= _most(claim):
        raise FormatError(
            f"privacy.json: its events cost epsilon {epsilon:.4g}, the file claims {claim:.4g} of {target:.4g}."
        )
    return epsilon


def _of_record(events: Sequence[Event], delta: float, claim: float) -> float:
    """Gives the bill of the accountant of record, on a grid that fits the claim and then on its own."""
    # Every grid gives an upper bound, so the coarse one is enough if it confirms the claim; nor is it off by half.
    least = _uncut(events, delta)
    grid, whole = _GRID * max(1.0, claim, least / 4), 2 * least + 10
    pieces = [piece for event in events for piece in _cut(event)]
    _check_time(pieces, grid, whole)
    epsilon = pld_epsilon(pieces, delta, grid=grid)
    last = pieces == events and grid == _GRID
    if last or epsilon <= _most(claim) or epsilon > 2 * claim + 0.1:
        return epsilon
    _check_time(events, _GRID if pieces == events else _FINEST / 2, whole)
    return pld_epsilon(events, delta)


def _uncut(events: Sequence[Event], delta: float) -> float:
    """Gives the bound of our own accountant as if no batch were ever cut off: it has none for large epsilons."""
    if _can_be_cut(events):
        events = [replace(event, batch_cap=None, population=None) for event in events]
    return rdp_epsilon(events, delta)


def _can_be_cut(events: Sequence[Event]) -> bool:
    return any(event.batch_cap is not None for event in events)


def _cut(event: Event) -> list[Event]:
    """Gives an event in pieces of at most 1,000 runs, which the accountant bills on one grid."""
    if event.mechanism == "gaussian" or event.steps <= _PIECE:
        return [event]
    count = math.ceil(event.steps / _PIECE)
    size, more = divmod(event.steps, count)
    return [event.times(size + 1)] * more + [event.times(size)] * (count - more)


def _check_time(events: Sequence[Event], grid: float, whole: float) -> None:
    """Refuses to begin what would take longer than about 20 seconds.

    Args:
        events: What is to be billed.
        grid: Width of the grid.
        whole: About how wide the losses of all runs together are spread.
    """
    dear = [event for event in events if event.mechanism != "gaussian"]
    # A point of a sum takes a tenth of the time of a point of one run.
    points = (sum(_width(event) for event in dear) + 0.1 * len(dear) * whole) / grid
    if points > _POINTS:
        raise TrustError(
            "Not verified: the accountant of record would take too long to add up the events; ask the publisher for "
            "a model with fewer or larger batches."
        )


def _width(event: Event) -> float:
    """Gives about how wide the privacy losses of one run are spread; noise of sd 1/s in units of the sensitivity."""
    if event.mechanism == "pure":
        return 2 * cast("float", event.epsilon)
    noise = cast("float", event.noise_multiplier)
    whole = 0.5 / noise**2 + 10 / noise
    # A batch that is cut off may exchange two patients, which has half the noise, in both directions.
    return whole if event.batch_cap is None else whole + 2 * (2 / noise**2 + 20 / noise)


def events_of(ledger: Bill) -> list[Event]:
    """Gives the mechanisms of a ledger."""
    return list(ledger.mechanisms)


def _target(ledger: Bill) -> float:
    return ledger.epsilon or 0.0


def _most(claim: float) -> float:
    return claim * TOLERANCE + 1e-6
