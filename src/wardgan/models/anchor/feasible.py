"""What a budget can carry, from public facts alone: how much epsilon, how many patients, how few variables."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from wardgan.encode.layout import Layout
from wardgan.errors import counted
from wardgan.models.anchor.groups import LARGE, is_large
from wardgan.models.anchor.scores import axes_of
from wardgan.privacy.accountant import gaussian_mu

_NOISE: Final = 4.0
_SHOWN: Final = 4


def least_epsilon(layout: Layout, *, population: int, delta: float, part: float) -> float:
    """Gives the smallest epsilon at which the classes of a population can be told from noise.

    Args:
        layout: The variables.
        population: Public number of patients.
        delta: In (0, 1).
        part: Part of the budget (of mu^2) that the label tables get.
    """
    mu = _NOISE * layout.schema.classes * np.sqrt(len(layout)) / population / np.sqrt(part)
    low, high = 1e-6, 1e4
    for _ in range(100):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if gaussian_mu(middle, delta) < mu else (low, middle)
    return high


def least_population(layout: Layout, *, epsilon: float, delta: float, part: float) -> int:
    """Gives the smallest population whose classes can be told from noise, rounded up to two digits.

    Args:
        layout: The variables.
        epsilon: Of the whole fit.
        delta: In (0, 1).
        part: Part of the budget (of mu^2) that the label tables get.
    """
    least = _NOISE * layout.schema.classes * np.sqrt(len(layout) / part) / gaussian_mu(epsilon, delta)
    unit = 10.0 ** max(np.floor(np.log10(least)) - 1, 0)
    return int(np.ceil(least / unit) * unit)


def most_variables(layout: Layout, *, population: int, epsilon: float, delta: float, part: float) -> int:
    """Gives how many variables would leave the classes of a population above the noise; 0 if none would.

    Args:
        layout: The variables, for the number of classes.
        population: Public number of patients.
        epsilon: Of the whole fit.
        delta: In (0, 1).
        part: Part of the budget (of mu^2) that the label tables get.
    """
    return int(part * (population * gaussian_mu(epsilon, delta) / (_NOISE * layout.schema.classes)) ** 2)


def what_to_drop(layout: Layout, few: int, few_small: int) -> str:
    """Gives in words which columns cost most, and without which a fit would be possible.

    Args:
        layout: The variables.
        few: How many of them the budget can carry; 0 if fewer columns alone would not do.
        few_small: The same if no large category were among them, whose levels are asked about once more.
    """
    large = {variable.source or variable.name for variable in layout.variables if is_large(variable.column)}
    small = sum((variable.source or variable.name) not in large for variable in layout.variables)
    if large and 0 < small <= few_small:
        return (
            f"It would be possible without {' and '.join(sorted(large))}: the totals of more than {LARGE} levels are "
            "asked for separately, which costs a part of the budget of its own."
        )
    if not few:
        labels = ", ".join(f"{column.name} ({counted(column.size, 'level')})" for column in layout.schema.labels)
        return f"Labels multiply what is needed: {labels}." if labels else "Join more patients."
    owners = [variable.source or variable.column.name.partition("@")[0] for variable in layout.variables]
    variables = Counter(owners)
    holes = Counter(owners[axis.at] for axis in axes_of(layout) if axis.hole)
    ranked = sorted(variables, key=lambda name: -variables[name] - holes[name])
    if len(set(variables.values())) == 1:
        return "All columns cost alike: keep those that matter most."
    words: list[str] = []
    for name in ranked[:_SHOWN]:
        more = f", and {holes[name]} for missing cells" if name in holes else ""
        words.append(f"{name} ({counted(variables[name], 'variable')}{more})")
    rest = len(ranked) - _SHOWN
    costs = ", ".join(words) + (f" and {counted(rest, 'other column')}" if rest > 0 else "")
    return f"What costs most: {costs}.{_enough_without(layout, ranked, variables, few)}"


def _enough_without(layout: Layout, ranked: list[str], variables: Counter[str], few: int) -> str:
    """Gives the dearest columns without which the others can be carried, if there are such."""
    visits = layout.schema.visits
    measured = {column.name for column in visits.columns} if visits else set[str]()
    which = sum(variable.role in ("presence", "count") for variable in layout.variables)
    least, left, dropped = variables[ranked[-1]], len(layout), list[str]()
    for name in ranked:
        if left > few and variables[name] > least and name in {column.name for column in layout.schema.columns}:
            dropped.append(name)
            # Without any column there are no visits, so nothing says which of them took place.
            left -= variables[name] + which * (measured == set(dropped) & measured)
            which *= measured != set(dropped) & measured
    if left > few or len(dropped) > _SHOWN:
        return ""
    return f" It would be possible without {' and '.join(dropped)}."
