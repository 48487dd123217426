"""Dates that are counted from other dates, in rows: which come too early or too late, and each patient's day 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wardgan.schema.cells import BOUNDS, Finding, found
from wardgan.schema.cohort import Codes, Cohort
from wardgan.schema.columns import DAY_ZERO, Column
from wardgan.schema.references import in_order, origins
from wardgan.schema.schema import Schema


def misplaced(codes: Codes, first: Codes, column: Column, *, certain: bool) -> tuple[list[Finding], NDArray[np.bool_]]:
    """Gives the dates that are not within the declared days after the one that they are counted from.

    Args:
        codes: The dates, shape (rows,); NaN where missing.
        first: Those that they are counted from, shape (rows,).
        column: The declaration of the dates.
        certain: Whether `first` may not be missing, so that a missing one is a finding already.

    Returns:
        Findings, and which rows break the declaration, shape (rows,).
    """
    gap = codes - first
    outside = (gap < 0) | (gap > float(column.within or 0))
    way_out = (
        f"They are 0 to {column.within} days after {column.after}: raise within, mend the rows, or read with "
        "invalid='clip' (--invalid clip)."
    )
    findings = found(column.name, BOUNDS, outside, way_out)
    alone = ~np.isnan(codes) & np.isnan(first)
    if not certain:
        rule = f"{column.after} is there where {column.name} is"
        findings += found(column.name, rule, alone, f"Fill {column.after}, or empty {column.name}.")
    return findings, outside | alone


def misplaced_in_table(
    static: Mapping[str, Codes], schema: Schema, patients: int
) -> tuple[list[Finding], NDArray[np.bool_]]:
    """Gives the same for all dates of the table.

    Args:
        static: For each column of the table the codes, shape (patients,).
        schema: The declarations.
        patients: Number of patients.

    Returns:
        Findings (rows are patients), and which patients break a declaration, shape (patients,).
    """
    bad = np.zeros(patients, dtype=bool)
    findings: list[Finding] = []
    for column in schema.table:
        if column.after is not None:
            certain = not schema.column(column.after).nullable
            more, wrong = misplaced(static[column.name], static[column.after], column, certain=certain)
            findings += more
            bad |= wrong
    return findings, bad


def bounded(cohort: Cohort) -> Cohort:
    """Gives the cohort with every number moved to its nearest bound, and every date after the one it is counted from.

    Each patient is moved alone. A date whose reference is missing becomes missing.
    """
    static, measured = dict(cohort.static), dict(cohort.measured)
    for column in in_order(cohort.schema.columns):
        mine = measured if column.name in measured else static
        codes = mine[column.name]
        if column.after is not None:
            first = measured.get(column.after, static.get(column.after, codes))
            first = first[:, None] if first.ndim < codes.ndim else first
            mine[column.name] = np.clip(codes, first, first + float(column.within or 0))
        elif column.low is not None and column.high is not None and not column.origin:
            mine[column.name] = np.clip(codes, column.low, column.high)
    return replace(cohort, static=static, measured=measured)


def on_day_zero(cohort: Cohort) -> Cohort:
    """Gives the cohort with each patient's dates moved so that the origin is 2000-01-01 for everybody.

    The days between an origin and the dates after it stay; the calendar is gone.
    """
    static, measured = dict(cohort.static), dict(cohort.measured)
    for name, origin in origins(cohort.schema.columns).items():
        shift = DAY_ZERO - cohort.static[origin]
        mine = measured if name in measured else static
        mine[name] = mine[name] + (shift[:, None] if mine[name].ndim == 2 else shift)
    return replace(cohort, static=static, measured=measured)
