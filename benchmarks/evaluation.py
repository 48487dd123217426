"""What the measures of `wardgan.evaluate` say of generators of known worth, each number beside the ceiling.

    python benchmarks/evaluation.py

`support2` with its follow-up: 60 % of the patients are real to the generators, 20 % are the hold-out, 20 % are "another
sample", the best that a generator can be. "Shuffled" has the right columns and no link between them. "Copies" are
30 % of the training part beside patients of the copula.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

import datasets
import wardgan as wg
from common import markdown, save
from wardgan.estimate import Estimate
from wardgan.evaluate import (
    coefficient_agreement,
    default_groups,
    detection,
    endpoint_of,
    hazard_agreement,
    likeness,
    neighbourhoods,
    subgroups,
    survival_agreement,
    train_synthetic_test_real,
)
from wardgan.rng import Seed

LABEL = "death"
GB = "gradient boosting"
SEED = Seed(1)
_FOLLOWED = {
    "d.time": {"kind": "integer", "low": 0, "high": 2100, "unit": "d"},
    "death": {"kind": "flag"},
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found: dict[str, dict[str, object]] = {}
    train, holdout, other, schema = _parts()
    for name, make in _generators(train, other, schema).items():
        start = perf_counter()
        measured, best = _measured(train, make(), holdout, schema)
        found.setdefault("hold-out", best)
        found[name] = measured | {"seconds": round(perf_counter() - start)}
        print(name, found[name], flush=True)
    names = list(found["another sample"])
    rows = [{"": each} | {name: mine.get(each, "") for name, mine in found.items()} for each in names]
    print(markdown(rows))
    print(save("evaluation", rows, asked.out, seed=1))


def _parts() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, wg.Schema]:
    found = datasets.load("support2")
    declared = found.schema.to_dict()
    declared["table"] = declared["table"] | _FOLLOWED
    declared["table"].pop("hospdead")
    declared |= {"events": {"time": "d.time", "event": "death"}, "population": 5400}
    declared.pop("patient", None)
    schema = wg.Schema.from_dict(declared)
    whole = wg.read(found.table, schema, invalid="clip").wide()
    order = np.random.default_rng(1).permutation(len(whole))
    cuts = np.array([0.6, 0.8]) * len(whole)
    train, holdout, other = (whole.iloc[part].reset_index(drop=True) for part in np.split(order, cuts.astype(int)))
    return train, holdout, other, schema


def _generators(train: pd.DataFrame, other: pd.DataFrame, schema: wg.Schema) -> dict[str, Callable[[], pd.DataFrame]]:
    numbers = np.random.default_rng(2)

    def copula(epsilon: float | None) -> pd.DataFrame:
        budget = None if epsilon is None else wg.Budget(epsilon=epsilon)
        cohort = wg.read(train, schema)
        made = wg.fit(cohort, budget, family="copula", privacy="none" if budget is None else "private")
        return made.generator.draw(len(train), seed=1).wide().drop(columns="patient_id", errors="ignore")[list(train)]

    def shuffled() -> pd.DataFrame:
        return pd.DataFrame(
            {name: column.iloc[numbers.permutation(len(train))].array for name, column in train.items()}
        )

    def copies() -> pd.DataFrame:
        made, kept = copula(None), numbers.permutation(len(train))[: round(0.3 * len(train))]
        return pd.concat([train.iloc[kept], made.iloc[len(kept) :]], ignore_index=True).astype(train.dtypes)

    return {
        "another sample": lambda: other,
        "copula, no privacy": lambda: copula(None),
        "copula, epsilon 3": lambda: copula(3.0),
        "copula, epsilon 1": lambda: copula(1.0),
        "copies": copies,
        "shuffled": shuffled,
    }


def _measured(
    train: pd.DataFrame, made: pd.DataFrame, holdout: pd.DataFrame, schema: wg.Schema
) -> tuple[dict[str, object], dict[str, object]]:
    like = likeness(train, made, holdout, seed=SEED)
    area, ratio = detection(train, made, holdout, seed=SEED)
    near = neighbourhoods(train, made, holdout, seed=SEED)
    # Who was followed how long tells who died.
    first = [frame.drop(columns="d.time") for frame in (train, made, holdout)]
    taught = train_synthetic_test_real(*first, target=LABEL, seed=SEED, models=[GB]).models[GB]
    signs = coefficient_agreement(*first, target=LABEL, seed=SEED)
    endpoint = endpoint_of(schema)
    alive = survival_agreement(train, made, holdout, endpoint=endpoint, seed=SEED).gaps["all"]
    hazards = hazard_agreement(train, made, holdout, endpoint=endpoint, seed=SEED)
    groups = subgroups(train, made, holdout, groups=default_groups(schema), seed=SEED)
    pairs = {
        "columns": like.mean, "pairs": like.pairs, "associations": like.associations, "detector": area,
        "pMSE ratio": ratio, "precision": near.precision, "coverage": near.coverage, "coefficients: signs": signs.signs,
        "coefficients: overlap": signs.overlap, "hazards: overlap": hazards.overlap, "survival: gap": alive.mean,
        "survival: ratio": alive.ratio,
    }  # fmt: skip
    told = {name: _told(pair.synthetic) for name, pair in pairs.items()}
    best = {name: _told(pair.holdout) for name, pair in pairs.items()}
    made_of = {which: one.error for which, one in taught.calibration.items()}
    best |= {"TSTR (GB)": _told(taught.trtr), "calibration error (GB)": _told(made_of["real"])}
    return told | {
        "TSTR (GB)": _told(taught.tstr), "TSTR / TRTR (GB)": _told(taught.share),
        "calibration error (GB)": _told(made_of["synthetic"]),
        "groups that vanished": sum(row.verdict == "vanished" for row in groups),
        "groups too small to judge": sum(row.verdict == "too few to judge" for row in groups),
    }, best  # fmt: skip


def _told(found: Estimate) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


if __name__ == "__main__":
    main()
