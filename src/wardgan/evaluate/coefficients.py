"""Whether a regression on synthetic patients says what it says on real ones: signs, sizes and intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import DataError
from wardgan.estimate import Estimate, proportion
from wardgan.evaluate.columns import Columns, level_name, missing, paired
from wardgan.evaluate.design import design
from wardgan.evaluate.logistic import Fit, logistic
from wardgan.evaluate.record import Beside, beside, plain_fields
from wardgan.evaluate.resample import subsample
from wardgan.rng import Seed

MOST: Final = 20_000
ENOUGH: Final = 10
_Z: Final = 1.959963984540054


@dataclass(frozen=True)
class Coefficient:
    """One coefficient, as three tables tell it.

    Attributes:
        name: The variable.
        real: Log odds ratio or log hazard ratio in real patients.
        synthetic: In synthetic ones; its baseline is the real one. `None` if they all have the same value.
        holdout: In a hold-out, likewise.
        overlap: Share of the intervals of real and synthetic that they have in common, 0 to 1.
    """

    name: str
    real: Estimate
    synthetic: Estimate | None
    holdout: Estimate | None
    overlap: float


@dataclass(frozen=True)
class CoefficientAgreement:
    """How well a regression on synthetic patients agrees with the same one on real patients.

    Attributes:
        outcome: What was predicted, in words.
        events: How many real, synthetic and hold-out patients have it.
        coefficients: One for each variable.
        signs: Of the coefficients that differ from 0 in real patients (their interval leaves 0 out), the share with the
            same sign in synthetic ones. `None` if there is none.
        overlap: Mean overlap of the intervals, 0 to 1; .5 also if the synthetic ones are without end, so read it beside
            the ceiling.
        distance: Mean distance of the coefficients, in real standard errors.
        refusal: Why nothing can be judged; `None` if it can.
    """

    outcome: str
    events: tuple[int, int, int | None]
    coefficients: tuple[Coefficient, ...]
    signs: Beside | None
    overlap: Beside | None
    distance: Beside | None
    refusal: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


Regress = Callable[[NDArray[np.float64], NDArray[np.bool_]], Fit]


def coefficient_agreement(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    holdout: pd.DataFrame | None = None,
    *,
    target: str,
    level: object = None,
    seed: Seed,
) -> CoefficientAgreement:
    """Compares the coefficients of a logistic regression on synthetic patients with those on real ones.

    All columns are variables, as `design` makes them. The regression is lightly penalised, so that a variable that
    divides the classes exactly has a finite coefficient. Synthetic patients are cut to the number of real ones, so that
    their intervals are as wide; at most 20,000 of each table are used.

    Args:
        real: Wide table of real patients.
        synthetic: Wide table with the same columns.
        holdout: Other real patients with the same columns.
        target: Column with the classes.
        level: Which class is the event, all others being none; by default the last of the real ones in order.
        seed: Source of randomness of the choice of patients.

    Returns:
        Without 10 patients with and 10 without the event in both tables nothing can be judged, and `refusal` says so.

    Raises:
        DataError: A table is empty or lacks a column, or nobody's class is known.

    Source:
        Karr et al., The American Statistician 2006;60:224 (overlap of intervals). The penalty is a normal
        prior with standard deviation 2.5 (Gelman et al., Ann Appl Stat 2008;2:1360, section 2, for its width).
    """
    size = min(len(real), MOST)
    tables = _tables(
        [subsample(table, size, seed, f"coefficients/{at}") for at, table in enumerate((real, synthetic))]
        + ([] if holdout is None else [subsample(holdout, MOST, seed, "coefficients/2")]),
        target,
    )
    levels = np.unique(tables[0][target])
    event = levels[-1] if level is None else level
    outcomes = [table.pop(target) == event for table in tables]
    return agreement(f"{target}: {level_name(event)}", tables, outcomes, [logistic] * len(tables))


def _tables(frames: list[pd.DataFrame], target: str) -> list[Columns]:
    """Gives the tables as columns, without the patients whose class is not known."""
    found: list[Columns] = []
    for name, frame in zip(("real", "synthetic", "holdout"), frames, strict=False):
        table = paired(frames[0], frame, names=("real", name))[1]
        if target not in table:
            raise DataError(f"target={target!r} is not a column of the tables. Name the column that holds the classes.")
        known = ~missing(table[target])
        if not known.any():
            raise DataError(f"target={target!r} has no value in {name}. Pass patients whose class is known.")
        found.append({column: values[known] for column, values in table.items()})
    return found


def agreement(
    outcome: str, tables: list[Columns], events: list[NDArray[np.bool_]], regress: list[Regress]
) -> CoefficientAgreement:
    """Compares the coefficients of one regression on two or three tables.

    Args:
        outcome: What is predicted, in words.
        tables: Variables of real, synthetic and, if there are any, hold-out patients.
        events: Who has the event, for each table.
        regress: For each table what fits the regression on its variables.
    """
    counts = [int(event.sum()) for event in events]
    told = (counts[0], counts[1], counts[2] if len(counts) > 2 else None)
    made = design(tables)
    few = min(min(count, event.size - count) for count, event in zip(counts[:2], events, strict=False))
    if few < ENOUGH or not made.names:
        why = "there is no variable" if not made.names else f"fewer than {ENOUGH} patients with or without the event"
        return CoefficientAgreement(outcome, told, (), None, None, None, f"{why}; it cannot be judged.")
    fits = [fit(values, event) for fit, values, event in zip(regress, made.tables, events, strict=True)]
    lost = [_constant(values) for values in made.tables]
    rows = tuple(
        Coefficient(
            name,
            _told(fits[0], at),
            None if lost[1][at] else _told(fits[1], at, baseline=float(fits[0].values[at])),
            None if len(fits) < 3 or lost[2][at] else _told(fits[2], at, baseline=float(fits[0].values[at])),
            0.0 if lost[1][at] else interval_overlap(_told(fits[0], at), _told(fits[1], at)),
        )
        for at, name in enumerate(made.names)
    )
    usable = len(fits) > 2 and min(counts[2], events[2].size - counts[2]) >= ENOUGH
    summaries = [_summary(fits[0], fits[at], lost[at]) for at in ((1, 2) if usable else (1,))]
    joined = [
        None if one is None else beside(one, summaries[1][at] if usable else None)
        for at, one in enumerate(summaries[0])
    ]
    return CoefficientAgreement(outcome, told, rows, joined[0], joined[1], joined[2])


def _constant(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.ptp(values, axis=0) == 0


def _told(fit: Fit, at: int, *, baseline: float | None = None) -> Estimate:
    value, half = float(fit.values[at]), _Z * float(fit.errors[at])
    text = "coefficient, Wald interval"
    return Estimate(value, value - half, value + half, fit.n, text, baseline)


def _summary(real: Fit, other: Fit, lost: NDArray[np.bool_]) -> tuple[Estimate | None, Estimate, Estimate]:
    clear = np.abs(real.values) > _Z * real.errors
    same = (np.sign(real.values) == np.sign(other.values)) & ~lost
    signs = proportion(int((clear & same).sum()), int(clear.sum())) if clear.any() else None
    overlaps = [
        0.0 if lost[at] else interval_overlap(_told(real, at), _told(other, at)) for at in range(real.values.size)
    ]
    apart = np.abs(real.values - other.values) / real.errors
    return signs, _over(np.array(overlaps), "overlap of intervals", 1.0), _over(apart, "distance in standard errors")


def _over(values: NDArray[np.float64], what: str, high: float = math.inf) -> Estimate:
    """Gives a mean over coefficients; they are not independent, so the interval is a rough one."""
    n, centre = values.size, float(values.mean())
    text = f"{what}, mean over coefficients"
    if n < 2:
        return Estimate(centre, 0.0, high, n, f"{text}, no interval")
    half = _Z * float(values.std(ddof=1)) / math.sqrt(n)
    return Estimate(centre, max(0.0, centre - half), min(high, centre + half), n, f"{text}, normal interval")


def interval_overlap(one: Estimate, other: Estimate) -> float:
    """Gives the mean share of two intervals that they have in common: 1 if they are the same, 0 if they do not meet.

    Source:
        Karr et al., The American Statistician 2006;60:224.

    Example:
        >>> interval_overlap(Estimate(1, 0, 2, 9, ""), Estimate(2, 1, 3, 9, ""))
        0.5
        >>> interval_overlap(Estimate(1, 0, 2, 9, ""), Estimate(5, 4, 6, 9, ""))
        0.0
    """
    common = min(one.high, other.high) - max(one.low, other.low)
    if common <= 0:
        return 0.0
    return (common / (one.high - one.low) + common / (other.high - other.low)) / 2
