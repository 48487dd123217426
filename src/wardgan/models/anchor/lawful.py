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
_LIMIT: Final = 4.0


def lawful_network(anchor: Anchor, made: Callable[[Anchor], bytes], *, latent: int) -> bytes:
    """Gives a network of which those patients who obey the rules have the anchor's margins, as nearly as can be.

    For given others, a level that is kept with chance a needs its share over a: iterative proportional fitting
    (Deming and Stephan 1940), with the chances of a few rounds of drawing. Where the margins and the rules contradict
    each other, nothing is right for both; no share is changed more than fourfold.

    Args:
        anchor: Margins to have.
        made: Makes the network of an anchor.
        latent: How many standard normals the network wants.
    """
    schema = anchor.layout.schema
    network, current = made(anchor), anchor
    if not schema.rules:
        return network
    classes = len(anchor.probabilities)
    size = min(classes * _EACH, _MOST)
    for number in range(_ROUNDS):
        generator = Generator(schema, "anchor", network, latent, (1 / classes,) * classes)
        try:
            # Replayable on purpose: the same numbers in each fit, and no patient of the hospital is involved.
            found = redrawn(generator, size, seed=number)
        except UsageError:
            return network  # hardly anybody obeys them; the sample will say so
        if not found.again:
            return network
        current = replace(current, margins=_corrected(anchor, current, found))
        network = made(current)
    return network


def _corrected(anchor: Anchor, current: Anchor, drawn: Redrawn) -> tuple[NDArray[np.float64], ...]:
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
        better = np.clip(better, wanted / _LIMIT, wanted * _LIMIT)
        found.append(better / better.sum(axis=1, keepdims=True) * wanted.sum(axis=1, keepdims=True))
    return tuple(found)
