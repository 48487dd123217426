"""Classifiers: what those that learn from one table say about the patients of another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import DataError, UsageError
from wardgan.evaluate.columns import Columns, is_number, missing, paired
from wardgan.evaluate.ranks import auroc
from wardgan.rng import Seed

MODELS: Final = ("logistic regression", "random forest", "gradient boosting", "k nearest neighbours")
NEIGHBOURS: Final = 25

# A column of text gets one feature for each of its most frequent values; the others share none.
_LEVELS: Final = 50


@dataclass(frozen=True)
class Score:
    """How well one classifier recognises the class of patients that it has not seen.

    Attributes:
        correct: How many of the tested patients got their class.
        n: How many patients were tested.
        auroc: Area under the ROC curve, mean over the classes of the tested patients (each against the others);
            NaN if they are all of one class.
    """

    correct: int
    n: int
    auroc: float

    @property
    def accuracy(self) -> float:
        """Share of the patients who got their class."""
        return self.correct / self.n


@dataclass(frozen=True, eq=False, repr=False)
class Answers:
    """What one classifier said about patients whom it had not seen, so that parts of them can be scored.

    Attributes:
        levels: The classes that it was taught, shape (classes,).
        chances: The probability that it gave to each of them, shape (patients with a class, classes).
        wanted: Their true classes, shape (patients with a class,).
        known: Which of the tested patients have a class, shape (patients,).
    """

    levels: NDArray[Any]
    chances: NDArray[np.float64]
    wanted: NDArray[Any]
    known: NDArray[np.bool_]

    def score(self, rows: NDArray[np.bool_] | None = None) -> Score:
        """Gives how well some of the tested patients were recognised.

        Args:
            rows: Which of the tested patients, shape (patients,), such as those of one hospital; `None` for all. Those
                without a class are left out.

        Raises:
            DataError: `rows` is no such mask, or holds nobody who has a class.
        """
        if rows is None:
            rows = self.known
        if rows.dtype != bool or rows.shape != self.known.shape:
            raise DataError(f"rows: a mask of shape ({self.known.size},) is needed, one truth value for each patient.")
        part = rows[self.known]
        if not part.any():
            raise DataError("rows: it holds no patient whose class is known; leave such a group out.")
        chances, wanted = self.chances[part], self.wanted[part]
        correct = int((self.levels[chances.argmax(axis=1)] == wanted).sum())
        of_level = dict(zip(self.levels, chances.T, strict=True))
        never = np.zeros(wanted.size)
        areas = [auroc(of_level.get(level, never), wanted == level) for level in np.unique(wanted)]
        return Score(correct, wanted.size, float(np.mean(areas)))


def score_classifiers(
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    target: str,
    seed: Seed,
    models: Sequence[str] = MODELS[:2],
) -> dict[str, Score]:
    """Gives how well classifiers that learn from `train` recognise the classes of `test`.

    Numbers are standardised; a missing number is replaced by the median of `train` and marked in a column of its
    own if `train` has missing ones too. Text gets one column for each of its 50 most frequent values in `train`.
    Patients without a class are left out. If `train` has only one class, everybody is given that class (AUROC .5).

    Args:
        train: Wide table of shape (patients, columns).
        test: Wide table; its columns are the ones that are used.
        target: Column with the classes.
        seed: Source of randomness of the forest and of the boosting.
        models: Which of `MODELS`; the forest has 100 trees, and 25 neighbours are asked.

    Returns:
        A `Score` for each model.

    Raises:
        DataError: A table is empty, lacks a column or the target, or has nothing but the target.
        UsageError: A model is not one of the four, or scikit-learn is not installed.

    Example:
        >>> frame = pd.DataFrame({"sbp": [110, 115, 150, 155], "arm": ["low", "low", "high", "high"]})
        >>> score_classifiers(frame, frame, target="arm", seed=Seed(1))["logistic regression"]
        Score(correct=4, n=4, auroc=1.0)
    """
    answered = ask_classifiers(train, test, target=target, seed=seed, models=models)
    return {name: answers.score() for name, answers in answered.items()}


def ask_classifiers(
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    target: str,
    seed: Seed,
    models: Sequence[str] = MODELS[:2],
) -> dict[str, Answers]:
    """Gives what classifiers that learn from `train` say about each patient of `test`, to score groups of them.

    Args:
        train: See `score_classifiers`.
        test: See `score_classifiers`.
        target: Column with the classes.
        seed: Source of randomness of the forest and of the boosting.
        models: Which of `MODELS`.

    Returns:
        For each model its `Answers`; their `score()` is what `score_classifiers` gives.

    Raises:
        DataError: A table is empty, lacks a column or the target, or has nothing but the target.
        UsageError: A model is not one of the four, or scikit-learn is not installed.

    Example:
        >>> frame = pd.DataFrame({"sbp": [110, 115, 150, 155], "arm": ["low", "low", "high", "high"]})
        >>> answers = ask_classifiers(frame, frame, target="arm", seed=Seed(1))["logistic regression"]
        >>> answers.score((frame["sbp"] > 112).to_numpy())
        Score(correct=3, n=3, auroc=1.0)
    """
    asked, known = paired(test, train, names=("test", "train"))
    has_class = ~missing(asked[target]) if target in asked else np.zeros(len(test), dtype=bool)
    asked, wanted = _split(asked, target, "test")
    known, taught = _split(known, target, "train")
    if not known:
        raise DataError(f"test has no column but {target}. Pass the columns to predict it from, too.")
    features, questions = _design(known, asked)
    found: dict[str, Answers] = {}
    for name in models:
        levels, chances = _taught(_classifier(name, seed, len(taught)), features, taught, questions)
        found[name] = Answers(levels, chances, wanted, has_class)
    return found


def _split(table: Columns, target: str, name: str) -> tuple[Columns, NDArray[Any]]:
    """Gives the features and the classes of the patients who have a class."""
    if target not in table:
        raise DataError(f"target={target!r} is not a column of {name}. Name the column that holds the classes.")
    kept = ~missing(table[target])
    if not kept.any():
        raise DataError(f"target={target!r} has no value in {name}. Pass patients whose class is known.")
    return {column: values[kept] for column, values in table.items() if column != target}, table[target][kept]


def _design(known: Columns, asked: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives the features of both tables, each of shape (patients, features); everything is fitted on `known`."""
    pairs = [
        (_number_features if is_number(column) else _text_features)(column, asked[name])
        for name, column in known.items()
    ]
    return np.hstack([ours for ours, _ in pairs]), np.hstack([theirs for _, theirs in pairs])


def _number_features(known: NDArray[Any], asked: NDArray[Any]) -> list[NDArray[np.float64]]:
    absent = missing(known)
    present = known[~absent]
    # Dividing by the largest value first keeps the squares of very large numbers finite.
    reach = float(np.abs(present).max(initial=0.0)) or 1.0
    median = float(np.median(present)) / reach if present.size else 0.0
    filled = [np.where(missing(column), median, column / reach) for column in (known, asked)]
    centre, spread = float(filled[0].mean()), float(filled[0].std())
    scaled = [(column - centre) / (spread if spread > 1e-12 else 1.0) for column in filled]
    if not absent.any():
        return [column[:, None] for column in scaled]
    return [
        np.column_stack([values, missing(column).astype(np.float64)])
        for values, column in zip(scaled, (known, asked), strict=True)
    ]


def _text_features(known: NDArray[Any], asked: NDArray[Any]) -> list[NDArray[np.float64]]:
    levels = pd.Series(known).value_counts().index[:_LEVELS]
    return [
        np.array([column == level for level in levels], dtype=np.float64).reshape(len(levels), column.size).T
        for column in (known, asked)
    ]


def _taught(
    classifier: Any,  # noqa: ANN401
    features: NDArray[np.float64],
    taught: NDArray[Any],
    questions: NDArray[np.float64],
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Gives the classes that were taught, and the chances of each, shape (patients, classes)."""
    levels, labels = np.unique(taught, return_inverse=True)
    if levels.size == 1:
        return levels, np.ones((len(questions), 1))
    classifier.fit(features, labels)
    return levels, classifier.predict_proba(questions)


def _classifier(name: str, seed: Seed, patients: int) -> Any:  # noqa: ANN401
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier
    except ImportError as error:
        raise UsageError("Classifiers need scikit-learn. Install it with: pip install 'wardgan[train]'") from error
    state = int(seed.stream(f"classifier/{name}").integers(2**31))
    match name:
        case "logistic regression":
            return LogisticRegression(max_iter=5000)
        case "random forest":
            return RandomForestClassifier(n_estimators=100, random_state=state)
        case "gradient boosting":
            # Stopping early would set patients aside by class, which fails for a class with one patient.
            return HistGradientBoostingClassifier(random_state=state).set_params(early_stopping=False)
        case "k nearest neighbours":
            return KNeighborsClassifier(min(NEIGHBOURS, patients))
        case _:
            raise UsageError(f"models has {name!r}, which is not one of {', '.join(MODELS)}.")
