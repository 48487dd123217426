"""What a researcher writes who asks for certain patients, such as `arm=intensive`, `age=65..80` or `sbp@3M=140..`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import cast

from wardgan.errors import UsageError
from wardgan.sample.wish import MISSING, PRESENT, Wanted, place_of
from wardgan.schema.columns import Column, Level
from wardgan.schema.schema import Schema

_FLAGS = {"yes": "true", "1": "true", "no": "false", "0": "false"}


def parse_where(texts: Sequence[str], schema: Schema) -> dict[str, Wanted]:
    """Gives conditions as `Generator.sample` takes them.

    Args:
        texts: One condition each: `column=level`, `column=level|level`, `column=number`, `column=low..high` with both
            ends included (an end that is left out is the declared bound), `column=missing` or `column=present`. A
            column of the visits is written with its visit, as in `sbp@3M`; `visit@3M=yes` asks for the visit itself,
            and `visit@count=3..5` for a number of visits.
        schema: The generator's schema.

    Raises:
        UsageError: A text is no condition, a column is named twice or is not there, or an end is no number or date.

    Example:
        >>> schema = Schema.from_dict({"name": "demo", "table": {
        ...     "arm": {"kind": "category", "levels": ["standard", "intensive"]},
        ...     "age": {"kind": "integer", "low": 18, "high": 110, "nullable": True}}})
        >>> parse_where(["arm=intensive|standard", "age=65..80"], schema)
        {'arm': ['intensive', 'standard'], 'age': (65.0, 80.0)}
        >>> parse_where(["age=missing"], schema)
        {'age': 'missing'}
    """
    found: dict[str, Wanted] = {}
    for text in texts:
        name, sign, wanted = _split(text, schema)
        if not sign or not name or not wanted:
            raise UsageError(f"where={text!r} is not a condition; write column=level, column=a|b or column=low..high.")
        if name in found:
            raise UsageError(f"where: {name!r} is asked for twice; write {name}=a|b or {name}=low..high.")
        found[name] = _wanted(place_of(schema, name).column, wanted)
    return found


def _split(text: str, schema: Schema) -> tuple[str, str, str]:
    """Gives name, sign and wish; a sign within the name of a column is part of the name."""
    columns = [*schema.table, *(schema.visits.columns if schema.visits else ())]
    lengths = [len(column.name) for column in columns if text.startswith(column.name)]
    longest = max((length for length in lengths if "=" in text[length:]), default=0)
    name, sign, wanted = text[longest:].partition("=")
    return f"{text[:longest]}{name}".strip(), sign, wanted.strip()


def _wanted(column: Column, text: str) -> Wanted:
    if column.numeric:
        if text in (MISSING, PRESENT):
            return text
        low, dots, high = text.partition("..")
        if not dots:
            return _number(column, text)
        if not low or not high:
            _check_end(column, low, high)
        ends = (low or column.ends[0], high or column.ends[1])
        return cast("Wanted", tuple(_number(column, end) for end in ends))
    levels = [text] if text in {str(level) for level in column.levels} else [part.strip() for part in text.split("|")]
    if column.kind == "flag":
        levels = [_FLAGS.get(level.lower(), level.lower()) for level in levels]
    return cast("list[Level | bool]", levels) if len(levels) > 1 else levels[0]


def _check_end(column: Column, low: str, high: str) -> None:
    """Refuses a range with one end that lies beyond the declared bounds."""
    least, most = (_number(column, end) for end in column.ends)
    beyond = (low and cast("float", _number(column, low)) > cast("float", most)) or (
        high and cast("float", _number(column, high)) < cast("float", least)
    )
    if beyond:
        raise UsageError(f"where: {column.name}={low}..{high} holds nobody; it is {' to '.join(column.ends)}.")


def _number(column: Column, text: str) -> float | date:
    try:
        return date.fromisoformat(text) if column.kind == "date" else float(text)
    except ValueError as error:
        kind = "a date like 2020-12-31" if column.kind == "date" else "a number"
        raise UsageError(f"where: {column.name}={text!r} is neither {kind} nor a range low..high.") from error
