"""What a rule means under a schema: levels, dates and truth values become numbers; what makes no sense is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from wardgan.errors import SchemaError
from wardgan.schema.columns import Column
from wardgan.schema.formulas import (
    Among,
    Arithmetic,
    Cell,
    Comparison,
    Constant,
    Joined,
    Missing,
    Negation,
    Statement,
    Value,
)
from wardgan.schema.references import origins

_SHOWN: Final = 20
_EQUALITY: Final = ("==", "!=")


@dataclass(frozen=True)
class Kind:
    """What a value is.

    Attributes:
        name: `number`, `flag`, `date`, `category`, or `constant`, which is whatever it is compared with.
        column: The column of a category.
        origin: The origin that dates are counted from; "" if they have a calendar.
    """

    name: str
    column: Column | None = None
    origin: str = ""

    @property
    def counts(self) -> bool:
        """Whether one can reckon with it."""
        return self.name in ("number", "flag")


_NUMBER: Final = Kind("number")


class Meaning:
    """Gives rules their meaning under the columns of a schema."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        """Looks at the columns once for all rules."""
        self._columns = columns
        self._origins = origins(columns.values())

    def of(self, tree: Statement, text: str) -> Statement:
        """Gives a rule with numbers for its constants.

        Args:
            tree: The rule as it was read.
            text: As it was written, for messages.

        Raises:
            SchemaError: An unknown column or level, or things that cannot be compared.
        """
        if isinstance(tree, Joined):
            return replace(tree, parts=tuple(self.of(part, text) for part in tree.parts))
        if isinstance(tree, Negation):
            return Negation(self.of(tree.part, text))
        if isinstance(tree, Missing):
            if not self._column(tree.cell, text).nullable:
                raise _refused(text, f"{tree.cell.name} is never missing; set nullable: true, or drop that part.")
            return tree
        if isinstance(tree, Among):
            kind = self._kind(tree.cell, text)
            return Among(tree.cell, tuple(_number(one, kind, text) for one in tree.values))
        return self._comparison(tree, text)

    def _comparison(self, tree: Comparison, text: str) -> Comparison:
        sides = (tree.left, tree.right)
        kind = _shared(self._kind(tree.left, text), self._kind(tree.right, text), text)
        truths = any(isinstance(side, Constant) and isinstance(side.value, bool) for side in sides)
        if (kind.column is not None or truths) and tree.sign not in _EQUALITY:
            what = f"the levels of {kind.column.name}" if kind.column else "true and false"
            raise _refused(text, f"{what} have no order; compare them with ==, != or in.")
        left, right = (_number(side, kind, text) if isinstance(side, Constant) else side for side in sides)
        return Comparison(tree.sign, left, right)

    def _column(self, cell: Cell, text: str) -> Column:
        column = self._columns.get(cell.name)
        if column is None:
            raise SchemaError(f"rules: {text!r} mentions {cell.name!r}, which is no column of the schema.")
        return column

    def _kind(self, tree: Value, text: str) -> Kind:
        if isinstance(tree, Constant):
            return Kind("constant")
        if isinstance(tree, Arithmetic):
            return self._arithmetic(tree, text)
        column = self._column(tree, text)
        if column.kind == "category":
            if not column.levels:
                raise _refused(text, f"the levels of {column.name} are not declared; declare them.")
            return Kind("category", column)
        if column.kind == "date":
            return Kind("date", origin=self._origins.get(column.name, ""))
        return Kind("flag") if column.kind == "flag" else _NUMBER

    def _arithmetic(self, tree: Arithmetic, text: str) -> Kind:
        for side in (tree.left, tree.right):
            if isinstance(side, Constant):
                _number(side, _NUMBER, text)
        left, right = (
            _NUMBER if isinstance(side, Constant) else self._kind(side, text) for side in (tree.left, tree.right)
        )
        if left.counts and right.counts:
            return _NUMBER
        if tree.sign == "-" and left.name == right.name == "date":
            _shared(left, right, text)
            return _NUMBER
        if tree.sign != "*" and left.name == "date" and right.counts:
            return left
        if tree.sign == "+" and left.counts and right.name == "date":
            return right
        raise _refused(
            text, f"{tree.sign} is for numbers; dates have a difference in days, and days may be added to them."
        )


def _shared(left: Kind, right: Kind, text: str) -> Kind:
    """Gives the kind as which two values can be compared."""
    if left.name == "constant" or right.name == "constant":
        kind = right if left.name == "constant" else left
        return _NUMBER if kind.name == "constant" else kind
    if left.counts and right.counts:
        return _NUMBER
    if left.name == right.name == "category":
        raise _refused(text, "two categories are compared with each other; compare each of them with levels.")
    if left.name != right.name:
        raise _refused(text, f"a {left.name} cannot be compared with a {right.name}.")
    if left.origin != right.origin:
        raise _refused(text, f"a date that is counted from {left.origin or right.origin} has no other calendar.")
    return left


def _number(constant: Constant, kind: Kind, text: str) -> Constant:
    """Gives the number that stands for a constant of a kind."""
    value = constant.value
    if kind.column is not None:
        return Constant(_level(value, kind.column, text))
    if kind.name == "date":
        return Constant(_day(value, kind.origin, text))
    if isinstance(value, bool) and kind.name == "flag":
        return Constant(float(value))
    if isinstance(value, (bool, str)):
        way_out = "write true or false" if kind.name == "flag" else "write a number"
        raise _refused(text, f"{_written(value)} stands where a {kind.name} is; {way_out}.")
    return Constant(float(value))


def _level(value: float | str | bool, column: Column, text: str) -> float:
    at = None if isinstance(value, bool) else column.places.get(str(value))
    if at is None:
        shown = ", ".join(map(str, column.levels[:_SHOWN])) + (", ..." if column.size > _SHOWN else "")
        raise _refused(text, f"{_written(value)} is no level of {column.name}; it has {shown}.")
    return float(at)


def _day(value: float | str | bool, origin: str, text: str) -> float:
    if origin:
        raise _refused(
            text, f"a date that is counted from {origin} has no calendar; compare its distance from {origin}."
        )
    try:
        return float(date.fromisoformat(str(value) if isinstance(value, str) else "").toordinal())
    except ValueError:
        raise _refused(text, f'{_written(value)} stands where a date is; write it as in "2020-12-31".') from None


def _written(value: float | str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _refused(text: str, why: str) -> SchemaError:
    return SchemaError(f"rules: {text!r}: {why}")
