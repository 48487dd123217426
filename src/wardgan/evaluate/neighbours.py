"""Whether synthetic patients are where real ones are (precision), and real ones where synthetic ones are (coverage)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.estimate import Estimate, proportion
from wardgan.evaluate.columns import paired
from wardgan.evaluate.design import design
from wardgan.evaluate.record import Beside, measured, plain_fields
from wardgan.evaluate.resample import subsample
from wardgan.rng import Seed

NEAREST: Final = 5
MOST: Final = 2_000
_BLOCK: Final = 500


@dataclass(frozen=True)
class Neighbourhoods:
    """Where synthetic patients are.

    Attributes:
        precision: Share of the synthetic patients who are no farther from some real patient than the fifth nearest real
            one is. Copies have the best precision that there is: it says nothing about privacy.
        coverage: Share of the real patients who have a synthetic one no farther away than the fifth nearest real one.
        refusal: Why nothing can be judged; `None` if it can.
    """

    precision: Beside | None
    coverage: Beside | None
    refusal: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def neighbourhoods(
    real: pd.DataFrame, synthetic: pd.DataFrame, holdout: pd.DataFrame | None = None, *, seed: Seed
) -> Neighbourhoods:
    """Tells whether synthetic patients are where real ones are, and the other way round.

    Patients are points with the variables of `design`. Equally many of each table are used, at most 2,000, because all
    are compared with all.

    Args:
        real: Wide table of real patients.
        synthetic: Wide table with the same columns.
        holdout: Other real patients with the same columns.
        seed: Source of randomness of the choice of patients.

    Returns:
        Shares with Wilson's interval, which takes the patients of the other table for given.

    Raises:
        DataError: A table is empty, or lacks a column or has another kind.

    Source:
        Kynkäänniemi et al., NeurIPS 2019, section 2, equations 1 and 2 (precision); Naeem et al., ICML 2020, section
        3 (coverage).
    """
    frames = {"real": real, "synthetic": synthetic} | ({} if holdout is None else {"holdout": holdout})
    size = min(MOST, *(len(frame) for frame in frames.values()))
    chosen = {name: subsample(frame, size, seed, f"neighbours/{name}") for name, frame in frames.items()}
    tables = [paired(chosen["real"], frame, names=("real", name))[1] for name, frame in chosen.items()]
    if size <= NEAREST:
        return Neighbourhoods(None, None, f"there are {size} patients; it cannot be judged.")
    points: Mapping[str, NDArray[np.float64]] = dict(zip(frames, design(tables).tables, strict=True))
    if not points["real"].shape[1]:
        return Neighbourhoods(None, None, "there is no variable; it cannot be judged.")
    reach = _reach(points["real"])
    found = {name: _inside(points["real"], reach, one) for name, one in points.items() if name != "real"}

    def share(at: int, name: str) -> Estimate:
        return proportion(int(found[name][at].sum()), size)

    return Neighbourhoods(
        measured(lambda name: share(0, name), holdout), measured(lambda name: share(1, name), holdout)
    )


def _reach(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the squared distance of each point from its fifth nearest other one, shape (points,)."""
    # Each point is its own nearest one.
    blocks = [
        np.partition(_apart(points[at : at + _BLOCK], points), NEAREST, axis=1)[:, NEAREST]
        for at in range(0, len(points), _BLOCK)
    ]
    return np.concatenate(blocks)


def _inside(
    real: NDArray[np.float64], reach: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Gives which other points are within the reach of a real one, and which real ones have another within reach."""
    within = np.zeros(len(other), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    for at in range(0, len(other), _BLOCK):
        near = _apart(other[at : at + _BLOCK], real) <= reach + 1e-9
        within[at : at + _BLOCK] = near.any(axis=1)
        covered |= near.any(axis=0)
    return within, covered


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.maximum(squares, 0.0)
