"""tabgan of several hospitals: each has a private discriminator of its own, and the refiner is averaged.

The anchor is made of the sums of all hospitals' answers. A hospital's discriminator learns from its own patients and
never leaves; what leaves are the weights of the refiner, which has seen nothing but its verdicts: post-processing of
private gradients.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wardgan.models import checkpoint
from wardgan.models.anchor.anchor import Anchor, measure_anchor
from wardgan.models.base import Network, Run
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

    def player(self, records: Records, run: Run) -> TabganPlayer:
        """Gives the half of one hospital.

        Args:
            records: Its patients.
            run: Seeds, folder and public number of patients.
        """
        return TabganPlayer(self, records, run)

    def network(self) -> Network:
        """Gives the generator network."""
        with one_thread():
            return finished(self.refiner, self.anchor)


class TabganPlayer:
    """One hospital's discriminator."""

    def __init__(self, game: TabganGame, records: Records, run: Run) -> None:
        """Takes the patients, and goes on where an earlier process stopped."""
        self._run = run
        self._networks: tuple[nn.Module, ...] = (game.refiner, game.judge)
        self._duel = Duel(game.config, records, run, Start(game.anchor, game.refiner, None, None), game.judge)
        step = checkpoint.load(run.folder, self._networks, self._duel.adams)
        if step or not self._duel.spent:
            self._duel.go_on(step)

    def block(self) -> int:
        """Takes the next block of steps."""
        with one_thread(), torch.random.fork_rng(devices=[]):
            taken = self._duel.block(_moved)
        if taken:
            checkpoint.save(self._run.folder, self._duel.step, self._networks, self._duel.adams)
        return taken


def _moved() -> None:
    """The running mean is kept by whoever coordinates."""
