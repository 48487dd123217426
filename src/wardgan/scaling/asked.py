"""What is asked for: which patients of a seed, in how many shards, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from wardgan import check
from wardgan.errors import UsageError
from wardgan.sample.conditions import Where
from wardgan.sample.spans import shard

_MOST: Final = 1_000_000
_PATIENTS: Final = 10**18


@dataclass(frozen=True)
class Shards:
    """A sample that is cut into shards.

    Shard i of N holds the same patients whoever draws it, whenever, and whatever else is drawn: they follow from the
    numbers here, and all shards together are the sample that `Generator.sample` gives for the same seed.

    Attributes:
        n: Patients in all shards, 1 to 10^18.
        shards: How many there are, at least 1, at most `n` and at most 1,000,000.
        seed: Of the sample; `None`: that of shards which are there already, or a new one.
        where: As in `Generator.sample`.
        balance: As in `Generator.sample`.
        wide: Whether there is one row per patient, with visits as columns such as `sbp@3M`.
        site: Of a combined generator: the name of a column with each patient's member.

    Raises:
        UsageError: A number is none, or there are more than 10^18 patients, or more shards than patients or than
            1,000,000.

    Example:
        >>> asked = Shards(n=10**9, shards=1000, seed=7)
        >>> asked.name(3), asked.holds(3)
        ('part-00003-of-01000.parquet', range(2998272, 3997696))
    """

    n: int
    shards: int
    seed: int | None = None
    where: Where | None = None
    balance: str | None = None
    wide: bool = False
    site: str | None = None

    def __post_init__(self) -> None:
        check.whole(1, n=self.n, shards=self.shards)
        if self.seed is not None:
            check.whole(0, seed=self.seed)
        # The values are not quoted: Python refuses to write numbers of thousands of digits.
        if self.n > _PATIENTS:
            raise UsageError(f"n: more than {_PATIENTS:,} patients are asked for; ask for fewer.")
        if self.shards > _MOST:
            raise UsageError(f"shards: more than {_MOST:,} are asked for; ask for fewer, which are larger.")
        self.holds(0)

    def holds(self, number: int) -> range:
        """Gives which patients a shard holds, counted from 0.

        Args:
            number: Of the shard, from 0.

        Raises:
            UsageError: There is no such shard.
        """
        return shard(number, self.shards, self.n)

    def name(self, number: int) -> str:
        """Gives the name of a shard's file.

        Args:
            number: Of the shard, from 0.
        """
        return f"part-{number:05d}-of-{self.shards:05d}.parquet"

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as a dictionary for JSON, conditions in their order."""
        return {
            "patients": self.n, "shards": self.shards, "seed": self.seed,
            "where": [[name, _plain(wanted)] for name, wanted in (self.where or {}).items()],
            "balance": self.balance, "wide": self.wide, "site": self.site,
        }  # fmt: skip


def _plain(wanted: object) -> object:
    if isinstance(wanted, tuple):
        return {"from": _plain(wanted[0]), "to": _plain(wanted[1])} if len(wanted) == 2 else list(map(_plain, wanted))
    if isinstance(wanted, list):
        return [_plain(one) for one in wanted]
    if isinstance(wanted, (date, Mapping)):
        return str(wanted)
    if isinstance(wanted, float):
        return wanted if math.isfinite(wanted) else str(wanted)
    return wanted if isinstance(wanted, (bool, int, str)) else str(wanted)
