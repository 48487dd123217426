"""tabgan of several hospitals: each has a private discriminator of its own, and the refiner is averaged.

The anchor is made of the sums of all hospitals' answers. A hospital's discriminator learns from its own patients and
never leaves; what leaves are the weights of the refiner, which has seen nothing but its verdicts: post-processing of
private gradients.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from wardgan.models.anchor.anchor import Anchor, measure_anchor
from wardgan.models.base import Network, Run
from wardgan.models.player import DuelPlayer
from wardgan.models.tabgan.config import TabganConfig
from wardgan.models.tabgan.duel import Duel, Start
from wardgan.models.tabgan.train import finished, players
from wardgan.models.weights import checked, load_arrays, one_thread, weight_arrays
from wardgan.privacy.records import Asked, Records
from wardgan.rng import Seed


class TabganGame:
    """A refiner on the anchor of all hospitals."""

    def __init__(self, config: TabganConfig, asked: Asked, population: int, seed: Seed) -> None:
        """Asks for the anchor.

        Args:
            config: Settings.
            asked: Whoever answers.
            population: Public number of patients of all hospitals.
            seed: Of the first weights.
        """
        self.config = config
        self.anchor: Anchor = measure_anchor(asked, population=population)
        self.refiner, self.judge = players(config, self.anchor, seed)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Gives the refiner's weights."""
        return weight_arrays(self.refiner)

    def load(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes weights over.

        Raises:
            FormatError: They are not those of the refiner, or not finite.
        """
        load_arrays(self.refiner, checked(weights, {name: one.shape for name, one in self.weights().items()}))

    def decay(self, steps: int) -> float:
        """Gives the decay over so many steps of the discriminator."""
        return self.config.ema ** (steps / self.config.steps_per_generator_step)

    def player(self, records: Records, run: Run) -> DuelPlayer:
        """Gives the half of one hospital.

        Args:
            records: Its patients.
            run: Seeds, folder and public number of patients.
        """
        duel = Duel(self.config, records, run, Start(self.anchor, self.refiner, None, None), self.judge)
        return DuelPlayer(duel, (self.refiner, self.judge), run.folder)

    def network(self) -> Network:
        """Gives the generator network."""
        with one_thread():
            return finished(self.refiner, self.anchor)
