"""What the discriminator sees of fakes: the features of real patients, differentiable in correlated normals.

A schema of visits has hundreds of variables, so all of one kind are made together: numbers, scored categories,
indicators of levels, and missing cells.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import NormalDist
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.quantiles import number_steps, number_table
from wardgan.models.anchor.scores import hole_border, normal_quantile
from wardgan.models.tabgan.features import Block, blocks, score

_SOFTNESS: Final = 0.15


class FakeFeatures:
    """The features of generated patients, differentiable in the correlated normals."""

    def __init__(self, anchor: Anchor) -> None:
        """Makes the maps from an anchor."""
        found = blocks(anchor)
        numeric = {block.at for block in found if anchor.layout.variables[block.at].column.numeric}
        self._count = len(anchor.probabilities)
        self._numbers = _Numbers(anchor, sorted(numeric))
        self._plain = _places(block.at for block in found if block.scored and block.at not in numeric)
        marked = [block for block in found if block.indicators]
        self._marked = _places(block.at for block in marked for _ in block.indicators)
        borders = [_borders(anchor, block.at) for block in marked]
        self._low, self._high = (
            _tensor(np.concatenate([np.empty((self._count, 0)), *(border[end] for border in borders)], axis=1))
            for end in (0, 1)
        )
        holed = [block for block in found if block.hole is not None]
        self._holes = _places(block.hole or 0 for block in holed)
        border = [[hole_border(share) for share in anchor.missing(block.at)] for block in holed]
        self._hole_border = _tensor(np.array(border).reshape(len(holed), self._count).T)
        owners = [*self._numbers.at, *self._plain.tolist(), *self._marked.tolist()]
        hole = {block.at: place for place, block in enumerate(holed)}
        self._hole_of = _places(hole.get(at, len(holed)) for at in owners)
        owners += [block.at for block in holed]
        self._visits = _Visits(anchor, owners)
        self._order = _places(_order(found, owners, len(holed)))

    def __call__(self, normals: Tensor, classes: Tensor) -> Tensor:
        """Gives features.

        Args:
            normals: Correlated standard normals, shape (patients, axes).
            classes: Shape (patients,).

        Returns:
            Shape (patients, features).
        """
        low, high, border = (_of(table, classes) for table in (self._low, self._high, self._hole_border))
        values = torch.cat(
            [
                self._numbers(normals, classes),
                normals.index_select(1, self._plain),
                _inside(normals.index_select(1, self._marked), low, high),
            ],
            dim=1,
        )
        hole = _inside(normals.index_select(1, self._holes), border, torch.full_like(border, torch.inf))
        if len(self._holes):
            known = torch.cat([1 - hole, torch.ones(len(hole), 1)], dim=1)
            values = values * known.index_select(1, self._hole_of)
        features = self._visits(torch.cat([values, hole], dim=1), normals, classes)
        onehot = torch.eye(self._count)[classes]
        return torch.cat([features.index_select(1, self._order), onehot], dim=1)


class _Numbers:
    """Normal scores of numbers: their quantile tables, with scores for units."""

    def __init__(self, anchor: Anchor, at: list[int]) -> None:
        self.at = at
        self._steps = number_steps(anchor)
        tables = [number_table(anchor, one, self._steps) for one in at]
        shape = (len(anchor.probabilities), len(tables), self._steps)
        start, rise = np.zeros(shape), np.zeros(shape)
        for place, (one, table) in enumerate(zip(at, tables, strict=True)):
            begin = score(anchor, one, table.start.ravel()).reshape(table.start.shape)
            end = score(anchor, one, (table.start + table.rise).ravel()).reshape(table.start.shape)
            start[:, place], rise[:, place] = begin, end - begin
        self._start, self._rise = _tensor(start).flatten(), _tensor(rise).flatten()

    def __call__(self, normals: Tensor, classes: Tensor) -> Tensor:
        share = torch.special.ndtr(normals.index_select(1, _places(self.at))) * self._steps  # (patients, numbers)
        step = share.detach().floor().clamp(0, self._steps - 1)
        index = step.long() + self._steps * torch.arange(len(self.at))
        index = index + classes[:, None] * self._steps * len(self.at)
        return self._start[index] + (share - step) * self._rise[index]


class _Visits:
    """Cells of visits that did not take place: 0 throughout."""

    def __init__(self, anchor: Anchor, owners: list[int]) -> None:
        absent = _absent(anchor)
        self._owners = _places(owner for owner, _, _ in absent)
        self._border = torch.stack([border for _, border, _ in absent], dim=1) if absent else torch.empty(0)
        visit = {cell: place for place, (_, _, cells) in enumerate(absent) for cell in cells}
        self._visit_of = _places(visit.get(at, len(absent)) for at in owners)

    def __call__(self, features: Tensor, normals: Tensor, classes: Tensor) -> Tensor:
        if not len(self._owners):
            return features
        there = (normals.detach()[:, self._owners] >= _of(self._border, classes)).float()  # (patients, visits)
        whole = torch.cat([there, torch.ones(len(there), 1)], dim=1)
        return features * whole.index_select(1, self._visit_of)


def _order(found: list[Block], owners: list[int], holes: int) -> list[int]:
    """Gives for each feature, in the order of the blocks, where it stands among those made together."""
    values: dict[int, list[int]] = {}
    for place, at in enumerate(owners[: len(owners) - holes]):
        values.setdefault(at, []).append(place)
    hole = {at: len(owners) - holes + place for place, at in enumerate(owners[len(owners) - holes :])}
    return [
        place
        for block in found
        for place in [*values.get(block.at, []), *([hole[block.at]] if block.hole is not None else [])]
    ]


def _of(table: Tensor, classes: Tensor) -> Tensor:
    """Gives each patient's row of a table of classes; a table of one class serves all as it is."""
    return table if len(table) == 1 else table[classes]


def _inside(normal: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Gives hard indicators of low <= normal < high whose gradient is that of soft ones (straight-through)."""
    hard = ((normal >= low) & (normal < high)).float()
    if not normal.requires_grad:
        return hard
    soft = torch.sigmoid((high - normal) / _SOFTNESS) - torch.sigmoid((low - normal) / _SOFTNESS)
    return hard + soft - soft.detach()


def _borders(anchor: Anchor, at: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives the normals between which each level of a category lies, for each class: two of (classes, levels)."""
    order = anchor.order[at]
    ordered = anchor.values(at)[:, order]
    edges = np.concatenate([np.zeros((len(ordered), 1)), np.cumsum(ordered, axis=1)], axis=1)
    normals = np.array([normal_quantile(np.clip(row, 1e-7, 1 - 1e-7)) for row in edges])
    normals[:, 0], normals[:, -1] = -np.inf, np.inf
    place = np.argsort(order)
    return normals[:, place], normals[:, place + 1]


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


def _places(positions: Iterable[int]) -> Tensor:
    return torch.tensor(list(positions), dtype=torch.int64)
