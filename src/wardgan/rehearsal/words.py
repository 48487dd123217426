"""A sketch as a table and in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from wardgan.errors import counted
from wardgan.estimate import Estimate

if TYPE_CHECKING:
    from wardgan.rehearsal.result import Rehearsed, Sketch

GOALS: Final = (0.95, 0.98)
HEADER: Final = ("epsilon", "share", "LR", "GB", "columns", "pairs", "rarest", "noise", "s")
PATIENTS: Final = "patients"
# Below this area the label can hardly be predicted, so that a share of it says nothing.
_HOPELESS: Final = 0.6
# An interval of the share that is longer says nothing that a plan could rest on.
_WIDE: Final = 0.3
_SHOWN: Final = 3


def page(sketch: Sketch) -> str:
    """Gives a sketch as text: what was simulated, the table, and what it says."""
    rows = [HEADER, *cells(sketch)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADER))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return "\n".join([heading(sketch), "", *lines, "", *legend(sketch), "", *refusals(sketch), verdict(sketch)])


def heading(sketch: Sketch) -> str:
    """Gives in one sentence what was simulated."""
    fewer = "" if sketch.simulated == sketch.patients else f" (of {sketch.patients:,})"
    text = (
        f"{sketch.name}: {counted(sketch.seeds, 'simulated table')} of {sketch.simulated:,}{fewer} patients and "
        f"{counted(sketch.variables, 'variable')}; family {sketch.family}, delta {sketch.delta:g}"
    )
    assume = sketch.assume
    known = [f"signal {assume.signal}"] if sketch.labelled else []
    return ", ".join([text, *known, f"{100 * assume.missing:g} % missing where allowed"]) + "."


def cells(sketch: Sketch) -> list[tuple[str, ...]]:
    """Gives the table: one row for each epsilon, one for no privacy, one for the patients themselves."""
    rows = [_row("no privacy" if row.epsilon is None else f"{row.epsilon:g}", row, sketch) for row in sketch.rows]
    return [*rows, _row(PATIENTS, sketch.best, sketch)]


def legend(sketch: Sketch) -> list[str]:
    """Gives what the columns of the table mean."""
    predicted = ", ".join(sketch.predicted[:_SHOWN]) + (", ..." if len(sketch.predicted) > _SHOWN else "")
    found = [
        f"LR, GB: area under the ROC curve with which logistic regression and gradient boosting, taught by synthetic "
        f"patients, predict {predicted} for unseen simulated ones; .5 is guessing.",
        "share: the same, as a share of what they reach when taught by the simulated patients themselves; mean of "
        "both, with the 95 % interval in which one more simulated table would lie.",
    ]
    if not sketch.predicted:
        found = ["LR, GB, share: the schema has no column that could be predicted from others."]
    found.append(
        "columns, pairs: total variation of columns and of pairs of columns: 0 is the same, 1 has nothing in common. "
        f"The row {PATIENTS} has that of unseen ones: the best that can be reached."
    )
    size = sketch.best.classes[sketch.smallest].value
    found.append(
        f"rarest: share of the smallest class ({sketch.smallest}; about {size * sketch.patients:,.0f} patients). "
        "noise: by how many patients one count is off. s: seconds of a fit."
    )
    return found


def refusals(sketch: Sketch) -> list[str]:
    """Gives why fits were refused."""
    found: list[str] = []
    for row in sketch.rows:
        if not row.refusals:
            continue
        name = "Without privacy" if row.epsilon is None else f"Epsilon {row.epsilon:g}"
        often = "" if row.refused else f" for {len(row.refusals)} of {counted(sketch.seeds, 'simulated table')}"
        found.append(f"{name} is refused{often}: {row.refusals[0]}")
    return found


def verdict(sketch: Sketch) -> str:
    """Gives what the sketch says, in a few sentences."""
    return " ".join([*_reached(sketch), *_limits(sketch)])


def _reached(sketch: Sketch) -> Iterator[str]:
    plain = sketch.rows[-1]
    if not sketch.predicted:
        return
    if all(row.refused for row in sketch.rows[:-1]):
        yield "At every epsilon that was asked for, a fit would be refused."
        return
    if max((area.value for area in sketch.best.auroc.values()), default=0.0) < _HOPELESS:
        yield "What is predicted can hardly be predicted from the simulated patients either, so the shares say little."
        return
    for goal in GOALS:
        epsilon = sketch.reaches(goal)
        if epsilon is not None:
            reach = _reach(sketch, epsilon)
            yield f"From epsilon {epsilon:g} on, the share is on average at least {100 * goal:g} %{reach}."
            continue
        limit = ""
        if plain.share is not None and plain.share.value < goal:
            limit = (
                f", and no privacy at all reaches {_percent(plain.share)}: the limit is not the noise, but the family"
            )
        yield f"No epsilon that was asked for reaches {100 * goal:g} %{limit}."
        return


def _reach(sketch: Sketch, epsilon: float) -> str:
    """Gives where the share of one more table would lie at an epsilon, in words."""
    share = next(row.share for row in sketch.rows if row.epsilon == epsilon)
    if share is None or not math.isfinite(share.low):
        return ""
    found = f"there, in one more table, {100 * share.low:.0f} to {100 * share.high:.0f} %"
    if share.high - share.low > _WIDE:
        found += f": {counted(sketch.seeds, 'simulated table')} cannot say, ask for more (--seeds)"
    return f" ({found})"


def _limits(sketch: Sketch) -> Iterator[str]:
    if sketch.labelled and sketch.assume.rarest is None and not all(row.refused for row in sketch.rows[:-1]):
        rarest = sketch.best.classes[sketch.smallest].value
        yield (
            f"That {100 * rarest:.0f} % are in the smallest class is a guess, and it matters: if the share of the "
            "rarest level of the label is public, say it (--rarest)."
        )
    if sketch.simulated < sketch.patients:
        yield (
            f"Simulated were {sketch.simulated:,} of {sketch.patients:,} patients, to save time; with all of them the "
            "noise weighs less, so each epsilon does at least about as well as shown."
        )
    yield (
        "This is a simulation on invented patients, shaped like your columns by what clinical tables have in common. "
        "It is no promise about yours, whose correlations and rare values nobody has looked at."
    )


def _row(name: str, row: Rehearsed, sketch: Sketch) -> tuple[str, ...]:
    if row.refusals and row.refused:
        return (name, "refused", *[""] * (len(HEADER) - 2))
    areas = [row.auroc.get(classifier) for classifier in ("logistic regression", "gradient boosting")]
    rarest = row.classes.get(sketch.smallest)
    return (
        name + ("*" if row.refusals else ""),
        "" if row.share is None else _percent(row.share),
        *[_decimals(area) for area in areas],
        _decimals(row.columns),
        _decimals(row.pairs),
        "" if rarest is None else f"{100 * rarest.value:.1f} %",
        "" if row.count_noise is None else _count(row.count_noise),
        "" if row.seconds is None else f"{row.seconds.value:.1f}",
    )


def _decimals(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.value:.3f}"


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def _percent(estimate: Estimate) -> str:
    half = (estimate.high - estimate.low) / 2
    return f"{100 * estimate.value:.1f}" + (f" ± {100 * half:.1f} %" if math.isfinite(half) else " %")
