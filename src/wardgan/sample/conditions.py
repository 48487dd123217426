"""What a researcher asks for: `where` and `balance`, honoured exactly or refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import UsageError
from wardgan.schema.cells import FLAG_WORDS, place
from wardgan.schema.cohort import Cohort
from wardgan.schema.columns import Column, Level
from wardgan.schema.schema import Schema
from wardgan.schema.steps import snapped

Wanted = Level | bool | float | date | Sequence[Level | bool | float | date] | tuple[float | date, float | date]
Where = Mapping[str, Wanted]


@dataclass(frozen=True)
class Condition:
    """A condition on a column that is not a label: some codes, or a range of codes.

    Attributes:
        name: The column.
        codes: Allowed codes, or `(low, high)` with both ends included.
        range: Whether `codes` is a range.
    """

    name: str
    codes: tuple[float, ...]
    range: bool

    def holds(self, cohort: Cohort) -> NDArray[np.bool_]:
        """Tells for which patients it holds; shape (patients,). A missing cell never satisfies it."""
        codes = cohort.static[self.name]
        if self.range:
            return (codes >= self.codes[0]) & (codes <= self.codes[1])
        return np.isin(codes, self.codes)


@dataclass(frozen=True)
class Conditions:
    """Everything that was asked for.

    Attributes:
        turns: Chance of each class, shape (turns, classes); the rows sum to 1. Patient `i` belongs to row `i` modulo
            the number of rows: one row, or one for each level that shall be equally frequent.
        others: Conditions that need drawing again until they hold.
    """

    turns: NDArray[np.float64]
    others: tuple[Condition, ...]

    def classes(self, turn: NDArray[np.intp], stream: np.random.Generator) -> NDArray[np.int64]:
        """Draws the class of each patient.

        Args:
            turn: Row of `turns` of each patient, shape (patients,).
            stream: Source of randomness.
        """
        turns, classes = self.turns.shape
        if classes == 1:
            return np.zeros(len(turn), dtype=np.int64)
        edges = np.cumsum(self.turns, axis=1)
        edges /= edges[:, -1:]
        flat = (edges + np.arange(turns)[:, None]).ravel()
        drawn = np.searchsorted(flat, stream.random(len(turn)) + turn, side="right") - turn * classes
        # A sum that rounds up must not lead into the next row, nor to a class of no chance.
        last = classes - 1 - np.argmax(self.turns[:, ::-1] > 0, axis=1)
        return np.minimum(drawn, last[turn]).astype(np.int64)

    def hold(self, cohort: Cohort) -> NDArray[np.bool_]:
        """Tells for which patients the other conditions hold; shape (patients,)."""
        held = np.ones(len(cohort), dtype=bool)
        for condition in self.others:
            held &= condition.holds(cohort)
        return held


def conditions(schema: Schema, probabilities: Sequence[float], where: Where | None, balance: str | None) -> Conditions:
    """Gives what `where` and `balance` ask for.

    Args:
        schema: The generator's schema.
        probabilities: The generator's share of each class.
        where: For each column one level, a list of levels, one number, a list of numbers, or a `(low, high)` range.
        balance: A label whose levels shall be equally frequent.

    Raises:
        UsageError: An unknown column or level, an empty range, or a column that cannot be balanced, or of which
            `where` leaves one level only.
    """
    if where is not None and not isinstance(where, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"where={where!r} is not a mapping such as {{'age': (65, 80)}}.")
    levels = _levels_of_classes(schema)
    allowed = np.ones(schema.classes, dtype=bool)
    others: list[Condition] = []
    for name, wanted in (where or {}).items():
        column = _column(schema, name)
        condition = _condition(column, wanted)
        if name in levels:
            allowed &= np.isin(levels[name], condition.codes)
        else:
            others.append(condition)
    weights = np.asarray(probabilities, dtype=np.float64) * allowed
    if balance is None:
        return Conditions(_shares(weights, allowed)[None, :], tuple(others))
    column = _column(schema, balance, argument="balance")
    if balance not in levels:
        labels = ", ".join(label.name for label in schema.labels) or "none"
        raise UsageError(f"balance={balance!r} is not a label of the generator; its labels are: {labels}.")
    left = np.unique(levels[balance][allowed])
    if len(left) == 1 < column.size:
        raise UsageError(
            f"balance={balance!r}: where leaves it one level only ({column.levels[left[0]]}), so there is nothing to "
            "balance; leave out one of the two."
        )
    rows = [_shares(weights * (levels[balance] == level), allowed & (levels[balance] == level)) for level in left]
    return Conditions(np.array(rows), tuple(others))


def _shares(weights: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Gives weights that sum to 1; where no weight is left, all allowed classes are equally likely."""
    chosen = weights if weights.sum() > 0 else allowed.astype(np.float64)
    return chosen / chosen.sum()


def _levels_of_classes(schema: Schema) -> dict[str, NDArray[np.intp]]:
    """Gives the level index of each label in each class, shape (classes,); the last label changes fastest."""
    found: dict[str, NDArray[np.intp]] = {}
    index = np.arange(schema.classes)
    for column in reversed(schema.labels):
        index, found[column.name] = np.divmod(index, column.size)
    return found


def _column(schema: Schema, name: str, *, argument: str = "where") -> Column:
    names = [column.name for column in schema.table]
    if name not in names:
        known = ", ".join(names) or "no column"
        raise UsageError(f"{argument}: the column {name!r} is not in the generator's table; it has {known}.")
    return schema.column(name)


def _condition(column: Column, wanted: object) -> Condition:
    values = [wanted] if isinstance(wanted, (str, bytes)) or not isinstance(wanted, Iterable) else list(wanted)
    if not values:
        raise UsageError(f"where: {column.name}={wanted!r} asks for nothing.")
    if not column.numeric:
        return Condition(column.name, tuple(_level(column, value) for value in values), range=False)
    if isinstance(wanted, tuple):
        return _range(column, wanted)
    return Condition(column.name, tuple(_possible(column, value) for value in values), range=False)


def _range(column: Column, ends: tuple[object, ...]) -> Condition:
    if len(ends) != 2:
        raise UsageError(f"where: {column.name}={ends!r} is neither a number nor a (low, high) range.")
    low, high = _number(column, ends[0]), _number(column, ends[1])
    if low > high:
        raise UsageError(
            f"where: {column.name} between {ends[0]} and {ends[1]} is an empty range; the lower end comes first."
        )
    if high < cast("float", column.low) or low > cast("float", column.high):
        raise UsageError(f"where: {column.name} between {ends[0]} and {ends[1]} is outside {' to '.join(column.ends)}.")
    if column.steps is None and low == high:
        raise UsageError(f"where: {column.name}={ends[0]} is one point of a continuous column; ask for a range.")
    return Condition(column.name, (low, high), range=True)


def _possible(column: Column, value: object) -> float:
    """Gives a number that patients can have; a wish that no patient can meet is refused, not searched for."""
    number = _number(column, value)
    if not cast("float", column.low) <= number <= cast("float", column.high):
        raise UsageError(f"where: {column.name}={value} is outside {' to '.join(column.ends)}.")
    if column.steps is None:
        raise UsageError(
            f"where: {column.name}={value} is one point of a continuous column; ask for a (low, high) range."
        )
    nearest = float(snapped(np.array([number]), column)[0])
    if abs(nearest - number) > 1e-6 * (column.step or 1.0):
        raise UsageError(f"where: {column.name}={value} is none of its values, which have steps of {column.step:g}.")
    return nearest


def _level(column: Column, value: object) -> float:
    text = str(value)
    if column.kind == "flag":
        code = FLAG_WORDS.get(text.lower(), np.nan)
    else:
        names = {str(level).lower(): str(level) for level in column.levels}
        code = place([names.get(text.lower(), text) if isinstance(value, bool) else text], column.levels)[0]
    if math.isnan(code):
        shown = ", ".join(map(str, column.levels[:20])) + (", ..." if column.size > 20 else "")
        raise UsageError(f"where: {text!r} is not a level of {column.name}; it has {shown}.")
    return float(code)


def _number(column: Column, value: object) -> float:
    try:
        if column.kind == "date":
            return float((value if isinstance(value, date) else date.fromisoformat(str(value))).toordinal())
        number = math.nan if isinstance(value, bool) else float(cast("float", value))
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        kind = "a date like 2020-12-31" if column.kind == "date" else "a number"
        raise UsageError(f"where: {column.name}={value!r} is not {kind}.")
    return number
