"""Bounds and levels that nobody declared: learned with a share of the budget, never read off (Rule P2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import PlanError, SchemaError
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan, Share
from wardgan.privacy.queries import ValueCounts
from wardgan.privacy.records import keep, kept_answer, noised
from wardgan.rng import Seed
from wardgan.schema.cells import recode
from wardgan.schema.cohort import Codes, Cohort
from wardgan.schema.columns import Column, Level
from wardgan.schema.gaps import bounded
from wardgan.schema.image_cohort import AnyCohort, ImageCohort
from wardgan.schema.schema import Schema
from wardgan.schema.texts import travels

OTHER: Final = "(other)"
WEIGHT: Final = 0.02
THRESHOLD_DELTA: Final = 0.05
_DAYS: Final = np.array([693596.0 + 365.25 * year for year in range(201)])  # 1900 to 2100
_POWERS: Final = np.concatenate([-(2.0 ** np.arange(40, -21, -1)), [0.0], 2.0 ** np.arange(-20, 41)])


def to_learn(schema: Schema) -> list[Column]:
    """Gives the columns whose bounds or levels are to be learned."""
    return [column for column in schema.columns if column.learn and not column.complete]


def learn_shares(schema: Schema, delta: float) -> list[Share]:
    """Gives the wishes for the budget of learning; levels also take a part of delta.

    Args:
        schema: The schema, with columns marked `learn: true`.
        delta: The budget's delta; the discovery of levels gets 5 % of it in all.
    """
    columns = to_learn(schema)
    categories = sum(not column.numeric for column in columns)
    part = THRESHOLD_DELTA * delta / max(categories, 1)
    return [Share(event_name(c), WEIGHT, delta=0.0 if c.numeric else part) for c in columns]


def event_name(column: Column) -> str:
    """Gives the ledger's name for the learning of a column."""
    return f"{'bounds' if column.numeric else 'levels'} of {column.name}"


def placeholder(schema: Schema) -> Schema:
    """Gives the schema with stand-ins for what is to be learned: enough to plan with, from public facts."""
    # Rules know nothing of stand-ins, and no plan depends on rules.
    return replace(schema, rules=()).replace_columns({column.name: _stand_in(column) for column in to_learn(schema)})


def _stand_in(column: Column) -> Column:
    if not column.numeric:
        return column.with_levels((OTHER, "a"))
    low = 0.0 if column.scale is None else cast("float", column.low)
    return column.with_bounds(low, low + (column.step or 1.0))


def learn(cohort: Cohort, ledger: Ledger, *, noise: Seed, folder: Path | None = None) -> Cohort:
    """Gives the cohort under a complete schema.

    Neighbours: add or remove one patient. Events: one Gaussian event for each column, sensitivity 1; the discovery
    of levels also spends its delta (a level of one patient passes the threshold with at most that probability).
    Without privacy, bounds and levels are read off.

    Args:
        cohort: Patients under a schema with columns to learn.
        ledger: The bill.
        noise: Source of the noise.
        folder: Where noisy answers are kept for a resumed run.

    Raises:
        PlanError: Too few patients to learn from.
    """
    ledger.check_noise(noise)
    changed: dict[str, Column] = {}
    for column in to_learn(cohort.schema):
        values = _values(cohort, column)
        if ledger.mode == "none":
            changed[column.name] = _read_off(cohort, column, values)
        elif column.numeric:
            changed[column.name] = _bounds(column, values, ledger, noise, folder)
        else:
            changed[column.name] = _levels(cohort, column, values, ledger, noise, folder)
    return cohort if not changed else _under(cohort, changed)


def threshold(sd: float, delta: float, most: int) -> float:
    """Gives the noisy count above which a level may be named (Korolova et al. 2009; Gaussian noise).

    Args:
        sd: Noise of each count; sensitivity is 1.
        delta: Allowed probability that any level of one patient alone passes.
        most: How many different levels a patient may have at most.
    """
    normal = NormalDist()
    # The lower tail: 1 - delta / k would be 1 for a tiny delta.
    return max(1 / k - sd * normal.inv_cdf(delta / k) for k in range(1, most + 1))


def level_threshold(plan: Plan, column: Column, schema: Schema) -> float:
    """Gives from about how many patients on a level of a column is named.

    Args:
        plan: What will be done.
        column: A category whose levels are to be learned.
        schema: The declarations.
    """
    event = plan.event(event_name(column))
    visits = schema.visits
    own = visits is not None and any(one.name == column.name for one in visits.columns)
    return threshold(event.noise_multiplier or 0.0, event.delta, len(visits.slots) if visits and own else 1)


def _bounds(column: Column, values: Codes, ledger: Ledger, noise: Seed, folder: Path | None) -> Column:
    edges = _DAYS if column.kind == "date" else _POWERS
    name = event_name(column)
    sd = _sd(ledger, name)
    counts = _ask(name, ValueCounts(range(values.shape[1]), edges), values, ledger, noise, folder)
    busy = np.flatnonzero(counts > sd * NormalDist().inv_cdf(1 - 0.01 / len(counts)))
    if not len(busy):
        raise PlanError(f"{column.name}: too few patients to learn bounds at this epsilon; declare low and high.")
    # What is declared stays: only the other end is learned.
    low = float(edges[busy[0]]) if column.low is None else column.low
    high = float(edges[busy[-1] + 1]) if column.high is None else column.high
    if low >= high:
        raise PlanError(f"{column.name}: the learned bounds contradict the declared one; declare low and high.")
    return column.with_bounds(*_on_steps(column, low, high))


def _on_steps(column: Column, low: float, high: float) -> tuple[float, float]:
    """Gives bounds a whole number of steps apart, moved outwards; an end that is declared stays."""
    step = column.step
    if step is None:
        return low, high
    if column.high is not None:
        return float(high - np.ceil((high - low) / step) * step), high
    low = low if column.low is not None else float(np.floor(low / step) * step)
    return low, float(low + np.ceil((high - low) / step) * step)


def _levels(cohort: Cohort, column: Column, values: Codes, ledger: Ledger, noise: Seed, folder: Path | None) -> Column:
    seen = cohort.seen.get(column.name, ())
    name = event_name(column)
    delta = 0.0 if ledger.plan is None else ledger.plan.event(name).delta
    sd = _sd(ledger, name)
    edges = np.arange(len(seen) + 1.0)
    counts = _ask(name, ValueCounts(range(values.shape[1]), edges), values, ledger, noise, folder)
    passed = np.flatnonzero(counts >= threshold(sd, delta, values.shape[1]))
    # A text that could not be released counts among the others.
    kept = [at for at in passed if seen[at] != OTHER and travels(str(seen[at]))]
    if not kept:
        raise PlanError(f"{column.name}: too few patients to learn levels at this epsilon; declare the levels.")
    return column.with_levels((*(seen[at] for at in kept), OTHER))


def _ask(
    name: str, query: ValueCounts, values: Codes, ledger: Ledger, noise: Seed, folder: Path | None
) -> NDArray[np.float64]:
    # The digest keeps apart what looks alike once it is a file name, such as "a b" and "a-b".
    kept = None if folder is None else folder / f"learned-{hashlib.sha256(name.encode()).hexdigest()[:16]}.npy"
    if kept is not None and kept.exists() and ledger.steps(name):
        return kept_answer(kept)
    ledger.spend(name, mechanism="gaussian")
    total = query.total(values, np.zeros(len(values), dtype=np.int64))
    answer = noised(total, _sd(ledger, name), noise.normals(total.size, name))
    if kept is not None:
        keep(kept, answer)
    return answer


def _sd(ledger: Ledger, name: str) -> float:
    return 0.0 if ledger.plan is None else cast("float", ledger.plan.event(name).noise_multiplier)


def _values(cohort: Cohort, column: Column) -> Codes:
    codes = cohort.static.get(column.name)
    return cohort.measured[column.name] if codes is None else codes[:, None]


def _read_off(cohort: Cohort, column: Column, values: Codes) -> Column:
    if not column.numeric:
        seen: Sequence[Level] = cohort.seen.get(column.name, ())
        if not seen:
            raise SchemaError(f"{column.name}: all cells are missing; take the column out of the schema.")
        return column.with_levels(tuple(seen))
    known = values[~np.isnan(values)]
    if not len(known):
        raise SchemaError(f"{column.name}: all cells are missing; take the column out of the schema.")
    if column.scale is None:
        return column.with_bounds(float(known.min()), float(known.max()))
    low = cast("float", column.low)
    return column.with_bounds(low, max(float(known.max()), low + (column.step or 1.0)))


def as_learned(cohort: AnyCohort, schema: Schema) -> AnyCohort:
    """Gives patients under a schema whose bounds and levels were learned from a first fit.

    Args:
        cohort: Patients, read with the schema as it was declared.
        schema: The same one with what was learned.
    """
    if isinstance(cohort, ImageCohort):
        return cohort  # of images nothing is learned
    changed = {column.name: schema.column(column.name) for column in to_learn(cohort.schema)}
    return cohort if not changed else _under(cohort, changed)


def _under(cohort: Cohort, changed: dict[str, Column]) -> Cohort:
    def codes(name: str, old: Codes) -> Codes:
        column = changed.get(name)
        return old if column is None or column.numeric else recode(old, cohort.seen.get(name, ()), column)

    learned = replace(
        cohort,
        schema=cohort.schema.replace_columns(changed),
        static={name: codes(name, old) for name, old in cohort.static.items()},
        measured={name: codes(name, old) for name, old in cohort.measured.items()},
        seen={},
    )
    return bounded(learned)
