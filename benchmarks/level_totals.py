"""Ways to make shares of noisy totals of hundreds of levels: total variation from the truth, on simulated levels.

    python benchmarks/level_totals.py

700 levels with shares that fall as 1 / rank^a, all used, or only a half of them; totals of n patients with normal noise
of standard deviation n / ratio. `positive part` cuts off negative totals, `simplex` is the nearest vector of shares,
`threshold` keeps what is above three standard deviations, `threshold, rest even` spreads what is left over the others,
and `as used` is what the package does, with the total known as well as one level is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from common import markdown, save
from wardgan.models.anchor.groups import denoised
from wardgan.models.anchor.tables import simplex

LEVELS, PATIENTS, REPEATS = 700, 20_000, 20
WORLDS = {"1/rank": (1.0, 700), "1/rank, half unused": (1.0, 350), "1/rank^1.5, half unused": (1.5, 350),
          "1/rank^0.7": (0.7, 700)}  # fmt: skip
Shares = np.ndarray


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rows = [_row(world, ratio) for world in WORLDS for ratio in (30, 100, 300, 1000, 3000, 10_000)]
    print(markdown(rows))
    print(save("level_totals", rows, asked.out, levels=LEVELS, repeats=REPEATS))


def _row(world: str, ratio: int) -> dict[str, object]:
    power, used = WORLDS[world]
    numbers = np.random.default_rng(ratio)
    sums: dict[str, float] = {}
    for _ in range(REPEATS):
        truth = np.zeros(LEVELS)
        truth[:used] = 1 / np.arange(1, used + 1) ** power
        truth = numbers.permutation(truth / truth.sum())
        sd = PATIENTS / ratio
        totals = numbers.multinomial(PATIENTS, truth) + numbers.normal(0, sd, LEVELS)
        for name, shares in _ways(totals, PATIENTS + numbers.normal(0, sd), sd).items():
            sums[name] = sums.get(name, 0.0) + float(np.abs(shares - truth).sum() / 2)
    return {"shares": world, "n / sd": ratio} | {name: f"{value / REPEATS:.3f}" for name, value in sums.items()}


def _ways(totals: Shares, patients: float, sd: float) -> dict[str, Shares]:
    clear = totals > 3 * sd
    kept = np.where(clear, totals, 0.0)
    even = max(patients - kept.sum(), 0.0) / max((~clear).sum(), 1)
    return {
        "positive part": _normed(np.maximum(totals, 0)),
        "simplex": simplex(totals / patients),
        "threshold": _normed(kept),
        "threshold, rest even": _normed(np.where(clear, totals, even)),
        "as used": denoised(totals, np.zeros(LEVELS, dtype=np.intp), np.array([patients]), sd),
    }


def _normed(values: Shares) -> Shares:
    return values / values.sum() if values.sum() > 0 else np.full(len(values), 1 / len(values))


if __name__ == "__main__":
    main()
