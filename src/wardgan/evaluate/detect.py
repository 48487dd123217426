"""Whether synthetic patients can be told from real ones: by a classifier, and by their propensity scores."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.estimate import Estimate
from wardgan.evaluate.columns import paired
from wardgan.evaluate.design import design
from wardgan.evaluate.logistic import risks
from wardgan.evaluate.ranks import auroc_interval
from wardgan.evaluate.record import Beside, beside
from wardgan.evaluate.resample import subsample
from wardgan.evaluate.utility import score_classifiers
from wardgan.rng import Seed

JUDGED: Final = 4_000
ENOUGH: Final = 10
TERMS: Final = 150
_PARTS: Final = 20
_LIGHT: Final = 1e-4


def detector(real: pd.DataFrame, synthetic: pd.DataFrame, *, seed: Seed) -> Estimate:
    """Gives how well gradient boosting tells real from synthetic patients: .5 is not at all, 1 always.

    Equally many of both, at most 4,000, are put into two halves; each half is told apart by what the other one taught.

    Args:
        real: Wide table of real patients.
        synthetic: Wide table with the same columns.
        seed: Source of randomness.

    Returns:
        Area under the ROC curve, mean over the halves, with Newcombe's interval for the patients of one half; undefined
        (NaN) for fewer than 20 of both, which says nothing good.

    Raises:
        DataError: A table is empty, or lacks a column or has another kind.
        UsageError: scikit-learn is not installed.

    Source:
        Friedman 2003, On multivariate goodness-of-fit and two-sample testing (SLAC-PUB-10325), section 3; Lopez-Paz and
        Oquab, ICLR 2017, section 3 (classifier two-sample test).
    """
    paired(real, synthetic)
    size = min(len(real), len(synthetic), JUDGED)
    what = "area under the ROC curve of a detector"
    if size < 2 * ENOUGH:
        return Estimate(math.nan, 0.0, 1.0, size, f"{what}, too few patients")
    stream = seed.stream("detector")
    origin = "origin"
    while origin in real.columns:
        origin += "_"
    chosen = [frame[list(real.columns)].iloc[stream.permutation(len(frame))[:size]] for frame in (real, synthetic)]
    named = [part.assign(**{origin: who}) for part, who in zip(chosen, ("real", "synthetic"), strict=True)]
    halves = [
        pd.concat([part.iloc[side] for part in named], ignore_index=True)
        for side in (slice(None, size // 2), slice(size // 2, None))
    ]
    model = "gradient boosting"
    areas = [
        score_classifiers(one, other, target=origin, seed=seed, models=[model])[model].auroc
        for one, other in (halves, halves[::-1])
    ]
    area = float(np.mean(areas))
    # What one half teaches about the other goes with what the other teaches about it, so two halves tell hardly more
    # than one: with the number of all patients, 88 of 100 intervals held the truth.
    return Estimate(area, *auroc_interval(area, size // 2, size // 2), size, f"{what}, Newcombe interval for one half")


def propensity_ratio(real: pd.DataFrame, synthetic: pd.DataFrame, *, seed: Seed) -> Estimate:
    """Gives how uneven propensity scores are, by what they would be by chance: 1 is no difference at all.

    A logistic regression on all variables and on products of two of them, at most 150 terms, guesses which patient is
    synthetic. The mean squared distance of its risks from the share of synthetic patients is divided by what it has to
    be if nothing can be told.

    Args:
        real: Wide table of real patients; at most 4,000 of both are used, equally many.
        synthetic: Wide table with the same columns.
        seed: Source of randomness of the choice of patients and products.

    Returns:
        The interval is that of a jackknife over 20 random groups. Undefined (NaN) for fewer than 20 of both.

    Raises:
        DataError: A table is empty, or lacks a column or has another kind.

    Source:
        Snoke et al., J R Stat Soc A 2018;181:663 (pMSE, and its mean by chance).
        Theirs is for patients who were drawn from a model of these real ones; two samples of one population, such as a
        hold-out, differ by c (1 - c) (k - 1) / N for k coefficients, a share c of N patients being synthetic: twice as
        much.
    """
    paired(real, synthetic)
    size = min(len(real), len(synthetic), JUDGED)
    what = "pMSE ratio"
    few = Estimate(math.nan, 0.0, math.inf, size, f"{what}, too few patients")
    if size < 2 * ENOUGH:
        return few
    parts = [subsample(table, size, seed, f"propensity/{at}") for at, table in enumerate((real, synthetic))]
    terms = _terms(np.concatenate(design(paired(*parts)).tables), seed)
    if not terms.size:
        return few
    made = np.arange(2 * size) >= size
    group = np.concatenate([seed.stream("propensity/parts", at).permutation(size) % _PARTS for at in (0, 1)])
    risk, slopes = risks(terms, made, penalty=_LIGHT)
    value = _ratio(risk, terms)
    left = [
        _ratio(risks(terms[group != at], made[group != at], slopes, penalty=_LIGHT, steps=2)[0], terms[group != at])
        for at in range(_PARTS)
    ]
    # The mean by chance falls with the number of patients as the measured one does, so the ratio needs no correction.
    half = 2.093 * math.sqrt((_PARTS - 1) * float(np.var(left)))
    return Estimate(value, max(0.0, value - half), value + half, size, f"{what}, jackknife interval")


def _terms(values: NDArray[np.float64], seed: Seed) -> NDArray[np.float64]:
    """Gives variables and products of two, at most 150 that differ, all with mean 0 and standard deviation 1."""
    size = values.shape[1]
    one, two = np.triu_indices(size)
    order = seed.stream("propensity/products").permutation(one.size)[: max(TERMS - size, 0)]
    terms = np.column_stack([values[:, :TERMS], values[:, one[order]] * values[:, two[order]]])
    terms = terms - terms.mean(axis=0)
    spread = terms.std(axis=0)
    return terms[:, spread > 1e-9] / spread[spread > 1e-9]


def _ratio(risk: NDArray[np.float64], terms: NDArray[np.float64]) -> float:
    """Gives the pMSE by its mean by chance, for equally many real and synthetic patients."""
    freedom = int(np.linalg.matrix_rank(terms.T @ terms, hermitian=True))
    return float(((risk - 0.5) ** 2).mean() / (freedom / (4 * risk.size)))


def detection(
    real: pd.DataFrame, synthetic: pd.DataFrame, holdout: pd.DataFrame | None = None, *, seed: Seed
) -> tuple[Beside, Beside]:
    """Gives `detector` and `propensity_ratio`, each beside the one for a hold-out of the same size.

    Args:
        real: Wide table of real patients.
        synthetic: Wide table with the same columns.
        holdout: Other real patients with the same columns.
        seed: Source of randomness.
    """
    size = min(JUDGED, *(len(table) for table in (real, synthetic, holdout) if table is not None))
    ours, theirs = (
        subsample(real, size, seed, "detection/real"),
        subsample(synthetic, size, seed, "detection/synthetic"),
    )
    others = None if holdout is None else subsample(holdout, size, seed, "detection/holdout")
    found = [
        beside(ask(ours, theirs, seed=seed), None if others is None else ask(ours, others, seed=seed))
        for ask in (detector, propensity_ratio)
    ]
    return found[0], found[1]
