"""Questions about patients with images: sums over patients of the mean over their images, with proved sensitivities.

A patient's images weigh 1 together, whatever their number. So what one more patient adds to an answer is a mean of
vectors, one for each image, and no longer than the longest of them (Rule P1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from wardgan.schema.image_cohort import ImageCohort

Pixels = NDArray[np.float32]
Classes = NDArray[np.int64]
Values = NDArray[np.float64]
# Pixels of a block, so that large images need no more memory than small ones.
_PIXELS: Final = 1 << 21


@runtime_checkable
class ImageQuery(Protocol):
    """A sum over images with weights; those of a patient's images sum to 1."""

    @property
    def sensitivity(self) -> float:
        """Longest vector that one image adds, in L2."""
        ...

    def over(self, pixels: Pixels, classes: Classes, weights: Values) -> Values:
        """Gives the total, shape (numbers,).

        Args:
            pixels: Shape (images, channels, height, width), from -1 to 1.
            classes: Shape (images,).
            weights: Shape (images,).
        """
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """Images behind the counter.

    Attributes:
        pixels: Shape (images, channels, height, width).
        classes: Shape (images,).
        owners: Patient of each image, from 0, shape (images,).
        weights: 1 by the number of the patient's images, shape (images,).
    """

    pixels: Pixels
    classes: Classes
    owners: NDArray[np.int64]
    weights: Values

    @classmethod
    def of(cls, cohort: ImageCohort) -> Pictures:
        """Gives the images of a cohort."""
        count = np.bincount(cohort.owners, minlength=len(cohort))
        return cls(cohort.pixels, cohort.classes, cohort.owners, 1 / count[cohort.owners])

    def total(self, query: ImageQuery) -> Values:
        """Gives the answer to a query, without noise."""
        return query.over(self.pixels, self.classes, self.weights)


@dataclass(frozen=True)
class ClassShares:
    """How many patients each class has; one with images of several classes counts in parts. Sensitivity 1.

    Attributes:
        classes: Number of classes.
    """

    classes: int

    @property
    def sensitivity(self) -> float:
        """1: each image adds 1 to one class."""
        return 1.0

    def over(self, pixels: Pixels, classes: Classes, weights: Values) -> Values:
        """Gives the shares, shape (classes,)."""
        return np.bincount(classes, weights=weights, minlength=self.classes).astype(np.float64)


@dataclass(frozen=True, eq=False, repr=False)
class Waves:
    """The low frequencies of images: a part of the discrete cosine transform, each channel by itself.

    The transform is orthonormal and its numbers are divided by the square root of the number of pixels, so those of an
    image from -1 to 1 have a length of at most 1 (Ahmed, Natarajan, Rao 1974, equation 1).

    Attributes:
        left: Shape (waves, height).
        right: Shape (waves, width).
        channels: Number of channels.
    """

    left: Values
    right: Values
    channels: int

    @classmethod
    def of(cls, waves: int, shape: tuple[int, int, int]) -> Waves:
        """Gives the lowest frequencies.

        Args:
            waves: How many in each direction.
            shape: Channels, height and width of images.
        """
        channels, height, width = shape
        return cls(cosines(waves, height), cosines(waves, width), channels)

    @property
    def size(self) -> int:
        """Numbers of one image."""
        return self.channels * len(self.left) * len(self.right)

    def numbers(self, pixels: Pixels) -> Values:
        """Gives the numbers of images, shape (images, numbers), each row of length at most 1."""
        scale = 1 / math.sqrt(self.channels * self.left.shape[1] * self.right.shape[1])
        found = self.left @ pixels.astype(np.float64) @ self.right.T  # (images, channels, waves, waves)
        # An image with a value that is no number counts as nothing: one patient must not spoil the answer.
        rows = scale * found.reshape(len(pixels), self.size)
        return within(np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0.0), 1.0)


def cosines(waves: int, length: int) -> Values:
    """Gives the lowest `waves` cosines on `length` places, orthonormal, shape (waves, length).

    Example:
        >>> bool(np.allclose(cosines(3, 8) @ cosines(3, 8).T, np.eye(3)))
        True
    """
    at = np.arange(length) + 0.5
    found = np.cos(np.pi / length * np.outer(np.arange(waves), at)) * math.sqrt(2 / length)
    found[0] /= math.sqrt(2)
    return found


@dataclass(frozen=True, eq=False, repr=False)
class WaveSums:
    """Sums of the images' low frequencies in each class; sensitivity 1.

    Attributes:
        waves: The transform.
        classes: Number of classes.
    """

    waves: Waves
    classes: int

    @property
    def sensitivity(self) -> float:
        """1: an image's numbers have a length of at most 1, and it belongs to one class."""
        return 1.0

    def over(self, pixels: Pixels, classes: Classes, weights: Values) -> Values:
        """Gives the sums, shape (classes * numbers,)."""
        return summed(self.waves.numbers, self.waves.size, self.classes, pixels, classes, weights)


@dataclass(frozen=True, eq=False, repr=False)
class WaveProducts:
    """Sums of the products of the images' low frequencies in each class, around a centre; sensitivity 1.

    Differences from the centre are cut to `radius` and divided by it. Products of a number with itself stand as they
    are, of two numbers once and times the square root of 2: so the length of a row is the square of a length.

    Attributes:
        waves: The transform.
        centres: What is subtracted, shape (classes, numbers); public or paid for.
        radius: Longest difference.
    """

    waves: Waves
    centres: Values
    radius: float

    @property
    def sensitivity(self) -> float:
        """1: the square of a length of at most 1."""
        return 1.0

    def over(self, pixels: Pixels, classes: Classes, weights: Values) -> Values:
        """Gives the sums, shape (classes * numbers * (numbers + 1) / 2,)."""
        count, size = self.centres.shape
        sums = np.zeros((count, size, size))
        for part in _blocks(pixels):
            away = self.waves.numbers(pixels[part]) - self.centres[classes[part]]
            away = within(away / self.radius, 1.0) * np.sqrt(weights[part, None])
            for each in np.unique(classes[part]):
                mine = away[classes[part] == each]
                sums[each] += mine.T @ mine
        rows, columns = np.triu_indices(size)
        return (sums[:, rows, columns] * np.where(rows == columns, 1.0, math.sqrt(2))).ravel()

    def matrices(self, answer: Values) -> Values:
        """Gives the symmetric matrices that an answer stands for, shape (classes, numbers, numbers).

        Args:
            answer: What `over` gave, with noise or without.
        """
        count, size = self.centres.shape
        rows, columns = np.triu_indices(size)
        found = np.zeros((count, size, size))
        found[:, rows, columns] = answer.reshape(count, -1) / np.where(rows == columns, 1.0, math.sqrt(2))
        return found + np.triu(found, 1).transpose(0, 2, 1)


def summed(
    numbers: Callable[[Pixels], Values], size: int, count: int, pixels: Pixels, classes: Classes, weights: Values
) -> Values:
    """Gives the weighted sums of images' numbers in each class, shape (count * size,)."""
    sums = np.zeros((count, size))
    for part in _blocks(pixels):
        np.add.at(sums, classes[part], weights[part, None] * numbers(pixels[part]))
    return sums.ravel()


def within(rows: Values, most: float) -> Values:
    """Gives rows cut to a length of at most `most`."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * np.minimum(1, most / np.maximum(lengths, 1e-300))


def _blocks(pixels: Pixels) -> Iterator[slice]:
    size = max(1, _PIXELS // max(1, math.prod(pixels.shape[1:])))
    return (slice(at, at + size) for at in range(0, len(pixels), size))
