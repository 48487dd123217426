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
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

import datasets
import wardgan as wg
from common import OUT, markdown, save
from groups import GROUPS
from judge import SHORT
from tables import plain, rounded, spread
from wardgan.errors import PlanError, UsageError
from wardgan.evaluate.utility import Answers, ask_classifiers
from wardgan.models.anchor.anchor import measure_anchor
from wardgan.models.anchor.network import copula_network
from wardgan.models.base import Network, Run, Trained
from wardgan.models.copula.config import CopulaConfig
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.sample.generator import Generator

DONE = OUT / "subgroups.jsonl"
EPSILONS = (None, 1.0, 3.0)
KINDS = ("plain", "label", "one each")
FLOORS = {"plain": "floor", "label": "label, floor"}
ENOUGH = 15
MODELS = ("logistic regression", "gradient boosting")
Draw = Callable[[int, dict[str, object] | None], pd.DataFrame]


@dataclass(frozen=True)
class Case:
    """A table, and the groups in it.

    Attributes:
        table: One of `datasets.TABLES`.
        column: What the groups are of.
        floor: Least share of each group that is asked for.
        shown: The groups that the table shows; the JSON has all.
        seeds: How often it is halved.
    """

    table: str
    column: str
    floor: float
    shown: tuple[str, str]
    seeds: int


CASES = (
    Case("uci_heart", "sex", 0.50, ("female", "male"), 10),
    Case("uci_heart", "site", 0.25, ("switzerland", "va"), 10),
    Case("support2", "race", 0.10, ("asian", "other"), 10),
    Case("diabetes130", "race", 0.10, ("Asian", "Other"), 5),
)


@dataclass(frozen=True)
class Halves:
    """A table, halved.

    Attributes:
        case: Whose.
        schema: The declarations, with the group as a category of known levels that is never missing.
        train: Half of the patients, numbers as floats, all else as text.
        test: The others.
    """

    case: Case
    schema: dict[str, object]
    train: pd.DataFrame
    test: pd.DataFrame

    @property
    def label(self) -> str:
        """The column to predict."""
        return datasets.TABLES[self.case.table]


@dataclass(frozen=True)
class Counted(CopulaConfig):
    """A copula that remembers the noisy number of patients, which its own tables have told and paid for.

    Attributes:
        sizes: Where the number goes.
    """

    sizes: list[float] = field(default_factory=list)

    def train(self, records: Records, run: Run) -> Network:
        """Gives what `CopulaConfig` gives."""
        anchor = measure_anchor(records, population=run.population)
        self.sizes.append(anchor.patients)
        return Network(copula_network(anchor), len(anchor.axes), tuple(anchor.probabilities.tolist()), anchor.notes)


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
    print(save("subgroups", rows, asked.out, runs=_short(_known())))


def halved(case: Case, seed: int) -> Halves:
    """Gives the halves of a table, stratified by group and label.

    Args:
        case: The table and the column of its groups.
        seed: Of the split.
    """
    found, label = datasets.load(case.table), datasets.TABLES[case.table]
    whole = plain(wg.read(found.table, found.schema, invalid="clip").wide(), found.schema)
    whole[case.column] = GROUPS[case.table][case.column].of(whole[case.column])
    numbers = np.random.default_rng(2000 + seed)
    test = np.zeros(len(whole), dtype=bool)
    for rows in whole.groupby([case.column, label]).indices.values():
        test[numbers.permutation(rows)[: len(rows) // 2]] = True
    schema = found.schema.to_dict() | {"population": rounded(0.5 * (found.schema.population or len(whole)))}
    schema.pop("patient", None)
    kept = {"kind": "category", "levels": sorted(whole[case.column].unique())}
    schema["table"] = schema["table"] | {case.column: kept}
    return Halves(case, schema, whole[~test].reset_index(drop=True), whole[test].reset_index(drop=True))


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
        draw, more = _drawing(halves, kind, epsilon, seed)
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


def _drawing(halves: Halves, kind: str, epsilon: float | None, seed: int) -> tuple[Draw, dict[str, object]]:
    """Gives a function from a number of patients and conditions to patients."""
    if kind == "one each":
        return _one_each(halves, epsilon, seed)
    schema = labelled(halves.schema, halves.case.column) if kind == "label" else halves.schema
    made = fitted(halves.train, schema, epsilon).generator
    return lambda size, where: _sample(made, size, where, seed), {}


def labelled(schema: dict[str, object], column: str) -> dict[str, object]:
    """Gives a schema in which a column is a label."""
    table = schema["table"]
    return schema | {"table": table | {column: table[column] | {"label": True}}}


def fitted(
    patients: pd.DataFrame, schema: dict[str, object], epsilon: float | None, family: str | CopulaConfig = "copula"
) -> Trained:  # fmt: skip
    """Gives a generator of some patients; None is without privacy."""
    cohort = wg.read(patients, wg.Schema.from_dict(schema))
    if epsilon is None:
        return wg.fit(cohort, family=family, privacy="none")
    return wg.fit(cohort, wg.Budget(epsilon=epsilon), family=family)


def _sample(made: Generator, size: int, where: dict[str, object] | None, seed: int) -> pd.DataFrame:
    return made.draw(size, where=where, seed=seed).wide().drop(columns="patient_id", errors="ignore")


def _one_each(halves: Halves, epsilon: float | None, seed: int) -> tuple[Draw, dict[str, object]]:
    column = halves.case.column
    makers: list[Generator] = []
    sizes: list[float] = []
    joined = parts(halves, epsilon)
    for groups in joined:
        family = Counted()
        mine = halves.train[halves.train[column].isin(groups)]
        makers.append(fitted(mine, part_schema(halves, groups), epsilon, family).generator)
        sizes += family.sizes

    def draw(size: int, where: dict[str, object] | None) -> pd.DataFrame:
        counts = np.diff(np.round(np.cumsum([0.0, *sizes]) / sum(sizes) * size)).astype(int)
        return pd.concat(
            [_sample(made, int(n), where, seed + at) for at, (made, n) in enumerate(zip(makers, counts, strict=True))],
            ignore_index=True,
        )

    return draw, {"generators": [", ".join(groups) for groups in joined]}


def parts(halves: Halves, epsilon: float | None) -> list[list[str]]:
    """Gives the groups of each generator, from declared sizes alone: a part whose plan is refused joins the next one.

    Args:
        halves: The table.
        epsilon: Of each generator; `None` is without privacy.
    """
    sizes = declared(halves)
    found = [[group] for group in sorted(sizes, key=lambda group: (sizes[group], group))]
    while len(found) > 1 and epsilon is not None:
        refused = next((part for part in found if not _planned(halves, part, epsilon)), None)
        if refused is None:
            break
        found.remove(refused)
        found[0] = refused + found[0]
        found.sort(key=lambda part: sum(sizes[group] for group in part))
    return found


def _planned(halves: Halves, groups: list[str], epsilon: float) -> bool:
    try:
        wg.plan(wg.Schema.from_dict(part_schema(halves, groups)), wg.Budget(epsilon=epsilon), family="copula")
    except PlanError:
        return False
    return True


def declared(halves: Halves) -> dict[str, int]:
    """Gives the public size of each group: that of its patients, rounded up to one digit."""
    counts = halves.train[halves.case.column].value_counts()
    unit = 10 ** np.floor(np.log10(counts))
    return (np.ceil(counts / unit) * unit).astype(int).to_dict()


def part_schema(halves: Halves, groups: list[str]) -> dict[str, object]:
    """Gives the declarations for the patients of some groups; a single group is a constant."""
    column, table, sizes = halves.case.column, halves.schema["table"], declared(halves)
    kept = table | {column: table[column] | {"levels": sorted(groups)}}
    return halves.schema | {"population": sum(sizes[group] for group in groups), "table": kept}


def floored(draw: Draw, halves: Halves) -> pd.DataFrame:
    """Gives as many patients as were trained on, each group with at least the case's share, by conditions.

    Args:
        draw: Draws patients.
        halves: The table; its patients whose group is unknown are no group.
    """
    case, size = halves.case, len(halves.train)
    shares = draw(size, None)[case.column].astype(str).value_counts(normalize=True)
    groups = [group for group in halves.schema["table"][case.column]["levels"] if group != "unknown"]
    low = [group for group in groups if shares.get(group, 0.0) < case.floor]
    few = math.ceil(case.floor * size)
    others = [group for group in shares.index if group not in low]
    found = [draw(few, {case.column: group}) for group in low]
    if others and size > few * len(low):
        found.append(draw(size - few * len(low), {case.column: others}))
    return pd.concat(found, ignore_index=True)


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


def _short(value: object) -> object:
    """Gives what a JSON holds with four decimals."""
    match value:
        case dict():
            return {key: _short(part) for key, part in value.items()}
        case list():
            return [_short(part) for part in value]
        case float():
            return round(value, 4)
        case _:
            return value


def _note(runs: list[dict[str, object]]) -> None:
    DONE.parent.mkdir(parents=True, exist_ok=True)
    with DONE.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(run) + "\n" for run in runs)
    for run in runs:
        print(*(f"{key}={value}" for key, value in run.items() if key != "groups"), flush=True)


def _rows(case: Case) -> Iterator[dict[str, object]]:
    """Yields one row for each epsilon and lever: everybody, and the groups that are shown."""
    runs = [run for run in _known() if (run["table"], run["column"]) == (case.table, case.column)]
    kinds = dict.fromkeys((run["epsilon"], run["lever"]) for run in runs)
    for epsilon, lever in kinds:
        mine = [run for run in runs if (run["epsilon"], run["lever"]) == (epsilon, lever)]
        good = [run for run in mine if "refused" not in run]
        row: dict[str, object] = {"table": case.table, "groups": case.column, "epsilon": epsilon, "lever": lever}
        row["fits"] = f"{len(good)} of {len(mine)}"
        row["generators"] = "; ".join(sorted({str(len(run.get("generators", [1]))) for run in mine})) if good else ""
        if not good:
            yield row
            continue
        for name in ("LR", "GB"):
            row[f"all: {name}"] = spread([run[name] for run in good])
        for place, group in zip(("one", "two"), case.shown, strict=True):
            found = [run["groups"][group] for run in good]
            row[place] = f"{group} ({np.mean([each['n'] for each in found]):.0f})"
            shares = [each["share"] for each in found]
            row[f"{place}: share"] = f"{np.mean(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})"
            rates = [each["rate"] - each["real rate"] for each in found if each["rate"] is not None]
            row[f"{place}: risk"] = spread([100 * rate for rate in rates], 1) if rates else ""
            for name in ("LR", "GB"):
                known = [each[name] for each in found if each[name] is not None]
                row[f"{place}: {name}"] = spread(known) if known else "n/a"
        yield row


if __name__ == "__main__":
    main()
