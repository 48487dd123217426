"""One schema for the patients of several hospitals, or why there is none, column by column."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, cast

from wardgan.combining.translate import Source, Translation, level_names, unchanged
from wardgan.errors import SchemaError, UsageError
from wardgan.schema.columns import Column
from wardgan.schema.rules import Rule
from wardgan.schema.schema import Schema
from wardgan.schema.visits import Visits

Have = tuple["Given", Source, Column]
Keep = Literal["common", "all"]
_SHOWN: Final = 8
# A step may be cut into so many parts to hold the values of all.
_PARTS: Final = 101
_EVEN: Final = 1e-7
_OWN_TERMS: Final = {"note": "Each member has terms of its own, and all of them apply."}


@dataclass(frozen=True)
class Given:
    """One of those that shall have a schema together.

    Attributes:
        name: What people call it.
        schema: Its own schema.
        sources: For columns of the common schema where they come from, as somebody declared; others by their name.
    """

    name: str
    schema: Schema
    sources: Mapping[str, Source] = field(default_factory=dict[str, Source])

    def source(self, target: str) -> Source | None:
        """Gives where a column of the common schema comes from; `None` if it is not there."""
        if target in self.sources:
            return self.sources[target]
        taken = {source.name for source in self.sources.values()}
        names = {column.name for column in self.schema.columns}
        return Source(target) if target in names - taken else None


@dataclass(frozen=True)
class Agreement:
    """A schema for all, and how each gets there.

    Attributes:
        schema: The schema of the combined patients.
        translations: For each of them, in order.
        notices: What a person should know: columns that are left out, rules that no longer hold for all.
    """

    schema: Schema
    translations: tuple[Translation, ...]
    notices: tuple[str, ...]


def agreed(
    name: str, given: Sequence[Given], *, keep: Keep | Sequence[str] = "common", union: bool = False
) -> Agreement:  # fmt: skip
    """Gives one schema for the patients of several.

    Bounds become those that hold for all; what may be missing in one may be missing in all; a label is one that is a
    label in all.

    Args:
        name: Name of the combined data set.
        given: At least one.
        keep: Columns that all have (`common`), `all` columns, or their names; where one has none, its patients' cells
            are missing.
        union: Whether categories whose levels differ get the levels of all; otherwise they are refused.

    Raises:
        SchemaError: They do not fit together; the message says why for each column.
        UsageError: A mapping names a column or level that is not there.
    """
    if not given:
        raise UsageError("members: there is none to combine.")
    for one in given:
        _check_sources(one)
    notices: list[str] = []
    problems = _shapes(given)
    table = _merged(given, [one.schema.table for one in given], keep, union=union, said=(problems, notices))
    visits = _visits(given, keep, union=union, said=(problems, notices))
    if isinstance(keep, Sequence) and not isinstance(keep, str):
        known = {column.name for column in (*table, *(visits.columns if visits else ()))}
        problems += [f"{column}: no member has it." for column in keep if column not in known]
    if not problems and not table and visits is None and given[0].schema.images is None:
        problems.append("they have no column in common; name the columns to keep, or map some onto each other.")
    if problems:
        raise SchemaError("These schemas cannot be combined:\n" + "\n".join(f"- {line}" for line in problems))
    schema = _schema(name, given, table, visits, notices)
    return Agreement(schema, tuple(_translation(one, schema) for one in given), tuple(notices))


def _translation(one: Given, schema: Schema) -> Translation:
    sources = {column.name: one.source(column.name) for column in schema.columns}
    return Translation(one.schema, schema, {name: source for name, source in sources.items() if source is not None})


def _check_sources(one: Given) -> None:
    """Refuses mappings from what is not there."""
    for target, source in one.sources.items():
        column = next((column for column in one.schema.columns if column.name == source.name), None)
        if column is None:
            raise UsageError(f"{one.name}: {target} is mapped from {source.name!r}, which is no column of its schema.")
        if (source.times, source.plus) != (1, 0) and column.kind not in ("number", "integer"):
            raise UsageError(f"{one.name}: {target} is multiplied or moved, but {source.name!r} is a {column.kind}.")
        if not (math.isfinite(source.times) and source.times != 0 and math.isfinite(source.plus)):
            raise UsageError(f"{one.name}: {target}: times and plus are finite numbers, and times is not 0.")
        unknown = sorted(set(source.levels) - set(map(str, column.levels)))
        if unknown:
            raise UsageError(f"{one.name}: {target}: {unknown[0]!r} is no level of {source.name!r}.")


def _shapes(given: Sequence[Given]) -> list[str]:
    """Gives why tables, visits and images do not fit together."""
    first, problems = given[0], list[str]()
    for one in given[1:]:
        if one.schema.images != first.schema.images:
            problems.append(f"images: {_look(first)}, {_look(one)}; images of one size and kind only.")
        mine, theirs = one.schema.visits, first.schema.visits
        if (mine is None) != (theirs is None):
            who = first if mine is None else one
            problems.append(f"visits: {who.name} has visits, {(one if who is first else first).name} has none.")
        elif mine is not None and theirs is not None and _grid(mine) != _grid(theirs):
            problems.append(f"visits: {first.name} and {one.name} have other visits (key, grid or their number).")
    return list(dict.fromkeys(problems))


def _look(one: Given) -> str:
    look = one.schema.images
    return f"{one.name} has none" if look is None else f"{one.name} has {look.to_dict()}"


def _grid(visits: Visits) -> tuple[object, ...]:
    return visits.key, visits.slots, visits.time, visits.ragged


def _merged(
    given: Sequence[Given], tables: Sequence[Sequence[Column]], keep: Keep | Sequence[str], *, union: bool,
    said: tuple[list[str], list[str]],
) -> tuple[Column, ...]:  # fmt: skip
    """Gives the columns of all, in the order of the first one."""
    problems, notices = said
    found: list[Column] = []
    for name in _targets(given, tables):
        have = _who_has(name, given, tables)
        everywhere = len(have) == len(given)
        wanted = everywhere or keep == "all" if isinstance(keep, str) else name in keep
        if not wanted:
            notices += _left_out(name, given, have)
            continue
        wrong = _faults(name, have, union=union)
        problems += wrong
        if not wrong:
            column = _column(name, have)
            notices += _about_units(name, column, have)
            found.append(column if everywhere else replace(column, nullable=True, label=False))
            if not everywhere:
                notices.append(f"{name}: missing in patients of {_without(given, have)}.")
    return tuple(found)


def _who_has(name: str, given: Sequence[Given], tables: Sequence[Sequence[Column]]) -> list[Have]:
    found: list[Have] = []
    for one, table in zip(given, tables, strict=True):
        source = one.source(name)
        column = next((each for each in table if source is not None and each.name == source.name), None)
        if source is not None and column is not None:
            found.append((one, source, column))
    return found


def _left_out(name: str, given: Sequence[Given], have: Sequence[Have]) -> list[str]:
    if len(have) == len(given):
        return [f"{name}: left out."]
    verb = "has" if len(given) - len(have) == 1 else "have"
    return [f"{name}: left out, since {_without(given, have)} {verb} no such column."]


def _targets(given: Sequence[Given], tables: Sequence[Sequence[Column]]) -> list[str]:
    names: dict[str, None] = {}
    for one, table in zip(given, tables, strict=True):
        here = {column.name for column in table}
        renamed = {source.name: target for target, source in one.sources.items()}
        names |= dict.fromkeys(renamed.get(column.name, column.name) for column in table)
        names |= dict.fromkeys(target for target, source in one.sources.items() if source.name in here)
    return list(names)


def _without(given: Sequence[Given], have: Sequence[Have]) -> str:
    there = {one.name for one, _, _ in have}
    names = [one.name for one in given if one.name not in there]
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _faults(name: str, have: Sequence[Have], *, union: bool) -> list[str]:
    """Gives why the declarations of one column cannot be joined."""
    first, source, column = have[0]
    found: list[str] = []
    for one, other_source, other in have[1:]:
        kinds = {column.kind, other.kind}
        if len(kinds) > 1 and kinds != {"number", "integer"}:
            found.append(f"{name}: a {column.kind} in {first.name}, a {other.kind} in {one.name}.")
            continue
        plain = source.plain and other_source.plain
        if plain and column.numeric and None not in (column.unit, other.unit) and column.unit != other.unit:
            found.append(
                f"{name}: in {column.unit} in {first.name}, in {other.unit} in {one.name}; map one onto the other "
                f"(times, plus)."
            )
        dates = (column.after, column.origin), (other.after, other.origin)
        if dates[0] != dates[1]:
            found.append(f"{name}: other declarations of after or origin in {first.name} and {one.name}.")
        ours, theirs = set(level_names(column, source.levels)), set(level_names(other, other_source.levels))
        if ours != theirs and not union:
            only = [
                f"only {who.name} has {_some(more)}"
                for who, more in ((first, ours - theirs), (one, theirs - ours))
                if more
            ]
            found.append(f"{name}: {', '.join(only)}; map levels onto each other, or keep all (levels: all).")
    return found


def _some(levels: Iterable[str]) -> str:
    names = sorted(levels)
    return ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")


def _column(name: str, have: Sequence[Have]) -> Column:
    """Gives the declaration that holds for all."""
    columns = [column for _, _, column in have]
    base = next((column for _, source, column in have if source.plain), columns[0])
    shared: dict[str, object] = {
        "name": name,
        "nullable": any(column.nullable for column in columns),
        "label": all(column.label for column in columns),
        "sensitive": any(column.sensitive for column in columns),
        "learn": False,
        "code": _same([column.code for column in columns]),
        "scale": _same([column.scale for column in columns]),
        "unit": next((column.unit for _, source, column in have if source.plain and column.unit is not None), None),
    }
    if base.numeric:
        return replace(base, **shared, **_bounds(base, have))  # pyright: ignore[reportArgumentType]
    levels: dict[str, object] = {}
    for _, source, column in have:
        levels |= {text: level for level, text in zip(column.levels, level_names(column, source.levels), strict=True)}
    same = len({column.groups for column in columns}) == 1 and all(not source.levels for _, source, _ in have)
    if base.kind == "flag" or (same and base.groups):
        return replace(base, **shared)  # pyright: ignore[reportArgumentType]
    named = tuple(level if str(level) == text else text for text, level in levels.items())
    return replace(base, **shared, levels=named, groups=())  # pyright: ignore[reportArgumentType]


def _bounds(base: Column, have: Sequence[Have]) -> dict[str, object]:
    """Gives bounds that hold for all, and a step that all values have."""
    if base.after is not None:
        return {"low": None, "high": None, "within": max(cast("int", column.within) for _, _, column in have)}
    if base.origin:
        return {}
    ends = [
        cast("float", end) * source.times + source.plus
        for _, source, column in have
        for end in (column.low, column.high)
    ]
    low, high = min(ends), max(ends)
    if base.kind == "date":
        return {"low": low, "high": high}
    plain = [column for _, source, column in have if source.plain]
    mixed = {column.kind for _, _, column in have} == {"number", "integer"}
    step = _common_step(plain)
    if step is not None:
        # The grid goes on below the values that have it.
        first = cast("float", plain[0].low)
        low = first - step * math.ceil(round((first - low) / step, 6))
    if base.kind == "integer" and not mixed:
        return {"low": math.floor(low), "high": math.ceil(high), "step": step if step is not None and plain else 1.0}
    return {"kind": "number", "low": low, "high": _on_grid(low, high, step), "step": step}


def _common_step(columns: Sequence[Column]) -> float | None:
    """Gives a step on which, from the first one's `low`, all values of some columns lie; `None` if there is none."""
    steps = [column.step for column in columns]
    if not columns or None in steps:
        return None
    for part in range(1, _PARTS):
        step = min(cast("list[float]", steps)) / part
        offsets = [(cast("float", column.low) - cast("float", columns[0].low)) / step for column in columns]
        if all(abs(one - round(one)) < _EVEN for one in (*offsets, *(cast("float", each) / step for each in steps))):
            return step
    return None


def _on_grid(low: float, high: float, step: float | None) -> float:
    """Gives the first value of a grid that is not below `high`."""
    return high if step is None else low + step * math.ceil(round((high - low) / step, 6))


def _about_units(name: str, column: Column, have: Sequence[Have]) -> list[str]:
    """Gives what a person should know of the units of a column."""
    if any(each.unit is not None for _, _, each in have) and column.unit is None:
        return [f"{name}: its values are mapped in all members, so nobody knows its unit."]
    silent = [one.name for one, source, each in have if source.plain and column.unit and each.unit is None]
    return [f"{name}: {', '.join(silent[:_SHOWN])} declares no unit; it is taken for {column.unit}."] if silent else []


def _same(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _means(rule: Rule, first: Schema, other: Schema, columns: Mapping[str, Column]) -> bool:
    """Tells whether another schema has a rule, with the same meaning of all levels, on values that are not moved."""
    if all(one.text != rule.text for one in other.rules):
        return False
    return all(
        first.column(name).levels == other.column(name).levels
        and unchanged(other.column(name), columns[name], Source(name))
        for name in rule.names
    )


def _visits(
    given: Sequence[Given], keep: Keep | Sequence[str], *, union: bool, said: tuple[list[str], list[str]]
) -> Visits | None:
    found = [one.schema.visits for one in given]
    if any(one is None for one in found):
        return None
    visits = [one for one in found if one is not None]
    if len({_grid(one) for one in visits}) > 1:
        return None
    columns = _merged(given, [one.columns for one in visits], keep, union=union, said=said)
    if not columns:
        return None
    return replace(visits[0], columns=columns, complete=all(one.complete for one in visits))


def _schema(
    name: str, given: Sequence[Given], table: tuple[Column, ...], visits: Visits | None, notices: list[str]
) -> Schema:
    schemas = [one.schema for one in given]
    first = schemas[0]
    columns = {column.name: column for column in (*table, *(visits.columns if visits else ()))}
    names = set(columns)
    renamed = {source.name for one in given for source in one.sources.values()} | {
        target for one in given for target in one.sources
    }
    rules = tuple(
        rule
        for rule in first.rules
        if set(rule.names) <= names - renamed and all(_means(rule, first, one, columns) for one in schemas)
    )
    lost = {rule.text for schema in schemas for rule in schema.rules} - {rule.text for rule in rules}
    notices += [
        f"rule {text!r}: not all members have it on the same columns, so it is not promised." for text in sorted(lost)
    ]
    events = first.events if all(schema.events == first.events for schema in schemas) else {}
    events = events if set(events.values()) <= names - renamed else {}
    if not events and any(schema.events for schema in schemas):
        notices.append("events: not the same in all members, so they are left out.")
    sizes = [schema.population for schema in schemas]
    terms, said = terms_of(schemas)
    notices += said
    return Schema(
        name=name,
        patient=next((schema.patient for schema in schemas if schema.patient is not None), None),
        table=table,
        population=None if None in sizes else sum(cast("list[int]", sizes)),
        visits=visits,
        events=events,
        rules=rules,
        terms=terms,
        images=first.images,
    )


def terms_of(schemas: Sequence[Schema]) -> tuple[Mapping[str, object], list[str]]:
    """Gives the terms of a whole, and what a person should know: one member's are not those of all.

    Args:
        schemas: Of the members, at least one.
    """
    first = schemas[0].terms
    if all(schema.terms == first for schema in schemas):
        return first, []
    return _OWN_TERMS, ["terms: not the same in all members; the file says that each has its own, and that all apply."]
