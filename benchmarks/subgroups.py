"""What private training does to small groups of patients, and the levers against it, on three public tables.

    python benchmarks/subgroups.py           # about a quarter of an hour
    python benchmarks/subgroups.py --show

Each table is halved, stratified by group and label, anew for each seed, so that there are patients enough to test each
group. Family copula, delta 1e-5. The levers:

* plain: one generator for all patients.
* floor: the same generator, asked by conditions for a least share of each group. Sampling is post-processing: no bill.
* label: the group is a second label, so that each group has margins and correlations of its own. A patient is in one
  class still, so no table becomes more sensitive and the noise of each count is the same; the price is that the same
  noise stands against smaller counts.
* label, floor: both. The group is chosen before anything is drawn.
* one each: a generator for each group, each with the whole epsilon, mixed by sizes.

The accounts. Neighbours are two cohorts that differ by adding or removing one patient. Each patient is in exactly one
group, by their own row alone, so one patient more or less changes one generator's cohort and leaves the others' as they
were: all generators together are (epsilon, delta)-private, and not their sum (parallel composition; McSherry 2009,
theorem 4). This needs groups that are fixed beforehand, not chosen by looking, and that do not overlap: one generator
for each sex and one for each site, made of the same patients, cost two epsilon. And it needs these neighbours: to
change a patient's group is to remove one and add one, which costs two epsilon here, and within one generator, too.

wardgan's ledgers do not know that cohorts are disjoint. Each says epsilon, and whoever adds them up counts too much;
that they may be taken together is the steward's argument, and no ledger proves it.

Which generators there are is decided from declared sizes alone (each group's, rounded up to one digit): the smallest
group whose plan is refused is joined with the next one. The shares of the mixture are the noisy counts of each
generator's own label tables, which are paid for already. A fit that is refused by its noisy counts has spent its part
all the same; it is counted as refused, not tried again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import datasets
import wardgan as wg
from common import OUT, markdown, save, spread
from judge import SHORT
from levers import Case, Halves, drawing, floored, halved
from tables import plain
from wardgan.errors import PlanError, UsageError
from wardgan.evaluate.utility import Answers, ask_classifiers
from wardgan.rng import Seed

DONE = OUT / "subgroups.jsonl"
EPSILONS = (None, 1.0, 3.0)
KINDS = ("plain", "label", "one each")
FLOORS = {"plain": "floor", "label": "label, floor"}
SHOWN = ("LR", "GB")
ENOUGH = 15
MODELS = ("logistic regression", "gradient boosting")

CASES = (
    Case("uci_heart", "sex", 0.50, ("female", "male"), 10),
    Case("uci_heart", "site", 0.25, ("switzerland", "va"), 10),
    Case("support2", "race", 0.10, ("asian", "other"), 10),
    Case("diabetes130", "race", 0.10, ("Asian", "Other"), 5),
)


def main() -> None:
    """Runs what is not done yet, and shows all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--show", action="store_true", help="only print the table of what is done")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.show:
        done = {(run["table"], run["column"], run["seed"]) for run in _known()}
        for case in CASES:
            for seed in range(case.seeds):
                if datasets.available(case.table) and (case.table, case.column, seed) not in done:
                    _note(list(_runs(halved(case, seed), seed)))
    rows = [row for case in CASES for row in _rows(case)]
    print(markdown(rows))
    print(save("subgroups", rows, asked.out, groups=[row for case in CASES for row in _group_rows(case)]))


def _runs(halves: Halves, seed: int) -> Iterator[dict[str, object]]:
    facts = {"table": halves.case.table, "column": halves.case.column, "seed": seed}
    real = _judged(halves, halves.train, seed)
    yield facts | {"epsilon": "none", "lever": "real patients"} | real
    for epsilon in EPSILONS:
        for kind in KINDS if epsilon else KINDS[:1]:
            for lever, found in _pulled(halves, kind, epsilon, seed):
                yield facts | {"epsilon": f"{epsilon:g}" if epsilon else "none", "lever": lever} | found


def _pulled(
    halves: Halves, kind: str, epsilon: float | None, seed: int
) -> Iterator[tuple[str, dict[str, object]]]:  # fmt: skip
    """Yields what one fit does to groups, without and with a floor; or the refusal, which is a result, too."""
    levers = [kind] if kind == "one each" or epsilon is None else [kind, FLOORS[kind]]
    schema = wg.Schema.from_dict(halves.schema)
    try:
        draw, more = drawing(halves, kind, epsilon, seed)
    except PlanError as error:
        yield from ((lever, {"refused": str(error)[:300]}) for lever in levers)
        return
    for lever in levers:
        try:
            synthetic = draw(len(halves.train), None) if lever == kind else floored(draw, halves)
            yield lever, more | _judged(halves, plain(synthetic, schema), seed)
        except UsageError as error:
            # A group that noise has cut out of the generator cannot be asked for.
            yield lever, {"refused": str(error)[:300]}


def _judged(halves: Halves, synthetic: pd.DataFrame, seed: int) -> dict[str, object]:
    label, column, train, test = halves.label, halves.case.column, halves.train, halves.test
    answers = ask_classifiers(synthetic, test, target=label, seed=Seed(seed), models=MODELS)
    positive = "yes" if "yes" in set(train[label]) else str(max(train[label]))
    groups: dict[str, dict[str, object]] = {}
    for group, n in train[column].value_counts().items():
        made, real = synthetic[synthetic[column] == group], train[train[column] == group]
        groups[str(group)] = {
            "n": int(n),
            "share": len(made) / len(synthetic) / (n / len(train)),
            "rate": float((made[label] == positive).mean()) if len(made) else None,
            "real rate": float((real[label] == positive).mean()),
            **_areas(answers, (test[column] == group).to_numpy(), test[label]),
        }
    return _areas(answers, np.ones(len(test), dtype=bool), test[label]) | {"groups": groups}


def _areas(answers: dict[str, Answers], rows: np.ndarray, label: pd.Series) -> dict[str, float | None]:
    counts = label[rows].value_counts().reindex(label.unique(), fill_value=0)
    enough = counts.min() >= ENOUGH
    return {SHORT[name]: answer.score(rows).auroc if enough else None for name, answer in answers.items()}


def _known() -> list[dict]:
    if not DONE.is_file():
        return []
    return [json.loads(line) for line in DONE.read_text(encoding="utf-8").splitlines()]


def _note(runs: list[dict[str, object]]) -> None:
    DONE.parent.mkdir(parents=True, exist_ok=True)
    with DONE.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(run) + "\n" for run in runs)
    for run in runs:
        print(*(f"{key}={value}" for key, value in run.items() if key != "groups"), flush=True)


def _levers(case: Case) -> Iterator[tuple[dict[str, object], list[dict], list[dict]]]:
    """Yields epsilon and lever, all runs, and those that were not refused."""
    runs = [run for run in _known() if (run["table"], run["column"]) == (case.table, case.column)]
    for epsilon, lever in dict.fromkeys((run["epsilon"], run["lever"]) for run in runs):
        mine = [run for run in runs if (run["epsilon"], run["lever"]) == (epsilon, lever)]
        row = {"table": case.table, "groups": case.column, "epsilon": epsilon, "lever": lever}
        yield row, mine, [run for run in mine if "refused" not in run]


def _rows(case: Case) -> Iterator[dict[str, object]]:
    """Yields one row for each epsilon and lever: everybody, and the groups that are shown."""
    for row, mine, good in _levers(case):
        row["fits"] = f"{len(good)} of {len(mine)}"
        if good:
            row["generators"] = "; ".join(sorted({str(len(run.get("generators", [1]))) for run in good}))
            row |= {f"all: {name}": spread([run[name] for run in good]) for name in SHOWN}
            for place, group in zip(("one", "two"), case.shown, strict=True):
                cells = _cells([run["groups"][group] for run in good])
                row[place] = f"{group} ({cells.pop('n')}, {cells.pop('real risk')} %)"
                row |= {f"{place}: {name}": cell for name, cell in cells.items()}
        yield row


def _group_rows(case: Case) -> Iterator[dict[str, object]]:
    """Yields one row for each epsilon, lever and group."""
    for row, _, good in _levers(case):
        for group in good[0]["groups"] if good else ():
            yield row | {"group": group} | _cells([run["groups"][group] for run in good])


def _cells(found: list[dict]) -> dict[str, str]:
    shares = [each["share"] for each in found]
    risks = [100 * (each["rate"] - each["real rate"]) for each in found if each["rate"] is not None]
    cells = {
        "n": f"{np.mean([each['n'] for each in found]):.0f}",
        "real risk": f"{100 * np.mean([each['real rate'] for each in found]):.1f}",
        "share": f"{np.mean(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})",
        "risk": spread(risks, 1) if risks else "",
    }
    for name in SHOWN:
        known = [each[name] for each in found if each[name] is not None]
        cells[name] = spread(known) if known else "n/a"
    return cells


if __name__ == "__main__":
    main()
