"""A draft of a mapping file: what can be guessed from a schema, for a person to correct."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import yaml

from wardgan.errors import UsageError
from wardgan.exchange.codes import coding_of, drafted_unit, time_unit, unit_problem, within_a_day
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema
from wardgan.schema.texts import unsafe
from wardgan.schema.visits import Visits

_HEAD: Final = """\
# What the columns become in FHIR and OMOP: a draft, guessed from the schema alone. Correct it.
# Day 0: ages are those of this day, and visits are counted from it. It may be a date column: a day 0 for each patient.
reference: 2020-01-01
omop:
  type: 32880  # where rows come from: standard algorithm
"""
_NO_BIRTH: Final = """\
  # OMOP wants a year of birth of every person. If a year may stand for those who have none, take the sign away:
  # year_of_birth: 1950
"""
_GENDERS: Final = {
    "f": "female", "female": "female", "w": "female", "woman": "female", "m": "male", "male": "male", "man": "male",
    "other": "other", "d": "other", "diverse": "other", "u": "unknown", "unknown": "unknown",
}  # fmt: skip
_GENDER: Final = re.compile(r"(?i)(.*_)?(sex|gender)")
_AGE: Final = re.compile(r"(?i)(patient_)?age(_(years|yrs|at_(admission|baseline|entry|inclusion|randomi[sz]ation)))?")
_BIRTH: Final = re.compile(r"(?i)(date_of_birth|birth_?(date|day)?|dob|born)(_on)?")
_END: Final = re.compile(r"(?i)((.*_)?(died|death|dead|deceased)|death_date)(_(on|date|day))?")
_SLOTS: Final = (
    re.compile(r"(?P<number>\d+) *(?P<unit>[dwmy])(ays?|eeks?|onths?|ears?)?"),
    re.compile(r"(?P<unit>[dwmy])(ay|eek|onth|ear)?s?[ _-]*(?P<number>\d+)"),
)
_DAYS: Final = {"d": 1.0, "w": 7.0, "m": 30.4375, "y": 365.25}
_APART: Final = 30
_OLDEST: Final = 2_000


def draft_concepts(schema: Schema) -> str:
    """Gives a draft of the mapping file for a schema, as YAML with remarks.

    Codes and units of the schema are taken as they are; gender, age, birthday and death are guessed by the names of
    columns. Concepts of OMOP stay 0. The draft fits the schema.

    Args:
        schema: Of tables and visits.

    Raises:
        UsageError: The schema declares images.

    Example:
        >>> schema = Schema.from_dict({"name": "demo", "table": {
        ...     "age": {"kind": "integer", "low": 18, "high": 99, "unit": "a"}, "smoker": {"kind": "flag"}}})
        >>> print(draft_concepts(schema).partition("columns:")[2])
        <BLANKLINE>
          age: {as: age}
          smoker: {as: observation}  # no code
        <BLANKLINE>
    """
    if schema.images is not None:
        raise UsageError(f"the schema {schema.name!r} declares images; FHIR and OMOP files are for tables and visits.")
    roles = _roles(schema)
    lines = [_line(column, roles) for column in schema.columns]
    born = any(kind in ("age", "birth") for kind, _ in roles.values())
    visits = "" if schema.visits is None else _visits(schema.visits)
    return _HEAD + _NO_BIRTH * (not born) + visits + "columns:\n" + "".join(f"  {line}\n" for line in lines)


def _roles(schema: Schema) -> dict[str, tuple[str, str | None]]:
    """Gives which columns say what a patient has once, each with the date column that says when."""
    found: dict[str, tuple[str, str | None]] = {}
    dates = [column for column in schema.table if column.kind == "date"]
    gender = next((one for one in schema.table if _GENDER.fullmatch(one.name) and _says_gender(one)), None)
    birth = next((one for one in dates if _BIRTH.fullmatch(one.name)), None)
    age = next((one for one in schema.table if _AGE.fullmatch(one.name) and _says_age(one)), None)
    for column, kind in ((gender, "gender"), (birth, "birth"), (age if birth is None else None, "age")):
        if column is not None:
            found[column.name] = (kind, None)
    when = next((one.name for one in dates if _END.fullmatch(one.name)), None)
    dead = next((one.name for one in schema.table if one.kind == "flag" and _END.fullmatch(one.name)), None)
    if dead is not None:
        found[dead] = ("deceased", None if dead == schema.events.get("event") else when)
    elif when is not None:
        found[when] = ("deceased", None)
    return found


def _says_gender(column: Column) -> bool:
    return column.kind == "category" and all(str(level).lower() in _GENDERS for level in column.levels)


def _says_age(column: Column) -> bool:
    unit = time_unit(column.unit or "a")
    known = column.kind in ("number", "integer") and unit is not None and not within_a_day(unit)
    return known and (column.low or 0) >= 0 and (column.high or 0) < _OLDEST


def _line(column: Column, roles: Mapping[str, tuple[str, str | None]]) -> str:
    """Gives the line of a column, with what a person should look at behind it."""
    remarks: list[str] = []
    dead = next((name for name, (_, when) in roles.items() if when == column.name), None)
    if dead is not None:
        return _dumped({column.name: None}) + f"  # says when {dead} was"
    if column.name in roles:
        kind, when = roles[column.name]
        entry: dict[str, object] = {"as": kind, **({} if when is None else {"on": when})}
        if kind == "gender":
            entry["levels"] = {str(level): _GENDERS[str(level).lower()] for level in column.levels}
    else:
        number = column.kind in ("number", "integer")
        measured = number and (column.unit is not None or column.code is not None)
        entry = {"as": "measurement" if measured else "observation"}
        _put_code(column, entry, remarks)
        if number and (measured or column.kind == "number"):
            _put_unit(column, entry, remarks)
        _put_texts(column, entry)
    return _dumped({column.name: entry}) + (f"  # {', '.join(remarks)}" if remarks else "")


def _dumped(found: dict[str, object]) -> str:
    (name, entry), *_ = found.items()
    key = yaml.safe_dump([name], default_flow_style=True, allow_unicode=True, width=10**9).strip()[1:-1]
    if entry is None:
        return f"{key}: ~"
    text = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return f"{key}: {text.strip()}"


def _put_code(column: Column, entry: dict[str, object], remarks: list[str]) -> None:
    try:
        if column.code is None:
            remarks.append("no code")
        else:
            coding_of(column.code)
    except UsageError:
        entry["code"] = None
        remarks.append("the code of the schema names no code system")


def _put_unit(column: Column, entry: dict[str, object], remarks: list[str]) -> None:
    if column.unit is None or unit_problem(column.unit) is not None:
        entry["unit"] = drafted_unit(column.unit)
        remarks.append("no unit" if column.unit is None else "the unit of the schema is not written in UCUM")


def _put_texts(column: Column, entry: dict[str, object]) -> None:
    """Gives names and levels that cannot be shown another text."""
    if unsafe(column.name, name=True):
        entry["text"] = f"column {ascii(column.name)[1:-1]}"
    odd = [str(level) for level in column.levels if unsafe(str(level), name=True)]
    if odd:
        entry["levels"] = {level: {"text": f"level {ascii(level)[1:-1]}"} for level in odd}


def _visits(visits: Visits) -> str:
    times = {column.name: column for column in visits.columns if column.numeric}
    head = "visits:\n  class: AMB  # ambulatory; IMP inpatient, EMER emergency, HH home\n"
    if visits.key in times or visits.time is not None:
        own = times.get(visits.key)
        unit = own.unit if own is not None else visits.time.unit if visits.time is not None else None
        dated = own is not None and own.kind == "date"
        return head if dated or time_unit(unit) else head + "  unit: d  # of the times of visits: guessed\n"
    if visits.ragged:
        return head + f"  days: {_APART}  # days from one visit to the next: guessed\n"
    days: dict[str, int] = {}
    for slot in visits.slots:
        days[slot] = _day(slot, max(days.values(), default=-_APART) + _APART)
    return head + f"  days: {_dumped({'days': days}).removeprefix('days: ')}  # guessed from the names\n"


def _day(slot: str, otherwise: int) -> int:
    found = next((match for match in (one.fullmatch(slot.lower().strip()) for one in _SLOTS) if match), None)
    if found is None or len(found["number"]) > 4:
        return otherwise
    return round(int(found["number"]) * _DAYS[found["unit"]])
