"""What it brings to draw more synthetic patients than the hospital had: classifiers learn from 1 to 30 times as many.

    python benchmarks/more_patients.py --seeds 3

Each generator is fitted once and drawn from once; the smaller tables are the first rows of the largest one. The
classifiers are tested on real patients whom the generator has not seen. `real` are the patients it has learned from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import datasets
import wardgan as wg
from common import markdown, save
from tables import plain, split
from wardgan.evaluate.utility import score_classifiers
from wardgan.rng import Seed

TABLES = ("uci_heart", "pbc2_first", "physionet2012_summary", "support2")
EPSILONS = ("1", "3", "none")
TIMES = (1, 3, 10, 30)
_MOST = 60_000
_NAMES = {"logistic regression": "LR", "random forest": "RF", "gradient boosting": "GB"}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for seed in range(asked.seeds):
        for table in (one for one in asked.tables if datasets.available(one)):
            for epsilon, times, areas in _measured(table, seed):
                found.setdefault((table, epsilon, times), []).append(areas)
                print(table, epsilon, times, seed, areas, flush=True)
    rows = [
        {"table": table, "epsilon": epsilon, "patients drawn": times, "seeds": len(runs)} | _means(runs)
        for (table, epsilon, times), runs in sorted(found.items(), key=_place)
    ]
    print(markdown(rows))
    print(save("more_patients", rows, asked.out, seeds=asked.seeds))


def _measured(table: str, seed: int) -> list[tuple[str, str, dict[str, float]]]:
    train, test, schema = split(table, seed)
    cohort, real, unseen = wg.read(train, schema), plain(train, schema), plain(test, schema)
    label = datasets.TABLES[table]
    found = [("none", "real", _areas(real, unseen, label, seed))]
    for epsilon in EPSILONS:
        budget = None if epsilon == "none" else wg.Budget(epsilon=float(epsilon))
        made = wg.fit(cohort, budget, family="copula", privacy="none" if budget is None else "private")
        size = min(_MOST, max(TIMES) * len(train))
        drawn = made.generator.draw(size, seed=seed).wide().drop(columns="patient_id", errors="ignore")
        synthetic = plain(drawn, schema)[list(real.columns)]
        for times in TIMES:
            if times * len(train) <= size:
                part = synthetic.iloc[: times * len(train)]
                found.append((epsilon, f"{times} x", _areas(part, unseen, label, seed)))
    return found


def _areas(table: pd.DataFrame, unseen: pd.DataFrame, label: str, seed: int) -> dict[str, float]:
    scores = score_classifiers(table, unseen, target=label, seed=Seed(seed), models=tuple(_NAMES))
    return {_NAMES[model]: score.auroc for model, score in scores.items()}


def _means(runs: list[dict[str, float]]) -> dict[str, str]:
    return {name: f"{np.mean([run[name] for run in runs]):.3f}" for name in _NAMES.values()}


def _place(item: tuple[tuple[str, str, str], object]) -> tuple[int, float, int]:
    (table, epsilon, times), _ = item
    number = 0 if times == "real" else int(times.split()[0])
    return TABLES.index(table), float("inf") if epsilon == "none" else float(epsilon), number


if __name__ == "__main__":
    main()
