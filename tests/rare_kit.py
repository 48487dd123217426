"""Random conditions, fitted copulas of all shapes, and a check that a proved region holds everybody it must."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from wardgan.models.fit import fit
from wardgan.rng import Seed
from wardgan.sample.conditions import conditions
from wardgan.sample.generator import Generator
from wardgan.sample.proposal import Proposal, proposed
from wardgan.schema.read import read
from wardgan.schema.schema import Schema
from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

TABLE = {
    "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
    "age": {"kind": "integer", "low": 0, "high": 99},
    "group": {"kind": "category", "levels": ["x", "y", "z"], "nullable": True},
    "weight": {"kind": "number", "low": 30, "high": 200, "nullable": True},
    "sex": {"kind": "flag"},
    "born": {"kind": "date", "low": "1920-01-01", "high": "2010-12-31"},
}
SBP = {"kind": "integer", "low": 50, "high": 250}
SHAPES = {
    "table": None,
    "named": {"key": "v", "grid": ["A", "B", "C"], "columns": {"sbp": {**SBP, "nullable": True}}},
    "complete": {"key": "v", "grid": ["A", "B", "C"], "complete": True, "columns": {"sbp": SBP}},
    "ragged": {
        "key": "year",
        "max_visits": 4,
        "columns": {"year": {"kind": "number", "low": 0, "high": 10, "decimals": 2}, "sbp": SBP},
    },
}


@cache
def fitted(shape: str, patients: int = 900) -> Generator:
    """A copula of a small cohort with all kinds of columns and one shape of visits."""
    numbers = np.random.default_rng(3)
    arm = np.where(numbers.random(patients) < 0.3, "a", "b")
    age = np.clip(np.round(numbers.normal(np.where(arm == "a", 40, 55), 10)), 5, 79).astype(int)
    frame = pd.DataFrame({
        "id": np.arange(patients),
        "arm": arm,
        "age": age,
        "group": pd.Series(numbers.choice(["x", "y", "z"], patients, p=[0.2, 0.75, 0.05])).where(age < 70),
        "weight": np.where(numbers.random(patients) < 0.8, 60 + age / 3 + numbers.normal(0, 12, patients), np.nan),
        "sex": numbers.random(patients) < 0.5,
        "born": (np.datetime64("2000-01-01") - 365 * age).astype("datetime64[s]"),
    })  # fmt: skip
    declared = {"name": "demo", "patient": "id", "table": TABLE, "rules": ["age < weight"]}
    frame = frame[~(frame["age"] >= frame["weight"])].reset_index(drop=True)
    visits = SHAPES[shape]
    if visits is not None:
        count = {"complete": lambda: 3, "named": lambda: numbers.integers(1, 4, len(frame))}.get(
            shape, lambda: numbers.integers(1, 5, len(frame))
        )()
        count = np.broadcast_to(count, len(frame))
        order = np.concatenate([np.arange(each) for each in count])
        frame = frame.loc[np.repeat(np.arange(len(frame)), count)].reset_index(drop=True)
        frame["sbp"] = np.round(np.clip(numbers.normal(100 + frame["age"] / 2, 15), 50, 250))
        if shape == "ragged":
            frame["year"] = np.round(order * 1.5 + numbers.random(len(frame)), 2)
        else:
            frame["v"] = np.array(["A", "B", "C"])[order]
        if shape == "named":
            frame["sbp"] = frame["sbp"].where(numbers.random(len(frame)) < 0.9)
        declared["visits"] = visits
    return fit(read(frame, Schema.from_dict(declared)), family="copula", privacy="none", seed=1).generator


@cache
def trial() -> Generator:
    """A copula of the simulated blood-pressure trial, two arms and the rule dbp < sbp."""
    visits = {**SPRINT_SCHEMA["visits"], "complete": True}
    cohort = read(sprint_like(3000, seed=Seed(7)), Schema.from_dict({**SPRINT_SCHEMA, "visits": visits}))
    return fit(cohort, family="copula", privacy="none", seed=7).generator


@st.composite
def wishes(draw, declared: Schema, most: int = 3):
    """A random `where` for a schema, of which some patients may meet each condition; labels are left alone."""
    names = [(column.name, column, column.nullable) for column in declared.table if column not in declared.labels]
    visits = declared.visits
    if visits is not None:
        for column in visits.columns:
            holes = column.nullable or not visits.complete
            names += [(f"{column.name}@{slot}", column, holes) for slot in visits.slots]
        if not visits.complete:
            names.append(("visit@count", None, False))
            names += [] if visits.ragged else [(f"visit@{slot}", "visit", False) for slot in visits.slots]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=most, unique_by=lambda each: each[0]))
    return {name: draw(_wish(column, holes, len(visits.slots) if visits else 0)) for name, column, holes in chosen}


@st.composite
def _wish(draw, column, holes, slots):
    if column is None:
        low = draw(st.integers(0, slots))
        return (low, draw(st.integers(low, slots)))
    if column == "visit":
        return draw(st.booleans())
    word = draw(st.sampled_from(["value", "value", "value", "present", *(["missing"] if holes else [])]))
    if word in {"missing", "present"} and word not in map(str, column.levels):
        return word
    if not column.numeric:
        return draw(st.lists(st.sampled_from(column.levels), min_size=1, max_size=2))
    begin, width = draw(st.floats(0, 0.95)), draw(st.sampled_from([0.02, 0.1, 0.4]))
    low, span = column.low, column.high - column.low
    ends = (low + begin * span, low + (begin + width) * span)
    if column.step is not None:
        ends = (ends[0] - column.step, ends[1] + column.step)
    if column.kind != "date":
        return ends
    from datetime import date

    first, last = (int(np.clip(end, 1, date.max.toordinal())) for end in ends)
    return (date.fromordinal(first), date.fromordinal(last))


def proposal(generator: Generator, where, balance=None) -> Proposal | None:
    """Gives what is proved about conditions, however common they are."""
    wanted = conditions(generator.schema, generator.probabilities, where, balance)
    return proposed(generator.network, wanted, generator.layout, latent=generator.latent)


def inside(found: Proposal, label: int, latents: np.ndarray) -> np.ndarray:
    """Whether latent normals of a class are in its region."""
    region = found.regions[label]
    if region is None:
        return np.zeros(len(latents), dtype=bool)
    held = np.ones(len(latents), dtype=bool)
    along = latents.astype(float) @ region.basis @ region.factor.T  # (patients, axes)
    for values, part in zip(along.T, region.parts, strict=True):
        held &= ((values[:, None] >= part[:, 0]) & (values[:, None] <= part[:, 1])).any(axis=1)
    return held


def everybody(generator: Generator, label: int, n: int, seed: int):
    """Patients of one class with their latent normals."""
    seen = []

    def spy(normals, start):
        seen.append(normals.copy())
        return normals

    cohort = generator.run(np.full(n, label), np.random.default_rng(seed), spy)
    return cohort, np.concatenate(seen)
