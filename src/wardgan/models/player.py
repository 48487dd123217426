"""One hospital's half of a training with others: its discriminator, which stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import nn, optim

from wardgan.models import checkpoint
from wardgan.models.weights import one_thread


class Duel(Protocol):
    """A discriminator against a generator, in blocks of steps that are billed first."""

    step: int

    @property
    def adams(self) -> Sequence[optim.Optimizer]:
        """The optimisers, for a checkpoint."""
        ...

    @property
    def spent(self) -> bool:
        """Whether all steps are billed."""
        ...

    def go_on(self, step: int) -> None:
        """Goes on after a checkpoint of so many steps."""
        ...

    def block(self, moved: Callable[[int], None]) -> int:
        """Takes the next block of steps, and gives how many there were."""
        ...


class DuelPlayer:
    """Takes blocks of steps, and goes on where an earlier process stopped."""

    def __init__(self, duel: Duel, networks: tuple[nn.Module, ...], folder: Path | None) -> None:
        """Takes the players.

        Args:
            duel: What is fought.
            networks: The generator and the discriminator.
            folder: The run folder, where both are kept until the training is over.
        """
        self._duel, self._networks, self._folder = duel, networks, folder
        step = checkpoint.load(folder, networks, duel.adams)
        # Who has spent all steps has nothing left to add, and may still wait for the end.
        if step or not duel.spent:
            duel.go_on(step)

    def block(self) -> int:
        """Takes the next block of steps, billed first, and gives how many there were; 0 if all are spent."""
        with one_thread(), torch.random.fork_rng(devices=[]):
            taken = self._duel.block(_moved)
        if taken:
            checkpoint.save(self._folder, self._duel.step, self._networks, self._duel.adams)
        return taken


def _moved(step: int) -> None:
    """The running mean is kept by whoever coordinates."""
