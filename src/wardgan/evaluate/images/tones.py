"""Whether grey levels and fineness are those of real images: distance of histograms and of power spectra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from wardgan.estimate import Estimate
from wardgan.evaluate.images.clusters import by_patient
from wardgan.evaluate.images.sets import ImageSet, Pixels, Values
from wardgan.evaluate.images.waves import spectra
from wardgan.evaluate.record import Beside, measured
from wardgan.evaluate.resample import Resamples, interval
from wardgan.rng import Seed

BINS: Final = 64
_BLOCK: Final = 1 << 21


def intensity_gap(train: ImageSet, synthetic: ImageSet, holdout: ImageSet, *, seed: Seed) -> Beside:
    """Gives how far grey levels have to be moved to make all pixels alike in distribution, as a share of the range.

    The earth mover's distance of two histograms of 64 grey levels, each image counting alike, mean over the channels: 0
    for equal histograms, 1 for black against white. Unlike a difference of bins it is the same for images of 8 and of
    16 bits.

    Args:
        train: Training images.
        synthetic: Synthetic images.
        holdout: Hold-out images.
        seed: Source of randomness of the intervals.

    Source:
        Rubner, Tomasi and Guibas, Int J Comput Vis 2000;40:99; in one dimension the area between the distribution
        functions. Interval by patients of both sets: see `resample.interval`.
    """
    sides = {"train": train, "synthetic": synthetic, "holdout": holdout}
    found = {name: _histograms(images.pixels) for name, images in sides.items()}

    def apart(one: Values, other: Values) -> Values:
        steps = np.cumsum(one - other, axis=2)[:, :, :-1]  # (draws, channels, cuts)
        return np.abs(steps).sum(axis=2).mean(axis=1) / BINS

    return measured(lambda name: _gap(sides, found, name, seed, (apart, "earth mover's distance of grey levels")), True)


def spectrum_gap(train: ImageSet, synthetic: ImageSet, holdout: ImageSet, *, seed: Seed) -> Beside:
    """Gives how far the mean logarithms of the power at each fineness are apart: root of the mean square over radii.

    0.1 means that the power differs by some 10 percent. Blur, noise and the checkerboards of networks that enlarge by
    strided filters are seen here though nothing else may see them.

    Args:
        train: Training images.
        synthetic: Synthetic images.
        holdout: Hold-out images.
        seed: Source of randomness of the intervals.

    Source:
        Durall, Keuper and Keuper, CVPR 2020 (azimuthal mean of the power spectrum).
    """
    sides = {"train": train, "synthetic": synthetic, "holdout": holdout}
    found = {name: _spectra(images.pixels) for name, images in sides.items()}

    def apart(one: Values, other: Values) -> Values:
        return np.sqrt(((one - other) ** 2).mean(axis=(1, 2)))

    return measured(lambda name: _gap(sides, found, name, seed, (apart, "distance of log power spectra")), True)


def _gap(
    sides: dict[str, ImageSet],
    found: dict[str, Values],
    name: str,
    seed: Seed,
    how: tuple[Callable[[Values, Values], Values], str],
) -> Estimate:
    apart, text = how
    one, other = (_means(found[side], sides[side], seed, side) for side in ("train", name))
    values = apart(one, other)
    return interval(values, sides[name].people(), text, low=0.0)


def _means(values: Values, images: ImageSet, seed: Seed, name: str) -> Values:
    """Gives the mean over images in the sample and in each draw of patients, shape (1 + draws, *rest)."""
    sums, counts = by_patient(values, images.patients)
    draws = Resamples.of(len(counts), seed, f"images/{name}")
    total = draws.sums(counts)
    return draws.sums(sums) / total.reshape(-1, *(1,) * (values.ndim - 1))


def _histograms(pixels: Pixels) -> Values:
    """Gives the share of each grey level, shape (images, channels, bins)."""
    n, channels = pixels.shape[:2]
    rows = n * channels
    flat = pixels.reshape(rows, -1)
    found: list[Values] = []
    size = max(1, _BLOCK // flat.shape[1])
    for at in range(0, rows, size):
        level = np.clip((flat[at : at + size] + 1) / 2 * BINS, 0, BINS - 1).astype(np.int64)
        code = np.arange(len(level))[:, None] * BINS + level
        found.append(np.bincount(code.ravel(), minlength=len(level) * BINS).reshape(len(level), BINS) / flat.shape[1])
    return np.concatenate(found).reshape(n, channels, BINS)


def _spectra(pixels: Pixels) -> Values:
    """Gives the logarithm of the power at each radius, shape (images, channels, radii)."""
    n, channels = pixels.shape[:2]
    flat = pixels.reshape(n * channels, *pixels.shape[2:])
    size = max(1, _BLOCK // int(np.prod(pixels.shape[2:])))
    parts = [spectra(flat[at : at + size].astype(np.float64)) for at in range(0, len(flat), size)]
    return np.concatenate(parts).reshape(n, channels, -1)
