"""Files of synthetic patients that are made in the background, one after the other.

A job is a folder with `job.json` and, once it is ready, its file. So it is still there when the server was ended and
started again: what was waiting or being made is made from its beginning, and the seed makes it the same file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from wardgan import files
from wardgan.access.database import now
from wardgan.errors import HubError, OutputError, UsageError, WardganError
from wardgan.hub.entry import Entry
from wardgan.schema.schema import Schema
from wardgan.web.job import FILE, Job, Kind, kept
from wardgan.web.pace import LimitedError
from wardgan.web.preview import Asked
from wardgan.web.stock import Stock
from wardgan.web.streams import MOST
from wardgan.web.workers import BusyError

HOURS: Final = 24
EACH: Final = 20
UNFINISHED: Final = 3
WAITING: Final = 60
PIXELS: Final = 4 << 30
ROOM: Final = 2 << 30
LONGEST: Final = 3_600.0
_PAUSE: Final = 20.0
_SOON: Final = 0.2


class _Dropped(Exception):  # noqa: N818 - nobody sees it
    """Nobody wants the file any more, or the server ends."""


class Jobs:
    """All files that are wanted.

    Args:
        folder: Where they are made and kept; made if it is not there.
        stock: What the hub has.
        realm: Whose accounts these are: files that accounts of another database asked for are dropped.

    Raises:
        UsageError: It cannot be used, or another server uses it.
    """

    def __init__(self, folder: Path, stock: Stock, realm: str = "") -> None:
        self._folder = folder
        self._stock = stock
        self._lease = ExitStack()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / "lock").touch(mode=0o600)
            self._lease.enter_context(files.locked(folder / "lock"))
        except OutputError as error:
            raise UsageError(f"files={str(folder)!r} is used by another server; choose another folder.") from error
        except OSError as error:
            raise UsageError(f"files={str(folder)!r} cannot be used: {error.strerror}.") from error
        self._realm = realm
        self._held: Counter[int | None] = Counter()
        self._jobs = {job.id: job for job in kept(folder)}
        for job in [one for one in self._jobs.values() if one.realm != realm]:
            self.drop(job)
        self._done: dict[str, int] = {}

    def start(self) -> None:
        """Makes what is wanted, in a thread of its own."""
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops; what is not ready is made when the next server starts."""
        self._end.set()
        self._wake.set()
        self._stock.makers.close()
        if self._thread is not None:
            self._thread.join(10.0)
        self._lease.close()

    @contextmanager
    def place(self, asked: Asked, kind: str, schema: Schema | None, owner: int | None) -> Iterator[Kind]:
        """Holds a place for a file within the block, and gives its kind; what is not made here is refused.

        Args:
            asked: How many patients, and which.
            kind: `csv` or `parquet`, and for images `npz`.
            schema: What they obey.
            owner: Who asks.

        Raises:
            UsageError: It is none of these, or too much.
            LimitedError: Whoever asks has enough of them.
            BusyError: Too many are waiting, or there is no room.
        """
        found = self._kind(asked, kind, schema)
        self._room()
        with self._lock:
            self._limits(owner)
            self._held[owner] += 1
        try:
            yield found
        finally:
            with self._lock:
                self._held[owner] -= 1

    def _kind(self, asked: Asked, kind: str, schema: Schema | None) -> Kind:
        images = None if schema is None else schema.images
        if images is not None and kind == "npz":
            most, found = min(MOST, PIXELS // (images.height * images.width)), "npz"
        elif images is None and kind in ("csv", "parquet"):
            most, found = MOST, kind
        else:
            raise UsageError(
                f"format={kind[:20]!r} is not made here of this release; choose csv or parquet, or npz of images."
            )
        if not 1 <= asked.n <= most:
            raise UsageError(f"n={asked.n} is not between 1 and {most:,}; take the generator home for more.")
        if schema is not None:
            asked.check(schema)
        return found  # pyright: ignore[reportReturnType]

    def _limits(self, owner: int | None) -> None:
        mine = [one for one in self._jobs.values() if one.owner == owner]
        held = self._held[owner]
        waiting = sum(not one.over for one in self._jobs.values()) + self._held.total()
        if owner is not None and sum(not one.over for one in mine) + held >= UNFINISHED:
            raise LimitedError(f"{UNFINISHED} of your files are not ready yet; wait for them, or drop one.")
        if owner is not None and len(mine) + held >= EACH:
            raise LimitedError(f"This hub keeps {EACH} files for you; drop one of them.")
        if waiting >= WAITING:
            raise BusyError("Too many files are wanted at the moment; try again later.")

    def add(self, entry: Entry, asked: Asked, kind: Kind, owner: int | None) -> Job:
        """Gives a new job.

        Args:
            entry: The release.
            asked: How many patients, and which.
            kind: What `place` gave.
            owner: Who asks.

        Raises:
            BusyError: It cannot be noted.
        """
        job = Job(
            id=secrets.token_hex(16), release=f"{entry.name}:{entry.tag}", digest=entry.digest, asked=asked, kind=kind,
            owner=owner, realm=self._realm, created=datetime.now(UTC).isoformat(timespec="microseconds"),
        )  # fmt: skip
        try:
            self._place(job).mkdir(mode=0o700)
            self._write(job)
        except (OSError, OutputError) as error:
            shutil.rmtree(self._place(job), ignore_errors=True)
            print(error, file=sys.stderr)
            raise BusyError("The hub cannot write files at the moment; tell its operator.") from error
        with self._lock:
            self._jobs[job.id] = job
        self._wake.set()
        return job

    def find(self, number: str, owner: int | None) -> Job:
        """Gives a job of somebody.

        Args:
            number: Its id.
            owner: Who asks.

        Raises:
            HubError: They have none such.
        """
        with self._lock:
            found = self._jobs.get(number)
        if found is None or found.owner != owner:
            raise HubError("You have no such file here; files are kept for a day.")
        return found

    def mine(self, owner: int | None) -> list[Job]:
        """Gives all jobs of somebody, newest first.

        Args:
            owner: Who asks.
        """
        with self._lock:
            found = [one for one in self._jobs.values() if one.owner == owner]
        return sorted(found, key=lambda one: one.created, reverse=True)

    def done(self, job: Job) -> int:
        """Gives how many patients have been drawn.

        Args:
            job: For which file.
        """
        return job.asked.n if job.state == "ready" else self._done.get(job.id, 0)

    def file(self, job: Job) -> Path:
        """Gives a file that is ready.

        Args:
            job: Whose.

        Raises:
            UsageError: It is not ready.
        """
        path = self._place(job) / job.name
        if job.state != "ready" or not path.is_file():
            raise UsageError("The file is not ready.")
        return path

    def drop(self, job: Job) -> None:
        """Removes a job and its file.

        Args:
            job: Which.
        """
        with self._lock:
            self._jobs.pop(job.id, None)
        # Of one that is being made, the thread that makes it removes what it left.
        with suppress(OSError):
            (self._place(job) / FILE).unlink(missing_ok=True)
        shutil.rmtree(self._place(job), ignore_errors=True)

    def _work(self) -> None:
        while not self._end.is_set():
            self._wake.clear()
            try:
                self._next()
            except Exception:  # whatever it is, others wait for their files
                traceback.print_exc()
                self._end.wait(_SOON)

    def _next(self) -> None:
        """Makes the file that has waited longest."""
        self._sweep()
        with self._lock:
            waiting = [one for one in self._jobs.values() if one.state == "waiting"]
        if waiting and not self._stock.read.is_set():
            self._wake.wait(_SOON)  # of a server that has just begun nobody knows yet what it has
        elif waiting:
            self._make(min(waiting, key=lambda one: one.created))
        else:
            self._wake.wait(_PAUSE)

    def _make(self, job: Job) -> None:
        problem = None
        try:
            self._change(job, state="running")
            self._drawn(job)
        except _Dropped:
            return
        except OutputError as error:
            print(error, file=sys.stderr)
            problem = "The hub could not write the file; tell its operator."
        except WardganError as error:
            problem = str(error)
        except Exception:
            traceback.print_exc()
            problem = "The hub failed; its operator finds the reason in what it printed."
        if self._end.is_set() and problem is not None:
            return  # it was ended in the middle, and begins anew with the next server
        with suppress(OSError):
            for left in self._place(job).glob(".*.part"):
                left.unlink(missing_ok=True)
        with suppress(_Dropped):
            self._change(job, state="ready" if problem is None else "failed", ended=now(), problem=problem)

    def _drawn(self, job: Job) -> None:
        entry = self._stock.entry(job.release)
        if entry.digest != job.digest:
            raise HubError(f"{job.release} is another release by now; ask again.")
        until = datetime.now(UTC) + timedelta(seconds=LONGEST)
        with self._stock.made(entry, job.asked, self._place(job) / job.name, job.kind) as parts:
            for part in parts:
                self._done[job.id] = int(str(part))
                if self._end.is_set() or job.id not in self._jobs:
                    raise _Dropped
                if datetime.now(UTC) > until:
                    raise UsageError("That takes longer than the hour that this hub gives; take the generator home.")

    def _change(self, job: Job, **changes: object) -> None:
        with self._lock:
            if job.id not in self._jobs:
                shutil.rmtree(self._place(job), ignore_errors=True)
                self._done.pop(job.id, None)
                raise _Dropped
            found = self._jobs[job.id] = self._jobs[job.id].model_copy(update=changes)
            try:
                self._write(found)
            except (OSError, OutputError) as error:
                print(error, file=sys.stderr)  # whoever asks is told all the same

    def _write(self, job: Job) -> None:
        text = job.model_dump_json().encode()
        files.write_bytes(self._place(job) / FILE, text, force=True, mode=0o600, follow=False)

    def _place(self, job: Job) -> Path:
        return self._folder / job.id

    def _sweep(self) -> None:
        """Removes what ended long ago."""
        last = now(-timedelta(hours=HOURS))
        with self._lock:
            old = [one for one in self._jobs.values() if one.ended is not None and one.ended < last]
        for one in old:
            self.drop(one)

    def _room(self) -> None:
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:
            free = 0
        if free < ROOM:
            raise BusyError("This hub has no room for files at the moment; try again later, or draw fewer at once.")


def folder_of(hub: str) -> Path:
    """Gives where the files of a hub are, if nobody says it: a folder in the user's cache.

    Args:
        hub: A folder, or the host of a registry.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    home = Path(base) if base else Path.home() / ".cache"
    place = str(Path(hub).resolve()) if Path(hub).is_dir() else hub
    return home / "wardgan" / "files" / hashlib.sha256(place.encode()).hexdigest()[:16]
