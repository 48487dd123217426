"""Whether all rules of a schema can hold together: a search among declared values, which reads no patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.schema.columns import Column
from wardgan.schema.formulas import Among, Constant, Statement, Value, inner
from wardgan.schema.references import in_order
from wardgan.schema.rules import Rule
from wardgan.schema.schema import Schema
from wardgan.schema.steps import snapped, step_values

TRIED: Final = 100_000
_ROWS: Final = 1_000
_HOLES: Final = 0.25
Values = NDArray[np.float64]


def hardest_rule(schema: Schema) -> Rule | None:
    """Gives the rule that was met least often, if none of 100,000 tried rows meets all rules.

    Rows are drawn from the declared values: half of the cells from all of them, half from their ends and from around
    the numbers in the rules; nullable ones are missing now and then. Then one cell of each row is drawn again, again
    and again, and kept if the row breaks no more rules than before (Selman, Kautz, Cohen 1994). That nothing is found
    is no proof that nothing is there.

    Args:
        schema: The declarations.

    Returns:
        `None` if a row was found, if there is no rule, or if values are still to be declared or learned.
    """
    columns = _needed(schema)
    if not columns or not all(_bounded(column) for column in columns):
        return None
    numbers = sorted({number for rule in schema.rules for number in _numbers(rule.tree)})
    rng = np.random.default_rng(0)
    kept = np.full((len(columns), _ROWS), np.nan)
    least = np.full(_ROWS, len(schema.rules) + 1)
    met = np.zeros(len(schema.rules), dtype=np.int64)
    for turn in range(TRIED // _ROWS):
        fresh = np.array([_drawn(column, numbers, rng) for column in columns])  # (columns, rows)
        chosen = np.arange(len(columns))[:, None] == rng.integers(0, len(columns), _ROWS)
        tried = np.where(chosen | (turn == 0), fresh, kept)
        obeyed = _obeyed(schema, columns, tried)
        met += obeyed.sum(axis=1)
        broken = (~obeyed).sum(axis=0)
        if not broken.all():
            return None
        better = broken <= least
        kept, least = np.where(better, tried, kept), np.minimum(broken, least)
    return schema.rules[int(met.argmin())]


def _needed(schema: Schema) -> list[Column]:
    """Gives the columns of the rules and the dates that they are counted from, each behind the one it needs."""
    names = {name for rule in schema.rules for name in rule.names}
    columns = in_order(schema.columns)
    for column in reversed(columns):
        if column.name in names and column.after is not None:
            names.add(column.after)
    return [column for column in columns if column.name in names]


def _bounded(column: Column) -> bool:
    return column.complete and (not column.numeric or (column.low is not None and column.high is not None))


def _obeyed(schema: Schema, columns: Sequence[Column], tried: Values) -> NDArray[np.bool_]:
    """Gives which rules hold for rows in which dates are days after others; shape (rules, rows)."""
    rows: dict[str, Values] = {}
    for column, codes in zip(columns, tried, strict=True):
        rows[column.name] = codes if column.after is None else rows[column.after] + codes
    return np.array([~rule.broken(rows) for rule in schema.rules])


def _numbers(tree: Statement | Value) -> set[float]:
    if isinstance(tree, Constant):
        return {float(tree.value)}
    if isinstance(tree, Among):
        return {float(one.value) for one in tree.values}
    return {number for part in inner(tree) for number in _numbers(part)}


def _drawn(column: Column, numbers: Sequence[float], rng: np.random.Generator) -> Values:
    if not column.numeric:
        codes = rng.integers(0, column.size, _ROWS).astype(np.float64)
    else:
        days = Column(column.name, "integer", low=0.0, high=column.within)
        codes = _number(column if column.after is None else days, numbers, rng)
    return np.where(rng.random(_ROWS) < _HOLES * column.nullable, np.nan, codes)


def _number(column: Column, numbers: Sequence[float], rng: np.random.Generator) -> Values:
    low, high = float(column.low or 0.0), float(column.high or 0.0)
    if column.steps is None:
        everywhere = low + (high - low) * rng.random(_ROWS)
    else:
        everywhere = step_values(rng.integers(0, column.steps, _ROWS).astype(np.float64), column)
    step = column.step or 0.0
    near = [low, high, *(number + side for number in numbers for side in (-step, 0.0, step))]
    marked = np.clip(snapped(np.array(near), column), low, high)
    return np.where(rng.random(_ROWS) < 0.5, marked[rng.integers(0, len(marked), _ROWS)], everywhere)
