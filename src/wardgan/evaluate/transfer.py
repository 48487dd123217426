"""Whether synthetic patients do the work of real ones: train on synthetic, test on real (TSTR), and the other ways."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.estimate import Estimate, proportion
from wardgan.evaluate.columns import columns, level_name, missing, paired
from wardgan.evaluate.ranks import auroc_interval, weighted_aurocs
from wardgan.evaluate.record import plain_fields
from wardgan.evaluate.reliability import Calibration, calibration
from wardgan.evaluate.resample import interval, ratio, subsample
from wardgan.evaluate.utility import MODELS, Answers, ask_classifiers
from wardgan.rng import Seed

ENOUGH: Final = 10
MOST: Final = 20_000
_DRAWS: Final = 400
_BLOCK: Final = 50
_LEAST: Final = 1e-6


@dataclass(frozen=True)
class Transfer:
    """What one classifier learns from synthetic patients, beside what it learns from real ones.

    Attributes:
        accuracy: Share of the real tested patients whose class it finds, taught by synthetic ones; the baseline is the
            same taught by real ones.
        tstr: Area under the ROC curve, taught by synthetic and tested on real patients; baseline `trtr`.
        trtr: Taught by real, tested on real.
        trts: Taught by real, tested on synthetic; baseline `trtr`. `None` if the synthetic patients cannot be tested.
        share: `tstr` divided by `trtr`.
        kept: What is left of what can be learned, (tstr - .5) / (trtr - .5); `None` if real patients teach nothing
            that could be told from chance.
        calibration: How right the risks are that the classifier gives real patients, taught by `"synthetic"` and by
            `"real"` ones; the baselines of the first are the values of the second.
    """

    accuracy: Estimate
    tstr: Estimate
    trtr: Estimate
    trts: Estimate | None
    share: Estimate
    kept: Estimate | None
    calibration: Mapping[str, Calibration]


@dataclass(frozen=True)
class Utility:
    """How well classifiers do on real patients when they have learned from synthetic ones.

    Attributes:
        target: The column that was predicted.
        classes: The classes that count: those with enough tested patients inside and outside.
        taught: How many real and how many synthetic patients taught.
        models: For each classifier what it reached; empty if nothing can be judged.
        refusal: Why nothing can be judged, in a sentence; `None` if it can.
    """

    target: str
    classes: tuple[str, ...]
    taught: tuple[int, int]
    models: Mapping[str, Transfer]
    refusal: str | None = None

    @property
    def accuracy(self) -> dict[str, Estimate]:
        """For each classifier the accuracy, its baseline being the same classifier taught by real patients."""
        return {name: found.accuracy for name, found in self.models.items()}

    def __str__(self) -> str:
        if self.refusal is not None:
            return f"{self.target}: {self.refusal}"
        rows = [("", "accuracy", "AUROC", "share")]
        rows += [(name, str(one.accuracy), str(one.tstr), str(one.share)) for name, one in self.models.items()]
        widths = [max(len(row[place]) for row in rows) for place in range(4)]
        table = "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
        n = next((found.tstr.n for found in self.models.values()), 0)
        return f"{self.target}: taught by synthetic, tested on {n} real patients, against taught by real\n{table}"

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def train_synthetic_test_real(
    real_train: pd.DataFrame,
    synthetic: pd.DataFrame,
    real_test: pd.DataFrame,
    *,
    target: str,
    seed: Seed,
    models: Sequence[str] = MODELS[:2],
) -> Utility:
    """Compares classifiers taught by synthetic patients with the same ones taught by real patients.

    At most 20,000 patients of each table are used, chosen at random.

    Args:
        real_train: Real patients, wide; what the generator has learned from.
        synthetic: Synthetic patients with the same columns.
        real_test: Other real patients with the same columns; the generator must not have seen them.
        target: Column with the classes.
        seed: Source of randomness of the classifiers and of the intervals.
        models: Which of `MODELS`.

    Returns:
        The intervals speak of the choice of the tested patients only, not of the randomness of the generator. The area
        has Newcombe's interval for two classes; for more it is the mean over the classes, each against the others,
        with a bootstrap interval. The share of two areas that were measured on the same patients has the interval that
        follows from those of both areas and from how they vary together over draws of the patients. With fewer
        than 10 tested patients in all but one class nothing can be judged, which is never a good result.

    Raises:
        DataError: A table is empty, lacks a column or the target, or has nothing but the target.
        UsageError: A model is not known, or scikit-learn is not installed.

    Source:
        Esteban, Hyland, Rätsch 2017, arXiv:1706.02633 (train on synthetic, test on real); Newcombe, Stat
        Med 2006;25:559, method 5; Zou and Donner, Stat Med 2008;27:1693 (intervals of ratios from those of the parts).
    """
    real, made, test = (
        subsample(table, MOST, seed, f"transfer/{name}")
        for name, table in (("real", real_train), ("synthetic", synthetic), ("test", real_test))
    )
    for name, table in (("synthetic", made), ("real_test", test)):
        paired(real, table, names=("real_train", name))
    test = test.filter(list(real.columns))
    taught = (len(real), len(made))
    by_real = ask_classifiers(real, test, target=target, seed=seed, models=models)
    by_made = ask_classifiers(made, test, target=target, seed=seed, models=models)
    counted = judged_classes(columns(test.filter([target]))[target])
    names = tuple(level_name(level) for level in counted)
    if not counted:
        reason = (
            f"the tested patients have fewer than {ENOUGH} in all classes of {target} but one; it cannot be judged."
        )
        return Utility(target, names, taught, {}, reason)
    back = ask_classifiers(real, made.loc[:, list(test.columns)], target=target, seed=seed, models=models)
    found = {name: _transfer(by_made[name], by_real[name], back[name], counted, seed) for name in models}
    return Utility(target, names, taught, found)


def judged_classes(classes: NDArray[np.object_] | NDArray[np.float64], enough: int = ENOUGH) -> tuple[object, ...]:
    """Gives the classes with at least `enough` patients inside and outside, in order.

    Args:
        classes: Class of each patient as from `columns`, shape (patients,); missing ones do not count.
        enough: How many.

    Example:
        >>> judged_classes(np.array(["a", "b", "a", "b", "c"], dtype=object), enough=2)
        ('a', 'b')
        >>> judged_classes(np.array(["a", "a", "a", "b"], dtype=object), enough=2)
        ()
    """
    known = classes[~missing(classes)]
    levels, counts = np.unique(known, return_counts=True)
    return tuple(level for level, count in zip(levels, counts, strict=True) if min(count, known.size - count) >= enough)


def _transfer(made: Answers, real: Answers, back: Answers, counted: tuple[object, ...], seed: Seed) -> Transfer:
    weights = _stratified(made.wanted, seed)
    areas = {name: _areas(answers, counted, weights) for name, answers in (("made", made), ("real", real))}
    trtr = _area(real, areas["real"], counted)
    tstr = replace(_area(made, areas["made"], counted), baseline=trtr.value)
    testable = judged_classes(back.wanted)
    trts = None
    if set(counted) <= set(testable):
        drawn = _areas(back, counted, _stratified(back.wanted, seed))
        trts = replace(_area(back, drawn, counted), baseline=trtr.value)
    ours = real.score()
    score = made.score()
    return Transfer(
        proportion(score.correct, score.n, baseline=ours.accuracy),
        tstr,
        trtr,
        trts,
        _share(tstr, trtr, areas["made"], areas["real"]),
        _kept(areas["made"], areas["real"], trtr),
        _calibrations(made, real, counted, seed),
    )


def _stratified(wanted: NDArray[np.object_] | NDArray[np.float64], seed: Seed) -> NDArray[np.float32]:
    """Gives how often each patient counts, shape (1 + draws, patients); each class keeps its number of patients."""
    stream = seed.stream("transfer/draws")
    weights = np.ones((1 + _DRAWS, wanted.size), dtype=np.float32)
    for level in np.unique(wanted):
        mine = np.flatnonzero(wanted == level)
        drawn = stream.integers(0, mine.size, (_DRAWS, mine.size)) + mine.size * np.arange(_DRAWS)[:, None]
        weights[1:, mine] = np.bincount(drawn.ravel(), minlength=_DRAWS * mine.size).reshape(_DRAWS, mine.size)
    return weights


def _areas(answers: Answers, counted: tuple[object, ...], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Gives the mean area over the classes in the sample and in each draw, shape (1 + draws,)."""
    chances = dict(zip(answers.levels, answers.chances.T, strict=True))
    never = np.zeros(answers.wanted.size)
    # The areas of two classes are the same if both were taught, so one of them is enough.
    levels = counted[1:] if len(counted) == 2 and np.unique(answers.wanted).size == 2 else counted
    blocks = [weights[start : start + _BLOCK].astype(np.float64) for start in range(0, len(weights), _BLOCK)]
    found = [
        np.concatenate([weighted_aurocs(chances.get(level, never), answers.wanted == level, block) for block in blocks])
        for level in levels
    ]
    return np.mean(found, axis=0)


def _area(answers: Answers, areas: NDArray[np.float64], counted: tuple[object, ...]) -> Estimate:
    n = answers.wanted.size
    if np.unique(answers.wanted).size > 2:
        text = f"area under the ROC curve, mean over {len(counted)} classes"
        return interval(areas, n, text, low=0.0, high=1.0)
    cases = int((answers.wanted == counted[-1]).sum())
    low, high = auroc_interval(float(areas[0]), cases, n - cases)
    return Estimate(float(areas[0]), low, high, n, "area under the ROC curve, Newcombe interval")


def _share(tstr: Estimate, trtr: Estimate, made: NDArray[np.float64], real: NDArray[np.float64]) -> Estimate:
    """Gives the quotient of two areas; Zou and Donner 2008, for the difference of their logarithms."""
    together = np.cov(made[1:], real[1:])
    spread = math.sqrt(together[0, 0] * together[1, 1])
    link = float(together[0, 1]) / spread if spread > 0 else 0.0
    (one, low_one, high_one), (two, low_two, high_two) = (
        tuple(math.log(max(end, _LEAST)) for end in (area.value, area.low, area.high)) for area in (tstr, trtr)
    )
    below = _distance(one - low_one, high_two - two, link)
    above = _distance(high_one - one, two - low_two, link)
    text = "share of two areas on the same patients, interval from those of both"
    at = one - two
    return Estimate(math.exp(at), math.exp(at - below), math.exp(at + above), tstr.n, text, 1.0)


def _distance(one: float, two: float, link: float) -> float:
    return math.sqrt(max(one * one + two * two - 2 * link * one * two, 0.0))


def _kept(made: NDArray[np.float64], real: NDArray[np.float64], trtr: Estimate) -> Estimate | None:
    if trtr.low <= 0.5:
        return None
    return interval(ratio(made - 0.5, real - 0.5), trtr.n, "share of what is above chance")


def _calibrations(made: Answers, real: Answers, counted: tuple[object, ...], seed: Seed) -> dict[str, Calibration]:
    levels = list(np.unique(made.wanted))
    if len(levels) > 2:
        levels = list(counted)
    names = tuple(level_name(level) for level in levels)
    truth = np.column_stack([made.wanted == level for level in levels])
    found: dict[str, Calibration] = {}
    for name, answers in (("real", real), ("synthetic", made)):
        of_level = dict(zip(answers.levels, answers.chances.T, strict=True))
        chances = np.column_stack([of_level.get(level, np.zeros(len(truth))) for level in levels])
        found[name] = calibration(chances, truth, names, seed=seed)
    best, ours = found["real"], found["synthetic"]
    found["synthetic"] = replace(
        ours,
        brier=replace(ours.brier, baseline=best.brier.value),
        error=replace(ours.error, baseline=best.error.value),
    )
    return found
