"""One wish of a researcher: what a column, a cell of a visit, a visit or the number of visits must be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import UsageError
from wardgan.schema.cells import FLAG_WORDS, place
from wardgan.schema.cohort import Cohort
from wardgan.schema.columns import Column, Level
from wardgan.schema.schema import Schema
from wardgan.schema.steps import snapped

Wanted = Level | bool | float | date | Sequence[Level | bool | float | date] | tuple[float | date, float | date]
Kind = Literal["column", "cell", "visit", "count"]
MISSING: Final = "missing"
PRESENT: Final = "present"
_COUNT: Final = "count"
_VISIT: Final = "visit"
_ROUND: Final = 1e-6


@dataclass(frozen=True)
class Place:
    """What a condition is about.

    Attributes:
        name: As it is asked for: `age`, `sbp@3M`, `visit@3M` or `visit@count`.
        kind: A column of the table, a cell of a visit, whether a visit took place, or how many did.
        column: Its declaration.
        slot: Number of the visit slot, or -1.
        holes: Whether it may be missing.
    """

    name: str
    kind: Kind
    column: Column
    slot: int = -1
    holes: bool = False

    def codes(self, cohort: Cohort) -> NDArray[np.float64]:
        """Gives each patient's code, shape (patients,); NaN where it is missing, also for want of the visit."""
        if self.kind == "column":
            return cohort.static[self.column.name]
        if self.kind == "cell":
            return cohort.measured[self.column.name][:, self.slot]
        present = cast("NDArray[np.bool_]", cohort.present)  # (patients, slots)
        return (present.sum(axis=1) if self.kind == "count" else present[:, self.slot]).astype(np.float64)


@dataclass(frozen=True)
class Condition:
    """A condition: some codes, a range of codes, and whether a missing cell meets it.

    Attributes:
        place: What it is about.
        codes: Allowed codes, or `(low, high)` with both ends included.
        range: Whether `codes` is a range.
        missing: Whether a missing cell meets it.
    """

    place: Place
    codes: tuple[float, ...]
    range: bool = False
    missing: bool = False

    def holds(self, cohort: Cohort) -> NDArray[np.bool_]:
        """Tells for which patients it holds; shape (patients,)."""
        codes = self.place.codes(cohort)
        held = (codes >= self.codes[0]) & (codes <= self.codes[1]) if self.range else np.isin(codes, self.codes)
        return held | np.isnan(codes) if self.missing else held


def place_of(schema: Schema, name: object, *, argument: str = "where") -> Place:
    """Gives what a name stands for.

    Args:
        schema: The generator's schema.
        name: A column of the table, or with `@` a column of the visits at a slot, `visit@` and a slot, `visit@count`.
        argument: Whose word it is, for messages.

    Raises:
        UsageError: There is no such column or visit, or what is asked is the same for all patients.

    Example:
        >>> schema = Schema.from_dict({
        ...     "name": "demo", "patient": "id",
        ...     "visits": {"key": "visit", "grid": ["A", "B"], "columns": {"drugs": {"kind": "flag"}}},
        ... })
        >>> place_of(schema, "drugs@B").slot, place_of(schema, "visit@count").column.high
        (1, 2.0)
    """
    text = name if isinstance(name, str) else ""
    column, sign, slot = text.partition("@")
    if sign:
        return _of_visits(schema, text, column, slot, argument)
    for found in schema.table:
        if found.name == name:
            return Place(found.name, "column", found, holes=found.nullable)
    visits = schema.visits
    if visits is not None and name in {one.name for one in visits.columns}:
        raise UsageError(
            f"{argument}: {name!r} is not in the generator's table but measured at visits; say at which, such as "
            f"{name}@{visits.slots[0]}."
        )
    known = ", ".join(one.name for one in schema.table) or "no column"
    raise UsageError(f"{argument}: the column {name!r} is not in the generator's table; it has {known}.")


def _of_visits(schema: Schema, name: str, column: str, slot: str, argument: str) -> Place:
    visits = schema.visits
    if visits is None:
        raise UsageError(f"{argument}: {name!r} is about a visit, but the generator's schema has no visits.")
    declared = {one.name: one for one in visits.columns}
    counts = column == _VISIT and slot == _COUNT and slot not in visits.slots
    if not counts and slot not in visits.slots:
        shown = ", ".join(visits.slots[:20]) + (", ..." if len(visits.slots) > 20 else "")
        raise UsageError(f"{argument}: {name!r}: there is no visit {slot!r}; the visits are {shown}.")
    if column in declared and not counts:
        at = visits.slots.index(slot)
        return Place(name, "cell", declared[column], at, holes=not visits.complete or declared[column].nullable)
    if column != _VISIT:
        known = ", ".join(declared)
        raise UsageError(f"{argument}: {name!r}: {column!r} is not measured at visits; {known} and visit are.")
    if visits.complete:
        raise UsageError(f"{argument}: {name!r}: every patient has every visit, so there is nothing to ask.")
    if counts:
        return Place(name, "count", Column(name, "integer", low=0, high=len(visits.slots), step=1))
    if visits.ragged:
        raise UsageError(f"{argument}: {name!r}: visits are counted here; write visit@count={slot}..")
    return Place(name, "visit", Column(name, "flag"), visits.slots.index(slot))


def condition(at: Place, wanted: object) -> Condition:
    """Gives the condition that a wish stands for.

    Args:
        at: What it is about.
        wanted: A level or a number, a list of them, a `(low, high)` tuple for numbers and dates, or one of the words
            `missing` and `present`. A level that is spelled like one of these words is meant as the level.

    Raises:
        UsageError: No patient can be like that: an unknown level, a number outside the bounds or between the steps, an
            empty range, or `missing` of what never is.
    """
    values = [wanted] if isinstance(wanted, (str, bytes)) or not isinstance(wanted, Iterable) else list(wanted)
    if not values:
        raise UsageError(f"where: {at.name}={wanted!r} asks for nothing.")
    words = {str(level) for level in at.column.levels}
    if isinstance(wanted, str) and wanted == PRESENT and PRESENT not in words:
        return Condition(at, (-math.inf, math.inf), range=True)
    plain = [value for value in values if not (isinstance(value, str) and value == MISSING and value not in words)]
    holes = len(plain) < len(values)
    if holes and not at.holes:
        raise UsageError(f"where: {at.name} is never missing.")
    if not at.column.numeric:
        return Condition(at, tuple(_level(at, value) for value in plain), missing=holes)
    if isinstance(wanted, tuple) and not holes:
        return _range(at, cast("tuple[object, ...]", wanted))
    return Condition(at, tuple(_possible(at, value) for value in plain), missing=holes)


def _range(at: Place, ends: tuple[object, ...]) -> Condition:
    column = at.column
    if len(ends) != 2:
        raise UsageError(f"where: {at.name}={ends!r} is neither a number nor a (low, high) range.")
    low, high = (_nearest(column, _number(at, end)) for end in ends)
    if low > high:
        raise UsageError(
            f"where: {at.name} between {ends[0]} and {ends[1]} is an empty range; the lower end comes first."
        )
    least, most = cast("float", column.low), cast("float", column.high)
    if high < least or low > most:
        raise UsageError(f"where: {at.name} between {ends[0]} and {ends[1]} is outside {' to '.join(column.ends)}.")
    if column.steps is None and low == high:
        raise UsageError(f"where: {at.name}={ends[0]} is one point of a continuous column; ask for a range.")
    if column.step is not None and not _holds_a_value(column, max(low, least), min(high, most)):
        raise UsageError(
            f"where: {at.name} between {ends[0]} and {ends[1]} holds none of its values, which have steps of "
            f"{column.step:g}."
        )
    return Condition(at, (low, high), range=True)


def _holds_a_value(column: Column, low: float, high: float) -> bool:
    first = snapped(np.array([low]), column)
    if first[0] < low:
        first = snapped(first + cast("float", column.step), column)
    return bool(first[0] <= high)


def _possible(at: Place, value: object) -> float:
    """Gives a number that patients can have; a wish that no patient can meet is refused, not searched for."""
    column, number = at.column, _number(at, value)
    if not cast("float", column.low) <= number <= cast("float", column.high):
        raise UsageError(f"where: {at.name}={value} is outside {' to '.join(column.ends)}.")
    if column.steps is None:
        raise UsageError(f"where: {at.name}={value} is one point of a continuous column; ask for a (low, high) range.")
    nearest = _nearest(column, number)
    if nearest != snapped(np.array([number]), column)[0]:
        raise UsageError(f"where: {at.name}={value} is none of its values, which have steps of {column.step:g}.")
    return nearest


def _nearest(column: Column, number: float) -> float:
    """Gives the possible value that a number stands for, such as 0.3 for 0.1 + 0.2, or the number itself."""
    if column.step is None or not math.isfinite(number):
        return number
    nearest = float(snapped(np.array([number]), column)[0])
    return nearest if abs(nearest - number) <= _ROUND * column.step else number


def _level(at: Place, value: object) -> float:
    column, text = at.column, str(value)
    if column.kind == "flag":
        code = FLAG_WORDS.get(text.lower(), np.nan)
    else:
        names = {str(level).lower(): str(level) for level in column.levels}
        code = place([names.get(text.lower(), text) if isinstance(value, bool) else text], column.levels)[0]
    if math.isnan(code):
        shown = ", ".join(map(str, column.levels[:20])) + (", ..." if column.size > 20 else "")
        raise UsageError(f"where: {text!r} is not a level of {at.name}; it has {shown}.")
    return float(code)


def _number(at: Place, value: object) -> float:
    try:
        if at.column.kind == "date":
            return float((value if isinstance(value, date) else date.fromisoformat(str(value))).toordinal())
        number = math.nan if isinstance(value, bool) else float(cast("float", value))
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        kind = "a date like 2020-12-31" if at.column.kind == "date" else "a number"
        raise UsageError(f"where: {at.name}={value!r} is not {kind}.")
    return number
