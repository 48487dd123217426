"""Files of releases, fetched from the hub and checked once, and kept as long as there is room."""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

from wardgan.errors import TrustError
from wardgan.hub.entry import Entry
from wardgan.hub.hub import Hub

ROOM: Final = 8 << 30
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
        self._files: OrderedDict[Path, int] = OrderedDict()
        self._lock = threading.Lock()
        self._each = [threading.Lock() for _ in range(_LOCKS)]

    def close(self) -> None:
        """Removes the files."""
        self._folder.cleanup()

    def forget(self) -> None:
        """Lets go of all files: they are fetched and checked again when they are asked for."""
        with self._lock:
            for path in self._files:
                path.unlink(missing_ok=True)
            self._files.clear()

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
        path = Path(self._folder.name) / f"{entry.manifest[7:]}.hgan"
        with self._each[int(entry.manifest[7:15], 16) % _LOCKS]:
            if not path.is_file():
                name = f"{entry.name}:{entry.tag}@{entry.manifest}"
                self._hub.pull(name, path, any_signer=self._any)
        self._keep(path)
        return path

    def _keep(self, path: Path) -> None:
        """Notes that a file was asked for, and lets go of old ones; who reads one at this moment reads on."""
        with self._lock:
            self._files[path] = path.stat().st_size
            self._files.move_to_end(path)
            while sum(self._files.values()) > self._room and len(self._files) > 1:
                old, _ = self._files.popitem(last=False)
                old.unlink(missing_ok=True)


def _unsigned(entry: Entry) -> str:
    return "unsigned" if entry.signature.status == "unsigned" else "signed by an unknown key"
