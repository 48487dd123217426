"""What the discriminator sees: normal scores of numbers, indicators of levels and of missing cells.

Real patients come as units, fakes as correlated normals; both end in the same features. The maps are made from the
anchor alone, so they cost nothing, and they treat each patient alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wardgan.encode.units import Units
from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.quantiles import number_steps, number_table
from wardgan.models.anchor.scores import hole_border, normal_quantile

_SOFTNESS: Final = 0.15
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
    parts: list[NDArray[np.float64]] = []
    for block in blocks(anchor):
        column = units[:, block.at]
        level = anchor.levels[block.at].index(column)
        there, hole = level >= 0, level == anchor.levels[block.at].missing
        if block.scored:
            parts.append(np.where(there & ~hole, _score(anchor, block.at, column, level), 0.0))
        parts += [(level == one).astype(np.float64) for one in block.indicators]
        if block.hole is not None:
            parts.append(hole.astype(np.float64))
    onehot = np.eye(len(anchor.probabilities))[classes]
    return np.column_stack([*parts, onehot]).astype(np.float32)


class FakeFeatures:
    """The same features for generated patients, differentiable in the correlated normals."""

    def __init__(self, anchor: Anchor) -> None:
        """Makes the maps from an anchor."""
        self._anchor = anchor
        self._blocks = blocks(anchor)
        self._steps = number_steps(anchor)
        self._numbers = [b.at for b in self._blocks if anchor.layout.variables[b.at].column.numeric]
        tables = [number_table(anchor, at, self._steps) for at in self._numbers]
        shape = (len(anchor.probabilities), len(tables), self._steps)
        start, rise = np.zeros(shape), np.zeros(shape)
        for place, (at, table) in enumerate(zip(self._numbers, tables, strict=True)):
            begin = _score(anchor, at, table.start.ravel(), None).reshape(table.start.shape)
            end = _score(anchor, at, (table.start + table.rise).ravel(), None).reshape(table.start.shape)
            start[:, place], rise[:, place] = begin, end - begin
        self._start, self._rise = _tensor(start), _tensor(rise)
        self._borders = {block.at: _borders(anchor, block.at) for block in self._blocks if block.indicators}
        self._holes = {
            block.hole: _tensor([hole_border(share) for share in anchor.missing(block.at)])
            for block in self._blocks
            if block.hole is not None
        }
        self._absent = _absent(anchor)

    def __call__(self, normals: Tensor, classes: Tensor) -> Tensor:
        """Gives features.

        Args:
            normals: Correlated standard normals, shape (patients, axes).
            classes: Shape (patients,).

        Returns:
            Shape (patients, features).
        """
        scores = self._scores(normals, classes)
        parts: list[Tensor] = []
        for block in self._blocks:
            mine = [scores[block.at]] if block.scored else []
            if block.indicators:
                low, high = (border[classes] for border in self._borders[block.at])  # (patients, indicators)
                mine += list(_inside(normals[:, block.at, None], low, high).unbind(dim=1))
            if block.hole is not None:
                border = self._holes[block.hole][classes]
                hole = _inside(normals[:, block.hole], border, torch.full_like(border, torch.inf))
                mine = [*(part * (1 - hole) for part in mine), hole]
            parts += mine
        there = self._presence(normals, classes)
        if there is not None:
            owner = [block.at for block in self._blocks for _ in range(block.width)]
            parts = [part * there[at] if at in there else part for part, at in zip(parts, owner, strict=True)]
        onehot = torch.eye(len(self._anchor.probabilities))[classes]
        return torch.cat([torch.stack(parts, dim=1), onehot], dim=1)

    def _scores(self, normals: Tensor, classes: Tensor) -> dict[int, Tensor]:
        found: dict[int, Tensor] = {}
        if self._numbers:
            share = torch.special.ndtr(normals[:, self._numbers]) * self._steps  # (patients, numbers)
            step = share.detach().floor().clamp(0, self._steps - 1)
            index = step.long() + self._steps * torch.arange(len(self._numbers))
            index = index + classes[:, None] * self._steps * len(self._numbers)
            score = self._start.flatten()[index] + (share - step) * self._rise.flatten()[index]
            found |= {at: score[:, place] for place, at in enumerate(self._numbers)}
        for block in self._blocks:
            if block.scored and block.at not in found:
                found[block.at] = normals[:, block.at]
        return found

    def _presence(self, normals: Tensor, classes: Tensor) -> dict[int, Tensor] | None:
        if not self._absent:
            return None
        found: dict[int, Tensor] = {}
        for owner, border, cells in self._absent:
            there = (normals[:, owner] >= border[classes]).float()
            for cell in cells:
                found[cell] = found[cell] * there if cell in found else there
        return found


def _score(anchor: Anchor, at: int, units: Units, level: NDArray[np.int64] | None) -> NDArray[np.float64]:
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


def _inside(normal: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Gives hard indicators of low <= normal < high whose gradient is that of soft ones (straight-through)."""
    hard = ((normal >= low) & (normal < high)).float()
    soft = torch.sigmoid((high - normal) / _SOFTNESS) - torch.sigmoid((low - normal) / _SOFTNESS)
    return hard + soft - soft.detach()


def _borders(anchor: Anchor, at: int) -> tuple[Tensor, Tensor]:
    """Gives the normals between which each level of a category lies, for each class: two of (classes, levels)."""
    order = anchor.order[at]
    ordered = anchor.values(at)[:, order]
    edges = np.concatenate([np.zeros((len(ordered), 1)), np.cumsum(ordered, axis=1)], axis=1)
    normals = np.array([normal_quantile(np.clip(row, 1e-7, 1 - 1e-7)) for row in edges])
    normals[:, 0], normals[:, -1] = -np.inf, np.inf
    place = np.argsort(order)
    return _tensor(normals[:, place]), _tensor(normals[:, place + 1])


def _absent(anchor: Anchor) -> list[tuple[int, Tensor, list[int]]]:
    """Gives for each presence variable the normal above which its cells exist, and those cells."""
    found: list[tuple[int, Tensor, list[int]]] = []
    variables = anchor.layout.variables
    cells = [(at, variable.slot) for at, variable in enumerate(variables) if variable.role == "cell"]
    for at, variable in enumerate(variables):
        if variable.role == "presence":
            border = _true_border(anchor, at)
            found.append((at, border, [cell for cell, slot in cells if slot == variable.slot]))
        elif variable.role == "count":
            for slot in sorted({slot for _, slot in cells}):
                share = _share_at_most(anchor, at, slot)
                border = _tensor(normal_quantile(np.clip(share, 1e-7, 1 - 1e-7)))
                found.append((at, border, [cell for cell, mine in cells if mine == slot]))
    return found


def _share_at_most(anchor: Anchor, at: int, visits: int) -> NDArray[np.float64]:
    table = number_table(anchor, at, number_steps(anchor))
    steps = anchor.layout.variables[at].column.steps or 1
    return np.mean(table.start + table.rise / 2 < (visits + 1) / steps, axis=1)


def _true_border(anchor: Anchor, at: int) -> Tensor:
    margin = anchor.margins[at]
    return _tensor([NormalDist().inv_cdf(min(max(row[0] / row.sum(), 1e-7), 1 - 1e-7)) for row in margin])


def _tensor(array: object) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))
