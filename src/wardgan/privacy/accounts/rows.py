"""What the institution's ledger holds: entries, and data sets with what their fits cost together."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, cast

from wardgan import files
from wardgan.errors import FormatError, WardganError
from wardgan.privacy.accounts.slip import FINISHED, RUN_LEDGER, slip_of
from wardgan.privacy.accounts.together import Part, Total, left, total
from wardgan.privacy.events import DEFAULT_DELTA, Budget, Event
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan

Kind = Literal["fit", "figure"]
State = Literal["open", "done", "refused", "stopped", "failed", "crashed"]
_ENTRY: Final = (
    "SELECT id, token, dataset, kind, run, family, state, replayable, unbilled, begun, ended, plan, events FROM entry"
)


@dataclass(frozen=True)
class Release:
    """A file that left.

    Attributes:
        made: When.
        file: Its name.
        digest: Digest of its manifest.
        override: Who let it leave without privacy, and why.
    """

    made: str
    file: str
    digest: str
    override: str | None


@dataclass(frozen=True)
class Entry:
    """One fit, or one figure about patients that was paid for.

    Attributes:
        number: Its place in the ledger.
        token: Its name; the run folder has it, too.
        dataset: Number of the data set.
        kind: `fit` or `figure`.
        run: The run folder; `None` if there was none.
        family: The model family, or what the figure was for.
        state: `open` while it may still spend; `done`, `refused`, `stopped` (Ctrl-C), `failed`, or `crashed`.
        replayable: Whether the noise came from a user's seed.
        unbilled: Whether patients were read without a bill.
        begun: When, in UTC.
        ended: When; `None` while it is open.
        plan: What may be spent; `None` without privacy.
        events: What was billed so far; `None` if nothing is known of it.
        releases: What left of it.
    """

    number: int
    token: str
    dataset: int
    kind: Kind
    run: str | None
    family: str
    state: State
    replayable: bool
    unbilled: bool
    begun: str
    ended: str | None
    plan: Plan | None
    events: tuple[Event, ...] | None
    releases: tuple[Release, ...] = ()

    @property
    def part(self) -> Part:
        """What it counts for: all that is planned while it is open, afterwards what was spent."""
        if self.plan is None:
            return Part((), None, protected=False)
        events = self.plan.events if self.state == "open" or self.events is None else self.events
        return Part(events, self.plan.budget, protected=not self.unbilled and not (self.replayable and events))

    @property
    def mode(self) -> str:
        """`private`, `rehearsal` (its noise can be replayed), or `none`."""
        return "none" if self.plan is None else "rehearsal" if self.replayable else "private"


@dataclass(frozen=True)
class DataSet:
    """Patients that are counted together: a data set, or several that were linked.

    Attributes:
        ids: Numbers of the data sets.
        names: Their names.
        schemas: Names of the schemas under which they were fitted.
        caps: What all fits may cost together; each of them holds.
        entries: Fits and paid figures, oldest first.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    schemas: tuple[str, ...]
    caps: tuple[Budget, ...]
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """All names, for people."""
        return " + ".join(self.names)

    def parts(self) -> list[Part]:
        """Gives what each entry counts for."""
        return [entry.part for entry in self.entries]

    def delta(self) -> float:
        """Gives the delta at which the total is stated: that of the strictest cap, or the largest of the fits."""
        if self.caps:
            return min(cap.delta for cap in self.caps)
        return max((part.budget.delta for part in self.parts() if part.budget is not None), default=DEFAULT_DELTA)

    def total(self) -> Total:
        """Gives what all entries cost together."""
        return total(self.parts(), self.delta())

    def left(self) -> float | None:
        """Gives an epsilon of one more fit (of Gaussian sums) that the caps still allow; `None` without a cap."""
        return min((left(self.parts(), cap) for cap in self.caps), default=None)


def data_sets(connection: sqlite3.Connection) -> list[DataSet]:
    """Gives all data sets, those that are linked as one; crashed fits count what their run's own ledger says."""
    names: dict[int, str] = dict(connection.execute("SELECT id, name FROM dataset ORDER BY id"))
    schemas = connection.execute("SELECT dataset, name FROM schema_name ORDER BY name").fetchall()
    entries = [found_out(entry) for entry in all_entries(connection)]
    default, own = caps(connection)
    found: list[DataSet] = []
    for ids in _joined(list(names), connection.execute("SELECT one, other FROM link").fetchall()):
        held = dict.fromkeys(cap for each in ids if (cap := own.get(each, default)) is not None)
        found.append(
            DataSet(
                ids, tuple(names[each] for each in ids),
                tuple(dict.fromkeys(name for each, name in schemas if each in ids)), tuple(held),
                tuple(entry for entry in entries if entry.dataset in ids),
            )
        )  # fmt: skip
    return found


def all_entries(connection: sqlite3.Connection) -> list[Entry]:
    """Gives all entries, oldest first, as they were written.

    Raises:
        FormatError: One of them is malformed.
    """
    releases: dict[int, list[Release]] = {}
    for number, *fields in connection.execute("SELECT entry, made, file, digest, override FROM release ORDER BY id"):
        releases.setdefault(number, []).append(Release(*fields))
    try:
        rows = connection.execute(f"{_ENTRY} ORDER BY id").fetchall()
        return [_entry(row, tuple(releases.get(row[0], ()))) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError, WardganError) as error:
        raise FormatError("ledger: an entry is malformed; put the last copy of the ledger in its place.") from error


def caps(connection: sqlite3.Connection) -> tuple[Budget | None, dict[int, Budget]]:
    """Gives the default cap, and the caps of single data sets; the newest word counts."""
    found: dict[int | None, Budget | None] = {}
    for dataset, epsilon, delta in connection.execute("SELECT dataset, epsilon, delta FROM cap ORDER BY id"):
        found[dataset] = None if epsilon is None else Budget(epsilon, delta)
    own = {dataset: cap for dataset, cap in found.items() if dataset is not None and cap is not None}
    return found.get(None), own


def found_out(entry: Entry) -> Entry:
    """Gives an open entry of a fit whose process is gone as what the run's own ledger says; others as they are.

    The run's ledger is held by the process that fits, and written before patients are read. If it is held, or gone,
    or that of another run, the entry counts for all that was planned.
    """
    if entry.state != "open" or entry.kind != "fit" or entry.run is None:
        return entry
    run = Path(entry.run)
    try:
        with files.locked(run / RUN_LEDGER):
            slip, ledger = slip_of(run), Ledger.resume(run / RUN_LEDGER)
            finished = (run / FINISHED).exists()
    except (OSError, WardganError):
        return entry
    if slip is None or slip.entry != entry.token:
        return entry
    state: State = "done" if finished else "crashed"
    replayable = entry.replayable or ledger.replayable
    unbilled = entry.unbilled or bool(ledger.unbilled)
    events = at_least(ledger.events, entry.events or ())
    return replace(entry, state=state, replayable=replayable, unbilled=unbilled, events=events)


def at_least(events: Sequence[Event], others: Sequence[Event]) -> tuple[Event, ...]:
    """Gives what was spent if both are right: of each event the larger number of runs.

    Args:
        events: What a run's own ledger says; a folder may have been set back to an older state.
        others: What the institution's ledger was told.
    """
    found = {event.name: event for event in others}
    for event in events:
        if event.name not in found or event.steps >= found[event.name].steps:
            found[event.name] = event
    return tuple(found.values())


def goes_on(entry: Entry, run: Path | None, billed: Sequence[Event]) -> bool:
    """Tells whether a run is the one that was entered, not a copy of it or an older state: these spend anew.

    Args:
        entry: What was entered under the token of the run's slip.
        run: The run folder.
        billed: What its own ledger says.
    """
    if run is None:
        return True
    moved = entry.run is not None and Path(entry.run) != run.resolve()
    if entry.state == "done" or (moved and (Path(entry.run or "") / RUN_LEDGER).exists()):
        return False
    steps = {event.name: event.steps for event in billed}
    return all(event.steps <= steps.get(event.name, 0) for event in entry.events or ())


def _entry(row: Sequence[object], releases: tuple[Release, ...]) -> Entry:
    number, token, dataset, kind, run, family, state, replayable, unbilled, begun, ended, plan, events = row
    done = None if events is None else tuple(Event.from_dict(event) for event in json.loads(cast("str", events)))
    return Entry(
        cast("int", number), str(token), cast("int", dataset), cast("Kind", kind), None if run is None else str(run),
        str(family), cast("State", state), bool(replayable), bool(unbilled), str(begun),
        None if ended is None else str(ended), None if plan is None else Plan.from_dict(json.loads(cast("str", plan))),
        done, releases,
    )  # fmt: skip


def _joined(ids: list[int], links: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Gives the groups of data sets that are linked, directly or through others."""
    group = {each: {each} for each in ids}
    for one, other in links:
        both = group[one] | group[other]
        for each in both:
            group[each] = both
    return sorted({tuple(sorted(each)) for each in group.values()})
