"""What the parts of a private generator add, by epsilon and by the number of patients, beside each other in one run.

    python benchmarks/ablation.py --seeds 3
    python benchmarks/ablation.py --show

Parts: the anchor alone (`copula`), tables of pairs (`marginal`), a discriminator (`tabgan`), and a discriminator after
tables of pairs (`tabgan(pairs=0.33)`). Tables: heart disease, SUPPORT2, and parts of the diabetes table. Each method
gets the same training part and the same epsilon in all, so a part that is worth its share of the budget must win.
What is done is kept in `benchmarks/out/ablation.jsonl`, and not done again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import datasets
import wardgan as wg
from common import OUT, markdown, save
from judge import SHORT
from tables import plain, rounded, seeds, split
from wardgan.errors import PlanError
from wardgan.evaluate.associations import association_gap
from wardgan.evaluate.detect import detector
from wardgan.evaluate.fidelity import pair_total_variation
from wardgan.evaluate.utility import score_classifiers
from wardgan.rng import Seed

PARTS = {
    "copula": wg.CopulaConfig(),
    "marginal": wg.MarginalConfig(),
    "tabgan": wg.TabganConfig(),
    "tabgan(pairs)": wg.TabganConfig(pairs=0.33),
}
CASES = {
    "heart": ("uci_heart", None),
    "support2": ("support2", None),
    "diabetes 2,000": ("diabetes130", 2_000),
    "diabetes 20,000": ("diabetes130", 20_000),
}
EPSILONS = ("1", "3", "8", "none")
DONE = OUT / "ablation.jsonl"
_NAMES = {"logistic regression": "LR", "random forest": "RF", "gradient boosting": "GB"}
_SHOWN = ("LR", "RF", "GB", "tv2", "assoc", "detector", "CPU s")


def main() -> None:
    """Runs what is not done yet, and shows the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--epsilon", nargs="+", default=list(EPSILONS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--show", action="store_true", help="print the table of what is done")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.show:
        done = {(run["case"], run["part"], run["epsilon"], run["seed"]) for run in _known()}
        for seed in range(asked.seeds):
            for case in asked.cases:
                for epsilon in asked.epsilon:
                    for part in PARTS:
                        if (case, part, epsilon, seed) not in done and datasets.available(CASES[case][0]):
                            _note(_measured(case, part, epsilon, seed))
    rows = list(_rows())
    print(markdown(rows))
    print(save("ablation", rows, asked.out, seeds=asked.seeds, runs=_known()))


def _measured(case: str, part: str, epsilon: str, seed: int) -> dict[str, object]:
    name, most = CASES[case]
    train, test, schema = split(name, seed)
    if most is not None:
        train = train.iloc[np.random.default_rng(seed).permutation(len(train))[:most]].reset_index(drop=True)
        schema = wg.Schema.from_dict(schema.to_dict() | {"population": rounded(most)})
    cohort = wg.read(train, schema)
    run: dict[str, object] = {"case": case, "part": part, "epsilon": epsilon, "seed": seed}
    begin = time.process_time()
    try:
        if epsilon == "none":
            made = wg.fit(cohort, family=PARTS[part], privacy="none")
        else:
            made = wg.fit(cohort, wg.Budget(epsilon=float(epsilon)), family=PARTS[part])
    except PlanError as error:
        return run | {"failed": str(error)[:200]}
    run["CPU s"] = time.process_time() - begin
    real, unseen = plain(train, schema), plain(test, schema)
    drawn = made.generator.draw(len(train), seed=seed).wide().drop(columns="patient_id", errors="ignore")
    synthetic = plain(drawn, schema)[list(real.columns)]
    scores = score_classifiers(synthetic, unseen, target=datasets.TABLES[name], seed=Seed(seed), models=tuple(SHORT))
    run |= {_NAMES[model]: score.auroc for model, score in scores.items()}
    run["tv2"] = pair_total_variation(real, synthetic, bins=8).mean
    run["assoc"] = association_gap(real, synthetic)
    run["detector"] = detector(real, synthetic, seed=Seed(seed)).value
    return run


def _rows() -> Iterator[dict[str, object]]:
    runs = _known()
    for case in CASES:
        for epsilon in EPSILONS:
            here = [run for run in runs if (run["case"], run["epsilon"]) == (case, epsilon)]
            base = {run["seed"]: run for run in here if run["part"] == "copula" and "failed" not in run}
            for part in PARTS:
                mine = [run for run in here if run["part"] == part]
                if mine:
                    yield _row(case, epsilon, part, mine, base)


def _row(case: str, epsilon: str, part: str, runs: list[dict], base: dict[int, dict]) -> dict[str, object]:
    """Gives means over the seeds and, in brackets, the mean difference to the copula of the same seed, with its SE."""
    row: dict[str, object] = {"table": case, "epsilon": epsilon, "method": part, "seeds": seeds(runs)}
    good = [run for run in runs if "failed" not in run]
    if not good:
        return row | {"LR": "refused"}
    for name in _SHOWN:
        values = np.array([run[name] for run in good])
        row[name] = f"{values.mean():.3g}" if name == "CPU s" else f"{values.mean():.3f}"
        gaps = np.array([run[name] - base[run["seed"]][name] for run in good if run["seed"] in base])
        if part != "copula" and name != "CPU s" and len(gaps) > 1:
            row[name] = f"{row[name]} ({gaps.mean():+.3f} ± {gaps.std(ddof=1) / np.sqrt(len(gaps)):.3f})"
    return row


def _known() -> list[dict]:
    if not DONE.is_file():
        return []
    return [json.loads(line) for line in DONE.read_text(encoding="utf-8").splitlines()]


def _note(run: dict[str, object]) -> None:
    DONE.parent.mkdir(parents=True, exist_ok=True)
    with DONE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")
    shown = {key: f"{value:.3f}" if isinstance(value, float) else value for key, value in run.items()}
    print(" ".join(f"{key}={value}" for key, value in shown.items()), flush=True)


if __name__ == "__main__":
    main()
