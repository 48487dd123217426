"""Processes that open releases and draw from them, so that no question can stop or fill the server.

A question that takes too long, or more memory than a process may have, ends with its process, and a new one takes its
place. The server itself never opens a file of a release.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Final

from wardgan import errors
from wardgan.errors import HubError, UsageError, WardganError
from wardgan.web.tasks import TASKS, Shop

PATIENCE: Final = 15.0
WAIT: Final = 20.0
MEMORY: Final = 3 << 30
# Questions that wait hold a thread of the server each, see `app.THREADS`.
QUEUE: Final = 48
_END: Final = "end"
_CONTEXT: Final = multiprocessing.get_context("spawn")


class BusyError(HubError):
    """All processes are at work; try again in a moment."""


class BrokenError(HubError):
    """A process of the hub failed."""


class Workers:
    """Some processes that answer questions, each one at a time.

    Args:
        count: How many.
        trust: Trust file; `None` for the default one.
        any_signer: Whether unsigned files and unknown keys pass.
        patience: Seconds that an answer, or the next part of one, may take.
        wait: Seconds that a question waits for a process.
        queue: How many questions wait at most.
    """

    def __init__(
        self, count: int, trust: Path | None, *, any_signer: bool, patience: float = PATIENCE, wait: float = WAIT,
        queue: int = QUEUE,
    ) -> None:  # fmt: skip
        self._given = (trust, any_signer)
        self._patience = patience
        self._wait = wait
        self._age = 0
        self._closed = threading.Event()
        self._every: set[_Worker] = set()
        self._waiting = threading.BoundedSemaphore(queue)
        self._idle: LifoQueue[_Worker | None] = LifoQueue()
        for _ in range(count):
            self._idle.put(None)  # started when it is needed

    def close(self) -> None:
        """Ends them all, whatever they do."""
        self._closed.set()
        for one in tuple(self._every):
            one.kill()

    def forget(self) -> None:
        """Makes new processes take the place of these, which know what they have opened, as soon as each is idle."""
        self._age += 1

    def ask(self, task: str, *given: object) -> object:
        """Gives an answer.

        Args:
            task: Which of `tasks.TASKS`.
            given: What it wants.

        Raises:
            WardganError: What the task refuses.
            UsageError: It takes too long, or too much memory.
            BusyError: All processes are at work.
        """
        with self.parts(task, *given) as found:
            (answer,) = found
            return answer

    @contextmanager
    def parts(self, task: str, *given: object) -> Iterator[Iterator[object]]:
        """Gives the parts of an answer, one after the other; what is not taken is not made.

        Args:
            task: Which of `tasks.TASKS`.
            given: What it wants.
        """
        worker = self._taken()
        try:
            worker.begin(task, given)
            yield worker.parts(self._patience)
        finally:
            # A process that was left in the middle of something is of no use any more.
            self._idle.put(self._ended(worker) if worker.asked else worker)

    def _taken(self) -> _Worker:
        found = self._next()
        if found is not None and found.alive and found.age == self._age:
            return found
        if found is not None:
            self._ended(found)
        if self._closed.is_set():
            self._idle.put(None)
            raise BusyError("The hub is closing.")
        try:
            found = _Worker(*self._given, self._age)
        except OSError as error:
            self._idle.put(None)
            raise BusyError("This machine has no room for another process; try again in a moment.") from error
        self._every.add(found)
        return found

    def _next(self) -> _Worker | None:
        """Gives a process that is idle, or `None` for a place of one; waits for it, if not too many do."""
        with suppress(Empty):
            return self._idle.get_nowait()
        if not self._waiting.acquire(blocking=False):
            raise BusyError("Too many others are drawing patients; try again in a moment.")
        try:
            return self._idle.get(timeout=self._wait)
        except Empty:
            raise BusyError("Others are drawing patients; try again in a moment.") from None
        finally:
            self._waiting.release()

    def _ended(self, worker: _Worker) -> None:
        worker.kill()
        self._every.discard(worker)


class _Worker:
    """A process."""

    def __init__(self, trust: Path | None, any_signer: bool, age: int) -> None:
        self.age = age
        self._line, their = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_work, args=(their, trust, any_signer), daemon=True)
        self._process.start()
        their.close()
        self.asked = False
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        # Who ends the server and who used the process may both come here.
        with self._lock:
            self._process.kill()
            self._process.join()
            self._line.close()

    def begin(self, task: str, given: tuple[object, ...]) -> None:
        self.asked = True
        try:
            self._line.send((task, given))
        except OSError as error:
            raise BusyError("A process of the hub ended; try again.") from error

    def parts(self, patience: float) -> Iterator[object]:
        while True:
            kind, found = self._heard(patience)
            if kind == _END:
                self.asked = False
                return
            if kind:
                self.asked = False
                raise _error(kind, str(found))
            yield found

    def _heard(self, patience: float) -> tuple[str, object]:
        try:
            if self._line.poll(patience):
                return self._line.recv()
        except (EOFError, OSError):
            raise UsageError(
                "That takes more memory than this hub gives, or the hub is closing; ask for less, or take the "
                "generator home."
            ) from None
        raise UsageError(
            f"That takes longer than the {patience:.0f} seconds that this hub gives; ask for fewer conditions or "
            "patients, or take the generator home."
        )


def _error(kind: str, message: str) -> WardganError:
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, WardganError):
        return found(message)
    return BrokenError(f"The hub failed ({kind}); its operator finds the reason in what it printed.")


def _work(line: Connection, trust: Path | None, any_signer: bool) -> None:
    """Answers questions until nobody is at the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's business
    _bounded()
    shop = Shop(trust, any_signer=any_signer, tell=lambda part: line.send(("", part)))
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            task, given = line.recv()
            try:
                for part in TASKS[task](shop, *given):
                    line.send(("", part))
            except WardganError as error:
                line.send((type(error).__name__, str(error)))
            except (BrokenPipeError, ConnectionResetError):
                return
            except MemoryError:
                return
            except Exception as error:
                traceback.print_exc()
                line.send((type(error).__name__, ""))
            else:
                line.send((_END, None))


def _bounded() -> None:
    """Takes the right to more memory than a process should need, where the system knows how."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
