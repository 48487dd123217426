"""Seconds and peak memory of a private fit, each in a process of its own.

    python benchmarks/fit.py [--quick]

6,000 patients x 36 variables (SPRINT-like visits) and 100,000 patients x 40 columns (a simulated table of 30 numbers
and 10 categories with a yes/no label), epsilon 3.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from common import markdown, save


def main() -> None:
    """Runs all cases, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave the large table out")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--case", nargs=2, metavar=("SHAPE", "FAMILY"), help="run one case and print JSON")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if asked.case:
        print(json.dumps(_case(*asked.case)))
        return
    shapes = ["6000x36"] if asked.quick else ["6000x36", "100000x40"]
    families = ("copula", "marginal", "tabgan", "acgan")
    rows = [_measured(shape, family, asked.repeats) for shape in shapes for family in families
            if not (shape == "100000x40" and family == "acgan")]  # fmt: skip
    print(markdown(rows))
    print(save("fit", rows, asked.out, repeats=asked.repeats, epsilon=3))


def _measured(shape: str, family: str, repeats: int) -> dict[str, object]:
    command = [sys.executable, __file__, "--case", shape, family]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        for _ in range(repeats)
    ]
    seconds = sorted(run["seconds"] for run in runs)
    peak = max(run["peak_mb"] for run in runs)
    row = {"table": shape, "family": family, "fit seconds, median": f"{seconds[len(seconds) // 2]:.1f}",
           "fastest to slowest": f"{seconds[0]:.1f} to {seconds[-1]:.1f}", "peak memory, MB": round(peak),
           "model kB": round(runs[0]["model_kb"])}  # fmt: skip
    print(row, flush=True)
    return row


def _case(shape: str, family: str) -> dict[str, float]:
    import wardgan as wg

    cohort = _sprint() if shape == "6000x36" else _table(100_000)
    begin = time.perf_counter()
    trained = wg.fit(cohort, wg.Budget(epsilon=3), family=family)
    return {
        "seconds": time.perf_counter() - begin,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "model_kb": len(trained.generator.network) / 1000,
    }


def _sprint():  # noqa: ANN202
    import wardgan as wg
    from wardgan.rng import Seed
    from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

    return wg.read(sprint_like(6_000, seed=Seed(1)), wg.Schema.from_dict(SPRINT_SCHEMA))


def _table(patients: int):  # noqa: ANN202
    import numpy as np
    import pandas as pd

    import wardgan as wg

    numbers = np.random.default_rng(0)
    hidden = numbers.standard_normal((patients, 5))
    weight = numbers.standard_normal((5, 39))
    raw = hidden @ weight + numbers.standard_normal((patients, 39))
    frame = pd.DataFrame({f"lab{i}": np.round(np.exp(raw[:, i] / 4) * 10, 1).clip(0, 100) for i in range(30)})
    columns: dict[str, object] = {
        f"lab{i}": {"kind": "number", "low": 0, "high": 100, "decimals": 1} for i in range(30)
    }
    for i in range(9):
        levels = [f"level {k}" for k in range(3 + 3 * i)]
        share = (np.argsort(np.argsort(raw[:, 30 + i])) / patients * len(levels)).astype(int)
        frame[f"group{i}"] = np.array(levels)[share]
        columns[f"group{i}"] = {"kind": "category", "levels": levels}
    frame["event"] = hidden[:, 0] + numbers.standard_normal(patients) > 1
    columns["event"] = {"kind": "flag", "label": True}
    return wg.read(frame, wg.Schema.from_dict({"name": "table", "population": patients, "table": columns}))


if __name__ == "__main__":
    main()
