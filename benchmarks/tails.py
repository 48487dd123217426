"""Long tails, spikes and heaps: how far quantiles of synthetic numbers are from the truth, on two scales.

    python benchmarks/tails.py

A table of seven odd numbers beside four ordinary ones and a label, 4,000 patients. Numbers with a tail are declared on
an equal scale and with `scale: log`. An error is the distance of a quantile from that of 200,000 other patients, as a
share of the distance between their 5th and 95th percentiles.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import wardgan as wg
from common import markdown, repeated, save

PATIENTS, REPEATS, MANY = 4_000, 8, 200_000
SHARES = np.array([0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99])
TAILS = {
    "60 % zeros, 0..1,000": {"low": 0, "high": 1000, "decimals": 1},
    "log-normal 100, 0..1,000": {"low": 0, "high": 1000, "step": 1},
    "log-normal 100, 0..15,000": {"low": 0, "high": 15_000, "step": 1},
    "log-normal 3, 0..10,000": {"low": 0, "high": 10_000, "decimals": 1},
    "Pareto 20, 0..100,000": {"low": 0, "high": 100_000, "step": 1},
}
PLAIN = {
    "heaped on tens, 0..300": {"low": 0, "high": 300, "step": 1},
    "steps of 5, 0..300": {"low": 0, "high": 300, "step": 5},
}


def main() -> None:
    """Prints the table."""
    asked = repeated(__doc__, REPEATS)
    rows: list[dict[str, object]] = []
    for epsilon in (1.0, 3.0):
        for scale in ("equal", "log"):
            errors = _errors(epsilon, scale, asked.repeats)
            for name, error in errors.items():
                if scale == "equal" or name in TAILS:
                    shown = {f"p{share * 100:g}": f"{value:.3f}" for share, value in zip(SHARES, error, strict=True)}
                    rows.append({"number": name, "epsilon": f"{epsilon:g}", "scale": scale} | shown)
    rows.sort(key=lambda row: (list(TAILS | PLAIN).index(str(row["number"])), row["epsilon"], row["scale"]))
    print(markdown(rows))
    print(save("tails", rows, asked.out, patients=PATIENTS, repeats=asked.repeats))


def _errors(epsilon: float, scale: str, repeats: int) -> dict[str, np.ndarray]:
    real, others = patients(PATIENTS, 1), patients(MANY, 2)
    more = {} if scale == "equal" else {"scale": "log"}
    table: dict[str, object] = {"arm": {"kind": "category", "levels": ["a", "b"], "label": True}}
    table |= {name: {"kind": "number", **declared, **more} for name, declared in TAILS.items()}
    table |= {name: {"kind": "number", **declared} for name, declared in PLAIN.items()}
    table |= {f"x{at}": {"kind": "integer", "low": 0, "high": 100} for at in range(4)}
    cohort = wg.read(real, wg.Schema.from_dict({"name": "tails", "population": PATIENTS, "table": table}))
    found: dict[str, list[np.ndarray]] = {name: [] for name in TAILS | PLAIN}
    for repeat in range(repeats):
        made = wg.fit(cohort, wg.Budget(epsilon=epsilon), family="copula").generator.sample(100_000, seed=repeat)
        for name, errors in found.items():
            truth = np.quantile(others[name], SHARES)
            errors.append(np.abs(np.quantile(made[name], SHARES) - truth) / (truth[-2] - truth[0]))
    return {name: np.mean(errors, axis=0) for name, errors in found.items()}


def patients(size: int, seed: int) -> pd.DataFrame:
    """Gives simulated patients with odd numbers."""
    numbers = np.random.default_rng(seed)
    arm = numbers.random(size) < 0.4

    def normal() -> np.ndarray:
        return numbers.standard_normal(size)

    plain = np.round(120 + 20 * normal())
    zeros = np.where(numbers.random(size) < 0.6, 0.0, np.exp(3 + normal() + 0.3 * arm))
    odd = {
        "60 % zeros, 0..1,000": np.round(zeros, 1),
        "log-normal 100, 0..1,000": np.round(np.exp(4.6 + 0.6 * normal() + 0.2 * arm)),
        "log-normal 100, 0..15,000": np.round(np.exp(4.6 + 0.6 * normal() + 0.2 * arm)),
        "log-normal 3, 0..10,000": np.round(np.exp(1.1 + 1.2 * normal() + 0.3 * arm), 1),
        "Pareto 20, 0..100,000": np.round(11.2 * numbers.random(size) ** (-1 / 1.2)),
        "heaped on tens, 0..300": np.where(numbers.random(size) < 0.5, np.round(plain / 10) * 10, plain),
        "steps of 5, 0..300": np.round((120 + 20 * normal() + 5 * arm) / 5) * 5,
    }
    bounded = {name: np.clip(values, 0, (TAILS | PLAIN)[name]["high"]) for name, values in odd.items()}
    rest = {f"x{at}": np.clip(np.round(50 + 10 * normal() + 3 * arm), 0, 100) for at in range(4)}
    return pd.DataFrame({"arm": np.where(arm, "a", "b"), **bounded, **rest})


if __name__ == "__main__":
    main()
