"""What is left of a network's patients once those who break a rule are drawn again, as units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.units import Units, classes_of, encode
from wardgan.sample.drawing import Drawn
from wardgan.sample.generator import Generator


class Redrawn(NamedTuple):
    """Synthetic patients who obey the rules.

    Attributes:
        units: Shape (patients, variables), as from `encode`.
        classes: Shape (patients,).
        again: How many others broke a rule.
    """

    units: Units
    classes: NDArray[np.int64]
    again: int


def redrawn(generator: Generator, size: int, *, seed: int) -> Redrawn:
    """Gives some patients of a generator as units.

    Args:
        generator: Where they come from.
        size: How many.
        seed: Replays them.

    Raises:
        UsageError: Hardly any patient obeys the rules.
    """
    blocks: list[Drawn] = []
    (patients,) = generator.draws(size, chunk=size, seed=seed, drew=blocks.append)
    again = sum(block.patients for block in blocks) - size
    return Redrawn(encode(patients, generator.layout), classes_of(patients), again)
