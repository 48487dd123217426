"""Anchors of a small cohort with all kinds of columns, and numpy twins of the networks."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnxruntime
import pandas as pd
from scipy.special import ndtr

from wardgan.models.anchor.anchor import Anchor, measure_anchor
from wardgan.models.anchor.expand import cells
from wardgan.models.anchor.quantiles import category_table, number_steps, number_table
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort
from wardgan.schema.read import read
from wardgan.schema.schema import Schema

TABLE = {
    "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
    "age": {"kind": "integer", "low": 0, "high": 99},
    "group": {"kind": "category", "levels": ["x", "y", "z"], "nullable": True},
    "weight": {"kind": "number", "low": 30, "high": 200, "nullable": True},
    "sex": {"kind": "flag"},
    "score": {"kind": "category", "levels": list(range(20))},
}
CODES = [f"c{at:02d}" for at in range(60)]
LARGE = {
    **TABLE,
    "code": {"kind": "category", "groups": {"first": CODES[:35], "second": CODES[35:]}, "nullable": True},
    "cost": {"kind": "integer", "low": 0, "high": 100_000, "scale": "log"},
    "dose": {"kind": "number", "low": 0.01, "high": 500, "scale": "log"},
}
VISITS = {
    "none": None,
    "codes": {"key": "v", "grid": ["A", "B", "C"], "columns": {"drug": {"kind": "category", "levels": list(range(40)), "nullable": True}}},
    "named": {"key": "v", "grid": ["A", "B", "C"], "columns": {"sbp": {"kind": "integer", "low": 50, "high": 250, "nullable": True}}},
    "complete": {"key": "v", "grid": ["A", "B", "C"], "complete": True, "columns": {"sbp": {"kind": "integer", "low": 50, "high": 250}}},
    "ragged": {"key": "year", "max_visits": 4, "columns": {
        "year": {"kind": "number", "low": 0, "high": 10, "decimals": 2}, "sbp": {"kind": "integer", "low": 50, "high": 250}}},
}  # fmt: skip


@cache
def cohort(kind: str = "none", patients: int = 900) -> Cohort:
    numbers = np.random.default_rng(3)
    arm = np.where(numbers.random(patients) < 0.3, "a", "b")
    frame = pd.DataFrame({
        "id": np.arange(patients),
        "arm": arm,
        "age": np.clip(np.round(numbers.normal(np.where(arm == "a", 40, 60), 12)), 0, 99).astype(int),
        "group": pd.Series(numbers.choice(["x", "y", "z"], patients, p=[0.2, 0.7, 0.1])).where(numbers.random(patients) < 0.9),
        "weight": np.where(numbers.random(patients) < 0.8, numbers.normal(80, 12, patients), np.nan),
        "sex": numbers.random(patients) < 0.5,
        "score": np.clip(numbers.poisson(5, patients), 0, 19),
    })  # fmt: skip
    schema = {"name": "demo", "patient": "id", "table": LARGE if kind == "codes" else TABLE}
    if VISITS[kind] is None:
        return read(frame, Schema.from_dict(schema))
    if kind == "codes":
        code = np.minimum(numbers.geometric(np.where(arm == "a", 0.3, 0.1)), 60) - 1
        frame["code"] = np.where(numbers.random(patients) < 0.9, np.array(CODES, dtype=object)[code], None)
        frame["cost"] = np.round(np.minimum(np.exp(numbers.normal(4, 2, patients)), 100_000)).astype(int)
        frame["dose"] = np.clip(np.exp(numbers.normal(1, 1, patients)), 0.01, 500)
    most = 4 if kind == "ragged" else 3
    visits = np.full(patients, 3) if kind == "complete" else numbers.integers(1, most + 1, patients)
    long = frame.loc[np.repeat(np.arange(patients), visits)].reset_index(drop=True)
    order = np.concatenate([np.arange(count) for count in visits])
    if kind == "ragged":
        long["year"] = np.round(order * 1.5 + numbers.random(len(long)), 2)
    else:
        long["v"] = np.array(["A", "B", "C"])[order]
    long["sbp"] = np.clip(long["age"] + numbers.integers(60, 120, len(long)), 50, 250).astype(float)
    if kind == "codes":
        drug = np.minimum(numbers.geometric(0.2, len(long)), 40) - 1
        long["drug"] = pd.Series(drug).where(numbers.random(len(long)) < 0.8)
    if kind == "named":
        long.loc[numbers.random(len(long)) < 0.1, "sbp"] = np.nan
    return read(long, Schema.from_dict({**schema, "visits": VISITS[kind]}))


@cache
def anchor(kind: str = "none") -> Anchor:
    """Gives the anchor without noise."""
    return measure_anchor(Records(cohort(kind), Ledger(None), noise=Seed(1)), population=900)


def draws(latent: int, classes: int, patients: int = 3000):
    """Gives latent numbers and classes for a network."""
    stream = np.random.default_rng(8)
    return stream.standard_normal((patients, latent)).astype(np.float32), stream.integers(0, classes, patients)


def run(network: bytes, latent, classes):
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return session.run(["units"], {"latent": latent, "label": classes})[0]


def correlated(normals, classes, made: Anchor):
    """The twin of `add_factors`: one patient after the other."""
    return np.array([made.factors[y] @ row for row, y in zip(normals.astype(np.float64), classes, strict=True)])


def units_of(normals, classes, made: Anchor):
    """The twin of `add_margins`: one variable after the other."""
    uniform, steps = ndtr(normals), number_steps(made)
    units = np.empty((len(normals), len(made.layout)))
    for at, variable in enumerate(made.layout.variables):
        if variable.column.numeric:
            table = number_table(made, at, steps)
            step = np.minimum((uniform[:, at] * steps).astype(int), steps - 1)
            inside = uniform[:, at] * steps - step
            units[:, at] = table.start[classes, step] + table.rise[classes, step] * inside
        else:
            levels = category_table(made, at)
            units[:, at] = levels[
                classes, np.minimum((uniform[:, at] * levels.shape[1]).astype(int), levels.shape[1] - 1)
            ]
            if variable.column.name in made.groupings:
                table = cells(made.groupings[variable.column.name])
                for row, (y, group) in enumerate(zip(classes, units[:, at].astype(int), strict=True)):
                    units[row, at] = taken_apart(table, group, inside_group(levels[y], group, uniform[row, at]))
        if at in made.holes:
            units[uniform[:, made.holes[at]] > 1 - made.missing(at)[classes], at] = -1
    return units


def inside_group(steps, group, uniform):
    """Where a uniform number lies among the steps of its group, from 0 to 1."""
    mine = np.flatnonzero(steps == group)
    return (uniform * len(steps) - mine[0]) / len(mine)


def taken_apart(table, group, inside):
    """The twin of `add_levels`: the level at a place of a group, from 0 to 1."""
    scaled = inside * table.size[group]
    at = min(int(scaled), table.size[group] - 1)
    cell = table.first[group] + at
    return table.own[cell] if scaled - at < table.cut[cell] else table.other[cell]


def assert_nearly_all_close(found, expected, *, share: float = 0.002, atol: float = 2e-3) -> None:
    """Single precision moves a few numbers over the border of a step; the rest must agree."""
    apart = ~np.isclose(found, expected, atol=atol, rtol=0)
    assert apart.mean() <= share, f"{apart.mean():.4f} of the numbers differ"
