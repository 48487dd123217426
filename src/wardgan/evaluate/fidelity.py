"""How like the real patients are the synthetic ones: correlations, medians, margins and pairs.

Everything takes wide tables: one row for each patient, one column for each variable, visits as columns such as
`sbp@3M`. A distance between two samples of the same population is not zero, because samples differ by chance:
read each number beside the one for a hold-out of real patients, which is the best that a generator can reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import DataError
from wardgan.evaluate.columns import Codes, Columns, Table, binned, columns, level_name, numbers, paired
from wardgan.evaluate.ranks import spearman

# Smaller deviations than this share of the values, and smaller variances than this share of the largest squared
# deviation, are rounding errors of a constant.
_ROUNDING: Final = 1e-14


@dataclass(frozen=True)
class CorrelationAgreement:
    """How well two correlation matrices agree.

    Attributes:
        spearman: Rank correlation of the cells below the diagonal, -1 to 1; NaN if it is undefined.
        rmse: Root mean square difference of the cells, 0 to 2; it sees errors of scale that ranks do not.
        cells: How many pairs of columns were compared.
    """

    spearman: float
    rmse: float
    cells: int

    def __str__(self) -> str:
        return f"Spearman {self.spearman:.3f}, RMSE {self.rmse:.3f} over {self.cells} pairs of columns"


@dataclass(frozen=True)
class Gap:
    """A distance measured on many cells: columns, pairs of columns, or classes and columns.

    Attributes:
        mean: Mean over the cells; NaN without cells.
        largest: Largest of the cells; NaN without cells.
        where: Names of the cell with the largest distance.
        cells: How many cells were compared.
    """

    mean: float
    largest: float
    where: tuple[str, ...]
    cells: int

    def __str__(self) -> str:
        text = f"mean {self.mean:.3f}, largest {self.largest:.3f}"
        return f"{text} ({', '.join(self.where)})" if self.where else text


def correlations(frame: Table) -> NDArray[np.float64]:
    """Gives Pearson's correlation of every pair of numeric columns, over the patients who have both values.

    Args:
        frame: Table of shape (patients, columns); text columns are left out, missing and infinite values skipped.

    Returns:
        Symmetric array of shape (numeric columns, numeric columns). A cell is NaN where the correlation is
        undefined: a column that is constant, or fewer than two patients with both values.

    Example:
        >>> correlations(pd.DataFrame({"sbp": [120, 130, 150], "dbp": [85, 75, 70]})).round(3).tolist()
        [[1.0, -0.929], [-0.929, 1.0]]
    """
    return _correlations(numbers(columns(frame)))


def correlation_agreement(real: Table, synthetic: Table) -> CorrelationAgreement:
    """Tells how well the synthetic patients keep the correlations of the real ones.

    The comparison runs over the cells below the diagonal that are defined for the real patients. A cell that is
    undefined for the synthetic patients, because the generator made a column constant, counts as no correlation.

    Args:
        real: Table of shape (patients, columns).
        synthetic: Table with the same columns, in any order.

    Raises:
        DataError: A table is empty, or lacks a column or has another kind in `synthetic`.

    Source:
        Beaulieu-Jones et al., Circ Cardiovasc Qual Outcomes 2019;12:e005122, figure 3 (Spearman of the cells).

    Example:
        >>> frame = pd.DataFrame({"a": [1, 2, 3, 4], "b": [1, 2, 4, 3], "c": [4, 1, 2, 2]})
        >>> print(correlation_agreement(frame, frame))
        Spearman 1.000, RMSE 0.000 over 3 pairs of columns
    """
    ours, theirs = (numbers(table) for table in paired(real, synthetic))
    lower = np.tril_indices(len(ours), k=-1)
    cells, answer = _correlations(ours)[lower], _correlations(theirs)[lower]
    kept = np.isfinite(cells)
    cells, answer = cells[kept], np.nan_to_num(answer[kept], nan=0.0)
    rmse = float(np.sqrt(np.mean((cells - answer) ** 2))) if cells.size else float("nan")
    return CorrelationAgreement(spearman(cells, answer), rmse, int(cells.size))


def median_gap(real: pd.DataFrame, synthetic: pd.DataFrame, *, by: str) -> Gap:
    """Tells how far apart the medians are, in each class and numeric column.

    The gap is in each column's own unit, so pass columns of one unit if the mean is to have one. A class or column
    that the generator has lost (no synthetic value where there are real ones) is infinitely far.

    Args:
        real: Table of shape (patients, columns).
        synthetic: Table with the same columns, in any order.
        by: Column with the classes.

    Raises:
        DataError: A table is empty, or lacks a column or has another kind in `synthetic`, or `by` is not a column.

    Example:
        >>> real = pd.DataFrame({"arm": ["a", "a", "b"], "sbp": [120, 130, 140]})
        >>> print(median_gap(real, real.assign(sbp=[120, 130, 143]), by="arm"))
        mean 1.500, largest 3.000 (b, sbp)
    """
    ours, theirs = paired(real, synthetic)
    if by not in ours:
        raise DataError(f"by={by!r} is not a column of the tables. Name the column that holds the classes.")
    classes, answered = ours.pop(by), theirs.pop(by)
    gaps: dict[tuple[str, ...], float] = {}
    for level in pd.Series(classes).dropna().unique():
        for name, column in numbers(ours).items():
            here, there = _median(column[classes == level]), _median(theirs[name][answered == level])
            if np.isfinite(here):
                gaps[level_name(level), name] = abs(there - here) if np.isfinite(there) else float("inf")
    return _gap(gaps)


def total_variation(real: Table, synthetic: Table, *, bins: int = 20) -> Gap:
    """Tells how far apart the distributions of each column are: 0 is the same, 1 has nothing in common.

    Numbers are counted in bins with equal shares of the real patients. Text, and numbers with few distinct values,
    are counted by value, the rare ones together. Missing values are a bin of their own.

    Args:
        real: Table of shape (patients, columns).
        synthetic: Table with the same columns, in any order.
        bins: How many bins or values, at least 1.

    Raises:
        DataError: A table is empty, or lacks a column or has another kind in `synthetic`.

    Example:
        >>> real = pd.DataFrame({"sex": ["f", "f", "m", "m"]})
        >>> print(total_variation(real, pd.DataFrame({"sex": ["f", "f", "f", "m"]})))
        mean 0.250, largest 0.250 (sex)
    """
    coded = _coded(real, synthetic, bins)
    return _gap({(name,): _variation(*codes, bins + 2) for name, codes in coded.items()})


def pair_total_variation(real: Table, synthetic: Table, *, bins: int = 8) -> Gap:
    """Tells how far apart the joint distributions of each pair of columns are, 0 to 1.

    Args:
        real: Table of shape (patients, columns).
        synthetic: Table with the same columns, in any order.
        bins: How many bins or values of each column, at least 1 (see `total_variation`).

    Raises:
        DataError: A table is empty, or lacks a column or has another kind in `synthetic`.

    Example:
        >>> real = pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 0, 1, 1]})
        >>> print(pair_total_variation(real, pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]})))
        mean 0.500, largest 0.500 (a, b)
    """
    width = bins + 2
    cells: dict[tuple[str, ...], float] = {}
    for (one, (ours_one, theirs_one)), (two, (ours_two, theirs_two)) in combinations(
        _coded(real, synthetic, bins).items(), 2
    ):
        cells[one, two] = _variation(ours_one * width + ours_two, theirs_one * width + theirs_two, width**2)
    return _gap(cells)


def _correlations(table: Columns) -> NDArray[np.float64]:
    if not table:
        return np.empty((0, 0))
    values = np.column_stack(list(table.values()))  # (patients, columns)
    there = np.isfinite(values)
    known = there.astype(float)
    filled = np.where(there, values, 0.0)
    reach = np.abs(filled).max(axis=0, initial=0.0)
    filled = filled / np.where(reach > 0, reach, 1.0)  # no square of it overflows
    centred = np.where(there, filled - filled.sum(axis=0) / np.maximum(known.sum(axis=0), 1.0), 0.0)
    spread = np.abs(centred).max(axis=0, initial=0.0)
    constant = spread <= 10 * _ROUNDING
    centred = np.where(constant, 0.0, centred / np.where(constant, 1.0, spread))  # in [-1, 1]

    both = np.maximum(known.T @ known, 1.0)  # (columns, columns): patients with both values
    sums = centred.T @ known  # of the row's column, over the patients who also have the other one
    products = centred.T @ centred - sums * sums.T / both
    squares = (centred**2).T @ known - sums**2 / both
    varies = squares > _ROUNDING * both
    defined = varies & varies.T
    scale = np.sqrt(np.where(defined, squares * squares.T, 1.0))
    return np.where(defined, np.clip(products / scale, -1.0, 1.0), np.nan)


def _coded(real: Table, synthetic: Table, bins: int) -> dict[str, tuple[Codes, Codes]]:
    ours, theirs = paired(real, synthetic)
    return {name: binned(column, theirs[name], bins) for name, column in ours.items()}


def _variation(ours: Codes, theirs: Codes, size: int) -> float:
    """Gives half the sum of the absolute differences of the shares of all bins."""
    one, two = (np.bincount(codes, minlength=size) / codes.size for codes in (ours, theirs))
    return float(np.abs(one - two).sum() / 2)


def _median(column: NDArray[Any]) -> float:
    present = column[np.isfinite(column)]
    return float(np.median(present)) if present.size else float("nan")


def _gap(cells: dict[tuple[str, ...], float]) -> Gap:
    if not cells:
        return Gap(float("nan"), float("nan"), (), 0)
    where = max(cells, key=lambda cell: cells[cell])
    return Gap(float(np.mean(list(cells.values()))), cells[where], where, len(cells))
