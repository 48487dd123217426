"""How strongly columns of any kind go together, and how far two tables differ in that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.evaluate.columns import Columns, Table, is_number, missing, paired
from wardgan.evaluate.ranks import ranks
from wardgan.evaluate.resample import Resamples

_LEVELS: Final = 20
_BLOCK: Final = 50
_CONSTANT: Final = 1e-18


def association_gap(real: Table, synthetic: Table) -> float:
    """Gives the mean absolute difference of the correlations of ranks, indicators of levels and of missing cells.

    Args:
        real: Table of shape (patients, columns).
        synthetic: Table with the same columns, in any order.

    Returns:
        0 to 2, over all pairs that belong to two columns; NaN if there is one column only.

    Raises:
        DataError: A table is empty, or lacks a column or has another kind in `synthetic`.

    Example:
        >>> real = pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 0, 1, 1]})
        >>> association_gap(real, pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]}))
        1.0
    """
    ours, theirs, owner = indicators(*paired(real, synthetic))
    once = (np.ones((1, 1)), np.ones((1, 1)))
    return float(
        association_gaps(
            ours,
            theirs,
            owner,
            *(
                Resamples(np.zeros(len(part), dtype=np.int64), one)
                for part, one in zip((ours, theirs), once, strict=True)
            ),
        )[0]
    )


def indicators(ours: Columns, theirs: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Gives two tables as ranks and indicators between 0 and 1, and the column that each of them belongs to.

    Ranks are those among the patients of both tables. Text has an indicator for each of its 20 most frequent levels,
    and each column with a missing cell one for these.

    Args:
        ours: Columns as from `paired`.
        theirs: The other table.

    Returns:
        Arrays of shapes (patients, features), (other patients, features) and (features,).
    """
    first: list[NDArray[np.float64]] = []
    owner: list[int] = []
    size = next(iter(ours.values())).size
    for at, name in enumerate(ours):
        both = np.concatenate([ours[name], theirs[name]])
        mine = (
            [_rank(both)]
            if is_number(both)
            else [np.asarray(both == level, dtype=np.float64) for level in _frequent(ours[name])]
        )
        gone = missing(both)
        if gone.any():
            mine.append(gone.astype(np.float64))
        first += mine
        owner += [at] * len(mine)
    features = np.column_stack(first) if first else np.empty((size + len(next(iter(theirs.values()))), 0))
    return features[:size], features[size:], np.array(owner, dtype=np.int64)


def association_gaps(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], owner: NDArray[np.int64], mine: Resamples, other: Resamples
) -> NDArray[np.float64]:
    """Gives `association_gap` in the sample and in each draw, shape (1 + draws,).

    Args:
        ours: Features as from `indicators`, shape (patients, features).
        theirs: Those of the other table.
        owner: Column of each feature, shape (features,).
        mine: Draws of the patients.
        other: Draws of the other patients, as many.
    """
    total, cells = np.zeros(len(mine.weights)), 0
    for (rows, one), (_, two) in zip(_correlations(ours, mine), _correlations(theirs, other), strict=True):
        apart = owner[rows][:, None] != owner[None, :]
        total += np.abs(one - two)[:, apart].sum(axis=1)
        cells += int(apart.sum())
    return total / cells if cells else np.full(len(total), np.nan)


def together_gaps(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], mine: Resamples, other: Resamples
) -> NDArray[np.float64]:
    """Gives the mean difference of the shares of patients who have both of two marks, in the sample and in each draw.

    Args:
        ours: Marks that are 0 or 1, shape (patients, marks).
        theirs: Those of the other table.
        mine: Draws of the patients.
        other: Draws of the other patients, as many.
    """
    size = ours.shape[1]
    total = np.zeros(len(mine.weights))
    for (rows, one, n_one), (_, two, n_two) in zip(_products(ours, mine), _products(theirs, other), strict=True):
        above = rows[:, None] < np.arange(size)[None, :]
        total += np.abs(one / n_one[:, None, None] - two / n_two[:, None, None])[:, above].sum(axis=1)
    pairs = size * (size - 1) // 2
    return total / pairs if pairs else np.full(len(total), np.nan)


def _products(
    features: NDArray[np.float64], draws: Resamples
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]]:
    """Yields, for some features at a time, their products with all of them, summed over the patients of each draw."""
    order = np.argsort(draws.group, kind="stable")
    sizes = np.bincount(draws.group, minlength=draws.weights.shape[1])
    parts = np.split(features[order], np.cumsum(sizes)[:-1])
    counts = draws.weights @ sizes
    for start in range(0, features.shape[1], _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, features.shape[1]))
        table = np.stack([part[:, rows].T @ part for part in parts])  # (groups, rows, features)
        summed = draws.weights @ table.reshape(len(parts), -1)
        yield rows, summed.reshape(len(draws.weights), *table.shape[1:]), counts


def _correlations(
    features: NDArray[np.float64], draws: Resamples
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Yields, for some features at a time, their correlations in each draw, (draws, rows, features); 0 if constant."""
    counts = draws.weights @ np.bincount(draws.group, minlength=draws.weights.shape[1])
    means = draws.sums(features) / counts[:, None]  # (draws, features)
    centre = features.mean(axis=0) if len(features) else 0.0
    squares = draws.sums((features - centre) ** 2) / counts[:, None] - (means - centre) ** 2
    spread = np.sqrt(np.where(squares > _CONSTANT, squares, np.inf))
    for rows, products, _ in _products(features - centre, draws):
        off = means - centre
        covariance = products / counts[:, None, None] - off[:, rows, None] * off[:, None, :]
        yield rows, covariance / spread[:, rows, None] / spread[:, None, :]


def _rank(column: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.full(column.size, 0.5)
    known = ~np.isnan(column)
    found[known] = ranks(column[known]) / max(int(known.sum()), 1)
    return found


def _frequent(column: NDArray[Any]) -> list[object]:
    return list(pd.Series(column).dropna().value_counts().index[:_LEVELS])
