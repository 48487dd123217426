"""Patients as images: what is read from a folder of them, and what a fit gets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import DataError
from wardgan.schema.cohort import Cohort, divided
from wardgan.schema.images import ImageFormat
from wardgan.schema.schema import Schema

_EDGE: Final = 1 + 1e-5


@dataclass(frozen=True, eq=False, repr=False)
class ImageCohort:
    """Patients with one or several images each, under a schema of images.

    Its `repr` shows the schema, and neither an image nor a count.

    Attributes:
        schema: What the images obey.
        pixels: Shape (images, channels, height, width), from -1 (black) to 1; a mask is the last channel.
        labels: Codes of each label by column, each of shape (images,): places among its declared levels.
        owners: Whose each image is: a place in `patients`, shape (images,).
        patients: A digest of each patient's name, shape (patients,); names themselves are not kept.
        named: Whether something said whose the images are; else each image counts as one patient.
        source_bytes: Size of the files that were read.
    """

    schema: Schema
    pixels: NDArray[np.float32]
    labels: Mapping[str, NDArray[np.int64]]
    owners: NDArray[np.int64]
    patients: NDArray[np.object_]
    named: bool
    source_bytes: int

    def __post_init__(self) -> None:
        if self.schema.images is None:
            raise DataError(f"schema={self.schema.name!r} declares no images; read tables and visits with wg.read.")
        images = len(self.pixels)
        arrays = [self.owners, *(self.labels[column.name] for column in self.schema.table)]
        if self.pixels.shape[1:] != self.schema.images.shape or any(array.shape != (images,) for array in arrays):
            raise DataError("images: pixels, labels and owners do not have the shapes that the schema declares.")
        for column in self.schema.table:
            codes = self.labels[column.name]
            if images and not 0 <= int(codes.min()) <= int(codes.max()) < column.size:
                raise DataError(f"labels: a code of {column.name!r} is no place among its {column.size} levels.")
        if not np.array_equal(np.unique(self.owners), np.arange(len(self.patients))):
            raise DataError("images: owners are not the places of all patients; each patient has an image.")
        # Written so that a value that is no number is refused, too: it would end a fit after the budget is spent.
        if images and not -_EDGE <= float(self.pixels.min()) <= float(self.pixels.max()) <= _EDGE:
            raise DataError("images: a pixel is not a number from -1 (black) to 1 (white).")

    def __repr__(self) -> str:
        look = self.format
        mask = " with masks" * look.mask
        return f"ImageCohort({self.schema.name!r}, {look.height} x {look.width}{mask})"

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def format(self) -> ImageFormat:
        """How the images look."""
        return cast("ImageFormat", self.schema.images)

    @property
    def classes(self) -> NDArray[np.int64]:
        """Class of each image: its labels' levels as one number, shape (images,)."""
        index = np.zeros(len(self.pixels), dtype=np.int64)
        for column in self.schema.table:
            index = index * column.size + self.labels[column.name]
        return index

    def take(self, patients: NDArray[np.intp] | slice) -> ImageCohort:
        """Gives the cohort of some patients, by position, with all of their images, in the order of the images."""
        chosen = np.arange(len(self))[patients]
        place = np.full(len(self), -1)
        place[chosen] = np.arange(len(chosen))
        images = np.flatnonzero(place[self.owners] >= 0)
        return replace(
            self,
            pixels=self.pixels[images],
            labels={name: codes[images] for name, codes in self.labels.items()},
            owners=place[self.owners[images]],
            patients=self.patients[chosen],
        )

    def split(self, share: float, *, seed: int) -> tuple[ImageCohort, ImageCohort]:
        """Gives two cohorts of different patients, the first with about `share` of them.

        Args:
            share: Part of the patients in the first cohort, between 0 and 1.
            seed: Replays the split.

        Raises:
            UsageError: `share` is no share.
            DataError: One of the two cohorts would have no patient.
        """
        one, other = divided(len(self), share, seed=seed)
        return self.take(one), self.take(other)

    def digest(self, about: bytes = b"") -> str:
        """Gives a SHA-256 of all images with their labels and owners: for files that stay in the hospital.

        Args:
            about: What else is to be told apart.
        """
        digest = hashlib.sha256(about)
        for array in (self.pixels, self.owners, self.classes):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


AnyCohort: TypeAlias = Cohort | ImageCohort
