"""What a survey asks about pairs of variables: which ones, in which groups of levels, fixed from public facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.errors import FormatError
from wardgan.models.pairs.candidates import Pairs, candidate_pairs
from wardgan.models.pairs.settings import EACH, GROUPS
from wardgan.privacy.pairs import PairCounts
from wardgan.privacy.queries import Levels


@dataclass(frozen=True)
class Pairing:
    """Pairs that are fixed beforehand, so that the tables of several hospitals are about the same cells.

    Attributes:
        pairs: Positions of two variables each.
        groups: For each variable the group of each of its levels, from 0 on, missing cells last.
    """

    pairs: Pairs
    groups: tuple[tuple[int, ...], ...]

    def arrays(self) -> tuple[NDArray[np.int64], ...]:
        """Gives the groups as arrays."""
        return tuple(np.array(one, dtype=np.int64) for one in self.groups)

    def query(self, levels: tuple[Levels, ...], classes: int) -> PairCounts:
        """Gives the question: one event for the tables of all pairs.

        Args:
            levels: The levels of each variable.
            classes: Number of classes.
        """
        return PairCounts(levels, self.arrays(), self.pairs, classes)

    def to_dict(self) -> dict[str, object]:
        """Gives the fields for JSON."""
        return {"of": [list(pair) for pair in self.pairs], "groups": [list(one) for one in self.groups]}

    @classmethod
    def of_dict(cls, found: object) -> Pairing:
        """Reads what JSON says; `check` tells whether it means anything.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is of another kind.
            ValueError: A pair has not two members, or a number is none.
        """
        given = cast("Mapping[str, Any]", found)
        pairs = tuple((_whole(one), _whole(other)) for one, other in given["of"])
        groups = tuple(tuple(map(_whole, one)) for one in cast("Sequence[Sequence[object]]", given["groups"]))
        return cls(pairs, groups)

    def check(self, layout: Layout, levels: tuple[Levels, ...], order: tuple[tuple[int, ...], ...]) -> None:
        """Refuses pairs and groups that do not fit the declarations.

        Args:
            layout: The variables.
            levels: The levels of each variable.
            order: For each variable its levels in ascending order of score, without the one for missing cells.

        Raises:
            FormatError: Says what is wrong.
        """
        most = EACH * len(layout)
        if not 1 <= len(self.pairs) <= most:
            raise FormatError(f"survey: it asks about {len(self.pairs)} pairs; from 1 to {most} can be.")
        if len(set(self.pairs)) < len(self.pairs) or not set(self.pairs) <= set(candidate_pairs(layout)):
            raise FormatError("survey: a pair is asked for twice, or is none of two variables that can be paired.")
        if len(self.groups) != len(layout):
            raise FormatError(f"survey: it has groups of {len(self.groups)} variables, the schema has {len(layout)}.")
        for name, group, level, mine in zip(layout.names, self.groups, levels, order, strict=True):
            if not _fits(group, level, mine):
                raise FormatError(f"survey: the groups of {name!r} do not fit its levels.")


def _whole(found: object) -> int:
    if not isinstance(found, int) or isinstance(found, bool):
        raise TypeError("a position or group is no whole number")
    return found


def _fits(group: tuple[int, ...], levels: Levels, order: tuple[int, ...]) -> bool:
    """Whether groups are neighbours in the order of levels, none is left out, and missing cells are the last one."""
    if len(group) != levels.size:
        return False
    steps = [group[level] for level in order]
    rising = all(after - before in (0, 1) for before, after in pairwise(steps))
    plain = steps[-1] + 1
    apart = levels.missing is None or group[levels.missing] == plain
    return steps[0] == 0 and rising and plain <= GROUPS and apart
