"""Small changes to real and fake images alike, through which gradients pass, so that few images teach longer.

Whatever the discriminator sees is changed in the same manner, so the generator does not learn the changes (Zhao, Liu,
Lin, Zhu, Han 2020, "Differentiable augmentation for data-efficient GAN training"). Masks move with their images and
keep their values.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_SHIFT: Final = 8
_BRIGHTER: Final = 0.2
_CONTRAST: Final = 0.3


def augmented(images: Tensor, stream: np.random.Generator, *, mask: bool, flips: bool) -> Tensor:
    """Gives images shifted by up to an eighth of their size, of other brightness and contrast, half with a hole.

    Args:
        images: Shape (images, channels, height, width), from -1 (black) to 1.
        stream: Source of randomness.
        mask: Whether the last channel is a mask.
        flips: Whether half of the images are mirrored.
    """
    count, planes, height, width = images.shape
    image, rest = (images[:, :-1], images[:, -1:]) if mask else (images, images[:, :0])
    brighter, contrast = (_column(stream.uniform(-1, 1, count), images) for _ in range(2))
    middle = image.mean(dim=(1, 2, 3), keepdim=True)
    image = (image - middle) * (1 + _CONTRAST * contrast) + middle + _BRIGHTER * brighter
    both = torch.cat([image, rest], dim=1) if mask else image
    rows, columns = (_shifted(stream, count, size) for size in (height, width))
    mirrored = (stream.random(count) < 0.5) & flips
    place = torch.from_numpy(_places(rows, columns, mirrored, height, width)).to(images.device)
    # Black surrounds the image, as where it is cropped.
    padded = functional.pad(both + 1, (1, 1, 1, 1)).flatten(2)  # (images, channels, places)
    both = padded.gather(2, place[:, None, :].expand(-1, planes, -1)).view(images.shape) - 1
    hole = torch.from_numpy(_holes(stream, count, height, width)).to(images.device)
    return (both + 1) * hole[:, None] - 1


def _column(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(like.device)[:, None, None, None]


def _shifted(stream: np.random.Generator, count: int, size: int) -> np.ndarray:
    most = max(1, size // _SHIFT)
    return stream.integers(-most, most + 1, count)


def _places(rows: np.ndarray, columns: np.ndarray, mirrored: np.ndarray, height: int, width: int) -> np.ndarray:
    """Gives where each pixel comes from in an image with a border of one black pixel, shape (images, pixels)."""
    row = np.clip(np.arange(height)[None] + rows[:, None] + 1, 0, height + 1)
    column = np.arange(width)[None] + columns[:, None]
    column = np.where(mirrored[:, None], width - 1 - column, column)
    column = np.clip(column + 1, 0, width + 1)
    return (row[:, :, None] * (width + 2) + column[:, None, :]).reshape(len(rows), -1)


def _holes(stream: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Gives 0 in a square of a third of the sides in half of the images, 1 elsewhere, shape (images, height, width)."""
    found = np.ones((count, height, width), dtype=np.float32)
    high, wide = max(1, height // 3), max(1, width // 3)
    tops, lefts = stream.integers(0, height - high + 1, count), stream.integers(0, width - wide + 1, count)
    for at in np.flatnonzero(stream.random(count) < 0.5):
        found[at, tops[at] : tops[at] + high, lefts[at] : lefts[at] + wide] = 0
    return found
