"""Candidates from where the conditions can hold: the same conditional distribution, with far fewer draws.

Let p be the law of class and latent normals, and A a set that is proved to hold everybody who meets the conditions C.
Candidates from p given A that are kept if they meet C follow p given A and C, which is p given C, since C is within A.
Of the candidates P(C) / P(A) are kept, instead of P(C).

(A proposal q that is learned from pilot draws, as in the cross-entropy method, does not help: without knowing C, exact
rejection needs p <= M q everywhere, so M is at least 1, and P(C) / M of the candidates are kept, no more than without
it. What helps is a proof of where C is not.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.sample.bounds import directions, left
from wardgan.sample.conditions import Conditions
from wardgan.sample.forms import Floats, Value
from wardgan.sample.ranges import Need, needs
from wardgan.sample.region import Region
from wardgan.sample.trace import UnprovedError, traced

_MOST_AXES: Final = 4


@dataclass(frozen=True)
class Proposal:
    """Where patients who meet the conditions can be.

    Attributes:
        regions: Of each class; `None` where no patient can meet the conditions, or none is asked for.
        turns: Chance of each class, as in `Conditions.turns`, before the conditions.
    """

    regions: tuple[Region | None, ...]
    turns: NDArray[np.float64]

    @property
    def weights(self) -> Floats:
        """Chance of each class times what its region counts for, shape (turns, classes)."""
        return self.turns * np.array([0.0 if region is None else region.weights.sum() for region in self.regions])

    @property
    def shares(self) -> Floats:
        """For each turn, at least the share of the unconditioned patients who are in a region; shape (turns,)."""
        return self.weights.sum(axis=1)

    @property
    def coins(self) -> int:
        """How many other classes a patient might have been of, at most."""
        return max(int((self.weights > 0).sum(axis=1).max()) - 1, 0)

    def draw(self, turn: NDArray[np.intp], stream: np.random.Generator) -> Candidates:
        """Gives candidates: for each turn one or none, in order.

        Args:
            turn: Row of `turns` of each draw, shape (draws,).
            stream: Source of randomness.
        """
        strata = [np.zeros(0) if region is None else region.weights for region in self.regions]
        owner = np.repeat(np.arange(len(strata)), [len(each) for each in strata])
        first = np.cumsum([0, *(len(each) for each in strata)])
        chances = self.turns[:, owner] * np.concatenate(strata)
        which = Conditions(chances, ()).classes(turn, stream)  # number of the stratum, over all classes
        classes = owner[which].astype(np.int64)
        kept = np.zeros(len(turn), dtype=bool)
        coordinates = np.zeros((len(turn), max((len(region.parts) for region in self.regions if region), default=0)))
        for label, region in enumerate(self.regions):
            mine = np.flatnonzero(classes == label)
            if region is not None and len(mine):
                found, kept[mine] = region.draw(which[mine] - first[label], stream)
                coordinates[mine, : found.shape[1]] = found
        source = np.flatnonzero(kept)
        return Candidates(self, source, classes[source], coordinates[source])

    def others(self, classes: NDArray[np.int64], turn: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tells which other classes a patient might have been of, shape (patients, classes).

        Args:
            classes: The patients' own, shape (patients,).
            turn: Their rows of `turns`, shape (patients,).
        """
        possible = (self.weights > 0)[turn]
        possible[np.arange(len(classes)), classes] = False
        return possible


@dataclass(frozen=True)
class Candidates:
    """Some candidates, before the network has made patients of them.

    Attributes:
        proposal: Where they come from.
        source: Which draw each comes from, shape (candidates,).
        classes: Shape (candidates,).
        coordinates: What their latent normals are held to, shape (candidates, axes).
    """

    proposal: Proposal
    source: NDArray[np.intp]
    classes: NDArray[np.int64]
    coordinates: Floats

    def placed(self, normals: NDArray[np.float32], start: int) -> NDArray[np.float32]:
        """Gives the latent normals of the candidates from number `start` on.

        Args:
            normals: Standard normals, shape (patients, latent).
            start: Number of the first one.
        """
        rows = slice(start, start + len(normals))
        found = np.empty_like(normals)
        for label in np.unique(self.classes[rows]):
            region = self.proposal.regions[label]
            mine = self.classes[rows] == label
            if region is not None:
                found[mine] = region.placed(normals[mine], self.coordinates[rows][mine, : len(region.parts)])
        return found


def proposed(network: bytes, wanted: Conditions, layout: Layout, *, latent: int) -> Proposal | None:
    """Gives where patients who meet the conditions can be; `None` if nothing can be proved about the network.

    Args:
        network: ONNX bytes.
        wanted: The conditions.
        layout: The variables.
        latent: Number of latent normals.
    """
    asked = [need for condition in wanted.others for need in needs(condition, layout)]
    regions: list[Region | None] = []
    try:
        for label, chance in enumerate(wanted.turns.sum(axis=0)):
            units = traced(network, latent=latent, label=label) if chance > 0 else None
            regions.append(None if units is None else _region(units, asked, latent))
    except UnprovedError:
        return None
    return Proposal(tuple(regions), wanted.turns)


def _region(units: Value, asked: list[Need], latent: int) -> Region | None:
    """Gives the region of a class; `None` if it is empty."""
    found: list[Floats] = []
    parts: list[Floats] = []
    for need in asked:
        mine = directions(units, need.variable)
        if len(mine) > _MOST_AXES:
            continue
        for direction in mine or [np.zeros(latent)]:
            part = left(units, need.variable, need.ranges, direction)
            if not len(part):
                return None
            if direction.any():
                _meet(found, parts, direction, part)
    if not all(len(part) for part in parts):
        return None
    return Region.of(found, parts, latent=latent)


def _meet(found: list[Floats], parts: list[Floats], direction: Floats, part: Floats) -> None:
    """Adds a part of a direction, or narrows what is there of the same direction."""
    for at, one in enumerate(found):
        if np.array_equal(one, direction):
            low = np.maximum(parts[at][:, None, 0], part[None, :, 0]).ravel()
            high = np.minimum(parts[at][:, None, 1], part[None, :, 1]).ravel()
            order = np.argsort(low[low < high])
            parts[at] = np.stack([low[low < high][order], high[low < high][order]], axis=1)
            return
    found.append(direction)
    parts.append(part)
