"""The levers against what private training does to small groups: how each one makes patients. See `subgroups.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import datasets
import wardgan as wg
from groups import GROUPS
from tables import plain, rounded
from wardgan.errors import PlanError
from wardgan.models.anchor.anchor import measure_anchor
from wardgan.models.anchor.network import copula_network
from wardgan.models.base import Network, Run, Trained
from wardgan.models.copula.config import CopulaConfig
from wardgan.privacy.records import Records
from wardgan.sample.generator import Generator

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


def drawing(halves: Halves, kind: str, epsilon: float | None, seed: int) -> tuple[Draw, dict[str, object]]:
    """Gives a function from a number of patients and conditions to patients, and facts about it.

    Args:
        halves: The table.
        kind: `plain`, `label` or `one each`.
        epsilon: Of each patient; `None` is without privacy.
        seed: Of the sample; the noise is never replayed.

    Raises:
        PlanError: The budget, or the noisy counts, are too small.
    """
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
