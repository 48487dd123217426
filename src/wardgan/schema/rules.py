"""Rules between columns, such as `dbp < sbp`: what they are, and which rows break them.

A rule is judged with three truth values (Kleene 1952, section 64): a comparison with a missing cell is neither true
nor false, an `and` with a false part is false, and an `or` with a true part is true. A row breaks a rule only if it is
certainly false, whatever the missing cells would have been.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import SchemaError
from wardgan.schema.formulas import Among, Cell, Comparison, Constant, Missing, Negation, Statement, Value, cells, parse
from wardgan.schema.meaning import Meaning

MAX_RULES: Final = 200
Values = NDArray[np.float64]
Truth = NDArray[np.bool_]

_COMPARE: Final[dict[str, Callable[[Values, Values], Truth]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
ARITHMETIC: Final[dict[str, Callable[[Values, Values], Values]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A rule over the columns of one row.

    Attributes:
        text: The rule as written in the schema.
        names: Columns that it mentions.
        tree: What it says; bound to a schema, its constants are numbers.

    Example:
        >>> rule = Rule.parse("dbp < sbp")
        >>> rule.names
        ('dbp', 'sbp')
        >>> rule.broken({"dbp": np.array([80.0, 90.0]), "sbp": np.array([120.0, 85.0])}).tolist()
        [False, True]
    """

    text: str
    names: tuple[str, ...]
    tree: Statement = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: object) -> Rule:
        """Reads a rule; what its texts mean is left to `bound`.

        Raises:
            SchemaError: It is no rule, or mentions no column.
        """
        if not isinstance(text, str):
            raise SchemaError(f"rules: {str(text)[:40]!r} is not a short text such as 'dbp < sbp'.")
        tree = parse(text)
        names = tuple(dict.fromkeys(cell.name for cell in cells(tree)))
        if not names:
            raise SchemaError(f"rules: {text!r} mentions no column.")
        return cls(text, names, tree)

    def bound(self, meaning: Meaning) -> Rule:
        """Gives the rule with the numbers that its levels, dates and truth values stand for.

        Args:
            meaning: The columns.

        Raises:
            SchemaError: An unknown column or level, or things that cannot be compared.
        """
        return Rule(self.text, self.names, meaning.of(parse(self.text), self.text))

    def broken(self, columns: Mapping[str, Values]) -> Truth:
        """Gives which rows certainly break the rule.

        Args:
            columns: For each name of the rule an array; together they broadcast to one shape; missing cells are NaN.

        Returns:
            Boolean array of that shape.
        """
        # Numbers too large for a float are infinite, and comparisons with missing cells are neither: both are meant.
        with np.errstate(all="ignore"):
            return _judged(self.tree, columns)[1]


def _judged(tree: Statement, columns: Mapping[str, Values]) -> tuple[Truth, Truth]:
    """Gives where a statement is certainly true, and where it is certainly false."""
    if isinstance(tree, Comparison):
        left, right = _amount(tree.left, columns), _amount(tree.right, columns)
        return _known(_COMPARE[tree.sign](left, right), np.isnan(left) | np.isnan(right))
    if isinstance(tree, Among):
        mine = columns[tree.cell.name]
        return _known(np.isin(mine, [float(one.value) for one in tree.values]), np.isnan(mine))
    if isinstance(tree, Missing):
        gone = np.isnan(columns[tree.cell.name])
        return gone, ~gone
    if isinstance(tree, Negation):
        true, false = _judged(tree.part, columns)
        return false, true
    true, false = zip(*(_judged(part, columns) for part in tree.parts), strict=True)
    if tree.every:
        return reduce(np.logical_and, true), reduce(np.logical_or, false)
    return reduce(np.logical_or, true), reduce(np.logical_and, false)


def _known(holds: Truth, unknown: Truth) -> tuple[Truth, Truth]:
    return holds & ~unknown, ~(holds | unknown)


def _amount(tree: Value, columns: Mapping[str, Values]) -> Values:
    if isinstance(tree, Cell):
        return np.asarray(columns[tree.name], dtype=np.float64)
    if isinstance(tree, Constant):
        return np.asarray(float(tree.value))
    return ARITHMETIC[tree.sign](_amount(tree.left, columns), _amount(tree.right, columns))
