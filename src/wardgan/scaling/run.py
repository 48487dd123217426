"""A sample in shards: begun, gone on with, checked."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from wardgan import check
from wardgan.combining.loading import Opened, open_file
from wardgan.errors import UsageError
from wardgan.scaling.asked import Shards
from wardgan.scaling.crew import Crew
from wardgan.scaling.place import Place, place_at
from wardgan.scaling.record import Job, Part, finish, manifest
from wardgan.scaling.worker import Made, Task, sited

Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Sharded:
    """What came of a sample in shards.

    Attributes:
        output: Where the shards are; an address without names, passwords and options.
        asked: Which patients, with their seed.
        release: Digest of the release that they were drawn from.
        parts: Shards that this call saw: all of them, or the only one that was asked for.
        finished: How many shards are finished, those of other calls among them.
        drawn: How many were drawn by this call.
        kept: How many were there with their digest.
        mended: How many had been finished, were gone or damaged, and were drawn again.
        gone: Numbers of shards that other calls finished and that are not there, or in another size. They do not count
            as finished; the call that is asked for them, or for all, draws them again.
    """

    output: str
    asked: Shards
    release: str
    parts: tuple[Part, ...]
    finished: int
    drawn: int
    kept: int
    mended: int
    gone: tuple[int, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all shards are finished."""
        return self.finished == self.asked.shards

    @property
    def rows(self) -> int:
        """Rows in these shards."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        """Bytes of these shards."""
        return sum(part.bytes for part in self.parts)


def sample_shards(
    model: str | Path, asked: Shards, output: str | Path, *, only: int | None = None, workers: int | None = None,
    cluster: str | Executor | None = None, trust: str | Path | None = None, watch: Watch | None = None,
) -> Sharded:  # fmt: skip
    """Draws synthetic patients into Parquet files, by many processes; a call that was stopped is gone on with.

    Shards that are finished are read and compared with their digests. Those that are not there, or are damaged, are
    drawn. The same shard of the same numbers is the same whoever draws it.

    Args:
        model: A `.hgan` file of tables or visits.
        asked: Which patients, in how many shards.
        output: A folder, or an address such as `s3://bucket/prefix`: `manifest.json`, and the shards in `patients`.
        only: Number of the one shard to draw, for programs that hand out shards themselves; `None` for all.
        workers: Processes of this machine, at least 1; `None`: one for each processor.
        cluster: `dask://host:port`, or any executor of `concurrent.futures`; `None` for processes of this machine.
        trust: Trust file: then the file must be signed by a key in it.
        watch: Called after each shard with the number of patients that are finished, and of how many.

    Raises:
        UsageError: A wish that cannot be honoured, or one shard without a seed; images; an unknown cluster,
            or one that does not answer.
        OutputError: `output` holds another sample, is used by another run, or cannot be written.
        WardganError: What `load` raises.
    """
    check.path(model=model)
    crew = Crew.of(cluster, _processes(workers))
    if only is not None:
        asked.holds(only)
    found = open_file(model, trust, required=trust is not None)
    where = str(output) if "://" in str(output) else str(Path(output).absolute())
    place = place_at(where)
    fresh = asked.seed is None
    asked = _seeded(asked, place, only)
    _check(found, asked)
    crew.check()
    job = Job(asked, found.digest, found.privacy.model_dump(), each=_rows(found, asked))
    job.begin(place, fresh=fresh)
    numbers = range(asked.shards) if only is None else (only,)
    tasks = [Task(job, number, where, str(Path(model).absolute())) for number in numbers]
    with place.alone() if only is None else nullcontext():
        made = _made(crew, tasks, place, watch)
        there = finish(place, job, {one.number: one.part for one in made})
    states = Counter(one.state for one in made)
    return Sharded(
        place.name if "://" in str(output) else str(output), asked, found.digest, tuple(one.part for one in made),
        there.finished, states["drawn"], states["kept"], states["mended"], there.gone,
    )  # fmt: skip


def _processes(workers: int | None) -> int:
    if workers is None:
        return os.cpu_count() or 1
    check.whole(1, workers=workers)
    return workers


def _seeded(asked: Shards, place: Place, only: int | None) -> Shards:
    """Gives what is asked for with a seed: its own, that of the shards which are there, or a new one."""
    if asked.seed is not None:
        return asked
    seed = (manifest(place) or {}).get("seed")
    if isinstance(seed, int):
        return replace(asked, seed=seed)
    if only is not None:
        raise UsageError("seed: one shard alone needs the seed that the others have; say --seed, seed=.")
    return replace(asked, seed=secrets.randbits(48))


def _check(found: Opened, asked: Shards) -> None:
    """Refuses what cannot be asked for, before anything is written."""
    if found.generator.schema.images is not None:
        raise UsageError("shards: they are files of rows, and the generator draws images; use sample without shards.")
    generator = sited(found.generator, asked.site)
    # One patient shows whether conditions are too rare, or cannot be met.
    some = 1 if asked.where else 0
    next(generator.part(0, some, where=asked.where, balance=asked.balance, seed=asked.seed, threads=1))


def _rows(found: Opened, asked: Shards) -> tuple[int, int]:
    """Gives how many rows a patient has, at least and at most."""
    visits = found.generator.schema.visits
    if visits is None or asked.wide:
        return 1, 1
    return 0, len(visits.slots)


def _made(crew: Crew, tasks: Sequence[Task], place: Place, watch: Watch | None) -> list[Made]:
    """Gives what was made, in the order of the shards."""
    asked = tasks[0].job.asked
    total = sum(len(asked.holds(task.number)) for task in tasks)
    found: list[Made] = []
    patients = 0
    for made in crew.each(tasks, place):
        found.append(made)
        patients += made.part.patients
        if watch is not None:
            watch(patients, total)
    return sorted(found, key=lambda one: one.number)
