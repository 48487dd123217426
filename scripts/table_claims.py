"""What the runs of `benchmarks/tables.py` say in few words, for the pages that quote them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

MODELS: Final = ("LR", "RF", "GB")
TITLES: Final = {
    "uci_heart": "heart disease", "pbc2_first": "liver disease", "support2": "SUPPORT2",
    "physionet2012_summary": "intensive care", "diabetes130": "diabetes",
}  # fmt: skip
METHODS: Final = ("copula", "marginal", "tabgan", "aim, our bins", "mst", "tabularargn", "ctgan", "tvae")
EPSILONS: Final = ("0.5", "1", "3", "8", "none")
Runs = Sequence[dict[str, Any]]


def shares(runs: Runs) -> str:
    """Gives a table: what share of the real area under the curve the worst and the best of three classifiers reach.

    Args:
        runs: One fit each.
    """
    lines = ["| table | epsilon | " + " | ".join(METHODS) + " |", "|" + "---|" * (len(METHODS) + 2)]
    for table, title in TITLES.items():
        for epsilon in EPSILONS:
            cells = [_range(runs, table, method, epsilon) for method in METHODS]
            lines.append(f"| {title} | {epsilon} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(runs: Runs, one: str, other: str) -> str:
    """Says where two methods differ by more than two standard errors of the differences of fits with the same seed.

    Args:
        runs: One fit each.
        one: A method.
        other: Another one.
    """
    ahead, behind, count = _apart(runs, one, other)
    words = f"Of {count} cells (table, epsilon, classifier) `{one}` is ahead of `{other}` in {len(ahead)}"
    words += f" ({'; '.join(ahead)})" if ahead else ""
    words += f" and behind in {len(behind)}"
    return words + (f" ({'; '.join(behind)})." if behind else ".")


def counts(runs: Runs, one: str, other: str) -> str:
    """Says in how many cells they do.

    Args:
        runs: One fit each.
        one: A method.
        other: Another one.
    """
    ahead, behind, count = _apart(runs, one, other)
    return f"ahead of `{other}` in {len(ahead)} and behind in {len(behind)} of {count} cells"


def _apart(runs: Runs, one: str, other: str) -> tuple[list[str], list[str], int]:
    found = list(_gaps(runs, one, other))
    ahead = [_gap_words(*gap) for gap in found if gap[2] > 2 * gap[3]]
    behind = [_gap_words(*gap) for gap in found if gap[2] < -2 * gap[3]]
    return ahead, behind, len(found)


def _range(runs: Runs, table: str, method: str, epsilon: str) -> str:
    """Gives the means over the seeds of the worst and of the best classifier, with the number of seeds if not three."""
    mine = [run for run in runs if (run["table"], run["method"], run["epsilon"]) == (table, method, epsilon)]
    good = [run for run in mine if "LR" in run]
    if not good:
        return "refused" if any("PlanError" in run["failed"] for run in mine) else "stopped" if mine else ""
    real = {run["seed"]: run for run in runs if (run["table"], run["method"]) == (table, "real")}
    means = [sum(run[model] / real[run["seed"]][model] for run in good) / len(good) for model in MODELS]
    return f"{_short(min(means))} to {_short(max(means))}" + ("" if len(good) == 3 else f" (seeds: {len(good)})")


def _gaps(runs: Runs, one: str, other: str) -> Iterator[tuple[str, str, float, float]]:
    """Yields the place, the classifier, and the mean paired difference of areas with its standard error."""
    known = {(run["table"], run["epsilon"], run["method"], run["seed"]): run for run in runs if "LR" in run}
    for table in TITLES:
        for epsilon in EPSILONS:
            pairs = [(known.get((table, epsilon, one, seed)), known.get((table, epsilon, other, seed)))
                     for seed in range(3)]  # fmt: skip
            for model in MODELS:
                gaps = [mine[model] - theirs[model] for mine, theirs in pairs if mine and theirs]
                if len(gaps) > 1:
                    mean = sum(gaps) / len(gaps)
                    square = sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1)
                    yield f"{TITLES[table]} at {epsilon}", model, mean, math.sqrt(square / len(gaps))


def _gap_words(place: str, model: str, mean: float, error: float) -> str:
    return f"{place.replace('at none', 'without privacy')}, {model}: {mean:+.3f} ± {error:.3f}"


def _short(share: float) -> str:
    return f"{share:.2f}".removeprefix("0")
