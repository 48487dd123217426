"""Visits: who comes when, and measures that remember their patient and the visit before."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.schema.cohort import Codes
from wardgan.schema.columns import Column
from wardgan.schema.visits import Visits
from wardgan.simulate.shapes import Scores, cuts_of, stepped

# Of the reasons to stay away, this part belongs to the patient and the rest to the day.
_HABIT: Final = 0.6
_FIRST: Final = 0.97


def attendance(visits: Visits, stays: float, habit: Scores, stream: np.random.Generator) -> NDArray[np.bool_]:
    """Gives which visits take place; everybody has at least one.

    Args:
        visits: The grid.
        stays: Share of the patients who come to the last visit of a grid, or how much of `max_visits` is usual.
        habit: Each patient's inclination to come, standard normal, shape (patients,).
        stream: What is drawn from.

    Returns:
        Array of shape (patients, slots).
    """
    slots = len(visits.slots)
    if visits.complete:
        return np.ones((len(habit), slots), dtype=bool)
    if visits.ragged:
        count = np.clip(np.ceil(stays * slots * np.exp(0.5 * habit)), 1, slots)
        return np.arange(slots) < count[:, None]
    shares = np.linspace(_FIRST, stays, slots)
    borders = np.array([float(cuts_of(np.array([1 - share, share]))[0]) for share in shares])
    day = stream.standard_normal((len(habit), slots))
    present = np.sqrt(_HABIT) * habit[:, None] + np.sqrt(1 - _HABIT) * day > borders
    present[~present.any(axis=1), 0] = True
    return present


def repeated(trait: Scores, slots: int, kept: float, memory: float, stream: np.random.Generator) -> Scores:
    """Gives standard normal scores of a measure at each slot: the patient's own level, and a drift that fades.

    Args:
        trait: The patients' own levels, standard normal, shape (patients,).
        slots: How many visits.
        kept: Part of the variance that is the patient's own level, in [0, 1].
        memory: Correlation of the drift between neighbouring slots, in [0, 1).
        stream: What is drawn from.

    Returns:
        Array of shape (patients, slots).
    """
    drift = stream.standard_normal((len(trait), slots))
    for slot in range(1, slots):
        drift[:, slot] = memory * drift[:, slot - 1] + np.sqrt(1 - memory**2) * drift[:, slot]
    return np.sqrt(kept) * trait[:, None] + np.sqrt(1 - kept) * drift


def times(column: Column, slots: int, pace: float, stream: np.random.Generator, patients: int) -> Codes:
    """Gives the times of ragged visits, rising for each patient, shape (patients, slots).

    Args:
        column: The key of the visits, modelled as a number or a date.
        slots: How many visits there may be.
        pace: Part of the declared range that the usual patient with all visits takes, in (0, 1).
        stream: What is drawn from.
        patients: How many.
    """
    low, high = float(column.low or 0.0), float(column.high or 0.0)
    gaps = pace / slots * np.exp(0.5 * stream.standard_normal((patients, slots)))
    gaps[:, 0] *= 0.1
    return stepped(low + np.minimum(np.cumsum(gaps, axis=1), 1.0) * (high - low), column)
