"""The axes of the copula and their scores: numbers that stand for levels."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.privacy.queries import Levels

_LIMIT: Final = 2.5


@dataclass(frozen=True)
class Axis:
    """One dimension of the copula: the value of a variable, or whether its cell is missing.

    Attributes:
        at: Position of the variable.
        hole: Whether it stands for the missing cells.
    """

    at: int
    hole: bool


def axes_of(layout: Layout) -> tuple[Axis, ...]:
    """Gives the axes of a layout: first the value of each variable, then the holes of those that may be missing."""
    holes = [Axis(at, True) for at, variable in enumerate(layout.variables) if variable.column.nullable]
    return (*(Axis(at, False) for at in range(len(layout))), *holes)


def level_scores(
    margin: NDArray[np.float64], shares: NDArray[np.float64], levels: Levels, *, keep_order: bool
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Gives the normal score of each level, and the levels in ascending order of score.

    The score is the standard normal quantile of the middle of the level's share in all classes together,
    standardised; the level for missing cells scores 0 and has no place in the order. Categories are ordered by the
    mean class.

    Args:
        margin: Share of each level in each class, shape (classes, levels).
        shares: Share of each class, shape (classes,).
        levels: The levels.
        keep_order: Whether a category's levels stay in their declared order.
    """
    pooled = shares @ margin
    plain = np.array([at for at in range(levels.size) if at != levels.missing], dtype=np.intp)
    if levels.edges is None and len(shares) > 1 and not keep_order:
        prior = shares @ np.arange(len(shares))
        rate = ((shares * np.arange(len(shares))) @ margin + 0.01 * prior) / (pooled + 0.01)
        plain = plain[np.argsort(rate[plain], kind="stable")]
    part = pooled[plain] / max(pooled[plain].sum(), 1e-12)
    middle = np.clip(np.cumsum(part) - part / 2, 0.01, 0.99)
    raw = normal_quantile(middle)
    mean = part @ raw
    spread = np.sqrt(max(part @ (raw - mean) ** 2, 1e-6))
    scores = np.zeros(levels.size)
    scores[plain] = np.clip((raw - mean) / spread, -_LIMIT, _LIMIT)
    return scores, plain


def hole_scores(margin: NDArray[np.float64], shares: NDArray[np.float64], levels: Levels) -> NDArray[np.float64]:
    """Gives for each level twice the distance of "missing" (1) or "not" (0) from the share of missing cells.

    Where half of the cells are missing the score has variance 1; where few are it has little, so that it costs the
    other scores little of their norm.

    Args:
        margin: Share of each level in each class, shape (classes, levels).
        shares: Share of each class, shape (classes,).
        levels: The levels, with one for missing cells.
    """
    missing = np.arange(levels.size) == levels.missing
    return 2.0 * (missing - shares @ margin @ missing)


def normal_quantile(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the standard normal quantile of shares in (0, 1), shape (levels,)."""
    standard = NormalDist()
    return np.array([standard.inv_cdf(one) for one in share.tolist()])


def filled(margin: NDArray[np.float64], levels: Levels) -> NDArray[np.float64]:
    """Gives the share of each level among the cells that are not missing, shape (classes, levels).

    A class in which all cells are missing has the shares of the other ones; where there are none, all levels are alike.
    """
    if levels.missing is None:
        return margin
    known = np.arange(margin.shape[1]) != levels.missing
    plain = np.where(known, margin, 0.0)
    total = plain.sum(axis=1, keepdims=True)
    some = total > 1e-12
    pooled = plain.sum(axis=0) if some.any() else known
    return np.where(some, plain, pooled) / np.where(some, total, pooled.sum())


def missing_share(margin: NDArray[np.float64], levels: Levels) -> NDArray[np.float64]:
    """Gives the share of missing cells in each class, shape (classes,)."""
    return np.zeros(len(margin)) if levels.missing is None else margin[:, levels.missing]


def hole_border(share: float) -> float:
    """Gives the normal from which on a cell is missing."""
    return float(normal_quantile(np.array([min(max(1 - share, 1e-7), 1 - 1e-7)]))[0])
