"""How like the real patients are the synthetic ones, each number beside the ceiling that a hold-out sets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.estimate import Estimate, proportion
from wardgan.evaluate.associations import association_gaps, indicators, together_gaps
from wardgan.evaluate.columns import Codes, Columns, binned, is_number, missing, paired
from wardgan.evaluate.record import Beside, measured, plain_fields
from wardgan.evaluate.resample import Resamples, interval, subsample
from wardgan.rng import Seed

MOST: Final = 20_000
WORST: Final = 10
_BINS: Final = 20
_PAIR_BINS: Final = 8
_DRAWS: Final = 200
_STEPS: Final = 200


@dataclass(frozen=True)
class Likeness:
    """How like the real patients are the synthetic ones; every number stands beside the one for a hold-out.

    Attributes:
        sizes: How many real, synthetic and hold-out patients were compared. The last two are equal, because a
            distance shrinks with the number of patients.
        columns: Total variation of each column, missing cells being a value, 0 to 1.
        steps: Kolmogorov and Smirnov's distance of each number over its known values, 0 to 1.
        mean: Mean total variation over the columns.
        pairs: Mean total variation over the pairs of columns; `None` with one column.
        worst: Total variation of the ten pairs where it is largest, largest first.
        associations: Mean difference of the correlations of ranks, levels and missing cells; `None` with one column.
        missing: Share of missing cells in synthetic less that in real patients, for each column that has any.
        missing_together: Mean difference of the shares of patients who lack both of two values; `None` with fewer than
            two columns that have missing cells.
    """

    sizes: tuple[int, int, int | None]
    columns: Mapping[str, Beside]
    steps: Mapping[str, Beside]
    mean: Beside
    pairs: Beside | None
    worst: Mapping[tuple[str, str], Beside]
    associations: Beside | None
    missing: Mapping[str, Beside]
    missing_together: Beside | None

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


@dataclass(frozen=True, eq=False, repr=False)
class _Sides:
    """Real patients and those who are compared with them, with draws of each.

    Attributes:
        real: Columns of real patients.
        others: Columns of `"synthetic"` and `"holdout"` patients.
        draws: Draws of each table.
    """

    real: Columns
    others: Mapping[str, Columns]
    draws: Mapping[str, Resamples]

    @property
    def holdout(self) -> Columns | None:
        return self.others.get("holdout")

    def n(self, name: str) -> int:
        return self.draws[name].group.size

    def beside(self, found: Mapping[str, NDArray[np.float64]], what: str, high: float = 1.0) -> Beside:
        return measured(lambda name: interval(found[name], self.n(name), what, low=0.0, high=high), self.holdout)


def likeness(
    real: pd.DataFrame, synthetic: pd.DataFrame, holdout: pd.DataFrame | None = None, *, seed: Seed
) -> Likeness:
    """Tells how like the real patients are the synthetic ones, beside the best that can be reached.

    A distance of two samples is not 0 even if they come from the same population, and the fewer patients, the larger it
    is. So the hold-out, which is as like the real patients as anything can be, is compared with them in the same way,
    and so many synthetic patients are taken as there are in the hold-out. At most 20,000 of each table are used.

    Args:
        real: Wide table of the patients that the generator has learned from.
        synthetic: Wide table with the same columns.
        holdout: Other real patients with the same columns.
        seed: Source of randomness of the choice of patients and of the intervals.

    Raises:
        DataError: A table is empty, or lacks a column or has another kind.

    Source:
        Total variation in bins as in `fidelity.total_variation`; Kolmogorov 1933 and Smirnov 1939 for steps; Newcombe,
        Stat Med 1998;17:873, method 10, for differences of shares. Intervals: see `resample.interval`.
    """
    most = MOST if holdout is None else min(MOST, len(holdout), len(synthetic))
    frames = {"synthetic": subsample(synthetic, most, seed, "likeness/synthetic")}
    if holdout is not None:
        frames["holdout"] = subsample(holdout, most, seed, "likeness/holdout")
    known = subsample(real, MOST, seed, "likeness/real")
    pairs = {name: paired(known, frame, names=("real", name)) for name, frame in frames.items()}
    ours = pairs["synthetic"][0]
    others = {name: both[1] for name, both in pairs.items()}
    sizes = {"real": len(known)} | {name: len(frame) for name, frame in frames.items()}
    draws = {name: Resamples.of(n, seed, f"likeness/{name}", draws=_DRAWS) for name, n in sizes.items()}
    sides = _Sides(ours, others, draws)
    single = {column: _variations(sides, column) for column in ours}
    both = {cell: _pair_variations(sides, codes) for cell, codes in _coded_pairs(sides)}
    worst = sorted(both, key=lambda cell: -float(both[cell]["synthetic"][0]))[:WORST]
    return Likeness(
        (sizes["real"], sizes["synthetic"], sizes.get("holdout")),
        {column: sides.beside(found, "total variation") for column, found in single.items()},
        _steps(sides),
        sides.beside(_mean(list(single.values())), "total variation, mean over columns"),
        sides.beside(_mean(list(both.values())), "total variation, mean over pairs") if both else None,
        {cell: sides.beside(both[cell], "total variation of a pair") for cell in worst},
        _associations(sides) if len(ours) > 1 else None,
        _missing(sides),
        _missing_together(sides),
    )


def _mean(found: list[dict[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}


def _variations(sides: _Sides, column: str) -> dict[str, NDArray[np.float64]]:
    found: dict[str, NDArray[np.float64]] = {}
    for name, table in sides.others.items():
        ours, theirs = binned(sides.real[column], table[column], _BINS)
        found[name] = _variation(sides, name, ours, theirs, _BINS + 2)
    return found


def _variation(sides: _Sides, name: str, ours: Codes, theirs: Codes, size: int) -> NDArray[np.float64]:
    """Gives the total variation in the sample and in each draw, shape (1 + draws,)."""
    one, two = sides.draws["real"].counts(ours, size), sides.draws[name].counts(theirs, size)
    return np.abs(one / one.sum(axis=1, keepdims=True) - two / two.sum(axis=1, keepdims=True)).sum(axis=1) / 2


def _coded_pairs(sides: _Sides) -> list[tuple[tuple[str, str], dict[str, tuple[Codes, Codes]]]]:
    """Gives for each pair of columns the joint bins of real and other patients, for each of the other tables."""
    width = _PAIR_BINS + 2
    single = {
        column: {name: binned(sides.real[column], table[column], _PAIR_BINS) for name, table in sides.others.items()}
        for column in sides.real
    }
    return [
        (
            (one, two),
            {
                name: (
                    single[one][name][0] * width + single[two][name][0],
                    single[one][name][1] * width + single[two][name][1],
                )
                for name in sides.others
            },
        )
        for one, two in combinations(single, 2)
    ]


def _pair_variations(sides: _Sides, codes: Mapping[str, tuple[Codes, Codes]]) -> dict[str, NDArray[np.float64]]:
    return {
        name: _variation(sides, name, ours, theirs, (_PAIR_BINS + 2) ** 2) for name, (ours, theirs) in codes.items()
    }


def _steps(sides: _Sides) -> dict[str, Beside]:
    """Gives the distance of the distribution functions of each number that real patients have a value of."""
    found: dict[str, Beside] = {}
    for column, ours in sides.real.items():
        if is_number(ours) and not missing(ours).all():
            found[column] = measured(lambda name, column=column: _step(sides, name, column), sides.holdout)
    return found


def _step(sides: _Sides, name: str, column: str) -> Estimate:
    ours, theirs = sides.real[column], sides.others[name][column]
    n = int((~missing(theirs)).sum())
    if not n:
        return Estimate(1.0, 0.0, 1.0, 0, "largest step between distributions, nobody has a value, no interval")
    values = np.unique(ours[~missing(ours)])
    cuts = values[np.unique(np.linspace(0, values.size - 1, _STEPS).round().astype(int))]
    drawn = np.abs(_shares(sides, "real", ours, cuts) - _shares(sides, name, theirs, cuts)).max(axis=1)
    exact = kolmogorov(ours[~missing(ours)], theirs[~missing(theirs)])
    return interval(np.append(exact, drawn[1:]), n, "largest step between distributions", low=0.0, high=1.0)


def _shares(sides: _Sides, name: str, column: NDArray[Any], cuts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the share of the known values up to each cut, in the sample and in each draw; shape (1 + draws, cuts)."""
    code = np.where(missing(column), cuts.size + 1, np.searchsorted(cuts, column, side="left"))
    counts = sides.draws[name].counts(code, cuts.size + 2)[:, :-1]
    return np.cumsum(counts, axis=1)[:, :-1] / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)


def kolmogorov(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Gives the largest distance of two distribution functions, 0 to 1.

    Example:
        >>> kolmogorov(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
        0.5
    """
    at = np.concatenate([one, other])
    below, above = (np.searchsorted(np.sort(values), at, side="right") / values.size for values in (one, other))
    return float(np.abs(below - above).max())


def _associations(sides: _Sides) -> Beside:
    found: dict[str, NDArray[np.float64]] = {}
    for name, table in sides.others.items():
        ours, theirs, owner = indicators(sides.real, table)
        found[name] = association_gaps(ours, theirs, owner, sides.draws["real"], sides.draws[name])
    return sides.beside(found, "difference of correlations", 2.0)


def _missing(sides: _Sides) -> dict[str, Beside]:
    return {
        column: measured(
            lambda name, column=column: difference(missing(sides.others[name][column]), missing(sides.real[column])),
            sides.holdout,
        )
        for column in _holes(sides)
    }


def _holes(sides: _Sides) -> list[str]:
    tables = [sides.real, *sides.others.values()]
    return [column for column in sides.real if any(missing(table[column]).any() for table in tables)]


def _missing_together(sides: _Sides) -> Beside | None:
    holes = _holes(sides)
    if len(holes) < 2:
        return None
    marks = {
        name: np.column_stack([missing(table[column]) for column in holes]).astype(np.float64)
        for name, table in {"real": sides.real, **sides.others}.items()
    }
    found = {
        name: together_gaps(marks["real"], marks[name], sides.draws["real"], sides.draws[name]) for name in sides.others
    }
    return sides.beside(found, "difference of the shares who lack both")


def difference(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Estimate:
    """Gives the share of one group less that of another one, -1 to 1.

    Args:
        one: Who of the first group, shape (patients,).
        other: Who of the second one, of any length.

    Source:
        Newcombe, Stat Med 1998;17:873, method 10.

    Example:
        >>> print(difference(np.arange(10) < 3, np.arange(20) < 2))
        0.200 [-0.078, 0.512]
    """
    first, second = (proportion(int(who.sum()), who.size) for who in (one, other))
    apart = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(apart, apart - below, apart + above, one.size, "difference of shares, Newcombe interval")
