"""The rows of the tables: means over seeds, with standard errors."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from common import spread

_SHOWN: Final = {
    "accuracy RF": "RF", "accuracy RF, 100 trees": "RF, 100 trees", "accuracy LR": "LR", "accuracy SVM": "SVM",
    "accuracy kNN": "kNN",
    "importance RF": "importances RF", "importance SVM": "SVM weights", "importance LR": "LR weights",
    "correlations": "correlations", "correlations RMSE": "their RMSE", "SBP median, mean gap": "SBP median gap, mean",
    "SBP median, largest gap": "largest", "mean SBP": "mean SBP", "mean DBP": "mean DBP", "mean drugs": "mean drugs",
}  # fmt: skip


def rows(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, object]]:
    """Gives a row for each method and each way of choosing epochs.

    Args:
        found: What each method's runs gave, one for each seed.
    """
    made: list[dict[str, object]] = []
    for name, runs in found.items():
        for way in runs[0]["ways"]:
            row: dict[str, object] = {"trained on": f"{name}: {way}" if way else name, "seeds": len(runs)}
            numbers = [run["ways"][way]["numbers"] for run in runs]
            made.append(row | {title: told([one[key] for one in numbers]) for key, title in _SHOWN.items()})
    return made


def vital_rows(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, object]]:
    """Gives a row for each method of the task with vital signs."""
    return [
        {"trained on": name, "seeds": len(runs)}
        | {key: told([run["numbers"][key] for run in runs]) for key in runs[0]["numbers"]}
        for name, runs in found.items()
    ]


def told(values: Sequence[float]) -> str:
    """Gives a mean, with the standard error if there are several; large numbers with a digit less."""
    return spread(values, 3 if abs(statistics.mean(values)) < 10 else 2)
