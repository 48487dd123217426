"""Time to an event: how many real and how many synthetic patients are still free of it, at each time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import DataError
from wardgan.estimate import Estimate, proportion
from wardgan.evaluate.columns import Columns, is_number, level_name, missing, paired
from wardgan.evaluate.curves import Curve, KaplanMeier, at_risk_until, gaps, kaplan_meier, rate_ratio
from wardgan.evaluate.record import Beside, measured, plain_fields
from wardgan.rng import Seed
from wardgan.schema.schema import Schema

SHOWN: Final = 200
ENOUGH: Final = 10


@dataclass(frozen=True)
class Endpoint:
    """Which columns tell the time to an event.

    Attributes:
        time: Column with the time to the end of follow-up, or with the date of the end.
        event: Column that says whether the end was the event; a flag or 0 and 1, or text if `happened` is given.
        origin: Column with the date from which the time is counted, if `time` is a date.
        happened: Level of `event` that is the event, if it is text; all others end the follow-up without it.
    """

    time: str
    event: str
    origin: str | None = None
    happened: str | int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are named."""
        return tuple(name for name in (self.time, self.event, self.origin) if name is not None)


@dataclass(frozen=True, eq=False, repr=False)
class FollowUp:
    """How long patients were followed.

    Attributes:
        time: How long, shape (patients with a known end,).
        event: Whether it ended with the event, same shape.
        known: Which patients of the table have a known end, shape (patients,).
    """

    time: NDArray[np.float64]
    event: NDArray[np.bool_]
    known: NDArray[np.bool_]

    def part(self, rows: NDArray[np.bool_]) -> FollowUp:
        """Gives the follow-up of some patients of the table; `rows` has shape (patients,)."""
        mine = rows[self.known]
        return FollowUp(self.time[mine], self.event[mine], self.known & rows)


@dataclass(frozen=True)
class SurvivalGap:
    """How far apart the curves of two groups of patients are.

    Attributes:
        mean: Mean distance over the time in which at least 10 patients of both are followed, 0 to 1.
        largest: Largest distance in that time, 0 to 1.
        ratio: Rate of events in synthetic patients by that in real ones, over the whole time; 1 is the same.
        until: The end of that time.
        refusal: Why nothing can be judged; `None` if it can.
    """

    mean: Beside | None
    largest: Beside | None
    ratio: Beside | None
    until: float
    refusal: str | None = None


@dataclass(frozen=True)
class Survival:
    """Survival of real, hold-out and synthetic patients.

    Attributes:
        endpoint: The columns that tell the time to the event.
        curves: For each group (`"all"`, or a class such as `"arm: new"`) the curves of `"real"`, `"synthetic"` and
            `"holdout"`; the patients of a group that nobody is in have none.
        gaps: For each group how far the curves are apart.
        events: Share of the patients who had the event, for each table.
    """

    endpoint: Endpoint
    curves: Mapping[str, Mapping[str, Curve]]
    gaps: Mapping[str, SurvivalGap]
    events: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def survival_agreement(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    holdout: pd.DataFrame | None = None,
    *,
    endpoint: Endpoint,
    by: str | None = None,
    seed: Seed,
) -> Survival:
    """Compares the survival of synthetic patients with that of real ones.

    Args:
        real: Wide table of real patients.
        synthetic: Wide table with the same columns; it is not cut.
        holdout: Other real patients with the same columns.
        endpoint: Which columns tell the time to the event, such as from `endpoint_of`.
        by: Column with classes, each of which is compared, too.
        seed: Source of randomness of the intervals.

    Returns:
        Curves of at most 200 points with 95 % bands, and for each group the distances. Where fewer than 10 patients are
        followed at all, or nobody had the event, nothing can be judged.

    Raises:
        DataError: A table is empty or lacks a column, or time and event are not what they have to be.

    Source:
        Kaplan and Meier, J Am Stat Assoc 1958;53:457; see `curves` for bands and distances.
    """
    names = list(dict.fromkeys(endpoint.columns if by is None else (*endpoint.columns, by)))
    given = {"real": real, "synthetic": synthetic} | ({} if holdout is None else {"holdout": holdout})
    asked = _filtered(real, names, "real")
    tables = {
        name: paired(asked, _filtered(frame, names, name), names=("real", name))[1] for name, frame in given.items()
    }
    follows = {name: follow_up(table, endpoint) for name, table in tables.items()}
    groups: dict[str, dict[str, FollowUp]] = {"all": follows}
    if by is not None:
        for level in _levels(tables["real"][by]):
            groups[f"{by}: {level_name(level)}"] = {
                name: follow.part(np.asarray(tables[name][by] == level, dtype=bool)) for name, follow in follows.items()
            }
    return Survival(
        endpoint,
        {
            name: {
                which: kaplan_meier(one.time, one.event).curve(SHOWN) for which, one in mine.items() if one.time.size
            }
            for name, mine in groups.items()
        },
        {name: _gap(mine, seed) for name, mine in groups.items()},
        {name: proportion(int(one.event.sum()), one.time.size) for name, one in follows.items() if one.time.size},
    )


def follow_up(table: Columns, endpoint: Endpoint) -> FollowUp:
    """Gives how long patients were followed, and whether it ended with the event.

    Args:
        table: Columns as from `columns`.
        endpoint: Which of them tell the time to the event.

    Raises:
        DataError: A column is missing or no number, or `event` is neither a flag nor is `happened` given.

    Example:
        >>> from wardgan.evaluate.columns import columns
        >>> table = columns(pd.DataFrame({"days": [3, 9, None], "died": [True, False, True]}))
        >>> found = follow_up(table, Endpoint("days", "died"))
        >>> found.time.tolist(), found.event.tolist()
        ([3.0, 9.0], [True, False])
    """
    time, event, origin, happened = endpoint.time, endpoint.event, endpoint.origin, endpoint.happened
    for name in endpoint.columns:
        if name not in table:
            raise DataError(f"{name!r} is not a column of the tables. Name the columns of the time-to-event pair.")
    for name in (time, origin):
        if name is not None and not is_number(table[name]) and not missing(table[name]).all():
            raise DataError(f"time: {name} is text. Name a number or a date.")
    ends = np.full(table[event].size, np.nan) if not is_number(table[time]) else table[time]
    if origin is not None:
        ends = ends - (table[origin] if is_number(table[origin]) else np.nan)
    how = table[event]
    unknown = missing(how)
    if happened is None:
        if not is_number(how) or not np.isin(how[~unknown], (0.0, 1.0)).all():
            raise DataError(f"event={event!r} is no flag. Say with happened= which of its levels is the event.")
        happened = 1
    known = ~(np.isnan(ends) | unknown)
    return FollowUp(ends[known], np.asarray(how[known] == happened, dtype=bool), known)


def endpoint_of(schema: Schema) -> Endpoint | None:
    """Gives the time-to-event pair of a schema; `None` without one.

    Of a category that is the event, the last declared level is it.

    Args:
        schema: Declarations.
    """
    if not schema.events:
        return None
    time, event = (schema.column(schema.events[key]) for key in ("time", "event"))
    happened = None if event.kind == "flag" else event.levels[-1]
    return Endpoint(time.name, event.name, time.after, happened)


def _filtered(frame: pd.DataFrame, names: list[str], which: str) -> pd.DataFrame:
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise DataError(f"{', '.join(absent)}: not a column of {which}. Name columns that all tables have.")
    return frame.loc[:, names]


def _levels(column: NDArray[np.object_] | NDArray[np.float64]) -> list[object]:
    return sorted(set(column[~missing(column)].tolist()), key=level_name)


def _gap(follows: Mapping[str, FollowUp], seed: Seed) -> SurvivalGap:
    found = {name: kaplan_meier(one.time, one.event) for name, one in follows.items()}
    judged = {name: one for name, one in found.items() if at_risk_until(one, ENOUGH) > 0}
    until = min((at_risk_until(one, ENOUGH) for one in judged.values()), default=math.nan)
    why = _refusal(found, judged)
    if why is not None:
        return SurvivalGap(None, None, None, math.nan, why)
    holdout = judged.get("holdout")
    real = judged["real"]
    apart = {name: gaps(real, one, until, seed=seed) for name, one in judged.items() if name != "real"}
    return SurvivalGap(
        measured(lambda name: apart[name][0], holdout),
        measured(lambda name: apart[name][1], holdout),
        measured(lambda name: rate_ratio(real, judged[name]), holdout),
        until,
    )


def _refusal(found: Mapping[str, KaplanMeier], judged: Mapping[str, KaplanMeier]) -> str | None:
    for name in ("real", "synthetic"):
        if name not in judged:
            return f"fewer than {ENOUGH} {name} patients are followed; it cannot be judged."
    if not found["real"].deaths.sum():
        return "no real patient had the event; it cannot be judged."
    return None
