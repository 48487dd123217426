"""Names of levels and columns in fields of a form; those that the field's own signs would break stand in quotes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from wardgan.errors import UsageError

_DECODER: Final = json.JSONDecoder()


def levels_text(levels: Mapping[str, object]) -> str:
    """Gives levels as lines such as `old: new`.

    Args:
        levels: From old to new.

    Example:
        >>> print(levels_text({"s": "standard", "12:30": "noon: sharp"}))
        s: standard
        "12:30": noon: sharp
    """
    return "\n".join(f"{_written(str(old), ':')}: {_written(str(new), '')}" for old, new in levels.items())


def level_of(line: str) -> tuple[str, str] | None:
    """Gives the old and the new level of a line; `None` if it says neither.

    Args:
        line: Such as `old: new`.
    """
    old, rest = _first(line, ":")
    new, left = _first(rest[1:], "")
    none = line.strip().startswith(":") or not rest.startswith(":") or left or not rest[1:].strip()
    return None if none else (old, new)


def columns_text(names: Sequence[object]) -> str:
    """Gives names of columns with commas between them.

    Args:
        names: Of columns.

    Example:
        >>> columns_text(["x,y", "z"])
        '"x,y", z'
    """
    return ", ".join(_written(str(name), ",") for name in names)


def columns_of(text: str) -> list[str]:
    """Gives the names of columns in a field; what is between two commas is one, and nothing is none.

    Args:
        text: Names with commas between them.

    Raises:
        UsageError: Something follows a name in quotes.

    Example:
        >>> columns_of(' "x,y", z,, ')
        ['x,y', 'z']
    """
    found: list[str] = []
    while text.strip(" \t\r\n,"):
        name, text = _first(text.lstrip(" \t\r\n,"), ",")
        if text and not text.startswith(","):
            raise UsageError(f"columns: {text[:40]!r} follows a name in quotes; put a comma between names.")
        found.append(name)
    return found


def _first(text: str, end: str) -> tuple[str, str]:
    """Gives the name with which a text begins, and what follows it, from the sign that ends the name."""
    plain = text.strip()
    if plain.startswith('"'):
        try:
            name, at = _DECODER.raw_decode(plain)
        except ValueError:
            pass
        else:
            return str(name), plain[at:].lstrip()
    name, sign, rest = plain.partition(end) if end else (plain, "", "")
    return name.strip(), sign + rest


def _written(name: str, end: str) -> str:
    odd = name.strip() != name or not name or name.startswith('"') or not name.isprintable() or (end and end in name)
    return json.dumps(name, ensure_ascii=not name.isprintable()) if odd else name
