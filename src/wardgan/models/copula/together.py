"""The copula of several hospitals: questions alone, no rounds of training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import PlanError
from wardgan.models.anchor.anchor import measure_anchor
from wardgan.models.base import Network, Run
from wardgan.models.copula.config import copula_of
from wardgan.privacy.records import Asked, Records


class CopulaGame:
    """The copula that the sums give; it has no weights."""

    def __init__(self, asked: Asked, population: int) -> None:
        """Asks everything.

        Args:
            asked: Whoever answers.
            population: Public number of patients of all hospitals.
        """
        self.anchor = measure_anchor(asked, population=population)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Nothing."""
        return {}

    def load(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes nothing over."""

    def decay(self, steps: int) -> float:
        """Nothing is averaged."""
        del steps
        return 0.0

    def player(self, records: Records, run: Run) -> NoReturn:
        """There is no training."""
        raise PlanError("family='copula' has no rounds of training.")

    def network(self) -> Network:
        """Gives the generator network."""
        return copula_of(self.anchor)
