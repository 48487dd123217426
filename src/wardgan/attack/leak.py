"""The positive control: a generator that leaks on purpose, so that everybody sees which attacks would notice."""

from __future__ import annotations

import numpy as np

from wardgan import check
from wardgan.attack.patients import check_schema
from wardgan.encode.layout import Layout
from wardgan.encode.units import classes_of, decode, encode
from wardgan.errors import DataError, UsageError
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort, joined


def leak(train: Cohort, others: Cohort, *, share: float = 0.3, noise: float = 0.02, seed: Seed) -> Cohort:
    """Gives what a leaking generator would: some patients are training patients, hardly blurred, the rest are honest.

    Args:
        train: Real patients who are copied, each at most once while there are enough.
        others: Patients from an honest source, such as the synthetic ones; as many come out as are in here.
        share: Part of the patients who are copies, from 0 to 1.
        noise: Standard deviation of the noise on each number, in standard deviations of its units in `train`. Values
            keep to bounds and steps, so a whole number changes only if the noise carries it over to the next one.
            Levels and empty cells are copied as they are.
        seed: Of who is copied, of the noise and of the order.

    Returns:
        The patients in random order, the schema being that of `train`.

    Raises:
        UsageError: `share` is no share, or `noise` is negative.
        DataError: A cohort is empty, or `others` has other columns than `train`.
    """
    if not check.is_number(share) or not 0 <= share <= 1:
        raise UsageError(f"share={share!r} is not between 0 and 1.")
    if not check.is_number(noise) or not 0 <= noise < np.inf:
        raise UsageError(f"noise={noise!r} is not a finite number of at least 0.")
    if not len(train) or not len(others):
        raise DataError("train and others: each needs at least one patient.")
    check_schema(train.schema, others.schema, "others")
    stream = seed.stream("attack/leak")
    count = round(share * len(others))
    turns = -(-count // len(train))
    chosen = np.concatenate([np.zeros(0, np.intp), *(stream.permutation(len(train)) for _ in range(turns))])[:count]
    honest = np.sort(stream.permutation(len(others))[: len(others) - count])
    parts = [_blurred(train, chosen, noise, stream), others.take(honest)]
    whole = joined([_plain(part, train) for part in parts if len(part)])
    return whole.take(stream.permutation(len(whole)))


def _blurred(train: Cohort, chosen: np.ndarray, noise: float, stream: np.random.Generator) -> Cohort:
    layout = Layout.of(train.schema)
    units = encode(train, layout)
    copies = units[chosen]
    for at, variable in enumerate(layout.variables):
        if variable.column.numeric and variable.role != "count":
            known = units[:, at][units[:, at] >= 0]
            moved = copies[:, at] + noise * (known.std() if known.size else 0.0) * stream.standard_normal(len(copies))
            copies[:, at] = np.where(copies[:, at] >= 0, np.clip(moved, 0.0, 1.0), copies[:, at])
    return decode(copies, classes_of(train)[chosen], layout)


def _plain(part: Cohort, train: Cohort) -> Cohort:
    """Gives a cohort with the schema of `train`, its patients counted from 1."""
    return Cohort(
        train.schema,
        {name: part.static[name] for name in train.static},
        {name: part.measured[name] for name in train.measured},
        part.present,
        np.arange(1, len(part) + 1),
    )
