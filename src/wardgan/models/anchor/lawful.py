"""Margins that are right for the patients who are left, once those who break a rule are drawn again.

To draw again who breaks a rule bends the margins: where half of those with a level break one, half are lost. So the
levels are given as much more beforehand as they will lose, which is found by drawing. Nothing here reads a patient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import UsageError
from wardgan.models.anchor.anchor import Anchor
from wardgan.sample.generator import Generator
from wardgan.sample.redrawn import Redrawn, redrawn

_ROUNDS: Final = 3
_EACH: Final = 16_384
_MOST: Final = 1 << 17
_SURE: Final = 20.0
# How much a share may be changed, and how many times as many patients may be drawn for it.
_LIMITS: Final = ((40.0, 1.25), (4.0, np.inf))


def lawful_network(anchor: Anchor, made: Callable[[Anchor], bytes], *, latent: int) -> bytes:
    """Gives a network of which those patients who obey the rules have the anchor's margins, as nearly as can be.

    For given others, a level that is kept with chance a needs its share over a: iterative proportional fitting
    (Deming and Stephan 1940), with the chances of a few rounds of drawing. Where the margins and the rules contradict
    each other, as noise makes them, nothing is right for both, and ever more patients would be drawn for each who is
    kept: if they become a quarter more, no share is changed more than fourfold, and otherwise none more than fortyfold.

    Args:
        anchor: Margins to have.
        made: Makes the network of an anchor.
        latent: How many standard normals the network wants.
    """
    network = made(anchor)
    if not anchor.layout.schema.rules:
        return network
    for limit, dearer in _LIMITS:
        found = _corrected_network(anchor, network, made, latent, limit, dearer)
        if found is not None:
            return found
    raise AssertionError  # pragma: no cover - the last limit is taken at any price


def _corrected_network(
    anchor: Anchor, network: bytes, made: Callable[[Anchor], bytes], latent: int, limit: float, dearer: float
) -> bytes | None:
    """Gives a network with better margins; `None` if that is too dear."""
    classes, current = len(anchor.probabilities), anchor
    size, first = min(classes * _EACH, _MOST), None
    for number in range(_ROUNDS):
        generator = Generator(anchor.layout.schema, "anchor", network, latent, (1 / classes,) * classes)
        try:
            # Replayable on purpose: the same numbers in each fit, and no patient of the hospital is involved.
            found = redrawn(generator, size, seed=number)
        except UsageError:
            # Hardly anybody obeys the rules: the sample will say so, unless it is the correction that makes them rare.
            return network if first is None or dearer == np.inf else None
        if not found.again:
            return network
        first = first or size + found.again
        if size + found.again > dearer * first:
            return None
        current = replace(current, margins=_corrected(anchor, current, found, limit))
        network = made(current)
    return network


def _corrected(
    anchor: Anchor, current: Anchor, drawn: Redrawn, limit: float
) -> tuple[NDArray[np.float64], ...]:  # fmt: skip
    """Gives the margins with which more of those would be drawn of whom too few are left."""
    found: list[NDArray[np.float64]] = []
    for at, (levels, wanted, mine) in enumerate(zip(anchor.levels, anchor.margins, current.margins, strict=True)):
        level = levels.index(drawn.units[:, at])
        there = level >= 0
        key = drawn.classes[there] * levels.size + level[there]
        count = np.bincount(key, minlength=len(wanted) * levels.size).reshape(len(wanted), levels.size)
        total = count.sum(axis=1, keepdims=True)
        expected = wanted / wanted.sum(axis=1, keepdims=True) * total
        # Levels that hardly anybody has are left alone: their counts say little.
        better = mine * (expected + _SURE) / (count + _SURE)
        better = np.clip(better, wanted / limit, wanted * limit)
        found.append(better / better.sum(axis=1, keepdims=True) * wanted.sum(axis=1, keepdims=True))
    return tuple(found)
