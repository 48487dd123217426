"""A survey: the same questions for several hospitals, fixed before any patient is read.

In a fit of one hospital later questions hang on earlier answers: bins on the noisy grid, scores on the noisy tables. So
the answers of two hospitals are about different things and cannot be added. A survey fixes bins, groups and scores
from public facts; then answers add up, whoever gives them, and no round of questions is needed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.errors import FormatError
from wardgan.models.anchor.groups import is_large
from wardgan.models.anchor.scores import axes_of
from wardgan.models.pairs.pairing import Pairing
from wardgan.privacy.queries import Levels
from wardgan.schema.schema import Schema

FORMAT: Final = "wardgan-survey"
VERSION: Final = 1
_MOST_BINS: Final = 64
_HIGHEST: Final = 10.0
_WIDEST: Final = 1e3
_NARROWEST: Final = 0.01
_FINEST: Final = 1e-6
_MOST_PATIENTS: Final = 1_000_000_000
# What changes no question: a hospital's own words, and rules, which synthetic patients obey by being drawn again.
_OWN: Final = ("name", "population", "patient", "terms", "confirm", "rules")


@dataclass(frozen=True)
class Survey:
    """Questions that are fixed beforehand; all of it is public.

    Attributes:
        about: Digest of the declarations that it is for.
        levels: The levels of each variable: bins of numbers, groups of large categories.
        scores: For each axis the score of each level of its variable.
        order: For each variable its levels in ascending order of score, without the one for missing cells.
        radius: The norm that a patient's scores are scaled down to.
        patients: About how many patients all hospitals have together.
        hospitals: How many hospitals were expected.
        like: The ledgers behind the generator whose patients it was made for, as JSON: what was asked of them was
            asked of patients. Empty for simulated patients.
        pairing: Pairs of variables whose tables are asked for, too, as `marginal` needs them; `None` for `copula`.
    """

    about: str
    levels: tuple[Levels, ...]
    scores: tuple[tuple[float, ...], ...]
    order: tuple[tuple[int, ...], ...]
    radius: float
    patients: int
    hospitals: int
    like: tuple[Mapping[str, object], ...] = ()
    pairing: Pairing | None = None

    def __repr__(self) -> str:
        return f"Survey({len(self.levels)} variables, {self.digest[:23]}...)"

    @property
    def family(self) -> str:
        """The family that answers it."""
        return "copula" if self.pairing is None else "marginal"

    @property
    def digest(self) -> str:
        """Its name: the digest of what it says."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def tables(self) -> tuple[NDArray[np.float64], ...]:
        """Gives the scores as arrays."""
        return tuple(np.array(one) for one in self.scores)

    def orders(self) -> tuple[NDArray[np.intp], ...]:
        """Gives the orders as arrays."""
        return tuple(np.array(one, dtype=np.intp) for one in self.order)

    def to_dict(self) -> dict[str, object]:
        """Gives the fields for JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "about": self.about,
            "levels": [
                {
                    "edges": None if one.edges is None else list(one.edges), "size": one.size, "missing": one.missing,
                    "groups": None if one.groups is None else list(one.groups),
                }
                for one in self.levels
            ],
            "scores": [list(one) for one in self.scores],
            "order": [list(one) for one in self.order],
            "radius": self.radius,
            "patients": self.patients,
            "hospitals": self.hospitals,
            **({"like": [dict(one) for one in self.like]} if self.like else {}),
            **({} if self.pairing is None else {"pairs": self.pairing.to_dict()}),
        }  # fmt: skip

    @classmethod
    def of_dict(cls, found: object, layout: Layout) -> Survey:
        """Reads a survey from JSON; nothing in it is believed.

        Args:
            found: What the JSON says.
            layout: The variables that it must be about.

        Raises:
            FormatError: It is none, or it is about other declarations.
        """
        try:
            given = cast("Mapping[str, Any]", found)
            if (given["format"], given["version"]) != (FORMAT, VERSION):
                raise FormatError(f"survey: is not of format {FORMAT!r}, version {VERSION}.")
            levels = tuple(_levels(one) for one in given["levels"])
            scores = tuple(tuple(map(float, one)) for one in given["scores"])
            order = tuple(tuple(map(int, one)) for one in given["order"])
            sizes = (int(given["patients"]), int(given["hospitals"]))
            like = tuple(dict(one) for one in given.get("like", ()))
            pairing = Pairing.of_dict(given["pairs"]) if "pairs" in given else None
            survey = cls(str(given["about"]), levels, scores, order, float(given["radius"]), *sizes, like, pairing)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"survey: {type(error).__name__} at {error}.") from error
        survey.check(layout)
        return survey

    def check(self, layout: Layout) -> None:
        """Refuses a survey that does not fit the declarations, or whose numbers mean nothing.

        Args:
            layout: The variables.

        Raises:
            FormatError: Says what is wrong.
        """
        if self.about != declared(layout.schema):
            raise FormatError(
                "survey: it is about other columns, bounds, levels or visits than this schema declares; all hospitals "
                "of a survey need the same ones."
            )
        self._check_questions(layout)
        if not _NARROWEST <= self.radius <= _WIDEST:
            raise FormatError(f"survey: radius={self.radius:g} is no norm.")
        if not 1 <= self.hospitals <= self.patients <= _MOST_PATIENTS:
            raise FormatError(f"survey: {self.patients} patients in {self.hospitals} hospitals cannot be.")
        if self.pairing is not None:
            self.pairing.check(layout, self.levels, self.order)

    def _check_questions(self, layout: Layout) -> None:
        axes = axes_of(layout)
        sizes = (len(self.levels), len(self.order), len(self.scores))
        if sizes != (len(layout), len(layout), len(axes)):
            raise FormatError(f"survey: it asks about {sizes[0]} variables, the schema has {len(layout)}.")
        for at, (levels, order) in enumerate(zip(self.levels, self.order, strict=True)):
            _check_levels(layout, at, levels, order)
        for axis, one in zip(axes, self.scores, strict=True):
            if len(one) != self.levels[axis.at].size or not all(map(_is_score, one)):
                raise FormatError(f"survey: the scores of {layout.names[axis.at]!r} do not fit its levels.")


def as_one(patients: int, hospitals: int) -> int:
    """Gives how many patients of a single hospital stand out of their noise as those of all do in the sums.

    Counts add up, and so do the variances of their noise: N patients in H hospitals are like N / root of H in one.

    Args:
        patients: Of all hospitals together.
        hospitals: How many they are.

    Example:
        >>> as_one(900, 4)
        450
    """
    return max(1, round(patients / math.sqrt(hospitals)))


def declared(schema: Schema) -> str:
    """Gives a digest of what a survey is about: everything that is declared but a hospital's own words and rules.

    Args:
        schema: The declarations.
    """
    found = {name: value for name, value in schema.to_dict().items() if name not in _OWN}
    text = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def askable(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives scores of which none is nearly 0 without being 0, as sums of shares leave them: no survey may have such.

    Args:
        scores: Any, shape (levels,).

    Example:
        >>> askable(np.array([-1.5, 3e-17, 2.0])).tolist()
        [-1.5, 0.0, 2.0]
    """
    return np.where(np.abs(scores) < _FINEST, 0.0, scores)


def distinct(levels: Levels) -> Levels:
    """Gives the levels of a number without bins that hold nothing, as a grid with cells of no width makes them.

    Args:
        levels: Of any variable; those of a category stay as they are.

    Example:
        >>> distinct(Levels((0.0, 0.5, 0.5, 1.0), 6, 5))
        Levels(edges=(0.5,), size=3, missing=2, groups=None)
    """
    if levels.edges is None:
        return levels
    edges = tuple(sorted({edge for edge in levels.edges if 0 < edge < 1}))
    size = len(edges) + 1 + (levels.missing is not None)
    return Levels(edges, size, None if levels.missing is None else size - 1)


def _is_score(score: float) -> bool:
    """Whether a number may be a score; one that is nearly 0 would drown in the arithmetic, and noise with it."""
    return score == 0 or _FINEST <= abs(score) <= _HIGHEST


def _levels(found: Mapping[str, Any]) -> Levels:
    edges, groups = found["edges"], found["groups"]
    return Levels(
        None if edges is None else tuple(map(float, cast("Sequence[float]", edges))),
        int(found["size"]),
        None if found["missing"] is None else int(found["missing"]),
        None if groups is None else tuple(map(int, cast("Sequence[int]", groups))),
    )


def _check_levels(layout: Layout, at: int, levels: Levels, order: tuple[int, ...]) -> None:
    """Refuses levels that are not those of a variable."""
    column, name = layout.variables[at].column, layout.names[at]
    missing = levels.size - 1 if column.nullable else None
    if column.numeric:
        edges = levels.edges or ()
        rising = all(low < high for low, high in zip((0.0, *edges), (*edges, 1.0), strict=True))
        fits = levels.edges is not None and rising and levels.groups is None and len(edges) < _MOST_BINS
        plain = len(edges) + 1
    elif is_large(column):
        groups = levels.groups or ()
        plain = max(groups, default=-1) + 1
        fits = levels.edges is None and len(groups) == column.size and set(groups) == set(range(plain))
    else:
        plain = column.size
        fits = levels.edges is None and levels.groups is None
    if not fits or levels.size != plain + column.nullable or levels.missing != missing:
        raise FormatError(f"survey: the levels of {name!r} do not fit what is declared.")
    if sorted(order) != [level for level in range(levels.size) if level != levels.missing]:
        raise FormatError(f"survey: the order of {name!r} does not name each level once.")
