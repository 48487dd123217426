"""Small hospitals with released generators, for tests of combining."""

import numpy as np
import pandas as pd

import wardgan as wg
from wardgan.seal.artifact import release

AGE = {"kind": "integer", "low": 18, "high": 99}


def table(**more):
    return {
        "arm": {"kind": "category", "levels": ["old", "new"], "label": True},
        "age": AGE,
        "glucose": {"kind": "number", "low": 50, "high": 400, "unit": "mg/dL", "step": 1},
        **more,
    }


def schema(name, population, columns=None, **more):
    found = {"name": name, "patient": "id", "population": population, "table": columns or table(), **more}
    return wg.Schema.from_dict(found)


def patients(declared, n, seed, *, new=0.3, age=50):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"id": np.arange(n)})
    for column in declared.table:
        if column.numeric:
            middle = age if column.name == "age" else (column.low + column.high) / 2
            values = rng.normal(middle, (column.high - column.low) / 12, n)
            values = np.clip(values, column.low, column.high)
            frame[column.name] = np.round(values) if column.kind == "integer" else np.round(values, 0)
        elif column.label:
            frame[column.name] = rng.choice(
                list(column.levels), n, p=[1 - new, *[new / (column.size - 1)] * (column.size - 1)]
            )
        else:
            frame[column.name] = rng.choice(list(column.levels), n)
    return wg.read(frame, declared)


def hospital(folder, name, population, *, seed=0, epsilon=3.0, key=None, data=None, columns=None, **more):
    """A released generator, and its path."""
    declared = schema(name, population, columns)
    cohort = patients(declared, population, seed, **more)
    if epsilon is None:
        trained, override = wg.fit(cohort, family="copula", privacy="none"), "A. Tester: open"
    else:
        trained, override = wg.fit(cohort, wg.Budget(epsilon), family="copula"), None
    path = folder / f"{name}.hgan"
    release(trained, path, key, override, training_data_id=data or f"data-{name}-of-{population}", created="2026-01-31")
    return path
