"""What the pages do: they run the same verbs as the command line, one project at a time, and show what these say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final, cast

from wardgan.errors import UsageError, WardganError
from wardgan.web.steward.project import Kept

PROGRESS: Final = "WARDGAN_PROGRESS"
_SAID: Final = 20_000
_QUICK: Final = 120.0
_END: Final = 20.0


Each = Callable[[Mapping[str, Any]], None]
Last = Callable[[Sequence[Mapping[str, Any]]], None]
_After = tuple[Each | None, Last | None, Callable[[], None] | None]


class VerbError(WardganError):
    """A verb refused; the message is what it said."""


@dataclass
class Act:
    """Verbs that run one after the other.

    Attributes:
        step: For which step of the project.
        title: What is done, for people.
        commands: Words of each verb.
        code: Exit code of the last one; `None` while they run.
        said: What they said, newest last.
        answers: What they answered as JSON.
        stopping: Whether a person asked to stop.
    """

    step: str
    title: str
    commands: Sequence[Sequence[str]]
    code: int | None = None
    said: str = ""
    answers: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    stopping: bool = False


class Acts:
    """What runs for which project; what does not end by itself goes on where the run stopped."""

    def __init__(self) -> None:
        self._acts: dict[Path, Act] = {}
        self._running: dict[Path, subprocess.Popen[bytes]] = {}
        self._lock = Lock()
        self._closed = False

    def start(
        self, project: Kept, step: str, title: str, *commands: Sequence[str], secret: str | None = None,
        first: Callable[[], None] | None = None, each: Each | None = None, last: Last | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Runs verbs in the background; none follows one that fails.

        Args:
            project: Whose.
            step: For which step.
            title: What is done, for people.
            commands: Words of each verb; paths are within the project's folder.
            secret: Passphrase of a key, which is not among the words.
            first: Makes what the verbs need, once it is known that nothing else runs.
            each: Is called with what a verb answered, as soon as it went well, whatever those after it do.
            last: Is called with what they answered, if all went well, whether or not anybody looks.
            ended: Is called when they have ended, well or not.

        Raises:
            UsageError: Something runs for this project already.
        """
        with self._lock:
            self._check_free(project)
            if first is not None:
                first()
            act = self._acts[project.folder] = Act(step, title, commands)
        Thread(
            target=self._work, args=(project, act, secret, (each, last, ended)), name=project.name, daemon=True
        ).start()

    def now(self, project: Kept) -> Act | None:
        """Gives what runs, or ran last; `None` if nothing did.

        Args:
            project: Whose.
        """
        return self._acts.get(project.folder)

    def busy(self, project: Kept) -> bool:
        """Tells whether something runs.

        Args:
            project: Whose.
        """
        with self._lock:
            return self._busy(project)

    def check_free(self, project: Kept) -> None:
        """Refuses to do two things at once.

        Args:
            project: Whose.

        Raises:
            UsageError: Something runs for this project already.
        """
        with self._lock:
            self._check_free(project)

    def stop(self, project: Kept) -> None:
        """Asks what runs to stop, as Ctrl-C does: a fit can go on later.

        Args:
            project: Whose.
        """
        with self._lock:
            act, process = self._acts.get(project.folder), self._running.get(project.folder)
            if act is not None and act.code is None:
                act.stopping = True
            if process is not None:
                _interrupt(process)

    def close(self) -> None:
        """Stops everything."""
        with self._lock:
            self._closed = True
            processes = list(self._running.values())
            for act in self._acts.values():
                act.stopping = True
        for process in processes:
            _interrupt(process)
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END)

    def _check_free(self, project: Kept) -> None:
        if self._busy(project) or self._closed:
            raise UsageError(f"{project.name} is at work; wait until that has ended, or stop it.")

    def _busy(self, project: Kept) -> bool:
        act = self._acts.get(project.folder)
        return act is not None and act.code is None

    def _work(self, project: Kept, act: Act, secret: str | None, after: _After) -> None:
        code, (each, last, ended) = 1, after
        try:
            for words in act.commands:
                before = len(act.answers)
                code = self._run(project, act, words, secret)
                if not code and each is not None and len(act.answers) > before:
                    each(act.answers[-1])
                if code or act.stopping:
                    break
            if not code and last is not None:
                last(act.answers)
        except OSError as error:
            act.said += f"\nThe verb could not be run: {error.strerror}."
        finally:
            if ended is not None:
                ended()
            act.code = code

    def _run(self, project: Kept, act: Act, words: Sequence[str], secret: str | None) -> int:
        progress_of(project).unlink(missing_ok=True)
        # What it says goes to a file: a pipe that nobody reads would stop it.
        with (project.folder / "said.txt").open("wb") as said:
            os.fchmod(said.fileno(), 0o600)
            process = subprocess.Popen(
                _command(words), cwd=project.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said,
                env=_surroundings(project, secret), start_new_session=True,
            )  # fmt: skip
            with self._lock:
                self._running[project.folder] = process
                if act.stopping:
                    _interrupt(process)
            answer = process.communicate()[0]
            with self._lock:
                self._running.pop(project.folder, None)
        if process.returncode < 0:
            # What it was writing when it was killed may be rows of patients, and nobody goes on with it.
            for left in project.folder.rglob(".*.part"):
                left.unlink(missing_ok=True)
        text = (project.folder / "said.txt").read_text(encoding="utf-8", errors="replace")
        act.said = (act.said + text)[-_SAID:]
        found = _json(answer)
        if found is not None:
            act.answers.append(found)
        return process.returncode


def ask(project: Kept, *words: str) -> tuple[Mapping[str, Any], str]:
    """Runs a verb that is done in a moment, and gives what it answers as JSON, and what it says.

    Args:
        project: Whose.
        words: Of the verb, without `--json`.

    Raises:
        VerbError: It refused.
    """
    try:
        done = subprocess.run(
            _command([*words, "--json"]), cwd=project.folder, stdin=subprocess.DEVNULL, capture_output=True,
            env=_surroundings(project, None), timeout=_QUICK, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise VerbError(f"wardgan {words[0]} took longer than {_QUICK:.0f} seconds.") from error
    found, said = _json(done.stdout) or {}, done.stderr.decode("utf-8", "replace")
    problem = found.get("error")
    if problem is not None:
        raise VerbError(str(cast("Mapping[str, object]", problem).get("message")))
    if done.returncode and not found:
        raise VerbError(said.strip().splitlines()[-1] if said.strip() else f"wardgan {words[0]} failed.")
    return found, said


def help_of(*verb: str) -> str:
    """Gives the help of a verb, with one line for each option; empty if there is none.

    Args:
        verb: Its words.
    """
    try:
        done = subprocess.run(
            _command([*verb, "--help"]), stdin=subprocess.DEVNULL, capture_output=True, timeout=_QUICK, check=False,
            env={**os.environ, "COLUMNS": "2000", "NO_COLOR": "1", "TERM": "dumb"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


def progress_of(project: Kept) -> Path:
    """Gives the file in which a verb notes how far it is.

    Args:
        project: Whose.
    """
    return project.folder / "progress.json"


def problem_of(act: Act) -> str | None:
    """Gives why verbs failed; `None` if they did not.

    Args:
        act: What ran.
    """
    if act.code in (None, 0) or act.stopping:
        return None
    if act.code < 0:  # what it said last is no reason
        return (
            f"{act.title} was interrupted before its end (signal {-act.code}), perhaps for lack of memory: nothing "
            "half-made counts. Go on where it was, or begin it again."
        )
    if (told := _told(act.answers[-1] if act.answers else {})) is not None:
        return told
    lines = [line for line in act.said.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else f"It ended with exit code {act.code}."


def _told(answer: Mapping[str, Any]) -> str | None:
    """Gives why a verb refused, or why what it judged is not as it should be; `None` if its answer does not say."""
    problem = answer.get("error")
    if isinstance(problem, dict):
        return str(cast("Mapping[str, object]", problem).get("message"))
    refusals = answer.get("refusals")
    if answer.get("ok") is False and isinstance(refusals, list) and refusals:
        return "\n".join(map(str, cast("list[object]", refusals)))
    return None


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "wardgan", *words]


def _surroundings(project: Kept, secret: str | None) -> dict[str, str]:
    more = {} if secret is None else {"WARDGAN_PASSPHRASE": secret}
    return {**os.environ, PROGRESS: str(progress_of(project)), **more}


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGINT)


def _json(text: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else None
