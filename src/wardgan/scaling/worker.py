"""What one worker does: it makes a shard, or sees that it is there with its digest."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final, Literal, Protocol

from wardgan._version import __version__
from wardgan.errors import DigestError, UsageError, WardganError
from wardgan.sample.drawing import BLOCK
from wardgan.scaling.place import place_at
from wardgan.scaling.record import PATIENTS, Job, Part, clear, note, noted

if TYPE_CHECKING:
    import pandas as pd

    from wardgan.combining.mixture import Mixture
    from wardgan.sample.generator import Generator

# What became of a shard: drawn; there already; or finished once, gone or damaged, and drawn again.
_CHUNK: Final = 8 * BLOCK
State = Literal["drawn", "kept", "mended"]


class Flag(Protocol):
    """Says whether to go on."""

    def is_set(self) -> bool:
        """Whether a person wants to stop."""
        ...


_stop: list[Flag] = []
_held: dict[tuple[str, str | None], Generator | Mixture] = {}
_kept: list[TemporaryDirectory[str]] = []
_reading = Lock()


@dataclass(frozen=True)
class Task:
    """One shard to make.

    Attributes:
        job: What all shards have in common.
        number: Of the shard.
        output: Where shards are put.
        model: Path of the release, on the machine that asks.
        data: Its bytes, for workers that have no such file.
    """

    job: Job
    number: int
    output: str = field(repr=False)  # schedulers log what they were given, and an address may hold a secret
    model: str
    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Made:
    """One shard that is there.

    Attributes:
        number: Of the shard.
        part: What is known of it.
        state: What became of it.
    """

    number: int
    part: Part
    state: State


def make(task: Task) -> Made | None:
    """Makes a shard, if it is not there with its digest; `None`: the release is not here, and its bytes are needed.

    Args:
        task: Which one.

    Raises:
        OutputError: What is there belongs to another sample, or the shard cannot be written.
        DigestError: The release is another one than was asked for.
        UsageError: The worker has another version of wardgan.
    """
    if any(flag.is_set() for flag in _stop):
        raise KeyboardInterrupt
    job, place = task.job, place_at(task.output)
    if job.package != __version__:
        raise UsageError(f"cluster: a worker has wardgan {__version__}, and {job.package} asks; install the same.")
    name = f"{PATIENTS}/{job.asked.name(task.number)}"
    found = noted(place, job, task.number)
    if found is not None and place.digest(name, found.bytes) == found.sha256:
        return Made(task.number, found, "kept")
    generator = _generator(task)
    if generator is None:
        return None
    holds = job.asked.holds(task.number)
    clear(place, job, task.number)
    filled = place.fill(name, lambda path: _write(generator, task, path))
    part = Part(job.asked.name(task.number), holds.start + 1, len(holds), *filled)
    note(place, job, task.number, part)
    return Made(task.number, part, "drawn" if found is None else "mended")


def hired(stop: Flag) -> None:
    """Prepares a process of this machine: it ends with the one that asks, and lets that one hear Ctrl-C.

    Args:
        stop: Set by the one that asks, when the work shall end.
    """
    import pyarrow as pa

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stop[:] = [stop]
    pa.set_cpu_count(1)  # as many processes as processors draw already
    Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write(generator: Generator | Mixture, task: Task, path: Path) -> int:
    from wardgan.sample.write import write

    return write(_frames(generator, task), path, kind="parquet", note=_told(task), force=True)


def _frames(generator: Generator | Mixture, task: Task) -> Iterator[pd.DataFrame]:
    asked = task.job.asked
    holds = asked.holds(task.number)
    for cohort in generator.part(
        holds.start, len(holds), chunk=_CHUNK, where=asked.where, balance=asked.balance, seed=asked.seed, threads=1
    ):
        if any(flag.is_set() for flag in _stop):
            raise KeyboardInterrupt
        yield cohort.wide() if asked.wide else cohort.frame()


def _told(task: Task) -> dict[str, str]:
    """Gives what stands in the file itself."""
    job = task.job
    told = {
        "synthetic": "true", "wardgan": job.package, "model": job.release,
        "privacy": json.dumps(dict(job.privacy), ensure_ascii=False), "seed": str(job.asked.seed),
        "shard": f"{task.number}/{job.asked.shards}", "patients": str(job.asked.n),
    }  # fmt: skip
    wishes = job.asked.to_dict()["where"]
    return {**told, **({"where": json.dumps(wishes, ensure_ascii=False)} if wishes else {})}


def _generator(task: Task) -> Generator | Mixture | None:
    """Gives the generator of the release, read once in each process; `None` if its file is not here."""
    key = (task.job.release, task.job.asked.site)
    with _reading:
        if key not in _held:
            found = _opened(task)
            if found is None:
                return None
            _held.clear()
            _held[key] = found
        return _held[key]


def _opened(task: Task) -> Generator | Mixture | None:
    """Reads the release: the file of that name on this machine if it is the same one, or the bytes that came along."""
    from wardgan.sample.generator import Generator

    if task.data is None:
        try:
            return _checked(Path(task.model), task)
        except WardganError:
            return None
    while _kept:
        _kept.pop().cleanup()
    _kept.append(TemporaryDirectory(prefix="wardgan-"))
    path = Path(_kept[0].name) / "release.hgan"
    path.write_bytes(task.data)
    found = _checked(path, task)
    # Members of a combined generator are read when they are needed, so its file stays as long as the process.
    if isinstance(found, Generator):
        _kept.pop().cleanup()
    return found


def _checked(path: Path, task: Task) -> Generator | Mixture:
    from wardgan.combining.loading import open_file

    found = open_file(path, None, required=False)
    if found.digest != task.job.release:
        raise DigestError(f"model={task.model!r} is another release than when the sample was begun; do not replace it.")
    return sited(found.generator, task.job.asked.site)


def sited(generator: Generator | Mixture, site: str | None) -> Generator | Mixture:
    """Gives a combined generator with a column of that name for each patient's member.

    Args:
        generator: Any.
        site: Name of the column; `None` for none.

    Raises:
        UsageError: The generator is not a combined one, or the name is taken.
    """
    from wardgan.combining.mixture import Mixture

    if site is None:
        return generator
    if not isinstance(generator, Mixture):
        raise UsageError(f"--site {site} has no meaning here: the file holds the generator of one hospital.")
    return generator.sited(site)
