"""Correlations of scores from noisy products, and the scores themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.privacy.queries import Levels, scaled_down
from wardgan.rng import Seed

_FLOOR: Final = 0.02
Margins = tuple[NDArray[np.float64], ...]

_LIMIT: Final = 2.5
_ROUNDS: Final = 3
_SIMULATED: Final = 10_000


@dataclass(frozen=True)
class Dependence:
    """What the correlations are made from.

    Attributes:
        layout: The variables.
        margins: For each variable the share of each level in each class.
        scores: For each variable the score of each level.
        sizes: Noisy number of patients of each class, shape (classes,).
        presence: Share of patients who have each variable, shape (classes, variables).
        order: For each variable its levels in ascending order of score, the one for missing cells last.
        radius: The norm that scores were scaled down to.
        counts: For ragged visits: the number of visits of each level of the count.
    """

    layout: Layout
    margins: Margins
    scores: tuple[NDArray[np.float64], ...]
    sizes: NDArray[np.float64]
    presence: NDArray[np.float64]
    order: tuple[NDArray[np.intp], ...]
    radius: float
    counts: tuple[float, ...] = ()


def level_scores(
    margin: NDArray[np.float64], shares: NDArray[np.float64], levels: Levels, *, keep_order: bool
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Gives the normal score of each level, and the levels in ascending order of score.

    The score is the standard normal quantile of the middle of the level's share in all classes together,
    standardised; the level for missing cells scores 0 and comes last. Categories are ordered by the mean class.

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
    order = plain if levels.missing is None else np.append(plain, levels.missing)
    return scores, order


def correlations(made: Dependence, products: NDArray[np.float64], sd: float) -> NDArray[np.float64]:
    """Gives for each class a lower triangular L with L L^T the correlations.

    The first guess divides the noisy products by the variances that the margins imply. Bins, clipping and absent
    visits bias it, so it is mended by simulation: what would the same query give on patients drawn from the guess?
    The gap to the answer is added to the guess (indirect inference; Gourieroux, Monfort, Renault 1993). In each
    round correlations are drawn towards those of the same columns at the same distance between visits, towards
    the mean of the classes, and towards 0, as far as the known noise demands, and made positive definite.

    Args:
        made: Margins, scores and class sizes.
        products: Noisy sums of products of scores, shape (classes, variables, variables), diagonal 0.
        sd: Noise of each sum.

    Returns:
        Array of shape (classes, variables, variables).
    """
    mean = mean_scores(made.margins, made.scores)
    square = mean_scores(made.margins, tuple(score**2 for score in made.scores))
    variance = np.maximum(square - mean**2, 0.05)
    joint = _joint_presence(made)
    scale = np.sqrt(variance[:, :, None] * variance[:, None, :]) * joint
    answer = products / made.sizes[:, None, None]
    noise = sd / (made.sizes[:, None, None] * scale)
    blocks, unrelated = pair_blocks(made.layout), _unrelated(made.layout)
    raw = (answer - mean[:, :, None] * mean[:, None, :] * joint) / scale
    factors = _denoised(raw, noise, blocks, unrelated)
    for _ in range(_ROUNDS):
        simulated = np.empty_like(answer)
        for y, scores in enumerate(drawn_scores(made, factors)):
            simulated[y] = scores.T @ scores / len(scores)
        raw = factors @ factors.transpose(0, 2, 1) + (answer - simulated) / scale
        factors = _denoised(raw, noise, blocks, unrelated)
    return factors


def tilted_margins(made: Dependence, sums: NDArray[np.float64], sd: float, label_noise: float) -> Margins:
    """Gives the margins of each class, moved to the mean scores that were asked for directly.

    A class's own margin has one noisy count for each level; its mean score is known far better from the noisy
    sums. So the shape of all classes and visits together, tilted to the mean of the class (the distribution nearest to
    it with that mean: Csiszar 1975), is mixed with the class's own shape as the noise demands (empirical Bayes), and
    the mixture is tilted again.

    Args:
        made: Margins, scores and class sizes.
        sums: Noisy sums of scores, shape (classes, variables).
        sd: Noise of each sum.
        label_noise: Noise of each count in the label tables.
    """
    presence, sizes = made.presence, made.sizes
    own_mean = mean_scores(made.margins, made.scores)
    # Clipping draws the sums towards 0; patients drawn from the margins tell by how much.
    independent = np.broadcast_to(np.eye(len(made.scores)), (len(sizes), len(made.scores), len(made.scores)))
    clipped = np.array([scores.mean(axis=0) for scores in drawn_scores(made, independent)])
    asked = own_mean + (sums / sizes[:, None] - clipped) / presence
    asked_variance = (sd / (sizes[:, None] * presence)) ** 2 + 1e-12
    own_variance = (
        np.array([(label_noise / sizes) ** 2 * (score**2).sum() for score in made.scores]).T / presence**2 + 1e-12
    )
    target = (asked / asked_variance + own_mean / own_variance) / (1 / asked_variance + 1 / own_variance)
    pooled = _pooled_margins(made)
    return tuple(
        _mixed(margin, score, target[:, at], pooled[at], label_noise / (sizes * presence[:, at]))
        for at, (margin, score) in enumerate(zip(made.margins, made.scores, strict=True))
    )


def _pooled_margins(made: Dependence) -> list[NDArray[np.float64]]:
    """Gives for each variable the margin of all classes together, and of all visits of its column."""
    shares = made.sizes / made.sizes.sum()
    own = [shares @ margin for margin in made.margins]
    alike: dict[str, list[int]] = {}
    for at, variable in enumerate(made.layout.variables):
        alike.setdefault(variable.column.name, []).append(at)
    found = list(own)
    for members in alike.values():
        weight = np.array([shares @ made.presence[:, at] for at in members])
        mean = np.array([own[at] for at in members]).T @ weight / weight.sum()
        for at in members:
            found[at] = mean
    return found


def mean_scores(margins: Margins, scores: tuple[NDArray[np.float64], ...]) -> NDArray[np.float64]:
    """Gives the mean score of each variable in each class, shape (classes, variables)."""
    return np.array([margin @ score for margin, score in zip(margins, scores, strict=True)]).T


def drawn_scores(made: Dependence, factors: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Gives for each class the clipped scores of patients drawn from a copula, shape (drawn, variables).

    Args:
        made: Margins and scores.
        factors: L of each class, shape (classes, variables, variables).
    """
    # Replayable on purpose: the same numbers in each round, and no patient is involved.
    normals = Seed(0).stream("drawn scores").standard_normal((_SIMULATED, len(made.scores)))
    for y, factor in enumerate(factors):
        drawn = normals @ factor.T
        scores = np.empty_like(drawn)
        levels = np.empty(drawn.shape, dtype=np.int64)
        for at, (margin, order) in enumerate(zip(made.margins, made.order, strict=True)):
            borders = np.cumsum(margin[y][order])[:-1]
            edges = normal_quantile(np.clip(borders, 1e-9, 1 - 1e-9))
            levels[:, at] = order[np.searchsorted(edges, drawn[:, at])]
            scores[:, at] = made.scores[at][levels[:, at]]
        scores[absent_cells(made, levels)] = 0.0
        yield scaled_down(scores, made.radius)


def absent_cells(made: Dependence, levels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Gives which cells of drawn patients belong to a visit that did not take place; shape (patients, variables)."""
    absent = np.zeros(levels.shape, dtype=bool)
    cells = [at for at, variable in enumerate(made.layout.variables) if variable.role == "cell"]
    slots = np.array([made.layout.variables[at].slot for at in cells])
    for at, variable in enumerate(made.layout.variables):
        if variable.role == "presence":
            mine = [cell for cell, slot in zip(cells, slots, strict=True) if slot == variable.slot]
            absent[:, mine] = (levels[:, at] == 0)[:, None]
        elif variable.role == "count":
            visits = np.asarray(made.counts)[levels[:, at]]
            absent[:, cells] = slots[None, :] >= visits[:, None]
    return absent


def pair_blocks(layout: Layout) -> NDArray[np.int64]:
    """Numbers pairs of variables that should correlate alike, shape (variables, variables).

    Pairs of cells of the same two columns at the same distance between visits share a number; other pairs have
    one of their own.
    """
    names = {name: at for at, name in enumerate(dict.fromkeys(v.column.name for v in layout.variables))}
    column = np.array([names[variable.column.name] for variable in layout.variables])
    slot = np.array([variable.slot for variable in layout.variables])
    cell = slot >= 0
    both = cell[:, None] & cell[None, :]
    swap = column[:, None] > column[None, :]
    first, second = np.minimum(column[:, None], column[None, :]), np.maximum(column[:, None], column[None, :])
    lag = np.where(swap, -1, 1) * (slot[None, :] - slot[:, None])
    lag = np.where(first == second, np.abs(lag), lag)
    size, most = len(names), 2 * (slot.max() + 1) + 1
    shared = (first * size + second) * most + lag + most // 2
    own = size * size * most + np.arange(len(layout))[:, None] * len(layout) + np.arange(len(layout))[None, :]
    return np.where(both, shared, np.minimum(own, own.T))


def normal_quantile(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the standard normal quantile of shares in (0, 1), shape (levels,)."""
    standard = NormalDist()
    return np.array([standard.inv_cdf(one) for one in share.tolist()])


def _mixed(
    margin: NDArray[np.float64], score: NDArray[np.float64], target: NDArray[np.float64], pooled: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    tilted = np.array([tilt(pooled, score, goal) for goal in target])
    # How far the class's own shape is from the tilted one, beyond what noise explains, over all classes and levels.
    expected = (noise**2).mean() * (1 - 1 / len(pooled))
    signal = max(float(((margin - tilted) ** 2).mean()) - expected, 0.0)
    own = signal / (signal + expected) if expected > 0 else 1.0
    return np.array(
        [tilt(own * m + (1 - own) * t, score, goal) for m, t, goal in zip(margin, tilted, target, strict=True)]
    )


def tilt(shares: NDArray[np.float64], score: NDArray[np.float64], goal: float) -> NDArray[np.float64]:
    """Gives shares proportional to `shares * exp(c score)` with mean score `goal`, as near as the levels allow.

    Args:
        shares: Shape (levels,), sum 1.
        score: Shape (levels,).
        goal: The mean score.
    """
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        weight = shares * np.exp(middle * (score - score.max() if middle > 0 else score - score.min()))
        if weight @ score < goal * weight.sum():
            low = middle
        else:
            high = middle
    weight = shares * np.exp(low * (score - score.max() if low > 0 else score - score.min()))
    return weight / weight.sum()


def _joint_presence(made: Dependence) -> NDArray[np.float64]:
    """Gives the share of patients who have both variables, shape (classes, variables, variables)."""
    one, other = made.presence[:, :, None], made.presence[:, None, :]
    visits = made.layout.schema.visits
    if visits is None or visits.complete:
        return np.ones_like(one * other)
    slot = np.array([variable.slot if variable.role == "cell" else -1 for variable in made.layout.variables])
    together = (slot[:, None] == slot[None, :]) | visits.ragged
    return np.maximum(np.where(together, np.minimum(one, other), one * other), 0.02)


def _unrelated(layout: Layout) -> NDArray[np.bool_]:
    """Marks pairs of a visit's presence and a cell of that visit: the cell exists only where the flag is true."""
    size = len(layout)
    marked = np.zeros((size, size), dtype=bool)
    for i, first in enumerate(layout.variables):
        for j, second in enumerate(layout.variables):
            if first.role == "presence" and second.role == "cell" and first.slot == second.slot:
                marked[i, j] = marked[j, i] = True
    return marked


def _denoised(
    raw: NDArray[np.float64], noise: NDArray[np.float64], blocks: NDArray[np.int64], unrelated: NDArray[np.bool_]
) -> NDArray[np.float64]:
    raw[:, unrelated] = 0.0
    return np.array([_factor(matrix) for matrix in _shrunk(np.clip(raw, -1.2, 1.2), noise, blocks)])


def _shrunk(raw: NDArray[np.float64], noise: NDArray[np.float64], blocks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Gives denoised correlations: empirical Bayes towards the block, the other classes, and 0."""
    upper = np.triu_indices(raw.shape[1], 1)
    values = np.array([matrix[upper] for matrix in raw])  # (classes, pairs)
    variances = np.array([matrix[upper] for matrix in noise]) ** 2 + 1e-12
    values, variances = _towards_classes(values, variances)
    values, variances = _towards_blocks(values, variances, blocks[upper])
    signal = np.maximum((values**2).mean(axis=1, keepdims=True) - variances.mean(axis=1, keepdims=True), 1e-4)
    values = np.clip(values * signal / (signal + variances), -0.99, 0.99)
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
    spread = np.maximum(((values - pool) ** 2).mean(axis=1) - variances.mean(axis=1), 1e-6)[:, None]
    own = spread / (spread + variances)
    return own * values + (1 - own) * pool, own**2 * variances + (1 - own**2) * pool_variance


def _towards_blocks(
    values: NDArray[np.float64], variances: NDArray[np.float64], blocks: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    _, block, count = np.unique(blocks, return_inverse=True, return_counts=True)
    if count.max() == 1:
        return values, variances
    mean = np.array([np.bincount(block, weights=row) / count for row in values])[:, block]
    shared = np.broadcast_to((count > 1)[block], values.shape)
    size = count[block]
    rest = np.where(shared, (values - mean) ** 2 * size / np.maximum(size - 1, 1), 0.0)
    spread = rest.sum(axis=1) / shared.sum(axis=1) - (variances * shared).sum(axis=1) / shared.sum(axis=1)
    own = np.maximum(spread, 1e-6)[:, None] / (np.maximum(spread, 1e-6)[:, None] + variances)
    own = np.where(shared, own, 1.0)
    return own * values + (1 - own) * mean, own**2 * variances + (1 - own) ** 2 * variances / size


def _factor(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    positive = (vectors * np.maximum(values, _FLOOR)) @ vectors.T
    scale = 1 / np.sqrt(np.diag(positive))
    return np.linalg.cholesky(positive * scale[:, None] * scale[None, :]).astype(np.float64)
