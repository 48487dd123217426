"""A hub behind its pages: the newest snapshot of what it has, and what its releases answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, cast

from wardgan.errors import HubError, TrustError, UsageError, WardganError
from wardgan.hub.entry import Entry
from wardgan.hub.hub import Hub
from wardgan.hub.target import Target, hub_of, release_in
from wardgan.seal import keys
from wardgan.web.figures import Figure
from wardgan.web.preview import Asked, Preview
from wardgan.web.rack import Rack
from wardgan.web.shelf import Shelf, newest
from wardgan.web.tasks import Glance
from wardgan.web.workers import Workers

PAUSE: Final = 15.0
# A registry does not tell what has changed: all of it is read each time.
PAUSE_REGISTRY: Final = 300.0
_LARGEST: Final = 256 << 20
_GLANCES: Final = 500
_STREAM: Final = 60.0
QUEUE: Final = 24
_PREVIEWS: Final = 2
_STREAMS: Final = 2
_MAKING: Final = 300.0


class Stock:
    """All that the pages show.

    Args:
        hub: Where releases are.
        trust: Trust file; `None` for the default one.
        any_signer: Whether what nobody known has signed may be opened, too.
        pause: Seconds between two looks at the hub; `None` for 15, and for a registry 300.
    """

    def __init__(
        self, hub: Hub, trust: str | Path | None = None, *, any_signer: bool = False, pause: float | None = None
    ) -> None:  # fmt: skip
        self.hub = hub
        whole = hub_of(hub.place)
        # Entries have their whole names, so files are asked for without the beginning of all names.
        self.rack = Rack(Hub(Target(whole.place, whole.folder), trust=trust), any_signer=any_signer)
        place = None if trust is None else Path(trust)
        self.workers = Workers(_PREVIEWS, place, any_signer=any_signer)
        self.streams = Workers(_STREAMS, place, any_signer=any_signer, patience=_STREAM, wait=_STREAM / 4, queue=QUEUE)
        self.makers = Workers(1, place, any_signer=any_signer, patience=_MAKING)
        self.shelf = Shelf([])
        self.trouble: str | None = "The hub is being read; come back in a moment."
        self.read = threading.Event()
        self._trust = trust
        self._pause = pause or (PAUSE if whole.folder else PAUSE_REGISTRY)
        self._stamp: object = None
        self._trusted: object = None
        self._glances: dict[str, Glance] = {}
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def refresh(self) -> None:
        """Looks at the hub now. If that fails, what was known stays, and the pages say that it may be old."""
        try:
            stamp, trusted = self.hub.stamp(), keys.read_trust(self._trust)
            same = trusted == self._trusted
            if stamp is None or stamp != self._stamp or not same:
                known = {(one.name, one.tag): one for one in self.shelf.entries} if same else {}
                self.shelf = Shelf(self.hub.entries(known)).ready()
            if not same:
                # Who is trusted decides what may be opened; all of it is judged anew.
                for each in (self.rack, self.workers, self.streams, self.makers):
                    each.forget()
                self._glances = {}
        except WardganError as error:
            self.trouble = str(error)
            return
        self.trouble, self._stamp, self._trusted = None, stamp, trusted
        self.read.set()

    def start(self) -> None:
        """Looks at the hub again and again, in a thread of its own."""
        self._thread = threading.Thread(target=self._watch, name="hub", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops looking."""
        self._end.set()
        self.workers.close()
        self.streams.close()
        self.makers.close()
        if self._thread is not None:
            self._thread.join(5.0)
        self.rack.close()

    def entry(self, label: str) -> Entry:
        """Gives a release.

        Args:
            label: Name and tag, such as `cardio/sprint:1.0`; without a tag the newest.

        Raises:
            UsageError: It names none, or several without versions.
            HubError: It is not here.
        """
        target = release_in(hub_of("./hub"), label)
        name = str(target.name)
        if target.digest is not None:
            raise UsageError("A release is named by its name and tag here.")
        found = newest(self.shelf.versions(name)) if target.tag is None else self.shelf.entry(name, target.tag)
        if found is None:
            raise HubError(f"There is no {label} in this hub.")
        return found

    def within(self, entry: Entry) -> list[str]:
        """Gives the names of all releases that are in the file of one.

        Args:
            entry: The release.
        """
        return self.shelf.within(entry)

    def check(self, entry: Entry) -> None:
        """Refuses what is not opened here.

        Args:
            entry: The release.

        Raises:
            TrustError: It is not signed by a key of the trust file, or it or a release within it was revoked.
        """
        self.rack.check(entry)
        for one in self.shelf.holding({entry.digest, *entry.leaves}):
            if one.revoked is not None and one.revoked.holds:
                raise TrustError(
                    f"{entry.name}:{entry.tag} holds {one.name}:{one.tag}, which was revoked {one.revoked}."
                )

    def file(self, entry: Entry) -> Path:
        """Gives the file of a release.

        Args:
            entry: The release.

        Raises:
            TrustError: As of `check`.
        """
        self.check(entry)
        return self.rack.file(entry)

    def preview(self, entry: Entry, asked: Asked, *, base: bool = True) -> Preview:
        """Gives synthetic patients to look at.

        Args:
            entry: The release.
            asked: How many, and which.
            base: Whether patients without any condition are drawn beside them.
        """
        return cast("Preview", self.workers.ask("preview", self.file(entry), asked, base))

    def pair(self, one: Entry, other: Entry, asked: Asked) -> list[Figure]:
        """Gives figures of two releases.

        Args:
            one: A release.
            other: Another one.
            asked: How many patients of each.
        """
        return cast("list[Figure]", self.workers.ask("pair", self.file(one), self.file(other), asked))

    def glance(self, entry: Entry) -> Glance | None:
        """Gives what a page says of a release beyond its entry; `None` if it is too large to be fetched for that.

        Args:
            entry: The release.
        """
        if entry.bytes > _LARGEST:
            return None
        known = self._glances
        if (mine := known.get(entry.digest)) is not None:
            self.check(entry)
            return mine
        found = cast("Glance", self.workers.ask("glance", self.file(entry), entry.title))
        # A digest stands for the same gates and patients as long as the same are trusted; a title does not.
        if entry.kind == "model":
            if len(known) >= _GLANCES:
                known.clear()
            known[entry.digest] = found
        return found

    def csv(self, entry: Entry, asked: Asked) -> AbstractContextManager[Iterator[object]]:
        """Gives a CSV file of synthetic patients, chunk by chunk.

        Args:
            entry: The release.
            asked: How many, and which.
        """
        return self.streams.parts("csv", self.file(entry), asked)

    def made(
        self, entry: Entry, asked: Asked, target: Path, kind: str
    ) -> AbstractContextManager[Iterator[object]]:  # fmt: skip
        """Makes a file of synthetic patients, and gives how many have been drawn, again and again.

        Args:
            entry: The release.
            asked: How many, and which.
            target: The file; what is there is replaced.
            kind: `csv`, `parquet` or `npz`.
        """
        return self.makers.parts("file", self.file(entry), asked, target, kind)

    def card(self, entry: Entry, form: str) -> str:
        """Gives a card of a release; see `wardgan card`.

        Args:
            entry: The release.
            form: Which one.
        """
        return cast("str", self.workers.ask("card", self.file(entry), form))

    def _watch(self) -> None:
        while not self._end.is_set():
            self.refresh()
            self._end.wait(self._pause)


def stock_of(place: str | Path, *, trust: str | Path | None = None, any_signer: bool = False) -> Stock:
    """Gives what the pages of a hub need.

    Args:
        place: A folder, or the host of a registry.
        trust: Trust file; `None` for the default one.
        any_signer: Whether what nobody known has signed may be opened, too.

    Raises:
        UsageError: There is no such folder.
    """
    hub = Hub(place, trust=trust)
    found = hub_of(place)
    if found.pages:
        raise UsageError(f"hub={str(place)!r} has pages already; name its folder or its registry.")
    if found.folder and not Path(found.place).is_dir():
        raise UsageError(f"hub={str(place)!r} does not exist; wardgan push makes it with its first release.")
    return Stock(hub, trust, any_signer=any_signer)
