"""How much synthetic patients look as if a canary had been trained on; nothing here knows who was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.attack.nearest import nearest
from wardgan.attack.patients import Rows, Variables

Scores = NDArray[np.float64]

# Numbers are counted in cells of three widths: a family may have smoothed the finest ones away.
PARTS: Final = (128, 512, 2048)
_BLUR: Final = 1e-4
_LEAST: Final = 0.25
_LIMIT: Final = 1.0


@dataclass(frozen=True, eq=False, repr=False)
class Scene:
    """What an auditor sees.

    Attributes:
        variables: What the columns of the rows are.
        canaries: Shape (canaries, variables), as in `Parties`.
        others: The real patients who were trained on beside the canaries; known to the auditor.
        synthetic: Patients drawn from what was trained.
    """

    variables: Variables
    canaries: Rows
    others: Rows
    synthetic: Rows


def by_copies(scene: Scene) -> Scores:
    """Gives how much nearer a canary's nearest synthetic patient is than its nearest real one, shape (canaries,).

    Finds generators that reproduce patients (as the attack `nearest`).
    """
    near, alone = (
        nearest(scene.canaries, base, scene.variables.numeric)[0].astype(np.float64)
        for base in (scene.synthetic, scene.others)
    )
    return np.log(alone + _BLUR) - np.log(near + _BLUR)


def by_cells(scene: Scene) -> Scores:
    """Gives how crowded the cells of a canary's values are beyond what the real patients explain, shape (canaries,).

    Each column of the data is cut into cells, numbers three times. In a cell with a real patients and with c canaries,
    each in or out by a coin, a + c / 2 patients are expected. How many more the synthetic patients show, in standard
    deviations and cut at one, so that no single cell decides, speaks for each canary in the cell. Finds generators that
    give away single values, such as exact counts: the attack on published frequencies of Homer et al. (PLoS Genetics
    2008;4:e1000167), against whose summary statistics it was made.
    """
    total = len(scene.others) + len(scene.canaries) / 2
    scores = np.zeros(len(scene.canaries))
    for columns, parts in _views(scene.variables):
        mine, others, synthetic = (
            _Cells.of(rows[:, columns], parts) for rows in (scene.canaries, scene.others, scene.synthetic)
        )
        size = max(mine.size, others.size, synthetic.size)
        scale = total / len(scene.synthetic)
        seen, doubtful = synthetic.counts(size) * scale, mine.counts(size)
        expected = others.counts(size) + doubtful / 2
        sd = np.sqrt(_LEAST + doubtful / 4 + expected * scale)
        excess = np.clip((seen - expected) / sd, -_LIMIT, _LIMIT) / sd
        scores += (mine.weight * excess[mine.cell]).sum(axis=1)
    return scores


def _views(variables: Variables) -> Iterator[tuple[list[int], int | None]]:
    """Yields the variables of each column of the data, and into how many parts its numbers are cut."""
    for source in dict.fromkeys(variables.sources):
        columns = variables.of(source)
        for parts in PARTS if variables.numeric[columns[0]] else (None,):
            yield columns, parts


@dataclass(frozen=True, eq=False, repr=False)
class _Cells:
    """Where each patient's values of one column are; with several visits each weighs the same, and one in all.

    Attributes:
        cell: Number of the cell, shape (patients, visits).
        weight: 0 where a cell is empty, shape (patients, visits).
    """

    cell: NDArray[np.intp]
    weight: Scores

    @classmethod
    def of(cls, values: Rows, parts: int | None) -> _Cells:
        """Gives the cells of values of shape (patients, visits)."""
        there = values >= 0
        cell = np.where(there, values, 0).astype(np.float64)
        if parts is not None:
            cell = np.minimum(cell * parts, parts - 1)
        return cls(cell.astype(np.intp), there / np.maximum(there.sum(axis=1, keepdims=True), 1))

    @property
    def size(self) -> int:
        """One more than the highest number."""
        return int(self.cell.max(initial=0)) + 1

    def counts(self, size: int) -> Scores:
        """Gives the weight in each cell, shape (size,)."""
        found = np.bincount(self.cell.ravel(), weights=self.weight.ravel(), minlength=size)
        return found.astype(np.float64)
