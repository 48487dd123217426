"""One hospital's generator within a mixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wardgan.combining.translate import Translation
from wardgan.sample.generator import Generator
from wardgan.schema.cohort import Cohort


@dataclass(frozen=True, eq=False)
class Leaf:
    """One hospital's generator within a mixture.

    Attributes:
        name: Names of the members on the way to it, such as `north/Alpha`.
        digest: Of its release.
        generator: Draws its patients; called when they are needed first.
        joint: Probability of each of its own classes within the mixture, shape (its classes,).
        path: From its schema to that of the mixture, one step for each level of the tree.
    """

    name: str
    digest: str
    generator: Callable[[], Generator]
    joint: NDArray[np.float64]
    path: tuple[Translation, ...]

    @cached_property
    def to_class(self) -> NDArray[np.int64]:
        """For each of its classes the class of the mixture, shape (its classes,)."""
        found = np.arange(len(self.joint))
        for step in self.path:
            found = step.classes()[found]
        return found

    @cached_property
    def _only(self) -> NDArray[np.int64] | None:
        """For each class of the mixture its own one, if each has exactly one; else `None`."""
        known, places = np.unique(self.to_class, return_index=True)
        if len(known) < len(self.to_class):
            return None
        found = np.full(int(known[-1]) + 1, -1, dtype=np.int64)
        found[known] = places
        return found

    def own_classes(self, classes: NDArray[np.int64], chance: NDArray[np.float64]) -> NDArray[np.int64]:
        """Gives a class of its own for each class of the mixture, by its own shares; shape (patients,).

        Args:
            classes: Classes of the mixture, each one that it knows.
            chance: A uniform number for each patient.
        """
        if self._only is not None:
            return self._only[classes]
        found = np.empty(len(classes), dtype=np.int64)
        for index in np.unique(classes):
            mine = np.flatnonzero(self.to_class == index)
            shares = self.joint[mine] if self.joint[mine].sum() > 0 else np.ones(len(mine))
            edges = np.cumsum(shares)[:-1] / shares.sum()
            rows = classes == index
            found[rows] = mine[np.searchsorted(edges, chance[rows], side="right")]
        return found

    def translated(self, cohort: Cohort) -> Cohort:
        """Gives its patients under the mixture's schema."""
        for step in self.path:
            cohort = step(cohort)
        return cohort
