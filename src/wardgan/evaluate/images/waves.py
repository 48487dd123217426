"""What grey images are made of at each scale: Haar wavelets, power spectrum, gradients."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wardgan.evaluate.images.sets import Values

DEPTH: Final = 3
BANDS: Final = 8
# Power of rounding to 256 grey levels: what is below it cannot be told from a rounded image.
FLOOR: Final = (2 / 255) ** 2 / 12
GRADIENT: Final = (
    "mean",
    "sd",
    "skewness",
    "kurtosis",
    "p90",
    "p99",
    "coherence",
    "slant",
    "fine_energy",
    "coarse_energy",
)


def haar(images: Values) -> Values:
    """Gives energies of Haar wavelets at three scales.

    Args:
        images: Shape (images, height, width); an odd last row or column is left out at each scale.

    Returns:
        Shape (images, 18): for each scale from fine to coarse, and for horizontal, vertical and diagonal detail, the
        logarithm of the mean square, and the mean absolute value by the root of the mean square (small where the
        detail is in few places).

    Source:
        Mallat, IEEE Trans Pattern Anal Mach Intell 1989;11:674.
    """
    found: list[Values] = []
    for _ in range(DEPTH):
        rows, columns = images.shape[1] // 2 * 2, images.shape[2] // 2 * 2
        a, b = images[:, 0:rows:2, 0:columns:2], images[:, 0:rows:2, 1:columns:2]
        c, d = images[:, 1:rows:2, 0:columns:2], images[:, 1:rows:2, 1:columns:2]
        for detail in ((a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2):
            square = (detail**2).mean(axis=(1, 2))
            found += [np.log(square + FLOOR), np.abs(detail).mean(axis=(1, 2)) / np.sqrt(square + FLOOR)]
        images = (a + b + c + d) / 2
    return np.column_stack(found)


def spectra(images: Values) -> Values:
    """Gives the logarithm of the mean power at each distance from the centre of the spectrum.

    Args:
        images: Shape (images, height, width).

    Returns:
        Shape (images, radii): from one cycle in the image to the finest pattern along an axis, each radius rounded to
        whole cycles of the longer side. The power of rounding to 256 levels is added, so that images without fine
        patterns that were stored in 8 bits and in more differ by log 2 at most. The mean of an image is left out.
    """
    power = _power(images)
    ring, count = _rings(*images.shape[1:])
    rings = np.stack([power[:, ring == radius].mean(axis=1) for radius in range(1, count + 1)], axis=1)
    return np.log(rings + FLOOR)


def spectrum(images: Values) -> Values:
    """Gives ten numbers of the power spectrum.

    Args:
        images: Shape (images, height, width).

    Returns:
        Shape (images, 10): the mean logarithm of the power in eight bands of equal width from coarse to fine; the slope
        of the logarithm of the power over that of the radius; the logarithm of horizontal by vertical power.
    """
    logs = spectra(images)  # (images, radii)
    radii = logs.shape[1]
    band = np.minimum(np.arange(radii) * BANDS // radii, BANDS - 1)
    bands = [logs[:, band == number].mean(axis=1) for number in range(BANDS)]
    at = np.log(np.arange(1, radii + 1))
    at -= at.mean()
    slope = logs @ at / (at @ at)
    power = _power(images)
    across, along = (np.abs(grid) for grid in _frequencies(*images.shape[1:]))
    wide, tall = (power[:, where].mean(axis=1) for where in (along > across, across > along))
    return np.column_stack([*bands, slope, np.log((wide + FLOOR) / (tall + FLOOR))])


def gradients(images: Values) -> Values:
    """Gives ten numbers of the gradients, in the order of `GRADIENT`.

    Args:
        images: Shape (images, height, width).

    Returns:
        Shape (images, 10): of the size of the gradient by central differences; how far all gradients lie along one
        line (coherence, 0 to 1) and how far that line is horizontal rather than vertical (slant, -1 to 1); the
        logarithm of the energy that one blur takes away, and of what a second and third one take.

    Source:
        Coherence: Bigün and Granlund, ICCV 1987 (structure tensor).
    """
    down = (images[:, 2:, 1:-1] - images[:, :-2, 1:-1]) / 2
    right = (images[:, 1:-1, 2:] - images[:, 1:-1, :-2]) / 2
    size = np.hypot(down, right).reshape(len(images), -1)
    xx, yy, xy = ((one * two).mean(axis=(1, 2)) for one, two in ((right, right), (down, down), (right, down)))
    total = xx + yy + FLOOR
    once = blurred(images)
    thrice = blurred(blurred(once))
    energies = [np.log((part**2).mean(axis=(1, 2)) + FLOOR) for part in (images - once, once - thrice)]
    return np.column_stack(
        [
            size.mean(axis=1),
            size.std(axis=1),
            *shape_of(size),
            *np.quantile(size, [0.9, 0.99], axis=1),
            np.hypot(xx - yy, 2 * xy) / total,
            (xx - yy) / total,
            *energies,
        ]
    )


def blurred(images: Values) -> Values:
    """Gives images blurred by the weights 1, 2, 1 along both axes, edges repeated; shape (images, height, width)."""
    for axis in (1, 2):
        before, after = (np.take(images, _beside(images.shape[axis], step), axis=axis) for step in (-1, 1))
        images = (before + 2 * images + after) / 4
    return images


def shape_of(values: Values) -> tuple[Values, Values]:
    """Gives skewness and excess kurtosis of each row, both cut by a logarithm and 0 for a constant row.

    Args:
        values: Shape (images, pixels).

    Returns:
        Two arrays of shape (images,): sign(s) log(1 + |s|) of either, because both have long tails.
    """
    around = values - values.mean(axis=1, keepdims=True)
    variance = (around**2).mean(axis=1)
    safe = np.where(variance > FLOOR / 100, variance, 1.0)
    flat = variance > FLOOR / 100
    third = np.where(flat, (around**3).mean(axis=1) / safe**1.5, 0.0)
    fourth = np.where(flat, (around**4).mean(axis=1) / safe**2 - 3, 0.0)
    return long_tailed(third), long_tailed(fourth)


def long_tailed(values: Values) -> Values:
    """Gives sign(x) log(1 + |x|), which shortens the tails of a feature and keeps its order.

    Example:
        >>> long_tailed(np.array([-1.0, 0.0, 1.0])).round(3).tolist()
        [-0.693, 0.0, 0.693]
    """
    return np.sign(values) * np.log1p(np.abs(values))


def _beside(size: int, step: int) -> NDArray[np.intp]:
    return np.clip(np.arange(size) + step, 0, size - 1)


def _power(images: Values) -> Values:
    """Gives the power of each frequency; the mean over all is the variance of the image. Shape of the images."""
    around = images - images.mean(axis=(1, 2), keepdims=True)
    return np.abs(np.fft.fft2(around)) ** 2 / (images.shape[1] * images.shape[2])


def _frequencies(height: int, width: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Gives vertical and horizontal frequency in cycles per pixel, both of shape (height, width)."""
    down, right = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    return down, right


def _rings(height: int, width: int) -> tuple[NDArray[np.int64], int]:
    """Gives the radius of each frequency in whole cycles of the longer side, and the largest that is used."""
    down, right = _frequencies(height, width)
    side = max(height, width)
    return np.rint(np.hypot(down, right) * side).astype(np.int64), math.floor(side / 2)
