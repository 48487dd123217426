"""Candidates for a choice that are made by hand: what each of them teaches is known."""

from __future__ import annotations

from functools import cache

import numpy as np

import wardgan as wg
from wardgan.encode.layout import Layout
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.sample.network import Graph
from wardgan.select.choice import CHOICE
from wardgan.select.decide import Field

SCHEMA = wg.Schema.from_dict({
    "name": "choice", "patient": "id", "population": 60,
    "table": {
        "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
        "dose": {"kind": "number", "low": 0, "high": 1, "nullable": True},
        "site": {"kind": "category", "levels": ["x", "y", "z"]},
    },
})  # fmt: skip
LAYOUT = Layout.of(SCHEMA)


@cache
def network(slope: float) -> bytes:
    """A generator whose dose rises by `slope` from arm a to arm b; the site is noise."""
    graph = Graph(latent=2)
    first = graph.add("Slice", "latent", graph.whole([0]), graph.whole([1]), graph.whole([1]))
    last = graph.add("Slice", "latent", graph.whole([1]), graph.whole([2]), graph.whole([1]))
    middle = graph.add("Gather", graph.floats([[0.5 - slope / 2], [0.5 + slope / 2]]), "label", axis=0)
    dose = graph.add("Add", middle, graph.add("Mul", first, graph.floats([[0.1]])))
    dose = graph.add("Clip", dose, graph.floats(0.0), graph.floats(0.999))
    site = graph.add(
        "Clip", graph.add("Floor", graph.add("Add", last, graph.floats([[1.5]]))), graph.floats(0.0), graph.floats(2.0)
    )
    return graph.finish(graph.add("Concat", dose, site, axis=1), variables=2)


def verdicts(units, classes):
    """Three discriminators: nobody, those with a large dose, and everybody is real."""
    dose = np.where(units[:, 0] >= 0, units[:, 0], 0.5)
    return np.stack([np.zeros(len(units)), dose, np.ones(len(units))], axis=1)


def field(slopes=(0.0, 0.6, -0.6), judge=verdicts) -> Field:
    """Candidates with such slopes."""
    return Field(LAYOUT, tuple(network(slope) for slope in slopes), 2, np.array([0.5, 0.5]), 60.0, judge)


def patients(size=60, *, seed=0, slope=0.6):
    """Units and classes of patients whose dose rises with the arm."""
    numbers = np.random.default_rng(seed)
    classes = numbers.integers(0, 2, size)
    dose = np.clip(0.5 + slope * (classes - 0.5) + 0.1 * numbers.standard_normal(size), 0, 0.999)
    dose[numbers.random(size) < 0.1] = -1.0
    return np.stack([dose, numbers.integers(0, 3, size)], axis=1), classes


@cache
def cohort(size=60, *, seed=0, slope=0.6) -> wg.Cohort:
    """The same patients as a cohort."""
    from wardgan.encode.units import decode

    units, classes = patients(size, seed=seed, slope=slope)
    return decode(units, classes, LAYOUT)


def ledger(epsilon: float | None, runs: int, **how) -> Ledger:
    """A ledger that allows so many choices; `None`: without privacy."""
    if epsilon is None:
        return Ledger(None)
    event = Event(CHOICE, "pure", epsilon=epsilon, steps=runs)
    return Ledger(Plan(Budget(50.0), (event,), 60, "test"), **how)


def records(epsilon: float | None, runs: int, *, size=60, seed=0, folder=None, book=None) -> Records:
    """Patients behind a counter."""
    return Records(cohort(size, seed=seed), book or ledger(epsilon, runs), noise=Seed.secret(), folder=folder)
