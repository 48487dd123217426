"""Whether synthetic images are where real ones are, and real ones where synthetic ones are: k nearest neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import Estimate
from wardgan.evaluate.images.clusters import mean_of, share_of
from wardgan.evaluate.images.gaps import Cloud
from wardgan.evaluate.images.sets import Codes, Values
from wardgan.evaluate.record import Beside, beside, plain_fields
from wardgan.points import parts, squared

NEAREST: Final = 5
_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Manifold:
    """Where synthetic images are among real ones; each number stands beside that of the hold-out.

    Attributes:
        precision: Share of the images that are no farther from some training image than its fifth nearest one is.
        recall: Share of the training images that are no farther from some image than its fifth nearest one is.
        density: In how many such neighbourhoods of training images an image is, by five; 1 for images of the same
            distribution on average, and more where they crowd.
        coverage: Share of the training images with an image no farther away than their fifth nearest training image.
        clipped_density: Density in which no image counts more than 1 and no neighbourhood is larger than the median
            one, by what training images reach among themselves; at most 1.
        clipped_coverage: What share of the images would have to be good, all others being bad, for each training image
            to have as many images near it.
    """

    precision: Beside
    recall: Beside
    density: Beside
    coverage: Beside
    clipped_density: Beside
    clipped_coverage: Beside

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def manifold(train: Cloud, synthetic: Cloud, holdout: Cloud) -> Manifold:
    """Tells where synthetic and hold-out images are among training images.

    The neighbours of an image are images of other patients: two images of one patient are alike, and a neighbourhood
    that reaches only to the same patient is too small. With one image of each patient this is the definition of the
    papers. Precision, density and clipped density have intervals by patient of the compared images, recall and both
    coverages by patient of the training images; each takes the images of the other set for given.

    Args:
        train: Training images, more than five patients.
        synthetic: Synthetic images, more than five patients.
        holdout: Hold-out images, more than five patients.

    Source:
        Kynkäänniemi et al., NeurIPS 2019, equations 1 and 2; Naeem et al., ICML 2020, section 3; Salvy, Talbot and
        Thirion 2025, arXiv:2507.01761, but with "at most" where it has "less than", as in the others.
    """
    reach = _reach(train)
    ours, theirs = (_numbers(train, reach, other) for other in (synthetic, holdout))
    return Manifold(*(beside(one, two) for one, two in zip(ours, theirs, strict=True)))


def _numbers(train: Cloud, reach: Values, other: Cloud) -> list[Estimate]:
    """Gives the six numbers of one set, in the order of `Manifold`."""
    narrow = np.minimum(reach, np.median(reach))
    back = _reach(other)
    apart = _Distances(train.features, other.features)
    inside = apart.counts(reach, axis=0)  # neighbourhoods of training images that hold each image
    held = apart.counts(reach, axis=1)  # images in the neighbourhood of each training image
    met = apart.counts(back, axis=1, of_other=True)  # neighbourhoods of images that hold each training image
    among = _Distances(train.features, train.features).counts(narrow, axis=0, apart=train.patients)
    best = float(np.minimum(among / NEAREST, 1.0).mean())
    crowd = np.minimum(apart.counts(narrow, axis=0) / NEAREST, 1.0)
    full = share_of(np.minimum(held / NEAREST, 1.0), train.patients, "clipped coverage, k = 5")
    share = share_of(crowd, other.patients, "clipped density, k = 5")
    calibrate = _calibration(len(train.features), len(other.features))
    return [
        share_of(inside > 0, other.patients, "precision, k = 5"),
        share_of(met > 0, train.patients, "recall, k = 5"),
        mean_of(inside / NEAREST, other.patients, "density, k = 5", low=0.0),
        share_of(held > 0, train.patients, "coverage, k = 5"),
        _mapped(share, lambda one: min(1.0, one / best) if best else math.nan),
        _mapped(full, calibrate),
    ]


@dataclass(frozen=True, eq=False, repr=False)
class _Distances:
    """Squared distances of two clouds, made in blocks of the second one when they are asked for.

    Attributes:
        one: Shape (first, features).
        other: Shape (second, features).
    """

    one: Values
    other: Values

    def counts(
        self, reach: Values, *, axis: int, of_other: bool = False, apart: Codes | None = None
    ) -> NDArray[np.int64]:
        """Gives how many of the others are near: axis 0 sums over the first cloud, 1 over the second one.

        Args:
            reach: Squared radius of each of the first cloud, or of the second one with `of_other`.
            axis: Over which cloud is counted.
            of_other: Whether the radii belong to the second cloud.
            apart: Patients of both clouds, which are the same; images of one patient do not count.
        """
        found = np.zeros(len(self.one if axis else self.other), dtype=np.int64)
        for here in parts(len(self.other)):
            near = squared(self.one, self.other[here]) <= (reach[here] if of_other else reach[:, None]) + _ROUNDING
            if apart is not None:
                near &= apart[:, None] != apart[here]
            if axis:
                found += near.sum(axis=1)
            else:
                found[here] = near.sum(axis=0)
        return found


def _reach(cloud: Cloud) -> Values:
    """Gives the squared distance of each image from the fifth nearest one of other patients, shape (images,)."""
    blocks: list[Values] = []
    for here in parts(len(cloud.features)):
        found = squared(cloud.features[here], cloud.features)
        found[cloud.patients[here, None] == cloud.patients] = np.inf
        blocks.append(np.partition(found, NEAREST - 1, axis=1)[:, NEAREST - 1])
    return np.concatenate(blocks)


def _mapped(found: Estimate, to: Callable[[float], float]) -> Estimate:
    return Estimate(to(found.value), to(found.low), to(found.high), found.n, found.method)


def _calibration(real: int, other: int) -> Callable[[float], float]:
    """Gives what share of the images is good where the mean clipped count has a value.

    If `good` images come from the distribution of the training images and all others are far from them, the number of
    images in the neighbourhood of a training image is beta-binomial: a neighbourhood that holds 5 of the other training
    images has a Beta(5, real - 5) share of the distribution.
    """
    good = np.arange(other + 1)
    expected = np.ones(other + 1)
    for count in range(NEAREST):
        expected -= (1 - count / NEAREST) * _beta_binomial(count, good, real - NEAREST)
    return lambda value: float(np.interp(value, expected, good / max(other, 1)))


def _beta_binomial(count: int, trials: NDArray[np.int64], rest: int) -> Values:
    """Gives the chance of exactly `count` of each number of trials, the rate being Beta(5, rest)."""
    size = int(trials.max()) + NEAREST + rest + 1
    logs = np.append(0.0, np.cumsum(np.log(np.arange(1, size + 1))))  # logarithms of factorials
    enough = trials >= count
    left = np.where(enough, trials - count, 0)
    chosen = logs[np.maximum(trials, count)] - logs[count] - logs[left]
    upper = logs[NEAREST + count - 1] + logs[rest + left - 1] - logs[NEAREST + rest + left + count - 1]
    lower = logs[NEAREST - 1] + logs[rest - 1] - logs[NEAREST + rest - 1]
    return np.where(enough, np.exp(chosen + upper - lower), 0.0)
