"""What is known of a tensor in a network before it runs: its type, its shape, and its numbers if they are constant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import NetworkError

PATIENTS: Final = -1
FLOATS: Final = frozenset({1, 10, 11})
WHOLES: Final = frozenset({6, 7})
BOOL: Final = 9
NUMBERS: Final = FLOATS | WHOLES
TYPES: Final = {
    1: np.dtype("<f4"), 10: np.dtype("<f2"), 11: np.dtype("<f8"),
    6: np.dtype("<i4"), 7: np.dtype("<i8"), 9: np.dtype("?"),
}  # fmt: skip

Shape = tuple[int, ...]
Attribute = int | float | str | list[int] | list[float] | NDArray[np.generic]


@dataclass(frozen=True)
class Value:
    """A tensor.

    Attributes:
        kind: ONNX number of its data type, a key of `TYPES`.
        shape: Lengths of its axes; `PATIENTS` stands for the number of patients, which nobody knows beforehand.
        numbers: Its content, if it is a small constant.
    """

    kind: int
    shape: Shape
    numbers: NDArray[np.generic] | None = None

    @property
    def fed(self) -> bool:
        """Whether it has an entry for each patient."""
        return self.shape[:1] == (PATIENTS,)

    @property
    def row(self) -> int:
        """How many numbers it has, for one patient if it is fed."""
        return math.prod(self.shape[1:] if self.fed else self.shape)

    @property
    def bytes(self) -> int:
        """How much memory it takes, for one patient if it is fed."""
        return self.row * TYPES[self.kind].itemsize


@dataclass(frozen=True)
class Call:
    """One node: an operator with what is known of its operands.

    Attributes:
        operator: Its name.
        inputs: Its operands; `None` for one that is left out.
        attributes: Its settings.
    """

    operator: str
    inputs: tuple[Value | None, ...]
    attributes: Mapping[str, Attribute]

    def refuse(self, reason: str) -> NoReturn:
        """Refuses the network because of this node."""
        raise NetworkError(f"network: a {self.operator} {reason}.")

    def has(self, at: int) -> bool:
        """Tells whether an operand is there."""
        return at < len(self.inputs) and self.inputs[at] is not None

    def value(self, at: int, kinds: frozenset[int] = NUMBERS | {BOOL}) -> Value:
        """Gives an operand that must be there and be of one of some types."""
        found = self.inputs[at] if at < len(self.inputs) else None
        if found is None:
            self.refuse(f"lacks operand {at + 1}")
        if found.kind not in kinds:
            self.refuse(f"has an operand {at + 1} of the wrong data type")
        return found

    def weights(self, at: int, kinds: frozenset[int] = FLOATS) -> Value:
        """Gives an operand that must not depend on the patients."""
        found = self.value(at, kinds)
        if found.fed:
            self.refuse(f"has an operand {at + 1} that is no constant")
        return found

    def whole(self, name: str, default: int) -> int:
        """Gives a whole-number setting."""
        found = self.attributes.get(name, default)
        if not isinstance(found, int):
            self.refuse(f"has a {name} that is no whole number")
        return found

    def flag(self, name: str, *, default: bool) -> bool:
        """Gives a setting that is 0 or 1."""
        found = self.whole(name, int(default))
        if found not in (0, 1):
            self.refuse(f"has {name}={found}, neither 0 nor 1")
        return bool(found)

    def wholes(self, name: str, default: Sequence[int]) -> list[int]:
        """Gives a setting that is a list of whole numbers, as long as its default."""
        found = self.attributes.get(name, list(default))
        if not isinstance(found, list) or len(found) != len(default) or not all(isinstance(x, int) for x in found):
            self.refuse(f"has a malformed {name}")
        return [int(number) for number in found]

    def numbers(self, at: int) -> list[int]:
        """Gives the whole numbers of an operand that decides a shape: a constant with one axis."""
        found = self.value(at, frozenset({7}))
        if found.numbers is None or len(found.shape) != 1 or found.row > 16:
            self.refuse("computes its shape; shapes must be short constants")
        return [int(number) for number in found.numbers]

    def axis(self, number: int, rank: int) -> int:
        """Gives an axis, counted from the front."""
        if not -rank <= number < rank:
            self.refuse(f"has the axis {number} of {rank}")
        return number % rank

    def axes(self, numbers: Sequence[int], rank: int) -> list[int]:
        """Gives axes, counted from the front, none twice."""
        found = [self.axis(number, rank) for number in numbers]
        if len(set(found)) < len(found):
            self.refuse("has an axis twice")
        return found

    def broadcast(self, shapes: Sequence[Shape]) -> Shape:
        """Gives the common shape of operands; the patients fit only themselves and 1."""
        rank = max(len(shape) for shape in shapes)
        padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
        found: list[int] = []
        for sizes in zip(*padded, strict=True):
            wide = {size for size in sizes if size != 1}
            if len(wide) > 1:
                self.refuse(f"has operands whose shapes do not fit together: {shown(shapes)}")
            found.append(wide.pop() if wide else 1)
        return tuple(found)


def shown(shapes: Sequence[Shape]) -> str:
    """Gives shapes for a message."""
    return " and ".join(
        "(" + ", ".join("N" if size == PATIENTS else str(size) for size in shape) + ")" for shape in shapes
    )
