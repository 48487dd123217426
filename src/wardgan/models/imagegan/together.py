"""imagegan of several hospitals: low frequencies and grain of all, and a private discriminator at each, if any."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from wardgan.errors import PlanError
from wardgan.models.base import Network, Run
from wardgan.models.imagegan.base import wave_model
from wardgan.models.imagegan.config import ImageganConfig
from wardgan.models.imagegan.draw import waves_network
from wardgan.models.imagegan.sizes import check_size
from wardgan.models.imagegan.train import ImageDuel, Players, players_of
from wardgan.models.player import DuelPlayer
from wardgan.models.weights import checked, load_arrays, weight_arrays
from wardgan.privacy.records import Asked, Records
from wardgan.rng import Seed


class ImageganGame:
    """A generator on the low frequencies of all hospitals' images."""

    def __init__(self, config: ImageganConfig, asked: Asked, seed: Seed) -> None:
        """Asks everything.

        Args:
            config: Settings.
            asked: Whoever answers.
            seed: Of the first weights.
        """
        look = asked.layout.schema.images
        if config.discriminator and look is not None:
            check_size(look, config.width)
        self.config = config
        self.base = wave_model(config, asked)
        self.players: Players | None = None
        if config.discriminator:
            with torch.random.fork_rng(devices=[]):
                self.players = players_of(config, self.base, seed)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Gives the generator's weights; nothing, if no network is trained."""
        return {} if self.players is None else weight_arrays(self.players.maker)

    def load(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes weights over.

        Raises:
            FormatError: They are not those of the generator, or not finite.
        """
        if self.players is not None:
            found = checked(weights, {name: one.shape for name, one in self.weights().items()})
            load_arrays(self.players.maker, found)

    def decay(self, steps: int) -> float:
        """Gives the decay over so many steps of the discriminator."""
        return self.config.ema ** (steps / self.config.steps_per_generator_step)

    def player(self, records: Records, run: Run) -> DuelPlayer:
        """Gives the half of one hospital.

        Args:
            records: Its patients.
            run: Seeds, folder and public number of patients.
        """
        if self.players is None:
            raise PlanError("family='imagegan' has no rounds of training; set discriminator=0.5 or so.")
        duel = ImageDuel(self.config, records, run, self.players)
        return DuelPlayer(duel, (self.players.maker, self.players.judge), run.folder)

    def network(self) -> Network:
        """Gives the generator network."""
        base = self.base
        shares = tuple(base.shares.tolist())
        if self.players is None:
            return Network(waves_network(base), base.latent, shares, base.notes)
        return Network(self.players.maker.network(), self.players.maker.latent, shares, base.notes)
