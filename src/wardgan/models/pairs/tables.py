"""Groups of patients whom a network draws: hard ones, and soft ones for its training."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.refiner import Refiner
from wardgan.models.anchor.scores import hole_border, normal_quantile
from wardgan.models.pairs.candidates import Pairs
from wardgan.models.pairs.drawn import Groups, drawn_groups
from wardgan.rng import Seed

_SOFTNESS: Final = 0.15
_FAR: Final = 30.0
_DENSE: Final = 1_000
_DRAWN: Final = 8_192


def drawn_patients(
    refiner: Refiner, anchor: Anchor, groups: Groups, *, most: int | None = None
) -> list[NDArray[np.int64]]:
    """Gives for each class the groups of patients drawn by a network; from the same latent normals each time.

    Args:
        refiner: The network.
        anchor: Margins.
        groups: For each variable the group of each level.
        most: How many patients of all classes together, at least 256 of each.
    """
    found: list[NDArray[np.int64]] = []
    classes = len(anchor.probabilities)
    size = _DRAWN if most is None else int(np.clip(most // classes, 256, _DRAWN))
    for y in range(classes):
        latent = Seed(0).stream("drawn pairs", y).standard_normal((size, refiner.latent), dtype=np.float32)
        with torch.no_grad():
            normals = refiner(torch.from_numpy(latent), torch.full((size,), y)).double().numpy()
        found.append(drawn_groups(normals, y, anchor, groups))
    return found


class SoftGroups:
    """In which group of each variable a generated patient is, differentiable in the normals.

    Attributes:
        size: Most groups of a variable.
    """

    def __init__(self, anchor: Anchor, groups: Groups) -> None:
        """Makes the borders of the groups from an anchor."""
        number = [int(group.max()) + 1 for group in groups]
        self.size = max(number)
        borders = np.full((len(anchor.probabilities), len(groups), self.size + 1), _FAR)
        for at, group in enumerate(groups):
            order = anchor.order[at]
            for y, share in enumerate(anchor.values(at)):
                mass = np.bincount(group[order], weights=share[order]).astype(np.float64)
                inner = normal_quantile(np.clip(np.cumsum(mass)[:-1], 1e-7, 1 - 1e-7))
                borders[y, at, : len(mass)] = [-_FAR, *inner]
        self._borders = _tensor(borders)[:, None]  # (classes, 1, variables, groups + 1)
        self._holes = list(anchor.holes)
        self._hole_axes = list(anchor.holes.values())
        self._hole_groups = [number[at] - 1 for at in self._holes]
        missing = [[hole_border(share) for share in anchor.missing(at)] for at in self._holes]
        self._hole_borders = _tensor(np.array(missing).reshape(-1, len(borders)).T)[:, None]  # (classes, 1, holes)
        self._absent = _absence(anchor)

    def __call__(self, normals: Tensor) -> Tensor:
        """Gives memberships.

        Args:
            normals: Shape (classes, patients, axes).

        Returns:
            Shape (classes, patients, variables, groups); a variable's groups sum to 1, or to 0 where it is absent.
        """
        above = _above(normals[:, :, : self._borders.shape[2], None], self._borders)
        member = above[..., :-1] - above[..., 1:]
        if self._holes:
            hole = _above(normals[:, :, self._hole_axes], self._hole_borders)
            filled = torch.ones_like(member[..., 0])
            filled[:, :, self._holes] = 1 - hole
            member = member * filled[..., None]
            member[:, :, self._holes, self._hole_groups] = hole
        if self._absent:
            member = member * self._there(normals, member)[..., None]
        return member

    def _there(self, normals: Tensor, member: Tensor) -> Tensor:
        there = torch.ones_like(member[..., 0])
        for owner, border, cells in self._absent:
            there[:, :, cells] *= (normals[:, :, owner] >= border[:, None]).float()[..., None]
        return there


def pair_tables(member: Tensor, pairs: Pairs) -> Tensor:
    """Gives the share of patients in each cell of each pair's table.

    Args:
        member: Shape (classes, patients, variables, groups).
        pairs: The pairs.

    Returns:
        Shape (classes, pairs, groups, groups).
    """
    classes, patients, variables, groups = member.shape
    first, second = (torch.tensor([pair[side] for pair in pairs]) for side in (0, 1))
    if variables * groups > _DENSE:
        one = member[:, :, first].permute(0, 2, 3, 1)  # (classes, pairs, groups, patients)
        other = member[:, :, second].permute(0, 2, 1, 3)  # (classes, pairs, patients, groups)
        return one @ other / patients
    flat = member.reshape(classes, patients, variables * groups)
    every = (flat.transpose(1, 2) @ flat).reshape(classes, variables, groups, variables, groups)
    return every.permute(0, 1, 3, 2, 4)[:, first, second] / patients


def _above(normal: Tensor, border: Tensor) -> Tensor:
    """Gives hard indicators of normal >= border whose gradient is that of soft ones (straight-through)."""
    soft = torch.sigmoid((normal - border) / _SOFTNESS)
    return (normal >= border).float() + soft - soft.detach()


def _absence(anchor: Anchor) -> list[tuple[int, Tensor, list[int]]]:
    """Gives for each presence variable the normal from which on its cells exist, and those cells."""
    variables = anchor.layout.variables
    cells = [(at, variable.slot) for at, variable in enumerate(variables) if variable.role == "cell"]
    found: list[tuple[int, Tensor, list[int]]] = []
    for at, variable in enumerate(variables):
        if variable.role == "presence":
            mine = [cell for cell, slot in cells if slot == variable.slot]
            found.append((at, _border(anchor, at, np.array([True, False])), mine))
        elif variable.role == "count":
            for slot in sorted({slot for _, slot in cells}):
                short = np.asarray(anchor.counts) <= slot
                found.append((at, _border(anchor, at, short), [cell for cell, mine in cells if mine == slot]))
    return found


def _border(anchor: Anchor, at: int, below: NDArray[np.bool_]) -> Tensor:
    share = np.clip(anchor.values(at)[:, : len(below)] @ below, 1e-7, 1 - 1e-7)
    return _tensor(normal_quantile(share))


def _tensor(array: object) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))
