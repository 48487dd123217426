"""The ledger: an append-only bill that is written before patients are read (Rules P4 and P5)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, cast

from wardgan.errors import BudgetError, FormatError, OutputError
from wardgan.privacy.accountant import pld_epsilon, rdp_epsilon
from wardgan.privacy.events import NEIGHBOURS, UNIT, Event, Mechanism
from wardgan.privacy.plan import Plan
from wardgan.rng import Seed

VERSION: Final = 1
Mode = Literal["private", "none"]


class Ledger:
    """What has been spent on a cohort by one fit.

    `spend` is called before a mechanism touches the patients and refuses what is not in the plan, so the spent
    epsilon can never pass the target. With a file, each line is on the disk before `spend` returns: after a
    crash the ledger may say more than was done, never less. A file that somebody else has written to meanwhile is
    not written to again, so two fits cannot spend the same run side by side.

    Attributes:
        plan: What may be spent; `None` in a fit without privacy.
        replayable: Whether the noise can be drawn again: a rehearsal, which cannot be released as private.
    """

    def __init__(self, plan: Plan | None, *, replayable: bool = False, path: Path | None = None) -> None:
        """Opens an empty ledger.

        Args:
            plan: What may be spent; `None` for a fit without privacy.
            replayable: Whether the noise comes from a user's seed.
            path: A new file that gets a line for each entry.
        """
        self.plan = plan
        self.replayable = replayable
        self._steps: dict[str, int] = {}
        self._unbilled: list[str] = []
        self._path: Path | None = None
        self._told: Callable[[Ledger], None] = _nobody
        self._valid = self._bytes = 0
        if path is not None:
            self.open_file(path)

    @property
    def mode(self) -> Mode:
        """`private`, or `none` if nothing protects the patients."""
        return "none" if self.plan is None else "private"

    @property
    def unbilled(self) -> tuple[str, ...]:
        """Reads of patients that nobody paid for; a release is refused if there is one in a private fit."""
        return tuple(self._unbilled)

    @property
    def events(self) -> tuple[Event, ...]:
        """What has been spent so far."""
        if self.plan is None:
            return ()
        return tuple(event.times(self._steps[event.name]) for event in self.plan.events if self._steps.get(event.name))

    def __repr__(self) -> str:
        if self.plan is None:
            return "Ledger(no privacy)"
        budget = self.plan.budget
        return f"Ledger(epsilon {self.epsilon():.4g} of {budget.epsilon:g} spent, delta {budget.delta:g})"

    def steps(self, name: str) -> int:
        """Gives how many runs of an event have been spent."""
        return self._steps.get(name, 0)

    def check_noise(self, noise: Seed) -> None:
        """Refuses replayable noise that the ledger does not own up to (Rule P10).

        Raises:
            BudgetError: The noise can be drawn again, and the ledger says that it cannot.
        """
        if noise.replayable and not self.replayable and self.plan is not None:
            raise BudgetError("noise: a replayable seed needs a ledger with replayable=True; use Seed.secret().")

    def spend(self, name: str, steps: int = 1, *, mechanism: Mechanism | None = None) -> Event:
        """Bills the next `steps` runs of a planned event, before they happen.

        Args:
            name: The planned event.
            steps: How many runs.
            mechanism: How the patients will be read: all of them with Gaussian noise must not be billed at the price
                of a batch. `None`: whatever was planned.

        Returns:
            The event as planned, with its noise.

        Raises:
            BudgetError: The plan does not have the event, or all of its runs are spent.
        """
        if self.plan is None:
            raise BudgetError(f"event={name!r}: a fit without privacy has no plan to spend from.")
        event = self.plan.event(name)
        if mechanism not in (None, event.mechanism):
            raise BudgetError(f"event={name!r} is planned as {event.mechanism}, not as {mechanism}.")
        if steps < 1 or self.steps(name) + steps > event.steps:
            raise BudgetError(
                f"event={name!r}: {self.steps(name)} of {event.steps} planned runs are spent; {steps} more are not "
                "allowed."
            )
        self._write({"spend": name, "steps": steps})
        self._steps[name] = self.steps(name) + steps
        self._told(self)
        return event

    def tell(self, told: Callable[[Ledger], None]) -> None:
        """Has somebody told of each bill once it is written, and before patients are read.

        Args:
            told: Called with the ledger; what it raises ends the fit, and nothing is read.
        """
        self._told = told

    def read_unbilled(self, reason: str) -> None:
        """Notes a read of patients that nobody paid for."""
        self._write({"unbilled": reason})
        self._unbilled.append(reason)
        self._told(self)

    def epsilon(self) -> float:
        """Gives what has been spent, by the accountant of record; infinity without privacy."""
        return float("inf") if self.plan is None else pld_epsilon(self.events, self.plan.budget.delta)

    def epsilon_bound(self) -> float:
        """Gives what has been spent, by our own Renyi accountant: never below `epsilon`."""
        return float("inf") if self.plan is None else rdp_epsilon(self.events, self.plan.budget.delta)

    def to_dict(self) -> dict[str, object]:
        """Gives the ledger for JSON: everything that is needed to bill it again."""
        found: dict[str, object] = {
            "version": VERSION,
            "mode": self.mode,
            "unit": UNIT,
            "neighbours": NEIGHBOURS,
            "replayable": self.replayable,
            "unbilled": [*self.unbilled],
        }
        if self.plan is None:
            nothing: list[object] = []
            return found | {"events": nothing}
        spent = {"epsilon": self.epsilon(), "accountant": "PLD", "epsilon_rdp": self.epsilon_bound()}
        return found | {
            "epsilon": self.plan.budget.epsilon,
            "delta": self.plan.budget.delta,
            "population": self.plan.population,
            "family": self.plan.family,
            "spent": spent,
            "events": [event.to_dict() for event in self.events],
        }

    @classmethod
    def resume(cls, path: Path) -> Ledger:
        """Opens the ledger file of a run that stopped, with everything that it had billed.

        Reading leaves the file as it is: a last line that is cut off is replaced by the next entry.

        Raises:
            FormatError: The file is damaged before its last line. (A last line that is cut off was never acted on.)
            BudgetError: It says that more was spent than planned.
        """
        try:
            found = path.read_bytes()
        except OSError as error:
            raise FormatError(f"ledger={str(path)!r} cannot be read: {error.strerror}.") from error
        *lines, rest = found.split(b"\n")
        ledger: Ledger | None = None
        for number, line in enumerate(lines):
            try:
                entry = json.loads(line)
                ledger = _begun(entry) if ledger is None else ledger._replayed(entry)
            except (ValueError, KeyError, TypeError, FormatError) as error:
                raise FormatError(f"ledger={str(path)!r} is damaged at line {number + 1}; start a new run.") from error
        if ledger is None:
            raise FormatError(f"ledger={str(path)!r} does not begin with its plan; start a new run.")
        ledger._path, ledger._valid, ledger._bytes = path, len(found) - len(rest), len(found)
        return ledger

    def open_file(self, path: Path) -> None:
        """Begins the ledger file of a new run.

        Raises:
            OutputError: The file is there already: a ledger is never begun twice; or it cannot be written.
            BudgetError: Something was spent before, which the file would not say.
        """
        if self._steps or self._unbilled:
            raise BudgetError(f"ledger={str(path)!r}: patients were read before the file was begun; start a new run.")
        try:
            path.open("xb").close()
        except FileExistsError as error:
            raise OutputError(f"ledger={str(path)!r} exists; resume the run or choose another folder.") from error
        except OSError as error:
            raise OutputError(f"ledger={str(path)!r} cannot be written: {error.strerror}; nothing was read.") from error
        self._path = path
        plan = None if self.plan is None else self.plan.to_dict()
        self._write({"open": {"plan": plan, "replayable": self.replayable}})

    def revise(self, plan: Plan) -> None:
        """Replaces the plan by the same one with batch caps, after the paid count of patients.

        Raises:
            BudgetError: Something else is different, or batches were drawn already.
        """
        if self.plan is None or _without_caps(plan) != _without_caps(self.plan) or self._drawn():
            raise BudgetError("plan: only the caps of batches may still be set, before the first batch is drawn.")
        self._write({"revise": plan.to_dict()})
        self.plan = plan

    def _drawn(self) -> bool:
        return any(event.mechanism == "poisson-gaussian" for event in self.events)

    def _replayed(self, entry: object) -> Ledger:
        match entry:
            case {"spend": str(name), "steps": int(steps)}:
                self.spend(name, steps)
            case {"unbilled": str(reason)}:
                self.read_unbilled(reason)
            case {"revise": dict() as plan}:  # pyright: ignore[reportUnknownVariableType]
                self.revise(Plan.from_dict(cast("Mapping[str, object]", plan)))
            case _:
                raise FormatError("ledger: an entry is of no known kind.")
        return self

    def _write(self, entry: Mapping[str, object]) -> None:
        if self._path is None:
            return
        line = json.dumps(entry).encode() + b"\n"
        try:
            with self._path.open("r+b") as file:
                if file.seek(0, os.SEEK_END) != self._bytes:
                    raise BudgetError(f"ledger={str(self._path)!r} was written to by another fit; stop one of them.")
                file.truncate(self._valid)
                file.seek(self._valid)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"ledger={str(self._path)!r} cannot be written: {error.strerror}; nothing was read."
            ) from error
        self._valid = self._bytes = self._valid + len(line)


def _nobody(_ledger: Ledger) -> None:
    pass


def rebill(ledger: Mapping[str, object]) -> float:
    """Bills the events of a ledger's JSON again, by the accountant of record.

    Raises:
        FormatError: An event is malformed.
    """
    events = [Event.from_dict(event) for event in cast("list[Mapping[str, object]]", ledger["events"])]
    return pld_epsilon(events, float(cast("float", ledger["delta"])))


def rebill_bound(ledger: Mapping[str, object]) -> float:
    """Bills the events of a ledger's JSON again, by our own Renyi accountant: an upper bound that needs no extras."""
    events = [Event.from_dict(event) for event in cast("list[Mapping[str, object]]", ledger["events"])]
    return rdp_epsilon(events, float(cast("float", ledger["delta"])))


def _begun(entry: Mapping[str, Mapping[str, object]]) -> Ledger:
    head = entry["open"]
    plan = None if head["plan"] is None else Plan.from_dict(cast("Mapping[str, object]", head["plan"]))
    return Ledger(plan, replayable=head["replayable"] is not False)


def _without_caps(plan: Plan) -> Plan:
    events = tuple(replace(event, batch_cap=None, population=None) for event in plan.events)
    return replace(plan, events=events, population=None)
