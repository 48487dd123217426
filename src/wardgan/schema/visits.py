"""Repeated measures: patient x visit x variable on a declared grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal, cast

from wardgan.errors import SchemaError, counted
from wardgan.schema.columns import Column

MAX_SLOTS: Final = 1_000
_FARTHEST: Final = 1e12
_ALIKE: Final = 0.7
Shape = Literal["named", "timed", "ragged"]


@dataclass(frozen=True)
class TimeGrid:
    """Equal bins of time from `start` to `stop` in steps of `step`.

    A bin holds its start and not its end; only the last one is closed, as in a histogram, so it holds `stop`.
    """

    start: float
    stop: float
    step: float
    unit: str | None = None

    @property
    def bins(self) -> int:
        """Number of bins."""
        return round((self.stop - self.start) / self.step)

    @property
    def starts(self) -> tuple[float, ...]:
        """Where each bin starts; short decimals, such as 0.3 for the third start in steps of 0.1."""
        return tuple(float(f"{self.start + self.step * number:.12g}") for number in range(self.bins))


@dataclass(frozen=True)
class Visits:
    """The visits part of a schema.

    Attributes:
        key: Column that says which visit a row belongs to.
        slots: Names of the visit slots, in order.
        columns: Columns that are measured at visits.
        time: The bins, if the key is a time.
        ragged: Whether patients have 1 to `len(slots)` visits in the order of the key.
        complete: Whether every patient has every visit.
    """

    key: str
    slots: tuple[str, ...]
    columns: tuple[Column, ...]
    time: TimeGrid | None = None
    ragged: bool = False
    complete: bool = False

    def __post_init__(self) -> None:
        if len(set(self.slots)) < len(self.slots):
            raise SchemaError("visits: a slot of the grid is declared twice.")
        if not 1 <= len(self.slots) <= MAX_SLOTS:
            raise SchemaError(f"visits: {len(self.slots)} slots are not between 1 and {MAX_SLOTS}.")
        if not self.columns:
            raise SchemaError("visits: columns has no column.")
        if self.ragged and self.complete:
            raise SchemaError("visits: max_visits and complete contradict each other; name the visits in a grid.")
        for column in self.columns:
            _check_column(self, column)

    def to_dict(self) -> dict[str, object]:
        """Gives the structure of the schema file."""
        found: dict[str, object] = {"key": self.key}
        if self.ragged:
            found["max_visits"] = len(self.slots)
        elif self.time is not None:
            unit = {} if self.time.unit is None else {"unit": self.time.unit}
            found["grid"] = {"start": self.time.start, "stop": self.time.stop, "step": self.time.step, **unit}
        else:
            found["grid"] = list(self.slots)
        if self.complete:
            found["complete"] = True
        return found | {"columns": {column.name: column.to_dict() for column in self.columns}}

    @classmethod
    def from_dict(cls, found: object) -> Visits:
        """Reads the visits part of the schema file.

        Raises:
            SchemaError: A key is missing, unknown, or contradicts another.
        """
        if not isinstance(found, Mapping):
            raise SchemaError("visits: is a mapping with key, grid (or max_visits) and columns.")
        given = cast("Mapping[str, object]", found)
        refuse_unknown(given, ("key", "grid", "max_visits", "complete", "columns"), "visits")
        key, columns = given.get("key"), given.get("columns")
        if not isinstance(key, str) or not key:
            raise SchemaError("visits: key names the column that says which visit a row belongs to.")
        if not isinstance(columns, Mapping):
            raise SchemaError("visits: columns is a mapping from names to columns.")
        if not isinstance(given.get("complete", False), bool):
            raise SchemaError(f"visits: complete={given['complete']!r} is not true or false.")
        read = columns_of("visits", cast("Mapping[object, object]", columns))
        slots, time = _grid(given.get("grid"), given.get("max_visits"))
        ragged = given.get("max_visits") is not None
        return cls(key, slots, read, time, ragged, complete=bool(given.get("complete", False)))


def _check_column(visits: Visits, column: Column) -> None:
    if column.label:
        raise SchemaError(f"{column.name}: a label is a column of the table, not of the visits.")
    if column.origin:
        raise SchemaError(f"{column.name}: the origin is a date of the table, not of the visits.")
    if column.name == visits.key and (column.nullable or not column.numeric):
        raise SchemaError(f"{column.name}: the key of the visits is a number or a date, and not nullable.")
    if column.name == "visit" and not visits.ragged and not visits.complete:
        raise SchemaError("visit: the name stands for whether a visit took place; rename the column.")


def refuse_unknown(given: Mapping[str, object], known: Sequence[str], place: str) -> None:
    """Refuses a mapping with keys that the schema file does not have.

    What is no schema may hold patients, so a key is repeated only if it is much like one of ours.

    Args:
        given: Part of the schema file.
        known: Its keys.
        place: Name of the part, for messages.

    Raises:
        SchemaError: A key is unknown.

    Example:
        >>> refuse_unknown({"nane": "demo"}, ("name", "table"), "schema")
        Traceback (most recent call last):
        wardgan.errors.SchemaError: schema: unknown key 'nane', which looks like name; known are name, table.
    """
    unknown = [str(key) for key in given if str(key) not in known]
    for key in unknown:
        alike = get_close_matches(key, known, n=1, cutoff=_ALIKE)
        if alike:
            raise SchemaError(
                f"{place}: unknown key {key!r}, which looks like {alike[0]}; known are {', '.join(known)}."
            )
    if unknown:
        raise SchemaError(f"{place}: {counted(len(unknown), 'unknown key')}; known are {', '.join(known)}.")


def columns_of(place: str, found: Mapping[object, object]) -> tuple[Column, ...]:
    """Gives the columns of a part of the schema file.

    Args:
        place: Name of the part, for messages.
        found: From names to columns.

    Raises:
        SchemaError: A name is no text (YAML reads `no`, `on` and dates as something else), or a column is wrong.
    """
    for name in found:
        if isinstance(name, bool) or not isinstance(name, (str, int)):
            raise SchemaError(f"{place}: the column name {name!r} is not text; put it into quotes.")
    return tuple(Column.from_dict(str(name), column) for name, column in found.items())


def _grid(grid: object, most: object) -> tuple[tuple[str, ...], TimeGrid | None]:
    if (grid is None) == (most is None):
        raise SchemaError("visits: declare either grid or max_visits.")
    if most is not None:
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MAX_SLOTS:
            raise SchemaError(f"visits: max_visits={most!r} is not a whole number from 1 to {MAX_SLOTS}.")
        return tuple(str(number + 1) for number in range(most)), None
    if isinstance(grid, Mapping):
        time = _time_grid(cast("Mapping[str, object]", grid))
        return tuple(f"{start:.12g}{time.unit or ''}" for start in time.starts), time
    if not isinstance(grid, (list, tuple)):
        raise SchemaError("visits: grid is a list of visit names or {start, stop, step, unit}.")
    return _slot_names(cast("list[object]", grid)), None


def _slot_names(grid: Sequence[object]) -> tuple[str, ...]:
    for name in grid:
        if isinstance(name, bool) or not isinstance(name, (str, int)):
            raise SchemaError(f"visits: {name!r} in grid is neither text nor a whole number; put it into quotes.")
        if not str(name) or str(name) != str(name).strip():
            raise SchemaError(
                f"visits: {name!r} in grid is empty or has spaces around it; cells are read without them."
            )
    return tuple(str(name) for name in grid)


def _time_grid(grid: Mapping[str, object]) -> TimeGrid:
    refuse_unknown(grid, ("start", "stop", "step", "unit"), "visits: grid")
    numbers: list[float] = []
    for name in ("start", "stop", "step"):
        value = grid.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _FARTHEST:
            raise SchemaError(f"visits: grid {name} is not a finite number up to {_FARTHEST:g}.")
        numbers.append(float(value))
    start, stop, step = numbers
    if step <= 0 or stop <= start:
        raise SchemaError(f"visits: grid start={start:.12g}, stop={stop:.12g}, step={step:.12g} has no bin.")
    count = (stop - start) / step
    if not 0.5 <= count <= MAX_SLOTS + 0.5 or abs(count - round(count)) > 1e-9 * count:
        raise SchemaError(f"visits: grid makes {count:g} bins; that must be a whole number up to {MAX_SLOTS}.")
    unit = grid.get("unit")
    if unit is not None and not isinstance(unit, str):
        raise SchemaError(f"visits: unit={unit!r} in grid is not text; put it into quotes.")
    return TimeGrid(start, stop, step, unit)
