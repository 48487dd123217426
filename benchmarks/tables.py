"""Private generators of clinical tables beside each other, on five public tables (see `datasets.py`).

    python benchmarks/tables.py --methods copula tabgan --epsilon 1 3 none --seeds 3
    python benchmarks/tables.py --show

Each table is split 80 : 20, stratified by the label, anew for each seed; every method gets the same training part and
makes as many synthetic patients as it was trained on. Each fit runs in a process of its own, which measures its
processor seconds and its peak memory. What is done is kept in `benchmarks/out/tables.jsonl`, and not done again: the
script can be stopped and goes on. `groups.py` declares rules, which every generator of ours obeys by drawing again, and
groups of patients: what is done to each of them is in a table of its own. What follows a ± is a standard error over
seeds, whose training parts overlap. Peers are installed into environments of their own by `peers.py`.
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
from common import OUT, markdown, save, spread
from groups import with_rules
from judge import Judged, metrics
from wardgan.sample.drawing import Drawn

FAMILIES = ("copula", "marginal", "tabgan")
BASELINES = ("real", "independent")
DONE = OUT / "tables.jsonl"
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
    groups = [row for table in asked.tables for row in _group_rows(table)]
    print(markdown(rows), markdown(groups), "marginal against copula: " + paired("marginal", "copula"), sep="\n\n")
    beside = asked.out and asked.out.with_name(f"{asked.out.stem}_groups{asked.out.suffix}")
    print(save("tables", rows, asked.out, seeds=asked.seeds, runs=[_without(run, "groups") for run in _known()]))
    print(save("tables_groups", groups, beside, seeds=asked.seeds))


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
    shown = {
        key: f"{value:.3f}" if isinstance(value, float) else value for key, value in _without(run, "groups").items()
    }
    print(" ".join(f"{key}={value}" for key, value in shown.items()), flush=True)


def _without(run: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in run.items() if key != name}


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
    declared = found.schema.to_dict() | {"population": rounded(0.8 * (found.schema.population or len(whole)))}
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


def rounded(number: float) -> int:
    """Gives a number as it would be declared, with two digits."""
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
            except subprocess.TimeoutExpired:
                return run | {"failed": f"stopped after {limit:g} seconds"}
            except peers.PeerError as error:
                return run | {"failed": str(error)[:300]}
            synthetic = pd.read_parquet(place)
        schema = with_rules(table, schema)
        real = Judged(table, schema, datasets.TABLES[table], plain(train, schema), plain(test, schema))
        synthetic = real.train if method == "real" else plain(synthetic, schema)
        return run | metrics(real, synthetic, seed)


def _own_process(table: str, method: str, epsilon: str, seed: int, place: Path, limit: float) -> dict[str, object]:
    command = [sys.executable, __file__, "--one", table, method, epsilon, str(seed), "--synthetic", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise peers.PeerError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def _fitted(table: str, method: str, epsilon: str, seed: int, place: Path) -> dict[str, object]:
    train, _, schema = split(table, seed)
    cohort = wg.read(train, with_rules(table, schema))
    begin, wall = time.process_time(), time.perf_counter()
    if epsilon == "none":
        trained = wg.fit(cohort, family=method, privacy="none")
    else:
        trained = wg.fit(cohort, wg.Budget(epsilon=float(epsilon)), family=method)
    seconds, wall = time.process_time() - begin, time.perf_counter() - wall
    parts: list[Drawn] = []
    draws = next(trained.generator.draws(len(train), chunk=len(train), seed=seed, drew=parts.append))
    took = sum(parts, Drawn())
    draws.wide().drop(columns="patient_id", errors="ignore").to_parquet(place)
    begin = time.perf_counter()
    rows = sum(len(chunk) for chunk in trained.generator.draws(200_000, seed=seed))
    return {
        "CPU s": seconds, "seconds": wall, "peak MB": _peak_mb(),
        "model kB": len(trained.generator.network) / 1000, "rows/s": rows / (time.perf_counter() - begin),
        "rejected": 1 - took.kept / took.patients,
    }  # fmt: skip


def _peak_mb() -> float:
    """Gives the peak memory of this process; the maximum that the system keeps for `getrusage` is its parent's too."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _rows(table: str) -> Iterator[dict[str, object]]:
    runs = [run for run in _known() if run["table"] == table]
    real = {run["seed"]: run for run in runs if run["method"] == "real"}
    for (epsilon, method), mine in _sorted(runs):
        row: dict[str, object] = {"table": table, "epsilon": epsilon, "method": method, "seeds": seeds(mine)}
        good = [run for run in mine if "failed" not in run]
        if not good:
            yield row | {"failed": mine[0]["failed"]}
            continue
        for name in ("GB", "LR", "RF"):
            share = [run[name] / real[run["seed"]][name] for run in good if run["seed"] in real]
            row[name] = spread([run[name] for run in good]) + (f" ({np.mean(share):.3f})" if share else "")
        row["SE of the test part"] = f"{_mean(good, 'SE'):.3f}"
        for name in ("tv1", "tv2", "assoc", "detector", "missing", "rare share"):
            row[name] = f"{_mean(good, name):.3f}"
        for name in ("broken", "rejected"):
            row[name] = _percent([run.get(name) for run in good])
        for name in ("CPU s", "peak MB", "model kB", "rows/s"):
            row[name] = f"{_mean(good, name):.3g}" if name in good[0] else ""
        yield row


def _group_rows(table: str) -> Iterator[dict[str, object]]:
    """Yields one row for each group; runs of before groups were looked at have none."""
    runs = [run for run in _known() if run["table"] == table and run.get("groups")]
    real = {(run["seed"], *_key(group)): group for run in runs if run["method"] == "real" for group in run["groups"]}
    for (epsilon, method), mine in _sorted(runs):
        found: dict[tuple[str, str], list[tuple[dict, dict]]] = {}
        for run in mine:
            for group in run["groups"]:
                pair = group, {} if method == "real" else real.get((run["seed"], *_key(group)), {})
                found.setdefault(_key(group), []).append(pair)
        for (column, name), pairs in found.items():
            yield {
                "table": table, "epsilon": epsilon, "method": method, "column": column, "group": name,
                "n": f"{np.mean([ours['n'] for ours, _ in pairs]):,.0f}",
                "share": spread([ours["share"] for ours, _ in pairs], 2),
                **{model: _beside(pairs, model) for model in ("LR", "GB")},
            }  # fmt: skip


def _key(group: dict) -> tuple[str, str]:
    return group["column"], group["group"]


def _beside(pairs: list[tuple[dict, dict]], model: str) -> str:
    """Gives the area of a group, and beside it that of the real-trained classifier; n/a for too few patients."""
    ours = [ours[model] for ours, _ in pairs if ours[model] is not None]
    theirs = [real[model] for ours, real in pairs if ours[model] is not None and real.get(model) is not None]
    if not ours:
        return "n/a"
    return spread(ours) + (f" (real {np.mean(theirs):.3f})" if theirs else "")


def _sorted(runs: list[dict]) -> list[tuple[tuple[str, str], list[dict]]]:
    groups: dict[tuple[str, str], list[dict]] = {}
    for run in runs:
        groups.setdefault((str(run["epsilon"]), str(run["method"])), []).append(run)
    return sorted(groups.items(), key=lambda item: _order(*item[0]))


def _order(epsilon: str, method: str) -> tuple[float, int]:
    names = [*BASELINES, *FAMILIES, *peers.PEERS]
    return (math.inf if epsilon == "none" else float(epsilon), names.index(method) if method in names else len(names))


def _mean(runs: list[dict], name: str) -> float:
    return float(np.mean([run[name] for run in runs]))


def seeds(runs: list[dict]) -> str:
    """Gives how many runs the means are over, and of how many: means over those that did not fail flatter.

    Args:
        runs: One for each seed.
    """
    good = sum("failed" not in run for run in runs)
    return str(good) if good == len(runs) else f"{good} of {len(runs)}"


def paired(one: str, other: str) -> str:
    """Says in how many cells (table, epsilon, classifier) two methods differ by more than two standard errors.

    The differences are those of fits with the same seed, so of the same training and test part.

    Args:
        one: A method.
        other: Another one.
    """
    runs = {(run["table"], run["method"], run["epsilon"], run["seed"]): run for run in _known() if "LR" in run}
    gaps: dict[tuple[object, ...], list[float]] = {}
    for (table, method, epsilon, seed), run in runs.items():
        beside = runs.get((table, other, epsilon, seed))
        if method == one and beside is not None:
            for name in ("LR", "RF", "GB"):
                gaps.setdefault((table, epsilon, name), []).append(run[name] - beside[name])
    scores = [np.mean(gap) / (np.std(gap, ddof=1) / math.sqrt(len(gap))) for gap in gaps.values() if len(gap) > 1]
    ahead, behind = (sum(sign * score > 2 for score in scores) for sign in (1, -1))
    return f"{one} is ahead of {other} in {ahead} and behind in {behind} of {len(scores)} cells"


def _percent(shares: list[float | None]) -> str:
    known = [share for share in shares if share is not None]
    return f"{100 * np.mean(known):.3g} %" if known else ""


if __name__ == "__main__":
    main()
