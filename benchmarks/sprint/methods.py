"""What is compared: each method makes patients of one seed's trial, and they are judged."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

import wardgan as wg
from benchmarks.sprint import then
from benchmarks.sprint.epochs import Epochs, scored, taken
from benchmarks.sprint.judge import Judged, judged, numbers
from benchmarks.sprint.trial import Part, part_of, trial

REAL: Final = "real patients"
_SCORED: Final = 6_000
_USED: Final = 5_000
_DRAWN: Final = 20_000
Found = dict[str, object]


@dataclass(frozen=True)
class Old:
    """A run of the program of 2017.

    Attributes:
        recipe: Its settings.
        noisy: Whether epochs are picked with the noise of the picks of 2017.
    """

    recipe: then.Recipe
    noisy: bool


@dataclass(frozen=True)
class New:
    """One model of a family of the package, at the end of its training.

    Attributes:
        family: Which.
        epsilon: `None` without privacy.
    """

    family: str
    epsilon: float | None


OLD: Final[Mapping[str, Old]] = {
    "2017, no privacy": Old(then.OPEN, noisy=False),
    "2017, as in the notebooks": Old(then.PUBLISHED, noisy=True),
    "2017, with the stated noise": Old(then.STATED, noisy=True),
}
_EPSILONS: Final = (None, 3.5, 1.0)
NEW: Final[Mapping[str, New]] = {
    f"{family}, " + ("no privacy" if epsilon is None else f"epsilon {epsilon:g}"): New(family, epsilon)
    for family in ("acgan", "tabgan", "copula")
    for epsilon in _EPSILONS
}
METHODS: Final = (REAL, *NEW, *OLD)


def run(method: str, place: str, seed: int, epochs: Mapping[str, int]) -> Found:
    """Gives what a method's patients teach, ready for JSON.

    Args:
        method: One of `METHODS`.
        place: Where the trial is; see `trial`.
        seed: Of the trial, where it is simulated, and of the training.
        epochs: How many epochs the programs of 2017 train.
    """
    train, test = trial(place, seed)
    real = judged(train, test)
    begin = time.process_time()
    if method == REAL:
        return {"ways": {"": _told(real, real, seed)}}
    if method in NEW:
        part = _new(NEW[method], train, seed)
        seconds = time.process_time() - begin
        return {"ways": {"": _told(judged(part, test), real, seed)}, "seconds": seconds}
    old = OLD[method]
    made = then.epochs(train, old.recipe, count=epochs[method], seed=seed, drawn=(_SCORED, _USED))
    found = scored(made, train)
    seconds = time.process_time() - begin
    ways = taken(found, np.random.default_rng(seed) if old.noisy else None)
    told = {way: _told(judged(part, test), real, seed) for way, part in ways.items()}
    return {"ways": told, "epochs": _curves(found), "seconds": seconds}


def _new(method: New, train: Part, seed: int) -> Part:
    """Gives patients of one model of today's."""
    cohort = train.cohort()
    if method.epsilon is None:
        trained = wg.fit(cohort, family=method.family, privacy="none", seed=seed)
    else:
        trained = wg.fit(cohort, wg.Budget(epsilon=method.epsilon), family=method.family)
    return part_of(trained.generator.draw(_DRAWN, seed=seed))


def _told(found: Judged, real: Judged, seed: int) -> Found:
    """Gives numbers, and what figures need; correlations only of the first seed, since they are many."""
    told: Found = {
        "numbers": numbers(found, real),
        "medians": np.round(found.medians[:, 0], 2).tolist(),
        "weights": {name: np.round(one, 5).tolist() for name, one in found.weights.items()},
    }
    return told | ({"cells": np.round(np.nan_to_num(found.cells), 3).tolist()} if seed == 0 else {})


def _curves(found: Epochs) -> Found:
    return {
        "forest": np.round(found.forest, 4).tolist(),
        "logistic": np.round(found.logistic, 4).tolist(),
        "losses": np.round(found.losses, 4).tolist(),
    }
