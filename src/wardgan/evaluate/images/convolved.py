"""Features of a small convolutional network with fixed random weights: nothing is trained, nothing is downloaded."""

from __future__ import annotations

import hashlib
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.evaluate.images.sets import Pixels, Values, shrunk
from wardgan.rng import Seed

_WIDTHS: Final = (12, 16, 24)
_SLOPE: Final = 0.2
_SIDE: Final = 128
_BLOCK: Final = 1 << 20
_SEED: Final = Seed(20_260_101)


def random_features(pixels: Pixels) -> Values:
    """Gives features of a convolutional network with fixed random weights.

    Three layers of 3 x 3 filters with leaky rectifiers, each at half the resolution of the one before. Of each channel
    the mean and the standard deviation over the image, in the second layer the means of the four quarters, so that it
    matters where something is. Images longer than 128 pixels are made smaller by means over blocks first.

    Args:
        pixels: Shape (images, channels, height, width), from -1 to 1.

    Returns:
        Shape (images, 152). The same weights for the same number of channels, always: see `weights_digest`.

    Source:
        Random networks as features where images are unlike photographs: Naeem et al., ICML 2020.

    Example:
        >>> random_features(np.zeros((2, 1, 28, 28), dtype=np.float32)).shape
        (2, 152)
    """
    small = shrunk(pixels, _SIDE)
    filters = _weights(pixels.shape[1])
    size = max(1, _BLOCK // int(np.prod(small.shape[2:])) // max(_WIDTHS))
    blocks = [_described(small[at : at + size], filters) for at in range(0, len(small), size)]
    return np.concatenate(blocks).astype(np.float64)


def weights_digest(channels: int) -> str:
    """Gives the SHA-256 digest of the weights for images with so many channels, in 64 hexadecimal digits."""
    return hashlib.sha256(b"".join(part.astype("<f4").tobytes() for part in _weights(channels))).hexdigest()


def _weights(channels: int) -> list[NDArray[np.float32]]:
    """Gives for each layer the filters, shape (9 x inputs + 1, outputs); the last row is what is added."""
    found: list[NDArray[np.float32]] = []
    inputs = channels
    for layer, outputs in enumerate(_WIDTHS):
        stream = _SEED.stream(f"random features/{channels}", layer)
        # The variance that keeps the variance of the layer before (He et al., ICCV 2015).
        spread = math.sqrt(2 / (1 + _SLOPE**2) / (9 * inputs))
        filters = stream.standard_normal((9 * inputs, outputs)) * spread
        found.append(np.vstack([filters, stream.standard_normal((1, outputs)) * 0.1]).astype(np.float32))
        inputs = outputs
    return found


def _described(pixels: Pixels, filters: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    maps = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))  # (images, height, width, channels)
    parts: list[NDArray[np.float32]] = []
    for layer, weights in enumerate(filters):
        maps = _convolved(maps if not layer else _halved(maps), weights)
        parts += _quarters(maps) if layer == 1 else [maps.mean(axis=(1, 2))]
        parts.append(maps.std(axis=(1, 2)))
    return np.concatenate(parts, axis=1)


def _convolved(maps: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gives the next layer at the same size, edges repeated; shape (images, height, width, outputs)."""
    n, height, width, channels = maps.shape
    wide = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(1, 2))  # (n, h, w, channels, 3, 3)
    rows = windows.reshape(n * height * width, 9 * channels)
    found = (rows @ weights[:-1] + weights[-1]).reshape(n, height, width, -1)
    return np.where(found > 0, found, np.float32(_SLOPE) * found)


def _halved(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gives means over blocks of 2 x 2; an odd last row or column is left out."""
    n, height, width, channels = maps.shape
    even = maps[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


def _quarters(maps: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    rows, columns = maps.shape[1] // 2, maps.shape[2] // 2
    tops = (maps[:, :rows], maps[:, rows:])
    return [part.mean(axis=(1, 2)) for top in tops for part in (top[:, :, :columns], top[:, :, columns:])]
