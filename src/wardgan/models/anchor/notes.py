"""What a steward should know about a fit: remarks made from noisy answers that were paid for, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout, Variable
from wardgan.encode.units import to_codes
from wardgan.errors import counted
from wardgan.models.anchor.grid import Grid
from wardgan.models.anchor.groups import Grouping
from wardgan.models.anchor.margins import SURE_SHAPE
from wardgan.models.anchor.spikes import PILE, SURE, TOWER, heavy
from wardgan.models.anchor.tables import trust
from wardgan.privacy.learn import OTHER
from wardgan.privacy.queries import Levels
from wardgan.schema.columns import Column

_FEW_VALUES: Final = 20
_FEW_PATIENTS: Final = 20
_MISSED: Final = 0.95
_HIDDEN: Final = 0.2
_EMPTY: Final = 0.9
_OWN: Final = 0.5
_HALF: Final = 0.5
_NAMED: Final = 5


def bound_notes(layout: Layout, grids: Mapping[str, Grid], sd: float) -> Iterator[str]:
    """Yields the numbers of which many values lie on a bound, so that the bounds may cut off.

    Args:
        layout: The variables.
        grids: For each number its grid, with the noisy counts of its first and last cell.
        sd: Noise of each count.
    """
    for name, variable in _measured(layout).items():
        grid, column = grids.get(name), variable.column
        if grid is None:
            continue
        few = column.steps is not None and column.steps <= _FEW_VALUES
        for count, next_to_it, word in zip(grid.ends, grid.beside, ("low", "high"), strict=True):
            # A date on the day of the one that it is counted from is on no bound that could be widened.
            if count <= max(PILE * grid.total, SURE * sd) or (variable.since and word == "low"):
                continue
            # On a scale of a few values each of them is the value of many patients, and 0 is mostly none of something:
            # only one that towers over the value beside it may stand for what was cut off.
            tower = count - TOWER * max(next_to_it, 0.0)
            if few and (tower <= SURE * sd * (1 + TOWER**2) ** 0.5 or (word == "low" and not column.low)):
                continue
            bound = f"within={column.high:g}" if variable.since else f"{word}={column.to_dict()[word]}"
            yield (
                f"{_said(variable)}: about {100 * count / grid.total:.0f} % of the values lie on its bound {bound}; "
                "if that is not a natural spike (such as 0), widen the bounds and fit again."
            )


def spike_notes(layout: Layout, grids: Mapping[str, Grid], sd: float) -> Iterator[str]:
    """Yields the numbers of which many patients seem to share a value that the grid cannot tell from its neighbours.

    Args:
        layout: The variables.
        grids: For each number its grid.
        sd: Noise of each count.
    """
    for name, variable in _measured(layout).items():
        grid, column = grids.get(name), variable.column
        if grid is None or not column.numeric:
            continue
        counts = np.diff(grid.cumulative) * max(grid.total, 0.0)
        way = (
            "Declare a step, or decimals: a number without never repeats a value."
            if column.steps is None
            else "Declare closer bounds or a larger step, or raise epsilon."
        )
        for at in heavy(grid, column, sd):
            low, high = (_spelled(column, float(edge)) for edge in grid.edges[[at, at + 1]])
            yield (
                f"{_said(variable)}: about {100 * counts[at] / grid.total:.0f} % of the values lie between {low} and "
                f"{high}. If many of them are one value, it is lost, and its patients are spread over that range. {way}"
            )


def _spelled(column: Column, unit: float) -> str:
    code = float(to_codes(np.array([unit]), column)[0])
    return date.fromordinal(int(code)).isoformat() if column.kind == "date" else f"{code:.6g}"


def hole_notes(
    layout: Layout, levels: tuple[Levels, ...], tables: list[NDArray[np.float64]], noise: float
) -> Iterator[str]:
    """Yields the columns that are missing in nearly all patients.

    Args:
        layout: The variables.
        levels: The levels of each variable.
        tables: For each variable its noisy table, shape (classes, levels).
        noise: Noise of each count.
    """
    for name, one in _measured(layout).items():
        mine = [at for at, variable in enumerate(layout.variables) if variable.column.name == name]
        missing = levels[mine[0]].missing
        if missing is None:
            continue
        cells = np.array([tables[at].sum(axis=0)[missing] for at in mine]).sum()
        total = max(sum(float(tables[at].sum()) for at in mine), 1.0)
        sd = noise * np.sqrt(sum(tables[at].size for at in mine)) / total
        if cells / total - 2 * sd > _EMPTY:
            told = (
                "its values are mostly noise. Without the column the others would have more of the budget."
                if noise
                else "only few patients say what its values are."
            )
            yield f"{_said(one)}: about {100 * min(cells / total, 1.0):.0f} % of the cells are missing; {told}"


def size_notes(layout: Layout, patients: float, classes: int, noise: float) -> Iterator[str]:
    """Yields that there are fewer patients than were declared, by the noisy count.

    Args:
        layout: The variables.
        patients: Noisy number of patients.
        classes: Number of classes.
        noise: Noise of each count of the tables.
    """
    declared = layout.schema.population
    if noise and declared is not None and patients + 3 * noise * classes**0.5 < _MISSED * declared:
        yield (
            f"population: by the noisy count there are about {patients:,.0f} patients, of {declared:,} declared. If "
            "many were dropped because their rows break the schema, the others are not like all; mend the rows instead."
        )


def other_notes(
    layout: Layout, margins: Sequence[NDArray[np.float64]], shares: NDArray[np.float64], joined: Mapping[str, Grouping]
) -> Iterator[str]:  # fmt: skip
    """Yields the categories of which learning has hidden the levels of many patients.

    Args:
        layout: The variables.
        margins: For each variable the share of each level in each class, shape (classes, levels).
        shares: Share of each class, shape (classes,).
        joined: For each large category how its levels were joined.
    """
    for name, variable in _measured(layout).items():
        column = variable.column
        if not column.learn or column.levels[-1:] != (OTHER,):
            continue
        mine = [at for at, one in enumerate(layout.variables) if one.column.name == name]
        level, inside = column.size - 1, 1.0
        if name in joined:
            level, inside = int(joined[name].groups[level]), float(joined[name].inside[level])
        hidden = inside * float(np.mean([shares @ margins[at][:, level] for at in mine]))
        if hidden > _HIDDEN:
            yield (
                f"{_said(variable)}: about {100 * hidden:.0f} % of the cells have a level that too few patients share "
                f"to be learned; they are {OTHER}. Declare the levels, or raise epsilon."
            )


def class_notes(
    layout: Layout, sizes: NDArray[np.float64], lost: NDArray[np.bool_], noise: float
) -> Iterator[str]:  # fmt: skip
    """Yields the classes so small that their columns are drawn as in all classes, wholly or mostly.

    Args:
        layout: The variables.
        sizes: Noisy number of patients of each class, shape (classes,).
        lost: Which classes noise cannot tell from none, shape (classes,).
        noise: Noise of each count of the tables.
    """
    if len(sizes) < 2:
        return
    for y in range(len(sizes)):
        name = layout.schema.class_name(y)
        if lost[y]:
            more = ", or raise epsilon" if noise else ""
            yield (
                f"label: the class {name} has too few patients to be told from none: its patients are drawn like all "
                f"patients, and its share is a guess. Merge its level with another{more}."
            )
        elif not noise and sizes[y] < _FEW_PATIENTS:
            size = counted(round(float(sizes[y])), "patient")
            yield (
                f"label: the class {name} has {size} to train on, and nothing protects them: a generator of so few "
                "may repeat them. Merge the class with another, or fit with a budget."
            )
        elif trust(sizes[y], noise) < _OWN:
            yield (
                f"label: the class {name} has so few patients that the shares of its levels "
                "are mostly those of all classes. Merge it with another, or raise epsilon, if it matters."
            )


def shape_notes(
    layout: Layout, levels: Sequence[Levels], sizes: NDArray[np.float64], lost: NDArray[np.bool_], noise: float
) -> Iterator[str]:  # fmt: skip
    """Yields the classes whose own shapes of columns noise would hide, though half of their patients were elsewhere.

    A shape is taken for a class's own where it is farther from the usual one than noise explains (see `margins.py`).
    What noise explains, as a distance of shares, grows with the number of levels: half of the patients of a class in
    other bins of a number, or in one level of a category, must be farther.

    Args:
        layout: The variables.
        levels: Of each variable.
        sizes: Noisy number of patients of each class, shape (classes,).
        lost: Which classes noise cannot tell from none, shape (classes,); of these `class_notes` speaks.
        noise: Noise of each count of the tables.
    """
    if len(sizes) < 2 or not noise:
        return
    for y in np.flatnonzero(~lost & (trust(sizes, noise) >= _OWN)):
        hidden: list[str] = []
        for name, variable in _measured(layout).items():
            count = levels[layout.variables.index(variable)].size
            explained = noise / sizes[y] * np.sqrt((count - 1) * (1 + SURE_SHAPE * np.sqrt(2 / count)))
            if explained > (1 / np.sqrt(count) if variable.column.numeric else _HALF):
                hidden.append(name)
        if hidden:
            more = f" and {len(hidden) - _NAMED} more" if len(hidden) > _NAMED else ""
            yield (
                f"label: the class {layout.schema.class_name(int(y))} is too small for shapes of its own of "
                f"{', '.join(hidden[:_NAMED])}{more}: their means are its own, and otherwise they are drawn as in all "
                "classes. Merge it with another, or raise epsilon, if it matters."
            )


def group_notes(joined: Mapping[str, Grouping]) -> Iterator[str]:
    """Yields the large categories whose levels were joined, with how many groups there are."""
    for name, found in joined.items():
        if found.size == len(found.groups):
            continue
        alone = int((np.bincount(found.groups) == 1).sum())
        yield (
            f"{name}: its {len(found.groups):,} levels were joined into {found.size} groups, {alone} of them of one "
            "level. The levels of a group have their own shares, but lean alike to the label and to other columns."
        )


def _measured(layout: Layout) -> dict[str, Variable]:
    """Gives a variable for each column of the data: not the times between visits, nor how many there are."""
    plain = [variable for variable in layout.variables if variable.role in ("static", "cell") and not variable.gap]
    return {variable.column.name: variable for variable in plain}


def _said(variable: Variable) -> str:
    """Gives the name of the column as the schema has it; that of a date after another one is not what is modelled."""
    return variable.source or variable.name
