"""Families beside each other on a simulated SPRINT-like trial: one model each, no epoch is picked.

    python benchmarks/sprint_like.py --epsilon 1 3.5 --seeds 3

For each seed a trial of 6,502 patients is drawn, 6,000 to train on; classifiers for the arm are trained on 6,000
synthetic patients and judged on 6,000 fresh simulated ones. Medians are compared on 50,000 synthetic patients, so that
they show the generator's error and not that of a small sample. `share` is the accuracy relative to training on the
real 6,000.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import wardgan as wg
from common import markdown, save
from wardgan.evaluate.fidelity import correlation_agreement, median_gap
from wardgan.evaluate.utility import score_classifiers
from wardgan.rng import Seed
from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

PATIENTS = 6_000
LOGISTIC, FOREST = "logistic regression", "random forest"


@dataclass(frozen=True)
class Method:
    """One line of the table: a family, and its epsilon (`None`: no privacy)."""

    family: str
    epsilon: float | None


def main() -> None:
    """Runs the benchmark and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 3.5])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--families", nargs="+", default=["copula", "tabgan", "acgan"])
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    methods = [Method(family, epsilon) for epsilon in asked.epsilon for family in asked.families]
    methods += [Method(family, None) for family in asked.families]
    runs: dict[str, list[dict[str, float]]] = {}
    for seed in range(asked.seeds):
        for name, found in _seed(seed, methods):
            runs.setdefault(name, []).append(found)
            print(
                f"seed {seed}: {name}: " + ", ".join(f"{key} {value:.4g}" for key, value in found.items()), flush=True
            )
    rows = [_row(name, found) for name, found in runs.items()]
    print(markdown(rows))
    print(save("sprint_like", rows, asked.out, seeds=asked.seeds, patients=PATIENTS, runs=runs))


def _seed(seed: int, methods: list[Method]):  # noqa: ANN202 - (name, numbers) pairs
    schema = wg.Schema.from_dict(SPRINT_SCHEMA)
    whole = wg.read(sprint_like(6_502, seed=Seed(100 + seed)), schema)
    train = whole.split(PATIENTS / 6_502, seed=seed)[0]
    real, test = _wide(train), _wide(wg.read(sprint_like(6_000, seed=Seed(200 + seed)), schema))
    another = _wide(wg.read(sprint_like(PATIENTS, seed=Seed(300 + seed)), schema))
    best = score_classifiers(real, test, target="arm", seed=Seed(seed))
    yield "real patients", _numbers(real, real, real, test, best, seed)
    yield "another real draw", _numbers(real, another, another, test, best, seed)
    for method in methods:
        begin = time.perf_counter()
        if method.epsilon is None:
            trained = wg.fit(train, family=method.family, privacy="none")
        else:
            trained = wg.fit(train, wg.Budget(epsilon=method.epsilon), family=method.family)
        seconds = time.perf_counter() - begin
        synthetic, many = (_wide(trained.generator.draw(n, seed=seed)) for n in (PATIENTS, 50_000))
        found = _numbers(real, synthetic, many, test, best, seed)
        found |= {"fit seconds": seconds, "model kB": len(trained.generator.network) / 1000}
        name = (
            f"{method.family}, no privacy" if method.epsilon is None else f"{method.family}, epsilon {method.epsilon:g}"
        )
        yield name, found


def _wide(cohort: wg.Cohort) -> pd.DataFrame:
    return cohort.wide().drop(columns="patient_id")


def _numbers(real, synthetic, many, test, best, seed) -> dict[str, float]:  # noqa: ANN001 - frames and scores
    scores = score_classifiers(synthetic, test, target="arm", seed=Seed(seed))
    agreement = correlation_agreement(real, synthetic)
    pressure = [name for name in real.columns if name.startswith("sbp") or name == "arm"]
    gap = median_gap(real[pressure], many[pressure], by="arm")
    return {
        "LR": scores[LOGISTIC].accuracy,
        "LR share": scores[LOGISTIC].accuracy / best[LOGISTIC].accuracy,
        "RF": scores[FOREST].accuracy,
        "RF share": scores[FOREST].accuracy / best[FOREST].accuracy,
        "rho": agreement.spearman,
        "corr RMSE": agreement.rmse,
        "SBP median gap, mean": gap.mean,
        "SBP median gap, largest": gap.largest,
    }


def _row(name: str, runs: list[dict[str, float]]) -> dict[str, object]:
    row: dict[str, object] = {"trained on": name}
    for key in runs[0]:
        values = [run[key] for run in runs]
        spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 and key in ("LR", "RF", "rho") else ""
        if key == "SBP median gap, largest":
            row[key] = f"{max(values):g}"
        elif key in ("fit seconds", "model kB"):
            row[key] = f"{statistics.median(values):.3g}"
        else:
            row[key] = f"{statistics.mean(values):.3f}{spread}"
    return row


if __name__ == "__main__":
    main()
