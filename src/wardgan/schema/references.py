"""Dates that are counted from other dates: their order, their bounds and their origins, from declarations alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from wardgan.errors import SchemaError
from wardgan.schema.columns import LAST_DAY, Column
from wardgan.schema.visits import Visits


def in_order(columns: Iterable[Column]) -> list[Column]:
    """Gives columns in an order in which each one stands behind the one that it is counted from.

    Args:
        columns: Columns with names of their own; one that is counted from a column outside of them may stand anywhere.

    Raises:
        SchemaError: Dates are counted from each other in a circle.

    Example:
        >>> died = Column("died", "date", after="left", within=9)
        >>> [column.name for column in in_order([died, Column("left", "date", low=1, high=2)])]
        ['left', 'died']
    """
    waiting = {column.name: column for column in columns}
    order: list[Column] = []
    for name in list(waiting):
        chain: dict[str, Column] = {}
        step: str | None = name
        while step in waiting and step not in chain:
            chain[step] = waiting[step]
            step = waiting[step].after
        if step in chain:
            raise SchemaError(f"{step}: the dates after which it comes lead back to itself; take one `after` away.")
        for done in reversed(chain):
            order.append(waiting.pop(done))
    return order


def resolved(table: tuple[Column, ...], visits: Visits | None) -> dict[str, Column]:
    """Gives all columns by name, with the bounds of dates that are counted from other dates worked out.

    Args:
        table: Columns with one value per patient.
        visits: Repeated measures.

    Raises:
        SchemaError: A date is counted from no date, from one that may be missing where it may not, from a visit
            though it belongs to the patient, or in a circle.
    """
    measured = {column.name: column for column in (visits.columns if visits else ())}
    declared = {column.name: column for column in table} | measured
    for column in declared.values():
        if column.after is not None:
            _check_reference(column, declared)
            _check_place(column, measured, visits)
    found: dict[str, Column] = {}
    for column in in_order(declared.values()):
        found[column.name] = column if column.after is None else _bounded(column, found[column.after])
    return found


def origins(columns: Iterable[Column]) -> dict[str, str]:
    """Gives the origin of each column that is one or is counted from one, by name: its calendar is not kept."""
    found: dict[str, str] = {}
    for column in in_order(columns):
        if column.origin:
            found[column.name] = column.name
        elif column.after in found:
            found[column.name] = found[column.after]
    return found


def since_column(column: Column) -> Column:
    """Gives the declaration of the days since the date that a date is counted from."""
    return Column(f"{column.name}@since", "integer", low=0.0, high=column.within, nullable=column.nullable)


def _check_reference(column: Column, declared: Mapping[str, Column]) -> None:
    name, after = column.name, str(column.after)
    first = declared.get(after)
    if first is None or first.kind != "date":
        what = "is not in the schema" if first is None else f"has kind={first.kind}"
        raise SchemaError(f"{name}: after={after!r} {what}; name a date column of the schema.")
    if first.nullable and not column.nullable:
        raise SchemaError(f"{name}: {after} may be missing, and then {name} is, too; set nullable: true for {name}.")


def _check_place(column: Column, measured: Mapping[str, Column], visits: Visits | None) -> None:
    name, after = column.name, column.after
    if after in measured and name not in measured:
        raise SchemaError(f"{name}: {after} is measured at visits; a date of the table can only be after another one.")
    if after in measured and visits is not None and visits.ragged and name == visits.key:
        raise SchemaError(f"{name}: the key of the visits can only be after a date of the table, not after {after}.")


def _bounded(column: Column, first: Column) -> Column:
    high = None if first.high is None else first.high + float(column.within or 0)
    if high is not None and high > LAST_DAY:
        raise SchemaError(f"{column.name}: within={column.within} leads beyond the year 9999; lower it.")
    return replace(column, low=first.low, high=high)
