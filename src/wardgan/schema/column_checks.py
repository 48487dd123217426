"""What a column may be besides its values: a label, a date that is counted from another one, levels in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardgan.errors import SchemaError

if TYPE_CHECKING:
    from wardgan.schema.columns import Column


def check_reference(column: Column) -> None:
    """Refuses a date that is counted from another one in a way that cannot be."""
    name = column.name
    if column.kind != "date" and (column.after is not None or column.within is not None or column.origin):
        raise SchemaError(f"{name}: after, within and origin belong to kind: date, not to kind={column.kind}.")
    if (column.after is None) != (column.within is None):
        raise SchemaError(f"{name}: after names a date, and within says how many days later at most; declare both.")
    if column.origin and column.after is not None:
        raise SchemaError(f"{name}: a date is the origin, or it is after another one; keep one of the two.")
    if column.learn and (column.origin or column.after is not None):
        raise SchemaError(f"{name}: a date with after or origin has no bounds to learn; drop learn=true.")


def check_label(column: Column) -> None:
    """Refuses what cannot be a label."""
    name = column.name
    if column.kind not in ("category", "flag"):
        raise SchemaError(f"{name}: label=true needs a category or a flag, not kind={column.kind}.")
    if column.nullable:
        raise SchemaError(f"{name}: a label cannot be nullable; declare a level for patients without one.")
    if column.learn:
        raise SchemaError(f"{name}: the levels of a label cannot be learned; declare them, or drop label=true.")
    if column.size == 1:
        raise SchemaError(f"{name}: a label with one level tells nobody apart; declare the others, or drop label=true.")


def check_groups(column: Column) -> None:
    """Refuses groups of levels where there can be none."""
    if not column.groups:
        return
    if column.kind != "category" or column.label:
        what = "a label" if column.label else f"kind={column.kind}"
        raise SchemaError(f"{column.name}: groups belong to a category that is no label, not to {what}.")
    if column.levels != tuple(level for _, levels in column.groups for level in levels):
        raise SchemaError(f"{column.name}: the levels are those of the groups, in their order; leave levels out.")
