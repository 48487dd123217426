"""What a researcher asks for: `where` and `balance`, honoured exactly or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import UsageError
from wardgan.sample.wish import Condition, Wanted, condition, place_of
from wardgan.schema.cohort import Cohort
from wardgan.schema.schema import Schema

Where = Mapping[str, Wanted]


@dataclass(frozen=True)
class Conditions:
    """Everything that was asked for.

    Attributes:
        turns: Chance of each class, shape (turns, classes); the rows sum to 1. Patient `i` belongs to row `i` modulo
            the number of rows: one row, or one for each level that shall be equally frequent.
        others: Conditions that need drawing again until they hold.
    """

    turns: NDArray[np.float64]
    others: tuple[Condition, ...]

    @property
    def names(self) -> str:
        """What the other conditions are about, in words."""
        return ", ".join(one.place.name for one in self.others)

    def classes(self, turn: NDArray[np.intp], stream: np.random.Generator) -> NDArray[np.int64]:
        """Draws the class of each patient.

        Args:
            turn: Row of `turns` of each patient, shape (patients,).
            stream: Source of randomness.
        """
        turns, classes = self.turns.shape
        if classes == 1:
            return np.zeros(len(turn), dtype=np.int64)
        edges = np.cumsum(self.turns, axis=1)
        edges /= edges[:, -1:]
        flat = (edges + np.arange(turns)[:, None]).ravel()
        drawn = np.searchsorted(flat, stream.random(len(turn)) + turn, side="right") - turn * classes
        # A sum that rounds up must not lead into the next row, nor to a class of no chance.
        last = classes - 1 - np.argmax(self.turns[:, ::-1] > 0, axis=1)
        return np.minimum(drawn, last[turn]).astype(np.int64)

    def hold(self, cohort: Cohort) -> NDArray[np.bool_]:
        """Tells for which patients the other conditions hold; shape (patients,)."""
        held = np.ones(len(cohort), dtype=bool)
        for one in self.others:
            held &= one.holds(cohort)
        return held


def conditions(schema: Schema, probabilities: Sequence[float], where: Where | None, balance: str | None) -> Conditions:
    """Gives what `where` and `balance` ask for.

    Args:
        schema: The generator's schema.
        probabilities: The generator's share of each class.
        where: For each name (`wish.place_of`) what it must be (`wish.condition`).
        balance: A label whose levels shall be equally frequent.

    Raises:
        UsageError: An unknown column, visit or level, an empty range, conditions that contradict each other, or a
            column that cannot be balanced, or of which `where` leaves one level only.
    """
    if where is not None and not isinstance(where, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"where={where!r} is not a mapping such as {{'age': (65, 80)}}.")
    levels = _levels_of_classes(schema)
    allowed = np.ones(schema.classes, dtype=bool)
    others: list[Condition] = []
    for name, wanted in (where or {}).items():
        found = condition(place_of(schema, name), wanted)
        if name in levels:
            allowed &= np.isin(levels[name], found.codes) | found.range
        else:
            others.append(found)
    _check_visits(schema, others)
    weights = np.asarray(probabilities, dtype=np.float64) * allowed
    if balance is None:
        return Conditions(_shares(weights, allowed)[None, :], tuple(others))
    rows = [
        _shares(weights * held, allowed & held)
        for held in (levels[balance] == level for level in _balanced(schema, balance, levels, allowed))
    ]
    return Conditions(np.array(rows), tuple(others))


def _balanced(
    schema: Schema, balance: str, levels: Mapping[str, NDArray[np.intp]], allowed: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Gives the levels that take turns."""
    column = next((label for label in schema.labels if label.name == balance), None)
    if column is None:
        labels = ", ".join(label.name for label in schema.labels) or "none"
        raise UsageError(f"balance={balance!r} is not a label of the generator; its labels are: {labels}.")
    left = np.unique(levels[balance][allowed])
    if len(left) == 1 < column.size:
        raise UsageError(
            f"balance={balance!r}: where leaves it one level only ({column.levels[left[0]]}), so there is nothing to "
            "balance; leave out one of the two."
        )
    return left


def _check_visits(schema: Schema, others: Sequence[Condition]) -> None:
    """Refuses conditions of which one needs a visit that another excludes."""
    visits = schema.visits
    if visits is None:
        return
    named = {found.place.slot: found for found in others if found.place.kind == "visit"}
    taken = {slot for slot, found in named.items() if set(found.codes) == {1.0}}
    for found in others:
        if found.place.kind == "cell" and not found.missing:
            slot = found.place.slot
            if slot in named and set(named[slot].codes) == {0.0}:
                raise UsageError(
                    f"where: {found.place.name} needs the visit {visits.slots[slot]}, and {named[slot].place.name} "
                    "asks that it does not take place; leave out one of the two."
                )
            taken.add(slot)
    least = max(taken, default=-1) + 1 if visits.ragged else len(taken)
    most = len(visits.slots) - sum(set(found.codes) == {0.0} for found in named.values())
    for found in others:
        if found.place.kind == "count" and not np.isin(np.arange(least, most + 1), _counts(found, most)).any():
            raise UsageError(
                f"where: {found.place.name} contradicts the other conditions, which need {least} to {most} visits; "
                "leave out one of them."
            )


def _counts(found: Condition, most: int) -> list[int]:
    if not found.range:
        return [int(code) for code in found.codes]
    return [number for number in range(most + 1) if found.codes[0] <= number <= found.codes[1]]


def _shares(weights: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Gives weights that sum to 1; where no weight is left, all allowed classes are equally likely."""
    chosen = weights if weights.sum() > 0 else allowed.astype(np.float64)
    return chosen / chosen.sum()


def _levels_of_classes(schema: Schema) -> dict[str, NDArray[np.intp]]:
    """Gives the level index of each label in each class, shape (classes,); the last label changes fastest."""
    found: dict[str, NDArray[np.intp]] = {}
    index = np.arange(schema.classes)
    for column in reversed(schema.labels):
        index, found[column.name] = np.divmod(index, column.size)
    return found
