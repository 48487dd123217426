"""A schema as a form: what a steward says of each column, and what came from patients and waits for a word."""

from __future__ import annotations

import io
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from wardgan.errors import SchemaError
from wardgan.schema.schema import Schema

KINDS: Final = ("number", "integer", "category", "flag", "date")
_FLAGS: Final = ("nullable", "label", "sensitive", "learn")
_TEXTS: Final = ("unit", "code")
_BOUNDS: Final = ("low", "high")


@dataclass(frozen=True)
class Row:
    """A column in the form.

    Attributes:
        place: `table` or `visits.columns`.
        name: Of the column.
        facts: What is declared.
        waiting: What of it came from patients.
    """

    place: str
    name: str
    facts: Mapping[str, Any]
    waiting: tuple[str, ...]

    @property
    def levels(self) -> str:
        """Levels, one a line."""
        return "\n".join(str(level) for level in self.facts.get("levels") or ())


def rows_of(given: Mapping[str, Any]) -> list[Row]:
    """Gives a schema as rows of a form.

    Args:
        given: What `Schema.to_dict` gives.
    """
    waiting = [str(one) for one in given.get("confirm") or ()]
    found = []
    for place, columns in _places(given):
        for name, facts in columns.items():
            prefix = f"{place}.{name}."
            mine = tuple(one.removeprefix(prefix) for one in waiting if one.startswith(prefix))
            found.append(Row(place, str(name), facts, mine))
    return found


def others_waiting(given: Mapping[str, Any]) -> list[str]:
    """Gives what came from patients and belongs to no column.

    Args:
        given: What `Schema.to_dict` gives.
    """
    mine = {f"{row.place}.{row.name}.{what}" for row in rows_of(given) for what in row.waiting}
    return [str(one) for one in given.get("confirm") or () if str(one) not in mine]


def declared(given: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    """Gives a schema with what a form says.

    Args:
        given: The schema that the form showed.
        form: Its fields: `3.low` is about the fourth column; `population`, `name`, and `sure` for what belongs to no
            column.

    Raises:
        SchemaError: A field is not what it should be.
    """
    found = deepcopy(dict(given))
    waiting = set(map(str, found.get("confirm") or ()))
    for number, row in enumerate(rows_of(given)):
        columns = _columns(found, row.place)
        if f"{number}.drop" in form:
            del columns[row.name]
        else:
            columns[row.name] = _column(row, number, form)
        if f"{number}.sure" in form or f"{number}.drop" in form:
            waiting -= {f"{row.place}.{row.name}.{what}" for what in row.waiting}
    if "sure" in form:
        waiting -= set(others_waiting(given))
    found["population"] = _whole("population", form.get("population", ""))
    found["confirm"] = [one for one in found.get("confirm") or () if str(one) in waiting] or None
    return {key: value for key, value in found.items() if value is not None}


def schema_of(found: Mapping[str, Any]) -> Schema:
    """Gives a schema of what a form says, as if it was read from its file.

    Args:
        found: What `declared` gave.

    Raises:
        SchemaError: It is no schema.
    """
    return Schema.from_dict(dict(found))


def from_text(text: str) -> dict[str, Any]:
    """Gives a schema that somebody wrote as YAML.

    Args:
        text: The YAML.

    Raises:
        SchemaError: It is none.
    """
    try:
        found = yaml.safe_load(io.StringIO(text))
    except yaml.YAMLError as error:
        raise SchemaError(f"schema: it is not YAML: {' '.join(str(error).split())[:300]}.") from error
    if not isinstance(found, dict):
        raise SchemaError("schema: it is not a mapping of names to values.")
    return Schema.from_dict(cast("dict[str, Any]", found)).to_dict()


def for_fit(schema: Schema, share: float) -> Schema:
    """Gives the schema of those who are fitted to, of whom there are fewer than in the file.

    Args:
        schema: What is declared of all.
        share: Which part is set aside.
    """
    found = schema.to_dict()
    if schema.population is not None:
        found["population"] = max(1, round(schema.population * (1 - share)))
    return Schema.from_dict(found)


def load(path: Path) -> dict[str, Any]:
    """Gives a schema file as a mapping.

    Args:
        path: The file.
    """
    return Schema.load(path).to_dict()


def _column(row: Row, number: int, form: Mapping[str, str]) -> dict[str, Any]:
    """Gives what a form says of a column; what it does not show stays as it is."""
    found = {key: value for key, value in row.facts.items() if key not in (*_FLAGS, *_TEXTS, *_BOUNDS, "levels")}
    kind = form.get(f"{number}.kind", "")
    if kind not in KINDS:
        raise SchemaError(f"{row.name}: kind={kind[:20]!r} is not one of {', '.join(KINDS)}.")
    # What a column of another kind said about its values has no meaning any more.
    found = {"kind": kind} if kind != row.facts.get("kind") else found
    found |= {name: True for name in _FLAGS if f"{number}.{name}" in form}
    found |= {name: text for name in _TEXTS if (text := form.get(f"{number}.{name}", "").strip())}
    values = _levels(row, number, form) if kind in ("category", "flag") else _bounds(row, kind, number, form)
    return found | ({} if "groups" in found else values)


def _bounds(row: Row, kind: str, number: int, form: Mapping[str, str]) -> dict[str, Any]:
    said = {name: text for name in _BOUNDS if (text := form.get(f"{number}.{name}", "").strip())}
    if kind == "date":
        return said
    return {name: _number(f"{row.name}: {name}", text) for name, text in said.items()}


def _levels(row: Row, number: int, form: Mapping[str, str]) -> dict[str, Any]:
    lines = [line.strip() for line in form.get(f"{number}.levels", "").splitlines() if line.strip()]
    whole = all(isinstance(level, int) for level in row.facts.get("levels") or ("",))
    return {"levels": [int(line) if whole and _is_whole(line) else line for line in lines]} if lines else {}


def _places(given: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Mapping[str, Any]]]]:
    visits = given.get("visits") or {}
    return [("table", given.get("table") or {}), ("visits.columns", visits.get("columns") or {})]


def _columns(found: dict[str, Any], place: str) -> dict[str, Any]:
    return found["table"] if place == "table" else found["visits"]["columns"]


def _number(what: str, text: str) -> float | int:
    try:
        return int(text) if _is_whole(text) else float(text)
    except ValueError as error:
        raise SchemaError(f"{what}={text[:30]!r} is not a number.") from error


def _whole(what: str, text: str) -> int | None:
    plain = text.strip().replace(",", "")
    if not plain:
        return None
    if not _is_whole(plain):
        raise SchemaError(f"{what}={text[:30]!r} is not a whole number.")
    return int(plain)


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdecimal() and text.isascii() and len(text) < 16
