"""The best weights of a training, by a task on patients whom it has not seen; without such patients the newest."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final

import numpy as np

from wardgan.encode.units import Units
from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.refiner import Refiner
from wardgan.models.pairs.drawn import Groups
from wardgan.models.pairs.holdout import HoldOut
from wardgan.models.pairs.tables import drawn_patients
from wardgan.privacy.queries import Classes

HeldOut = tuple[Units, Classes]
_DRAWN: Final = 32_768
Task = Callable[[Refiner], float]


def task_of(held: HeldOut | None, anchor: Anchor, groups: Groups) -> Task | None:
    """Gives what scores a network by the patients held out; `None` if there are none.

    Args:
        held: Patients whom the training does not see.
        anchor: Margins.
        groups: For each variable the group of each level.
    """
    if held is None:
        return None
    judge = HoldOut.of(*held, anchor, groups)
    return lambda refiner: judge.task(drawn_patients(refiner, anchor, groups, most=_DRAWN), anchor)


class Best:
    """The best network so far.

    Attributes:
        kept: Its weights.
        score: What the task gave for them; `None` where there is no task.
        idle: How often in a row a network was looked at that was no better.
    """

    def __init__(self, task: Task | None, refiner: Refiner) -> None:
        """Begins with a copy of a network; its score is known after the first look.

        Args:
            task: What scores a network, higher is better; `None`: the newest network is the best.
            refiner: The network before its training.
        """
        self._task = task
        self.kept = copy.deepcopy(refiner)
        self.score: float | None = None
        self.idle = 0

    def look(self, refiner: Refiner) -> float | None:
        """Keeps a network if it is the best so far, and gives its score."""
        score = None if self._task is None else self._task(refiner)
        # Where nothing can be predicted the score is NaN: better than nothing, and worse than any number.
        if score is None or self.score is None or np.isnan(self.score) or score > self.score:
            self.kept.load_state_dict(refiner.state_dict())
            self.score, self.idle = score, 0
        else:
            self.idle += 1
        return score
