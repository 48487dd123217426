"""What the networks that are taught share: draws of tested patients and of networks, and their seeds."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import UsageError
from wardgan.evaluate.images.sets import ImageSet
from wardgan.rng import Seed

SIDE: Final = 64
_DRAWS: Final = 400

Draws = NDArray[np.float64]


def need_torch() -> None:
    """Refuses to teach where torch is not installed."""
    if find_spec("torch") is None:
        raise UsageError("Teaching needs torch. Install it with: pip install 'wardgan[train]', or pass repeats=0.")


def seed_of(seed: Seed, name: str, repeat: int) -> Seed:
    """Gives the seed of one network."""
    return Seed(int(seed.stream(f"images/{name}", repeat).integers(2**62)))


def patient_draws(images: ImageSet, seed: Seed) -> Draws:
    """Gives how often each image counts, shape (1 + draws, images); all images of a patient count alike.

    Patients are drawn from among those of the same first class, so that no class is without patients in a draw.
    """
    names, first, which = np.unique(images.patients, return_index=True, return_inverse=True)
    classes = images.labels[first]
    weights = np.ones((1 + _DRAWS, names.size))
    stream = seed.stream("images/taught/draws")
    for label in np.unique(classes):
        mine = np.flatnonzero(classes == label)
        weights[1:, mine] = stream.multinomial(mine.size, np.full(mine.size, 1 / mine.size), size=_DRAWS)
    return weights[:, which]


def over_repeats(values: Draws, seed: Seed, name: str) -> Draws:
    """Gives means over the repeats, drawn with replacement in each draw but the first; shape (1 + draws,)."""
    repeats, draws = values.shape
    picked = seed.stream(f"images/repeats/{name}").integers(0, repeats, (repeats, draws))
    picked[:, 0] = np.arange(repeats)
    return np.take_along_axis(values, picked, axis=0).mean(axis=0)
