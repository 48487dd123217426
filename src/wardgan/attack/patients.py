"""Patients as an attacker compares them: one row of numbers each, training, hold-out and synthetic alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.attack.chance import unlikely
from wardgan.encode.layout import Layout, Variable
from wardgan.encode.units import encode
from wardgan.errors import DataError, counted
from wardgan.estimate import proportion
from wardgan.schema.cohort import Cohort
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema

Rows = NDArray[np.float32]

NOTHING: Final = -1.0
_SHOWN: Final = 5
_SURE: Final = 1 - 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Variables:
    """What the columns of rows stand for, sorted by column of the data and visit.

    Attributes:
        names: Such as `age`, `sbp@3M` or `visit@3M`.
        sources: The column of the data that each belongs to; `visit` for which visits took place.
        numeric: Which are positions between bounds; the others are numbers of levels. Shape (variables,).
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    numeric: NDArray[np.bool_]

    def of(self, source: str) -> list[int]:
        """Gives where the variables of a column stand, in the order of the visits."""
        return [at for at, name in enumerate(self.sources) if name == source]


@dataclass(frozen=True, eq=False, repr=False)
class Parties:
    """The three groups of patients, ready to be compared.

    Rows are sorted by what is in them, so nothing that is done to them depends on the order in which they came.

    Attributes:
        schema: The schema of the training patients: says what is sensitive.
        variables: What the columns of the rows are.
        train: Patients the generator has learned from, shape (patients, variables): positions in [0, 1] of numbers,
            numbers of levels, -1 where a cell is missing or its visit did not take place.
        holdout: Patients it has never seen, as `train`.
        synthetic: Synthetic patients, as `train`.
    """

    schema: Schema
    variables: Variables
    train: Rows
    holdout: Rows
    synthetic: Rows

    @classmethod
    def of(cls, train: Cohort, holdout: Cohort, synthetic: Cohort) -> Parties:
        """Gives the parties from cohorts.

        Args:
            train: Real patients the generator has learned from.
            holdout: Other real patients, drawn like them, whom it has never seen.
            synthetic: Patients drawn from the generator.

        Raises:
            DataError: A cohort is empty, has other columns than `train`, or patients of `train` are in `holdout`.
            SchemaError: A column waits for bounds or levels.
        """
        cohorts = {"train": train, "holdout": holdout, "synthetic": synthetic}
        for name, cohort in cohorts.items():
            if not len(cohort):
                raise DataError(f"{name}: it has no patient; pass a cohort with at least one.")
            check_schema(train.schema, cohort.schema, name)
        layout = Layout.of(train.schema)
        variables, order = _variables(layout)
        mine, held, made = (_rows(cohort, layout)[:, order] for cohort in cohorts.values())
        _refuse_overlap(mine, held, variables)
        return cls(train.schema, variables, _sorted(mine), _sorted(held), _sorted(made))


def rows_of(cohort: Cohort) -> tuple[Rows, Variables]:
    """Gives patients as an attacker compares them, in their own order, and what the columns of the rows are.

    Args:
        cohort: Real or synthetic patients, as many as there are rows.

    Raises:
        SchemaError: A column waits for bounds or levels.
    """
    layout = Layout.of(cohort.schema)
    variables, order = _variables(layout)
    return _rows(cohort, layout)[:, order], variables


def keys(rows: Rows) -> NDArray[np.void]:
    """Gives each row as one value, so that equal rows are equal values; shape (patients,)."""
    whole = np.ascontiguousarray(rows)
    return whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))).ravel()


def _variables(layout: Layout) -> tuple[Variables, list[int]]:
    labels = [Variable(column.name, column, "static") for column in layout.schema.labels]
    found = [*layout.variables, *labels]
    order = sorted(range(len(found)), key=lambda at: (_source(found[at]), found[at].slot))
    mine = [found[at] for at in order]
    numeric = np.array([variable.column.numeric for variable in mine])
    return Variables(tuple(each.name for each in mine), tuple(map(_source, mine)), numeric), order


def _source(variable: Variable) -> str:
    # A column of the data may be called `visit`, but none has an @ in its name.
    return variable.source or ("visit@" if variable.role in ("presence", "count") else variable.name)


def _rows(cohort: Cohort, layout: Layout) -> Rows:
    labels = [cohort.static[column.name] for column in layout.schema.labels]
    rows = np.column_stack([encode(cohort, layout), *labels]).astype(np.float32)
    rows[~(rows >= 0)] = NOTHING
    return rows + np.float32(0)  # no negative zero: rows are compared as bytes


def _sorted(rows: Rows) -> Rows:
    return rows[np.argsort(keys(rows), kind="stable")]


def check_schema(first: Schema, other: Schema, name: str) -> None:
    """Refuses patients whose numbers mean something else than those of the training patients.

    Args:
        first: Schema of the training patients.
        other: Schema of other patients.
        name: What these are called in messages.

    Raises:
        DataError: A column, or the grid of the visits, is declared in another way.
    """
    ours, theirs = _declared(first), _declared(other)
    for place in ours.keys() | theirs.keys():
        if ours.get(place) != theirs.get(place):
            raise DataError(
                f"{name}: {place} is not declared as for train; read all patients with one schema, that of the "
                "generator."
            )


def _declared(schema: Schema) -> dict[str, object]:
    """Gives what must be the same for rows to mean the same."""
    found: dict[str, object] = {column.name: _meaning(column) for column in schema.table}
    visits = schema.visits
    if visits is not None:
        found |= {f"{column.name} of the visits": _meaning(column) for column in visits.columns}
        found |= {"the grid of the visits": (visits.slots, visits.ragged, visits.key, visits.complete)}
    return found


def _meaning(column: Column) -> tuple[object, ...]:
    bounds = (column.kind, column.low, column.high, column.step, column.scale, column.levels)
    return (*bounds, column.after, column.within, column.label)


def _refuse_overlap(train: Rows, holdout: Rows, variables: Variables) -> None:
    """Refuses a hold-out with patients of the training, known by whole rows that chance does not explain."""
    pool, count = np.unique(keys(train), return_counts=True)
    held, first, times = np.unique(keys(holdout), return_index=True, return_counts=True)
    # A file in which each row is there twice, or three times, hides nobody.
    count, times = (each // np.gcd.reduce(each) for each in (count, times))
    both = np.sort(first[np.isin(held, pool[count == 1]) & (times == 1)])
    if not both.size:
        return
    special = unlikely(holdout[both], np.concatenate([train, holdout]), variables.sources, trials=len(train))
    sizes = int(count.sum()), int(times.sum())
    shared = both if _too_many(both.size, pool[count == 2], held[times == 2], *sizes) else both[special]
    if shared.size:
        shown = ", ".join(str(at + 1) for at in shared[:_SHOWN]) + (", ..." if shared.size > _SHOWN else "")
        raise DataError(
            f"holdout: {counted(int(shared.size), 'patient')} of it are patients of train, too (number {shown} of the "
            "hold-out). Take out of it everybody the generator has learned from."
        )


def _too_many(split: int, ours: NDArray[np.void], theirs: NDArray[np.void], train: int, holdout: int) -> bool:
    """Tells whether more pairs of equal patients have one in each part than a random split leaves there."""
    whole = np.setxor1d(ours, theirs).size
    share = 2 * train * holdout / ((train + holdout) * (train + holdout - 1))
    return proportion(split, split + whole, confidence=_SURE).low > share
