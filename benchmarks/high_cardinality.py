"""Categories with hundreds of levels: what a generator keeps of them, with and without groups of levels.

    python benchmarks/high_cardinality.py [--quick]

Simulated: three codes of 700 levels with shares that fall as 1 / rank, leaning to a class of 20 %, beside six numbers
and six flags; 2,000, 10,000 and 70,000 patients. Real: the first encounters of `diabetes130` with its diagnoses as
codes of ICD-9 (all 1,329 that the code book has), in the order of the book or with its chapters declared as groups.
Each case is fitted four ways: `groups` as the package does it, `declared groups` with the chapters, `one table` with
the levels of each code crossed with the class, as any small category, and `learned` with no levels in the schema at
all: they are found under privacy, and the rest is one level ("hidden": its share). `real` compares the training part
with other patients; `groups, totals W` gives the totals of the levels another weight. Each fit runs in a process of its
own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import datasets
import wardgan as wg
from common import markdown, save
from diabetes_visits import chapters, code, code_book
from wardgan.encode.layout import Layout

LEVELS = 700
METHODS = ("real", "one table", "groups", "declared groups", "learned")
_HIDDEN = "(other)"
_SEEDS = 3
_JUDGED = 50_000


def main() -> None:
    """Runs all cases, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10,000 simulated patients only, one seed")
    parser.add_argument("--epsilon", nargs="+", default=["0.5", "1", "3"])
    parser.add_argument("--seeds", type=int, default=_SEEDS)
    parser.add_argument("--cases", nargs="+", help="such as 2000 10000 codes")
    parser.add_argument("--methods", nargs="+", default=METHODS, help='such as groups "groups, totals 0.05"')
    parser.add_argument("--one", nargs=4, metavar=("CASE", "METHOD", "EPSILON", "SEED"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if asked.one:
        case, method, epsilon, seed = asked.one
        print(json.dumps(measured(case, method, epsilon, int(seed))))
        return
    cases = asked.cases or (["10000"] if asked.quick else ["2000", "10000", "70000", "codes"])
    rows = [
        _mean(case, method, epsilon, 1 if asked.quick else asked.seeds)
        for case in cases
        for method in asked.methods
        for epsilon in (["none"] if method == "real" else asked.epsilon)
        if case == "codes" or method != "declared groups"
    ]
    print(markdown(rows))
    print(save("high_cardinality", rows, asked.out, seeds=asked.seeds, levels=LEVELS))


def _mean(case: str, method: str, epsilon: str, seeds: int) -> dict[str, object]:
    runs: list[dict[str, float]] = []
    for seed in range(seeds):
        command = [sys.executable, __file__, "--one", case, method, epsilon, str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"case": case, "epsilon": epsilon, "how": method, "failed": done.stderr.strip().splitlines()[-1]}
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    row: dict[str, object] = {"case": case, "epsilon": epsilon, "how": method}
    for name in runs[0]:
        value = float(np.mean([run[name] for run in runs]))
        row[name] = (
            f"{value:.3f}" if value < 2 and name != "fit s" else f"{value:.3g}" if value < 1e4 else f"{value:,.0f}"
        )
    print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return row


def measured(case: str, method: str, epsilon: str, seed: int) -> dict[str, float]:
    """Fits one case and gives what the codes of as many synthetic patients are worth.

    Args:
        case: Number of simulated patients, or `codes`.
        method: One of `METHODS`, or `groups, totals` with a weight.
        epsilon: Of the fit, at delta 1e-5; `none` for `real`.
        seed: Of the patients.
    """
    train, test, declared, label = patients(case, seed, grouped=method == "declared groups")
    if method == "learned":
        declared = _undeclared(declared)
    schema = wg.Schema.from_dict(declared)
    cohort, others = (wg.read(part, schema, invalid="clip") for part in (train, test))
    codes = [name for name in declared["table"] if name.startswith(("code", "diag_"))]  # type: ignore[attr-defined]
    if method == "real":
        return _likeness(cohort, cohort, others, others, label, codes)
    generator, seconds = _fitted(cohort, method, float(epsilon))
    found = _likeness(
        cohort, generator.draw(len(cohort), seed=seed), generator.draw(1_000_000, seed=seed + 1), others, label, codes
    )
    begin = time.perf_counter()
    rows = sum(len(chunk) for chunk in generator.draws(400_000, seed=seed))
    speed = rows / (time.perf_counter() - begin)
    return found | {"fit s": seconds, "model kB": len(generator.network) / 1000, "rows/s": speed}


def _undeclared(declared: dict[str, object]) -> dict[str, object]:
    """Gives the declarations with the levels of all codes to be learned."""
    table: dict[str, dict[str, object]] = dict(declared["table"])  # type: ignore[call-overload]
    for name, column in table.items():
        if name.startswith(("code", "diag_")):
            table[name] = {key: value for key, value in column.items() if key not in ("levels", "groups")}
            table[name]["learn"] = True
    return {**declared, "table": table}


def _fitted(cohort: wg.Cohort, method: str, epsilon: float) -> tuple[wg.Generator, float]:
    from wardgan.models.anchor import groups
    from wardgan.models.anchor.anchor import Weights

    if method == "one table":
        groups.LARGE = 10**6
    weight = method.partition("totals ")[2]
    weights = replace(Weights.of(Layout.of(cohort.schema)), totals=float(weight)) if weight else None
    begin = time.perf_counter()
    trained = wg.fit(cohort, wg.Budget(epsilon=epsilon), family=wg.CopulaConfig(weights=weights))
    return trained.generator, time.perf_counter() - begin


def _likeness(
    real: wg.Cohort, synthetic: wg.Cohort, more: wg.Cohort, others: wg.Cohort, label: str, codes: list[str]
) -> dict[str, float]:
    """Gives how like the codes are, and what classifiers that learned from synthetic patients are worth on others."""
    schema = real.schema
    train, made, many, test = (_texts(part.wide(), schema) for part in (real, synthetic, more, others))
    return {
        "tv": _average(codes, lambda name: variation(train[name], many[name])),
        "tv x label": _average(
            codes, lambda name: variation(_crossed(train, name, label), _crossed(many, name, label))
        ),
        "tv of rare": _average(codes, lambda name: rare_variation(train[name], many[name])),
        "invented": _average(codes, lambda name: float((~many[name].isin(set(train[name]))).mean())),
        "hidden": _average(codes, lambda name: float((many[name] == _HIDDEN).mean())),
        "AUROC codes": area(made, test, codes, label),
        "AUROC all": area(made, test, [name for name in train if name != label], label),
    }


def patients(case: str, seed: int, *, grouped: bool) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, object], str]:
    """Gives training and test part, the declarations and the label."""
    if case != "codes":
        size = int(case)
        table = {"event": {"kind": "flag", "label": True}, **_simulated_columns()}
        declared: dict[str, object] = {"name": "codes", "population": size, "table": table}
        return simulated(size, seed), simulated(20_000, seed + 1000), declared, "event"
    found = datasets.load("diabetes130").table
    raw = pd.read_parquet(datasets.folder() / "diabetes130.parquet")
    raw = raw.sort_values("encounter_id").drop_duplicates("patient_nbr").reset_index(drop=True)
    for name in ("diag_1", "diag_2", "diag_3"):
        found[name] = raw[name].map(code, na_action="ignore")
    test = np.random.default_rng(seed).random(len(found)) < 0.2
    declared = diabetes_codes(grouped=grouped)
    names = list(declared["table"])  # type: ignore[call-overload]
    return found[names][~test].reset_index(drop=True), found[names][test].reset_index(drop=True), declared, "readmitted"


def diabetes_codes(*, grouped: bool) -> dict[str, object]:
    """Gives the declarations of the diabetes table with all codes, with or without the chapters as groups."""
    declared: dict[str, object] = {"kind": "category", "nullable": True}
    declared |= {"groups": chapters()} if grouped else {"levels": code_book()}
    table: dict[str, object] = dict(datasets.DIABETES["table"])  # type: ignore[call-overload]
    table |= dict.fromkeys(("diag_1", "diag_2", "diag_3"), declared)
    return {**datasets.DIABETES, "name": "diabetes130-codes", "population": 57_000, "table": table}


def simulated(size: int, seed: int) -> pd.DataFrame:
    """Gives patients with three codes that lean to a class, and other columns."""
    world, numbers = np.random.default_rng(7), np.random.default_rng(seed)
    event = numbers.random(size) < 0.2
    found: dict[str, object] = {"event": event}
    for at in range(3):
        share = world.permutation(1 / np.arange(1, LEVELS + 1))
        lean = world.normal(0, 0.6, LEVELS)
        drawn = [numbers.choice(LEVELS, size, p=part / part.sum()) for part in (share, share * np.exp(lean))]
        found[f"code{at}"] = np.char.mod("c%03d", np.where(event, drawn[1], drawn[0]))
    for at in range(6):
        found[f"lab{at}"] = np.clip(np.round(numbers.normal(50 + 3 * event * (at < 3), 10)), 0, 100)
        found[f"sign{at}"] = numbers.random(size) < 0.3 + 0.1 * event * (at < 3)
    return pd.DataFrame(found)


def _simulated_columns() -> dict[str, object]:
    levels = [f"c{at:03d}" for at in range(LEVELS)]
    codes: dict[str, object] = {f"code{at}": {"kind": "category", "levels": levels} for at in range(3)}
    labs: dict[str, object] = {f"lab{at}": {"kind": "integer", "low": 0, "high": 100} for at in range(6)}
    return codes | labs | {f"sign{at}": {"kind": "flag"} for at in range(6)}


def _texts(frame: pd.DataFrame, schema: wg.Schema) -> pd.DataFrame:
    """Gives numbers as floats and all else as texts; a missing cell is a level of its own."""
    found = {}
    for column in schema.table:
        cells = frame[column.name]
        words = cells.astype(object).where(cells.notna(), "-").astype(str).astype(object)
        found[column.name] = cells.astype(float) if column.numeric else words
    return pd.DataFrame(found)


def _crossed(frame: pd.DataFrame, name: str, label: str) -> pd.Series:
    return frame[name] + "|" + frame[label].str.lower()


def _average(names: list[str], of: object) -> float:
    return float(np.mean([of(name) for name in names]))  # type: ignore[operator]


def variation(real: pd.Series, synthetic: pd.Series) -> float:
    """Gives the total variation distance of two columns."""
    shares = [column.value_counts(normalize=True) for column in (real, synthetic)]
    return float(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)


def rare_variation(real: pd.Series, synthetic: pd.Series) -> float:
    """Gives the part of the distance that levels below 1 in 1,000 make, as a share of their mass."""
    shares = [column.value_counts(normalize=True) for column in (real, synthetic)]
    rare = shares[0][shares[0] < 0.001].index
    gap = shares[0][rare] - shares[1].reindex(rare).fillna(0)
    return float(gap.abs().sum() / max(shares[0][rare].sum(), 1e-12))


def area(train: pd.DataFrame, test: pd.DataFrame, names: list[str], label: str) -> float:
    """Gives the area under the ROC curve of a logistic regression on indicators of levels and scaled numbers."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    train = train.iloc[:_JUDGED]
    words = [name for name in names if not pd.api.types.is_numeric_dtype(train[name])]
    numbers = [name for name in names if name not in words]
    encoder = OneHotEncoder(handle_unknown="ignore").fit(train[words])
    parts = [[encoder.transform(frame[words])] for frame in (train, test)]
    if numbers:
        scaler = StandardScaler().fit(train[numbers].fillna(0))
        for part, frame in zip(parts, (train, test), strict=True):
            part.append(csr_matrix(scaler.transform(frame[numbers].fillna(0))))
    ours, theirs = (hstack(part).tocsr() for part in parts)
    yes = [frame[label].str.lower() == "true" for frame in (train, test)]
    model = LogisticRegression(C=0.1, max_iter=500).fit(ours, yes[0])
    return float(roc_auc_score(yes[1], model.decision_function(theirs)))


if __name__ == "__main__":
    main()
