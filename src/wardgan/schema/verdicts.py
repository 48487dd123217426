"""Rules that no declared value can satisfy: found by interval arithmetic and by trying levels, never by guessing.

Each column has its declared values and, if it is nullable, the missing cell. Columns with few values are tried value by
value; the others are intervals (Moore 1966, chapter 2). Rounding to nearest is monotone, so the ends of an interval
hold what any value inside it gives in floating point. A statement that cannot be true for the intervals is true for no
values; one that can be is left alone, so no rule that can be satisfied is ever refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import SchemaError
from wardgan.schema.columns import Column
from wardgan.schema.formulas import Among, Cell, Comparison, Constant, Missing, Negation, Statement, Value
from wardgan.schema.rules import ARITHMETIC, Rule
from wardgan.schema.steps import step_values

_TRIED: Final = 1024
_SHOWN: Final = 5
Values = NDArray[np.float64]
Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class Span:
    """What a value may be in each of some cases.

    Attributes:
        low: Smallest value, shape (cases,), or (1,) if it is the same in all.
        high: Largest value, in the same shape.
        there: Whether it can be there.
        gone: Whether it can be missing.
    """

    low: Values
    high: Values
    there: Truth
    gone: Truth


def check_possible(rule: Rule, columns: Mapping[str, Column]) -> None:
    """Refuses a rule that no combination of declared values and allowed missing cells makes true.

    Args:
        rule: A rule that is bound to the columns.
        columns: The columns by name.

    Raises:
        SchemaError: Says what the columns can be.
    """
    if possible(rule.tree, {name: columns[name] for name in rule.names}):
        return
    shown = "; ".join(_values(columns[name]) for name in rule.names[:_SHOWN])
    more = "; ..." if len(rule.names) > _SHOWN else ""
    raise SchemaError(
        f"rules: {rule.text!r} can never hold, because {shown}{more}. Mend the rule, or what is declared."
    )


def possible(tree: Statement, columns: Mapping[str, Column]) -> bool:
    """Tells whether a statement may be true; if not, it certainly never is.

    Args:
        tree: A statement whose constants are numbers.
        columns: Its columns by name.

    Example:
        >>> from wardgan.schema.formulas import parse
        >>> age = Column("age", "integer", low=0, high=110)
        >>> possible(parse("age > 110"), {"age": age}), possible(parse("age > 109"), {"age": age})
        (False, True)
    """
    # Numbers too large for a float are infinite, and what comes of infinities is anything: both are meant.
    with np.errstate(all="ignore"):
        return bool(_may(tree, _cases(columns))[0].any())


def _cases(columns: Mapping[str, Column]) -> dict[str, Span]:
    """Gives the columns as spans: those with few values as all combinations of them, the others as intervals."""
    found: dict[str, Span] = {}
    cases = 1
    for column in sorted(columns.values(), key=_size):
        small = cases * _size(column) <= _TRIED
        found[column.name] = _tried(column) if small else _whole(column)
        cases *= len(found[column.name].low)
    behind = cases
    for name, span in found.items():
        size = len(span.low)
        if size > 1:
            behind //= size
            rows = np.arange(cases) // behind % size
            found[name] = Span(span.low[rows], span.high[rows], span.there[rows], span.gone[rows])
    return found


def _size(column: Column) -> float:
    """Gives in how many ways a cell can be filled; infinity if that is not declared."""
    values = column.steps if column.numeric else column.size
    return values + column.nullable if values else float("inf")


def _tried(column: Column) -> Span:
    count = int(_size(column)) - column.nullable
    values = np.arange(count, dtype=np.float64)
    if column.numeric:
        values = step_values(values, column)
    values = np.append(values, np.zeros(int(column.nullable)))
    gone = np.arange(len(values)) >= count
    return Span(values, values, ~gone, gone)


def _whole(column: Column) -> Span:
    low, high = (column.low, column.high) if column.numeric else (0.0, column.size - 1.0)
    one = np.ones(1, dtype=bool)
    ends = (np.array([-np.inf if low is None else low]), np.array([np.inf if high is None else high]))
    return Span(*ends, one, one & column.nullable)


def _may(tree: Statement, spans: Mapping[str, Span]) -> tuple[Truth, Truth]:
    """Gives in which cases a statement may be true, and in which it may be false."""
    if isinstance(tree, Comparison):
        return _compared(tree.sign, _span(tree.left, spans), _span(tree.right, spans))
    if isinstance(tree, Among):
        mine = spans[tree.cell.name]
        values = np.array([float(one.value) for one in tree.values])
        inside = ((mine.low[:, None] <= values) & (values <= mine.high[:, None])).any(axis=1)
        only = (mine.low == mine.high) & np.isin(mine.low, values)
        return mine.there & inside, mine.there & ~only
    if isinstance(tree, Missing):
        mine = spans[tree.cell.name]
        return mine.gone, mine.there
    if isinstance(tree, Negation):
        true, false = _may(tree.part, spans)
        return false, true
    true, false = zip(*(_may(part, spans) for part in tree.parts), strict=True)
    if tree.every:
        return reduce(np.logical_and, true), reduce(np.logical_or, false)
    return reduce(np.logical_or, true), reduce(np.logical_and, false)


def _compared(sign: str, one: Span, other: Span) -> tuple[Truth, Truth]:
    there = one.there & other.there
    if sign in (">", ">="):
        sign, one, other = ("<", other, one) if sign == ">" else ("<=", other, one)
    below, at_most = one.low < other.high, one.low <= other.high
    if sign == "<":
        return there & below, there & (one.high >= other.low)
    if sign == "<=":
        return there & at_most, there & (one.high > other.low)
    equal = there & at_most & (other.low <= one.high)
    unequal = there & ~((one.low == one.high) & (other.low == other.high) & (one.low == other.low))
    return (equal, unequal) if sign == "==" else (unequal, equal)


def _span(tree: Value, spans: Mapping[str, Span]) -> Span:
    if isinstance(tree, Cell):
        return spans[tree.name]
    if isinstance(tree, Constant):
        value, one = np.array([float(tree.value)]), np.ones(1, dtype=bool)
        return Span(value, value, one, ~one)
    one, other = _span(tree.left, spans), _span(tree.right, spans)
    ends = [ARITHMETIC[tree.sign](a, b) for a in (one.low, one.high) for b in (other.low, other.high)]
    unclear = reduce(np.logical_or, [np.isnan(end) for end in ends])
    low = np.where(unclear, -np.inf, reduce(np.minimum, ends))
    high = np.where(unclear, np.inf, reduce(np.maximum, ends))
    return Span(low, high, one.there & other.there, one.gone | other.gone)


def _values(column: Column) -> str:
    if column.after is not None:
        values = f"up to {column.within} days after {column.after}"
    elif column.numeric:
        values = " to ".join(column.ends)
    else:
        levels = [str(level) for level in column.levels]
        values = "one of " + ", ".join(levels[:_SHOWN]) + (", ..." if len(levels) > _SHOWN else "")
    return f"{column.name} is {values}"
