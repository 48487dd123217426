"""What synthetic patients are worth: do classifiers learn from them, do correlations and medians agree?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from wardgan.evaluate import (
    CorrelationAgreement,
    Gap,
    Utility,
    correlation_agreement,
    correlation_pair,
    median_gap,
    median_trajectories,
    train_synthetic_test_real,
)
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort


@dataclass(frozen=True)
class Worth:
    """How good synthetic patients are, each number beside what fresh real patients reach.

    Attributes:
        utility: Classifiers taught by synthetic patients and by real ones, tested on unseen real ones.
        correlations: Agreement of the correlations of synthetic patients with those of the real ones.
        correlations_unseen: The same for unseen real patients: the best that can be expected.
        medians: Largest and mean gap of the medians of systolic pressure, in mm Hg, over arms and visits.
        medians_unseen: The same for unseen real patients.
    """

    utility: Utility
    correlations: CorrelationAgreement
    correlations_unseen: CorrelationAgreement
    medians: Gap
    medians_unseen: Gap

    def to_dict(self) -> dict[str, object]:
        """Gives everything for JSON."""
        return {
            "accuracy": {name: score.to_dict() for name, score in self.utility.accuracy.items()},
            "correlations": asdict(self.correlations),
            "correlations_unseen": asdict(self.correlations_unseen),
            "median_gap": asdict(self.medians),
            "median_gap_unseen": asdict(self.medians_unseen),
        }


def judge(real: Cohort, unseen: Cohort, synthetic: Cohort, *, folder: Path) -> Worth:
    """Gives what synthetic patients are worth, and draws `medians` and `correlations` into a folder.

    Args:
        real: Patients that the generator was fitted on.
        unseen: Other real patients.
        synthetic: Patients of the generator.
        folder: Where the two figures go.
    """
    ours, others, theirs = (cohort.wide(named=False) for cohort in (real, unseen, synthetic))
    median_trajectories(ours, theirs, variable="sbp", by="arm", path=folder / "medians.png", unit="mm Hg")
    correlation_pair(ours, theirs, path=folder / "correlations.png")
    return Worth(
        train_synthetic_test_real(ours, theirs, others, target="arm", seed=Seed(1)),
        correlation_agreement(ours, theirs),
        correlation_agreement(ours, others),
        median_gap(_pressure(ours), _pressure(theirs), by="arm"),
        median_gap(_pressure(ours), _pressure(others), by="arm"),
    )


def _pressure(wide: pd.DataFrame) -> pd.DataFrame:
    return wide.drop(columns=[name for name in wide if name != "arm" and not str(name).startswith("sbp@")])
