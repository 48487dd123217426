"""How good a generator of simulated patients is, judged on simulated patients whom it never saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.encode.units import classes_of
from wardgan.evaluate.columns import columns, numbers
from wardgan.evaluate.fidelity import pair_total_variation, total_variation
from wardgan.evaluate.utility import Score, score_classifiers
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort
from wardgan.schema.schema import Schema

CLASSIFIERS: Final = ("logistic regression", "gradient boosting")
TAUGHT: Final = 20_000
COMPARED: Final = 10_000
PAIRED: Final = 40


@dataclass(frozen=True)
class Target:
    """What classifiers predict: a label, or something else if the schema declares none.

    Attributes:
        name: Column of the wide table.
        cut: Of a number: it is predicted whether a patient is above; `None` for levels.
        label: Whether the column is a label.
    """

    name: str
    cut: float | None
    label: bool

    def __str__(self) -> str:
        return self.name if self.cut is None else f"whether {self.name} is above its median"

    def asked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Gives a wide table with this column as classes."""
        if self.cut is None:
            return frame
        values = columns(frame.filter([self.name]))[self.name]
        words = np.where(values > self.cut, "above", "below").astype(object)
        words[np.isnan(values)] = None
        return frame.assign(**{self.name: words})


@dataclass(frozen=True, eq=False)
class Judged:
    """What some patients are good for.

    Attributes:
        areas: For each classifier the area under the ROC curve for each target; NaN where undefined.
        columns: Total variation of columns, mean.
        pairs: Total variation of pairs of columns, mean; NaN with one column.
        classes: Share of each class, shape (classes,).
    """

    areas: Mapping[str, tuple[float, ...]]
    columns: float
    pairs: float
    classes: NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Stage:
    """One simulated table, and others of the same population who judge what was made of it.

    Attributes:
        cohort: The patients that generators are fitted on.
        real: The same, wide.
        unseen: Other patients, wide.
        targets: What is predicted.
        paired: Columns whose pairs are compared.
        seed: Of the classifiers.
    """

    cohort: Cohort
    real: pd.DataFrame
    unseen: pd.DataFrame
    targets: tuple[Target, ...]
    paired: tuple[str, ...]
    seed: Seed

    @classmethod
    def of(cls, cohort: Cohort, unseen: Cohort, seed: Seed) -> Stage:
        """Gives the stage for some patients and others of the same population, all under complete declarations."""
        real = wide_of(cohort)
        names = [str(name) for name in real.columns]
        chosen = np.sort(seed.stream("pairs").permutation(len(names))[:PAIRED])
        targets = targets_of(cohort.schema, real)
        return cls(cohort, real, wide_of(unseen), targets, tuple(names[at] for at in chosen), seed)

    def judge(self, synthetic: Cohort) -> Judged:
        """Gives what synthetic patients are good for."""
        wide = wide_of(synthetic).reindex(columns=self.real.columns)
        return self._judged(taught=wide, compared=wide, whole=synthetic)

    def best(self) -> Judged:
        """Gives the best that can be reached: taught by the patients themselves, compared with unseen ones."""
        return self._judged(taught=self.real, compared=self.unseen, whole=self.cohort)

    def _judged(self, *, taught: pd.DataFrame, compared: pd.DataFrame, whole: Cohort) -> Judged:
        ours, theirs = self.real.iloc[:COMPARED], compared.iloc[: min(COMPARED, len(self.real))]
        pairs = pair_total_variation(*(part.filter(self.paired) for part in (ours, theirs))).mean
        classes = np.bincount(classes_of(whole), minlength=whole.schema.classes) / len(whole)
        return Judged(self._areas(taught.iloc[:TAUGHT]), total_variation(ours, theirs).mean, pairs, classes)

    def _areas(self, taught: pd.DataFrame) -> dict[str, tuple[float, ...]]:
        found: list[Mapping[str, Score]] = []
        for target in self.targets if len(taught.columns) > 1 else ():
            train, test = target.asked(taught), target.asked(self.unseen)
            found.append(score_classifiers(train, test, target=target.name, seed=self.seed, models=CLASSIFIERS))
        return {name: tuple(scores[name].auroc for scores in found) for name in CLASSIFIERS}


def targets_of(schema: Schema, wide: pd.DataFrame) -> tuple[Target, ...]:
    """Gives what is predicted: every label that has levels, or else one other column.

    Without a label it is the column of the table with the fewest levels; if there is none, whether the first number is
    above its median.

    Args:
        schema: Complete declarations.
        wide: Simulated patients, as from `wide_of`.
    """
    labels = tuple(Target(label.name, None, label=True) for label in schema.labels if label.size > 1)
    if labels:
        return labels
    levelled = [column for column in schema.table if not column.numeric and not column.label and column.size > 1]
    if levelled:
        return (Target(min(levelled, key=lambda column: column.size).name, None, label=False),)
    for name, values in numbers(columns(wide)).items():
        known = values[~np.isnan(values)]
        if len(np.unique(known)) > 1:
            cut = float(np.median(known))
            # With half of the patients at the top, nobody is above the median.
            return (Target(name, cut if (known > cut).any() else float(known[known < cut].max()), label=False),)
    return ()


def wide_of(cohort: Cohort) -> pd.DataFrame:
    """Gives one row per patient without the patients' names."""
    return cohort.wide(named=False)
