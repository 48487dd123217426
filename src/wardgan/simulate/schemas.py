"""Schemas to simulate with: one from numbers alone, and stand-ins for what a schema leaves to be learned."""

from __future__ import annotations

from typing import Final

from wardgan import check
from wardgan.errors import UsageError
from wardgan.schema.columns import Column
from wardgan.schema.schema import MAX_CLASSES, Schema

LABEL: Final = "outcome"
_SIZES: Final = (3, 4, 5, 8)
_DECIMALS: Final = (0, 1, 1, 2)
_RANGES: Final = (100, 200, 20, 10, 1000, 50)
_MOST: Final = 5_000
_STEPS: Final = 200
_LEVELS: Final = 100
_DAYS: Final = (730_120.0, 737_425.0)  # 2000 to 2020


def generic_schema(columns: int, *, classes: int = 2, missing: bool = True) -> Schema:
    """Gives a mixed schema from numbers alone: half numbers, a quarter categories, a quarter flags, and a label.

    Args:
        columns: How many columns besides the label, 1 to 5,000.
        classes: Levels of the label; 1 for no label.
        missing: Whether cells of numbers and categories may be missing.

    Raises:
        UsageError: A number is out of its range.

    Example:
        >>> schema = generic_schema(5)
        >>> [column.kind for column in schema.table]
        ['flag', 'integer', 'number', 'number', 'category', 'flag']
    """
    check.whole(1, columns=columns, classes=classes)
    if columns > _MOST:
        raise UsageError(f"columns={columns!r} is more than {_MOST:,}; a fit takes no more.")
    if classes > MAX_CLASSES:
        raise UsageError(f"classes={classes!r} is more than {MAX_CLASSES}; a schema takes no more.")
    numbers, categories = -(-columns // 2), columns // 4
    table: dict[str, object] = {}
    if classes == 2:
        table[LABEL] = {"kind": "flag", "label": True}
    elif classes > 2:
        table[LABEL] = {"kind": "category", "levels": [f"class {at + 1}" for at in range(classes)], "label": True}
    table |= {f"number {at + 1}": _number(at, missing=missing) for at in range(numbers)}
    for at in range(categories):
        levels = [f"level {level + 1}" for level in range(_SIZES[at % len(_SIZES)])]
        table[f"category {at + 1}"] = {"kind": "category", "levels": levels} | _nullable(missing=missing)
    table |= {f"flag {at + 1}": {"kind": "flag"} for at in range(columns - numbers - categories)}
    return Schema.from_dict({"name": "generic", "table": table})


def stand_in(schema: Schema) -> Schema:
    """Gives the schema with declarations for what is to be learned, as good as any for a simulation.

    Columns with `learn: true` get 201 steps between the bounds, twenty years of days, or a hundred levels.

    Args:
        schema: The declarations; what is missing and not to be learned stays missing.
    """
    return schema.replace_columns(
        {column.name: _completed(column) for column in schema.columns if column.learn and not column.complete}
    )


def _number(at: int, *, missing: bool) -> dict[str, object]:
    decimals, high = _DECIMALS[at % len(_DECIMALS)], _RANGES[at % len(_RANGES)]
    kind = {"kind": "number", "decimals": decimals} if decimals else {"kind": "integer"}
    return kind | {"low": 0, "high": high} | _nullable(missing=missing)


def _nullable(*, missing: bool) -> dict[str, object]:
    return {"nullable": True} if missing else {}


def _completed(column: Column) -> Column:
    if not column.numeric:
        return column.with_levels(tuple(f"level {at + 1}" for at in range(_LEVELS)))
    if column.kind == "date":
        length = _DAYS[1] - _DAYS[0]
        if column.low is None and column.high is None:
            return column.with_bounds(*_DAYS)
    else:
        length = _STEPS * (column.step or 1.0)
    if column.low is None:
        high = length if column.high is None else column.high
        return column.with_bounds(high - length, high)
    return column.with_bounds(column.low, column.low + length)
