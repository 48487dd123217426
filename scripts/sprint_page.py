"""The page of the SPRINT_gan benchmark: its words, with what its runs gave."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markdown_table import table

_MADE = re.compile(r"<!-- sprint (\w+) -->")
# What the repository's notebooks printed, one run each on the trial itself: accuracies and what classifiers look at in July
# 2017 (`MIMIC/Analysis.ipynb`), correlations and means in November (`Analysis.ipynb`).
PAPER: tuple[dict[str, object], ...] = (
    {"trained on": "*notebook of July 2017:* real patients", "RF": ".926", "LR": ".934", "SVM": ".936", "kNN": ".875"},
    {"trained on": "*notebook of July 2017:* no privacy, ten epochs", "RF": ".908", "LR": ".890", "SVM": ".912",
     "kNN": ".861", "importances RF": ".721", "SVM weights": ".760", "LR weights": ".753"},
    {"trained on": "*notebook of July 2017:* private, ten epochs", "RF": ".875", "LR": ".876", "SVM": ".902",
     "kNN": ".841", "importances RF": ".726", "SVM weights": ".581", "LR weights": ".578"},
    {"trained on": "*notebook of July 2017:* each of the ten epochs alone, mean, no privacy", "LR": ".817"},
    {"trained on": "*notebook of July 2017:* each of the ten epochs alone, mean, private", "LR": ".655"},
    {"trained on": "*notebook of November 2017:* real patients", "mean SBP": "129.01", "mean DBP": "72.02",
     "mean drugs": "2.267"},
    {"trained on": "*notebook of November 2017:* no privacy, ten epochs", "correlations": ".964", "mean SBP": "128.29",
     "mean DBP": "72.36", "mean drugs": "1.957"},
    {"trained on": "*notebook of November 2017:* private, ten epochs", "correlations": ".879", "mean SBP": "127.66",
     "mean DBP": "73.47", "mean drugs": "2.048"},
)  # fmt: skip
_ACCURACY = ("RF", "RF, 100 trees", "LR", "SVM", "kNN")
_AGREEMENT = ("importances RF", "LR weights", "SVM weights", "correlations", "their RMSE")
_MEDIANS = ("SBP median gap, mean", "largest", "mean SBP", "mean DBP", "mean drugs")
_REAL, _OPEN, _THEN, _STATED = (
    "real patients",
    "2017, no privacy",
    "2017, as in the notebooks",
    "2017, with the stated noise",
)


def page(words: str, result: Mapping[str, Any]) -> str:
    """Gives the page.

    Args:
        words: The page, with places for what is measured.
        result: What the benchmark left.
    """
    return _MADE.sub(lambda found: _PARTS[found[1]](result), words)


def _chosen(result: Mapping[str, Any], names: Sequence[str]) -> str:
    rows: list[Mapping[str, object]] = [*result["rows"], *PAPER]
    shown = [row for row in rows if any(row.get(name) for name in names)]
    return table([{name: row.get(name, "") for name in ("trained on", "seeds", *names)} for row in shown])


def _epochs(result: Mapping[str, Any]) -> str:
    count = result["epochs"]
    return f"{count[_OPEN]} epochs without privacy, {count[_THEN]} as in the notebooks, and {count[_STATED]} with the stated noise"


def _minutes(result: Mapping[str, Any], run: str) -> float:
    """Gives the processor minutes of an epoch, with its scores."""
    seconds = [one["seconds"] / len(one["epochs"]["forest"]) for one in result["runs"][run]]
    return statistics.mean(seconds) / 60


def _bill(result: Mapping[str, Any]) -> str:
    claimed, real = result["claimed"], result["real"]
    return (
        f"With the sensitivity that the program's accountant was told, 500 epochs of noise 1 cost epsilon {claimed[0]:.2f} at delta "
        f"1e-5 by today's conversion of moments, and {claimed[1]:.2f} by the program's own. With the sensitivity that it can have, twice that, the same accountants give "
        f"{real[0]:.2f} and {real[1]:.2f}. With the noise that the runs of the notebooks had, a ten-thousandth of it, no accountant gives a number that means "
        "anything. The deltas that our formula gives for one epoch are the five that the program printed, to four digits (`test_the_bill`)."
    )


def _mean(result: Mapping[str, Any], run: str, key: str, way: str = "") -> float:
    return statistics.mean(one["ways"][way]["numbers"][key] for one in result["runs"][run])


def _claims(result: Mapping[str, Any]) -> str:
    def share(run: str, key: str, way: str = "") -> float:
        return _mean(result, run, key, way) / _mean(result, _REAL, key)

    keys = ("accuracy LR", "accuracy RF")
    spoken = {
        run: " and ".join(f"{share(run, key):.3f}" for key in keys)
        for run in ("acgan, epsilon 3.5", "tabgan, epsilon 3.5", "tabgan, epsilon 1", "copula, epsilon 1")
    }
    low = [
        _mean(result, run, "mean drugs", "ten epochs") / _mean(result, _REAL, "mean drugs") for run in (_OPEN, _THEN)
    ]
    return "\n".join([
        "Shares are those of the accuracy that real patients teach (logistic regression, forest).",
        "",
        f"- **One GAN without an anchor stays far behind,** private or not: `acgan` at epsilon 3.5, a smaller network of the same shape with the flaws mended and nothing "
        f"chosen, has {spoken['acgan, epsilon 3.5']}; without privacy {share('acgan, no privacy', keys[0]):.3f} and "
        f"{share('acgan, no privacy', keys[1]):.3f}. The notebook of July 2017 has the same gap between single epochs (LR .655, private) and a mixture of ten (.876).",
        f"- **A private anchor closes it:** `tabgan` has {spoken['tabgan, epsilon 3.5']} at epsilon 3.5 and {spoken['tabgan, epsilon 1']} at 1; "
        f"`copula` alone has {spoken['copula, epsilon 1']} at 1. On these simulated patients, who are close to a copula, the discriminator "
        "has nothing left to add; on real tables see [benchmarks.md](benchmarks.md#clinical-tables).",
        f"- **The program of 2017 after few epochs** has, for a mixture of up to ten of them, {share(_OPEN, keys[0], 'ten epochs'):.3f} and "
        f"{share(_OPEN, keys[1], 'ten epochs'):.3f} without privacy, {share(_THEN, keys[0], 'ten epochs'):.3f} and "
        f"{share(_THEN, keys[1], 'ten epochs'):.3f} as in the notebooks, {share(_STATED, keys[0], 'ten epochs'):.3f} and "
        f"{share(_STATED, keys[1], 'ten epochs'):.3f} with the noise that was stated. How it does after 500 is not measured here.",
        f"- **Its means are far off after so few epochs:** drugs {low[0]:.2f} and {low[1]:.2f} of the real mean in ten epochs, without privacy and as in the notebooks. In the notebooks, after 500, it was .86 and .90.",
    ])  # fmt: skip


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "epochs": _epochs,
    "minutes": lambda result: (
        f"{_minutes(result, _OPEN):.1f} minutes without privacy and {_minutes(result, _THEN):.1f} in single steps"
    ),
    "days": lambda result: f"{_minutes(result, _THEN) * 500 / 60:.0f} hours",
    "accuracy": lambda result: _chosen(result, _ACCURACY),
    "agreement": lambda result: _chosen(result, _AGREEMENT),
    "medians": lambda result: _chosen(result, _MEDIANS),
    "bill": _bill,
    "vitals": lambda result: table(result["vitals"]),
    "stays": lambda result: (
        f"3,000 stays to learn from, the other {result['stays']['stays'] - 3_000:,} to be asked about. "
        f"{100 * result['stays']['no breath rate']:.0f} % have no breath rate, and "
        f"{100 * result['stays']['all saturations']:.0f} % have "
        "five readings of saturation."
    ),
    "claims": _claims,
}
