"""Kaplan-Meier curves with their bands, and distances between two of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import Estimate
from wardgan.evaluate.resample import Resamples, interval
from wardgan.rng import Seed

_Z: Final = 1.959963984540054
_GRID: Final = 400


@dataclass(frozen=True)
class Curve:
    """The share of patients who are still free of the event, as steps.

    Attributes:
        time: Where the curve is told, lowest first; it begins at 0.
        survival: The share at and after that time, up to the next one.
        low: Lower end of the 95 % interval at that time.
        high: Upper end.
        at_risk: How many are followed at that time or longer.
        n: Number of patients.
        events: How many of them had the event.
    """

    time: tuple[float, ...]
    survival: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    at_risk: tuple[int, ...]
    n: int
    events: int


@dataclass(frozen=True, eq=False, repr=False)
class KaplanMeier:
    """Kaplan and Meier's estimate.

    Attributes:
        time: Follow-up of each patient, shape (patients,).
        event: Whether it ended with the event, same shape.
        times: Distinct times, shape (times,).
        deaths: Events at each, same shape.
        at_risk: Patients who are followed at least so long, same shape.
        survival: Share who are free of the event after it, same shape.
    """

    time: NDArray[np.float64]
    event: NDArray[np.bool_]
    times: NDArray[np.float64]
    deaths: NDArray[np.float64]
    at_risk: NDArray[np.float64]
    survival: NDArray[np.float64]

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives the share of patients who are free of the event after each of some times."""
        return np.append(1.0, self.survival)[np.searchsorted(self.times, times, side="right")]

    def curve(self, most: int) -> Curve:
        """Gives the curve with its band, told at no more than about `most` times.

        The band is Greenwood's on the scale of log(-log S), so it stays between 0 and 1. Before the first event, where
        it has no width, it reaches down to what no event among so many patients leaves possible.

        Args:
            most: At how many times; all times with an event if these are fewer.

        Source:
            Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, 2nd edition, section 1.4; Clopper
            and Pearson, Biometrika 1934;26:404, for no event.
        """
        low, high = self._band()
        told = np.flatnonzero(self.deaths)
        if told.size > most:
            told = told[np.unique(np.linspace(0, told.size - 1, most).round().astype(int))]
        if self.times.size and (not told.size or told[-1] != self.times.size - 1):
            told = np.append(told, self.times.size - 1)
        size = self.time.size
        return Curve(
            (0.0, *self.times[told].tolist()),
            (1.0, *self.survival[told].tolist()),
            (_nothing(size), *low[told].tolist()),
            (1.0, *high[told].tolist()),
            (size, *self.at_risk[told].astype(int).tolist()),
            size,
            int(self.event.sum()),
        )

    def _band(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        alive = self.at_risk - self.deaths
        inside = (self.survival > 0) & (self.survival < 1)
        each = np.where(alive > 0, self.deaths / np.where(alive > 0, self.at_risk * alive, 1.0), 0.0)
        share = np.where(inside, self.survival, 0.5)
        half = _Z * np.sqrt(np.cumsum(each)) / np.abs(np.log(share))
        low, high = share ** np.exp(half), share ** np.exp(-half)
        low = np.where(inside, low, np.where(self.survival > 0, [_nothing(int(n)) for n in self.at_risk], 0.0))
        # After the last patient died the curve is 0, and nothing is known of how far it could be above.
        ended = np.minimum.accumulate(np.where(inside, high, 1.0))
        return low, np.where(inside, high, np.where(self.survival > 0, 1.0, ended))


def _nothing(n: int) -> float:
    return 0.025 ** (1 / n) if n else 0.0


def kaplan_meier(time: NDArray[np.float64], event: NDArray[np.bool_]) -> KaplanMeier:
    """Gives the share of patients who are free of the event after each time.

    Patients whose follow-up ends at the time of an event are at risk for it.

    Args:
        time: Follow-up, shape (patients,); negative ones count as over at the beginning.
        event: Whether it ended with the event, same shape.

    Source:
        Kaplan and Meier, J Am Stat Assoc 1958;53:457, section 2.

    Example:
        >>> found = kaplan_meier(np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, True, False, False]))
        >>> found.survival.tolist()
        [0.75, 0.5, 0.5]
    """
    time = np.maximum(time, 0.0)
    times, place = np.unique(time, return_inverse=True)
    deaths = np.bincount(place[event], minlength=times.size).astype(np.float64)
    at_risk = np.cumsum(np.bincount(place, minlength=times.size)[::-1])[::-1].astype(np.float64)
    alive = np.cumprod(1 - deaths / np.maximum(at_risk, 1.0), dtype=np.float64)
    return KaplanMeier(time, event, times, deaths, at_risk, alive)


def at_risk_until(found: KaplanMeier, enough: int) -> float:
    """Gives the last time at which at least `enough` patients are followed; 0 if there is none."""
    fine = found.times[found.at_risk >= enough]
    return float(fine[-1]) if fine.size else 0.0


def gaps(one: KaplanMeier, other: KaplanMeier, until: float, *, seed: Seed) -> tuple[Estimate, Estimate]:
    """Gives the mean and the largest distance of two curves up to a time, with intervals over patients of both.

    Args:
        one: A curve.
        other: Another one.
        until: End of the time over which the mean is taken, above 0.
        seed: Source of randomness of the intervals. They are drawn on at most 400 times.
    """
    exact = np.unique(np.concatenate([[0.0], one.times[one.times < until], other.times[other.times < until]]))
    found = _apart(one.at(exact)[None, :], other.at(exact)[None, :], exact, until)
    grid = exact[np.unique(np.linspace(0, exact.size - 1, _GRID).round().astype(int))]
    drawn = _apart(_drawn(one, grid, seed, "one"), _drawn(other, grid, seed, "other"), grid, until)
    n = min(one.time.size, other.time.size)
    text = "distance of survival curves"
    mean, largest = (
        interval(np.append(found[at], drawn[at][1:]), n, f"{what} {text}", low=0.0, high=1.0)
        for at, what in enumerate(("mean", "largest"))
    )
    return mean, largest


def _apart(
    one: NDArray[np.float64], other: NDArray[np.float64], times: NDArray[np.float64], until: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    apart = np.abs(one - other)  # (draws, times)
    return apart @ np.diff(times, append=until) / until, apart.max(axis=1)


def _drawn(found: KaplanMeier, grid: NDArray[np.float64], seed: Seed, name: str) -> NDArray[np.float64]:
    """Gives the survival on a grid in the sample and in each draw, shape (1 + draws, times)."""
    draws = Resamples.of(found.time.size, seed, f"curves/{name}")
    # A patient belongs to the cell that begins at or after the end of its follow-up, so that the curve after a time
    # knows the events up to it.
    cell = np.searchsorted(grid, found.time, side="left")
    size = grid.size + 1
    ended = draws.counts(cell, size)
    deaths = draws.counts(np.where(found.event, cell, size), size + 1)[:, :size]
    at_risk = np.cumsum(ended[:, ::-1], axis=1)[:, ::-1]
    return np.cumprod(1 - deaths / np.maximum(at_risk, 1.0), axis=1, dtype=np.float64)[:, :-1]


def rate_ratio(real: KaplanMeier, other: KaplanMeier) -> Estimate:
    """Gives the rate of events in other patients by that in real ones, from the log-rank test; 1 is the same.

    Args:
        real: Real patients.
        other: Other ones.

    Returns:
        exp((O - E) / V) with O events in the other patients, E expected if both had the same rates, V the variance of
        O - E; the interval leaves 1 out where the log-rank test finds a difference.

    Source:
        Mantel, Cancer Chemother Rep 1966;50:163; Yusuf et al., Prog Cardiovasc Dis 1985;27:335, statistical appendix
        (ratio from O - E and V).
    """
    times = np.unique(np.concatenate([one.times[one.deaths > 0] for one in (real, other)]))
    (deaths, risk), (other_deaths, other_risk) = (_counts(one, times) for one in (real, other))
    died, all_risk = deaths + other_deaths, risk + other_risk
    share = other_risk / all_risk
    more = float((other_deaths - died * share).sum())
    spread = died * share * (1 - share) * (all_risk - died) / np.maximum(all_risk - 1, 1.0)
    variance = float(spread.sum())
    n, text = other.time.size, "ratio of rates, log-rank interval"
    if variance <= 0:
        return Estimate(math.nan, 0.0, math.inf, n, "ratio of rates, no interval")
    at, half = more / variance, _Z / math.sqrt(variance)
    return Estimate(_exp(at), _exp(at - half), _exp(at + half), n, text)


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _counts(found: KaplanMeier, times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives the events at each time, and how many are followed so long."""
    place = np.searchsorted(found.times, times)
    here = np.append(found.times, np.nan)[place] == times
    return np.where(here, np.append(found.deaths, 0.0)[place], 0.0), np.append(found.at_risk, 0.0)[place]
