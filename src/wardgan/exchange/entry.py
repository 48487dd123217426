"""One column of the mapping file: what it becomes, and what its levels mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from wardgan.errors import UsageError
from wardgan.exchange.codes import (
    Coding,
    Concept,
    coding_of,
    named,
    plain_code,
    system_of,
    time_unit,
    unit_problem,
    within_a_day,
)
from wardgan.schema.columns import Column, Level
from wardgan.schema.schema import Schema
from wardgan.schema.texts import formula, travels, unsafe
from wardgan.schema.visits import refuse_unknown

As = Literal["gender", "age", "birth", "deceased", "observation", "measurement", "condition", "medication"]
KINDS: Final = get_args(As)
PERSON: Final = ("gender", "age", "birth", "deceased")
GENDERS: Final = ("male", "female", "other", "unknown")
CATEGORIES: Final = (
    "social-history", "vital-signs", "imaging", "laboratory", "procedure", "survey", "exam", "therapy", "activity",
)  # fmt: skip
LARGEST_ID: Final = 2**31 - 1
_MEANT: Final = ("code", "display", "text", "omop")
_EVENT: Final = ("as", "levels", "system", "on", "after", *_MEANT)
_MEASURE: Final = (*_EVENT, "unit", "unit_omop", "category")
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "gender": ("as", "levels"), "age": ("as", "unit"), "birth": ("as",), "deceased": ("as", "levels", "on", "after"),
    "observation": _MEASURE, "measurement": _MEASURE, "condition": _EVENT, "medication": _EVENT,
}  # fmt: skip
_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "gender": ("category", "flag"), "age": ("number", "integer"), "birth": ("date",),
    "deceased": ("flag", "category", "date"), "condition": ("flag", "category", "date"),
    "medication": ("flag", "category", "date"),
}  # fmt: skip


@dataclass(frozen=True)
class Mapped:
    """A column and what it becomes.

    Attributes:
        column: The column.
        number: Its place among the columns of the schema.
        visit: Whether it is measured at visits.
        kind: What it becomes.
        concept: What the column is about.
        levels: What each level means, in the order of the schema: a concept, a word for a gender, true or false for
            who is deceased, `None` for nothing. Empty for other columns than categories and flags.
        unit: UCUM unit of a number; `None` for none.
        unit_omop: Concept of that unit.
        category: What kind of observation it is.
        on: Date column that says when it was.
        after: Number column that says how long after the reference date it was.
    """

    column: Column
    number: int
    visit: bool
    kind: As
    concept: Concept
    levels: tuple[Concept | str | bool | None, ...] = ()
    unit: str | None = None
    unit_omop: int = 0
    category: str | None = None
    on: str | None = None
    after: str | None = None

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.column.name

    @property
    def coded(self) -> bool:
        """Whether the thing itself, and not its value, depends on the level: what a patient has or takes."""
        return self.kind in ("condition", "medication") and self.column.kind == "category"


def entry_of(column: Column, found: object, schema: Schema) -> Mapped:
    """Reads what the mapping file says of one column.

    Args:
        column: The column.
        found: A mapping such as `{as: measurement, code: "LOINC 8480-6"}`, or the word that stands after `as`.
        schema: Where the column stands.

    Raises:
        UsageError: Says what is wrong, without the name of the column.
    """
    if not isinstance(found, (str, Mapping)):
        raise UsageError("it is a mapping such as {as: observation}, or ~ to leave the column out.")
    given = {"as": found} if isinstance(found, str) else _texts(cast("Mapping[object, object]", found))
    kind = given.get("as")
    if kind not in KINDS:
        raise UsageError(f"as={_short(kind)} is not one of {', '.join(KINDS)}.")
    kind = cast("As", kind)
    refuse_unknown(given, _KEYS[kind], f"as: {kind}")
    _refuse_formulas(column)
    visit = column not in schema.table
    if visit and kind in PERSON:
        raise UsageError(f"as: {kind} is for a column of the table, and this one is measured at visits.")
    if column.kind not in _COLUMNS.get(kind, (column.kind,)):
        raise UsageError(f"as: {kind} is for {' or '.join(_COLUMNS[kind])}, and the column is kind={column.kind}.")
    on, after = _when(column, given, schema, visit=visit)
    return Mapped(
        column=column,
        number=schema.columns.index(column),
        visit=visit,
        kind=kind,
        concept=_concept(column, given, kind),
        levels=_levels(column, given, kind),
        unit=_unit(column, given, kind),
        unit_omop=_number(given, "unit_omop"),
        category=_category(given),
        on=on,
        after=after,
    )


def _texts(found: Mapping[object, object]) -> dict[str, object]:
    return {str(key): value for key, value in found.items()}


def _refuse_formulas(column: Column) -> None:
    """Refuses what the schema says of the column if a spreadsheet program would run it: OMOP files are CSV."""
    for what, text in [("unit", column.unit), ("code", column.code), *(("level", str(one)) for one in column.levels)]:
        if text is not None and formula(text):
            raise UsageError(
                f"of the schema, {what}={text[:80]!a} would be run as a formula by a spreadsheet program; write it "
                "otherwise there, or leave the column out with ~."
            )


def _short(value: object) -> str:
    return repr(value)[:80]


def _concept(column: Column, given: Mapping[str, object], kind: As) -> Concept:
    """Gives what the column is about: what the file says, or else the code that the schema declares."""
    text = _text(given, "text") or column.name
    if not travels(text):
        raise UsageError("its name cannot be shown in a resource, or is a formula for spreadsheets; give a text.")
    by_level = kind in ("condition", "medication") and column.kind == "category"
    if kind in PERSON or by_level:
        if by_level and {"code", "display", "omop"} & set(given):
            raise UsageError("code, display, omop: each level has its own; write them under levels, or give a system.")
        return Concept(text)
    if "code" in given:
        coding = None if given["code"] is None else coding_of(_text(given, "code") or "", _text(given, "display"))
    else:
        coding = _declared(column, _text(given, "display"))
    return Concept(text, coding, _number(given, "omop"))


def _declared(column: Column, display: str | None) -> Coding | None:
    if column.code is None:
        return None
    try:
        return coding_of(column.code, display)
    except UsageError as error:
        raise UsageError(f"of the schema, {error} Or say `code: ~` for none.") from None


def _unit(column: Column, given: Mapping[str, object], kind: As) -> str | None:
    said = _text(given, "unit")
    if column.kind not in ("number", "integer"):
        if said is not None:
            raise UsageError(f"unit is for numbers, and the column is kind={column.kind}.")
        return None
    declared = column.unit if column.unit is None or unit_problem(column.unit) is None else None
    if said is not None and declared is not None and said != declared:
        raise UsageError(f"unit={said!r}, but the schema declares {declared!r}, and values are not converted.")
    if kind == "age":
        return _age_unit(said or column.unit)
    unit = said or declared
    if unit is None and column.unit is not None:
        raise UsageError(f"of the schema, {unit_problem(column.unit)} Give the unit here.")
    if unit is None and (kind == "measurement" or column.kind == "number"):
        raise UsageError('it has no unit; give a UCUM unit, "1" for a pure number.')
    problem = None if unit is None else unit_problem(unit)
    if problem:
        raise UsageError(problem)
    return unit


def _age_unit(unit: str | None) -> str:
    found = time_unit(unit or "a")
    if found is None or within_a_day(found):
        raise UsageError(f"unit={unit!r} is no unit of an age; it is in a (years), mo, wk or d.")
    return found


def _category(given: Mapping[str, object]) -> str | None:
    found = _text(given, "category")
    if found is not None and found not in CATEGORIES:
        raise UsageError(f"category={found!r} is not one of {', '.join(CATEGORIES)}.")
    return found


def _levels(
    column: Column, given: Mapping[str, object], kind: As
) -> tuple[Concept | str | bool | None, ...]:  # fmt: skip
    if column.numeric:
        if "levels" in given or "system" in given:
            raise UsageError(f"levels, system: a column of kind={column.kind} has none.")
        return ()
    said = _said_levels(column, given)
    if kind == "gender":
        return tuple(_gender(level, said) for level in column.levels)
    if kind == "deceased":
        return tuple(_deceased(level, said, column) for level in column.levels)
    if column.kind == "flag":
        if said or "system" in given:
            raise UsageError("levels, system: a flag is true or false; give the column a code.")
        return (False, True)
    name = _text(given, "system")
    system = None if name is None else system_of(name)
    if name is not None and system is None:
        raise UsageError(f"system={name[:80]!r} is no code system that is known by name; write its address.")
    silent = kind in ("observation", "measurement")
    return tuple(_meant(level, said, (name, system), silent=silent) for level in column.levels)


def _said_levels(column: Column, given: Mapping[str, object]) -> dict[str, object]:
    found = given.get("levels", {})
    if not isinstance(found, Mapping):
        raise UsageError("levels: is a mapping from levels to what they mean.")
    said = {_level(key): value for key, value in cast("Mapping[object, object]", found).items()}
    for level in said:
        if level not in column.places:
            shown = ", ".join(map(str, column.levels[:20]))
            raise UsageError(f"levels: {level[:80]!r} is no level of the column; it has {shown}.")
    return said


def _level(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _gender(level: Level, said: Mapping[str, object]) -> str | None:
    found = said.get(str(level), str(level).lower())
    if found is not None and found not in GENDERS:
        raise UsageError(f"levels: give for {str(level)[:80]!r} one of {', '.join(GENDERS)}, or ~ for nothing.")
    return cast("str | None", found)


def _deceased(level: Level, said: Mapping[str, object], column: Column) -> bool | None:
    found = said.get(str(level), (level == "true") if column.kind == "flag" else "")
    if found is not None and not isinstance(found, bool):
        raise UsageError(f"levels: give for {str(level)[:80]!r} true, false, or ~ for not known.")
    return found


def _meant(
    level: Level, said: Mapping[str, object], system: tuple[str | None, str | None], *, silent: bool
) -> Concept | None:
    """Gives what a level means; without a word about it, its own text, if that says all (`silent`)."""
    text = str(level)
    if text in said:
        found = said[text]
        if found is None:
            return None
        given = {"code": found} if isinstance(found, str) else _texts(_mapping(found, f"levels: {text[:80]}"))
        refuse_unknown(given, _MEANT, f"levels: {text[:80]}")
        code = _text(given, "code")
        coding = None if code is None else coding_of(code, _text(given, "display"))
        return _spoken(Concept(_text(given, "text") or text, coding, _number(given, "omop")))
    name, address = system
    if name is not None and address is not None:
        return _spoken(Concept(text, Coding(address, plain_code(text), named(name, text))))
    if not silent:
        raise UsageError(
            f"levels: {text[:80]!r} has no code; give one, ~ for nothing, or a system of which levels are codes."
        )
    return _spoken(Concept(text))


def _spoken(concept: Concept) -> Concept:
    if not travels(concept.text):
        raise UsageError(
            f"levels: {concept.text[:80]!a} cannot be shown in a resource, or is a formula for spreadsheets; give it a "
            "text."
        )
    return concept


def _mapping(found: object, what: str) -> Mapping[object, object]:
    if not isinstance(found, Mapping):
        raise UsageError(f'{what}: is a code such as "SNOMED 38341003", ~, or a mapping with code, text and omop.')
    return cast("Mapping[object, object]", found)


def _text(given: Mapping[str, object], key: str) -> str | None:
    found = given.get(key)
    if found is None:
        return None
    if not isinstance(found, str) or not found.strip() or unsafe(found, name=True):
        raise UsageError(f"{key}={_short(found)} is not a text; put it into quotes.")
    if formula(found):
        raise UsageError(
            f"{key}={_short(found)} would be run as a formula by a spreadsheet program; write it otherwise."
        )
    return found


def _number(given: Mapping[str, object], key: str) -> int:
    found = given.get(key, 0)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= LARGEST_ID:
        raise UsageError(f"{key}={_short(found)} is no number of a concept: a whole number from 0 to 2,147,483,647.")
    return found


def _other(given: Mapping[str, object], key: str, known: tuple[str, ...]) -> str | None:
    found = given.get(key)
    if found is None:
        return None
    if found not in known:
        what = "dates of the same place" if key == "on" else "numbers of the table in a unit of time"
        raise UsageError(f"{key}={_short(found)} is no column that says when; {what}: {', '.join(known) or 'none'}.")
    return cast("str", found)


def _when(column: Column, given: Mapping[str, object], schema: Schema, *, visit: bool) -> tuple[str | None, str | None]:
    """Gives the columns that say when it was, `on` and `after`: of an event with a time that is this time."""
    dates = tuple(one.name for one in (schema.columns if visit else schema.table) if one.kind == "date")
    timed = schema.events.get("time")
    spans = tuple(
        one.name
        for one in (() if visit else schema.table)
        if one.kind in ("number", "integer") and (time_unit(one.unit) is not None or one.name == timed)
    )
    on, after = _other(given, "on", dates), _other(given, "after", spans)
    if on is not None and after is not None:
        raise UsageError("on, after: they say the same thing; keep one.")
    if timed is None or column.name != schema.events.get("event") or {"on", "after"} & set(given):
        return on, after
    return (timed, None) if timed in dates else (None, timed)
