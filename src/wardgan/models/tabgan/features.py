"""What the discriminator sees of real patients: normal scores of numbers, indicators of levels and of missing cells.

Real patients come as units, fakes as correlated normals (see `wardgan.models.tabgan.fakes`); both end in the same
features. The maps are made from the anchor alone, so they cost nothing, and they treat each patient alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.units import Units
from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.scores import normal_quantile

_MOST_INDICATORS: Final = 12


@dataclass(frozen=True)
class Block:
    """The features of one variable.

    Attributes:
        at: Position of the variable.
        scored: Whether its first feature is a score.
        indicators: Levels that have an indicator.
        hole: Where the axis of its missing cells stands; they have the last feature. `None`: no cell is missing.
    """

    at: int
    scored: bool
    indicators: tuple[int, ...]
    hole: int | None

    @property
    def width(self) -> int:
        """Number of features."""
        return self.scored + len(self.indicators) + (self.hole is not None)


def blocks(anchor: Anchor) -> list[Block]:
    """Gives the features of each variable, in order."""
    found: list[Block] = []
    for at, (variable, levels) in enumerate(zip(anchor.layout.variables, anchor.levels, strict=True)):
        plain = levels.size - (levels.missing is not None)
        scored = variable.column.numeric or plain > _MOST_INDICATORS
        found.append(Block(at, scored, () if scored else tuple(range(plain)), anchor.holes.get(at)))
    return found


def width(anchor: Anchor) -> int:
    """Gives the number of features of a patient, the class's indicators included."""
    return sum(block.width for block in blocks(anchor)) + len(anchor.probabilities)


def real_features(units: Units, classes: NDArray[np.int64], anchor: Anchor) -> NDArray[np.float32]:
    """Gives the features of patients given as units.

    Args:
        units: Shape (patients, variables).
        classes: Shape (patients,).
        anchor: The maps.

    Returns:
        Shape (patients, features); cells of a visit that did not take place are 0 throughout.
    """
    found = np.zeros((len(units), width(anchor)), dtype=np.float32)
    place = 0
    for block in blocks(anchor):
        column = units[:, block.at]
        level = anchor.levels[block.at].index(column)
        there, hole = level >= 0, level == anchor.levels[block.at].missing
        if block.scored:
            found[:, place] = np.where(there & ~hole, score(anchor, block.at, column, level), 0.0)
        for one, indicator in enumerate(block.indicators, start=place + block.scored):
            found[:, one] = level == indicator
        place += block.width
        if block.hole is not None:
            found[:, place - 1] = hole
    found[np.arange(len(units)), place + classes] = 1.0
    return found


def score(anchor: Anchor, at: int, units: Units, level: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Gives the normal scores of units of one variable that are not missing.

    Args:
        anchor: The maps.
        at: Position of the variable.
        units: Shape (patients,).
        level: Level of each of them, if it is known already.
    """
    levels, variable = anchor.levels[at], anchor.layout.variables[at]
    if not variable.column.numeric:
        return anchor.scores[at][np.maximum(levels.index(units) if level is None else level, 0)]
    grid = anchor.grids[variable.column.name]
    edges = np.concatenate([[0.0], np.asarray(levels.edges or ()), [1.0]])
    bins = len(edges) - 1
    pooled = anchor.probabilities @ anchor.margins[at][:, :bins]
    share = np.concatenate([[0.0], np.cumsum(pooled)]) / max(pooled.sum(), 1e-12)
    # The share below a unit: the bin's share, spread inside the bin as on the fine grid.
    points = np.unique(np.concatenate([edges, grid.edges]))
    which = np.clip(np.searchsorted(edges, points, side="right") - 1, 0, bins - 1)
    below = grid.share_below(edges)
    inside = (grid.share_below(points) - below[which]) / np.maximum(below[which + 1] - below[which], 1e-12)
    cumulative = share[which] + np.clip(inside, 0, 1) * (share[which + 1] - share[which])
    # Knots once, interpolation for all: the quantile of ten thousand points would be slow.
    scores = normal_quantile(np.clip(cumulative, 0.005, 0.995))
    return np.interp(np.clip(units, 0, 1), points, scores)
