"""The institution's ledger for people and programs: plain facts, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Final, TypedDict

from wardgan.privacy.accountant import rdp_epsilon
from wardgan.privacy.accounts.rows import DataSet, Entry
from wardgan.privacy.accounts.together import Total, total

_COLUMNS: Final = (
    "dataset", "number", "kind", "run", "family", "mode", "state", "begun", "ended", "epsilon", "delta",
    "spent_epsilon", "released",
)  # fmt: skip


class Cost(TypedDict):
    """What some fits cost together: `epsilon` is `None` where it is infinite."""

    epsilon: float | None
    delta: float
    how: str


class Line(TypedDict):
    """One fit or paid figure; `epsilon` and `delta` are planned, `spent_epsilon` is at most spent, `None` infinite."""

    number: int
    kind: str
    run: str | None
    family: str
    mode: str
    state: str
    begun: str
    ended: str | None
    epsilon: float | None
    delta: float | None
    spent_epsilon: float | None
    events: list[dict[str, object]]
    releases: list[dict[str, str | None]]


class Page(TypedDict):
    """One data set, or several that are counted together."""

    name: str
    names: list[str]
    schemas: list[str]
    caps: list[dict[str, float]]
    total: Cost
    left: float | None
    entries: list[Line]


class Facts(TypedDict):
    """The whole ledger; `everything` is what a patient has paid who is in all data sets."""

    datasets: list[Page]
    everything: Cost


def facts_of(found: Sequence[DataSet]) -> Facts:
    """Gives the facts of some data sets, with what they cost together."""
    parts = [part for each in found for part in each.parts()]
    delta = max((each.delta() for each in found), default=1e-5)
    return {"datasets": [_page(each) for each in found], "everything": _cost(total(parts, delta))}


def as_json(facts: Facts) -> bytes:
    """Gives the ledger as JSON: whoever has it can bill all fits again."""
    return (json.dumps({"version": 1} | facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def as_csv(facts: Facts) -> bytes:
    """Gives one row for each fit and paid figure; an empty `spent_epsilon` is infinite."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for page in facts["datasets"]:
        for line in page["entries"]:
            released = " ".join(str(each["digest"]) for each in line["releases"])
            cells: dict[str, object] = {**line, "dataset": page["name"], "released": released}
            table.writerow([cells[name] for name in _COLUMNS])
    return text.getvalue().encode()


def _page(found: DataSet) -> Page:
    return {
        "name": found.name, "names": [*found.names], "schemas": [*found.schemas],
        "caps": [{"epsilon": cap.epsilon, "delta": cap.delta} for cap in found.caps],
        "total": _cost(found.total()), "left": found.left(), "entries": [_line(entry) for entry in found.entries],
    }  # fmt: skip


def _line(entry: Entry) -> Line:
    budget = None if entry.plan is None else entry.plan.budget
    return {
        "number": entry.number, "kind": entry.kind, "run": entry.run, "family": entry.family, "mode": entry.mode,
        "state": entry.state, "begun": entry.begun, "ended": entry.ended,
        "epsilon": None if budget is None else budget.epsilon, "delta": None if budget is None else budget.delta,
        "spent_epsilon": _spent(entry), "events": [event.to_dict() for event in entry.part.events],
        "releases": [vars(release) for release in entry.releases],
    }  # fmt: skip


def _spent(entry: Entry) -> float | None:
    """Gives a bound of what an entry has cost, at its own delta, in milliseconds."""
    part = entry.part
    if part.budget is None or not part.protected:
        return None
    if not any(event.steps for event in part.events):
        return 0.0
    if entry.plan is not None and part.events == entry.plan.events:
        return part.budget.epsilon
    return min(part.budget.epsilon, rdp_epsilon(part.events, part.budget.delta))


def _cost(found: Total) -> Cost:
    return {"epsilon": None if math.isinf(found.epsilon) else found.epsilon, "delta": found.delta, "how": found.how}
