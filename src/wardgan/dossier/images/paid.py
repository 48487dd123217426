"""The question that a hold-out with images pays for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.units import label_codes
from wardgan.errors import UsageError
from wardgan.evaluate.images.draws import SIDE, need_torch
from wardgan.evaluate.images.sets import shrunk
from wardgan.evaluate.images.taught import STEPS
from wardgan.privacy.image_queries import Classes, Pixels, Values
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.schema.schema import Schema

MODEL: Final = "small convolutional network"
TAUGHT: Final = 2_000


@dataclass(frozen=True, eq=False, repr=False)
class RecognisedImages:
    """Of each level of a label, how many images there are and how many a network recognises.

    An image has one level, and is recognised or not: at most 1 is added to one count of images and to one of recognised
    ones, so the norm is at most the root of 2; a patient's images weigh 1 together. The network knows synthetic images
    only, and looks at each image alone.

    Attributes:
        schema: Declares the labels.
        target: The label.
        classes: Names of its levels.
        network: Gives the chance of each level for images, shape (images, levels).
    """

    schema: Schema
    target: str
    classes: tuple[str, ...]
    network: Callable[[Pixels], Values]

    @property
    def sensitivity(self) -> float:
        """Root of 2."""
        return math.sqrt(2)

    def over(self, pixels: Pixels, classes: Classes, weights: Values) -> Values:
        """Gives both counts of each level, shape (2 x levels,)."""
        found = np.zeros((2, len(self.classes)))
        if len(pixels):
            wanted = label_codes(classes, self.schema)[self.target].astype(np.int64)
            right = self.network(pixels).argmax(axis=1) == wanted
            np.add.at(found[0], wanted, weights)
            np.add.at(found[1], wanted[right], weights[right])
        return found.ravel()


def recognised_images(generator: Generator, target: str, classes: tuple[str, ...], seed: Seed) -> RecognisedImages:
    """Gives the question, with a network that synthetic images have taught.

    Args:
        generator: Of the images that teach.
        target: The label that is learned.
        classes: Names of its levels.
        seed: Of the images and of the network.

    Raises:
        UsageError: torch is not installed, or the images are smaller than networks can learn from.
    """
    need_torch()
    from wardgan.evaluate.images.nets import classifier

    batch = generator.images(TAUGHT, seed=seed.value)
    if min(batch.pixels.shape[2:]) < 16:
        raise UsageError("public_share: images below 16 pixels teach no network; ask for none with 0.")
    places = {str(level): at for at, level in enumerate(generator.schema.column(target).levels)}
    labels = np.array([places[name] for name in batch.labels[target]], dtype=np.int64)
    net = classifier(shrunk(batch.pixels, SIDE), labels, len(classes), steps=STEPS, seed=seed)

    def network(pixels: NDArray[np.float32]) -> Values:
        # One by one: in a batch the last digits of an answer may hang on which other patients are in it.
        return np.concatenate([net(one[None]) for one in shrunk(pixels, SIDE)])

    return RecognisedImages(generator.schema, target, classes, network)
