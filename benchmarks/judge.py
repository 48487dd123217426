"""What a synthetic table is good for, how like the real one it is, and what it does to groups of patients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import pandas as pd

from groups import GROUPS, broken_share
from wardgan.evaluate.associations import association_gap
from wardgan.evaluate.detect import detector
from wardgan.evaluate.fidelity import pair_total_variation, total_variation
from wardgan.evaluate.utility import Answers, ask_classifiers
from wardgan.rng import Seed
from wardgan.schema.schema import Schema

SHORT: Final = {"logistic regression": "LR", "random forest": "RF", "gradient boosting": "GB"}
ENOUGH: Final = 20
_JUDGED = 4_000


@dataclass(frozen=True)
class Judged:
    """The tables that a synthetic one is judged by.

    Attributes:
        name: One of `datasets.TABLES`.
        schema: The declarations, with rules.
        label: Column to predict.
        train: Real patients that the generator has learned from.
        test: Other real patients.
    """

    name: str
    schema: Schema
    label: str
    train: pd.DataFrame
    test: pd.DataFrame


def metrics(tables: Judged, synthetic: pd.DataFrame, seed: int) -> dict[str, object]:
    """Gives what a synthetic table is good for, and how like the training part it is.

    Args:
        tables: The real ones; if `synthetic` is their training part itself, it is likened to the test part, since the
            best that a generator can reach is another real sample, not a copy.
        synthetic: Synthetic patients.
        seed: Of the classifiers.
    """
    train, test, label = tables.train, tables.test, tables.label
    copied = synthetic is train
    synthetic = synthetic[list(train.columns)]
    answers = ask_classifiers(synthetic, test, target=label, seed=Seed(seed), models=tuple(SHORT))
    found: dict[str, object] = {SHORT[name]: answer.score().auroc for name, answer in answers.items()}
    positive = float((test[label] == test[label].max()).sum())
    found["SE"] = auroc_se(answers["gradient boosting"].score().auroc, positive, len(test) - positive)
    found["broken"] = broken_share(synthetic, tables.schema)
    like = test if copied else synthetic
    found["tv1"] = total_variation(train, like, bins=20).mean
    found["tv2"] = pair_total_variation(train, like, bins=8).mean
    found["assoc"] = association_gap(train, like)
    found["detector"] = detector(train, like, seed=Seed(seed)).value
    found["missing"] = float((train.isna().mean() - like.isna().mean()).abs().mean())
    rare = train[label].value_counts(normalize=True).idxmin()
    found["rare share"] = float((like[label] == rare).mean() / (train[label] == rare).mean())
    found["groups"] = [
        row
        for column, grouped in GROUPS[tables.name].items()
        for row in by_group(column, *(grouped.of(frame[column]) for frame in (train, like, test)), tables, answers)
    ]
    return found


def by_group(
    column: str, real: pd.Series, synthetic: pd.Series, test: pd.Series, tables: Judged, answers: dict[str, Answers]
) -> list[dict[str, object]]:
    """Gives for each group its share among synthetic patients, and how well its test patients are predicted.

    Args:
        column: What the groups are of.
        real: Group of each patient of the training part.
        synthetic: Group of each synthetic patient.
        test: Group of each patient of the test part.
        tables: The real tables.
        answers: What classifiers that were taught by all synthetic patients said about the test part.

    Returns:
        For each group the `column`, `group`, `n` of the training part, `share` of synthetic by that of real patients,
        and the areas under the ROC curve; None below 20 test patients with and 20 without the label.
    """
    label = tables.test[tables.label]
    found: list[dict[str, object]] = []
    for group, n in sorted(real.value_counts().items(), key=_place):
        mine = (test == group).to_numpy()
        counts = label[mine].value_counts().reindex(label.unique(), fill_value=0)
        share = float((synthetic == group).mean() / (n / len(real)))
        row: dict[str, object] = {"column": column, "group": str(group), "n": int(n), "share": share}
        for name in ("logistic regression", "gradient boosting"):
            row[SHORT[name]] = answers[name].score(mine).auroc if counts.min() >= ENOUGH else None
        found.append(row)
    return found


def _place(item: tuple[object, int]) -> tuple[bool, bool, str]:
    """Puts the lowest band of ages first, and the unknown last."""
    return item[0] == "unknown", not str(item[0]).startswith("below"), str(item[0])


def auroc_se(area: float, positive: float, negative: float) -> float:
    """Gives the standard error of an AUROC (Hanley and McNeil 1982)."""
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positive - 1) * (one - area**2) + (negative - 1) * (two - area**2)
    return math.sqrt(max(variance, 0.0) / (positive * negative))
