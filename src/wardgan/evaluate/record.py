"""What was measured, as plain values for JSON, and one number of synthetic patients beside the one of a hold-out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace

from wardgan.estimate import Estimate


@dataclass(frozen=True)
class Beside:
    """A number for synthetic patients beside the same number for a hold-out: the best that can be reached.

    Attributes:
        synthetic: Synthetic against real patients; its baseline is the value for the hold-out.
        holdout: The hold-out against the same real patients: the ceiling. `None` without a hold-out.
    """

    synthetic: Estimate
    holdout: Estimate | None = None

    def __str__(self) -> str:
        return str(self.synthetic)

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def beside(synthetic: Estimate, holdout: Estimate | None) -> Beside:
    """Gives two estimates side by side, the second being the baseline of the first.

    Example:
        >>> from wardgan.estimate import proportion
        >>> print(beside(proportion(9, 10), proportion(8, 10)))
        0.900 [0.596, 0.982] against 0.800
    """
    return Beside(synthetic if holdout is None else replace(synthetic, baseline=holdout.value), holdout)


def measured(measure: Callable[[str], Estimate], holdout: object) -> Beside:
    """Gives what `measure` finds for `"synthetic"` beside what it finds for `"holdout"`, if there is one."""
    return beside(measure("synthetic"), None if holdout is None else measure("holdout"))


def plain_fields(found: object) -> dict[str, object]:
    """Gives the fields of a dataclass as plain values for JSON."""
    return {} if not is_dataclass(found) else {one.name: plain(getattr(found, one.name)) for one in fields(found)}


def plain(found: object) -> object:
    """Gives something as plain values for JSON: numbers that are not finite are `None`, tuples of names are joined.

    Example:
        >>> plain({("age", "sbp"): (1, math.inf)})
        {'age, sbp': [1, None]}
    """
    if is_dataclass(found):
        return plain_fields(found)
    if isinstance(found, Mapping):
        return {_key(name): plain(value) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [plain(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def _key(name: object) -> str:
    return ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)
