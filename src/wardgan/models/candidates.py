"""Weights of several steps of a training, kept on site for a choice; without a choice there are none."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

from torch import nn

from wardgan.select.choice import Choice

Maker = TypeVar("Maker", bound=nn.Module)


class Candidates(Generic[Maker]):
    """The running mean of the generator's weights at some steps, and the discriminator beside it.

    They lie in the checkpoint of the run folder, which is deleted when the generator is safe (Rule P12).

    Attributes:
        steps: After which steps they are kept.
        makers: The generators; those whose step is still to come have the first weights.
        judges: The discriminators.
    """

    def __init__(self, choice: Choice | None, steps: int, maker: Maker, judge: nn.Module) -> None:
        """Makes room for the candidates.

        Args:
            choice: What will be chosen; `None`: nothing, and nothing is kept.
            steps: Steps of the training.
            maker: The generator.
            judge: The discriminator.
        """
        self.steps = () if choice is None else choice.kept_at(steps)
        self.makers = [copy.deepcopy(maker) for _ in self.steps]
        self.judges = [copy.deepcopy(judge).eval() for _ in self.steps]
        self._kept = 0

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """All networks, for a checkpoint."""
        return *self.makers, *self.judges

    def go_on(self, step: int) -> None:
        """Goes on after a checkpoint of so many steps."""
        self._kept = sum(at <= step for at in self.steps)

    def look(self, step: int, maker: Maker, judge: nn.Module) -> None:
        """Keeps the weights if their turn has come. One whose step was lost in a crash has the next weights there are.

        Args:
            step: How many steps are taken.
            maker: The running mean of the generator.
            judge: The discriminator.
        """
        while self._kept < len(self.steps) and self.steps[self._kept] <= step:
            self.makers[self._kept].load_state_dict(maker.state_dict())
            self.judges[self._kept].load_state_dict(judge.state_dict())
            self._kept += 1

    def close(self, maker: Maker, judge: nn.Module) -> None:
        """Keeps the newest weights for all whose turn has not come."""
        self.look(max(self.steps, default=0), maker, judge)
