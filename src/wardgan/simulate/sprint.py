"""A blood-pressure trial that looks like SPRINT from a distance, and holds none of its patients.

SPRINT (SPRINT Research Group, N Engl J Med 2015;373:2103) compared a standard with an intensive target for
systolic blood pressure. Its records are under a data-use agreement, so the cohort here is drawn from a small
model whose numbers are published aggregates only: medians, SDs, drug counts and the ranges of correlations.

The model has three standard normal scores for each patient and visit (systolic, diastolic, drugs), made of

* a habit that stays for life, a drift that fades over months, and a disturbance of this one visit;
* the same disturbance moves both pressures, so they agree best at the same visit;
* who comes with a high pressure gets more drugs later, and drugs and diastolic pressure lean apart.

The scores are then given the published medians and SDs of arm and visit. In the intensive arm the pressures
have a long upper tail, because some patients do not reach their target (Tukey's g distribution; Hoaglin 1985).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan import check
from wardgan.rng import Seed

ARMS: Final = ("standard", "intensive")
VISITS: Final = ("RZ", "1M", "2M", "3M", "6M", "9M", "12M", "15M", "18M", "21M", "24M", "27M")
MEDIAN_SBP: Final[dict[str, tuple[int, ...]]] = {
    "standard": (139, 133, 134, 134, 135, 135, 136, 135, 136, 136, 136, 135),
    "intensive": (138, 126, 123, 120, 119, 119, 119, 118, 118, 118, 118, 118),
}
SPRINT_SCHEMA: Final[dict[str, object]] = {
    "name": "sprint-like",
    "patient": "patient_id",
    "population": 6500,
    "table": {"arm": {"kind": "category", "levels": list(ARMS), "label": True}},
    "visits": {
        "key": "visit",
        "grid": list(VISITS),
        "complete": True,
        "columns": {
            "sbp": {"kind": "integer", "low": 50, "high": 260, "unit": "mm[Hg]", "code": "LOINC 8480-6"},
            "dbp": {"kind": "integer", "low": 20, "high": 160, "unit": "mm[Hg]", "code": "LOINC 8462-4"},
            "drugs": {"kind": "integer", "low": 0, "high": 10},
        },
    },
    "rules": ["dbp < sbp"],
}

# Rows are the arms in the order of ARMS, columns the visits.
_MONTHS: Final = np.array([0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27], dtype=float)
_SBP: Final = np.array([MEDIAN_SBP[arm] for arm in ARMS], dtype=float)
_SBP_SD: Final = np.array(
    [
        [15.7, 14.6, 13.6, 13.4, 13.5, 13.2, 13.8, 13.1, 13.2, 13.5, 13.2, 13.1],
        [15.7, 15.1, 14.0, 13.9, 13.3, 13.4, 13.7, 13.1, 13.1, 13.1, 14.0, 13.1],
    ]
)
_SBP_SKEW: Final = np.array([[0.1] + [0.02] * 11, [0.1] + [0.3] * 11])
_DBP: Final = np.array(
    [
        [77.5, 75.2, 75.0, 75.1, 75.4, 75.5, 75.6, 74.9, 74.5, 74.2, 73.9, 73.6],
        [77.5, 71.6, 69.9, 68.9, 68.3, 68.1, 68.0, 67.4, 67.1, 66.9, 66.7, 66.5],
    ]
)
_DBP_SD: Final = np.array([11.9] + [11.3] * 11)
_DBP_SKEW: Final = np.full(12, 0.08)
_DRUGS: Final = np.array(
    [
        [1.80, 1.88, 1.85] + [1.82] * 9,
        [1.80, 2.18, 2.38, 2.52, 2.68, 2.76, 2.80] + [2.84] * 5,
    ]
)
_DRUGS_SD: Final = np.array([[1.0] + [1.05] * 11, [1.0] + [1.1] * 11])

# The maxima are those of the trial; a pulse pressure under 12 mm Hg is not seen in patients who walk in.
_SBP_RANGE: Final = (60, 233)
_DBP_RANGE: Final = (30, 137)
_DRUGS_RANGE: Final = (0, 7)
_PULSE: Final = 12


def sprint_like(patients: int, *, seed: Seed) -> pd.DataFrame:
    """Gives an invented trial of blood pressure with the published aggregates of SPRINT.

    Args:
        patients: How many patients, at least 1; the complete cases of the trial were 6,502.
        seed: Source of randomness; the same seed and number of patients give the same trial.

    Returns:
        One row for each patient and visit, by patient, visits in the order of `VISITS`: `patient_id`, `arm`
        (standard or intensive, half of the patients each on average), `visit`, `sbp` and `dbp` in mm Hg
        (dbp < sbp), `drugs` (number of classes of blood-pressure drugs, 0 to 7). No value is missing.

    Raises:
        UsageError: `patients` is not a whole number of at least 1.

    Source:
        Medians of the complete cases: Beaulieu-Jones et al., Circ Cardiovasc Qual Outcomes 2019;12:e005122,
        figure 2; the correlations: its figure 3; means and drugs: Cushman et al., Hypertension 2022, and
        SPRINT Research Group 2015.

    Example:
        >>> trial = sprint_like(3, seed=Seed(7))
        >>> trial.shape, trial["visit"].nunique(), bool((trial["dbp"] < trial["sbp"]).all())
        ((36, 6), 12, True)
    """
    check.whole(1, patients=patients)
    stream = seed.stream("sprint-like")
    arm = stream.integers(0, len(ARMS), patients)
    systolic, diastolic, treated = _scores(patients, stream)
    sbp = _whole(_SBP[arm] + _skewed(systolic, _SBP_SD[arm], _SBP_SKEW[arm]), _SBP_RANGE)
    dbp = _whole(_DBP[arm] + _skewed(diastolic, _DBP_SD, _DBP_SKEW), _DBP_RANGE)
    drugs = _whole(_DRUGS[arm] + _DRUGS_SD[arm] * treated, _DRUGS_RANGE)
    return pd.DataFrame(
        {
            "patient_id": np.repeat([f"P{number:06d}" for number in range(1, patients + 1)], len(VISITS)),
            "arm": np.repeat(np.array(ARMS)[arm], len(VISITS)),
            "visit": np.tile(VISITS, patients),
            "sbp": sbp.ravel(),
            "dbp": np.minimum(dbp, sbp - _PULSE).ravel(),
            "drugs": drugs.ravel(),
        }
    )


def _scores(patients: int, stream: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Gives the standard normal scores of sbp, dbp and drugs, each of shape (patients, visits)."""
    shape = (patients, len(VISITS))
    habit = stream.standard_normal((patients, 1))
    disturbance = stream.standard_normal(shape)
    systolic = _unit((0.10, habit), (0.40, _drift(patients, 3.5, stream)), (0.50, disturbance))

    vessels = _drift(patients, 120.0, stream)
    diastolic = _unit((0.03, habit), (0.59, vessels), (0.28, disturbance), (0.10, stream.standard_normal(shape)))

    # At randomisation the doctor has not yet reacted to the pressure that the patient came with.
    reaction = np.array([0.0] + [0.21] * (len(VISITS) - 1))
    leaning = reaction * systolic[:, :1] + 0.15 * habit - 0.18 * vessels
    own = _unit((0.96, _drift(patients, 110.0, stream)), (0.04, stream.standard_normal(shape)))
    spread = reaction**2 + 2 * reaction * 0.15 * np.sqrt(0.10) + 0.15**2 + 0.18**2  # variance of `leaning`
    return systolic, diastolic, leaning + np.sqrt(1 - spread) * own


def _unit(*parts: tuple[float, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Gives the sum of independent standard normals that hold the given shares of a variance of 1."""
    return np.sum(np.broadcast_arrays(*[np.sqrt(share) * part for share, part in parts]), axis=0)


def _drift(patients: int, memory: float, stream: np.random.Generator) -> NDArray[np.float64]:
    """Gives a stationary standard normal process whose correlation fades as exp(-months / memory).

    Returns:
        Array of shape (patients, visits).
    """
    level = stream.standard_normal((patients, len(VISITS)))
    for visit, kept in enumerate(np.exp(-np.diff(_MONTHS) / memory), start=1):
        level[:, visit] = kept * level[:, visit - 1] + np.sqrt(1 - kept**2) * level[:, visit]
    return level


def _skewed(score: NDArray[np.float64], sd: NDArray[np.float64], skew: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives deviations from the median with the given SD; `skew` > 0 lengthens the upper tail (Tukey's g)."""
    scale = sd / np.sqrt(np.expm1(skew**2) * np.exp(skew**2))
    return scale * np.expm1(skew * score)


def _whole(values: NDArray[np.float64], limits: tuple[int, int]) -> NDArray[np.int64]:
    return np.rint(np.clip(values, *limits)).astype(np.int64)
