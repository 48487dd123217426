"""What became of each group of patients: its share, and how well its members can be predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from wardgan.estimate import Estimate, proportion
from wardgan.evaluate.columns import columns, missing, paired
from wardgan.evaluate.groups import Grouped
from wardgan.evaluate.ranks import auroc, auroc_interval
from wardgan.evaluate.record import plain_fields
from wardgan.evaluate.resample import subsample
from wardgan.evaluate.transfer import MOST, judged_classes
from wardgan.evaluate.utility import Answers, ask_classifiers
from wardgan.rng import Seed

VANISHED: Final = 0.5
ENOUGH: Final = 50
_TESTED: Final = 20
_EXPECTED: Final = 10
_Z: Final = 1.959963984540054


@dataclass(frozen=True)
class Subgroup:
    """One group of patients.

    Attributes:
        column: What the groups are of.
        group: Which one.
        n: How many real patients are in it.
        real: Its share of the real patients.
        holdout: Its share of the hold-out; `None` without one.
        synthetic: Its share of the synthetic patients; the baseline is the real one.
        ratio: Share of synthetic by that of real patients; its baseline is hold-out by real. `None` if no real patient
            is in the group.
        tstr: Area under the ROC curve of a classifier that all synthetic patients taught, on the hold-out patients of
            this group; the baseline is the one that real patients taught. `None` where fewer than 20 of them
            have, or lack, the class.
        verdict: `kept`; `vanished` (synthetic share below half of the real one); `too few to judge`; or `invented`
            (no real patient, in the hold-out neither).
    """

    column: str
    group: str
    n: int
    real: Estimate
    holdout: Estimate | None
    synthetic: Estimate
    ratio: Estimate | None
    tstr: Estimate | None
    verdict: str

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def subgroups(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    holdout: pd.DataFrame | None = None,
    *,
    groups: Mapping[str, Grouped],
    target: str | None = None,
    model: str = "logistic regression",
    seed: Seed,
) -> tuple[Subgroup, ...]:
    """Tells what became of each group of patients.

    Args:
        real: Wide table of the patients that the generator has learned from.
        synthetic: Wide table with the same columns.
        holdout: Other real patients with the same columns.
        groups: Columns and how their groups are made, such as from `groups.default_groups`.
        target: Column that classifiers predict; `None` for no predictions, and none without a hold-out.
        model: Which of `utility.MODELS` predicts.
        seed: Source of randomness of the classifier.

    Returns:
        Column by column, bands of ages in order. A group of fewer than 50 real patients cannot be judged, nor one of
        which fewer than 10 synthetic ones are to be expected: whether it is kept is then not known, which is not the
        same as being kept.

    Raises:
        DataError: A table is empty, or lacks a column or has another kind.

    Source:
        Katz et al., Biometrics 1978;34:469, method C (interval of a ratio of two shares), with half a patient added to
        each count.
    """
    frames = {"real": real, "synthetic": synthetic} | ({} if holdout is None else {"holdout": holdout})
    for name, frame in frames.items():
        paired(real, frame, names=("real", name))
        if any(column not in frame for column in groups):
            absent = ", ".join(column for column in groups if column not in frame)
            paired(pd.DataFrame(columns=[absent], index=[0]), frame, names=("groups", name))
    answers = None if holdout is None or target is None else _answers(real, synthetic, holdout, target, model, seed)
    found: list[Subgroup] = []
    for column, grouped in groups.items():
        mine = {name: grouped.of(pd.Series(frame[column])) for name, frame in frames.items()}
        every = set().union(*(set(one.unique()) for one in mine.values()))
        for group in sorted(every, key=grouped.place):
            row = _row(column, group, {name: int((one == group).sum()) for name, one in mine.items()}, frames)
            found.append(row if answers is None else replace(row, tstr=_tstr(answers, group, grouped, column)))
    return tuple(found)


@dataclass(frozen=True, eq=False, repr=False)
class _Answers:
    """What classifiers said about the patients of a hold-out.

    Attributes:
        made: Taught by synthetic patients.
        real: Taught by real ones.
        tested: The hold-out.
    """

    made: Answers
    real: Answers
    tested: pd.DataFrame


def _answers(
    real: pd.DataFrame, synthetic: pd.DataFrame, holdout: pd.DataFrame, target: str, model: str, seed: Seed
) -> _Answers | None:
    if missing(columns(holdout.filter([target])).get(target, np.array([None]))).all():
        return None
    parts = [subsample(table, MOST, seed, f"subgroups/{at}") for at, table in enumerate((real, synthetic, holdout))]
    made, ours = (
        ask_classifiers(taught, parts[2], target=target, seed=seed, models=[model])[model] for taught in parts[:2][::-1]
    )
    return _Answers(made, ours, parts[2])


def _row(column: str, group: str, counts: Mapping[str, int], frames: Mapping[str, pd.DataFrame]) -> Subgroup:
    shares = {name: proportion(count, len(frames[name])) for name, count in counts.items()}
    synthetic = replace(shares["synthetic"], baseline=shares["real"].value)
    ratio = None
    expected = shares["real"].value * len(frames["synthetic"])
    if counts["real"]:
        sizes = {name: len(frame) for name, frame in frames.items()}
        ratio = share_ratio(counts["synthetic"], sizes["synthetic"], counts["real"], sizes["real"])
        if "holdout" in shares:
            ratio = replace(ratio, baseline=shares["holdout"].value / shares["real"].value)
    return Subgroup(
        column, group, counts["real"], shares["real"], shares.get("holdout"), synthetic, ratio, None,
        _verdict(counts, ratio, expected),
    )  # fmt: skip


def _verdict(counts: Mapping[str, int], ratio: Estimate | None, expected: float) -> str:
    if not counts["real"] and not counts.get("holdout", 0):
        return "invented"
    if counts["real"] < ENOUGH or expected < _EXPECTED or ratio is None:
        return "too few to judge"
    return "vanished" if ratio.value < VANISHED else "kept"


def share_ratio(part: int, n: int, other: int, size: int) -> Estimate:
    """Gives the share of one group of patients by that of another one.

    Args:
        part: How many of the `n` patients.
        n: Number of patients.
        other: How many of the `size` other patients, at least 1.
        size: Number of other patients.

    Example:
        >>> print(share_ratio(20, 100, 100, 200))
        0.400 [0.270, 0.613]
    """
    value = (part / n) / (other / size)
    about = math.log((part + 0.5) / (n + 0.5) / ((other + 0.5) / (size + 0.5)))
    half = _Z * math.sqrt(max(1 / (part + 0.5) - 1 / (n + 0.5) + 1 / (other + 0.5) - 1 / (size + 0.5), 0.0))
    low, high = math.exp(about - half), math.exp(about + half)
    return Estimate(value, min(low, value), max(high, value), n, "ratio of shares, Katz interval")


def _tstr(answers: _Answers, group: str, grouped: Grouped, column: str) -> Estimate | None:
    rows = (grouped.of(pd.Series(answers.tested[column])) == group).to_numpy()
    part = rows[answers.made.known]
    counted = judged_classes(answers.made.wanted[part], _TESTED)
    if not counted:
        return None
    n = int(part.sum())
    made, real = (
        float(np.mean([_area(one, level, part) for level in counted])) for one in (answers.made, answers.real)
    )
    cases = min(int((answers.made.wanted[part] == level).sum()) for level in counted)
    text = "area under the ROC curve, Newcombe interval"
    if len(counted) > 2:
        text += " as if the rarest class stood against all others"
    return Estimate(made, *auroc_interval(made, cases, n - cases), n, text, real)


def _area(answers: Answers, level: object, part: np.ndarray) -> float:
    chances = dict(zip(answers.levels, answers.chances.T, strict=True)).get(level, np.zeros(part.size))
    return auroc(chances[part], answers.wanted[part] == level)
