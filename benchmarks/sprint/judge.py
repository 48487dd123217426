"""What is measured of patients, real or invented: the paper's own numbers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from benchmarks.sprint.trial import FEATURES, Part

# As in the notebooks, on numbers as they are; the forest of ten trees is theirs, the one of a hundred beside it ours.
_CLASSIFIERS: Final[Mapping[str, Any]] = {
    "RF": lambda: RandomForestClassifier(n_estimators=10, random_state=0),
    "LR": lambda: LogisticRegression(solver="liblinear"),
    "SVM": lambda: LinearSVC(C=1.0, random_state=1),
    "kNN": KNeighborsClassifier,
    "RF, 100 trees": lambda: RandomForestClassifier(n_estimators=100, random_state=0),
}
_WEIGHED: Final = ("RF", "SVM", "LR")


@dataclass(frozen=True, eq=False, repr=False)
class Judged:
    """What patients teach.

    Attributes:
        accuracy: Of each classifier, on real patients that nobody has seen.
        weights: Importance or coefficient of each of the 36 numbers, by classifier.
        cells: The 630 correlations.
        medians: Median of each number by arm, shape (2, 3, 12); NaN without such patients.
        means: Mean pressure, mean lower pressure, mean number of drugs.
    """

    accuracy: dict[str, float]
    weights: dict[str, NDArray[np.float64]]
    cells: NDArray[np.float64]
    medians: NDArray[np.float64]
    means: NDArray[np.float64]


def judged(train: Part, test: Part) -> Judged:
    """Gives what patients teach about others.

    Args:
        train: Real or invented.
        test: Real, and not among them.
    """
    accuracy, weights = {}, {}
    for name, make in _CLASSIFIERS.items():
        model = fitted(make(), train)
        accuracy[name] = _correct(model, train, test)
        if name in _WEIGHED:
            weights[name] = np.zeros(len(FEATURES)) if model is None else _weights(model)
    medians = [
        np.median(train.values[train.arms == arm], axis=0) if (train.arms == arm).any() else np.full((3, 12), np.nan)
        for arm in (0, 1)
    ]
    lower = np.tril_indices(len(FEATURES), -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cells = np.corrcoef(train.flat.T)[lower]
    return Judged(accuracy, weights, cells, np.array(medians), train.values.mean(axis=(0, 2)))


def fitted(model: Any, train: Part) -> Any:  # noqa: ANN401 - a classifier of scikit-learn
    """Gives a classifier of the arm; `None` if there is only one arm to learn from."""
    if len(np.unique(train.arms)) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(train.flat, train.arms)


def score(model: Any, train: Part, test: Part) -> float:  # noqa: ANN401 - a classifier of scikit-learn
    """Gives the accuracy that a classifier learns."""
    return _correct(fitted(model, train), train, test)


def forest() -> RandomForestClassifier:
    """Gives the forest that judged epochs."""
    return _CLASSIFIERS["RF"]()


def logistic() -> LogisticRegression:
    """Gives the regression that judged epochs."""
    return _CLASSIFIERS["LR"]()


def numbers(found: Judged, real: Judged) -> dict[str, float]:
    """Gives what the paper's tables hold.

    Args:
        found: What invented patients teach.
        real: What the real ones teach.
    """
    row = {f"accuracy {name}": value for name, value in found.accuracy.items()}
    row |= {f"importance {name}": rank(found.weights[name], real.weights[name]) for name in _WEIGHED}
    row["correlations"] = rank(found.cells, real.cells)
    row["correlations RMSE"] = float(np.sqrt(np.mean((np.nan_to_num(found.cells) - np.nan_to_num(real.cells)) ** 2)))
    gaps = np.abs(found.medians[:, 0] - real.medians[:, 0])
    row |= {"SBP median, largest gap": float(np.max(gaps)), "SBP median, mean gap": float(np.mean(gaps))}
    return row | dict(zip(("mean SBP", "mean DBP", "mean drugs"), found.means.tolist(), strict=True))


def rank(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Gives Spearman's correlation; 0 where there is none. What is undefined counts as no correlation."""
    left, right = np.nan_to_num(one), np.nan_to_num(other)
    return float(spearmanr(left, right).statistic) if np.ptp(left) > 0 and np.ptp(right) > 0 else 0.0


def _correct(model: Any, train: Part, test: Part) -> float:  # noqa: ANN401 - a classifier of scikit-learn
    said = np.full(len(test.arms), train.arms[0]) if model is None else model.predict(test.flat)
    return float((said == test.arms).mean())


def _weights(model: Any) -> NDArray[np.float64]:  # noqa: ANN401 - a classifier of scikit-learn
    return np.ravel(model.coef_ if hasattr(model, "coef_") else model.feature_importances_)
