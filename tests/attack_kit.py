"""Patients to attack: a table of mixed columns and a table with visits, drawn from a population that is known."""

from __future__ import annotations

import numpy as np

from wardgan.attack.patients import Parties
from wardgan.attack.questions import questions
from wardgan.schema.cohort import Cohort
from wardgan.schema.schema import Schema

CLINIC = Schema.from_dict(
    {
        "name": "clinic",
        "table": {
            "ill": {"kind": "flag", "label": True},
            "age": {"kind": "integer", "low": 0, "high": 110},
            "balance": {"kind": "number", "low": -40, "high": 40, "sensitive": True},
            "crp": {"kind": "number", "low": 0.1, "high": 500, "scale": "log", "nullable": True},
            "sbp": {"kind": "number", "low": 50, "high": 260, "decimals": 1},
            "ward": {"kind": "category", "levels": ["a", "b", "c", "d"], "sensitive": True},
            "weight": {"kind": "number", "low": 30, "high": 200, "decimals": 1, "nullable": True},
            "hiv": {"kind": "flag", "sensitive": True},
        },
    }
)
VISITS = Schema.from_dict(
    {
        "name": "rounds",
        "patient": "id",
        "table": {"arm": {"kind": "flag", "label": True}, "days": {"kind": "integer", "low": 0, "high": 2000},
                  "died": {"kind": "flag", "sensitive": True}},
        "visits": {
            "key": "visit",
            "grid": ["RZ", "1M", "2M"],
            "columns": {
                "sbp": {"kind": "number", "low": 50, "high": 260, "decimals": 1},
                "load": {"kind": "number", "low": -10, "high": 10, "nullable": True, "sensitive": True},
                "stage": {"kind": "category", "levels": [1, 2, 3]},
            },
        },
        "events": {"time": "days", "event": "died"},
    }
)  # fmt: skip


def clinic(n, seed, schema=CLINIC):
    r = np.random.default_rng(seed)
    z = r.standard_normal((n, 6))
    severe = z[:, 0]
    static = {
        "ill": severe + z[:, 1] > 0.5,
        "age": np.clip(np.rint(55 + 15 * (0.5 * severe + z[:, 2])), 0, 110),
        "balance": np.clip(8 * z[:, 3] - 2 * severe, -40, 40),
        "crp": np.clip(np.exp(1.5 + severe + 0.5 * z[:, 4]), 0.1, 500),
        "sbp": np.clip(np.round(130 + 18 * z[:, 2], 1), 50, 260),
        "ward": np.clip(np.floor(2 + z[:, 5] + 0.5 * severe), 0, 3),
        "weight": np.clip(np.round(75 + 14 * z[:, 4], 1), 30, 200),
        "hiv": r.random(n) < 0.1,
    }
    static = {name: np.asarray(codes, dtype=float) for name, codes in static.items()}
    static["crp"][r.random(n) < 0.15] = np.nan
    static["weight"][r.random(n) < 0.1] = np.nan
    return Cohort(schema, static, {}, None, np.arange(1, n + 1))


def rounds(n, seed):
    r = np.random.default_rng(seed)
    habit = r.standard_normal((n, 1))
    present = r.random((n, 3)) < [0.95, 0.8, 0.6]
    measured = {
        "sbp": np.clip(np.round(130 + 12 * habit + 8 * r.standard_normal((n, 3)), 1), 50, 260),
        "load": np.clip(3 * habit + r.standard_normal((n, 3)), -10, 10),
        "stage": np.clip(np.floor(1.5 + habit + 0.3 * r.standard_normal((n, 3))), 0, 2),
    }
    measured["load"][r.random((n, 3)) < 0.1] = np.nan
    measured = {name: np.where(present, cells, np.nan) for name, cells in measured.items()}
    static = {
        "arm": (r.random(n) < 0.5) * 1.0,
        "days": np.clip(np.rint(600 + 400 * r.standard_normal(n) - 150 * habit[:, 0]), 0, 2000),
        "died": (habit[:, 0] + r.standard_normal(n) > 0.8) * 1.0,
    }
    return Cohort(VISITS, static, measured, present, np.arange(1, n + 1).astype(object))


def parties(n=600, seed=0, make=clinic, synthetic=None):
    train, holdout, fresh = (make(n, 10 * seed + part) for part in (1, 2, 3))
    return Parties.of(train, holdout, fresh if synthetic is None else synthetic(train, fresh))


def question(name, schema=CLINIC, epsilon=None):
    return next(each for each in questions(schema, epsilon) if each.name == name)
