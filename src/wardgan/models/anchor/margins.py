"""The margins of each class, moved to mean scores that were asked for directly."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.models.anchor.dependence import Dependence, Margins, drawn
from wardgan.models.anchor.shrink import shrunk

SURE_SHAPE: Final = 2.0


def tilted_margins(made: Dependence, sums: NDArray[np.float64], sd: float, label_noise: float) -> Margins:
    """Gives the margins of each class, moved to the mean scores that were asked for directly.

    A class's own margin has one noisy count for each level; its mean score is known far better from the noisy
    sums. So the shape of all classes and visits together, tilted to the mean of the class (the distribution nearest to
    it with that mean: Csiszar 1975), is mixed with the class's own shape as the noise demands (empirical Bayes), and
    the mixture is tilted again. The score of holes gives the share of missing cells in the same way.

    Args:
        made: Margins, scores and class sizes.
        sums: Noisy sums of scores, shape (classes, axes).
        sd: Noise of each sum.
        label_noise: Noise of each count in the label tables.
    """
    there, own_mean, given = made.there(), made.moments(), made.given()
    # Clipping draws the sums towards 0; patients drawn from the margins tell by how much.
    independent = np.broadcast_to(np.eye(len(made.axes)), (len(made.sizes), len(made.axes), len(made.axes)))
    clipped = np.array([scores.mean(axis=0) for scores, _ in drawn(made, independent)])
    asked = own_mean + (sums / made.sizes[:, None] - clipped) / there
    count_noise = label_noise / (made.sizes[:, None] * there)  # (classes, axes)
    # The share of missing cells is one count beside a total; a mean score is a sum over all levels' counts.
    weight = np.array([4.0 if a.hole else (s**2).sum() for a, s in zip(made.axes, made.scores, strict=True)])
    asked_variance = (sd / (made.sizes[:, None] * there)) ** 2 + 1e-12
    own_variance = count_noise**2 * weight + 1e-12
    target = (asked / asked_variance + own_mean / own_variance) / (1 / asked_variance + 1 / own_variance)
    target = _towards_classes(made, target, 1 / (1 / asked_variance + 1 / own_variance), there)
    pooled = _pooled(made, given, there)
    values: list[NDArray[np.float64]] = []
    missing = {axis.at: made.missing(axis.at) for axis in made.axes}
    for place, axis in enumerate(made.axes):
        if axis.hole:
            base = made.scores[place].min()
            missing[axis.at] = np.clip((target[:, place] - base) / 2, 1e-4, 1 - 1e-4)
        else:
            values.append(
                _mixed(given[place], made.scores[place], target[:, place], pooled[place], count_noise[:, place])
            )
    return tuple(_joined(made, at, shares, missing[at]) for at, shares in enumerate(values))


def _towards_classes(
    made: Dependence, target: NDArray[np.float64], variance: NDArray[np.float64], there: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Gives the mean scores with their differences between classes denoised: most columns differ little."""
    if len(target) == 1:
        return target
    weight = made.sizes[:, None] * there
    weight = weight / weight.sum(axis=0)
    pool = (weight * target).sum(axis=0)
    # The noise of a difference from a mean that it is a part of.
    noise = variance * (1 - 2 * weight) + (weight**2 * variance).sum(axis=0)
    return pool + shrunk(target - pool, noise)[0]


def _joined(
    made: Dependence, at: int, values: NDArray[np.float64], missing: NDArray[np.float64]
) -> NDArray[np.float64]:  # fmt: skip
    level = made.levels[at].missing
    if level is None:
        return values
    margin = values * (1 - missing[:, None])
    margin[:, level] = missing
    return margin


def _pooled(made: Dependence, given: Margins, there: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Gives for each value's axis the margin of all classes together, and of all visits of its column."""
    shares = made.sizes / made.sizes.sum()
    alike: dict[str, list[int]] = {}
    for place, axis in enumerate(made.axes):
        if not axis.hole:
            alike.setdefault(made.layout.variables[axis.at].column.name, []).append(place)
    found: dict[int, NDArray[np.float64]] = {}
    for members in alike.values():
        weight = np.array([shares * there[:, place] for place in members])  # (members, classes)
        mean = sum(part @ given[place] for part, place in zip(weight, members, strict=True)) / weight.sum()
        found |= dict.fromkeys(members, np.asarray(mean))
    return found


def _mixed(
    margin: NDArray[np.float64], score: NDArray[np.float64], target: NDArray[np.float64], pooled: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Gives the margins of one visit: its own shape for all classes together, and then that of each class.

    Args:
        margin: Noisy shares, shape (classes, levels).
        score: Of each level, shape (levels,).
        target: Mean score of each class, shape (classes,).
        pooled: Shares of all classes and visits, shape (levels,).
        noise: Of each share of a class, shape (classes,).
    """
    precision = 1 / np.maximum(noise, 1e-12) ** 2
    together = precision / precision.sum() @ margin
    base = _shaped(together, tilt(pooled, score, float(together @ score)), float(precision.sum() ** -0.5))
    if len(margin) == 1:
        return np.array([tilt(base, score, goal) for goal in target])
    # Each class for itself: the noise of one with three patients says nothing about the shapes of the others.
    found = [
        tilt(_shaped(mine, tilt(base, score, goal), float(sd)), score, goal)
        for mine, goal, sd in zip(margin, target, noise, strict=True)
    ]
    return np.array(found)


def _shaped(own: NDArray[np.float64], usual: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """Gives an own shape, as far as it is farther from the usual one than noise explains (empirical Bayes)."""
    expected = noise**2 * (1 - 1 / len(own))
    # A mean of squares of a few levels is larger than expected by chance, too.
    signal = max(float(((own - usual) ** 2).mean()) - expected * (1 + SURE_SHAPE * np.sqrt(2 / len(own))), 0.0)
    keep = signal / (signal + expected) if expected > 0 else 1.0
    return keep * own + (1 - keep) * usual


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
