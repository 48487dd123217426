"""The trial: its files, if somebody has them, or invented patients with its published aggregates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import wardgan as wg
from wardgan.rng import Seed
from wardgan.simulate.sprint import ARMS, SPRINT_SCHEMA, VISITS, sprint_like

TRAIN: Final = 6_000
TEST: Final = 502
ROWS: Final = ("sbp", "dbp", "drugs")
FEATURES: Final = [f"{row}@{visit}" for row in ROWS for visit in VISITS]
_BLOOD: Final = {"SBP": "sbp", "DBP": "dbp", "N_BPCLASSES": "drugs"}


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """Patients.

    Attributes:
        values: Shape (patients, 3, 12): systolic and diastolic pressure, drugs; visits.
        arms: 0 standard, 1 intensive; shape (patients,).
    """

    values: NDArray[np.int64]
    arms: NDArray[np.int64]

    @property
    def flat(self) -> NDArray[np.int64]:
        """The 36 numbers of each patient."""
        return self.values.reshape(len(self.values), -1)

    def cohort(self) -> wg.Cohort:
        """Gives them as a cohort, by the bounds that are public."""
        patients, visits = len(self.arms), len(VISITS)
        frame = pd.DataFrame({
            "patient_id": np.repeat([f"P{number:06d}" for number in range(patients)], visits),
            "arm": np.repeat(np.array(ARMS)[self.arms], visits),
            "visit": np.tile(VISITS, patients),
            **{name: self.values[:, at].ravel() for at, name in enumerate(ROWS)},
        })  # fmt: skip
        return wg.read(frame, wg.Schema.from_dict(SPRINT_SCHEMA))


def part_of(cohort: wg.Cohort) -> Part:
    """Gives the patients of a cohort."""
    wide = cohort.wide()
    values = wide[FEATURES].to_numpy(dtype=np.float64).reshape(len(wide), len(ROWS), len(VISITS))
    return Part(np.rint(values).astype(np.int64), wide["arm"].map(ARMS.index).to_numpy(dtype=np.int64))


def trial(place: str, seed: int) -> tuple[Part, Part]:
    """Gives 6,000 patients to learn from, and 502 others.

    Args:
        place: `simulated`, or the folder with `baseline.csv` and `bp.csv` of the trial.
        seed: Of invented patients. The trial's own are split as in 2017: the first 6,000 by their number.
    """
    if place == "simulated":
        cohort = wg.read(sprint_like(TRAIN + TEST, seed=Seed(100 + seed)), wg.Schema.from_dict(SPRINT_SCHEMA))
        whole = part_of(cohort)
    else:
        whole = _read(Path(place))
    if len(whole.arms) < 2 * TEST:
        raise SystemExit(
            f"{place} has {len(whole.arms):,} patients with both pressures and drugs at all twelve visits; "
            f"at least {2 * TEST:,} are needed. Are these the trial's own files?"
        )
    cut = len(whole.arms) - TEST
    return Part(whole.values[:cut], whole.arms[:cut]), Part(whole.values[cut:], whole.arms[cut:])


def _read(folder: Path) -> Part:
    """Reads the complete cases: patients with both pressures and drugs at all twelve visits."""
    arms = _columns(folder / "baseline.csv", ["MASKID", "INTENSIVE"]).set_index("MASKID")["INTENSIVE"]
    blood = _columns(folder / "bp.csv", ["MASKID", "VISITCODE", *_BLOOD])
    # Who has two rows for a visit was left out in 2017.
    blood = blood[blood["VISITCODE"].isin(VISITS)]
    blood = blood[~blood.duplicated(["MASKID", "VISITCODE"], keep=False)]
    wide = blood.pivot_table(index="MASKID", columns="VISITCODE", values=list(_BLOOD), dropna=False)
    values = np.stack([wide[name][list(VISITS)].to_numpy(dtype=np.float64) for name in _BLOOD], axis=1)
    # A diastolic pressure of 0 was not measured.
    whole = np.isfinite(values).all(axis=(1, 2)) & (values[:, 1] > 0).all(axis=1)
    order = np.argsort(wide.index[whole].to_numpy(), kind="stable")
    found = np.rint(values[whole]).astype(np.int64)[order]
    return Part(found, arms.loc[wide.index[whole][order]].to_numpy(dtype=np.int64))


def _columns(path: Path, names: list[str]) -> pd.DataFrame:
    if not path.is_file():
        raise SystemExit(f"{path} is not there: name the folder with the trial's files, or say simulated.")
    found = pd.read_csv(path)
    if lacking := [name for name in names if name not in found.columns]:
        raise SystemExit(f"{path} has no column {', '.join(lacking)}: are these the trial's own files?")
    return found[names]
