"""Repeated measures: trajectories, how one visit follows from another one, and how patients differ from each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import DataError
from wardgan.estimate import Estimate, proportion
from wardgan.evaluate.columns import VISIT_MARK, Columns, is_number, level_name, missing, paired, visit_columns
from wardgan.evaluate.record import Beside, measured, plain_fields
from wardgan.evaluate.resample import subsample
from wardgan.evaluate.slopes import Slopes, intraclass, lag_correlation, slope_distance, slopes_of
from wardgan.rng import Seed

LAGS: Final = (1, 2, 3)
MOST: Final = 20_000
_Z: Final = 1.959963984540054


@dataclass(frozen=True)
class Slot:
    """The patients of one table at one visit.

    Attributes:
        mean: Mean of those who have a value; `None` if nobody has.
        sd: Standard deviation; `None` with fewer than two values.
        there: Share of the patients who have a value.
    """

    mean: Estimate | None
    sd: Estimate | None
    there: Estimate


@dataclass(frozen=True)
class Course:
    """One repeated measure in real, hold-out and synthetic patients.

    Attributes:
        variable: What is measured.
        visits: Names of the visits, in order.
        trajectories: For each group (`"all"`, or a class such as `"arm: new"`) and each of `"real"`, `"synthetic"` and
            `"holdout"` one `Slot` for each visit.
        lags: Correlation of values that are 1, 2 and 3 visits apart, for each table; lags without two visits
            are left out.
        within: Variance of a patient's values around the own mean, less the common course, for each table.
        between: Variance of the patients' true means, likewise.
        intraclass: Share of the variance that is between patients, likewise; `None` where no patient has two values.
        slopes: How the patients' own slopes (change per visit, or per unit of time) are spread, for each table.
        slope_distance: Largest step between the distributions of slopes of real and other patients, 0 to 1; `None`
            where nobody has two values.
    """

    variable: str
    visits: tuple[str, ...]
    trajectories: Mapping[str, Mapping[str, tuple[Slot, ...]]]
    lags: Mapping[int, Mapping[str, Estimate]]
    within: Mapping[str, Estimate | None]
    between: Mapping[str, Estimate | None]
    intraclass: Mapping[str, Estimate | None]
    slopes: Mapping[str, Slopes | None]
    slope_distance: Beside | None

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def course(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    holdout: pd.DataFrame | None = None,
    *,
    variable: str,
    by: str | None = None,
    seed: Seed,
) -> Course:
    """Compares one repeated measure of synthetic patients with that of real ones.

    Visits that did not take place are missing cells: they count for nobody, and their share is told. Of patients with
    visits in the order of their time the slots are the first visit, the second one and so on. At most 20,000 patients
    of each table are used.

    Args:
        real: Wide table with columns such as `sbp@3M`.
        synthetic: Wide table with the same columns.
        holdout: Other real patients with the same columns.
        variable: What the columns start with, such as `sbp`.
        by: Column with classes, each of which has trajectories of its own.
        seed: Source of randomness of the intervals.

    Returns:
        Values of synthetic and hold-out patients have the real value as baseline.

    Raises:
        DataError: A table is empty or lacks a column, no column belongs to the variable, or it is text.

    Source:
        Bonett, Comput Stat Data Anal 2006;50:775 (interval of a standard deviation, whatever the distribution); Donner,
        Int Stat Rev 1986;54:67 (intraclass correlation of patients with different numbers of values).
    """
    slots = visit_columns(real, variable)
    if not slots:
        raise DataError(f"variable={variable!r}: no column is named {variable}{VISIT_MARK}... Name a repeated measure.")
    if by is not None and by not in real.columns:
        raise DataError(f"by={by!r} is not a column of the tables. Name the column that holds the classes.")
    kept = [*slots.values(), *([] if by is None else [by])]
    given = {"real": real, "synthetic": synthetic} | ({} if holdout is None else {"holdout": holdout})
    tables: dict[str, Columns] = {}
    for name, frame in given.items():
        few = subsample(frame, MOST, seed, f"visits/{name}")
        tables[name] = paired(real.loc[:, kept], few.filter(kept), names=("real", name))[1]
    values = {name: _matrix(table, list(slots.values())) for name, table in tables.items()}
    spread = {name: intraclass(one, seed=seed, name=name) for name, one in values.items()}
    at = places(list(slots))
    slopes = {name: slopes_of(one, at) for name, one in values.items()}
    lags = {lag: _against_real({name: lag_correlation(one, lag, seed=seed, name=name) for name, one in values.items()})
            for lag in LAGS if lag < len(slots)}  # fmt: skip
    return Course(
        variable,
        tuple(slots),
        {
            group: {name: _slots(values[name][rows[name]]) for name in tables}
            for group, rows in _rows(tables, by).items()
        },
        lags,
        _against_real({name: found and found[1] for name, found in spread.items()}),
        _against_real({name: found and found[2] for name, found in spread.items()}),
        _against_real({name: found and found[0] for name, found in spread.items()}),
        {name: Slopes.of(one) if one.size else None for name, one in slopes.items()},
        _distance(slopes, seed, holdout),
    )


def places(visits: list[str]) -> NDArray[np.float64]:
    """Gives when the visits are: their names if these are numbers, or else 0, 1, 2 and so on; shape (visits,).

    Example:
        >>> places(["0h", "6h", "12h"]).tolist(), places(["0", "6", "24"]).tolist()
        ([0.0, 1.0, 2.0], [0.0, 6.0, 24.0])
    """
    try:
        found = np.array([float(visit) for visit in visits])
    except ValueError:
        return np.arange(len(visits), dtype=np.float64)
    return found if np.isfinite(found).all() else np.arange(len(visits), dtype=np.float64)


def _matrix(table: Columns, names: list[str]) -> NDArray[np.float64]:
    """Gives the values, shape (patients, visits), NaN where there is none."""
    text = [name for name in names if not is_number(table[name]) and not missing(table[name]).all()]
    if text:
        raise DataError(f"{', '.join(text)}: text has no trajectory. Name a measure that is a number.")
    return np.column_stack(
        [table[name] if is_number(table[name]) else np.full(table[name].size, np.nan) for name in names]
    )


def _rows(tables: Mapping[str, Columns], by: str | None) -> dict[str, dict[str, NDArray[np.bool_]]]:
    size = {name: next(iter(table.values())).size for name, table in tables.items()}
    found = {"all": {name: np.ones(n, dtype=bool) for name, n in size.items()}}
    if by is not None:
        classes = tables["real"][by]
        for level in sorted(set(classes[~missing(classes)].tolist()), key=level_name):
            found[f"{by}: {level_name(level)}"] = {
                name: np.asarray(table[by] == level, dtype=bool) for name, table in tables.items()
            }
    return found


def _slots(values: NDArray[np.float64]) -> tuple[Slot, ...]:
    return tuple(_slot(column) for column in values.T) if len(values) else ()


def _slot(column: NDArray[np.float64]) -> Slot:
    known = column[~np.isnan(column)]
    there = proportion(known.size, column.size)
    if not known.size:
        return Slot(None, None, there)
    return Slot(mean_of(known), spread_of(known), there)


def mean_of(values: NDArray[np.float64]) -> Estimate:
    """Gives the mean over patients; the interval is a normal one, and endless for one patient.

    Args:
        values: One for each patient, shape (patients,), at least one.
    """
    n, centre = values.size, float(values.mean())
    if n < 2:
        return Estimate(centre, -math.inf, math.inf, n, "mean, no interval")
    half = _Z * float(values.std(ddof=1)) / math.sqrt(n)
    return Estimate(centre, centre - half, centre + half, n, "mean, normal interval")


def spread_of(values: NDArray[np.float64]) -> Estimate | None:
    """Gives the standard deviation over patients; `None` for one patient.

    Args:
        values: One for each patient, shape (patients,).

    Source:
        Bonett, Comput Stat Data Anal 2006;50:775, with the mean in the place of the trimmed one.
    """
    n = values.size
    if n < 2:
        return None
    variance = float(values.var(ddof=1))
    text = "standard deviation, Bonett interval"
    if variance <= 0 or n < 4:
        return Estimate(math.sqrt(variance), 0.0, math.inf, n, "standard deviation, no interval")
    off = values - values.mean()
    off = off / np.abs(off).max()  # the fourth power of the largest number that a schema allows would overflow
    heavy = n * float((off**4).sum()) / float((off**2).sum()) ** 2
    error = math.sqrt(max(heavy - (n - 3) / n, 0.0) / (n - 1))
    small = n / (n - _Z)
    low, high = (math.sqrt(variance * small * math.exp(sign * _Z * small * error)) for sign in (-1, 1))
    return Estimate(math.sqrt(variance), min(low, math.sqrt(variance)), max(high, math.sqrt(variance)), n, text)


def _against_real(found: Mapping[str, Estimate | None]) -> dict[str, Any]:
    real = found["real"]
    return {
        name: one if one is None or real is None or name == "real" else replace(one, baseline=real.value)
        for name, one in found.items()
    }


def _distance(slopes: Mapping[str, NDArray[np.float64]], seed: Seed, holdout: object) -> Beside | None:
    if not slopes["real"].size or not slopes["synthetic"].size:
        return None
    there = holdout if holdout is not None and slopes["holdout"].size else None
    return measured(lambda name: slope_distance(slopes["real"], slopes[name], seed=seed), there)
