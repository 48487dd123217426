"""Rules as trees: read from text as data, never executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from wardgan.errors import SchemaError
from wardgan.schema.columns import FARTHEST

MAX_LENGTH: Final = 500
_MAX_DEPTH: Final = 100
_WORDS: Final = {"true": True, "false": False}
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_GLUED: Final = re.compile(r"(?<![\w.])\d[\d.]*(?:[eE][+-]?\d+)?+[A-Za-z]+")
_PARTS: Final = re.compile(r"\"[^\"]*\"|'[^']*'|[()\[\]{}]|\bthen\b")
_COMPARE: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_SIGNS: Final[dict[type[ast.operator], str]] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}


@dataclass(frozen=True)
class Cell:
    """The value of a column."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A number, a text (a level or a date) or a truth value; bound to a schema, the number that stands for it."""

    value: float | str | bool


@dataclass(frozen=True)
class Arithmetic:
    """`left + right`, `left - right` or `left * right`."""

    sign: str
    left: Value
    right: Value


@dataclass(frozen=True)
class Comparison:
    """`left < right` and so on."""

    sign: str
    left: Value
    right: Value


@dataclass(frozen=True)
class Among:
    """Whether the value of a column is one of some constants."""

    cell: Cell
    values: tuple[Constant, ...]


@dataclass(frozen=True)
class Missing:
    """Whether a cell is missing."""

    cell: Cell


@dataclass(frozen=True)
class Joined:
    """Parts joined by `and` (every part holds) or by `or`."""

    every: bool
    parts: tuple[Statement, ...]


@dataclass(frozen=True)
class Negation:
    """`not part`."""

    part: Statement


Value: TypeAlias = Cell | Constant | Arithmetic
Statement: TypeAlias = Comparison | Among | Missing | Joined | Negation


def parse(text: str) -> Statement:
    """Gives the tree of a rule.

    Args:
        text: One line of at most 500 characters.

    Raises:
        SchemaError: It is no rule.

    Example:
        >>> parse("not a < 3")
        Negation(part=Comparison(sign='<', left=Cell(name='a'), right=Constant(value=3)))
        >>> parse("if a < 3 then missing(b)") == parse("not a < 3 or missing(b)")
        True
    """
    if len(text) > MAX_LENGTH:
        raise SchemaError(f"rules: {text[:40]!r}... has more than {MAX_LENGTH} characters.")
    if "\\" in text or len(text.splitlines()) > 1:
        raise SchemaError(f"rules: {text[:40]!r} holds a backslash or an end of line; write one line without it.")
    glued = _GLUED.search(_QUOTED.sub("''", text))
    if glued is not None:
        # Python reads `1or 2` as `1 or 2` and warns about it.
        raise SchemaError(f"rules: {text!r} has letters right behind a number: {glued[0]!r}.")
    parts = [_statement(_tree(part, text), text) for part in _halves(text.strip(), text)]
    return parts[0] if len(parts) == 1 else Joined(False, (Negation(parts[0]), parts[1]))


def cells(tree: Statement | Value) -> Iterator[Cell]:
    """Yields the columns that a tree mentions, from left to right."""
    if isinstance(tree, Cell):
        yield tree
    elif isinstance(tree, (Among, Missing)):
        yield tree.cell
    else:
        for part in inner(tree):
            yield from cells(part)


def inner(tree: Statement | Value) -> tuple[Statement | Value, ...]:
    """Gives the parts that a tree is made of."""
    if isinstance(tree, (Arithmetic, Comparison)):
        return tree.left, tree.right
    if isinstance(tree, Joined):
        return tree.parts
    return (tree.part,) if isinstance(tree, Negation) else ()


def _halves(whole: str, text: str) -> list[str]:
    """Gives what stands behind `if` and behind `then`, or the whole rule."""
    if not re.match(r"if\b", whole):
        return [whole]
    depth, places = 0, list[re.Match[str]]()
    for part in _PARTS.finditer(whole):
        depth += (part[0] in "([{") - (part[0] in ")]}")
        if part[0] == "then" and depth == 0:
            places.append(part)
    if len(places) != 1:
        raise SchemaError(f"rules: {text!r} begins with if, so it needs one then: if ... then ...")
    return [whole[2 : places[0].start()], whole[places[0].end() :]]


def _tree(part: str, text: str) -> ast.expr:
    try:
        tree = ast.parse(part.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SchemaError(
            f"rules: {text!r} is no rule such as 'dbp < sbp' or 'if sex == \"male\" then pregnant == false'."
        ) from error
    level: list[ast.AST] = [tree]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return tree
    raise SchemaError(f"rules: {text[:40]!r}... is nested too deeply.")


def _statement(node: ast.expr, text: str) -> Statement:
    if isinstance(node, ast.Compare):
        sides = (node.left, *node.comparators)
        parts = tuple(_compared(sign, sides[at], sides[at + 1], text) for at, sign in enumerate(node.ops))
        return parts[0] if len(parts) == 1 else Joined(True, parts)
    if isinstance(node, ast.BoolOp):
        return Joined(isinstance(node.op, ast.And), tuple(_statement(part, text) for part in node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Negation(_statement(node.operand, text))
    if isinstance(node, ast.Call):
        return _tested(node, text)
    raise SchemaError(
        f"rules: {text!r} is not made of comparisons and missing(column), joined by and, or, not; a flag is compared, "
        "as in pregnant == true."
    )


def _tested(node: ast.Call, text: str) -> Statement:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    cell = _value(node.args[0], text) if len(node.args) == 1 and not node.keywords else None
    if name not in ("missing", "present") or not isinstance(cell, Cell):
        raise SchemaError(f"rules: {text!r} calls something else than missing(column) or present(column).")
    return Missing(cell) if name == "missing" else Negation(Missing(cell))


def _compared(sign: ast.cmpop, left: ast.expr, right: ast.expr, text: str) -> Statement:
    if isinstance(sign, (ast.In, ast.NotIn)):
        among = Among(_cell(left, text), _constants(right, text))
        return among if isinstance(sign, ast.In) else Negation(among)
    if type(sign) not in _COMPARE:
        raise SchemaError(f"rules: {text!r} uses a comparison other than <, <=, >, >=, ==, !=, in, not in.")
    return Comparison(_COMPARE[type(sign)], _value(left, text), _value(right, text))


def _cell(node: ast.expr, text: str) -> Cell:
    cell = _value(node, text)
    if not isinstance(cell, Cell):
        raise SchemaError(f'rules: {text!r}: in stands behind a column, as in stage in ("I", "II").')
    return cell


def _constants(node: ast.expr, text: str) -> tuple[Constant, ...]:
    values = [_value(one, text) for one in (node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node])]
    found = tuple(one for one in values if isinstance(one, Constant))
    if not found or len(found) < len(values):
        raise SchemaError(f'rules: {text!r}: behind in stands a list of values, as in stage in ("I", "II").')
    return found


def _value(node: ast.expr, text: str) -> Value:
    if isinstance(node, ast.Name):
        return Constant(_WORDS[node.id]) if node.id in _WORDS else Cell(node.id)
    if isinstance(node, ast.Constant):
        return _constant(node.value, text)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand, text)
        if isinstance(value, Constant) and isinstance(value.value, (int, float)) and not isinstance(value.value, bool):
            return Constant(-value.value)
        return Arithmetic("*", Constant(-1), value)
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        return Arithmetic(_SIGNS[type(node.op)], _value(node.left, text), _value(node.right, text))
    raise SchemaError(f"rules: {text!r} may use column names, numbers, texts in quotes, true, false, +, - and * only.")


def _constant(value: object, text: str) -> Constant:
    if isinstance(value, str):
        return Constant(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SchemaError(
            f"rules: {text!r}: {value!r} is no number and no text; write true and false in small letters."
        )
    if not abs(value) <= FARTHEST:
        raise SchemaError(f"rules: {text!r} has a number beyond {FARTHEST:g}.")
    return Constant(value)
