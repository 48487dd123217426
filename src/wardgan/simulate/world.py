"""Simulated patients for any schema: shaped like its columns, and not made from anybody.

Each patient has a few hidden traits that several columns share, a score for each column from them and from chance, and
labels that follow a risk. What a column's values look like is drawn anew for each simulated population, so several of
them show how much depends on what nobody knows beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan.errors import SchemaError, UsageError
from wardgan.rng import Seed
from wardgan.schema.cohort import Codes, Cohort, joined
from wardgan.schema.columns import Column
from wardgan.schema.read import broken
from wardgan.schema.references import in_order, since_column
from wardgan.schema.schema import Schema
from wardgan.simulate.assume import SIGNALS, Assumptions
from wardgan.simulate.outcome import Outcome
from wardgan.simulate.shapes import Scores, Shape, cuts_of, shape_of
from wardgan.simulate.visits import attendance, repeated, times

_FACTORS: Final = 4
_PANEL: Final = 5
_PILOT: Final = 4_096
_TRIED: Final = 256
_WORLDS: Final = 20
_FEWEST: Final = 64
_CELLS: Final = 1 << 24
_PATIENCE: Final = 1 << 20

# Part of a column's variance that it shares with others (beta distribution): on average a third, so that most pairs
# of columns are nearly independent and a few are not.
_SHARED: Final = (1.0, 2.0)
_LEAD: Final = 2.0  # weight of the first trait, the illness, beside the others
_EXTREME: Final = 0.25  # how much patients differ in how unusual they are in everything
_ILL: Final = 0.1  # part of the inclination to come to visits that goes with the first hidden trait
_TOGETHER: Final = 0.5  # how much of that trait is in each panel
_PANELLED: Final = 0.85  # part of the reasons for an empty cell that a panel shares
_STAYS: Final = (0.5, 0.85)
_PACE: Final = (0.3, 0.9)
_KEPT: Final = (0.2, 0.8)
_MEMORY: Final = (0.3, 0.9)
_TREND: Final = 0.3


@dataclass(frozen=True, eq=False)
class Trait:
    """How one column behaves in a simulated population.

    Attributes:
        column: Its declaration.
        shape: How its values are spread.
        loadings: What it shares with the hidden traits, shape (factors,); the squares sum to less than 1.
        panel: Number of the group of columns that are measured, and missing, together.
        hole: A cell is missing where its score lies below this.
        kept: Of repeated measures: the part of the variance that is the patient's own level.
        memory: Of repeated measures: correlation of the rest between neighbouring visits.
        trend: Of repeated measures: how far the scores move from the first visit to the last.
    """

    column: Column
    shape: Shape
    loadings: NDArray[np.float64]
    panel: int
    hole: float
    kept: float
    memory: float
    trend: float


@dataclass(frozen=True, eq=False, repr=False)
class World:
    """A simulated population: everything but the patients, who are drawn from it.

    Attributes:
        schema: What the patients obey.
        traits: The columns that are no labels.
        outcomes: How each label comes about.
        stays: How faithfully patients come to their visits, in (0, 1).
        pace: How much of the declared time ragged visits take, in (0, 1).
    """

    schema: Schema
    traits: tuple[Trait, ...]
    outcomes: Mapping[str, Outcome]
    stays: float
    pace: float

    def __repr__(self) -> str:
        return f"World({self.schema.name!r})"

    @classmethod
    def of(cls, schema: Schema, *, seed: Seed, assume: Assumptions | None = None) -> World:
        """Gives a population that obeys a schema.

        If the schema has rules between columns, up to 20 populations are tried, and the one whose patients obey them
        most often is taken.

        Args:
            schema: Declarations without gaps.
            seed: Source of randomness: another seed is another population.
            assume: What is taken for granted; by default `Assumptions()`.

        Raises:
            SchemaError: A column waits for bounds or levels.
            UsageError: The assumptions do not fit the labels.
        """
        for column in schema.columns:
            if not column.complete:
                raise SchemaError(f"{column.name}: bounds or levels are not declared, so nothing can be simulated.")
        wanted = assume or Assumptions()
        best = _world(schema, wanted, seed.stream("world"))
        if not schema.rules:
            return best
        most = best.lawful(seed)
        for number in range(1, _WORLDS):
            if most > 0.5:
                break
            other = _world(schema, wanted, seed.stream("world", number))
            found = other.lawful(seed)
            best, most = (other, found) if found > most else (best, most)
        return best

    def draw(self, patients: int, *, seed: Seed, group: str = "patients") -> Cohort:
        """Gives patients of this population, named 1, 2 and so on; who breaks a rule is drawn again.

        Args:
            patients: How many, 0 or more.
            seed: Source of randomness.
            group: Another name gives other patients.

        Raises:
            UsageError: Hardly any patient obeys the rules.
        """
        check.whole(0, patients=patients)
        width = len(self.schema.table) + self._slots * (1 + len(self.schema.columns) - len(self.schema.table))
        kept: list[Cohort] = []
        found, drawn = 0, 0
        while found < patients or not kept:
            wanted = 1.2 * (patients - found) * drawn / max(found, 1) if drawn else patients
            size = int(min(wanted, max(_FEWEST, _CELLS // width)))
            block = self._drawn(size, seed.stream(group, len(kept)))
            good = np.flatnonzero(~broken(block)[1])[: patients - found]
            kept.append(block.take(good))
            found, drawn = found + len(good), drawn + size
            if found < patients and drawn > _PATIENCE + 2 * patients:
                rules = ", ".join(rule.text for rule in self.schema.rules)
                raise UsageError(
                    f"rules: {found:,} of {drawn:,} simulated patients obey {rules}. Simulate with a copy of the "
                    "schema without the rule that ties columns so closely."
                )
        return replace(joined(kept), patients=np.arange(1, patients + 1))

    def lawful(self, seed: Seed) -> float:
        """Gives the share of the patients who obey the rules, from a few."""
        return 1 - float(broken(self._drawn(_TRIED, seed.stream("lawful")))[1].mean())

    @property
    def _slots(self) -> int:
        return 1 if self.schema.visits is None else len(self.schema.visits.slots)

    def _drawn(self, patients: int, stream: np.random.Generator) -> Cohort:
        """Gives patients who need not obey the rules."""
        cohort = self._unlabelled(patients, stream)
        features = self.features(cohort)
        labels = {name: outcome.codes(features, stream) for name, outcome in self.outcomes.items()}
        codes = {**cohort.static, **labels}
        return replace(cohort, static={column.name: codes[column.name] for column in self.schema.table})

    def _unlabelled(self, patients: int, stream: np.random.Generator) -> Cohort:
        visits = self.schema.visits
        factors = stream.standard_normal((patients, _FACTORS))
        extreme = np.exp(_EXTREME * stream.standard_normal(patients) - _EXTREME**2)
        panels = stream.standard_normal((patients, 1 + len(self.traits) // _PANEL, self._slots))
        present = np.ones((patients, self._slots), dtype=bool)
        if visits is not None:
            habit = np.sqrt(_ILL) * factors[:, 0] + np.sqrt(1 - _ILL) * stream.standard_normal(patients)
            present = attendance(visits, self.stays, habit, stream)
        repeats = {column.name for column in visits.columns} if visits else set[str]()
        static: dict[str, Codes] = {}
        measured: dict[str, Codes] = {}
        for trait in self.traits:
            own = np.sqrt(1 - trait.loadings @ trait.loadings) * stream.standard_normal(patients)
            level = (factors @ trait.loadings + own) * extreme  # (patients,)
            panel = panels[:, trait.panel] + _TOGETHER * factors[:, :1]  # (patients, slots)
            if trait.column.name in repeats:
                cells = self._cells(trait, level, panel, stream)
                measured[trait.column.name] = np.where(present, cells, np.nan)
            else:
                codes = _holed(trait.shape.codes(level[:, None]), trait, panel[:, :1], stream)
                static[trait.column.name] = codes[:, 0]
        for column in in_order(self.schema.columns):
            codes = measured if column.name in measured else static
            if column.after is not None:
                codes[column.name] = codes[column.name] + _first(column, static, measured)
        return Cohort(self.schema, static, measured, None if visits is None else present, np.arange(1, patients + 1))

    def _cells(self, trait: Trait, level: Scores, panel: Scores, stream: np.random.Generator) -> Codes:
        """Gives a measure at all slots, shape (patients, slots)."""
        if self.schema.visits is not None and self.schema.visits.key == trait.column.name:
            return times(_modelled(trait.column), self._slots, self.pace, stream, len(level))
        scores = repeated(level, self._slots, trait.kept, trait.memory, stream)
        scores += trait.trend * np.linspace(-0.5, 0.5, self._slots)
        return _holed(trait.shape.codes(scores), trait, panel, stream)

    def features(self, cohort: Cohort) -> Scores:
        """Gives what the labels depend on: nothing but what the other columns show.

        Args:
            cohort: Patients of this population.

        Returns:
            Array of shape (patients, features), about standard normal: one for each column of the table, two for each
            repeated measure (its mean and its last value), one for each column's missing cells, one for the visits.
        """
        found: list[Scores] = []
        for trait in self.traits:
            name = trait.column.name
            codes = cohort.static[name] if name in cohort.static else cohort.measured[name]
            if trait.column.after is not None:
                codes = codes - _first(trait.column, cohort.static, cohort.measured)
            codes = codes[:, None] if codes.ndim == 1 else codes
            scores = trait.shape.features(codes)  # (patients, 1 or slots)
            known = ~np.isnan(scores)
            found.append(np.where(known, scores, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
            if name in cohort.measured:
                found.append(np.where(known[:, -1], scores[:, -1], 0.0))
            if trait.hole > -np.inf:
                found.append(1 - 2 * known.mean(axis=1))
        if cohort.present is not None:
            found.append(2 * cohort.present.mean(axis=1) - 1)
        return np.column_stack(found) if found else np.zeros((len(cohort), 0))


def _world(schema: Schema, assume: Assumptions, stream: np.random.Generator) -> World:
    labels = {column.name for column in schema.labels}
    columns = [column for column in schema.columns if column.name not in labels]
    panel = stream.integers(0, 1 + len(columns) // _PANEL, len(columns))
    traits = tuple(
        _trait(column, int(number), assume.missing, stream) for column, number in zip(columns, panel, strict=True)
    )
    stays, pace = stream.uniform(*_STAYS), stream.uniform(*_PACE)
    world = World(schema, traits, {}, stays, pace)
    features = world.features(world._unlabelled(_PILOT, stream))
    area = SIGNALS[assume.signal]
    outcomes = {label.name: Outcome.of(features, assume.label_shares(label), area, stream) for label in schema.labels}
    return replace(world, outcomes=outcomes)


def _trait(column: Column, panel: int, missing: float, stream: np.random.Generator) -> Trait:
    shape = shape_of(_modelled(column), stream)
    direction = stream.standard_normal(_FACTORS)
    direction[0] *= _LEAD
    loadings = np.sqrt(stream.beta(*_SHARED)) * direction / np.linalg.norm(direction)
    share = min(0.95, missing * stream.uniform(0.5, 1.5))
    hole = float(cuts_of(np.array([share, 1 - share]))[0]) if column.nullable and share > 0 else -np.inf
    kept, memory = stream.uniform(*_KEPT), stream.uniform(*_MEMORY)
    return Trait(column, shape, loadings, panel, hole, kept, memory, _TREND * stream.standard_normal())


def _modelled(column: Column) -> Column:
    """Gives the declaration of what is drawn: of a date after another one the days between them."""
    return column if column.after is None else since_column(column)


def _first(column: Column, static: Mapping[str, Codes], measured: Mapping[str, Codes]) -> Codes:
    """Gives the dates that a date is counted from; for a measure of a shape that fits (patients, slots)."""
    after = str(column.after)
    if after in measured:
        return measured[after]
    return static[after][:, None] if column.name in measured else static[after]


def _holed(codes: Codes, trait: Trait, panel: Scores, stream: np.random.Generator) -> Codes:
    """Empties cells: those of one panel together more often than by chance.

    Args:
        codes: The cells, shape (patients, slots).
        trait: Of the column.
        panel: What the columns of its panel share, variance 1 + `_TOGETHER` squared, shape (patients, slots).
        stream: What is drawn from.
    """
    if trait.hole == -np.inf:
        return codes
    own = stream.standard_normal(codes.shape)
    score = np.sqrt(_PANELLED) * panel / np.sqrt(1 + _TOGETHER**2) + np.sqrt(1 - _PANELLED) * own
    return np.where(score < trait.hole, np.nan, codes)
