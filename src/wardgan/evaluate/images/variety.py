"""How unlike each other the images of one set are: a generator that makes one image again and again has none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import Estimate, mean
from wardgan.evaluate.images.sets import ImageSet, Values, one_each
from wardgan.evaluate.record import Beside, measured, plain_fields
from wardgan.rng import Seed

_WEIGHTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW: Final = 7
_SD: Final = 1.5
_RANGE: Final = 2.0
_PAIRS: Final = 500

Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Diversity:
    """How unlike each other images of different patients are, beside the same number of the hold-out.

    Attributes:
        similarity: Mean structural similarity at several scales of two images, at most 1 (the same image). Above the
            baseline the images are too much alike.
        spread: Mean distance of two images in their features. Below the baseline they are too much alike.
    """

    similarity: Beside
    spread: Beside

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def diversity(
    synthetic: tuple[ImageSet, Values], holdout: tuple[ImageSet, Values], *, seed: Seed, name: str = "all"
) -> Diversity:
    """Tells how unlike each other the synthetic images are, and those of the hold-out.

    At most 500 pairs of either set, of two patients each; no patient is in two pairs, so the pairs are independent and
    the interval is that of a mean.

    Args:
        synthetic: Images and their features, of shape (images, features); at least two pairs of patients.
        holdout: The same of the hold-out.
        seed: Source of randomness of the pairs.
        name: Which part of the images; another name gives other pairs.

    Source:
        Mean similarity of pairs as a sign of collapse: Odena, Olah and Shlens, ICML 2017, section 4.2.
    """
    sides = {"synthetic": synthetic, "holdout": holdout}
    pairs = {side: _pairs(images, seed, f"{name}/{side}") for side, (images, _) in sides.items()}
    alike = {side: similarity(*(sides[side][0].pixels[one] for one in both)) for side, both in pairs.items()}
    apart = {side: _distance(sides[side][1], *both) for side, both in pairs.items()}
    return Diversity(
        measured(lambda side: _mean(alike[side], "structural similarity at several scales"), True),
        measured(lambda side: _mean(apart[side], "distance in features"), True),
    )


def similarity(one: NDArray[Any], other: NDArray[Any]) -> Values:
    """Gives the structural similarity at several scales of pairs of images.

    Windows of 7 x 7 with Gaussian weights (sd 1.5 pixels), as many scales up to five as leave a window in the image,
    their exponents scaled to sum to 1: 3 scales at 28 pixels, 4 at 64, 5 from 112 on. A negative mean at a scale counts
    as 0.

    Args:
        one: Shape (pairs, channels, height, width), from -1 to 1.
        other: Of the same shape.

    Returns:
        Shape (pairs,): mean over the channels.

    Source:
        Wang, Simoncelli and Bovik, Asilomar 2003, equation 7 (there with windows of 11 x 11).

    Example:
        >>> similarity(np.ones((1, 1, 28, 28)), np.ones((1, 1, 28, 28))).tolist()
        [1.0]
    """
    one, other = one.astype(np.float64), other.astype(np.float64)
    scales = min(len(_WEIGHTS), int(np.log2(min(one.shape[2:]) / _WINDOW)) + 1)
    exponents = np.array(_WEIGHTS[:scales]) / sum(_WEIGHTS[:scales])
    product = np.ones(one.shape[:2])
    for scale in range(scales):
        light, contrast = _compared(one, other)  # (pairs, channels)
        last = scale == scales - 1
        product = product * np.maximum(light if last else contrast, 0.0) ** exponents[scale]
        if not last:
            one, other = _halved(one), _halved(other)
    return product.mean(axis=1)


def _compared(one: Values, other: Values) -> tuple[Values, Values]:
    """Gives similarity with and without the comparison of lightness, each of shape (pairs, channels)."""
    small, smaller = (0.01 * _RANGE) ** 2, (0.03 * _RANGE) ** 2
    first, second = _smoothed(one), _smoothed(other)
    squares = _smoothed(one * one) - first**2, _smoothed(other * other) - second**2
    both = _smoothed(one * other) - first * second
    contrast = (2 * both + smaller) / (squares[0] + squares[1] + smaller)
    light = (2 * first * second + small) / (first**2 + second**2 + small)
    return (light * contrast).mean(axis=(2, 3)), contrast.mean(axis=(2, 3))


def _smoothed(images: Values) -> Values:
    at = np.arange(_WINDOW) - _WINDOW // 2
    weights = np.exp(-(at**2) / (2 * _SD**2))
    weights /= weights.sum()
    for axis in (2, 3):
        windows = np.lib.stride_tricks.sliding_window_view(images, _WINDOW, axis=axis)
        images = windows @ weights
    return images


def _halved(images: Values) -> Values:
    rows, columns = images.shape[2] // 2, images.shape[3] // 2
    even = images[:, :, : 2 * rows, : 2 * columns]
    return even.reshape(*images.shape[:2], rows, 2, columns, 2).mean(axis=(3, 5))


def _mean(found: Values, text: str) -> Estimate:
    return replace(mean(found.tolist()), method=f"{text}, mean over pairs of patients, t interval")


def _pairs(images: ImageSet, seed: Seed, name: str) -> tuple[Positions, Positions]:
    """Gives the positions of the first and of the second image of each pair."""
    chosen = one_each(images.patients, seed, f"diversity/{name}")
    half = min(len(chosen) // 2, _PAIRS)
    return chosen[:half], chosen[half : 2 * half]


def _distance(features: Values, one: Positions, other: Positions) -> Values:
    return np.sqrt(((features[one] - features[other]) ** 2).sum(axis=1))
