r"""The part of the latent space in which patients of one class can meet the conditions, and exact draws from it.

The region is A = {z : d_j z in U_j for all j}, for directions d_j and unions of intervals U_j. Sorted from the rarest
to the most common, d_j z = sum_i C_ji y_i with a lower triangular C and independent standard normals y_i, and the y_i
are drawn one after the other, each from the part of the normal that U_j leaves it (Geweke 1991; Hajivassiliou and
McFadden 1998). The density of such a draw, relative to the normal's, is 1 / (p_1 p_2(y) p_3(y) ...), where p_j(y) is
the share that U_j left at step j. To make that exact, a draw is kept with chance prod p_j(y) / s_j, where s_j is proved
to be at least p_j(y): then every y in the region is kept with the normal's density over p_1 s_2 s_3 ..., a constant.
The first coordinate is cut into strata with a bound each, so that the s_j are close.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.sample.forms import FAR, Floats
from wardgan.sample.normals import between, mass

_WIDE: Final = 0.25
_COMMON: Final = 0.99
_LEAST: Final = 1e-4
_HAIR: Final = 1e-9


@dataclass(frozen=True)
class Region:
    """A region of the latent space of one class.

    Attributes:
        basis: Orthonormal directions, shape (latent, axes).
        factor: C, shape (axes, axes), lower triangular.
        parts: U_j, each of shape (intervals, 2).
        strata: Ends of the first coordinate, shape (strata, 2).
        bounds: s_j in each stratum, shape (strata, axes); the first one is the probability of the stratum.
    """

    basis: Floats
    factor: Floats
    parts: tuple[Floats, ...]
    strata: Floats
    bounds: Floats

    @classmethod
    def of(cls, directions: Sequence[Floats], parts: Sequence[Floats], *, latent: int) -> Region:
        """Gives the region in which each direction lies in its part.

        Args:
            directions: Of length 1, shape (latent,) each.
            parts: Intervals, in order and within -FAR and FAR, shape (intervals, 2) each.
            latent: Number of latent normals.
        """
        shares = [float(mass(part[:, 0], part[:, 1]).sum()) for part in parts]
        order = [at for at in np.argsort(shares, kind="stable") if shares[at] < _COMMON]
        basis, factor, kept = _triangle([directions[at] for at in order], latent)
        left = tuple(parts[order[at]] for at in kept)
        strata = _strata(left[0]) if left else np.array([[-FAR, FAR]])
        return cls(basis, factor, left, strata, _bounds(factor, left, strata))

    @property
    def weights(self) -> Floats:
        """What each stratum counts for: its probability times its bounds; shape (strata,)."""
        return self.bounds.prod(axis=1)

    def draw(self, stratum: NDArray[np.intp], stream: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
        """Gives coordinates y, and which of the draws are kept.

        Args:
            stratum: Of each draw, shape (draws,); chosen with chances proportional to `weights`.
            stream: Source of randomness.

        Returns:
            Shape (draws, axes), and shape (draws,).
        """
        uniform = stream.random((len(stratum), len(self.parts) + 1))
        found = np.empty((len(stratum), len(self.parts)))
        ratio = np.ones(len(stratum))
        for at, part in enumerate(self.parts):
            if at == 0:
                ends = self.strata[stratum]
                found[:, 0] = between(ends[:, 0], ends[:, 1], uniform[:, 0])
                continue
            shift = found[:, :at] @ self.factor[at, :at]
            low, high = _seen(part, shift, self.factor[at, at])
            shares = mass(low, high)  # (draws, intervals)
            ratio *= shares.sum(axis=1) / self.bounds[stratum, at]
            found[:, at] = _one_of(low, high, shares, uniform[:, at])
        return found, uniform[:, -1] < ratio

    def placed(self, normals: NDArray[np.float32], coordinates: Floats) -> NDArray[np.float32]:
        """Gives latent normals that have the coordinates and are free in all other directions.

        Args:
            normals: Standard normals, shape (patients, latent).
            coordinates: As from `draw`, shape (patients, axes).
        """
        if not len(self.parts):
            return normals
        return (normals + (coordinates - normals @ self.basis) @ self.basis.T).astype(np.float32)


def _triangle(directions: Sequence[Floats], latent: int) -> tuple[Floats, Floats, list[int]]:
    """Gives an orthonormal basis, C, and which directions they are of; one that hardly adds to the others is left out.

    Who leaves out a direction makes the region larger, so it still holds everybody.
    """
    basis = np.empty((latent, 0))
    rows: list[Floats] = []
    kept: list[int] = []
    for at, direction in enumerate(directions):
        along = direction @ basis
        rest = direction - basis @ along
        rest -= basis @ (rest @ basis)
        length = float(np.linalg.norm(rest))
        if length < _LEAST:
            continue
        basis = np.column_stack([basis, rest / length])
        rows.append(np.append(direction @ basis[:, :-1], length))
        kept.append(at)
    factor = np.zeros((len(rows), len(rows)))
    for at, row in enumerate(rows):
        factor[at, : at + 1] = row
    return basis, factor, kept


def _strata(part: Floats) -> Floats:
    """Gives intervals as pieces that are not wide."""
    pieces: list[Floats] = []
    for low, high in part:
        edges = np.linspace(low, high, int(np.ceil((high - low) / _WIDE)) + 1)
        pieces.append(np.stack([edges[:-1], edges[1:]], axis=1))
    return np.concatenate(pieces)


def _bounds(factor: Floats, parts: Sequence[Floats], strata: Floats) -> Floats:
    """Gives the probability of each stratum, and for each further step the largest share that may be left.

    The share of one interval that is moved about is the largest where its middle is nearest to 0. That of several is at
    most the sum of theirs, and at most that of their hull.
    """
    reach = np.empty((len(strata), len(parts), 2))
    found = np.ones((len(strata), max(len(parts), 1)))
    for at, part in enumerate(parts):
        if at == 0:
            reach[:, 0], found[:, 0] = strata, mass(strata[:, 0], strata[:, 1])
            continue
        ends = np.sort(factor[at, :at, None] * reach[:, :at], axis=2).sum(axis=1)  # (strata, 2): where the shift can be
        scale = factor[at, at]
        hull = np.array([part[0, 0], part[-1, 1]])
        singly = sum((_highest(one, ends, scale) for one in part), np.zeros(len(strata)))
        found[:, at] = np.minimum(1.0, np.minimum(singly, _highest(hull, ends, scale))) * (1 + _HAIR)
        reach[:, at] = np.clip((hull - ends[:, ::-1]) / scale, -FAR, FAR)
    return found


def _highest(interval: Floats, ends: Floats, scale: float) -> Floats:
    shift = np.clip(interval.mean(), ends[:, 0], ends[:, 1])
    return mass((interval[0] - shift) / scale, (interval[1] - shift) / scale)


def _seen(part: Floats, shift: Floats, scale: float) -> tuple[Floats, Floats]:
    """Gives the intervals as the next coordinate sees them, shape (draws, intervals) each."""
    low = (part[:, 0] - shift[:, None]) / scale
    high = (part[:, 1] - shift[:, None]) / scale
    return np.clip(low, -FAR, FAR), np.clip(high, -FAR, FAR)


def _one_of(low: Floats, high: Floats, shares: Floats, uniform: Floats) -> Floats:
    """Draws from one of some intervals, with chances in proportion to their shares."""
    edges = np.cumsum(shares, axis=1)
    target = uniform * edges[:, -1]
    which = np.minimum((target[:, None] >= edges).sum(axis=1), shares.shape[1] - 1)
    rows = np.arange(len(low))
    mine = shares[rows, which]
    start = edges[rows, which] - mine
    inside = np.divide(target - start, mine, out=np.zeros(len(low)), where=mine > 0)
    low, high = low[rows, which], high[rows, which]
    return between(low, np.maximum(high, low), np.clip(inside, 0.0, 1.0))
