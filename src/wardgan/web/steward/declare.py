"""A schema as a form: what a steward says of each column, and what came from patients and waits for a word."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from wardgan.errors import SchemaError, UsageError
from wardgan.schema.schema import Schema
from wardgan.schema.yaml_text import structure_of

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
    found = [(place, str(name), facts) for place, columns in _places(given) for name, facts in columns.items()]
    mine: dict[str, list[str]] = {f"{place}.{name}.": [] for place, name, _ in found}
    for one in map(str, given.get("confirm") or ()):
        # A name may hold dots, and begin as another one does.
        prefix = max((prefix for prefix in mine if one.startswith(prefix)), key=len, default=None)
        if prefix is not None:
            mine[prefix].append(one.removeprefix(prefix))
    return [Row(place, name, facts, tuple(mine[f"{place}.{name}."])) for place, name, facts in found]


def version_of(given: Mapping[str, Any]) -> str:
    """Gives a digest by which a form tells which schema it showed.

    Args:
        given: What `Schema.to_dict` gives.
    """
    return hashlib.sha256(schema_of(given).to_yaml().encode()).hexdigest()


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
        form: Its fields: `3.low` is about the fourth column; `population`, `version`, and `sure` for what belongs to
            no column.

    Raises:
        SchemaError: A field is not what it should be.
        UsageError: The form showed another schema, of which the fourth column may be another one.
    """
    if form.get("version") != version_of(given):
        raise UsageError("The schema was changed after this page was opened; open the page again.")
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
        found = structure_of(text)
    except SchemaError as error:
        raise SchemaError(f"schema: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
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
    if kind == "flag" or "groups" in found:
        return found
    return found | (_levels(row, number, form) if kind == "category" else _bounds(row, kind, number, form))


def _bounds(row: Row, kind: str, number: int, form: Mapping[str, str]) -> dict[str, Any]:
    said = {name: text for name in _BOUNDS if (text := form.get(f"{number}.{name}", "").strip())}
    if kind == "date":
        return said
    return {name: _number(f"{row.name}: {name}", text) for name, text in said.items()}


def _levels(row: Row, number: int, form: Mapping[str, str]) -> dict[str, Any]:
    text = form.get(f"{number}.levels", "")
    if row.levels and _as_sent(text) == _as_sent(row.levels):
        return {"levels": row.facts["levels"]}
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    whole = all(isinstance(level, int) for level in row.facts.get("levels") or ("",))
    return {"levels": [int(line) if whole and _is_whole(line) else line for line in lines]} if lines else {}


def _as_sent(text: str) -> str:
    # Browsers write the ends of lines in their own way.
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


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
