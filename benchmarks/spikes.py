"""Values that many patients share: what share of synthetic patients has them, beside the share of the real ones.

    python benchmarks/spikes.py

A table of one number with more possible values than a private grid has cells, and a label; 6,000 patients. In the last
row nobody shares a value: what is shown is the largest share of any value there.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import wardgan as wg
from common import markdown, repeated, save

PATIENTS, REPEATS, DRAWN = 6_000, 8, 50_000
EPSILONS = (1.0, 3.0, None)
SHAPES = {
    "30 % at 1,000 of 0..100,000": ({"kind": "integer", "low": 0, "high": 100_000}, 1_000),
    "50 % at 1,000 of 0..100,000": ({"kind": "integer", "low": 0, "high": 100_000}, 1_000),
    "30 % at 1,000 of 0..100,000, log": ({"kind": "integer", "low": 0, "high": 100_000, "scale": "log"}, 1_000),
    "30 % at 0 of -10..2,100": ({"kind": "integer", "low": -10, "high": 2_100}, 0),
    "30 % at 7.4 of 0..500 in tenths": ({"kind": "number", "low": 0, "high": 500, "decimals": 1}, 7.4),
    "30 % at 9,999 of -9,999..99,999, the rest at 0..99": ({"kind": "integer", "low": -9_999, "high": 99_999}, 9_999),
    "30 % at 74.21 of 0..500, no step": ({"kind": "number", "low": 0, "high": 500}, 74.21),
    "none, 0..100,000": ({"kind": "integer", "low": 0, "high": 100_000}, None),
}


def main() -> None:
    """Prints the table."""
    asked = repeated(__doc__, REPEATS)
    rows: list[dict[str, object]] = []
    for name, (column, spike) in SHAPES.items():
        row: dict[str, object] = {"number": name}
        for epsilon in EPSILONS:
            pairs = np.array([_shares(name, column, spike, epsilon, repeat) for repeat in range(asked.repeats)])
            row["real"] = f"{pairs[:, 0].mean():.3f}"
            label = "none" if epsilon is None else f"{epsilon:g}"
            row[f"epsilon {label}"] = f"{pairs[:, 1].mean():.3f} ± {pairs[:, 1].std(ddof=1):.3f}"
        rows.append(row)
    print(markdown(rows))
    print(save("spikes", rows, asked.out, patients=PATIENTS, repeats=asked.repeats))


def _shares(
    name: str, column: dict[str, object], spike: float | None, epsilon: float | None, repeat: int
) -> tuple[float, float]:
    values = patients(name, column, spike, repeat)
    table = {"x": column, "sex": {"kind": "flag", "label": True}}
    schema = wg.Schema.from_dict({"name": "spikes", "population": PATIENTS, "table": table})
    cohort = wg.read(pd.DataFrame({"x": values, "sex": np.arange(PATIENTS) % 2 == 0}), schema)
    budget = None if epsilon is None else wg.Budget(epsilon=epsilon)
    made = wg.fit(cohort, budget, family="copula", privacy="none" if budget is None else "private")
    drawn = made.generator.sample(DRAWN, seed=repeat)["x"].to_numpy(dtype=np.float64)
    return _share(values, spike), _share(drawn, spike)


def _share(values: np.ndarray, spike: float | None) -> float:
    if spike is None:
        return float(np.unique(values, return_counts=True)[1].max()) / len(values)
    return float(np.isclose(values, spike, rtol=0, atol=1e-9).mean())


def patients(name: str, column: dict[str, object], spike: float | None, seed: int) -> np.ndarray:
    """Gives simulated values: some at the spike, the others anywhere, or at 0 to 99."""
    numbers = np.random.default_rng(seed)
    low, high = float(str(column["low"])), float(str(column["high"]))
    low, high = (0.0, 99.0) if name.endswith("0..99") else (low, min(high, 9_000.0) if spike else high)
    step = 0.1 if "decimals" in column else 1.0
    rest = numbers.uniform(low, high, PATIENTS)
    rest = rest if "step" in name else np.round(rest / step) * step
    share = float(name.partition(" ")[0]) / 100 if spike is not None else 0.0
    return np.where(numbers.random(PATIENTS) < share, spike if spike is not None else 0.0, rest)


if __name__ == "__main__":
    main()
