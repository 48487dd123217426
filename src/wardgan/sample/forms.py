"""What is known of a number inside a network: a constant, an affine form of the latent normals, or an interval.

Everything here errs on the wide side: networks calculate in single precision, so each form carries how far rounding
may have moved it (Higham, "Accuracy and stability of numerical algorithms", 2002, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
FAR: Final = 10.0
UNIT: Final = 2.0**-24


@dataclass(frozen=True)
class Known:
    """Numbers that are the same for all patients of a class.

    Attributes:
        array: The numbers, of any shape.
    """

    array: NDArray[np.generic]

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.array.shape


@dataclass(frozen=True)
class Affine:
    """Numbers `centre + weights z`, up to `slack`, where z are the latent normals, each between -FAR and FAR.

    (A normal is beyond 10 with probability 2e-23; nobody will ever see one.)

    Attributes:
        centre: Any shape.
        weights: That shape and an axis of the latent normals.
        slack: That shape.
    """

    centre: Floats
    weights: Floats
    slack: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.centre.shape

    @property
    def size(self) -> Floats:
        """The largest that the numbers can be, without their signs."""
        return np.abs(self.centre) + FAR * np.abs(self.weights).sum(axis=-1) + self.slack

    def rounded(self) -> Affine:
        """Gives the form after one more rounding."""
        return Affine(self.centre, self.weights, self.slack + UNIT * self.size)

    def moved(self, places: Places) -> Affine:
        """Gives the numbers that stand at places; `places` has the new shape."""
        flat = self.weights.reshape(-1, self.weights.shape[-1])
        return Affine(self.centre.ravel()[places], flat[places], self.slack.ravel()[places])

    @classmethod
    def of(cls, value: Known | Affine, latent: int) -> Affine:
        """Gives numbers as an affine form."""
        if isinstance(value, Affine):
            return value
        centre = np.asarray(value.array, dtype=np.float64)
        return cls(centre, np.zeros((*centre.shape, latent)), np.zeros(centre.shape))


@dataclass(frozen=True)
class Later:
    """Numbers that are bounded when they are asked for.

    Attributes:
        operator: Name of the ONNX operator.
        operands: What it reads.
        places: For each operand, which of its numbers each number here is made of; each of this value's shape.
        settings: The operator's attributes.
    """

    operator: str
    operands: tuple[Known | Affine | Later, ...]
    places: tuple[Places, ...]
    shape: tuple[int, ...]
    settings: dict[str, object] = field(default_factory=dict[str, object])


Value = Known | Affine | Later


@dataclass(frozen=True)
class Interval:
    """Where some numbers can lie, cell by cell: in one of a few intervals.

    Attributes:
        low: Shape (intervals, numbers, cells); an interval with `low` above `high` is empty.
        high: The same shape.
    """

    low: Floats
    high: Floats

    def hull(self) -> Interval:
        """Gives the smallest single interval."""
        if len(self.low) == 1:
            return self
        empty = self.low > self.high
        low = np.where(empty, np.inf, self.low).min(axis=0, keepdims=True)
        high = np.where(empty, -np.inf, self.high).max(axis=0, keepdims=True)
        return Interval(low, high)

    def meets(self, ranges: Floats) -> NDArray[np.bool_]:
        """Tells whether each number may lie in one of some ranges; shape (numbers, cells).

        Args:
            ranges: Shape (ranges, 2).
        """
        held = np.zeros(self.low.shape[1:], dtype=bool)
        for low, high in ranges:
            held |= ((self.low <= high) & (self.high >= low) & (self.low <= self.high)).any(axis=0)
        return held

    @classmethod
    def safe(cls, low: Floats, high: Floats, *, slack: float = 0.0, scale: float = 0.0) -> Interval:
        """Gives an interval widened by `slack + scale |end|`; an end that is no number is infinite."""
        with np.errstate(invalid="ignore"):
            low = low - slack - scale * np.abs(low)
            high = high + slack + scale * np.abs(high)
        return cls(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high))


def broadcast(values: Sequence[Value]) -> tuple[tuple[int, ...], tuple[Places, ...]]:
    """Gives the common shape of operands, and which of their numbers each number of the result is made of."""
    shape = np.broadcast_shapes(*(value.shape for value in values))
    places = (np.arange(int(np.prod(value.shape, dtype=np.int64))).reshape(value.shape) for value in values)
    return shape, tuple(np.broadcast_to(each, shape) for each in places)
