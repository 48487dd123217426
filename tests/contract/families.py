"""Families with tiny settings, and a cohort of all kinds of columns, for the laws that every family obeys."""

from __future__ import annotations

import numpy as np
import pandas as pd

import wardgan as wg

BUDGET = wg.Budget(epsilon=4.0)
FAMILIES = {
    "copula": wg.CopulaConfig(),
    "marginal": wg.MarginalConfig(steps=10, width=16, noise_inputs=4),
    "tabgan": wg.TabganConfig(steps=20, width=16, noise_inputs=4),
    "tabgan on pairs": wg.TabganConfig(pairs=0.3, steps=20, width=16, noise_inputs=4),
    "acgan": wg.AcganConfig(steps=4, dense=8, channels=2, latent=8),
}
SCHEMA = {
    "name": "all-kinds",
    "patient": "id",
    "population": 600,
    "table": {
        "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
        "sex": {"kind": "flag", "nullable": True},
        "group": {"kind": "category", "levels": ["None", "x", "y", "z"]},
        "weight": {"kind": "number", "low": 30, "high": 200, "decimals": 1, "nullable": True},
        "born": {"kind": "date", "low": "1920-01-01", "high": "2010-12-31"},
        "site": {"kind": "integer", "low": 0, "high": 9},
    },
}
NAMED = {
    **SCHEMA,
    "name": "named-visits",
    "visits": {
        "key": "visit",
        "grid": ["A", "B", "C"],
        "columns": {
            "sbp": {"kind": "integer", "low": 50, "high": 250, "nullable": True},
            "dbp": {"kind": "integer", "low": 20, "high": 150},
        },
    },
}
RAGGED = {
    **SCHEMA,
    "name": "ragged-visits",
    "visits": {
        "key": "year",
        "max_visits": 4,
        "columns": {
            "year": {"kind": "number", "low": 0, "high": 10, "decimals": 2},
            "sbp": {"kind": "integer", "low": 50, "high": 250},
        },
    },
}
DATED = {
    "name": "dates-and-events",
    "patient": "id",
    "population": 600,
    "table": {
        "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
        "weight": SCHEMA["table"]["weight"],
        "died": {"kind": "flag"},
        "ended": {"kind": "date", "after": "came", "within": 1000},
        "came": {"kind": "date", "origin": True},
        "sick": {"kind": "date", "after": "came", "within": 400, "nullable": True},
        "dose": {"kind": "integer", "low": 5, "high": 5},
    },
    "visits": {
        "key": "seen",
        "max_visits": 3,
        "columns": {
            "seen": {"kind": "date", "after": "came", "within": 1000},
            "result": {"kind": "date", "after": "seen", "within": 30, "nullable": True},
        },
    },
    "events": {"time": "ended", "event": "died"},
    "rules": ["if present(sick) then sick - came <= 400", 'arm in ("a", "b")'],
}
CODES = [f"I{at:02d}" for at in range(25)], [f"J{at:02d}" for at in range(15)]
DRUGS = [f"drug {at}" for at in range(30)]
LARGE = {
    **SCHEMA,
    "name": "large-categories",
    "table": {
        **SCHEMA["table"],
        "code": {"kind": "category", "groups": {"heart": CODES[0], "lung": CODES[1]}, "nullable": True},
        "cost": {"kind": "integer", "low": 0, "high": 1_000_000, "scale": "log"},
    },
    "visits": {
        "key": "visit",
        "grid": ["A", "B", "C"],
        "columns": {"drug": {"kind": "category", "levels": DRUGS}, "dose": {"kind": "number", "low": 0.1, "high": 500, "scale": "log"}},
    },
}  # fmt: skip
SCHEMAS = {"table": SCHEMA, "named": NAMED, "ragged": RAGGED, "dated": DATED, "codes": LARGE}
CANARY_ID, CANARY_WEIGHT = "Ichabod-Quixote-77", 187.3


def table(patients: int = 600, *, seed: int = 0) -> pd.DataFrame:
    """Gives rows of the static columns; the first patient carries the canary's name and weight."""
    numbers = np.random.default_rng(seed)
    days = numbers.integers(0, 30_000, patients)
    frame = pd.DataFrame({
        "id": [f"patient {i}" for i in range(patients)],
        "arm": np.where(np.arange(patients) % 3 == 0, "a", "b"),
        "sex": pd.Series(numbers.random(patients) < 0.5).astype(object).where(numbers.random(patients) < 0.9, None),
        "group": numbers.choice(["None", "x", "y"], patients),
        "weight": np.where(numbers.random(patients) < 0.8, np.round(numbers.normal(80, 12, patients), 1), np.nan),
        "born": (np.datetime64("1925-01-01") + days).astype("datetime64[s]"),
        "site": np.full(patients, 4),
    })  # fmt: skip
    frame.loc[0, ["id", "weight"]] = CANARY_ID, CANARY_WEIGHT
    return frame


def rows(kind: str, patients: int = 600, *, seed: int = 0) -> pd.DataFrame:
    """Gives a file for a schema of `SCHEMAS`."""
    static = table(patients, seed=seed)
    if kind == "table":
        return static
    numbers = np.random.default_rng(seed + 1)
    if kind == "dated":
        return dated(static[["id", "arm", "weight"]], numbers)
    if kind == "codes":
        static = _with_codes(static, numbers)
    most = 4 if kind == "ragged" else 3
    visits = numbers.integers(1, most + 1, patients)
    long = static.loc[np.repeat(np.arange(patients), visits)].reset_index(drop=True)
    order = np.concatenate([np.arange(count) for count in visits])
    if kind == "named":
        long["visit"] = np.array(["A", "B", "C"])[order]
        long["dbp"] = numbers.integers(50, 100, len(long))
        long["sbp"] = np.where(numbers.random(len(long)) < 0.9, numbers.integers(100, 180, len(long)), np.nan)
    elif kind == "codes":
        long["visit"] = np.array(["A", "B", "C"])[order]
        long["drug"] = np.array(DRUGS)[np.minimum(numbers.geometric(0.3, len(long)), 30) - 1]
        long["dose"] = np.clip(np.exp(numbers.normal(2, 1, len(long))), 0.1, 500)
    else:
        long["year"] = np.round(order * 1.5 + numbers.random(len(long)), 2)
        long["sbp"] = numbers.integers(100, 180, len(long))
    return long


def dated(static: pd.DataFrame, numbers: np.random.Generator) -> pd.DataFrame:
    """Gives one to three visits of each patient, at dates after they came."""
    patients = len(static)
    came = np.datetime64("2010-01-01") + numbers.integers(0, 3000, patients)
    sick = np.where(
        numbers.random(patients) < 0.5, came + numbers.integers(0, 401, patients), np.datetime64("NaT", "D")
    )
    rows = static.assign(
        died=numbers.random(patients) < 0.4, came=came, ended=came + numbers.integers(300, 1001, patients), sick=sick, dose=5
    ).loc[np.repeat(np.arange(patients), numbers.integers(1, 4, patients))]  # fmt: skip
    rows = rows.reset_index(drop=True)
    rows["seen"] = rows["came"] + pd.to_timedelta(numbers.integers(0, 900, len(rows)), unit="D")
    late = rows["seen"] + pd.to_timedelta(numbers.integers(0, 31, len(rows)), unit="D")
    rows["result"] = late.where(numbers.random(len(rows)) < 0.7)
    dates = rows.columns[rows.dtypes == late.dtype]
    return rows.astype(dict.fromkeys(dates, "datetime64[s]"))


def _with_codes(static: pd.DataFrame, numbers: np.random.Generator) -> pd.DataFrame:
    levels = np.array([*CODES[0], *CODES[1]], dtype=object)
    codes = levels[np.minimum(numbers.geometric(0.2, len(static)), len(levels)) - 1]
    cost = np.round(np.clip(np.exp(numbers.normal(5, 2, len(static))), 0, 1_000_000)).astype(int)
    return static.assign(code=np.where(numbers.random(len(static)) < 0.9, codes, None), cost=cost)


def cohort(kind: str = "table", patients: int = 600, *, seed: int = 0) -> wg.Cohort:
    """Gives a cohort under a schema of `SCHEMAS`."""
    return wg.read(rows(kind, patients, seed=seed), wg.Schema.from_dict(SCHEMAS[kind]))
