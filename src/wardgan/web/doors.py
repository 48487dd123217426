"""What each question passes: who asks, and whether they may. Without accounts everybody may everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

from fastapi import Depends, Request

from wardgan.access.rules import AccessError, Action, Policy
from wardgan.hub.entry import Entry
from wardgan.web.desk import Desk, Visitor
from wardgan.web.preview import Asked

# Patients of each release that are drawn for figures beside each other.
COMPARED: Final = 1_000


class Door:
    """One question's way in.

    Args:
        desk: Asks who is there; `None` for a hub without accounts.
        visitor: Who asks.
    """

    def __init__(self, desk: Desk | None, visitor: Visitor) -> None:
        self.desk = desk
        self.visitor = visitor

    @contextmanager
    def drawing(self, entry: Entry, asked: Asked, way: str) -> Iterator[bool]:
        """Lets somebody draw patients within the block, and gives whether they are counted; see `Desk.draw`.

        Args:
            entry: From which release.
            asked: How many, and which.
            way: For the log, such as `csv`.
        """
        if self.desk is None:
            yield False
            return
        if entry.schema is not None:
            asked.check(entry.schema)  # what cannot be drawn is not counted
        counted = self.desk.draw(self.visitor, entry, asked.n, asked.told(way))
        with self._told_of_failures(self.desk, entry):
            yield counted

    def compare(self, entry: Entry) -> str | None:
        """Gives why patients of a release are not drawn beside others; `None` if they are.

        Args:
            entry: The release.
        """
        if self.desk is None:
            return None
        try:
            policies = self.desk.check(self.visitor, entry, "sample")
        except AccessError as error:
            return str(error)
        if any(one.limited for one in policies.values()):
            return f"{entry.name}: its patients are counted; look at them on their own page."
        self.desk.pace(self.visitor)
        self.desk.tell(self.visitor, "sampled", entry, {"rows": COMPARED, "how": "compare", "seed": 0})
        return None

    def look(self) -> None:
        """Lets somebody look at what is read from a release's file; not too often."""
        if self.desk is not None:
            self.desk.pace(self.visitor)

    def policies(self, entry: Entry) -> dict[str, Policy]:
        """Gives the policies of other releases that are in the file of one, whose rules it obeys, too.

        Args:
            entry: The release.
        """
        if self.desk is None:
            return {}
        return self.desk.rules.for_names([name for name in self.desk.within(entry) if name != entry.name])

    def owner(self) -> int | None:
        """Gives whose files are made in the background; `None` in a hub without accounts.

        Raises:
            AccessError: Nobody is signed in.
        """
        if self.desk is None:
            return None
        if self.visitor.account is None:
            raise AccessError("Files are made for those who are signed in.", "sign in")
        if "sample" not in self.visitor.account.scopes:
            raise AccessError("Your token is not for drawing patients; ask the hub's operator for one with sample.")
        return self.visitor.account.id

    @contextmanager
    def fetching(self, entry: Entry, asked: Asked) -> Iterator[None]:
        """Lets somebody take a file of patients that was made for them, and counted then.

        Args:
            entry: From which release.
            asked: Which patients.
        """
        if self.desk is None:
            yield
            return
        self.desk.check(self.visitor, entry, "sample")
        self.desk.pace(self.visitor)
        self.desk.tell(self.visitor, "patients taken", entry, {"rows": asked.n, **asked.told("file")})
        with self._told_of_failures(self.desk, entry):
            yield

    def still(self, entry: Entry, action: Action) -> None:
        """Refuses to go on with what leaves of a release; see `Desk.still`.

        Args:
            entry: The release.
            action: What leaves.
        """
        if self.desk is not None:
            self.desk.still(self.visitor, entry, action)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lets an account, or an address, have one stream at a time, so that there is a place for others."""
        if self.desk is None:
            yield
            return
        with self.desk.alone(self.visitor):
            yield

    def broke(self, entry: Entry, why: str) -> None:
        """Notes that patients of a release did not all leave.

        Args:
            entry: The release.
            why: What happened.
        """
        if self.desk is not None:
            self.desk.tell(self.visitor, "failed", entry, {"why": why})

    @contextmanager
    def taking(self, entry: Entry) -> Iterator[None]:
        """Lets somebody take a file within the block.

        Args:
            entry: Of which release.
        """
        if self.desk is None:
            yield
            return
        self.desk.check(self.visitor, entry, "file")
        self.desk.pace(self.visitor)
        self.desk.tell(self.visitor, "file taken", entry, {})
        with self._told_of_failures(self.desk, entry):
            yield

    @contextmanager
    def _told_of_failures(self, desk: Desk, entry: Entry) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            desk.tell(self.visitor, "failed", entry, {"why": type(error).__name__})
            raise

    def policy(self, entry: Entry) -> Policy | None:
        """Gives the policy of a release; `None` without accounts.

        Args:
            entry: The release.
        """
        return None if self.desk is None else self.desk.rules.of(entry.name)

    def may(self, entry: Entry) -> tuple[bool, bool]:
        """Tells whether somebody may draw patients, and take the file.

        Args:
            entry: Of which release.
        """
        found = []
        for action in ("sample", "file"):
            try:
                if self.desk is not None:
                    self.desk.check(self.visitor, entry, action)
            except AccessError:
                found.append(False)
            else:
                found.append(True)
        return found[0], found[1]


def door_of(request: Request) -> Door:
    """Gives a question's way in, and refuses visitors of a closed hub who are not signed in.

    Args:
        request: What is asked.

    Raises:
        AccessError: Nobody is signed in, or with a token that is not good.
    """
    known = getattr(request.state, "door", None)
    if known is not None:
        return known
    desk: Desk | None = request.app.state.desk
    visitor = Visitor(None, None, "") if desk is None else desk.visitor(request)
    found = Door(desk, visitor)
    if desk is not None and desk.closed:
        if visitor.account is None:
            raise AccessError("This hub is for those who are signed in.", "sign in")
        if "read" not in visitor.account.scopes:
            raise AccessError("Your token is not for reading; ask the hub's operator for one with read.")
    request.state.door = found
    return found


Passing = Annotated[Door, Depends(door_of)]
