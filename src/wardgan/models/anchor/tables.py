"""What the noisy tables of levels by class say: the sizes of the classes, and the margins of each."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.errors import PlanError

FEWEST: Final = 20


def class_sizes(
    layout: Layout, tables: list[NDArray[np.float64]], noise: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
    """Gives the noisy number of patients of each class, and which classes noise cannot tell from none.

    Args:
        layout: The variables.
        tables: For each variable its noisy table, shape (classes, levels).
        noise: Noise of each count.

    Returns:
        The mean over variables of their tables' sums, at least 1, and the marks; both of shape (classes,).

    Raises:
        PlanError: There are too few patients.
    """
    complete = _complete(layout)
    if not complete:
        # Only visits that may be absent: the presence variables are among them, so this cannot happen.
        raise PlanError("schema: no variable is known for every patient.")
    precision = np.array([1 / tables[at].shape[1] for at in complete])
    sums = np.array([tables[at].sum(axis=1) for at in complete])  # (variables, classes)
    sizes = (precision[:, None] * sums).sum(axis=0) / precision.sum()
    sd = noise / np.sqrt(precision.sum())
    if sizes.sum() < max(FEWEST, 3 * sd * np.sqrt(len(sizes))):
        by, more = ("by the noisy count ", ", or raise epsilon") if noise else ("", "")
        raise PlanError(
            f"cohort: {by}there are fewer than {max(FEWEST, round(3 * sd))} patients; a generator of "
            f"so few would be noise, or would be them. Join more patients{more}."
        )
    lost = sizes < max(1.0, 2 * sd)
    return np.maximum(sizes, 1.0), lost


def borrowed(answer: NDArray[np.float64], sizes: NDArray[np.float64], lost: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Gives an answer in which classes that were lost in the noise have what all patients have on average.

    Args:
        answer: Noisy sums over the patients of each class, shape (classes, ...).
        sizes: Number of patients of each class, shape (classes,).
        lost: Which classes to fill, shape (classes,).
    """
    if not lost.any():
        return answer
    found = answer.copy()
    found[lost] = np.multiply.outer(sizes[lost] / sizes.sum(), answer.sum(axis=0))
    return found


def _complete(layout: Layout) -> list[int]:
    """Gives the variables that every patient has."""
    whole = layout.schema.visits is not None and layout.schema.visits.complete
    return [at for at, variable in enumerate(layout.variables) if variable.role != "cell" or whole]


def presence(tables: list[NDArray[np.float64]], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the share of patients of each class who have each variable, shape (classes, variables)."""
    return np.clip(np.array([table.sum(axis=1) for table in tables]).T / sizes[:, None], 0.02, 1.0)


def trust(total: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """Gives how far the margin of each class is its own and not that of all classes, shape (classes,).

    Args:
        total: Noisy number of patients of each class, shape (classes,).
        noise: Noise of each count of its table.
    """
    return total**2 / (total**2 + (5 * noise) ** 2)


def margins(table: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """Gives the share of each level in each class, drawn towards all classes where a class is small.

    Args:
        table: Noisy counts, shape (classes, levels).
        noise: Noise of each count.
    """
    total = np.maximum(table.sum(axis=1), 1.0)
    own = np.array([simplex(row / size) for row, size in zip(table, total, strict=True)])
    pooled = simplex(table.sum(axis=0) / total.sum())
    part = trust(total, noise)
    found = part[:, None] * own + (1 - part[:, None]) * pooled
    return found / found.sum(axis=1, keepdims=True)


def simplex(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the nearest vector of shares (Euclidean projection onto the simplex; Duchi et al. 2008, figure 1)."""
    falling = np.sort(vector)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(vector) + 1)
    last = int(np.flatnonzero(falling > excess)[-1])
    return np.maximum(vector - excess[last], 0.0)
