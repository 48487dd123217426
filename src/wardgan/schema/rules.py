"""Rules between columns, such as `dbp < sbp`: parsed as data, never executed as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import SchemaError
from wardgan.schema.columns import FARTHEST

Values = NDArray[np.float64]
Truth = NDArray[np.bool_]

_COMPARE: Final[dict[type[ast.cmpop], Callable[[Values, Values], Truth]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: Final[dict[type[ast.operator], Callable[[Values, Values], Values]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


@dataclass(frozen=True)
class Rule:
    """A rule over numeric columns of one row: comparisons, `and`, `or`, `not`, `+`, `-`, `*` and numbers.

    Attributes:
        text: The rule as written in the schema.
        names: Columns that it mentions.

    Example:
        >>> rule = Rule.parse("dbp < sbp")
        >>> rule.names
        ('dbp', 'sbp')
        >>> rule.broken({"dbp": np.array([80.0, 90.0]), "sbp": np.array([120.0, 85.0])}).tolist()
        [False, True]
    """

    text: str
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: object) -> Rule:
        """Reads a rule.

        Raises:
            SchemaError: The text is no comparison, or uses anything else than the rules above.
        """
        if not isinstance(text, str) or len(text) > 500:
            raise SchemaError(f"rules: {str(text)[:40]!r} is not a short text such as 'dbp < sbp'.")
        tree = _tree(text)
        names = tuple(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))
        if not names:
            raise SchemaError(f"rules: {text!r} mentions no column.")
        _evaluated(tree, {name: np.zeros(1) for name in names}, text)
        return cls(text, names)

    def broken(self, columns: Mapping[str, Values]) -> Truth:
        """Gives which rows break the rule; a row with a missing cell among its columns does not.

        Args:
            columns: For each name of the rule an array; together they broadcast to one shape; missing cells are NaN.

        Returns:
            Boolean array of that shape.
        """
        broken = ~_evaluated(_tree(self.text), columns, self.text)
        if broken.any():
            for name in self.names:
                broken = broken & ~np.isnan(columns[name])
        return broken


def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SchemaError(f"rules: {text!r} is not a comparison such as 'dbp < sbp'.") from error


def _evaluated(tree: ast.expr, columns: Mapping[str, Values], text: str) -> Truth:
    try:
        # Numbers too large for a float are infinite, and comparisons with missing cells are false: both are meant.
        with np.errstate(all="ignore"):
            truth = _truth(tree, columns, text)
    except RecursionError as error:
        raise SchemaError(f"rules: {text[:40]!r}... is nested too deeply.") from error
    return truth


def _truth(node: ast.expr, columns: Mapping[str, Values], text: str) -> Truth:
    if isinstance(node, ast.Compare):
        sides = [_value(side, columns, text) for side in (node.left, *node.comparators)]
        parts = [_compare(sign, sides[at], sides[at + 1], text) for at, sign in enumerate(node.ops)]
        return reduce(np.logical_and, parts)
    if isinstance(node, ast.BoolOp):
        parts = [_truth(part, columns, text) for part in node.values]
        return reduce(np.logical_and if isinstance(node.op, ast.And) else np.logical_or, parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_truth(node.operand, columns, text)
    raise SchemaError(f"rules: {text!r} is not made of comparisons joined by and, or, not.")


def _compare(sign: ast.cmpop, left: Values, right: Values, text: str) -> Truth:
    if type(sign) not in _COMPARE:
        raise SchemaError(f"rules: {text!r} uses a comparison other than <, <=, >, >=, ==, !=.")
    return np.asarray(_COMPARE[type(sign)](left, right), dtype=bool)


def _value(node: ast.expr, columns: Mapping[str, Values], text: str) -> Values:
    if isinstance(node, ast.Name):
        return np.asarray(columns[node.id], dtype=np.float64)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        if abs(node.value) > FARTHEST:
            raise SchemaError(f"rules: {text!r} has a number beyond {FARTHEST:g}.")
        return np.asarray(float(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, columns, text)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _ARITHMETIC[type(node.op)](_value(node.left, columns, text), _value(node.right, columns, text))
    raise SchemaError(f"rules: {text!r} may use column names, numbers, +, - and * only.")
