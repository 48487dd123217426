"""Images of patients as arrays: what a training gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wardgan.imaging.report import ReadReport
from wardgan.schema.columns import Column
from wardgan.schema.images import ImageFormat


@dataclass(frozen=True, repr=False, eq=False)
class Images:
    """Images, their labels and whose they are, without a name. Its `repr` shows neither an image nor a count.

    Attributes:
        format: How images look.
        columns: Declared labels.
        pixels: Shape (images, channels, height, width), from -1 (black) to 1; a mask is the last channel.
        labels: Codes of each label by column, each of shape (images,): places among its declared levels.
        patients: Number of each image's patient from 0, shape (images,).
        names: A digest of the name of each patient, in the order of their numbers; where nothing said whose an image
            is, a digest of the image.
        named: Whether something said of each image whose it is.
        report: What was read and what was not. It stays in the hospital.
    """

    format: ImageFormat
    columns: tuple[Column, ...]
    pixels: NDArray[np.float32]
    labels: Mapping[str, NDArray[np.int64]]
    patients: NDArray[np.int64]
    names: tuple[str, ...]
    named: bool
    report: ReadReport

    def __repr__(self) -> str:
        mask = " with masks" * self.format.mask
        names = ", ".join(column.name for column in self.columns)
        return f"Images({self.format.height} x {self.format.width}{mask}" + (f", labels: {names})" if names else ")")
