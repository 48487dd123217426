"""The dependence of a cohort's axes: correlations from noisy products of scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.models.anchor.scores import Axis, filled, hole_border, missing_share, normal_quantile
from wardgan.models.anchor.shrink import shrunk
from wardgan.privacy.queries import Levels, scaled_down
from wardgan.rng import Seed

Margins = tuple[NDArray[np.float64], ...]

_CLOSE: Final = 0.99
_TOGETHER: Final = 0.9999
# Smallest eigenvalue: a larger one would take cells apart that are always missing together.
_FLOOR: Final = 1e-3
_ROUNDS: Final = 4
_SIMULATED: Final = 10_000
_ROOT_TAU: Final = float(np.sqrt(2 * np.pi))


@dataclass(frozen=True)
class Dependence:
    """What the correlations are made from.

    Attributes:
        layout: The variables.
        axes: The dimensions of the copula.
        levels: The levels of each variable.
        margins: For each variable the share of each level in each class, the one for missing cells included.
        scores: For each axis the score of each level of its variable.
        sizes: Noisy number of patients of each class, shape (classes,).
        presence: Share of patients whose visit took place, for each variable, shape (classes, variables).
        order: For each variable its levels in ascending order of score, without the one for missing cells.
        radius: The norm that scores were scaled down to.
        counts: For ragged visits: the number of visits of each level of the count.
    """

    layout: Layout
    axes: tuple[Axis, ...]
    levels: tuple[Levels, ...]
    margins: Margins
    scores: tuple[NDArray[np.float64], ...]
    sizes: NDArray[np.float64]
    presence: NDArray[np.float64]
    order: tuple[NDArray[np.intp], ...]
    radius: float
    counts: tuple[float, ...] = ()

    def given(self) -> Margins:
        """Gives for each axis the share of each level among those whom it scores, shape (classes, levels)."""
        return tuple(self.margins[axis.at] if axis.hole else self.values(axis.at) for axis in self.axes)

    def values(self, at: int) -> NDArray[np.float64]:
        """Gives the share of each level of a variable among the cells that are not missing."""
        return filled(self.margins[at], self.levels[at])

    def missing(self, at: int) -> NDArray[np.float64]:
        """Gives the share of missing cells of a variable in each class, shape (classes,)."""
        return missing_share(self.margins[at], self.levels[at])

    def there(self) -> NDArray[np.float64]:
        """Gives the share of patients whom each axis scores, shape (classes, axes)."""
        shares = [self.presence[:, a.at] * (1.0 if a.hole else 1 - self.missing(a.at)) for a in self.axes]
        return np.maximum(np.array(shares).T, 0.01)

    def moments(self, power: int = 1) -> NDArray[np.float64]:
        """Gives the mean power of the scores of each axis among those whom it scores, shape (classes, axes)."""
        return np.array([one @ score**power for one, score in zip(self.given(), self.scores, strict=True)]).T


def correlations(made: Dependence, products: NDArray[np.float64], sd: float) -> NDArray[np.float64]:
    """Gives for each class a lower triangular L with L L^T the correlations.

    The first guess divides the noisy products by how much they grow with a small correlation. Bins, clipping, holes
    and absent visits bias it, so it is mended by simulation: what would the same query give on patients drawn from
    the guess? The gap to the answer is added to the guess (indirect inference; Gourieroux, Monfort, Renault 1993). In
    each round correlations are drawn towards those of the same columns at the same distance between visits, towards
    the mean of the classes, and towards 0, as far as the known noise demands, and made positive definite.

    Args:
        made: Margins, scores and class sizes.
        products: Noisy sums of products of scores, shape (classes, axes, axes), diagonal 0.
        sd: Noise of each sum.

    Returns:
        Array of shape (classes, axes, axes).
    """
    mean = made.moments()
    variance = np.maximum(made.moments(2) - mean**2, 0.02)
    slope = np.maximum(_slopes(made), 0.05)
    joint = _joint(made)
    answer = products / made.sizes[:, None, None]
    blocks, unrelated, most = pair_blocks(made), _unrelated(made), _largest(made)
    pair_slope = slope[:, :, None] * slope[:, None, :]
    noise = sd / (made.sizes[:, None, None] * pair_slope * joint)
    raw = (answer - mean[:, :, None] * mean[:, None, :] * joint) / (pair_slope * joint)
    factors = _denoised(raw, noise, blocks, unrelated, most)
    scale = np.sqrt(variance[:, :, None] * variance[:, None, :])
    for _ in range(_ROUNDS):
        simulated, together = np.empty_like(answer), np.empty_like(answer)
        for y, (scores, there) in enumerate(drawn(made, factors)):
            simulated[y] = scores.T @ scores / len(scores)
            together[y] = np.maximum(there.T @ there / len(there), 0.02)
        raw = factors @ factors.transpose(0, 2, 1) + (answer - simulated) / (scale * together)
        noise = sd / (made.sizes[:, None, None] * pair_slope * together)
        factors = _denoised(raw, noise, blocks, unrelated, most)
    return factors


def drawn(
    made: Dependence, factors: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:  # fmt: skip
    """Gives for each class the scores of patients drawn from a copula, scaled down as the query does.

    Args:
        made: Margins and scores.
        factors: L of each class, shape (classes, axes, axes).

    Returns:
        For each class the scores, and which of them a patient has; both of shape (drawn, axes).
    """
    # Replayable on purpose: the same numbers in each round, and no patient is involved.
    normals = Seed(0).stream("drawn scores").standard_normal((_SIMULATED, len(made.axes)))
    hole_axis = {axis.at: place for place, axis in enumerate(made.axes) if axis.hole}
    for y, factor in enumerate(factors):
        latent = normals @ factor.T
        levels = np.empty((_SIMULATED, len(made.layout)), dtype=np.int64)
        for at, order in enumerate(made.order):
            borders = np.cumsum(made.values(at)[y][order])[:-1]
            levels[:, at] = order[np.searchsorted(normal_quantile(np.clip(borders, 1e-9, 1 - 1e-9)), latent[:, at])]
            if at in hole_axis:
                hole = latent[:, hole_axis[at]] >= hole_border(made.missing(at)[y])
                levels[hole, at] = cast("int", made.levels[at].missing)
        absent = absent_cells(made.layout, levels, made.counts)
        scores = np.empty_like(latent)
        there = np.empty(latent.shape, dtype=np.float32)
        for place, axis in enumerate(made.axes):
            gone = absent[:, axis.at]
            if not axis.hole and axis.at in hole_axis:
                gone = gone | (levels[:, axis.at] == made.levels[axis.at].missing)
            scores[:, place] = np.where(gone, 0.0, made.scores[place][levels[:, axis.at]])
            there[:, place] = ~gone
        yield scaled_down(scores, made.radius), there


def absent_cells(layout: Layout, levels: NDArray[np.int64], counts: tuple[float, ...]) -> NDArray[np.bool_]:
    """Gives which cells of drawn patients belong to a visit that did not take place; shape (patients, variables).

    Args:
        layout: The variables.
        levels: Level of each variable of each patient, shape (patients, variables).
        counts: For ragged visits: the number of visits of each level of the count.
    """
    absent = np.zeros(levels.shape, dtype=bool)
    cells = [at for at, variable in enumerate(layout.variables) if variable.role == "cell"]
    slots = np.array([layout.variables[at].slot for at in cells])
    for at, variable in enumerate(layout.variables):
        if variable.role == "presence":
            mine = [cell for cell, slot in zip(cells, slots, strict=True) if slot == variable.slot]
            absent[:, mine] = (levels[:, at] == 0)[:, None]
        elif variable.role == "count":
            visits = np.asarray(counts)[levels[:, at]]
            absent[:, cells] = slots[None, :] >= visits[:, None]
    return absent


def pair_blocks(made: Dependence) -> NDArray[np.int64]:
    """Numbers pairs of axes that should correlate alike, shape (axes, axes).

    Pairs of cells of the same two columns at the same distance between visits share a number, and so do their holes;
    other pairs have one of their own.
    """
    variables = [made.layout.variables[axis.at] for axis in made.axes]
    kinds = [(variable.column.name, axis.hole) for variable, axis in zip(variables, made.axes, strict=True)]
    names = {kind: at for at, kind in enumerate(dict.fromkeys(kinds))}
    column = np.array([names[kind] for kind in kinds])
    slot = np.array([variable.slot for variable in variables])
    cell = slot >= 0
    both = cell[:, None] & cell[None, :]
    swap = column[:, None] > column[None, :]
    first, second = np.minimum(column[:, None], column[None, :]), np.maximum(column[:, None], column[None, :])
    lag = np.where(swap, -1, 1) * (slot[None, :] - slot[:, None])
    lag = np.where(first == second, np.abs(lag), lag)
    size, most, number = len(names), 2 * (slot.max() + 1) + 1, len(made.axes)
    shared = (first * size + second) * most + lag + most // 2
    own = size * size * most + np.arange(number)[:, None] * number + np.arange(number)[None, :]
    return np.where(both, shared, np.minimum(own, own.T))


def _slopes(made: Dependence) -> NDArray[np.float64]:
    """Gives E[score(g) g] of each axis for a standard normal g: products of scores grow with it, (classes, axes).

    It is the first Hermite coefficient: for a small correlation r the mean product of two scores is r times the
    product of their slopes, beside the product of their means.
    """
    found = np.empty((len(made.sizes), len(made.axes)))
    for place, axis in enumerate(made.axes):
        for y in range(len(made.sizes)):
            if axis.hole:
                found[y, place] = 2 * _density(np.array([made.missing(axis.at)[y]]))[0]
                continue
            order = made.order[axis.at]
            edges = _density(np.concatenate([[0.0], np.cumsum(made.values(axis.at)[y][order])]))
            found[y, place] = made.scores[place][order] @ (edges[:-1] - edges[1:])
    return found


def _density(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the standard normal density at the quantiles of shares; 0 at both ends."""
    inside = (share > 1e-9) & (share < 1 - 1e-9)
    quantile = normal_quantile(np.where(inside, share, 0.5))
    return np.where(inside, np.exp(-(quantile**2) / 2) / _ROOT_TAU, 0.0)


def _joint(made: Dependence) -> NDArray[np.float64]:
    """Gives the share of patients who have both axes, holes taken as independent, shape (classes, axes, axes)."""
    there = made.there()
    presence = np.array([made.presence[:, axis.at] for axis in made.axes]).T
    full = there / presence
    one, other = presence[:, :, None], presence[:, None, :]
    visits = made.layout.schema.visits
    shared = one * other
    if visits is not None and not visits.complete:
        slot = np.array(
            [v.slot if v.role == "cell" else -1 for v in (made.layout.variables[axis.at] for axis in made.axes)]
        )
        together = (slot[:, None] == slot[None, :]) | visits.ragged
        shared = np.where(together, np.minimum(one, other), shared)
    return np.maximum(shared * full[:, :, None] * full[:, None, :], 0.02)


def _unrelated(made: Dependence) -> NDArray[np.bool_]:
    """Marks pairs that are never seen to vary together: a flag and what exists only where it has one value."""
    size = len(made.axes)
    marked = np.zeros((size, size), dtype=bool)
    variables = [made.layout.variables[axis.at] for axis in made.axes]
    for i, (first, axis) in enumerate(zip(variables, made.axes, strict=True)):
        for j, (second, other) in enumerate(zip(variables, made.axes, strict=True)):
            visit = first.role == "presence" and second.role == "cell" and first.slot == second.slot
            if visit or (axis.at == other.at and axis.hole and not other.hole):
                marked[i, j] = marked[j, i] = True
    return marked


def _largest(made: Dependence) -> NDArray[np.float64]:
    """Gives how large a correlation may be, shape (axes, axes).

    Values hardly ever depend on each other without a rest. Cells are often missing together without one: a panel of
    tests is done or not.
    """
    hole = np.array([axis.hole for axis in made.axes])
    return np.where(hole[:, None] & hole[None, :], _TOGETHER, _CLOSE)


def _denoised(
    raw: NDArray[np.float64], noise: NDArray[np.float64], blocks: NDArray[np.int64], unrelated: NDArray[np.bool_],
    most: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    raw[:, unrelated] = 0.0
    return np.array([_factor(matrix) for matrix in _shrunk(np.clip(raw, -1.2, 1.2), noise, blocks, most)])


def _shrunk(
    raw: NDArray[np.float64], noise: NDArray[np.float64], blocks: NDArray[np.int64], most: NDArray[np.float64]
) -> NDArray[np.float64]:  # fmt: skip
    """Gives denoised correlations: empirical Bayes towards the block, the other classes, and 0."""
    upper = np.triu_indices(raw.shape[1], 1)
    values = np.array([matrix[upper] for matrix in raw])  # (classes, pairs)
    variances = np.array([matrix[upper] for matrix in noise]) ** 2 + 1e-12
    values, variances = _towards_classes(values, variances)
    values, variances = _towards_blocks(values, variances, blocks[upper])
    values = np.clip(shrunk(values, variances)[0], -most[upper], most[upper])
    found = np.zeros_like(raw)
    for y, one in enumerate(values):
        found[y][upper] = one
        found[y] += found[y].T + np.eye(raw.shape[1])
    return found


def _towards_classes(
    values: NDArray[np.float64], variances: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if len(values) == 1:
        return values, variances
    weight = (1 / variances) / (1 / variances).sum(axis=0)
    pool, pool_variance = (weight * values).sum(axis=0), 1 / (1 / variances).sum(axis=0)
    gap, rest = shrunk(values - pool, np.maximum(variances - pool_variance, 1e-12))
    return pool + gap, pool_variance + rest


def _towards_blocks(
    values: NDArray[np.float64], variances: NDArray[np.float64], blocks: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draws each pair towards the mean of its block, as far as the pairs of blocks differ by no more than their noise.

    The mean is weighed by precision: few patients have late visits, and the noise of their pairs is many times that of
    the first ones. How much pairs of a block truly differ is one number for all blocks of a class, by moments
    (DerSimonian and Laird 1986, "Meta-analysis in clinical trials", equation 8).

    Args:
        values: Correlations of each class, shape (classes, pairs).
        variances: Of their noise, the same shape.
        blocks: Number of each pair's block, shape (pairs,).

    Returns:
        Values and the variances of their noise, of the same shape.
    """
    _, block, count = np.unique(blocks, return_inverse=True, return_counts=True)
    if count.max() == 1:
        return values, variances
    shared = count[block] > 1
    found, noise = values.copy(), variances.copy()
    for y, (value, variance) in enumerate(zip(values, variances, strict=True)):
        weight = 1 / variance
        total = np.bincount(block, weights=weight)
        mean = (np.bincount(block, weights=weight * value) / total)[block]
        freedom = total - np.bincount(block, weights=weight**2) / total
        beyond = (weight * (value - mean) ** 2)[shared].sum() - (count - 1).sum()
        spread = max(float(beyond / freedom.sum()), 1e-6)
        own = spread / (spread + variance)
        drawn = own * value + (1 - own) * mean
        found[y] = np.where(shared, drawn, value)
        noise[y] = np.where(shared, own**2 * variance + (1 - own**2) / total[block], variance)
    return found, noise


def _factor(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    positive = (vectors * np.maximum(values, _FLOOR)) @ vectors.T
    scale = 1 / np.sqrt(np.diag(positive))
    return np.linalg.cholesky(positive * scale[:, None] * scale[None, :]).astype(np.float64)
