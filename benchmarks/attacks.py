"""Attacks on generators that are safe, that leak on purpose, and that were fitted, on real and on simulated patients.

    python benchmarks/attacks.py --generators safe leak --seeds 20
    python benchmarks/attacks.py --generators copula tabgan --epsilon 1 3 8 none --seeds 2
    python benchmarks/attacks.py --show

Each table is cut at random into three equal parts, anew for each seed: training, hold-out, and fresh patients. The
generators: `safe`, which hands out the fresh patients, so it cannot know anything about the training part; `leak`, the
planted leak: 30 % copies of training patients with noise of 2 % of a standard deviation, and 70 % fresh ones; and
families that were fitted to the training part, which draw as many patients. Tables: `uci_heart` and `support2` (see
`datasets.py`), in which rows that occur twice are kept once; `flchain_like`, invented patients with the columns of a
study of free light chains and mortality (Dispenzieri et al. 2012), 2,600 in each part; and the simulated SPRINT-like
trial, 6,000 in each part. What is done is kept in `benchmarks/out/attacks.jsonl`, and not done again: the script can be
stopped and goes on. The first three declare one sensitive column each; the arm of the trial is guessed as its label.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import datasets
import wardgan as wg
from common import OUT, markdown, save
from wardgan.attack import battery, leak
from wardgan.rng import Seed
from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

TABLES = ("uci_heart", "support2", "flchain_like", "sprint_like")
FAMILIES = ("copula", "marginal", "tabgan")
DONE = OUT / "attacks.jsonl"
_PATIENTS = {"sprint_like": 6_000, "flchain_like": 2_600}
FLCHAIN = {
    "name": "flchain-like",
    "population": 2_600,
    "table": {
        "age": {"kind": "integer", "low": 50, "high": 105, "unit": "a"},
        "sex": {"kind": "category", "levels": ["F", "M"]},
        "year": {"kind": "integer", "low": 1995, "high": 2003},
        "kappa": {"kind": "number", "low": 0.01, "high": 25, "scale": "log", "step": 0.01, "unit": "mg/dL"},
        "lambda": {"kind": "number", "low": 0.01, "high": 30, "scale": "log", "step": 0.01, "unit": "mg/dL"},
        "creatinine": {"kind": "number", "low": 0.3, "high": 12, "step": 0.1, "unit": "mg/dL", "nullable": True},
        "mgus": {"kind": "flag", "sensitive": True},
        "days": {"kind": "integer", "low": 0, "high": 5500, "unit": "d"},
        "death": {"kind": "flag"},
    },
    "events": {"time": "days", "event": "death"},
}
_SHOWN = {
    "membership.nearest.auc": "nearest: AUC",
    "membership.nearest.tpr_1": "nearest: found at 1 %",
    "membership.nearest.epsilon": "nearest: epsilon",
    "membership.distance.auc": "distance: AUC",
    "membership.forest.auc": "forest: AUC",
    "membership.worst.auc": "most isolated: AUC",
    "inference": "inference",
    "linkability": "linkability",
    "singling_out.one": "singled out by one",
    "singling_out.many": "by many",
    "copies.certain": "copies",
    "nearer_to_training": "DCR share",
}


def main() -> None:
    """Runs what is asked for, or shows what is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--generators", nargs="+", default=["safe", "leak", "copula", "tabgan"])
    parser.add_argument("--epsilon", nargs="+", default=["1", "3", "8", "none"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--show", action="store_true", help="print the table of what is done")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.show:
        _run(asked)
    runs = _known()
    rows = [_row(key, mine) for key, mine in _grouped(runs)]
    each = [row for key, mine in _grouped(runs) for row in _attack_rows(key, mine)]
    print(markdown(rows))
    print(save("attacks", rows, asked.out, attacks=each))


def _run(asked: argparse.Namespace) -> None:
    done = {(run["table"], run["generator"], run["epsilon"], run["seed"]) for run in _known()}
    for seed in range(asked.seeds):
        for table in asked.tables:
            if table in datasets.NAMES and not datasets.available(table):
                print(f"{table}: its files are not in {datasets.folder()}", flush=True)
                continue
            for generator in asked.generators:
                for epsilon in asked.epsilon if generator in FAMILIES else ["-"]:
                    if (table, generator, epsilon, seed) not in done:
                        _note(_measured(table, generator, epsilon, seed))


def _measured(table: str, generator: str, epsilon: str, seed: int) -> dict[str, object]:
    train, holdout, fresh = parts(table, seed)
    if generator == "safe":
        synthetic = fresh
    elif generator == "leak":
        synthetic = leak(train, fresh, seed=Seed(seed))
    elif epsilon == "none":
        synthetic = wg.fit(train, family=generator, privacy="none").generator.draw(len(train), seed=seed)
    else:
        trained = wg.fit(train, wg.Budget(epsilon=float(epsilon)), family=generator)
        synthetic = trained.generator.draw(len(train), seed=seed)
    claim = float(epsilon) if epsilon not in ("-", "none") else None
    begin = time.process_time()
    found = battery(train, holdout, synthetic, seed=Seed(seed), epsilon=claim)
    seconds = time.process_time() - begin
    results = found.to_dict()["results"]
    for result in results:
        del result["question"], result["curve"]
    run = {"table": table, "generator": generator, "epsilon": epsilon, "seed": seed, "patients": len(train)}
    return run | {"processor seconds": round(seconds, 2), "family": found.family, "results": results}


def parts(table: str, seed: int) -> tuple[wg.Cohort, wg.Cohort, wg.Cohort]:
    """Gives training, hold-out and fresh patients, as many of each.

    Args:
        table: One of `TABLES`.
        seed: Of the cut.
    """
    if table == "sprint_like":
        schema = wg.Schema.from_dict(SPRINT_SCHEMA)
        whole = wg.read(sprint_like(3 * _PATIENTS[table], seed=Seed(500 + seed)), schema)
    elif table == "flchain_like":
        whole = wg.read(flchain_like(3 * _PATIENTS[table], 700 + seed), wg.Schema.from_dict(FLCHAIN), invalid="clip")
    else:
        found = datasets.load(table)
        names = [column.name for column in found.schema.table]
        declared = found.schema.to_dict() | {"population": len(found.table) // 3}
        whole = wg.read(found.table.drop_duplicates(names), wg.Schema.from_dict(declared), invalid="clip")
    order = Seed(seed).stream("benchmark/parts").permutation(len(whole))
    size = len(whole) // 3
    one, two, three = (whole.take(np.sort(order[at * size : (at + 1) * size])) for at in range(3))
    return one, two, three


def flchain_like(patients: int, seed: int) -> pd.DataFrame:
    """Gives invented patients whose light chains, age and kidneys shorten their lives.

    Args:
        patients: How many.
        seed: Replays them.
    """
    random = np.random.default_rng(seed)
    age = np.clip(np.round(50 + random.gamma(2.0, 7.0, patients)), 50, 105)
    male = random.random(patients) < 0.45
    kidneys = random.normal(0, 1, patients)
    chains = 0.3 * random.normal(0, 1, patients) + 0.25 * kidneys + 0.012 * (age - 64)
    kappa, lambda_ = (np.exp(level + chains + 0.3 * random.normal(0, 1, patients)) for level in (0.2, 0.4))
    hazard = np.exp(-9.6 + 0.1 * (age - 64) + 0.5 * chains + 0.2 * kidneys + 0.2 * male)
    died, left = random.exponential(1 / hazard), random.uniform(2_500, 5_300, patients)
    creatinine = np.round(np.exp(0.05 + 0.15 * male + 0.25 * kidneys), 1)
    creatinine[random.random(patients) < 0.17] = np.nan
    return pd.DataFrame({
        "age": age, "sex": np.where(male, "M", "F"), "year": 1995 + np.minimum(random.poisson(1.4, patients), 8),
        "kappa": np.round(kappa, 2), "lambda": np.round(lambda_, 2), "creatinine": creatinine,
        "mgus": random.random(patients) < 0.015, "days": np.floor(np.minimum(died, left)), "death": died < left,
    })  # fmt: skip


def _known() -> list[dict]:
    if not DONE.is_file():
        return []
    return [json.loads(line) for line in DONE.read_text(encoding="utf-8").splitlines()]


def _note(run: dict[str, object]) -> None:
    DONE.parent.mkdir(parents=True, exist_ok=True)
    with DONE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")
    leaks = [result["name"] for result in run["results"] if result["verdict"] == "leak"]
    print(*(f"{key}={value}" for key, value in run.items() if key != "results"), "leaks:", *leaks, flush=True)


def _grouped(runs: list[dict]) -> Iterator[tuple[tuple[str, str, str], list[dict]]]:
    groups: dict[tuple[str, str, str], list[dict]] = {}
    for run in runs:
        groups.setdefault((run["table"], run["generator"], run["epsilon"]), []).append(run)
    order = {name: at for at, name in enumerate((*TABLES, "safe", "leak", *FAMILIES, "-", "1", "3", "8", "none"))}
    yield from sorted(groups.items(), key=lambda item: [order.get(part, 99) for part in item[0]])


def _row(key: tuple[str, str, str], runs: list[dict]) -> dict[str, object]:
    """Gives mean and mean interval of each number over the seeds, and how many runs called it a leak."""
    table, generator, epsilon = key
    flagged = sum(any(result["verdict"] == "leak" for result in run["results"]) for run in runs)
    unclear = [sum(result["verdict"] == "unclear" for result in run["results"]) for run in runs]
    row: dict[str, object] = {"table": table, "patients": runs[0]["patients"], "generator": generator}
    row |= {"epsilon": epsilon, "leak seen": f"{flagged} of {len(runs)}", "unclear": f"{np.mean(unclear):.1f}"}
    for start, shown in _SHOWN.items():
        found = [result for run in runs for result in run["results"] if _is(result["name"], start)]
        row[shown] = _cell([result for result in found if result["estimate"]["value"] is not None], found)
    row["processor seconds"] = f"{np.median([run['processor seconds'] for run in runs]):.1f}"
    return row


def _attack_rows(key: tuple[str, str, str], runs: list[dict]) -> Iterator[dict[str, object]]:
    """Yields for each attack its verdicts, and means over the seeds of what was measured."""
    for place, first in enumerate(runs[0]["results"]):
        found = [run["results"][place] for run in runs]
        row: dict[str, object] = dict(zip(("table", "generator", "epsilon"), key, strict=True))
        row |= {"attack": first["name"], "limit": first["limit"]}
        row |= {name: sum(one["verdict"] == name for one in found) for name in ("leak", "clear", "unclear")}
        for name in ("value", "low", "high"):
            row[name] = _mean([one["estimate"][name] for one in found])
        row["joint low"] = _mean([one["joint"]["low"] for one in found])
        yield row | {"smallest leak seen": _mean([one["power"]["smallest"] for one in found])}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 5) if known else None


def _is(name: str, start: str) -> bool:
    return name == start or (start == "inference" and name.startswith("inference."))


def _cell(measured: list[dict], found: list[dict]) -> str:
    if not measured:
        return "n/a"
    value, low, high = (
        np.mean([result["estimate"][name] for result in measured if result["estimate"][name] is not None] or [np.nan])
        for name in ("value", "low", "high")
    )
    verdicts = [result["verdict"] for result in found]
    text = f"{value:.3f}" if np.isnan(high) else f"{value:.3f} [{low:.3f}, {high:.3f}]"
    return text + "".join(
        f", {verdicts.count(verdict)} {verdict}" for verdict in ("leak", "unclear") if verdict in verdicts
    )


if __name__ == "__main__":
    main()
