"""What turns images into features: the two that come with the package, or a network of the user's own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wardgan.errors import DataError, UsageError
from wardgan.evaluate.images.convolved import random_features, weights_digest
from wardgan.evaluate.images.radiomic import NAMES, radiomics
from wardgan.evaluate.images.sets import Pixels, Values


@dataclass(frozen=True)
class Extractor:
    """A function from images to features, with a name that stands in every number that is made with it.

    Attributes:
        name: How the features are called, such as `"random features"`.
        digest: SHA-256 digest of what makes them (weights, or a file), 64 hexadecimal digits.
        features: From pixels of shape (images, channels, height, width) to an array of shape (images, features).
    """

    name: str
    digest: str
    features: Callable[[Pixels], Values]

    def __post_init__(self) -> None:
        """Refuses a name or a digest that says nothing."""
        if not re.fullmatch(r"\S(.{0,38}\S)?", self.name):
            raise UsageError(f"name={self.name!r} is not a name of 1 to 40 characters.")
        if not re.fullmatch(r"[0-9a-f]{64}", self.digest):
            raise UsageError(f"digest={self.digest!r} is not a SHA-256 digest of 64 hexadecimal digits.")

    @property
    def text(self) -> str:
        """Name and first digits of the digest, for the method of a number."""
        return f"{self.name}, sha256 {self.digest[:12]}"

    def __call__(self, pixels: Pixels) -> Values:
        """Gives the features, checked.

        Args:
            pixels: Shape (images, channels, height, width).

        Raises:
            DataError: What came back is not one row of finite numbers for each image.
        """
        found = np.asarray(self.features(pixels), dtype=np.float64)
        if found.ndim != 2 or len(found) != len(pixels) or not found.shape[1] or not bool(np.isfinite(found).all()):
            raise DataError(
                f"{self.name}: shape {found.shape} for {len(pixels)} images, or a number that is not finite. An "
                "extractor gives one row of at least one finite number for each image."
            )
        return found


def random_extractor(channels: int) -> Extractor:
    """Gives the network with fixed random weights for images with so many channels.

    Example:
        >>> random_extractor(1).text
        'random features, sha256 99edeefe1062'
    """
    return Extractor("random features", weights_digest(channels), random_features)


def radiomics_extractor() -> Extractor:
    """Gives the radiomics; their digest is that of the names of the features."""
    return Extractor("radiomics", hashlib.sha256("\n".join(NAMES).encode()).hexdigest(), radiomics)
