"""Large categories: private totals of their levels, and groups that the other tables can afford.

A table of 700 levels by class drowns in its noise, and what is left of the noise after negative counts are cut off
becomes patients with codes that nobody has. So a large category is asked about twice. The totals of its levels, all
classes and visits together, cost little, as the grid of a number does. From them levels that stand out of the noise
stay alone and the others are joined into groups; groups stand for levels in all other tables, and each group is taken
apart by the totals again when patients are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.models.anchor.shrink import shrunk
from wardgan.models.anchor.tables import simplex
from wardgan.privacy.queries import Levels, LevelTotals
from wardgan.schema.columns import Column

LARGE: Final = 24
_CLEAR: Final = 3.0
_NOBODY: Final = 1e-9


@dataclass(frozen=True)
class Grouping:
    """How the levels of one large category were joined.

    Attributes:
        groups: The group of each level, shape (levels,).
        totals: Noisy totals of the levels, all classes and visits together, shape (levels,).
        sd: Noise of each total.
        inside: Share of each level within its group, shape (levels,).
    """

    groups: NDArray[np.intp]
    totals: NDArray[np.float64]
    sd: float
    inside: NDArray[np.float64]

    @property
    def size(self) -> int:
        """Number of groups."""
        return int(self.groups.max()) + 1

    def levels(self, *, nullable: bool) -> Levels:
        """Gives the levels of the other tables: the groups, and one for missing cells."""
        return Levels(None, self.size + nullable, self.size if nullable else None, tuple(self.groups.tolist()))


def is_large(column: Column) -> bool:
    """Whether the levels of a column are joined; learned ones always, since nobody knows their number before."""
    return not column.numeric and not column.label and (column.size > LARGE or column.learn)


def level_query(layout: Layout) -> tuple[LevelTotals, list[Column]]:
    """Gives the query for all large categories of a layout, and these; visits of one column are asked together."""
    positions: dict[str, list[int]] = {}
    columns: dict[str, Column] = {}
    for at, variable in enumerate(layout.variables):
        if is_large(variable.column):
            positions.setdefault(variable.column.name, []).append(at)
            columns[variable.column.name] = variable.column
    places = tuple(tuple(mine) for mine in positions.values())
    return LevelTotals(places, tuple(column.size for column in columns.values())), list(columns.values())


def groupings(columns: list[Column], totals: list[NDArray[np.float64]], sd: float, most: int) -> dict[str, Grouping]:
    """Gives the groups of each large category.

    Args:
        columns: The categories.
        totals: Noisy totals of each one's levels.
        sd: Noise of each total.
        most: Number of groups that the other tables can afford.
    """
    return {column.name: grouping(column, total, sd, most) for column, total in zip(columns, totals, strict=True)}


def grouping(column: Column, totals: NDArray[np.float64], sd: float, most: int) -> Grouping:
    """Gives the groups of one large category.

    Levels with at least half of an equal share that stand out of the noise stay alone. The others are joined by the
    declared groups, as long as there is room for these, and otherwise with their neighbours in the declared order, in
    parts of about equal share.

    Args:
        column: The category.
        totals: Noisy totals of its levels, shape (levels,).
        sd: Noise of each total.
        most: Most groups, at least 2; a learned category of few levels has as many.
    """
    most = max(most, column.size) if column.size <= LARGE else most
    shares = denoised(totals, np.zeros(len(totals), dtype=np.intp), np.array([max(totals.sum(), 1e-9)]), sd)
    unit = _units(column)
    alone = (totals > _CLEAR * sd) & (shares >= 0.5 / most)
    room = most - min(int(unit.max()) + 1, most // 2)
    alone[np.argsort(-shares, kind="stable")[room:]] = False
    groups = np.empty(len(totals), dtype=np.intp)
    groups[~alone] = _joined(unit[~alone], shares[~alone], most - int(alone.sum()))
    rest = int(groups[~alone].max()) + 1 if not alone.all() else 0
    groups[alone] = rest + np.arange(int(alone.sum()))
    # Numbered by their first level, so that neighbours stay neighbours.
    _, first = np.unique(groups, return_index=True)
    groups = np.argsort(np.argsort(first))[groups]
    return grouped(groups, totals, sd)


def grouped(groups: NDArray[np.intp], totals: NDArray[np.float64], sd: float) -> Grouping:
    """Gives the grouping of one large category whose groups are fixed.

    Args:
        groups: Group of each level, shape (levels,).
        totals: Noisy totals of the levels, shape (levels,).
        sd: Noise of each total.
    """
    pooled = np.bincount(groups, weights=totals).astype(np.float64)
    return Grouping(groups, totals, sd, denoised(totals, groups, pooled, sd))


def _units(column: Column) -> NDArray[np.intp]:
    """Gives the declared group of each level; without groups each level is one of its own."""
    if not column.groups:
        return np.arange(column.size)
    return np.repeat(np.arange(len(column.groups)), [len(levels) for _, levels in column.groups])


def _joined(unit: NDArray[np.intp], shares: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Joins units into at most so many groups: each unit by itself, or neighbours with about equal shares."""
    names, place = np.unique(unit, return_inverse=True)
    if len(names) <= most:
        return place.astype(np.intp)
    mass = np.bincount(place, weights=shares)
    mass = (mass + 1e-12) / (mass + 1e-12).sum()
    middle = np.cumsum(mass) - mass / 2
    part = np.minimum(np.floor(most * middle), most - 1)
    return np.unique(part, return_inverse=True)[1][place].astype(np.intp)


def denoised(
    totals: NDArray[np.float64], groups: NDArray[np.intp], mass: NDArray[np.float64], sd: float
) -> NDArray[np.float64]:
    """Gives the share of each level within its group.

    A level whose noisy total stands out of the noise keeps it. What is left of the group's mass is spread evenly over
    its other levels, and away from that as far as all of them together vary by more than the noise (James & Stein
    1961). So hundreds of noisy zeros do not become mass.

    Args:
        totals: Noisy totals, shape (levels,).
        groups: Group of each level, shape (levels,).
        mass: Total of each group, shape (groups,).
        sd: Noise of each total.

    Returns:
        Array of shape (levels,); the shares of each group sum to 1.
    """
    size = len(mass)
    clear = totals > _CLEAR * sd
    kept = np.where(clear, totals, 0.0)
    rest = np.maximum(mass - np.bincount(groups, weights=kept, minlength=size), 0.0)
    number = np.bincount(groups, weights=~clear, minlength=size)
    mean = np.bincount(groups, weights=np.where(clear, 0.0, totals), minlength=size) / np.maximum(number, 1)
    apart = np.where(clear, 0.0, totals - mean[groups])
    free = max(float((~clear).sum() - (number > 0).sum()), 1.0)
    noise = sd**2 * (free + np.sqrt(2 * free))
    trust = max(0.0, 1 - noise / max(float((apart**2).sum()), 1e-12)) if sd else 1.0
    even = (rest / np.maximum(number, 1))[groups]
    spread = np.where(clear, 0.0, np.maximum(even + trust * apart, 0.0))
    sums = np.bincount(groups, weights=spread, minlength=size)
    spread *= (rest / np.maximum(sums, _NOBODY))[groups]
    found = kept + spread
    summed = np.bincount(groups, weights=found, minlength=size)
    members = np.bincount(groups, minlength=size)
    return np.where(summed[groups] > _NOBODY, found / np.maximum(summed, _NOBODY)[groups], 1 / members[groups])


def group_margins(
    found: Grouping, tables: list[NDArray[np.float64]], plain: list[NDArray[np.float64]], noise: float, patients: float
) -> tuple[Grouping, list[NDArray[np.float64]]]:
    """Gives the grouping and the margins of one category, each made better by what the other knows.

    The shares of the groups in all classes and visits together are known twice, from the totals of the levels and
    from the tables by class; the two are weighed by their noise. The margin of each class and visit is that plus a
    difference, and most differences are small (adaptive shrinkage, as for correlations).

    Args:
        found: The grouping.
        tables: Noisy tables of the category's variables, each of shape (classes, levels).
        plain: The margins by these tables alone, of the same shapes.
        noise: Noise of each count of the tables.
        patients: Noisy number of patients.
    """
    if not noise:
        return found, plain
    size = found.size
    counts = np.array([max(float(table[:, :size].sum()), 1.0) for table in tables])
    people = float(np.clip(found.totals.sum(), counts.max(), max(patients, counts.max())))
    members = np.bincount(found.groups, minlength=size)
    first = np.bincount(found.groups, weights=found.totals, minlength=size) / people
    second = sum(table[:, :size].sum(axis=0) for table in tables) / counts.sum()
    first_variance = members * (found.sd / people) ** 2 + 1e-12
    second_variance = sum(table.shape[0] for table in tables) * (noise / counts.sum()) ** 2
    centre = (first / first_variance + second / second_variance) / (1 / first_variance + 1 / second_variance)
    centre = simplex(np.asarray(centre))
    better = replace(found, inside=denoised(found.totals, found.groups, centre * people, found.sd))
    return better, [_towards(centre, table, margin, noise) for table, margin in zip(tables, plain, strict=True)]


def _towards(
    centre: NDArray[np.float64], table: NDArray[np.float64], plain: NDArray[np.float64], noise: float
) -> NDArray[np.float64]:
    """Gives the margins of each class around the shares of all."""
    size = len(centre)
    total = np.maximum(table[:, :size].sum(axis=1, keepdims=True), 1.0)
    own = table[:, :size] / total
    apart, _ = shrunk(own - centre, np.broadcast_to((noise / total) ** 2, own.shape))
    values = np.array([simplex(row) for row in centre + apart])
    margin = plain.copy()
    margin[:, :size] = values * (1 - plain[:, size:].sum(axis=1, keepdims=True))
    return margin
