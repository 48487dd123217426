"""Which epochs' generators are taken: the four ways of the paper, by scores that a classifier gives to each epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.sprint.judge import forest, logistic, score
from benchmarks.sprint.then import Epoch, pooled
from benchmarks.sprint.trial import Part

WAYS: Final = ("last epoch", "best LR epoch", "best RF epoch", "ten epochs")
_EACH: Final = 5
# Laplace noise of the picks of November 2017; its scale was that of 500 patients instead of 6,000.
_PICKS: Final = 1 / (0.05 * 500)


@dataclass(frozen=True, eq=False, repr=False)
class Epochs:
    """The generators of a training.

    Attributes:
        parts: Invented patients of each epoch, who are not those of the scores.
        forest: Accuracy on the real 6,000 of a forest that learned from an epoch's patients, shape (epochs,).
        logistic: The same of a logistic regression.
        losses: Of discriminator and generator, shape (epochs, 2).
    """

    parts: Sequence[Part]
    forest: NDArray[np.float64]
    logistic: NDArray[np.float64]
    losses: NDArray[np.float64]


def scored(found: Iterable[Epoch], train: Part) -> Epochs:
    """Gives the scores of all epochs.

    Args:
        found: The epochs, as they come.
        train: The real patients that they were trained on: a choice by them must be paid for.
    """
    parts, marks, losses = list[Part](), list[list[float]](), list[list[float]]()
    for one in found:
        parts.append(one.part)
        marks.append([score(make(), one.seen, train) for make in (forest, logistic)])
        losses.append([one.judge_loss, one.maker_loss])
    each = np.array(marks)
    return Epochs(parts, each[:, 0], each[:, 1], np.array(losses))


def taken(found: Epochs, noise: np.random.Generator | None) -> dict[str, Part]:
    """Gives the patients of each way to choose.

    Args:
        found: The epochs.
        noise: Of those picks; `None` takes the best ones.
    """
    five = [chosen(marks, noise) for marks in (found.forest, found.logistic)]
    return {
        "last epoch": found.parts[-1],
        "best LR epoch": found.parts[five[1][0]],
        "best RF epoch": found.parts[five[0][0]],
        "ten epochs": pooled([found.parts[at] for at in (*five[0], *five[1])]),
    }


def chosen(marks: NDArray[np.float64], noise: np.random.Generator | None) -> list[int]:
    """Gives five epochs, each chosen among those that are left; fewer if there are fewer."""
    left, found = marks.copy(), list[int]()
    for _ in range(min(_EACH, len(marks))):
        noisy = left if noise is None else left + noise.laplace(scale=_PICKS, size=len(left))
        found.append(int(np.argmax(noisy)))
        left[found[-1]] = -np.inf
    return found
