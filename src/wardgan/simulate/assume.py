"""What is taken for granted about patients whom nobody has looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan.errors import UsageError
from wardgan.schema.columns import Column

SIGNALS: Final = {"weak": 0.70, "medium": 0.85, "strong": 0.95}
_ZIPF: Final = 1.5
_STEEPEST: Final = 60.0


@dataclass(frozen=True)
class Assumptions:
    """What a simulation assumes about patients: public knowledge of the field, or a guess.

    Attributes:
        signal: How strongly the labels hang together with the other columns, `weak`, `medium` or `strong`: somebody
            who knew the whole truth would predict them with an area under the ROC curve of .70, .85 or .95.
        missing: Mean share of missing cells in columns that may have some, 0 to .9; the columns differ from half of
            it to one and a half times as much.
        rarest: Share of the patients who have the rarest level of each label, above 0; `None`: by Zipf's law, 26 %
            of two levels and 12 % of three.

    Raises:
        UsageError: A value is out of its range.
    """

    signal: str = "medium"
    missing: float = 0.2
    rarest: float | None = None

    def __post_init__(self) -> None:
        if self.signal not in SIGNALS:
            raise UsageError(f"signal={self.signal!r} is not one of {', '.join(SIGNALS)}.")
        if not check.is_number(self.missing) or not 0 <= self.missing <= 0.9:
            raise UsageError(f"missing={self.missing!r} is not a share from 0 to 0.9.")
        if self.rarest is not None:
            check.in_open_interval(0, 1, rarest=self.rarest)

    def label_shares(self, label: Column) -> NDArray[np.float64]:
        """Gives the share of each level of a label: k to the power of -s for the k-th one (Zipf 1949).

        Args:
            label: A category or a flag; its first level is the most frequent one.

        Returns:
            Array of shape (levels,); s is 1.5, or such that the last level has the share `rarest`.

        Raises:
            UsageError: `rarest` is more than an equal share.

        Example:
            >>> Assumptions().label_shares(Column("died", "flag")).round(2).tolist()
            [0.74, 0.26]
            >>> Assumptions(rarest=0.1).label_shares(Column("died", "flag")).round(2).tolist()
            [0.9, 0.1]
        """
        if self.rarest is None or label.size < 2:
            return zipf(label.size, _ZIPF)
        if self.rarest > 1 / label.size:
            raise UsageError(
                f"rarest={self.rarest:g}: {label.name} has {label.size} levels, so the rarest of them has at most "
                f"{1 / label.size:.3g} of the patients."
            )
        low, high = 0.0, _STEEPEST
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if zipf(label.size, middle)[-1] > self.rarest else (low, middle)
        return zipf(label.size, high)


def zipf(levels: int, steepness: float) -> NDArray[np.float64]:
    """Gives shares of shape (levels,) that fall as k to the power of -`steepness` and sum to 1."""
    shares = np.arange(1.0, levels + 1) ** -steepness
    return shares / shares.sum()
