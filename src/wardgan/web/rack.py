"""Files of releases, fetched from the hub and checked once, and kept as long as there is room.

A file that is let go of stays on the disk for a while: somebody may have its path, and not have opened it yet.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections import OrderedDict, deque
from pathlib import Path
from typing import Final

from wardgan.errors import TrustError
from wardgan.hub.entry import Entry
from wardgan.hub.hub import Hub

ROOM: Final = 8 << 30
# Longer than a question waits for a process and then takes.
GRACE: Final = 90.0
_LOCKS: Final = 64


class Rack:
    """Gives the file of a release.

    Only what a key of the trust file signed is ever fetched, unless the hub was started with another word; and nothing
    that was revoked.

    Args:
        hub: Where releases are, by their whole names.
        any_signer: Whether unsigned files and unknown keys pass, too.
        room: Bytes that the files may take; those that were not asked for longest go first.
    """

    def __init__(self, hub: Hub, *, any_signer: bool = False, room: int = ROOM) -> None:
        self._hub = hub
        self._folder = tempfile.TemporaryDirectory(prefix="wardgan-hub-")
        self._any = any_signer
        self._room = room
        self._files: OrderedDict[str, tuple[Path, int]] = OrderedDict()
        self._leaving: deque[tuple[float, Path, int]] = deque()
        self._numbers = itertools.count()
        self._age = 0
        self._lock = threading.Lock()
        self._each = [threading.Lock() for _ in range(_LOCKS)]

    def close(self) -> None:
        """Removes the files."""
        self._folder.cleanup()

    def forget(self) -> None:
        """Lets go of all files: they are fetched and checked again when they are asked for."""
        with self._lock:
            self._age += 1
            while self._files:
                self._leave()
            self._sweep()

    def check(self, entry: Entry) -> None:
        """Refuses what is not opened here.

        Args:
            entry: The release.

        Raises:
            TrustError: It is not signed by a key of the trust file, or was revoked.
        """
        if entry.revoked is not None and entry.revoked.holds:
            raise TrustError(f"{entry.name}:{entry.tag} was revoked {entry.revoked}.")
        if entry.signature.status != "verified" and not self._any:
            raise TrustError(
                f"{entry.name}:{entry.tag} is {_unsigned(entry)}; only what somebody known has signed is opened here."
            )

    def file(self, entry: Entry) -> Path:
        """Gives a release's file; it is fetched and checked if it is not here.

        Args:
            entry: The release.

        Raises:
            TrustError: It is not signed by a key of the trust file, or was revoked.
            HubError: It cannot be fetched.
            ArtifactError: It is not in order.
        """
        self.check(entry)
        with self._each[int(entry.manifest[7:15], 16) % _LOCKS]:
            with self._lock:
                if known := self._files.get(entry.manifest):
                    self._files.move_to_end(entry.manifest)
                    return known[0]
                age = self._age
                path = Path(self._folder.name) / f"{entry.manifest[7:]}-{next(self._numbers)}.hgan"
            name = f"{entry.name}:{entry.tag}@{entry.manifest}"
            self._hub.pull(name, path, any_signer=self._any)
            with self._lock:
                self._keep(entry.manifest, path, age)
        return path

    def _keep(self, manifest: str, path: Path, age: int) -> None:
        """Notes a file that came, unless all were let go of meanwhile, and lets go of old ones."""
        size = path.stat().st_size
        if age == self._age:
            self._files[manifest] = path, size
        else:
            self._leaving.append((time.monotonic(), path, size))
        while sum(size for _, size in self._files.values()) > self._room and len(self._files) > 1:
            self._leave()
        self._sweep()

    def _leave(self) -> None:
        """Lets go of the file that was not asked for longest."""
        _, (path, size) = self._files.popitem(last=False)
        self._leaving.append((time.monotonic(), path, size))

    def _sweep(self) -> None:
        """Removes files that were let go of a while ago, or that take too much room."""
        until = time.monotonic() - GRACE
        while self._leaving and (
            self._leaving[0][0] < until or sum(size for _, _, size in self._leaving) > self._room
        ):  # fmt: skip
            self._leaving.popleft()[1].unlink(missing_ok=True)


def _unsigned(entry: Entry) -> str:
    return "unsigned" if entry.signature.status == "unsigned" else "signed by an unknown key"
