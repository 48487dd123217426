"""From a schema to named variables: one for each column, and for each column and visit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, cast

from wardgan.errors import SchemaError
from wardgan.schema.columns import Column
from wardgan.schema.references import since_column
from wardgan.schema.schema import Schema
from wardgan.schema.visits import Visits

Role = Literal["static", "cell", "presence", "count"]
MAX_VARIABLES: Final = 5_000


@dataclass(frozen=True)
class Variable:
    """One variable of a patient.

    Attributes:
        name: `age`, `sbp@3M`, `visit@3M` (took place) or `visit@count` (how many).
        column: Its declaration.
        role: What it stands for.
        slot: Number of the visit slot, or -1.
        source: Name of the column in the data.
        gap: Whether it is the time since the visit before, so that times of ragged visits always rise.
        since: Name of the date that it is counted from, in days; "" if it is no such gap.
    """

    name: str
    column: Column
    role: Role
    slot: int = -1
    source: str = ""
    gap: bool = False
    since: str = ""


@dataclass(frozen=True)
class Layout:
    """All variables of a schema in order.

    Labels are not among them, they make the class; nor are numbers with one possible value. Images have no variables:
    what a network makes of them is their pixels, from -1 to 1, plane by plane and row by row.

    Attributes:
        schema: The schema that it was made from.
        variables: The variables, in the order of the arrays' second axis.

    Example:
        >>> from wardgan.schema.schema import Schema
        >>> schema = Schema.from_dict({
        ...     "name": "demo", "patient": "id", "table": {"sex": {"kind": "flag"}},
        ...     "visits": {
        ...         "key": "visit", "grid": ["A", "B"], "columns": {"sbp": {"kind": "integer", "low": 50, "high": 250}},
        ...     },
        ... })
        >>> [variable.name for variable in Layout.of(schema).variables]
        ['sex', 'visit@A', 'visit@B', 'sbp@A', 'sbp@B']
    """

    schema: Schema
    variables: tuple[Variable, ...]

    @classmethod
    def of(cls, schema: Schema) -> Layout:
        """Gives the layout of a schema.

        Raises:
            SchemaError: A column waits for bounds or levels, or there are too many variables.
        """
        for column in schema.columns:
            if not column.complete:
                what = "low and high" if column.numeric else "levels"
                raise SchemaError(f"{column.name}: {what} are not declared; declare them, or set learn: true.")
        if schema.images is not None:
            return cls(schema, ())
        visits = schema.visits
        # Counted before they are made: a foreign file may ask for a billion of them.
        table = _modelled(schema)
        size = len(table) + (_size(visits) if visits else 0)
        if size > MAX_VARIABLES:
            raise SchemaError(f"schema: {size} variables (columns x visits) are more than {MAX_VARIABLES}.")
        variables = [_static(c) for c in table]
        variables += [] if visits is None else [*_which(visits), *_measured(visits)]
        if not variables:
            raise SchemaError("table: besides the labels and constants there is no column to model.")
        return cls(schema, tuple(variables))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(variable.name for variable in self.variables)

    @cached_property
    def cells(self) -> dict[str, slice]:
        """Where the cells of each column of the visits stand, one for each slot, in order."""
        found: dict[str, slice] = {}
        for at, variable in enumerate(self.variables):
            if variable.role == "cell":
                found[variable.source] = slice(found.get(variable.source, slice(at, at)).start, at + 1)
        return found

    def __len__(self) -> int:
        """Gives how many numbers a network makes: variables of a patient, or pixels of an image, masks and all."""
        images = self.schema.images
        return len(self.variables) if images is None else math.prod(images.shape)


def _static(column: Column) -> Variable:
    if column.after is None:
        return Variable(column.name, column, "static")
    return Variable(column.name, since_column(column), "static", since=column.after)


def _modelled(schema: Schema) -> list[Column]:
    labels = {column.name for column in schema.labels}
    return [column for column in schema.table if column.name not in labels and not column.constant]


def _size(visits: Visits) -> int:
    which = 1 if visits.ragged else 0 if visits.complete else len(visits.slots)
    return which + sum(not column.constant for column in visits.columns) * len(visits.slots)


def _which(visits: Visits) -> list[Variable]:
    """Gives the variables that say which visits took place."""
    if visits.ragged:
        count = Column("visit@count", "integer", low=0, high=len(visits.slots), step=1)
        return [Variable(count.name, count, "count")]
    if visits.complete:
        return []
    flags = [Column(f"visit@{name}", "flag") for name in visits.slots]
    return [Variable(flag.name, flag, "presence", slot) for slot, flag in enumerate(flags)]


def _measured(visits: Visits) -> list[Variable]:
    """Gives the variables of what was measured, column by column."""
    found: list[Variable] = []
    for column in visits.columns:
        since, first = column.after or "", since_column(column) if column.after else column
        for slot, name in enumerate(visits.slots if not column.constant else ()):
            gap = visits.ragged and column.name == visits.key and slot > 0
            one = gap_column(column) if gap else first
            found.append(Variable(f"{column.name}@{name}", one, "cell", slot, column.name, gap, "" if gap else since))
    return found


def gap_column(column: Column) -> Column:
    """Gives the declaration of the time between two visits, from that of the time itself."""
    low, high = cast("float", column.low), cast("float", column.high)
    most = high - low if column.within is None else float(column.within)
    return Column(f"{column.name}@gap", "number", low=0.0, high=most, step=column.step)
