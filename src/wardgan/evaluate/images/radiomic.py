"""Radiomics: about a hundred numbers with names that describe a grey image, without any network."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.evaluate.images.sets import Pixels, Values, grey
from wardgan.evaluate.images.textures import BESIDE, LEVELS, REACHES, RUNS, entropy, levels, neighbours, runs
from wardgan.evaluate.images.waves import (
    BANDS,
    DEPTH,
    GRADIENT,
    gradients,
    haar,
    long_tailed,
    shape_of,
    spectrum,
)

_QUANTILES: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_FIRST: Final = (
    "mean",
    "sd",
    "skewness",
    "kurtosis",
    *(f"p{100 * share:.0f}" for share in _QUANTILES),
    "absolute_deviation",
    "interquartile_range",
    "energy",
    "entropy",
    "uniformity",
)
_HAAR: Final = tuple(
    f"{scale}_{way}_{what}"
    for scale in range(1, DEPTH + 1)
    for way in ("horizontal", "vertical", "diagonal")
    for what in ("energy", "spread")
)
# The features with long tails, which are given as sign(x) log(1 + |x|).
_LONG: Final = ("contrast", "shade", "prominence", "long", "long_low", "high_grey", "short_high", "length_variance")
_BLOCK: Final = 1 << 21

NAMES: Final[tuple[str, ...]] = (
    *(f"first_{name}" for name in _FIRST),
    *(f"glcm{reach}_{name}" for reach in REACHES for name in BESIDE),
    *(f"run_{name}" for name in RUNS),
    *(f"haar_{name}" for name in _HAAR),
    *(f"spectrum_band{number}" for number in range(1, BANDS + 1)),
    "spectrum_slope",
    "spectrum_tilt",
    *(f"gradient_{name}" for name in GRADIENT),
)


def radiomics(pixels: Pixels) -> Values:
    """Gives numbers that describe the grey image, the mean over the channels.

    First order (moments, quantiles, entropy), grey level co-occurrence at 1 and 3 pixels, run lengths, Haar wavelet
    energies, power spectrum and gradients. Grey levels are 16 of equal width between -1 and 1, the same for all images.
    Features with long tails are given as sign(x) log(1 + |x|).

    Args:
        pixels: Shape (images, channels, height, width), from -1 to 1.

    Returns:
        Shape (images, features), named by `NAMES`.

    Source:
        The features of the Image Biomarker Standardisation Initiative (Zwanenburg et al., Radiology 2020;295:328), with
        the levels above and each table summed over its four directions, so they are no reference values.

    Example:
        >>> radiomics(np.zeros((2, 1, 28, 28), dtype=np.float32)).shape[1] == len(NAMES)
        True
    """
    size = max(1, _BLOCK // (pixels.shape[2] * pixels.shape[3]))
    return np.concatenate([_described(grey(pixels[at : at + size])) for at in range(0, len(pixels), size)])


def _described(images: Values) -> Values:
    found = levels(images)
    parts = [_first(images), *(neighbours(found, reach) for reach in REACHES), runs(found)]
    parts += [haar(images), spectrum(images), gradients(images)]
    values = np.concatenate(parts, axis=1)
    tails = np.array([name.split("_", 1)[1] in _LONG for name in NAMES])
    values[:, tails] = long_tailed(values[:, tails])
    return values


def _first(images: Values) -> Values:
    flat = images.reshape(len(images), -1)
    quantiles = np.quantile(flat, _QUANTILES, axis=1)  # (quantiles, images)
    mean = flat.mean(axis=1)
    shares = np.stack([np.bincount(row, minlength=2 * LEVELS) for row in _fine(flat)]) / flat.shape[1]
    return np.column_stack(
        [
            mean,
            flat.std(axis=1),
            *shape_of(flat),
            *quantiles,
            np.abs(flat - mean[:, None]).mean(axis=1),
            quantiles[5] - quantiles[3],
            (flat**2).mean(axis=1),
            entropy(shares),
            (shares**2).sum(axis=1),
        ]
    )


def _fine(flat: Values) -> NDArray[np.int64]:
    """Gives 32 grey levels."""
    return np.clip((flat + 1) * LEVELS, 0, 2 * LEVELS - 1).astype(np.int64)
