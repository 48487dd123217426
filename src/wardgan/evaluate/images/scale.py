"""Features on one scale: as standard deviations of reference images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.evaluate.images.sets import Values

_LEAST: Final = 1e-6
_MOST: Final = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class Scale:
    """Mean and standard deviation of the features of reference images.

    Attributes:
        kept: Which features vary at all, shape (features,); the others are dropped, because any rounding error in them
            would be infinitely many standard deviations.
        centre: Their means, shape (kept,).
        spread: Their standard deviations, shape (kept,).
    """

    kept: NDArray[np.bool_]
    centre: Values
    spread: Values

    @classmethod
    def of(cls, reference: Values) -> Scale:
        """Gives the scale of reference images.

        Args:
            reference: Shape (images, features). Features with a standard deviation below 1e-6 are dropped.
        """
        spread = reference.std(axis=0)
        kept = spread >= _LEAST
        return cls(kept, reference.mean(axis=0)[kept], spread[kept])

    def __call__(self, features: Values) -> Values:
        """Gives features in standard deviations from the mean of the reference, cut at 10 to either side.

        Without the cut one feature that hardly varies in the reference would be the whole distance.

        Args:
            features: Shape (images, features).

        Returns:
            Shape (images, kept).

        Example:
            >>> reference = np.array([[0.0, 7.0], [2.0, 7.0]])
            >>> Scale.of(reference)(np.array([[3.0, 8.0], [99.0, 7.0]])).tolist()
            [[2.0], [10.0]]
        """
        return np.clip((features[:, self.kept] - self.centre) / self.spread, -_MOST, _MOST)
