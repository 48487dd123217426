"""What a researcher asks for on the command line, such as `arm=intensive` or `age=65..80`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import cast

from wardgan.errors import UsageError
from wardgan.sample.conditions import Wanted
from wardgan.schema.columns import Column, Level
from wardgan.schema.schema import Schema

_FLAGS = {"yes": "true", "1": "true", "no": "false", "0": "false"}


def parse_where(texts: Sequence[str], schema: Schema) -> dict[str, Wanted]:
    """Gives conditions as `Generator.sample` takes them.

    Args:
        texts: One condition each: `column=level`, `column=level|level`, `column=number`, or `column=low..high` with
            both ends included; an end that is left out is the declared bound.
        schema: The generator's schema.

    Raises:
        UsageError: A text is no condition, a column is named twice or is not there, or an end is no number or date.

    Example:
        >>> schema = Schema.from_dict({"name": "demo", "table": {
        ...     "arm": {"kind": "category", "levels": ["standard", "intensive"]},
        ...     "age": {"kind": "integer", "low": 18, "high": 110}}})
        >>> parse_where(["arm=intensive|standard", "age=65..80"], schema)
        {'arm': ['intensive', 'standard'], 'age': (65.0, 80.0)}
    """
    found: dict[str, Wanted] = {}
    for text in texts:
        name, sign, wanted = text.partition("=")
        name, wanted = name.strip(), wanted.strip()
        if not sign or not name or not wanted:
            raise UsageError(f"where={text!r} is not a condition; write column=level, column=a|b or column=low..high.")
        if name in found:
            raise UsageError(f"where: {name!r} is asked for twice; write {name}=a|b or {name}=low..high.")
        found[name] = _wanted(_column(schema, name), wanted)
    return found


def _column(schema: Schema, name: str) -> Column:
    for column in schema.table:
        if column.name == name:
            return column
    names = ", ".join(column.name for column in schema.table)
    measured = [] if schema.visits is None else [column.name for column in schema.visits.columns]
    if name in measured:
        raise UsageError(f"where: {name!r} is measured at visits; conditions are about the table, which has {names}.")
    raise UsageError(f"where: the column {name!r} is not in the generator's table; it has {names}.")


def _wanted(column: Column, text: str) -> Wanted:
    if column.numeric:
        low, dots, high = text.partition("..")
        if not dots:
            return _number(column, text)
        ends = (low or column.ends[0], high or column.ends[1])
        return cast("Wanted", tuple(_number(column, end) for end in ends))
    levels = [text] if text in {str(level) for level in column.levels} else [part.strip() for part in text.split("|")]
    if column.kind == "flag":
        levels = [_FLAGS.get(level.lower(), level.lower()) for level in levels]
    return cast("list[Level | bool]", levels) if len(levels) > 1 else levels[0]


def _number(column: Column, text: str) -> float | date:
    try:
        return date.fromisoformat(text) if column.kind == "date" else float(text)
    except ValueError as error:
        kind = "a date like 2020-12-31" if column.kind == "date" else "a number"
        raise UsageError(f"where: {column.name}={text!r} is neither {kind} nor a range low..high.") from error
