"""Families whose generators several hospitals train together: what each of them does, and what is averaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import PlanError
from wardgan.models.base import Config, Network, Run
from wardgan.privacy.records import Asked, Records
from wardgan.rng import Seed

FAMILIES: Final = ("copula", "tabgan", "imagegan")
Weights = dict[str, NDArray[np.float32]]


class Player(Protocol):
    """One hospital's half of a training: its discriminator, which stays."""

    def block(self) -> int:
        """Takes the next block of steps, billed first, and gives how many there were; 0 if all are spent."""
        ...


class Game(Protocol):
    """A generator that is trained in rounds. Everybody makes it anew from the same sums, so only weights travel."""

    def weights(self) -> Weights:
        """Gives what is averaged; nothing, if the answers to questions are all there is."""
        ...

    def load(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes weights over."""
        ...

    def decay(self, steps: int) -> float:
        """Gives the decay of the running mean of the weights over so many steps of the discriminator."""
        ...

    def player(self, records: Records, run: Run) -> Player:
        """Gives the half of one hospital."""
        ...

    def network(self) -> Network:
        """Gives the generator network."""
        ...


def steps_of(config: Config) -> int:
    """Gives how many discriminator steps a family takes; 0 if it only asks questions."""
    if config.family == "copula" or not getattr(config, "discriminator", 0):
        return 0
    return int(getattr(config, "steps", 0))


def check_together(config: Config) -> None:
    """Refuses families and settings that cannot be trained by several hospitals.

    Raises:
        PlanError: Says which could.
    """
    if config.family not in FAMILIES:
        raise PlanError(f"family={config.family!r} is not trained by several hospitals; take {', '.join(FAMILIES)}.")
    if getattr(config, "pairs", 0) or getattr(config, "survey", None) is not None:
        raise PlanError("settings: tables of pairs and surveys have no meaning in a training of several hospitals.")
    if getattr(config, "choice", None) is not None:
        raise PlanError("choice: in a training of several hospitals the newest weights are taken; leave it out.")


def game_of(config: Config, asked: Asked, *, population: int, seed: Seed) -> Game:
    """Gives the generator that answers to questions give: the same one for everybody with the same answers.

    Args:
        config: The family with its settings.
        asked: Whoever answers: the sums over all hospitals.
        population: Public number of patients of all hospitals.
        seed: Of the first weights.

    Raises:
        PlanError: The family cannot be trained by several hospitals; or the sums say that there are too few patients.
    """
    check_together(config)
    match config.family:
        case "copula":
            from wardgan.models.copula.together import CopulaGame

            return CopulaGame(asked, population)
        case "tabgan":
            from wardgan.models.tabgan.together import TabganGame

            return TabganGame(config, asked, population, seed)  # pyright: ignore[reportArgumentType]
        case _:
            from wardgan.models.imagegan.together import ImageganGame

            return ImageganGame(config, asked, seed)  # pyright: ignore[reportArgumentType]
