"""How good training is, by a task on patients whom it has not seen; only in a fit without privacy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.units import Units
from wardgan.models.anchor.anchor import Anchor
from wardgan.models.pairs.drawn import Groups
from wardgan.privacy.pairs import PairCounts
from wardgan.privacy.queries import Classes

_TARGETS: Final = 24
_RIDGE: Final = 1e-2
_FEWEST: Final = 5
_CHUNK: Final = 8_192


@dataclass(frozen=True)
class HoldOut:
    """Patients whom the training does not see.

    Attributes:
        groups: Group of each variable, shape (patients, variables); -1 where the visit did not take place.
        classes: Class of each patient, shape (patients,).
        sizes: Number of groups of each variable.
    """

    groups: NDArray[np.int64]
    classes: NDArray[np.int64]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, units: Units, classes: Classes, anchor: Anchor, groups: Groups) -> HoldOut:
        """Gives the hold-out of patients given as units.

        Args:
            units: Shape (patients, variables).
            classes: Shape (patients,).
            anchor: Levels.
            groups: For each variable the group of each level.
        """
        counts = PairCounts(anchor.levels, groups, (), len(anchor.probabilities))
        found = [counts.group(units[:, at], at) for at in range(len(groups))]
        return cls(np.stack(found, axis=1), classes, tuple(int(group.max()) + 1 for group in groups))

    def task(self, drawn: list[NDArray[np.int64]], anchor: Anchor) -> float:
        """Gives how well the held-out patients are predicted by linear models that have learned from generated ones.

        Each class, and the most frequent group of up to 24 variables, is predicted from all other variables by ridge
        regression; the result is the mean area under the ROC curve.

        Args:
            drawn: For each class the groups of generated patients, shape (patients, variables).
            anchor: Share of each class.

        Returns:
            Between 0 and 1; .5 says that nothing was learned. NaN if nothing can be predicted.
        """
        classes = np.repeat(np.arange(len(drawn)), [len(part) for part in drawn])
        weight = anchor.probabilities[classes] / np.array([len(part) for part in drawn])[classes]
        test = _features(self.groups, self.classes, self.sizes, len(drawn))
        owner = np.repeat(np.arange(len(self.sizes) + 1), [*self.sizes, len(drawn)])
        gram = _RIDGE / len(classes) * np.eye(len(owner))
        groups = np.concatenate(drawn)
        for start in range(0, len(classes), _CHUNK):
            part = slice(start, start + _CHUNK)
            train = _features(groups[part], classes[part], self.sizes, len(drawn))
            gram += (train * weight[part, None]).T @ train
        areas = [_area(test, gram, owner, target) for target in self._targets(owner)]
        known = [area for area in areas if area is not None]
        return float(np.mean(known)) if known else float("nan")

    def _targets(self, owner: NDArray[np.intp]) -> list[int]:
        """Gives the features to predict: the classes, and the most frequent group of some variables."""
        frequent = [int(np.bincount(column[column >= 0], minlength=1).argmax()) for column in self.groups.T]
        first = np.searchsorted(owner, np.arange(len(self.sizes)))
        spread = np.unique(np.linspace(0, len(self.sizes) - 1, _TARGETS).round().astype(int))
        classes = np.flatnonzero(owner == len(self.sizes))
        chosen = (first[spread] + np.array(frequent)[spread]).tolist()
        return [*(classes.tolist() if len(classes) > 1 else []), *chosen]


def _features(
    groups: NDArray[np.int64], classes: NDArray[np.int64], sizes: tuple[int, ...], number: int
) -> NDArray[np.float64]:  # fmt: skip
    """Gives an indicator for each group of each variable, then for each class; shape (patients, features)."""
    parts = [groups[:, [at]] == np.arange(size) for at, size in enumerate(sizes)]
    return np.concatenate([*parts, classes[:, None] == np.arange(number)], axis=1).astype(np.float64)


def _area(
    test: NDArray[np.float64], gram: NDArray[np.float64], owner: NDArray[np.intp], target: int
) -> float | None:  # fmt: skip
    """Gives the area under the ROC curve of one target; `None` if hardly a patient has it, or hardly one has not."""
    truth = test[:, target] > 0
    if min(truth.sum(), (~truth).sum()) < _FEWEST:
        return None
    others = np.flatnonzero(owner != owner[target])
    score = test[:, others] @ np.linalg.solve(gram[np.ix_(others, others)], gram[others, target])
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    positive, negative = truth.sum(), (~truth).sum()
    return float((rank[place][truth].sum() - positive * (positive + 1) / 2) / (positive * negative))
