"""Linkability and singling out: do synthetic patients tie records together, or point at one patient?"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.attack.inference import compared, tolerance
from wardgan.attack.membership import tested
from wardgan.attack.nearest import nearest
from wardgan.attack.patients import Parties, Rows, Variables
from wardgan.attack.result import Question, Result, too_few
from wardgan.rng import Seed

_PREDICATES: Final = 1_000


def linked(parties: Parties, question: Question, *, seed: Seed) -> Result:
    """Gives how much more often the two halves of a training patient's columns lead to the same synthetic patient.

    An attacker has one half of the columns from one source and the other half from another one. Both halves are linked
    if their nearest synthetic patients are the same. The columns are dealt at random, numbers and others by turns; the
    visits of a column stay together if there are two columns at least.

    Args:
        parties: The patients.
        question: What is asked.
        seed: Of the halves, and of who is tested.
    """
    one, two = halves(parties.variables, seed)
    parts = [tested(parties.train, seed, "attack/members"), tested(parties.holdout, seed, "attack/controls")]
    few = too_few({"training": len(parts[0]), "hold-out": len(parts[1]), "synthetic": len(parties.synthetic)})
    if few or not one or not two:
        return question.unanswered(few or "there is one column, which has no halves", len(parts[0]))
    numeric = parties.variables.numeric
    trials: list[list[tuple[int, int]]] = []
    for rows in parts:
        left, right = (nearest(rows[:, half], parties.synthetic[:, half], numeric[half])[1] for half in (one, two))
        trials.append([(int((left == right).sum()), len(rows))])
    return compared(question, *trials)


def halves(variables: Variables, seed: Seed) -> tuple[list[int], list[int]]:
    """Gives the two halves of the variables.

    Args:
        variables: What the columns of rows are.
        seed: Of the dealing.
    """
    groups = [variables.of(source) for source in sorted(set(variables.sources))]
    if len(groups) == 1:
        groups = [[at] for at in groups[0]]
    stream = seed.stream("attack/columns")
    mixed = [groups[at] for at in stream.permutation(len(groups))]
    mixed.sort(key=lambda group: bool(variables.numeric[group[0]]))
    return tuple(sorted(at for group in mixed[start::2] for at in group) for start in (0, 1))  # pyright: ignore[reportReturnType]


def singled_by_one(parties: Parties, question: Question, *, seed: Seed) -> Result:
    """Gives how much more often one value of a synthetic patient singles out one training patient.

    Predicates: a column has exactly a value (or an empty cell) that only one synthetic patient has; a number is at
    most the lowest, or at least the highest synthetic one. At most 1,000 of them, drawn at random. A predicate singles
    out if exactly one patient meets it. Training and hold-out have the same number of patients here, since in a small
    sample more patients are alone.

    Args:
        parties: The patients.
        question: What is asked.
        seed: Of the sample and of the predicates.
    """
    parts = _even(parties, seed)
    few = too_few({"training": len(parts[0]), "synthetic": len(parties.synthetic)})
    if few:
        return question.unanswered(few, len(parts[0]))
    alone: list[list[NDArray[np.bool_]]] = [[], []]
    for at in range(len(parties.variables.names)):
        made, counts = np.unique(parties.synthetic[:, at], return_counts=True)
        for found, rows in zip(alone, parts, strict=True):
            found.append(_times(rows[:, at], made[counts == 1]) == 1)
            if parties.variables.numeric[at] and (made >= 0).any():
                low, high = made[made >= 0][[0, -1]]
                mine = rows[:, at][rows[:, at] >= 0]
                found.append(np.array([(mine <= low).sum() == 1, (mine >= high).sum() == 1]))
    ours, theirs = (np.concatenate(found) for found in alone)
    chosen = seed.stream("attack/values").permutation(ours.size)[:_PREDICATES]
    return _judged(question, ours[chosen], theirs[chosen])


def singled_by_many(parties: Parties, question: Question, *, seed: Seed) -> Result:
    """Gives how much more often several values of a synthetic patient single out one training patient.

    1,000 predicates: a random synthetic patient, a random choice of columns, from half of them to all (at least two, if
    there are two); levels and empty cells as they are, numbers within the tolerance of `guessed`. A predicate singles
    out if exactly one patient meets it.

    Args:
        parties: The patients.
        question: What is asked.
        seed: Of the sample and of the predicates.
    """
    parts = _even(parties, seed)
    few = too_few({"training": len(parts[0]), "synthetic": len(parties.synthetic)})
    if few:
        return question.unanswered(few, len(parts[0]))
    stream = seed.stream("attack/predicates")
    count = len(parties.variables.names)
    fewest = min(count, max(2, (count + 1) // 2))
    near = _tolerances(parties)
    chosen = stream.permutation(len(parties.synthetic))[:_PREDICATES]
    columns = [np.ascontiguousarray(rows.T) for rows in parts]
    alone = np.empty((2, chosen.size), dtype=bool)
    for number, at in enumerate(chosen):
        mine = stream.permutation(count)[: stream.integers(fewest, count + 1)]
        for part, rows in enumerate(columns):
            alone[part, number] = _meet(rows, parties.synthetic[at], near, mine) == 1
    return _judged(question, alone[0], alone[1])


def _judged(question: Question, ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> Result:
    if ours.size < 50:
        return question.unanswered(f"{ours.size} predicates are fewer than 50", ours.size)
    return compared(question, [(int(ours.sum()), ours.size)], [(int(theirs.sum()), theirs.size)])


def _even(parties: Parties, seed: Seed) -> list[Rows]:
    """Gives as many training as hold-out patients."""
    size = min(len(parties.train), len(parties.holdout))
    return [
        rows[np.sort(seed.stream("attack/even", step).permutation(len(rows))[:size])]
        for step, rows in enumerate((parties.train, parties.holdout))
    ]


def _times(values: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.intp]:
    """Gives how often each of the wanted values occurs."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, wanted, side="right") - np.searchsorted(ordered, wanted, side="left")


def _tolerances(parties: Parties) -> NDArray[np.float32]:
    found = np.zeros(len(parties.variables.names), dtype=np.float32)
    for at in np.flatnonzero(parties.variables.numeric):
        values = parties.synthetic[:, at]
        if (values >= 0).any():
            found[at] = tolerance(values[values >= 0])
    return found


def _meet(
    columns: NDArray[np.float32], target: NDArray[np.float32], near: NDArray[np.float32], used: NDArray[np.intp]
) -> int:
    """Gives how many patients are near the target in some columns; columns of shape (variables, patients)."""
    left = np.arange(columns.shape[1])
    for at in used:
        # A tolerance is far below 1, and an empty cell is -1: nobody with a value is near it.
        values = columns[at][left]
        same = (values >= 0) == (target[at] >= 0)
        left = left[same & (np.abs(values - target[at]) <= near[at])]
        if not left.size:
            return 0
    return left.size
