"""The institution's ledger: what all fits of a data set have cost, and a cap that refuses the next one (Rule P14)."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from wardgan import check
from wardgan.errors import UsageError
from wardgan.privacy.accounts.claim import Claim, OverCapError, refuse
from wardgan.privacy.accounts.file import connect, explained, new_database, writing
from wardgan.privacy.accounts.fingerprint import fingerprint
from wardgan.privacy.accounts.key import key_of
from wardgan.privacy.accounts.rows import DataSet, Entry, State, at_least, data_sets, goes_on
from wardgan.privacy.accounts.slip import check_name
from wardgan.privacy.accounts.together import within
from wardgan.privacy.accounts.whose import Patients, Whose, found
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.plan import Plan
from wardgan.schema.image_cohort import AnyCohort

LEDGER_FILE: Final = "ledger.db"
WAIT_SECONDS: Final = 60.0


class Accounts:
    """An open ledger of an institution; use it in a `with` block.

    All that is written is on the disk before a method returns, and processes wait for each other.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Takes a connection that was checked; `open` gives one."""
        self.path = path
        self._connection = connection

    @classmethod
    def open(
        cls, path: str | Path, *, create: bool = False, writable: bool = True, wait: float = WAIT_SECONDS
    ) -> Accounts:
        """Opens a ledger.

        Args:
            path: The file, usually `ledger.db` beside the hospital's data, on a local disk.
            create: Whether it is made if there is none; only its owner may read it then.
            writable: Whether something will be entered.
            wait: Seconds to wait for other processes.

        Raises:
            UsageError: There is none.
            OutputError: It cannot be opened, made or written to, or other processes hold it for too long.
            FormatError: It is damaged, or the file of another program.
            VersionError: It was made by a newer wardgan.
        """
        check.path(ledger=path)
        place = Path(path)
        if create and not place.exists():
            new_database(place)
        return cls(place, connect(place, writable=writable, wait=wait))

    def close(self) -> None:
        """Closes the file."""
        with explained(self.path):
            self._connection.close()

    def __enter__(self) -> Accounts:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self) -> list[DataSet]:
        """Gives all data sets with their entries, caps and totals; those that were linked are one."""
        with explained(self.path):
            return data_sets(self._connection)

    def patients(self, cohort: AnyCohort, dataset: str | None = None) -> Patients:
        """Gives what is to be known of the patients of a fit.

        Args:
            cohort: The patients.
            dataset: Which patients these are, as a steward says; `None` if nobody did.

        Raises:
            UsageError: The name is none; or the ledger's key is gone, and nobody says which patients these are.
            FormatError: The key is that of another ledger.
        """
        check_name(dataset)
        key = key_of(self.path, self._connection, named=dataset is not None)
        return Patients(fingerprint(cohort, key), cohort.schema.name, dataset)

    def whose(self, patients: Patients) -> Whose:
        """Gives the data set with which patients are counted, without entering anything.

        In doubt patients are counted together: those under a schema whose name was seen before are taken for the same
        ones, or for overlapping ones, until a steward gives their data set a name of its own.

        Raises:
            UsageError: The name contradicts the fingerprint, or several data sets have the schema's name.
        """
        with explained(self.path):
            return found(patients, self.show(), self._marked(patients.mark))

    def reserve(self, patients: Patients, claim: Claim) -> Whose:
        """Sets the whole plan of a fit aside, before it reads a patient, if the caps allow it.

        The caps are checked and the reservation is written in one transaction, so two processes cannot both take what
        is left for one of them. A run that goes on continues its own entry: it counts once.

        Raises:
            AnotherRun: The entry of that name is not this run's: it is a copy, or an older state; it needs a new name.
            BudgetError: A cap does not allow it; says what is left.
            UsageError: It cannot be told with whom the patients are counted.
        """
        with self._entering(claim):
            entry = self.entry(claim.token)
            if entry is not None and not goes_on(entry, claim.run, claim.billed):
                raise AnotherRun(claim.token)
            whose = self.whose(patients)
            number = self._own(claim.token) or whose.number or self._new_data_set(whose.name)
            self._remember(patients, number)
            self._enter(claim, number)
        return replace(whose, number=number)

    def reserve_figure(self, fit: str, claim: Claim, patients: Patients) -> None:
        """Sets aside what a figure costs that belongs to an earlier fit, such as one of a dossier.

        Patients whom the ledger has seen pay where they are counted; others pay with the fit, and are counted there
        from now on.

        Args:
            fit: Token of the fit.
            claim: The figure's own token, plan and name.
            patients: Who is asked.

        Raises:
            BudgetError: A cap does not allow it; says what is left.
            UsageError: There is no such fit.
        """
        with self._entering(claim):
            number = self._number_of(fit)
            known = self._marked(patients.mark)
            if known is None:
                self._remember(patients, number)
            self._enter(replace(claim, kind="figure"), number if known is None else known)

    def revise(self, token: str, plan: Plan) -> None:
        """Replaces the plan of an open entry by the one with batch caps, after the paid count of patients.

        Raises:
            BudgetError: The caps of batches cost so much that a cap of the ledger does not allow it.
        """
        with explained(self.path):
            row = self._connection.execute(
                "SELECT family, replayable, run, kind FROM entry WHERE token = ?", (token,)
            ).fetchone()
        if row is None:
            raise _no_entry(self.path)
        family, replayable, run, kind = row
        claim = Claim(token, plan, family, bool(replayable), None if run is None else Path(run), kind)
        with self._entering(claim):
            self._enter(claim, self._number_of(token))

    def note_bill(self, token: str, events: Sequence[Event], *, unbilled: bool = False) -> None:
        """Notes what an open entry has billed so far, as `settle` does in the end; it finds out later set-backs.

        Raises:
            UsageError: There is no open entry of that name.
        """
        with explained(self.path), writing(self._connection):
            done = self._connection.execute(
                "UPDATE entry SET events = ?, unbilled = max(unbilled, ?) WHERE token = ? AND state = 'open'",
                (self._with_earlier(token, events), int(unbilled), token),
            )
            if done.rowcount != 1:
                raise _no_entry(self.path)

    def _with_earlier(self, token: str, events: Sequence[Event]) -> str:
        """Gives events for the ledger; what it was told before is never taken back."""
        row = self._connection.execute("SELECT events FROM entry WHERE token = ?", (token,)).fetchone()
        earlier = [] if row is None or row[0] is None else [Event.from_dict(event) for event in json.loads(row[0])]
        return json.dumps([event.to_dict() for event in at_least(events, earlier)])

    def settle(self, token: str, events: Sequence[Event], state: State = "done", *, unbilled: bool = False) -> None:
        """Lowers a reservation to what was really spent.

        Args:
            token: The entry.
            events: What the run's own ledger has billed.
            state: How it ended.
            unbilled: Whether patients were read without a bill: the entry is then infinite.
        """
        with explained(self.path), writing(self._connection):
            done = self._connection.execute(
                "UPDATE entry SET events = ?, state = ?, unbilled = max(unbilled, ?), ended = ? WHERE token = ?",
                (self._with_earlier(token, events), state, int(unbilled), _now(), token),
            )
            if done.rowcount != 1:
                raise _no_entry(self.path)

    def note_release(self, token: str, file: str | Path, digest: str, override: str | None = None) -> None:
        """Enters that a model of a fit has left.

        Args:
            token: The fit.
            file: The `.hgan` file.
            digest: Digest of its manifest.
            override: Who let it leave without privacy, and why.
        """
        with explained(self.path), writing(self._connection):
            done = self._connection.execute(
                "INSERT INTO release (entry, made, file, digest, override) "
                "SELECT id, ?, ?, ?, ? FROM entry WHERE token = ?",
                (_now(), Path(file).name, digest, override, token),
            )
            if done.rowcount != 1:
                raise _no_entry(self.path)

    def cap(self, budget: Budget | None, dataset: str | None = None) -> None:
        """Says what all fits of a data set may cost together.

        Args:
            budget: The cap; `None` lifts it, and the default holds again.
            dataset: For which data set; `None` for the default of all that have no cap of their own.

        Raises:
            UsageError: There is no such data set.
        """
        with explained(self.path), writing(self._connection):
            number = None if dataset is None else self._number(dataset)
            fields = (None, None) if budget is None else (budget.epsilon, budget.delta)
            self._connection.execute(
                "INSERT INTO cap (dataset, epsilon, delta, made) VALUES (?, ?, ?, ?)", (number, *fields, _now())
            )

    def link(self, one: str, other: str) -> None:
        """Counts two data sets together from now on, because they share patients; this is never undone.

        Raises:
            UsageError: There is no such data set, or both are the same.
        """
        with explained(self.path), writing(self._connection):
            pair = self._number(one), self._number(other)
            if pair[0] == pair[1]:
                raise UsageError(f"dataset={one!r} is linked with itself; name two data sets.")
            self._connection.execute("INSERT OR IGNORE INTO link (one, other, made) VALUES (?, ?, ?)", (*pair, _now()))

    def entry(self, token: str) -> Entry | None:
        """Gives an entry by its token, if there is one."""
        return next((entry for each in self.show() for entry in each.entries if entry.token == token), None)

    def opaque(self, token: str) -> str:
        """Gives an opaque name of the patients of an entry: the same for all that are counted together.

        It is made with the ledger's key, so that nobody else can tell whose it is.

        Args:
            token: Name of the entry.

        Raises:
            UsageError: There is no such entry, or the key is gone.
            FormatError: The key is damaged, or that of another ledger.
        """
        group = next((each for each in self.show() for entry in each.entries if entry.token == token), None)
        if group is None:
            raise _no_entry(self.path)
        key = key_of(self.path, self._connection, named=False)
        return "data-" + hmac.digest(key, b"whose\0%d" % min(group.ids), "sha256").hex()[:32]

    @contextmanager
    def _entering(self, claim: Claim) -> Generator[None]:
        """Holds the ledger for a reservation; what is left is worked out afterwards, when others may go on."""
        try:
            with explained(self.path), writing(self._connection):
                yield
        except OverCapError as over:
            refuse(claim, over)

    def _enter(self, claim: Claim, number: int) -> None:
        group = next(each for each in self.show() if number in each.ids)
        others = [entry for entry in group.entries if entry.token != claim.token]
        parts = [entry.part for entry in others]
        for cap in group.caps:
            if not within([*parts, claim.part], cap):
                raise OverCapError(group.name, others, cap)
        for entry in others:
            self._connection.execute(
                "UPDATE entry SET events = ?, state = ?, replayable = ?, unbilled = ?, ended = ? "
                "WHERE id = ? AND state = 'open' AND ? <> 'open'",
                (
                    json.dumps([event.to_dict() for event in entry.events or ()]), entry.state, int(entry.replayable),
                    int(entry.unbilled), _now(), entry.number, entry.state,
                ),
            )  # fmt: skip
        plan = None if claim.plan is None else json.dumps(claim.plan.to_dict())
        self._connection.execute(
            "INSERT INTO entry (token, dataset, kind, run, family, state, replayable, unbilled, begun, plan) "
            "VALUES (:token, :number, :kind, :run, :family, 'open', :replayable, 0, :made, :plan) ON CONFLICT (token) "
            "DO UPDATE SET state = 'open', run = :run, replayable = :replayable, ended = NULL, plan = :plan",
            {
                "token": claim.token, "number": number, "kind": claim.kind, "family": claim.family, "plan": plan,
                "run": None if claim.run is None else str(claim.run.resolve()), "replayable": int(claim.replayable),
                "made": _now(),
            },
        )  # fmt: skip

    def _marked(self, mark: str) -> int | None:
        row = self._connection.execute("SELECT dataset FROM fingerprint WHERE mark = ?", (mark,)).fetchone()
        return None if row is None else int(row[0])

    def _remember(self, patients: Patients, number: int) -> None:
        known = {"mark": patients.mark, "schema": patients.schema, "number": number, "made": _now()}
        for statement in (
            "INSERT OR IGNORE INTO fingerprint (mark, dataset, made) VALUES (:mark, :number, :made)",
            "INSERT OR IGNORE INTO schema_name (name, dataset) VALUES (:schema, :number)",
        ):
            self._connection.execute(statement, known)

    def _own(self, token: str) -> int | None:
        row = self._connection.execute("SELECT dataset FROM entry WHERE token = ?", (token,)).fetchone()
        return None if row is None else int(row[0])

    def _number_of(self, token: str) -> int:
        number = self._own(token)
        if number is None:
            raise _no_entry(self.path)
        return number

    def _number(self, dataset: str) -> int:
        row = self._connection.execute("SELECT id FROM dataset WHERE name = ?", (dataset,)).fetchone()
        if row is None:
            known = [name for (name,) in self._connection.execute("SELECT name FROM dataset ORDER BY id")]
            raise UsageError(f"dataset={dataset!r} is not in the ledger; it knows {', '.join(known) or 'none yet'}.")
        return int(row[0])

    def _new_data_set(self, name: str) -> int:
        done = self._connection.execute("INSERT INTO dataset (name, made) VALUES (?, ?)", (name, _now()))
        return int(done.lastrowid or 0)


class AnotherRun(Exception):  # noqa: N818 - it never leaves this package
    """The entry of a token is not that of the run that shows it."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _no_entry(path: Path) -> UsageError:
    return UsageError(
        f"ledger={str(path)!r} has no entry of this run; put the ledger back in which it was entered, or fit again."
    )
