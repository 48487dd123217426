"""A foreign `mixture.json`: what it says, checked, and how its members' patients get into the common schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

from wardgan.combining.records import VERSION, MemberRecord, MixtureRecord, name_problem
from wardgan.combining.translate import Source, Translation, level_names
from wardgan.errors import FormatError, VersionError
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema
from wardgan.seal import records


def read_record(found: object) -> MixtureRecord:
    """Gives `mixture.json` as a record.

    Args:
        found: Its parsed JSON.

    Raises:
        VersionError: It is newer than this package.
        FormatError: It is none.
    """
    given = cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}
    major = str(given.get("version")).partition(".")[0]
    if major.isdecimal() and int(major[:9]) > int(VERSION.partition(".")[0]):
        raise VersionError(f"mixture.json: version {major} is newer than {VERSION}; upgrade wardgan to read it.")
    record = records.read(MixtureRecord, found, "mixture.json")
    if len({member.name for member in record.members}) < len(record.members):
        raise FormatError("mixture.json: two members have the same name.")
    problem = next(filter(None, (name_problem(member.name) for member in record.members)), None)
    if problem is not None:
        raise FormatError(f"mixture.json: {problem}; combine again with another name for it in a recipe.")
    said = record.privacy
    if (said.mode == "private") != (said.epsilon is not None) or (said.epsilon is None) != (said.delta is None):
        raise FormatError("mixture.json: privacy: epsilon and delta stand with mode private, and only there.")
    if any(one.times == 0 for member in record.members for one in member.columns.values()):
        raise FormatError("mixture.json: times is 0.")
    return record


def translation(member: MemberRecord, source: Schema, target: Schema) -> Translation:
    """Gives how a member's patients get into the common schema.

    Args:
        member: What its record says.
        source: The member's schema.
        target: The common schema.

    Raises:
        FormatError: A column or level is not there, or cannot be missing.
    """
    say = partial("mixture.json: {}: {}".format, member.name)
    ours = {column.name: column for column in target.columns}
    theirs = {column.name: column for column in source.columns}
    unknown = [name for name in member.columns if name not in ours]
    unknown += [one.column for one in member.columns.values() if one.column not in theirs]
    if unknown:
        raise FormatError(say(f"there is no column {unknown[0]!r}."))
    if (source.visits is None) != (target.visits is None) or source.images != target.images:
        raise FormatError(say("its visits or images are not those of the common schema."))
    found: dict[str, Source] = {}
    static = {column.name for column in target.table}, {column.name for column in source.table}
    for name, column in ours.items():
        if name not in member.columns:
            if not column.nullable:
                raise FormatError(say(f"has no {name!r}, which cannot be missing."))
            continue
        one = member.columns[name]
        given = theirs[one.column]
        found[name] = Source(one.column, one.times, one.plus, one.levels)
        _check_pair(say, given, column, found[name], same_place=(name in static[0]) == (given.name in static[1]))
    labels = {column.name for column in target.labels}
    if any(found[name].name not in {column.name for column in source.labels} for name in labels):
        raise FormatError(say("a label of the common schema is none of its own."))
    return Translation(source, target, found)


def _check_pair(
    say: Callable[[str], str], given: Column, column: Column, source: Source, *, same_place: bool
) -> None:  # fmt: skip
    if not same_place or given.numeric != column.numeric or (given.kind == "date") != (column.kind == "date"):
        raise FormatError(say(f"{column.name!r} cannot come from {given.name!r}."))
    if not column.numeric:
        lost = [name for name in level_names(given, source.levels) if name not in column.places]
        if lost:
            raise FormatError(say(f"{column.name!r} has no level {lost[0][:60]!r}."))
    if given.nullable and not column.nullable:
        raise FormatError(say(f"{column.name!r} may be missing in {given.name!r}."))
