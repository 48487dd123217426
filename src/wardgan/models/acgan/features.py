"""Patients as pictures: rows are columns of the visits, columns are visits, as in 2017; other schemas have one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.encode.units import Units
from wardgan.sample.network import Graph

# Declared bounds are wide, so patients fill a small part of them; a public factor brings numbers to about unit size.
_GAIN: Final = 6.0


@dataclass(frozen=True)
class Cells:
    """The features of one variable.

    Attributes:
        at: Position of the variable.
        first: Number of its first feature.
        levels: Number of indicators of a category, 0 for a number.
        hole: Whether the last feature says that the cell is missing.
    """

    at: int
    first: int
    levels: int
    hole: bool

    @property
    def width(self) -> int:
        """Number of features."""
        return max(self.levels, 1) + self.hole


@dataclass(frozen=True)
class Picture:
    """How a patient becomes a picture of (rows, columns) numbers.

    Attributes:
        rows: Height.
        columns: Width.
        cells: The features of each variable, row by row.
    """

    rows: int
    columns: int
    cells: tuple[Cells, ...]

    @property
    def features(self) -> int:
        """Number of features."""
        return self.rows * self.columns

    @classmethod
    def of(cls, layout: Layout) -> Picture:
        """Gives the picture of a layout."""
        cells: list[Cells] = []
        first = 0
        for at, variable in enumerate(layout.variables):
            levels = 0 if variable.column.numeric else variable.column.size
            cells.append(Cells(at, first, levels, variable.column.nullable))
            first += cells[-1].width
        visits = layout.schema.visits
        plain = all(variable.role == "cell" for variable in layout.variables) and first == len(layout)
        if visits is not None and plain:
            return cls(len(visits.columns), len(visits.slots), tuple(cells))
        return cls(1, first, tuple(cells))

    def real(self, units: Units, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Gives the pictures of patients, with the class behind them.

        Args:
            units: Shape (patients, variables).
            classes: Shape (patients,).

        Returns:
            Shape (patients, features + 1): pictures row by row, and the class.
        """
        rows = np.zeros((len(units), self.features + 1), dtype=np.float32)
        for cell in self.cells:
            column = units[:, cell.at]
            hole = ~(column >= 0)
            if cell.levels:
                level = np.where(hole, 0, column).astype(np.intp)
                rows[:, cell.first : cell.first + cell.levels] = -1.0
                known = np.flatnonzero(~hole)
                rows[known, cell.first + level[known]] = 1.0
            else:
                rows[:, cell.first] = np.where(hole, 0.0, _GAIN * (2 * column - 1))
            if cell.hole:
                rows[:, cell.first + cell.width - 1] = np.where(hole, 1.0, -1.0)
        rows[:, -1] = classes
        return rows

    def add_units(self, graph: Graph, flat: str) -> str:
        """Adds the way back from a flat picture (patients, features) to units (patients, variables)."""
        slope, middle = graph.floats([[0.5 / _GAIN]]), graph.floats([[0.5]])
        parts: list[str] = []
        for cell in self.cells:
            mine = _columns(graph, flat, cell.first, max(cell.levels, 1))
            if cell.levels:
                unit = graph.add("Cast", graph.add("ArgMax", mine, axis=1, keepdims=1), to=1)
            else:
                unit = graph.add("Add", graph.add("Mul", mine, slope), middle)
                unit = graph.add("Clip", unit, graph.floats(0.0), graph.floats(0.999999))
            if cell.hole:
                missing = graph.add(
                    "Greater", _columns(graph, flat, cell.first + cell.width - 1, 1), graph.floats([[0.0]])
                )
                unit = graph.add("Where", missing, graph.floats([[-1.0]]), unit)
            parts.append(unit)
        return parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1)


def _columns(graph: Graph, flat: str, first: int, width: int) -> str:
    return graph.add("Slice", flat, graph.whole([first]), graph.whole([first + width]), graph.whole([1]))
