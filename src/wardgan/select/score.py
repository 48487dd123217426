"""How well the synthetic patients of each candidate teach: the scores of a private choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.encode.units import Units
from wardgan.errors import UsageError

Classes = NDArray[np.int64]
Rows = NDArray[np.float64]
Naming = Callable[[Rows], Classes]
_LEVELS: Final = 50
_BLOCK: Final = 4_096
_TREES: Final = 50
_SNAP: Final = 1 << 16
_RARE: Final = 0.25


@dataclass(frozen=True)
class Design:
    """What classifiers see of a patient: positions of numbers, indicators of levels, and of cells without a value.

    It follows from the schema alone and takes each patient alone. Of a large category the first 50 levels have an
    indicator.

    Attributes:
        layout: The variables.
    """

    layout: Layout

    def rows(self, units: Units) -> Rows:
        """Gives the features of patients given as units, shape (patients, features)."""
        parts: list[Rows] = []
        for at, variable in enumerate(self.layout.variables):
            column = np.asarray(units[:, at], dtype=np.float64)
            there = column >= 0
            if variable.column.numeric:
                parts.append(np.where(there, column, 0.0)[:, None])
            else:
                shown = np.arange(min(variable.column.size, _LEVELS))
                parts.append((there[:, None] & (np.rint(column)[:, None] == shown)).astype(np.float64))
            if variable.role == "cell" or variable.column.nullable:
                parts.append((~there).astype(np.float64)[:, None])
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, eq=False, repr=False)
class Recognition:
    """In how far classifiers that have learned from a candidate's synthetic patients name real patients' classes.

    Each patient adds w_y (r - 1/2) to the score of a candidate: r is the part of its classifiers that name the
    patient's class y rightly, and w_y, at most 1, lets rare classes count like others. Neighbours: one patient more.
    That patient moves each score by between -1/2 and 1/2, and no other patient's part changes, since the classifiers
    know synthetic patients only and look at each patient alone. Hence the sensitivity is 1/2. (What is subtracted, half
    of all weights, is the same for each candidate, so the choice is the one by the weighed number of patients who are
    named rightly. That number alone would have the sensitivity 1, and twice the noise, though it can only rise with a
    patient more.) Numbers of patients are not needed, so none is given away.

    Attributes:
        design: Features.
        taught: The classifiers of each candidate.
        weights: w of each class, shape (classes,), as from `class_weights`.
    """

    design: Design
    taught: tuple[tuple[Naming, ...], ...]
    weights: NDArray[np.float64]

    @property
    def sensitivity(self) -> float:
        """1/2."""
        return 0.5

    def scores(self, units: Units, classes: Classes) -> NDArray[np.float64]:
        """Gives the score of each candidate, shape (candidates,)."""
        found = np.zeros(len(self.taught))
        for start in range(0, len(units), _BLOCK):
            part = slice(start, start + _BLOCK)
            rows, weight = self.design.rows(units[part]), self.weights[classes[part]]
            for at, namings in enumerate(self.taught):
                right = np.mean([naming(rows) == classes[part] for naming in namings], axis=0)
                found[at] += (weight * (right - 0.5)).sum()
        return found


def class_weights(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives by how much a patient of each class counts: at most 1, and less in a class larger than the smallest.

    A class with less than a quarter of an equal share counts as one with that share: otherwise the patients of all
    other classes would hardly count, and the noise would choose. Weights are rounded down to whole parts of 65,536, so
    that sums of them are exact.

    Args:
        shares: Noisy share of each class, shape (classes,).

    Example:
        >>> class_weights(np.array([0.25, 0.75])).round(3).tolist()
        [1.0, 0.333]
    """
    least = max(float(shares.min()), _RARE / len(shares))
    return np.floor(np.minimum(1.0, least / np.maximum(shares, 1e-12)) * _SNAP) / _SNAP


def taught(rows: Rows, classes: Classes) -> tuple[Naming, ...]:
    """Gives a logistic regression and a random forest that have learned from synthetic patients.

    Args:
        rows: Features of synthetic patients, shape (patients, features).
        classes: Their classes, at least two, shape (patients,).

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as error:
        raise UsageError("choice: scikit-learn scores it. Install it with: pip install 'wardgan[train]'") from error
    # Replayable on purpose: no patient is involved, and a run that goes on must ask as it asked before.
    forest = RandomForestClassifier(n_estimators=_TREES, min_samples_leaf=3, random_state=0).fit(rows, classes)

    def by_forest(seen: Rows) -> Classes:
        return np.asarray(forest.predict(seen), dtype=np.int64)

    return _logistic(rows, classes), by_forest


def _logistic(rows: Rows, classes: Classes) -> Naming:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    middle, spread = rows.mean(axis=0), rows.std(axis=0)
    scale = 1 / np.where(spread > 1e-9, spread, np.inf)
    with warnings.catch_warnings():
        # Half-learned weights are weights, too, and are scored as what they are.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=300).fit((rows - middle) * scale, classes)
    levels = np.asarray(model.classes_, dtype=np.int64)
    slopes = model.coef_ * scale  # (1 or classes, features)
    starts = model.intercept_ - slopes @ middle
    if len(slopes) == 1:
        slopes, starts = np.concatenate([np.zeros_like(slopes), slopes]), np.concatenate([[0.0], starts])

    def by_logistic(seen: Rows) -> Classes:
        # Summed patient by patient: the digits of a product of matrices may hang on how many patients there are.
        sums = [(seen * slope).sum(axis=1) + start for slope, start in zip(slopes, starts, strict=True)]
        return levels[np.argmax(sums, axis=0)]

    return by_logistic
