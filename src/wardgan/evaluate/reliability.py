"""Whether predicted risks are right: of the patients to whom 30 % was given, do 30 % have the event?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import Estimate, proportion
from wardgan.evaluate.record import plain_fields
from wardgan.evaluate.resample import Resamples, interval, ratio
from wardgan.rng import Seed

BINS: Final = 10
_PERFECT: Final = 200


@dataclass(frozen=True)
class Point:
    """One point of a calibration curve.

    Attributes:
        predicted: Mean risk that was given to the patients of a bin.
        observed: Share of them who have the class, with Wilson's interval; its `n` is the size of the bin.
    """

    predicted: float
    observed: Estimate


@dataclass(frozen=True)
class Calibration:
    """How right the risks are that one classifier gives.

    Attributes:
        brier: Mean squared distance between the risks and what is true, 0 to 1; half the sum over the classes.
        error: Expected calibration error: mean distance between the predicted and the observed share of a bin, 0 to 1,
            mean over the classes.
        perfect: The calibration error that risks without any fault show on so many patients, by chance.
        curves: For each class (of two classes, the last one) the points of the calibration curve, lowest risk first.
    """

    brier: Estimate
    error: Estimate
    perfect: float
    curves: Mapping[str, tuple[Point, ...]]

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def calibration(
    chances: NDArray[np.float64], truth: NDArray[np.bool_], names: tuple[str, ...], *, seed: Seed
) -> Calibration:
    """Tells whether predicted risks are right.

    Risks are put into ten bins with equally many patients (fewer where risks are equal).

    Args:
        chances: Risk of each class, shape (patients, classes).
        truth: Whether the patient has it, same shape.
        names: The classes, in order; at least two.
        seed: Source of randomness of the intervals.

    Source:
        Brier, Monthly Weather Review 1950;78:1, equation 2, halved; Nixon et al. 2019, arXiv:1904.01685 (adaptive
        bins, each class by itself); Bröcker and Smith, Weather and Forecasting 2007;22:651 (what risks
        without fault show by chance).

    Example:
        >>> risk = np.repeat([0.1, 0.6], 50)
        >>> ill = np.tile([True] + [False] * 9, 10)
        >>> found = calibration(np.column_stack([1 - risk, risk]), np.column_stack([~ill, ill]), ("no", "yes"),
        ...                     seed=Seed(1))
        >>> [(round(point.predicted, 2), round(point.observed.value, 2)) for point in found.curves["yes"]]
        [(0.1, 0.1), (0.6, 0.1)]
        >>> round(found.error.value, 2)
        0.25
    """
    kept = range(len(names)) if len(names) > 2 else (1,)
    draws = Resamples.of(len(chances), seed, "calibration")
    losses = ((chances - truth) ** 2).sum(axis=1) / 2
    stream = seed.stream("calibration/perfect")
    errors: list[NDArray[np.float64]] = []
    perfect: list[float] = []
    curves: dict[str, tuple[Point, ...]] = {}
    for at in kept:
        bins = _bins(chances[:, at])
        errors.append(_error(draws, bins, chances[:, at], truth[:, at]))
        perfect.append(_by_chance(bins, chances[:, at], stream))
        curves[names[at]] = _curve(bins, chances[:, at], truth[:, at])
    n = len(chances)
    brier = ratio(draws.sums(losses), draws.weights @ np.bincount(draws.group))
    return Calibration(
        interval(brier, n, "Brier score", low=0.0, high=1.0),
        interval(np.mean(errors, axis=0), n, "expected calibration error", low=0.0, high=1.0),
        float(np.mean(perfect)),
        curves,
    )


def _bins(chances: NDArray[np.float64]) -> NDArray[np.int64]:
    """Gives the bin of each patient; equal risks are in one bin."""
    edges = np.unique(np.quantile(chances, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, chances, side="right"), return_inverse=True)[1]


def _error(
    draws: Resamples, bins: NDArray[np.int64], chances: NDArray[np.float64], truth: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Gives the calibration error in the sample and in each draw."""
    inside = (bins[:, None] == np.arange(bins.max() + 1)).astype(np.float64)  # (patients, bins)
    off = np.abs(draws.sums(inside * (chances - truth)[:, None]))
    return ratio(off.sum(axis=1), draws.weights @ np.bincount(draws.group))


def _by_chance(bins: NDArray[np.int64], chances: NDArray[np.float64], stream: np.random.Generator) -> float:
    total = 0.0
    for _ in range(_PERFECT):
        drawn = stream.random(chances.size) < chances
        total += float(np.abs(np.bincount(bins, chances - drawn)).sum())
    return total / _PERFECT / chances.size


def _curve(bins: NDArray[np.int64], chances: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[Point, ...]:
    return tuple(
        Point(float(chances[bins == at].mean()), proportion(int(truth[bins == at].sum()), int((bins == at).sum())))
        for at in range(bins.max() + 1)
    )
