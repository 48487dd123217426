"""What the network is fitted to: noisy tables of pairs, and the anchor's means and correlations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from wardgan.models.anchor.anchor import Anchor
from wardgan.models.pairs.tables import SoftGroups, pair_tables
from wardgan.privacy.pairs import Table

_RARE: Final = 0.004


@dataclass
class Measured:
    """What is known about pairs so far.

    Attributes:
        pairs: The pairs.
        tables: For each pair the noisy counts, shape (classes, groups, groups).
        sd: For each pair the noise of each count.
    """

    pairs: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    tables: list[Table] = field(default_factory=list[Table])
    sd: list[float] = field(default_factory=list[float])


class Goal:
    """How far generated patients are from everything that is known, in units of what noise and chance explain.

    Two halves of the patients give two independent gaps, and their product has the squared gap as its mean: the
    square of one gap would count the chance in the drawing of patients as an error.
    """

    def __init__(self, anchor: Anchor, known: Measured, soft: SoftGroups) -> None:
        """Prepares targets and weights.

        Args:
            anchor: Means and correlations.
            known: Tables of pairs.
            soft: The groups.
        """
        self._soft, self._pairs = soft, tuple(known.pairs)
        patients = np.maximum(anchor.patients * anchor.probabilities, 1.0)  # (classes,)
        shape = (len(patients), len(known.pairs), soft.size, soft.size)
        share, weight = np.zeros(shape), np.zeros(shape)
        each = patients[:, None, None]
        for place, (table, sd) in enumerate(zip(known.tables, known.sd, strict=True)):
            rows, columns = table.shape[1:]
            share[:, place, :rows, :columns] = table / each
            # Cells that hardly a patient of a batch falls into would add more chance than they tell.
            weight[:, place, :rows, :columns] = each**2 / (sd**2 + np.maximum(table, _RARE * each))
        self._share, self._weight = _tensor(share), _tensor(weight)
        self._moments = _tensor(anchor.factors @ anchor.factors.transpose(0, 2, 1))
        # The diagonal and the means only keep the borders of the groups in place.
        noise = (anchor.noise / patients) ** 2 + 1 / patients
        self._moment_weight, self._mean_weight = _tensor(0.5 / noise)[:, None, None], _tensor(patients)[:, None]
        self._terms = (weight > 0).sum() + self._moments.numel() / 2

    def __call__(self, normals: Tensor) -> Tensor:
        """Gives the mean over all terms of the weighted squared gap, without bias.

        Args:
            normals: Shape (classes, patients, axes), an even number of patients.
        """
        member = self._soft(normals)
        half = normals.shape[1] // 2
        one, other = (pair_tables(part, self._pairs) - self._share for part in (member[:, :half], member[:, half:]))
        loss = (self._weight * one * other).sum()
        one, other = (
            part.transpose(1, 2) @ part / half - self._moments for part in (normals[:, :half], normals[:, half:])
        )
        loss = loss + (self._moment_weight * one * other).sum()
        means = normals[:, :half].mean(dim=1) * normals[:, half:].mean(dim=1)
        return (loss + (self._mean_weight * means).sum()) / self._terms


def _tensor(array: object) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))
