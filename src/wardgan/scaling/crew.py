"""Who does the work: processes of this machine or a cluster, all behind the interface of `concurrent.futures`."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from wardgan.errors import OutputError, UsageError
from wardgan.scaling.place import Place
from wardgan.scaling.record import clear
from wardgan.scaling.worker import Made, Task, hired, make

_LOSSES: Final = 3
_AHEAD: Final = 256
_DASK: Final = "dask://"


@dataclass(frozen=True)
class Crew:
    """Who does the work.

    Attributes:
        hire: Gives an executor for as long as it is needed; called again when its workers were lost.
        ahead: How many tasks are handed out at a time.
        far: Whether it may not be there at all.
        gone: Whether nobody works any more once the executor is left, so that what workers left half can be removed.
    """

    hire: Callable[[], AbstractContextManager[Executor]]
    ahead: int
    far: bool = False
    gone: bool = False

    @classmethod
    def of(cls, cluster: str | Executor | None, workers: int) -> Crew:
        """Gives who is meant.

        Args:
            cluster: `dask://host:port`, an executor of somebody else, or `None` for processes of this machine.
            workers: How many processes, of this machine.

        Raises:
            UsageError: The address is not of that form, or Dask is not installed.
        """
        if cluster is None:
            return cls(lambda: _here(workers), 2 * workers, gone=True)
        if isinstance(cluster, Executor):
            return cls(lambda: nullcontext(cluster), _AHEAD)
        host, colon, port = str(cluster).removeprefix(_DASK).rpartition(":")
        if not str(cluster).startswith(_DASK) or not (host and colon and port.isdecimal()):
            raise UsageError(f"cluster={cluster!r} is not an address like dask://host:8786.")
        try:
            import distributed  # noqa: F401  # pyright: ignore[reportUnusedImport] - told before a file is begun
        except ModuleNotFoundError as error:
            raise UsageError(
                f"cluster={cluster!r} needs Dask, which is not installed: pip install 'wardgan[cluster]'."
            ) from error
        return cls(lambda: _dask(f"tcp://{host}:{port}"), _AHEAD, far=True)

    def check(self) -> None:
        """Refuses a cluster that does not answer, before a file is begun.

        Raises:
            UsageError: Nobody answers.
        """
        if self.far:
            with self.hire():
                pass

    def each(self, tasks: Iterable[Task], place: Place) -> Iterator[Made]:
        """Yields what was made, in the order in which it is finished. Tasks of workers that were lost are done again.

        Args:
            tasks: Any number.
            place: Where they put what they make.

        Raises:
            WardganError: What a worker refused.
            OutputError: Workers were lost again and again.
        """
        waiting, losses = deque(tasks), 0
        while waiting:
            begun: dict[Future[Made | None], Task] = {}
            try:
                with self.hire() as pool:
                    for made in self._through(pool, waiting, begun):
                        losses = 0
                        yield made
            except (BrokenExecutor, CancelledError) as error:
                losses += 1
                if losses >= _LOSSES:
                    raise OutputError(
                        f"workers: processes ended {losses} times before they finished a shard; give them more memory "
                        "by fewer workers, and in a script call it below if __name__ == '__main__'. Shards that are "
                        "finished are kept: run the same again."
                    ) from error
            finally:
                # What was not finished waits again, in its order; workers that were killed leave files that are half.
                for task in begun.values() if self.gone else ():
                    # A file that stays does no harm, and whoever makes its shard removes it.
                    with suppress(OutputError):
                        clear(place, task.job, task.number)
                waiting.extendleft(reversed(begun.values()))

    def _through(self, pool: Executor, waiting: deque[Task], begun: dict[Future[Made | None], Task]) -> Iterator[Made]:
        """Yields what a pool makes; what it does not finish stays in `begun`."""
        try:
            while waiting or begun:
                while waiting and len(begun) < self.ahead:
                    future = pool.submit(make, waiting[0])
                    begun[future] = waiting.popleft()
                for future in wait(begun, return_when=FIRST_COMPLETED).done:
                    made = _result(future)
                    task = begun.pop(future)
                    if made is None:
                        waiting.appendleft(_with_release(task))
                    else:
                        yield made
        finally:
            for future in begun:
                future.cancel()


def _result(future: Future[Made | None]) -> Made | None:
    try:
        return future.result()
    except Exception as error:
        # Dask's word for a worker that was lost again and again; the class is there only if Dask is.
        if type(error).__name__ == "KilledWorker":
            raise BrokenExecutor(str(error)) from error
        raise


def _with_release(task: Task) -> Task:
    """Gives a task with the bytes of the release, for a worker that has no such file."""
    if task.data is not None:
        raise OutputError("cluster: a worker cannot read the release that it was sent.")
    try:
        return replace(task, data=Path(task.model).read_bytes())
    except OSError as error:
        raise UsageError(f"model={task.model!r} cannot be read: {error.strerror}.") from error


@contextmanager
def _here(workers: int) -> Iterator[Executor]:
    """Gives processes of this machine that share nothing with this one: no threads, no locks, no open files."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, context, hired, (stop,))
    try:
        yield pool
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    from distributed import Client

    try:
        client = Client(address, set_as_default=False)
    except OSError as error:
        raise UsageError(f"cluster: no Dask scheduler answers at {address} ({type(error).__name__}).") from error
    with client:
        # Two calls with the same arguments are two calls: a shard may have to be made again.
        pool = client.get_executor(pure=False)
        try:
            yield pool
        finally:
            pool.shutdown(wait=False)
