"""The shape of one column: from standard normal scores to lawful values, always rising, and back.

The shapes are those of clinical columns in general, not of any data set: laboratory values are skewed and fill a small
part of what is declared, some numbers are zero for most patients, levels of categories follow Zipf's law, dates spread
over most of their range.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.schema.cohort import Codes
from wardgan.schema.columns import Column
from wardgan.schema.steps import step_index, step_values
from wardgan.simulate.assume import zipf

Scores = NDArray[np.float64]
# A patient at this score is the highest of about 4,000.
_TOP: Final = 3.5
_FEW: Final = 20
# How often numbers are skewed, symmetrical, or the lowest value for many patients.
_KINDS: Final = (0.45, 0.40, 0.15)
_KINDS_OF_FEW: Final = (0.35, 0.35, 0.30)
_NEVER: Final = -40.0


class Shape(Protocol):
    """How the values of a column are spread over the patients."""

    def codes(self, scores: Scores) -> Codes:
        """Gives the column's codes for scores of any shape."""
        ...

    def features(self, codes: Codes) -> Scores:
        """Gives what the codes say of the scores, about standard normal; NaN where a code is missing."""
        ...


@dataclass(frozen=True, eq=False)
class NumberShape:
    """A number or a date.

    Attributes:
        column: Its declaration.
        middle: Where the median of the values above the spike lies between the bounds, in (0, 1).
        spread: How far one standard normal step leads: added, or, if `skewed`, as a factor exp(spread).
        skewed: Whether the upper tail is the longer one.
        spike: Patients with a score below it have the lowest value.
    """

    column: Column
    middle: float
    spread: float
    skewed: bool
    spike: float = _NEVER

    def codes(self, scores: Scores) -> Codes:
        """Gives values or day numbers: within the bounds, and on the steps."""
        above = scores - max(self.spike, 0.0)
        units = self.middle * np.exp(self.spread * above) if self.skewed else self.middle + self.spread * above
        return _valued(np.where(scores < self.spike, 0.0, np.clip(units, 0.0, 1.0)), self.column)

    def features(self, codes: Codes) -> Scores:
        """Gives the scores, up to the steps; those of the spike are all one."""
        low, high = cast("float", self.column.low), cast("float", self.column.high)
        # Half a step above the bottom keeps the logarithm of the lowest value finite.
        floor = 1e-4 if self.column.steps is None else min(0.5 / self.column.steps, 1e-2)
        units = np.maximum((codes - low) / (high - low), floor)
        above = np.log(units / self.middle) / self.spread if self.skewed else (units - self.middle) / self.spread
        return np.clip(above + max(self.spike, 0.0), max(self.spike, -_TOP), _TOP)


@dataclass(frozen=True, eq=False)
class ConstantShape:
    """A number or a date with one possible value, which says nothing of the scores.

    Attributes:
        value: The value.
    """

    value: float

    def codes(self, scores: Scores) -> Codes:
        """Gives the value for everybody."""
        return np.full(scores.shape, self.value)

    def features(self, codes: Codes) -> Scores:
        """Gives 0 where the value is there."""
        return np.where(np.isnan(codes), np.nan, 0.0)


@dataclass(frozen=True, eq=False)
class LevelShape:
    """A category or a flag.

    Attributes:
        cuts: The scores between the levels, ascending, shape (levels - 1,).
        order: The levels from the lowest scores to the highest, shape (levels,).
        effects: What each level means, by level, shape (levels,).
    """

    cuts: NDArray[np.float64]
    order: NDArray[np.intp]
    effects: NDArray[np.float64]

    def codes(self, scores: Scores) -> Codes:
        """Gives numbers of levels."""
        return self.order[np.searchsorted(self.cuts, scores)].astype(np.float64)

    def features(self, codes: Codes) -> Scores:
        """Gives the levels' effects, with mean 0 and variance 1 over the patients who have a level."""
        known = ~np.isnan(codes)
        return np.where(known, self.effects[np.where(known, codes, 0).astype(np.intp)], np.nan)


def shape_of(column: Column, stream: np.random.Generator) -> Shape:
    """Gives a shape that a column of this kind might have.

    Args:
        column: A complete declaration.
        stream: What is drawn from.
    """
    if not column.numeric:
        return _levels(column, stream)
    if column.low == column.high:
        return ConstantShape(cast("float", column.low))
    if column.kind == "date":
        return NumberShape(column, stream.uniform(0.4, 0.6), stream.uniform(0.14, 0.2), skewed=False)
    few = column.steps is not None and column.steps <= _FEW
    kind = stream.choice(3, p=_KINDS_OF_FEW if few else _KINDS)
    if kind == 1:
        return NumberShape(column, stream.uniform(0.25, 0.6), stream.uniform(0.04, 0.12), skewed=False)
    top = stream.uniform(0.3, 1.0)
    middle = top * np.exp(stream.uniform(np.log(0.03), np.log(0.4)))
    spike = NormalDist().inv_cdf(stream.uniform(0.3, 0.7)) if kind == 2 else _NEVER
    return NumberShape(column, middle, float(np.log(top / middle) / _TOP), skewed=True, spike=spike)


def cuts_of(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the scores that part a standard normal into such shares, shape (shares - 1,)."""
    return np.array([NormalDist().inv_cdf(float(part)) for part in np.cumsum(shares)[:-1]])


def _levels(column: Column, stream: np.random.Generator) -> LevelShape:
    if column.kind == "flag":
        rare = float(np.exp(stream.uniform(np.log(0.05), np.log(0.5))))
        shares = np.array([1 - rare, rare])
        order = np.arange(2)
    else:
        shares = np.clip(zipf(column.size, stream.uniform(0.5, 1.5)), 1e-6, None)
        shares /= shares.sum()
        order = stream.permutation(column.size)
    effects = np.empty(column.size)
    effects[order] = stream.standard_normal(column.size)
    weight = np.empty(column.size)
    weight[order] = shares
    effects -= weight @ effects
    spread = float(np.sqrt(weight @ effects**2))
    return LevelShape(cuts_of(shares), order, effects / (spread if spread > 0 else 1.0))


def _valued(units: Scores, column: Column) -> Codes:
    """Gives the values at positions between the bounds: rounded down to a step, never beyond."""
    low, high = cast("float", column.low), cast("float", column.high)
    if column.steps is None:
        return np.minimum(low + units * (high - low), high)
    return step_values(np.minimum(np.floor(units * column.steps), column.steps - 1), column)


def stepped(codes: Codes, column: Column) -> Codes:
    """Gives the possible values nearest to codes of any shape, within the bounds."""
    low, high = cast("float", column.low), cast("float", column.high)
    inside = np.clip(codes, low, high)
    if column.steps is None:
        return inside
    return step_values(np.clip(step_index(inside, column), 0, column.steps - 1), column)
