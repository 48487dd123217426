"""The mapping file: what each column of a schema becomes in FHIR and OMOP, and what day 0 is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final, TypeVar, cast

from wardgan.errors import UsageError
from wardgan.exchange.codes import seconds_of, time_unit, within_a_day
from wardgan.exchange.entry import LARGEST_ID, As, Mapped, entry_of
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema
from wardgan.schema.visits import Visits, refuse_unknown
from wardgan.schema.yaml_text import structure_in

Found = TypeVar("Found")
_KEYS: Final = ("reference", "columns", "visits", "omop")
_VISITS: Final = ("class", "days", "on", "unit", "omop")
_OMOP: Final = ("year_of_birth", "type")
# Kinds of encounters: HL7 v3 ActCode, value set ActEncounterCode.
CLASSES: Final = {
    "AMB": "ambulatory", "EMER": "emergency", "FLD": "field", "HH": "home health", "IMP": "inpatient encounter",
    "ACUTE": "inpatient acute", "NONAC": "inpatient non-acute", "OBSENC": "observation encounter",
    "PRENC": "pre-admission", "SS": "short stay", "VR": "virtual",
}  # fmt: skip
_FARTHEST: Final = 366 * 9_999


@dataclass(frozen=True)
class Meetings:
    """Visits: what kind of encounter they are, and when they were.

    Attributes:
        kind: Code of HL7 v3 ActCode, such as `AMB`.
        omop: Concept of the visit; 0 for none.
        on: Column of the visits that says when each was: a date, or a number of `unit`; `None` if the grid says it.
        seconds: Seconds from day 0 to each visit of the grid; empty if a column says when.
        unit: UCUM unit of the times.
    """

    kind: str = "AMB"
    omop: int = 0
    on: str | None = None
    seconds: tuple[float, ...] = ()
    unit: str = "d"

    @property
    def exact(self) -> bool:
        """Whether visits have a time of the day."""
        return within_a_day(self.unit)


@dataclass(frozen=True)
class Concepts:
    """What the columns of a schema mean.

    Attributes:
        schema: Whose columns they are.
        reference: Day 0: a day, or a date column of the table, then each patient has one of their own.
        columns: Columns that become something, in the order of the schema.
        left_out: Columns that the file leaves out.
        unmapped: Columns that the file does not mention.
        meetings: Visits; `None` without visits.
        year_of_birth: What OMOP gets as the year of birth of a patient of whom it is not known; `None` for nothing.
        type_omop: Concept of where OMOP's rows come from; 0 for none.
    """

    schema: Schema
    reference: date | str
    columns: tuple[Mapped, ...] = ()
    left_out: tuple[str, ...] = ()
    unmapped: tuple[str, ...] = ()
    meetings: Meetings | None = None
    year_of_birth: int | None = None
    type_omop: int = 0

    def first(self, *kinds: As) -> Mapped | None:
        """Gives the column that becomes one of some things of which a patient has one, such as the gender."""
        return next((one for one in self.columns if one.kind in kinds), None)

    @classmethod
    def load(cls, path: str | Path, schema: Schema) -> Concepts:
        """Reads a mapping file (YAML) for a schema.

        Raises:
            UsageError: The file cannot be read, is no YAML, or does not fit the schema; each column that is wrong has
                a line.
        """
        return cls.from_dict(structure_in(path, "concepts"), schema)

    @classmethod
    def from_dict(cls, found: object, schema: Schema) -> Concepts:
        """Reads the structure of the mapping file.

        Args:
            found: Mapping with `reference`, `columns`, `visits` and `omop`.
            schema: Whose columns are mapped.

        Raises:
            UsageError: What is wrong, a line for each column.

        Example:
            >>> schema = Schema.from_dict({"name": "demo", "table": {
            ...     "age": {"kind": "integer", "low": 18, "high": 99}, "arm": {"kind": "flag"}}})
            >>> made = Concepts.from_dict({"reference": "2020-01-01", "columns": {"age": "age"}}, schema)
            >>> made.reference, [one.name for one in made.columns], made.unmapped
            (datetime.date(2020, 1, 1), ['age'], ('arm',))
        """
        if schema.images is not None:
            raise UsageError(
                f"the schema {schema.name!r} declares images, and FHIR and OMOP files are for tables and visits; write "
                "them as DICOM (--format dicom)."
            )
        given = _mapping(found, "it")
        refuse_unknown(given, _KEYS, "concepts")
        more = _mapping(given.get("omop", {}), "omop")
        refuse_unknown(more, _OMOP, "omop")
        problems: list[str] = []
        said = _mapping(given.get("columns", {}), "columns")
        columns = _columns(said, schema, problems)
        reference = _tried(lambda: _reference(given.get("reference"), schema), "reference", problems)
        meetings = _tried(lambda: _meetings(given.get("visits"), schema), "visits", problems)
        year = _tried(lambda: _whole(more, "year_of_birth", 1, 9_999), "omop", problems)
        kind = _tried(lambda: _whole(more, "type", 0, LARGEST_ID), "omop", problems)
        problems += [*_twice(columns), *([] if reference is None else _beyond(columns, reference, schema))]
        if problems or reference is None:
            raise UsageError("concepts: the mapping file does not fit:\n" + "\n".join(f"- {one}" for one in problems))
        # A column that only says when another one was is not kept where that one is missing.
        used = {one.name for one in columns} | {reference, None if meetings is None else meetings.on}
        names = [column.name for column in schema.columns]
        return cls(
            schema=schema,
            reference=reference,
            columns=columns,
            left_out=tuple(name for name in names if name in said and said[name] is None),
            unmapped=tuple(name for name in names if name not in said and name not in used),
            meetings=meetings,
            year_of_birth=year,
            type_omop=kind or 0,
        )


def _mapping(found: object, what: str) -> dict[str, object]:
    if not isinstance(found, Mapping):
        raise UsageError(f"concepts: {what} is a mapping; `wardgan concepts` drafts a file.")
    return {str(key): value for key, value in cast("Mapping[object, object]", found).items()}


def _tried(read: Callable[[], Found], place: str, problems: list[str]) -> Found | None:
    """Gives what is read, or notes why it cannot be, so that all that is wrong is told at once."""
    try:
        return read()
    except UsageError as error:
        problems.append(f"{place}: {error}")
        return None


def _columns(said: Mapping[str, object], schema: Schema, problems: list[str]) -> tuple[Mapped, ...]:
    known = {column.name: column for column in schema.columns}
    problems += [
        f"{name[:80]}: the schema has no such column; it has {', '.join(list(known)[:40])}."
        for name in said
        if name not in known
    ]
    found: list[Mapped] = []
    for column in schema.columns:
        entry = said.get(column.name)
        if entry is not None:
            one = _tried(lambda column=column, entry=entry: entry_of(column, entry, schema), column.name, problems)
            found += [] if one is None else [one]
    return tuple(found)


def _reference(found: object, schema: Schema) -> date | str:
    dates = [column.name for column in schema.table if column.kind == "date" and not column.nullable]
    if found in dates:
        return cast("str", found)
    if isinstance(found, date) and not isinstance(found, datetime):
        return found
    try:
        return date.fromisoformat(found if isinstance(found, str) else "")
    except ValueError:
        known = f", or a date of the table that is never missing: {', '.join(dates)}" if dates else ""
        way = f"give a day such as 2020-01-31{known}."
        if found is None:
            raise UsageError(f"it is missing; {way}") from None
        if any(column.name == found and column.kind == "date" for column in schema.table):
            raise UsageError(f"{str(found)[:80]!r} may be missing, so it is no day 0; {way}") from None
        raise UsageError(f"{str(found)[:80]!r} is no day 0; {way}") from None


def _meetings(found: object, schema: Schema) -> Meetings | None:
    visits = schema.visits
    if visits is None:
        if found is not None:
            raise UsageError("the schema declares none.")
        return None
    given = {} if found is None else _mapping(found, "visits")
    refuse_unknown(given, _VISITS, "visits")
    kind = given.get("class", "AMB")
    if kind not in CLASSES:
        raise UsageError(f"class={kind!r} is not one of {', '.join(CLASSES)}.")
    on, seconds, unit = _when(given, visits)
    return Meetings(cast("str", kind), _whole(given, "omop", 0, LARGEST_ID) or 0, on, seconds, unit)


def _when(given: Mapping[str, object], visits: Visits) -> tuple[str | None, tuple[float, ...], str]:
    """Gives the column that says when visits were, or the seconds of the grid, and the unit."""
    times = {column.name: column for column in visits.columns if column.numeric}
    on, days = given.get("on"), given.get("days")
    if on is not None and (on not in times or days is not None):
        raise UsageError(f"on={str(on)[:80]!r} is no date or number of the visits, or stands beside days; keep one.")
    if on is None and days is None and visits.key in times:
        on = visits.key
    if on is not None:
        column = times[cast("str", on)]
        return column.name, (), "d" if column.kind == "date" else _unit(given, column)
    if days is not None:
        return None, tuple(day * seconds_of("d") for day in _days(days, visits)), "d"
    if visits.time is None:
        raise UsageError("say which day each visit is: days: {" + f"{visits.slots[0]}: 0, ...}}, or a number of days.")
    unit = _unit(given, Column(visits.key, "number", unit=visits.time.unit))
    return None, tuple(start * seconds_of(unit) for start in visits.time.starts), unit


def _unit(given: Mapping[str, object], column: Column) -> str:
    said = given.get("unit", column.unit)
    unit = time_unit(said) if isinstance(said, str) else None
    if unit is None:
        raise UsageError(f"{column.name}: unit={said!r} is no unit of time; give unit: a, mo, wk, d, h, min or s.")
    return unit


def _days(found: object, visits: Visits) -> list[float]:
    """Gives the day of each visit: from a mapping, or so many days apart."""
    if not isinstance(found, Mapping):
        return [_day(found, "days") * number for number in range(len(visits.slots))]
    given = {str(key): value for key, value in cast("Mapping[object, object]", found).items()}
    for slot in given:
        if slot not in visits.slots:
            raise UsageError(f"days: {slot[:80]!r} is no visit; there are {', '.join(visits.slots[:40])}.")
    lacking = [slot for slot in visits.slots if slot not in given]
    if lacking:
        raise UsageError(f"days: {lacking[0]!r} has no day ({len(lacking)} of {len(visits.slots)} have none).")
    return [_day(given[slot], f"days: {slot}") for slot in visits.slots]


def _day(found: object, place: str) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or not abs(found) < _FARTHEST:
        raise UsageError(f"{place}: {str(found)[:80]!r} is not a whole number of days.")
    return found


def _whole(given: Mapping[str, object], key: str, low: int, high: int) -> int | None:
    found = given.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
        raise UsageError(f"{key}={str(found)[:80]} is not a whole number from {low:,} to {high:,}.")
    return found


def _twice(columns: tuple[Mapped, ...]) -> list[str]:
    """Gives what a patient would have twice."""
    problems: list[str] = []
    for kinds in (("gender",), ("age", "birth"), ("deceased",)):
        names = [one.name for one in columns if one.kind in kinds]
        if len(names) > 1:
            problems.append(f"{', '.join(names)}: a patient has one {' or '.join(kinds)}; keep one of them.")
    return problems


def _beyond(columns: tuple[Mapped, ...], reference: date | str, schema: Schema) -> list[str]:
    """Gives ages that no calendar has."""
    problems: list[str] = []
    for one in columns:
        high, low = one.column.high, one.column.low
        if one.kind != "age" or high is None or low is None:
            continue
        first = date.fromordinal(int(schema.column(reference).low or 1)) if isinstance(reference, str) else reference
        years = seconds_of(one.unit or "a") / seconds_of("a")
        if low < 0 or first.year - high * years < 2:
            problems.append(f"{one.name}: ages of {low:g} to {high:g} {one.unit} give no birthday before {first}.")
    return problems
