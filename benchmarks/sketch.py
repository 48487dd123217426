"""How far `wardgan sketch` is off: what it says before a patient is read, beside what was measured on the real table.

    python benchmarks/sketch.py

For each of the five public tables (see `datasets.py`) the sketch gets the schema and the population of the training
part of `tables.py`, and nothing else; and once more with what is often public about a label: how frequent its rarest
level is (to the next 5 %), and whether it is usually predicted weakly, well or strongly. What was measured is read from
`benchmarks/results/tables.json`: runs of `tables.py` with the same family, epsilons and classifiers. Tables whose files
are not there are left out.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import datasets
import wardgan as wg
from common import markdown, save
from tables import split
from wardgan.rehearsal.result import Rehearsed
from wardgan.rehearsal.sketch import EPSILONS, SEEDS
from wardgan.simulate.assume import SIGNALS

MEASURED = Path(__file__).parent / "results" / "tables.json"
_MODELS = {"LR": "logistic regression", "GB": "gradient boosting"}


def main() -> None:
    """Prints the tables and writes them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(datasets.TABLES), choices=list(datasets.TABLES))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    runs = json.loads(MEASURED.read_text(encoding="utf-8"))["runs"]
    rows: list[dict[str, object]] = []
    errors: dict[str, list[float]] = {}
    for table in asked.tables:
        if not datasets.available(table):
            print(f"{table}: its files are not in {datasets.folder()}", flush=True)
            continue
        for row, off in _rows(table, [run for run in runs if run["table"] == table], asked.seeds):
            rows.append(row)
            for name, error in off.items():
                errors.setdefault(name, []).append(error)
            print(row, flush=True)
    print(markdown(rows))
    for name, found in errors.items():
        print(f"{name}: mean {np.mean(found):+.3f}, mean size {np.mean(np.abs(found)):.3f}, {len(found)} cells")
    print(save("sketch", rows, asked.out, seeds=asked.seeds, errors=errors))


def _rows(
    table: str, runs: list[dict[str, object]], seeds: int
) -> Iterator[tuple[dict[str, object], dict[str, float]]]:
    """Gives a row for each epsilon, and how far the two sketches are off."""
    _, test, schema = split(table, 0)
    known = _known(test[datasets.TABLES[table]].value_counts(normalize=True).min(), runs)
    plain = wg.sketch(schema, seeds=seeds)
    told = wg.sketch(schema, seeds=seeds, assume=known)
    for number, epsilon in enumerate((*EPSILONS, None)):
        name = "none" if epsilon is None else f"{epsilon:g}"
        shares = measured(runs, name)
        row: dict[str, object] = {"table": table, "patients": schema.population, "epsilon": name}
        row |= {"measured": "refused" if math.isnan(shares) else f"{shares:.3f}"}
        off: dict[str, float] = {}
        for title, found in (("sketch", plain), ("label known", told)):
            row |= {title: _cell(found.rows[number], shares)}
            share = found.rows[number].share
            if share is not None and not math.isnan(shares):
                off[f"{title}, epsilon {name}"] = share.value - shares
        row |= {"assumed of the label": f"{known.signal}, {known.rarest:g}"}
        yield row, off


def _known(rarest: float, runs: list[dict[str, object]]) -> wg.Assumptions:
    """Gives what is often public about a label, from the table itself but coarse."""
    area = np.mean([run["LR"] for run in runs if run["method"] == "real"])
    signal = min(SIGNALS, key=lambda name: abs(SIGNALS[name] - area))
    return wg.Assumptions(signal=signal, rarest=min(0.5, max(0.05, round(rarest / 0.05) * 0.05)))


def measured(runs: list[dict[str, object]], epsilon: str) -> float:
    """Gives the share that was measured on the real table, mean of both classifiers and all seeds; NaN if refused."""
    real = {run["seed"]: run for run in runs if run["method"] == "real"}
    mine = [run for run in runs if run["method"] == "copula" and run["epsilon"] == epsilon and "failed" not in run]
    return (
        float(np.mean([run[name] / real[run["seed"]][name] for run in mine for name in _MODELS])) if mine else math.nan
    )


def _cell(row: Rehearsed, measured: float) -> str:
    if row.share is None:
        return "refused"
    inside = "" if row.share.low <= measured <= row.share.high or math.isnan(measured) else " (outside)"
    return f"{row.share.value:.3f} [{row.share.low:.2f}, {row.share.high:.2f}]{inside}"


if __name__ == "__main__":
    main()
