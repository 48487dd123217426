"""Questions about what the low frequencies of images leave out: their grain, and their shades of grey.

As those of `image_queries`, they are sums over patients of the mean over their images, with proved sensitivities (Rule
P1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.privacy.image_queries import Classes, Pixels, Values, cosines, summed, within

# Public: how long the fine part of an image may be. A white and black board of single pixels has 1.
LONGEST: Final = 0.25
# Frequencies beyond the waves are told apart in three bands of equal ratio, places in at most seven of each side.
_BANDS: Final = 3
_CELLS: Final = 7
# Shades of grey between black and white, which are shades of their own.
SHADES: Final = 32
_HALF_A_STEP: Final = 1 / 255


@dataclass(frozen=True, eq=False, repr=False)
class Grain:
    """What the low frequencies leave out of an image: how long it is in each band of frequencies and in each place.

    Only the image has grain, a mask has none. The transform is orthonormal and both the bands and the cells hold each
    number once, so the lengths of the bands together, and those of the cells, are as long as what is left out.

    Attributes:
        down: All cosines of a column, shape (height, height).
        across: All cosines of a row, shape (width, width).
        waves: How many low frequencies in each direction are left out.
        bands: Which frequencies are in which band, of a column and of a row: 0 or 1, shape (height or width, bands).
        cells: Which pixels are in which cell, likewise, shape (height or width, cells).
    """

    down: Values
    across: Values
    waves: int
    bands: tuple[Values, Values]
    cells: tuple[Values, Values]

    @classmethod
    def of(cls, waves: int, height: int, width: int) -> Grain:
        """Gives the grain of images of a size.

        Args:
            waves: How many low frequencies in each direction are not grain.
            height: Rows of pixels.
            width: Columns of pixels.
        """
        bands = _bands(waves, height), _bands(waves, width)
        return cls(cosines(height, height), cosines(width, width), waves, bands, (_cells(height), _cells(width)))

    @property
    def shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Shape of the bands and of the cells."""
        bands, cells = ((pair[0].shape[1], pair[1].shape[1]) for pair in (self.bands, self.cells))
        return bands, cells

    @property
    def size(self) -> int:
        """Numbers of one image."""
        return sum(one * other for one, other in self.shapes)

    def numbers(self, pixels: Pixels) -> Values:
        """Gives the lengths, shape (images, numbers), each row of length at most 1: bands, then cells, by root 2.

        What is left out is divided by the square root of the number of pixels and by `LONGEST`, and cut to a length of
        1.

        Args:
            pixels: Shape (images, channels, height, width); the first channel counts.
        """
        scale = 1 / (LONGEST * math.sqrt(len(self.down) * len(self.across)))
        fine = scale * (self.down @ pixels[:, 0].astype(np.float64) @ self.across.T)  # (images, height, width)
        fine[:, : self.waves, : self.waves] = 0
        flat = fine.reshape(len(fine), -1)
        # As for the waves, an image with a value that is no number counts as nothing.
        flat = np.where(np.isfinite(flat).all(axis=1, keepdims=True), flat, 0.0)
        fine = within(flat, 1.0).reshape(fine.shape)
        parts = _lengths(fine, self.bands), _lengths(self.down.T @ fine @ self.across, self.cells)
        return np.concatenate(parts, axis=1) / math.sqrt(2)

    def parts(self, numbers: Values) -> tuple[Values, Values]:
        """Gives the lengths in bands, shape (rows, bands, bands), and in cells, shape (rows, cells, cells).

        Args:
            numbers: Means or sums of what `numbers` gives, shape (rows, numbers).
        """
        (high, wide), cells = self.shapes
        lengths = numbers * math.sqrt(2)
        return lengths[:, : high * wide].reshape(-1, high, wide), lengths[:, high * wide :].reshape(-1, *cells)


def _bands(waves: int, side: int) -> Values:
    """Gives which frequencies are in which band, shape (side, bands): the low ones, and bands of equal ratio."""
    ends = [round(waves * (side / waves) ** (at / _BANDS)) for at in range(_BANDS + 1)]
    return _members(np.searchsorted(np.unique(ends), np.arange(side), side="right"))


def _cells(side: int) -> Values:
    """Gives which pixels are in which cell, shape (side, cells)."""
    return _members(np.arange(side, dtype=np.intp) * min(_CELLS, side // 2) // side)


def _members(group: NDArray[np.intp]) -> Values:
    return np.eye(int(group.max()) + 1)[group]


def _lengths(images: Values, groups: tuple[Values, Values]) -> Values:
    """Gives the length of each image in each pair of groups of rows and columns, shape (images, pairs)."""
    return np.sqrt(groups[0].T @ images**2 @ groups[1]).reshape(len(images), -1)


@dataclass(frozen=True, eq=False, repr=False)
class GrainSums:
    """Sums of the lengths of the images' grain in each class; sensitivity 1.

    Attributes:
        grain: The bands and cells.
        classes: Number of classes.
    """

    grain: Grain
    classes: int

    @property
    def sensitivity(self) -> float:
        """1: the lengths in bands make up a length of at most 1, and so do those in cells; half of both squares is."""
        return 1.0

    def over(self, pixels: Pixels, classes: Classes, weights: Values) -> Values:
        """Gives the sums, shape (classes * numbers,)."""
        return summed(self.grain.numbers, self.grain.size, self.classes, pixels, classes, weights)


@dataclass(frozen=True)
class Shades:
    """How many of an image's pixels are black, of each shade of grey, and white: shares of each class, summed.

    Sensitivity 1. Black and white are shades of their own, because many images have a ground that is nothing else.

    Attributes:
        classes: Number of classes.
    """

    classes: int

    @property
    def sensitivity(self) -> float:
        """1: the shares of an image are not negative and sum to 1, so their squares sum to at most 1."""
        return 1.0

    def over(self, pixels: Pixels, classes: Classes, weights: Values) -> Values:
        """Gives the sums, shape (classes * (SHADES + 2),)."""
        return summed(shades, SHADES + 2, self.classes, pixels, classes, weights)


def shades(pixels: Pixels) -> Values:
    """Gives the shares of black, of each shade from dark to bright, and of white, shape (images, SHADES + 2).

    Args:
        pixels: Shape (images, channels, height, width), from -1 to 1; the first channel counts.

    Example:
        >>> found = shades(np.array([[[[-1.0, -1.0], [0.01, 1.0]]]], dtype=np.float32))
        >>> found[0, [0, SHADES // 2 + 1, SHADES + 1]].tolist()
        [0.5, 0.25, 0.25]
    """
    flat = pixels[:, 0].reshape(len(pixels), -1)
    known = np.isfinite(flat).all(axis=1, keepdims=True)
    grey = np.clip(np.where(known, flat, 0.0), -1, 1)
    shade = 1 + np.clip(np.floor((grey + 1) * (SHADES / 2)), 0, SHADES - 1)
    shade = np.where(grey < _HALF_A_STEP - 1, 0, np.where(grey > 1 - _HALF_A_STEP, SHADES + 1, shade))
    rows = np.stack([np.bincount(row, minlength=SHADES + 2) for row in shade.astype(np.int64)])
    # An image with a value that is no number has no shades.
    return np.where(known, rows / flat.shape[1], 0.0)
