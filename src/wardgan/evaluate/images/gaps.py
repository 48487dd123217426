"""How far two sets of images are apart in their features: Frechet distance and kernel distance.

Both grow with the features and shrink with the images, so they mean nothing alone: as many images are taken of each
set, and the distance of the hold-out from the same training images stands beside. Neither is the number that is called
FID, which needs the features of one network that was trained on photographs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wardgan.estimate import Estimate
from wardgan.evaluate.images.clusters import grouped, jackknifed
from wardgan.evaluate.images.sets import Codes, Values
from wardgan.rng import Seed


@dataclass(frozen=True, eq=False, repr=False)
class Cloud:
    """Features of a set of images, and who they belong to.

    Attributes:
        features: Shape (images, features), on the scale of the reference.
        patients: Patient of each image, shape (images,).
        groups: Random group of each image's patient, shape (images,).
    """

    features: Values
    patients: Codes
    groups: Codes

    @classmethod
    def of(cls, features: Values, patients: Codes, seed: Seed, name: str) -> Cloud:
        """Gives the cloud with random groups of its patients."""
        return cls(features, patients, grouped(patients, seed, name))


@dataclass(frozen=True, eq=False, repr=False)
class Gap:
    """A distance of two clouds, and what it is without each group of patients of either.

    Attributes:
        value: The distance.
        without: Without each group of the first cloud, and of the second one, two arrays of shape (groups,).
        n: Number of images of the smaller cloud.
        text: Which distance.
    """

    value: float
    without: tuple[Values, Values]
    n: int
    text: str

    def estimate(self) -> Estimate:
        """Gives the distance with a jackknife interval by patient."""
        low = 0.0 if self.text.startswith("frechet") else -math.inf
        return jackknifed(self.value, self.without, self.n, self.text, low=low)


def frechet(one: Cloud, other: Cloud, text: str) -> Gap:
    """Gives the Frechet distance of two normal distributions with the means and covariances of the features.

    |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr (C1^1/2 C2 C1^1/2)^1/2. The last trace needs no inverse, so it is defined
    where there are fewer images than features, too, and nothing is added to the covariances and no feature is left out;
    such a distance is mostly noise, and so is that of the hold-out beside it.

    Args:
        one: The reference.
        other: What is compared with it; both have at least two groups.
        text: Name of the features.

    Source:
        Dowson and Landau, J Multivar Anal 1982;12:450; for features of images Heusel et al., NeurIPS 2017, equation 6.
    """
    first, second = _moments(one), _moments(other)
    roots = _root(first[1][0]), _root(second[1][0])
    value = _apart(first, 0, roots[0], second, 0)
    without = (
        np.array([_apart(second, 0, roots[1], first, at) for at in range(1, len(first[0]))]),
        np.array([_apart(first, 0, roots[0], second, at) for at in range(1, len(second[0]))]),
    )
    n = min(len(one.features), len(other.features))
    return Gap(value, without, n, f"frechet distance ({text})")


def kernel(one: Cloud, other: Cloud, text: str) -> Gap:
    """Gives the kernel distance: unbiased squared maximum mean discrepancy with the kernel (x y / features + 1)^3.

    Mean kernel of two images of different patients within either cloud, less twice that of one image of each. It is 0
    on average where both come from one distribution, whatever their sizes, so it may be negative.

    Args:
        one: The reference.
        other: What is compared with it; both have at least three groups.
        text: Name of the features.

    Source:
        Gretton et al., J Mach Learn Res 2012;13:723, lemma 6; kernel: Binkowski et al., ICLR 2018, section 4.
    """
    first, second = _within(one), _within(other)
    sums = _blocks(_kernel(one.features, other.features), one.groups, other.groups)
    pairs = np.outer(np.bincount(one.groups), np.bincount(other.groups))
    cross = sums.sum() / pairs.sum()
    across = [
        (sums.sum() - sums.sum(axis=axis)) / (pairs.sum() - pairs.sum(axis=axis)) for axis in (1, 0)
    ]  # without each group of the first, of the second
    value = first[0] + second[0] - 2 * cross
    without = (first[1:] + second[0] - 2 * across[0], first[0] + second[1:] - 2 * across[1])
    n = min(len(one.features), len(other.features))
    return Gap(float(value), without, n, f"kernel distance ({text})")


def nearness(synthetic: Gap, holdout: Gap) -> Estimate:
    """Gives the distance of the hold-out divided by that of the synthetic images: 1 as near as other patients, 0 far.

    Args:
        synthetic: Distance of the synthetic images from the training images.
        holdout: Distance of the hold-out from the same training images.

    Returns:
        The interval is a jackknife one of the logarithm. Above 1 the synthetic images are nearer to the training images
        than other patients are, which copies are.
    """
    text = f"{holdout.text} of the hold-out by that of the synthetic images"
    if min(synthetic.value, holdout.value) <= 0:
        return Estimate(math.nan, 0.0, math.inf, synthetic.n, f"{text}, a distance is 0, no interval", 1.0)
    logs = [[np.log(np.maximum(part, 1e-12)) for part in gap.without] for gap in (holdout, synthetic)]
    # The same training patients are left out of both distances.
    without: Sequence[Values] = [logs[0][0] - logs[1][0], logs[0][1], -logs[1][1]]
    found = jackknifed(math.log(holdout.value / synthetic.value), without, synthetic.n, text)
    value, low, high = (math.exp(end) for end in (found.value, found.low, found.high))
    return Estimate(value, low, high, found.n, found.method, 1.0)


def _moments(cloud: Cloud) -> tuple[Values, Values]:
    """Gives means and covariances of all images, then without each group; shapes (1 + groups, d) and (.., d, d)."""
    centre = cloud.features.mean(axis=0)
    around = cloud.features - centre
    size = int(cloud.groups.max()) + 1
    counts, sums, squares = [float(len(around))], [around.sum(axis=0)], [around.T @ around]
    for group in range(size):
        mine = around[cloud.groups == group]
        counts.append(counts[0] - len(mine))
        sums.append(sums[0] - mine.sum(axis=0))
        squares.append(squares[0] - mine.T @ mine)
    number, total, square = np.array(counts), np.stack(sums), np.stack(squares)
    means = total / number[:, None]
    spread = square - number[:, None, None] * means[:, :, None] * means[:, None, :]
    return means + centre, spread / np.maximum(number - 1, 1)[:, None, None]


def _root(covariance: Values) -> Values:
    found, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(found, 0.0))) @ vectors.T


def _apart(one: tuple[Values, Values], first: int, root: Values, other: tuple[Values, Values], second: int) -> float:
    """Gives the distance of one pair of moments, `root` being the root of the first covariance."""
    shift = one[0][first] - other[0][second]
    inner = root @ other[1][second] @ root
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh((inner + inner.T) / 2), 0.0)).sum()
    apart = shift @ shift + np.trace(one[1][first]) + np.trace(other[1][second]) - 2 * shared
    return max(0.0, float(apart))


def _kernel(one: Values, other: Values) -> Values:
    return (one @ other.T / one.shape[1] + 1) ** 3


def _blocks(table: Values, rows: Codes, columns: Codes) -> Values:
    """Gives the sums over pairs of groups, shape (groups of rows, groups of columns)."""
    one = (rows[:, None] == np.arange(rows.max() + 1)).astype(np.float64)
    two = (columns[:, None] == np.arange(columns.max() + 1)).astype(np.float64)
    return one.T @ table @ two


def _within(cloud: Cloud) -> Values:
    """Gives the mean kernel of images of different patients, then without each group; shape (1 + groups,)."""
    table = _kernel(cloud.features, cloud.features)
    apart = (cloud.patients[:, None] != cloud.patients).astype(np.float64)
    sums = _blocks(table * apart, cloud.groups, cloud.groups)
    pairs = _blocks(apart, cloud.groups, cloud.groups)

    def rest(blocks: Values) -> Values:
        # Pairs with one in the group are in its row and in its column, pairs within it in both.
        return np.append(blocks.sum(), blocks.sum() - 2 * blocks.sum(axis=1) + np.diag(blocks))

    return rest(sums) / rest(pairs)
