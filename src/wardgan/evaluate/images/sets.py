"""Images of patients as arrays, checked once, and the choice of as many as are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import DataError
from wardgan.rng import Seed

Pixels = NDArray[np.float32]
Codes = NDArray[np.int64]
Values = NDArray[np.float64]

SMALLEST: Final = 16


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Images with their classes and patients.

    Attributes:
        pixels: Shape (images, channels, height, width), from -1 (black) to 1, both sides at least 16.
        labels: Code of the class of each image from 0, shape (images,).
        patients: Number of the patient of each image, shape (images,); one patient may have several images.
    """

    pixels: Pixels
    labels: Codes
    patients: Codes

    def __post_init__(self) -> None:
        """Refuses arrays of other shapes or values."""
        _check_pixels(self.pixels)
        for name, codes in (("labels", self.labels), ("patients", self.patients)):
            if codes.shape != (len(self.pixels),) or codes.dtype.kind not in "iu":
                raise DataError(f"{name}: shape {codes.shape} of {codes.dtype}; pass one whole number for each image.")
        if (self.labels < 0).any():
            raise DataError("labels: a code is below 0. Number the classes from 0.")

    @classmethod
    def of(cls, pixels: Pixels, labels: Codes | None = None, patients: Codes | None = None) -> ImageSet:
        """Gives a set of images; without labels all are of class 0, without patients each has its own.

        Args:
            pixels: Shape (images, channels, height, width), from -1 to 1.
            labels: Shape (images,).
            patients: Shape (images,).

        Raises:
            DataError: A shape or a value is not allowed.

        Example:
            >>> ImageSet.of(np.zeros((3, 1, 16, 16), dtype=np.float32)).patients.tolist()
            [0, 1, 2]
        """
        n = len(pixels)
        return cls(
            pixels,
            np.zeros(n, dtype=np.int64) if labels is None else labels,
            np.arange(n, dtype=np.int64) if patients is None else patients,
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, chosen: NDArray[Any]) -> ImageSet:
        """Gives some of the images.

        Args:
            chosen: Positions, or which ones, shape (images,).
        """
        return ImageSet(self.pixels[chosen], self.labels[chosen], self.patients[chosen])

    def people(self) -> int:
        """Gives the number of patients."""
        return int(np.unique(self.patients).size)


def sample(images: ImageSet, most: int, seed: Seed, name: str) -> ImageSet:
    """Gives at most `most` images: patients at random with all of their images, the last one with as many as fit.

    Args:
        images: The images.
        most: How many.
        seed: Source of randomness.
        name: Which set; another name gives an independent choice.

    Returns:
        The images in their order; all of them if there are no more.
    """
    return images if len(images) <= most else images.take(pick(images.patients, most, seed, name))


def pick(patients: Codes, most: int, seed: Seed, name: str) -> NDArray[np.intp]:
    """Gives the positions of the images that `sample` takes, in order.

    Args:
        patients: Patient of each image, shape (images,).
        most: How many.
        seed: Source of randomness.
        name: Which set.

    Example:
        >>> len(pick(np.array([4, 4, 4, 7, 7, 7]), 3, Seed(1), "demo"))
        3
    """
    names, which = np.unique(patients, return_inverse=True)
    places = seed.stream(f"images/{name}").permutation(names.size)[which]
    return np.sort(np.argsort(places, kind="stable")[:most])


def one_each(patients: Codes, seed: Seed, name: str) -> NDArray[np.intp]:
    """Gives the position of one image of each patient, chosen at random; the patients are in random order, too.

    Args:
        patients: Patient of each image, shape (images,).
        seed: Source of randomness.
        name: Which set; another name gives an independent choice.

    Example:
        >>> sorted(np.array([4, 4, 7])[one_each(np.array([4, 4, 7]), Seed(1), "demo")].tolist())
        [4, 7]
    """
    order = seed.stream(f"images/one/{name}").permutation(len(patients))
    first = np.unique(patients[order], return_index=True)[1]
    return order[np.sort(first)]


def grey(pixels: Pixels) -> Values:
    """Gives the mean over the channels, shape (images, height, width)."""
    return pixels.mean(axis=1, dtype=np.float64)


def shrunk(pixels: Pixels, side: int) -> Pixels:
    """Gives the images with means over blocks of pixels, so that no side is longer than `side`.

    Args:
        pixels: Shape (images, channels, height, width).
        side: Longest side; blocks are square, and what does not fill one at the right and at the bottom is left out.

    Example:
        >>> shrunk(np.ones((1, 1, 65, 40), dtype=np.float32), 32).shape
        (1, 1, 21, 13)
    """
    n, channels, height, width = pixels.shape
    step = -(-max(height, width) // side)
    if step == 1:
        return pixels
    rows, columns = height // step, width // step
    blocks = pixels[:, :, : rows * step, : columns * step].reshape(n, channels, rows, step, columns, step)
    return blocks.mean(axis=(3, 5), dtype=np.float32)


def _check_pixels(pixels: Pixels) -> None:
    if pixels.ndim != 4 or pixels.dtype != np.float32 or not pixels.shape[1]:
        raise DataError(
            f"pixels: shape {pixels.shape} of {pixels.dtype}; pass float32 of shape (images, channels, height, width)."
        )
    if min(pixels.shape[2:]) < SMALLEST:
        raise DataError(f"pixels: {pixels.shape[2]} x {pixels.shape[3]} is too small; a side has at least {SMALLEST}.")
    if not len(pixels):
        raise DataError("pixels: there is no image. Pass at least one.")
    if not bool(np.isfinite(pixels).all()) or float(np.abs(pixels).max()) > 1 + 1e-5:
        raise DataError("pixels: a value is not in [-1, 1]. Scale the images so that black is -1 and white is 1.")
