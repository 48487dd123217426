"""Attribute inference: does a patient's own synthetic neighbour give away what the patient would keep secret?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.attack.membership import tested
from wardgan.attack.nearest import nearest
from wardgan.attack.patients import Parties, Rows
from wardgan.attack.result import Question, Result, too_few
from wardgan.estimate import excess
from wardgan.rng import Seed
from wardgan.schema.schema import Schema

Trials = list[tuple[int, int]]
Hits = NDArray[np.bool_]
Levels = NDArray[np.float32]

# A number is guessed right within this part of the range of the middle 90 % of synthetic values.
_NEAR: Final = 0.05
_MIDDLE: Final = (0.05, 0.95)
# Levels that fewer tested patients have are counted together.
_RARE: Final = 20


def secrets(schema: Schema) -> tuple[str, ...]:
    """Gives the columns that are guessed, sorted by name.

    Those that are declared `sensitive`. If none is: the labels, the flags and the time-to-event pair; if there is none
    of these either, every column.
    """
    columns = [column for column in schema.columns if not column.constant]
    chosen = {column.name for column in columns if column.sensitive}
    if not chosen:
        chosen = {column.name for column in columns if column.label or column.kind == "flag"}
        chosen |= set(schema.events.values())
    return tuple(sorted(chosen or {column.name for column in columns}))


def guessed(parties: Parties, secret: str, question: Question, *, seed: Seed) -> Result:
    """Gives how much more often the secret of a training patient is guessed right than that of a hold-out patient.

    The guess is what the nearest synthetic patient has, by all columns but the secret one; of a time-to-event pair,
    the other one is hidden, too. Of a column of the visits all cells are hidden, and the newest one that was measured
    is guessed; of the key of ragged visits that is the time since the visit before. Only patients who have a value are
    tested, and only synthetic ones who have one are asked.

    A level must be guessed as it is, and each level counts alike (those of fewer than 20 tested patients together), or
    a rare diagnosis would drown. A number must be guessed within a twentieth of the range of the middle 90 % of
    synthetic values.

    Args:
        parties: The patients.
        secret: Name of the column.
        question: What is asked.
        seed: Of who is tested.
    """
    variables = parties.variables
    hidden = {at for name in _pair(parties.schema, secret) for at in variables.of(name)}
    others = [at for at in range(len(variables.names)) if at not in hidden]
    cells = variables.of(secret)
    if not others or not cells:
        return question.unanswered("there is no other column to guess it from")
    parts = [tested(parties.train, seed, "attack/members"), tested(parties.holdout, seed, "attack/controls")]
    parts, wanted = _with_values(parts, cells)
    made, answers = (each[0] for each in _with_values([parties.synthetic], cells))
    few = too_few({"training": len(parts[0]), "hold-out": len(parts[1])}) or (
        "" if len(made) else "no synthetic one has a value"
    )
    if few or np.unique(np.concatenate(wanted)).size == 1:
        return question.unanswered(few or "all patients have the same value", len(parts[0]))
    numeric = bool(variables.numeric[cells[0]])
    away = tolerance(answers) if numeric else np.float32(0)
    right: list[Hits] = []
    for rows, values in zip(parts, wanted, strict=True):
        _, place = nearest(rows[:, others], made[:, others], variables.numeric[others])
        right.append(np.abs(answers[place] - values) <= away)
    if numeric:
        return compared(question, *_trials(right, [np.full(values.size, -1.0) for values in wanted]))
    return compared_by_level(question, right, wanted)


def compared_by_level(question: Question, right: Sequence[Hits], wanted: Sequence[Levels]) -> Result:
    """Gives how much more often levels of training patients are guessed right than those of hold-out patients.

    Each level counts alike; those of fewer than 20 patients on a side are counted together.

    Args:
        question: What is asked.
        right: Whose guess was right, of the training and of the hold-out, each of shape (patients,).
        wanted: Their levels as numbers of at least 0, of the same shapes.
    """
    ours, theirs = _trials(right, _levels(*wanted))
    if not ours:
        return question.unanswered(f"fewer than two levels have {_RARE} patients", len(right[0]))
    return compared(question, ours, theirs)


def compared(question: Question, ours: Trials, theirs: Trials) -> Result:
    """Gives the result of an attack on training patients against the same one on hold-out patients.

    Args:
        question: What is asked.
        ours: For each group successes and trials on training patients.
        theirs: The same groups on hold-out patients.
    """
    plain, joint = (excess(ours, theirs, confidence=level) for level in (0.95, question.confidence))
    if plain.baseline == 1:
        return question.unanswered("hold-out patients are always guessed right", plain.n)
    return question.answered(plain, joint, _error(ours, theirs))


def tolerance(values: NDArray[np.float32]) -> np.float32:
    """Gives how far from a number a guess may be, in units: from synthetic values of shape (people,)."""
    low, high = np.quantile(values, _MIDDLE)
    return np.float32(_NEAR * (high - low) + 1e-6)


def _pair(schema: Schema, secret: str) -> set[str]:
    pair = set(schema.events.values())
    return pair if secret in pair else {secret}


def _with_values(parts: list[Rows], cells: list[int]) -> tuple[list[Rows], list[NDArray[np.float32]]]:
    """Gives the patients who have a value, and the newest one."""
    rows, values = [], []
    for part in parts:
        mine = part[:, cells]  # (patients, slots)
        newest = len(cells) - 1 - (mine[:, ::-1] >= 0).argmax(axis=1)
        value = mine[np.arange(len(part)), newest]
        rows.append(part[value >= 0])
        values.append(value[value >= 0])
    return rows, values


def _levels(ours: Levels, theirs: Levels) -> list[NDArray[np.float64]]:
    """Gives the group of each patient: the level, or -1 for rare ones."""
    common = [level for level in np.unique(ours) if min((ours == level).sum(), (theirs == level).sum()) >= _RARE]
    return [np.where(np.isin(values, common), values, -1.0) for values in (ours, theirs)]


def _trials(right: Sequence[Hits], groups: list[NDArray[np.float64]]) -> tuple[Trials, Trials]:
    """Gives successes and trials for each group of which both parts have 20; -1 is the rest, or all numbers."""
    ours, theirs = groups
    both = [group for group in np.union1d(ours, theirs) if min((ours == group).sum(), (theirs == group).sum()) >= _RARE]
    if len(both) == 1 and both[0] >= 0:
        return [], []  # with one level there is nothing to guess
    first, second = (
        [(int(hit[mine == group].sum()), int((mine == group).sum())) for group in both]
        for hit, mine in zip(right, groups, strict=True)
    )
    return first, second


def _error(ours: Trials, theirs: Trials) -> float:
    """Gives the standard error of an excess where there is none."""
    variance, left = 0.0, 0.0
    for (_, n), (hits, m) in zip(ours, theirs, strict=True):
        share = (hits + 1) / (m + 2)
        variance += share * (1 - share) * (1 / n + 1 / m)
        left += 1 - hits / m
    return float(np.sqrt(variance) / left) if left else float("inf")
