"""Private generators of clinical tables beside each other, on five public tables (see `datasets.py`).

    python benchmarks/tables.py --methods copula tabgan --epsilon 1 3 none --seeds 3
    python benchmarks/tables.py --show

Each table is split 80 : 20, stratified by the label, anew for each seed; every method gets the same training part and
makes as many synthetic patients as it was trained on. Each fit runs in a process of its own, which measures its
processor seconds and its peak memory. What is done is kept in `benchmarks/out/tables.jsonl`, and not done again: the
script can be stopped and goes on. Peers are installed into environments of their own by `peers.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import datasets
import peers
import wardgan as wg
from common import OUT, markdown, save
from wardgan.evaluate.fidelity import pair_total_variation, total_variation
from wardgan.evaluate.utility import MODELS, score_classifiers
from wardgan.rng import Seed

FAMILIES = ("copula", "marginal", "tabgan")
BASELINES = ("real", "independent")
DONE = OUT / "tables.jsonl"
_SHORT = {"logistic regression": "LR", "random forest": "RF", "gradient boosting": "GB"}
_JUDGED = 4_000
_FLAGS = {
    True: "yes",
    False: "no",
    "True": "yes",
    "False": "no",
    "true": "yes",
    "false": "no",
    "yes": "yes",
    "no": "no",
}


def main() -> None:
    """Runs what is asked for, or shows what is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(datasets.TABLES), choices=list(datasets.TABLES))
    parser.add_argument("--methods", nargs="+", default=[*BASELINES, *FAMILIES, *peers.PEERS])
    parser.add_argument("--epsilon", nargs="+", default=["0.5", "1", "3", "8", "none"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds after which a fit is stopped")
    parser.add_argument("--again", action="store_true", help="forget what these methods did before")
    parser.add_argument("--show", action="store_true", help="print the table of what is done")
    parser.add_argument("--one", nargs=4, metavar=("TABLE", "METHOD", "EPSILON", "SEED"), help=argparse.SUPPRESS)
    parser.add_argument("--synthetic", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if asked.one:
        table, method, epsilon, seed = asked.one
        print(json.dumps(_fitted(table, method, epsilon, int(seed), asked.synthetic)))
        return
    if not asked.show:
        if asked.again:
            _forget(asked.methods)
        _run(asked)
    rows = [row for table in asked.tables for row in _rows(table)]
    print(markdown(rows))
    print(save("tables", rows, asked.out, seeds=asked.seeds, runs=_known()))


def _run(asked: argparse.Namespace) -> None:
    done = {(run["table"], run["method"], run["epsilon"], run["seed"]) for run in _known()}
    for seed in range(asked.seeds):
        for table in asked.tables:
            if not datasets.available(table):
                print(f"{table}: its files are not in {datasets.folder()}", flush=True)
                continue
            for method, epsilon in _wanted(asked.methods, asked.epsilon):
                if (table, method, epsilon, seed) not in done:
                    _note(_measured(table, method, epsilon, seed, asked.limit))


def _wanted(methods: list[str], epsilons: list[str]) -> Iterator[tuple[str, str]]:
    for method in methods:
        private, plain = peers.PEERS.get(method, (True, True))
        if method in BASELINES:
            yield method, "none"
            continue
        for epsilon in epsilons:
            if plain if epsilon == "none" else private:
                yield method, epsilon


def _known() -> list[dict[str, object]]:
    if not DONE.is_file():
        return []
    return [json.loads(line) for line in DONE.read_text(encoding="utf-8").splitlines()]


def _forget(methods: list[str]) -> None:
    kept = [run for run in _known() if run["method"] not in methods]
    DONE.parent.mkdir(parents=True, exist_ok=True)
    DONE.write_text("".join(json.dumps(run) + "\n" for run in kept), encoding="utf-8")


def _note(run: dict[str, object]) -> None:
    DONE.parent.mkdir(parents=True, exist_ok=True)
    with DONE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")
    shown = {key: f"{value:.3f}" if isinstance(value, float) else value for key, value in run.items()}
    print(" ".join(f"{key}={value}" for key, value in shown.items()), flush=True)


def split(table: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, wg.Schema]:
    """Gives training and test part with the columns of the schema, and the schema with the training part's population.

    Args:
        table: One of `datasets.TABLES`.
        seed: Of the split.
    """
    found, label = datasets.load(table), datasets.TABLES[table]
    whole = wg.read(found.table, found.schema, invalid="clip").wide().drop(columns="patient_id", errors="ignore")
    numbers = np.random.default_rng(1000 + seed)
    test = np.zeros(len(whole), dtype=bool)
    for level in whole[label].unique():
        rows = np.flatnonzero(whole[label] == level)
        test[numbers.permutation(rows)[: round(0.2 * len(rows))]] = True
    declared = found.schema.to_dict() | {"population": _round(0.8 * (found.schema.population or len(whole)))}
    declared.pop("patient", None)
    return whole[~test].reset_index(drop=True), whole[test].reset_index(drop=True), wg.Schema.from_dict(declared)


def plain(frame: pd.DataFrame, schema: wg.Schema) -> pd.DataFrame:
    """Gives a table with numbers as floats and everything else as text, whoever made it."""
    found = {}
    for column in schema.table:
        values = frame[column.name]
        if column.numeric:
            found[column.name] = pd.to_numeric(values, errors="coerce").astype(float)
        elif column.kind == "flag":
            words = values.astype(object).map(_FLAGS, na_action="ignore")
            found[column.name] = words.astype(object).where(values.notna(), None)
        else:
            found[column.name] = values.astype(object).map(_word, na_action="ignore").where(values.notna(), None)
    return pd.DataFrame(found)


def _word(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _round(number: float) -> int:
    unit = 10 ** (len(str(int(number))) - 2)
    return round(number / unit) * unit


def _measured(table: str, method: str, epsilon: str, seed: int, limit: float) -> dict[str, object]:
    run: dict[str, object] = {"table": table, "method": method, "epsilon": epsilon, "seed": seed}
    train, test, schema = split(table, seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "synthetic.parquet"
        if method == "real":
            synthetic = train
        elif method == "independent":
            numbers = np.random.default_rng(seed)
            synthetic = train.copy()
            for name in train:
                synthetic[name] = train[name].iloc[numbers.permutation(len(train))].set_axis(train.index)
        else:
            try:
                if method in peers.PEERS:
                    run |= peers.fit(method, train, schema, epsilon, seed, place, limit)
                else:
                    run |= _own_process(table, method, epsilon, seed, place, limit)
            except (subprocess.TimeoutExpired, peers.PeerError) as error:
                return run | {"failed": f"{type(error).__name__}: {error}"[:300]}
            synthetic = pd.read_parquet(place)
        train, test = plain(train, schema), plain(test, schema)
        synthetic = train if method == "real" else plain(synthetic, schema)
        return run | metrics(train, test, synthetic, datasets.TABLES[table], seed)


def _own_process(table: str, method: str, epsilon: str, seed: int, place: Path, limit: float) -> dict[str, object]:
    command = [sys.executable, __file__, "--one", table, method, epsilon, str(seed), "--synthetic", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise peers.PeerError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def _fitted(table: str, method: str, epsilon: str, seed: int, place: Path) -> dict[str, object]:
    train, _, schema = split(table, seed)
    cohort = wg.read(train, schema)
    begin, wall = time.process_time(), time.perf_counter()
    if epsilon == "none":
        trained = wg.fit(cohort, family=method, privacy="none")
    else:
        trained = wg.fit(cohort, wg.Budget(epsilon=float(epsilon)), family=method)
    seconds, wall = time.process_time() - begin, time.perf_counter() - wall
    draws = trained.generator.draw(len(train), seed=seed)
    draws.wide().drop(columns="patient_id", errors="ignore").to_parquet(place)
    begin = time.perf_counter()
    rows = sum(len(chunk) for chunk in trained.generator.draws(200_000, seed=seed))
    return {
        "CPU s": seconds, "seconds": wall, "peak MB": _peak_mb(),
        "model kB": len(trained.generator.network) / 1000, "rows/s": rows / (time.perf_counter() - begin),
    }  # fmt: skip


def _peak_mb() -> float:
    """Gives the peak memory of this process; the maximum that the system keeps for `getrusage` is its parent's too."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def metrics(
    train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame, label: str, seed: int
) -> dict[str, float]:
    """Gives what a synthetic table is good for, and how like the training part it is.

    Args:
        train: Real patients that the generator has learned from.
        test: Other real patients.
        synthetic: Synthetic patients.
        label: Column to predict.
        seed: Of the classifiers.
    """
    found: dict[str, float] = {}
    copied = synthetic is train
    synthetic = synthetic[list(train.columns)]
    scores = score_classifiers(synthetic, test, target=label, seed=Seed(seed), models=MODELS)
    for name, score in scores.items():
        found[_SHORT[name]] = score.auroc
    positive = float((test[label] == test[label].max()).sum())
    found["SE"] = _auroc_se(found["GB"], positive, len(test) - positive)
    if copied:
        # The best that a generator can reach is another real sample, not a copy.
        synthetic = test
    found["tv1"] = total_variation(train, synthetic, bins=20).mean
    found["tv2"] = pair_total_variation(train, synthetic, bins=8).mean
    found["assoc"] = association_gap(train, synthetic)
    found["detector"] = detector(train, synthetic, seed)
    found["missing"] = float((train.isna().mean() - synthetic.isna().mean()).abs().mean())
    rare = train[label].value_counts(normalize=True).idxmin()
    found["rare share"] = float((synthetic[label] == rare).mean() / (train[label] == rare).mean())
    return found


def association_gap(real: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """Gives the mean absolute difference of the correlations of ranks, indicators of levels and of missing cells."""
    both = pd.concat([real, synthetic], ignore_index=True)
    parts: list[np.ndarray] = []
    owner: list[int] = []
    for at, name in enumerate(real.columns):
        column = both[name]
        hole = column.isna()
        if column.dtype == bool or not pd.api.types.is_numeric_dtype(column):
            levels = real[name].dropna().value_counts().index[:20]
            mine = [(column == level).to_numpy(dtype=float, na_value=0.0) for level in levels]
        else:
            numbers = column.astype(float)
            mine = [numbers.rank(pct=True).fillna(0.5).to_numpy()]
        if hole.any():
            mine.append(hole.to_numpy(dtype=float))
        parts += mine
        owner += [at] * len(mine)
    features = np.column_stack(parts)
    ours, theirs = (_correlation(part) for part in (features[: len(real)], features[len(real) :]))
    different = np.array(owner)[:, None] != np.array(owner)[None, :]
    return float(np.abs(ours - theirs)[different].mean())


def _correlation(features: np.ndarray) -> np.ndarray:
    centred = features - features.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(spread > 1e-9, spread, np.inf)
    return scaled.T @ scaled


def detector(real: pd.DataFrame, synthetic: pd.DataFrame, seed: int) -> float:
    """Gives how well gradient boosting tells real from synthetic patients: .5 is not at all, 1 always."""
    numbers = np.random.default_rng(seed)
    size = min(len(real), len(synthetic), _JUDGED)
    chosen = [frame.iloc[numbers.permutation(len(frame))[:size]] for frame in (real, synthetic)]
    both = pd.concat([part.assign(origin=at) for at, part in enumerate(chosen)], ignore_index=True)
    both = both.assign(origin=both["origin"].map({0: "real", 1: "synthetic"}))
    order = numbers.permutation(len(both))
    half = len(both) // 2
    areas = [
        score_classifiers(
            both.iloc[one], both.iloc[other], target="origin", seed=Seed(seed), models=["gradient boosting"]
        )["gradient boosting"].auroc
        for one, other in ((order[:half], order[half:]), (order[half:], order[:half]))
    ]
    return float(np.mean(areas))


def _auroc_se(area: float, positive: float, negative: float) -> float:
    """Gives the standard error of an AUROC (Hanley and McNeil 1982)."""
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positive - 1) * (one - area**2) + (negative - 1) * (two - area**2)
    return math.sqrt(max(variance, 0.0) / (positive * negative))


def _rows(table: str) -> Iterator[dict[str, object]]:
    runs = [run for run in _known() if run["table"] == table]
    real = {run["seed"]: run for run in runs if run["method"] == "real"}
    groups: dict[tuple[str, str], list[dict[str, object]]] = {}
    for run in runs:
        groups.setdefault((str(run["epsilon"]), str(run["method"])), []).append(run)
    for (epsilon, method), mine in sorted(groups.items(), key=lambda item: _order(*item[0])):
        row: dict[str, object] = {"table": table, "epsilon": epsilon, "method": method, "seeds": len(mine)}
        good = [run for run in mine if "failed" not in run]
        if not good:
            yield row | {"failed": mine[0]["failed"]}
            continue
        for name in ("GB", "LR", "RF"):
            share = [run[name] / real[run["seed"]][name] for run in good if run["seed"] in real]
            row[name] = f"{_mean(good, name):.3f}" + (f" ({np.mean(share):.3f})" if share else "")
        row["SE"] = f"{_mean(good, 'SE'):.3f}"
        for name in ("tv1", "tv2", "assoc", "detector", "missing", "rare share"):
            row[name] = f"{_mean(good, name):.3f}"
        for name in ("CPU s", "peak MB", "model kB", "rows/s"):
            row[name] = f"{_mean(good, name):.3g}" if name in good[0] else ""
        yield row


def _order(epsilon: str, method: str) -> tuple[float, int]:
    names = [*BASELINES, *FAMILIES, *peers.PEERS]
    return (math.inf if epsilon == "none" else float(epsilon), names.index(method) if method in names else len(names))


def _mean(runs: list[dict[str, object]], name: str) -> float:
    return float(np.mean([run[name] for run in runs]))


if __name__ == "__main__":
    main()
