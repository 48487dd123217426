"""All encounters of `diabetes130`: 100,000 rows of 50 columns, one patient with up to six encounters as one unit.

    python benchmarks/encounters.py --methods copula tabgan --epsilon 1 3 --seeds 3
    python benchmarks/encounters.py --show

Patients are split 80 : 20, anew for each seed. `visits` has diagnoses as chapters of ICD-9, `visit_codes` as all 1,329
codes of its book, with the chapters declared as groups. Each fit runs in a process of its own, which measures seconds,
processor seconds and peak memory, reading included in the last. What is done is kept in
`benchmarks/out/encounters.jsonl` and not done again. `real` compares other patients with the training part: the best
that can be reached.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import datasets
import wardgan as wg
from common import OUT, markdown, save
from diabetes_visits import DIAGNOSES, KEY, LABEL, MAX_VISITS, PATIENT
from tables import _peak_mb
from wardgan.evaluate.fidelity import total_variation
from wardgan.evaluate.utility import score_classifiers
from wardgan.rng import Seed

TABLES = ("visits", "visit_codes")
NUMBERS = ("time_in_hospital", "num_lab_procedures", "num_medications", "number_diagnoses", "number_inpatient")
DONE = OUT / "encounters.jsonl"
_JUDGED = 40_000
_SAMPLED = 200_000
_SHORT = {"logistic regression": "LR", "gradient boosting": "GB"}


def main() -> None:
    """Runs what is asked for, or shows what is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--methods", nargs="+", default=["real", "copula", "marginal", "tabgan"])
    parser.add_argument("--epsilon", nargs="+", default=["1", "3"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print the table of what is done")
    parser.add_argument("--one", nargs=5, metavar=("TABLE", "METHOD", "EPSILON", "SEED", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if asked.one:
        table, method, epsilon, seed, place = asked.one
        print(json.dumps(_fitted(table, method, float(epsilon), int(seed), Path(place))))
        return
    for seed in range(0 if asked.show else asked.seeds):
        for table in asked.tables:
            for method in asked.methods:
                for epsilon in ["none"] if method == "real" else asked.epsilon:
                    _once(table, method, epsilon, seed)
    rows = [row for table in asked.tables for row in _rows(table)]
    print(markdown(rows))
    print(save("encounters", rows, asked.out, runs=_known()))


def _once(table: str, method: str, epsilon: str, seed: int) -> None:
    run: dict[str, object] = {"table": table, "epsilon": epsilon, "method": method, "seed": seed}
    if any(run.items() <= known.items() for known in _known()):
        return
    train, test, schema = split(table, seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "synthetic.parquet"
        synthetic = train
        if method != "real":
            command = [sys.executable, __file__, "--one", table, method, epsilon, str(seed), str(place)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(run | {"failed": done.stderr.strip().splitlines()[-1]}, flush=True)
                return
            run |= json.loads(done.stdout.splitlines()[-1])
            synthetic = pd.read_parquet(place)
    run |= judged(*(_plain(part, schema) for part in (train, test, synthetic)), copied=method == "real", seed=seed)
    DONE.parent.mkdir(parents=True, exist_ok=True)
    with DONE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")
    print(run, flush=True)


def split(table: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, wg.Schema]:
    """Gives the encounters of training and test patients, and the schema with the training part's population."""
    found = datasets.load(f"diabetes130_{table}")
    patients = found.table[PATIENT].unique()
    held = patients[np.random.default_rng(1000 + seed).random(len(patients)) < 0.2]
    test = found.table[PATIENT].isin(held)
    population = round(0.8 * (found.schema.population or 0))
    schema = wg.Schema.from_dict(found.schema.to_dict() | {"population": population})
    return found.table[~test].reset_index(drop=True), found.table[test].reset_index(drop=True), schema


def _fitted(table: str, method: str, epsilon: float, seed: int, place: Path) -> dict[str, object]:
    train, _, schema = split(table, seed)
    begin = time.perf_counter()
    cohort = wg.read(train, schema)
    read = time.perf_counter() - begin
    del train
    begin, processor = time.perf_counter(), time.process_time()
    trained = wg.fit(cohort, wg.Budget(epsilon=epsilon), family=method)
    seconds, processor = time.perf_counter() - begin, time.process_time() - processor
    peak = _peak_mb()
    trained.generator.draw(len(cohort), seed=seed).frame().to_parquet(place)
    begin = time.perf_counter()
    rows = sum(int(chunk.present.sum()) for chunk in trained.generator.draws(_SAMPLED, seed=seed))
    return {
        "variables": _variables(schema),
        "read s": read, "fit s": seconds, "CPU s": processor, "peak MB": peak,
        "model kB": len(trained.generator.network) / 1000, "rows/s": rows / (time.perf_counter() - begin),
    }  # fmt: skip


def _plain(rows: pd.DataFrame, schema: wg.Schema) -> pd.DataFrame:
    """Gives numbers as floats and all else as texts, whoever made the rows; the patient and the key stay."""
    found = {PATIENT: rows[PATIENT], KEY: rows[KEY]}
    for column in schema.columns:
        cells = rows[column.name]
        words = cells.astype(object).map(str, na_action="ignore").where(cells.notna(), None)
        found[column.name] = cells.astype(float) if column.numeric else words
    return pd.DataFrame(found)


def judged(
    train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame, *, copied: bool, seed: int
) -> dict[str, float]:
    """Gives how like the synthetic encounters are, and what classifiers that learned from them are worth.

    Args:
        train: Real encounters that the generator has learned from.
        test: Those of other patients.
        synthetic: Synthetic ones.
        copied: Whether `synthetic` is `train`; then the test part is compared instead.
        seed: Of the classifiers.
    """
    found: dict[str, float] = {}
    seen = test if copied else synthetic
    names = [name for name in train if name not in (PATIENT, KEY)]
    variation = total_variation(train[names], seen[names], bins=20)
    found["tv"] = variation.mean
    found["tv of diagnoses"] = float(np.mean([_variation(train[name], seen[name]) for name in DIAGNOSES]))
    for number in range(1, MAX_VISITS + 1):
        ours, theirs = (float((part.groupby(PATIENT).size() == number).mean()) for part in (train, seen))
        found[f"real with {number}"], found[f"with {number}"] = ours, theirs
    for name in NUMBERS:
        found[f"real r {name}"], found[f"r {name}"] = _consecutive(train, name), _consecutive(seen, name)
    found["real <30"], found["<30"] = (float((part[LABEL] == "<30").mean()) for part in (train, seen))
    taught = [part[names].assign(**{LABEL: (part[LABEL] == "<30").map({True: "yes", False: "no"})})
              for part in (synthetic.iloc[:_JUDGED], test)]  # fmt: skip
    scores = score_classifiers(*taught, target=LABEL, seed=Seed(seed), models=list(_SHORT))
    return found | {_SHORT[name]: score.auroc for name, score in scores.items()}


def _variation(real: pd.Series, synthetic: pd.Series) -> float:
    shares = [column.value_counts(normalize=True, dropna=False) for column in (real, synthetic)]
    return float(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)


def _consecutive(rows: pd.DataFrame, name: str) -> float:
    """Gives the correlation of a number with that of the patient's encounter before."""
    before = rows.groupby(PATIENT)[name].shift()
    return float(rows[name].corr(before))


def _variables(schema: wg.Schema) -> int:
    from wardgan.encode.layout import Layout

    return len(Layout.of(schema))


def _known() -> list[dict[str, object]]:
    if not DONE.is_file():
        return []
    return [json.loads(line) for line in DONE.read_text(encoding="utf-8").splitlines()]


def _rows(table: str) -> list[dict[str, object]]:
    groups: dict[tuple[str, str], list[dict[str, float]]] = {}
    for run in _known():
        if run["table"] == table:
            groups.setdefault((str(run["epsilon"]), str(run["method"])), []).append(run)  # type: ignore[arg-type]
    return [_row(table, *key, runs) for key, runs in groups.items()]


def _row(table: str, epsilon: str, method: str, runs: list[dict[str, float]]) -> dict[str, object]:
    def mean(name: str) -> float:
        return float(np.mean([run[name] for run in runs]))

    row: dict[str, object] = {"table": table, "epsilon": epsilon, "method": method, "seeds": len(runs)}
    for name in ("fit s", "CPU s", "peak MB", "model kB", "rows/s"):
        row[name] = f"{mean(name):,.0f}" if name in runs[0] else ""
    for name in ("tv", "tv of diagnoses", "LR", "GB"):
        row[name] = f"{mean(name):.3f}"
    return row | {
        "<30 (real)": f"{mean('<30'):.3f} ({mean('real <30'):.3f})",
        "patients with 1 to 6 encounters, %": _several([mean(f"with {at}") for at in range(1, MAX_VISITS + 1)]),
        "r of consecutive encounters": " ".join(f"{mean(f'r {name}'):.2f}" for name in NUMBERS),
    }


def _several(shares: list[float]) -> str:
    return " ".join(f"{100 * share:.1f}" for share in shares)


if __name__ == "__main__":
    main()
