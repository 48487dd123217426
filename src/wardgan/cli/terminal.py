"""What all verbs share: where text goes, how an answer looks as JSON, how a refusal looks."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from wardgan.errors import GateError, WardganError

if TYPE_CHECKING:
    from wardgan.models.base import Progress as Step

Advance = Callable[[int, int, str], None]
_EXTRAS = {
    "torch": "train", "dp_accounting": "train", "sklearn": "train", "matplotlib": "train",
    "pydicom": "images", "PIL": "images", "gdcm": "images", "pylibjpeg": "images", "openjpeg": "images",
    "fastapi": "hub", "uvicorn": "hub", "jinja2": "hub", "python_multipart": "hub", "sqlalchemy": "hub",
    "psycopg": "postgresql", "authlib": "oidc", "nvflare": "federate", "distributed": "cluster",
}  # fmt: skip
_WIDTH = 110
_PAUSE = 0.3


class Stopped(WardganError):  # noqa: N818 - it is a wish, not an error
    """A person pressed Ctrl-C."""

    exit_code = 130


def screen(*, errors: bool = False) -> Console:
    """Gives where people read: standard output, or standard error.

    Args:
        errors: Whether standard output belongs to something else, such as JSON.
    """
    console = Console(stderr=errors, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH
    return console


def say(console: Console, text: str, *, style: str | None = None) -> None:
    """Prints text; lines are broken for a person only, never in a file or a pipe."""
    console.print(text, style=style, soft_wrap=not console.is_terminal)


def answer(found: Mapping[str, object]) -> None:
    """Prints one JSON object on standard output."""
    sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def refuse(kind: str, message: str, *, as_json: bool, reasons: tuple[str, ...] = ()) -> None:
    """Prints why nothing was done: in red on standard error, or as JSON on standard output.

    Args:
        kind: Class of the error.
        message: What was wrong and the way out.
        as_json: Whether the caller asked for JSON.
        reasons: The single reasons of a refusal with several.
    """
    if as_json:
        answer({"error": {"kind": kind, "message": message} | ({"reasons": list(reasons)} if reasons else {})})
    else:
        say(screen(errors=True), f"error: {message}", style="bold red")


def refuse_error(error: Exception, *, as_json: bool) -> int:
    """Prints an error that a person can do something about, and gives the exit code.

    Args:
        error: A refusal of wardgan, a failure of the disk, or a missing extra.
        as_json: Whether the caller asked for JSON.

    Raises:
        Exception: The error itself, if it is a fault of the program.
    """
    if isinstance(error, Stopped) and not as_json:
        say(screen(errors=True), str(error), style="yellow")
        return error.exit_code
    if isinstance(error, WardganError):
        reasons = error.reasons if isinstance(error, GateError) else ()
        message = " ".join([str(error), *getattr(error, "__notes__", [])])
        refuse(type(error).__name__, message, as_json=as_json, reasons=reasons)
        return error.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = f"{str(error.filename)!r}: " if error.filename else ""
        refuse("OutputError", f"{where}{error.strerror}.", as_json=as_json)
        return 2
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in _EXTRAS:
        extra = _EXTRAS[str(error.name).split(".")[0]]
        message = f"{error.name} is not installed, and this step needs it: pip install 'wardgan[{extra}]'."
        refuse("UsageError", message, as_json=as_json)
        return 2
    raise error


def banner(console: Console) -> None:
    """Says loudly that nothing protects the patients."""
    text = (
        "NOT PRIVATE\nNothing protects the patients in this model. It may reproduce them. Treat it like their records."
    )
    console.print(Panel(text, style="bold white on red", expand=False))


def unsigned(console: Console, key: object) -> None:
    """Says that a file is not signed, if it is not.

    Args:
        console: Where to.
        key: What signed it; `None` if nothing did.
    """
    if key is None:
        say(console, "The file is unsigned, and receivers may refuse it; sign it with --key.", style="yellow")


@contextmanager
def watching(title: str) -> Iterator[Callable[[Step], None]]:
    """Shows how far something is that counts its steps, and gives what it calls.

    Args:
        title: What is done.
    """
    with bar(title, 1) as advance:
        over = True

        def watch(progress: Step) -> None:
            nonlocal over
            over = progress.done >= progress.total
            count = f" {progress.done}/{progress.total}" if progress.total > 1 else ""
            advance(progress.done, progress.total, progress.doing + count)

        yield watch
        if not over:
            advance(1, 1, "")


@contextmanager
def bar(title: str, total: int) -> Iterator[Advance]:
    """Shows a progress bar on standard error and gives the function that moves it: (done, total, text).

    `$WARDGAN_PROGRESS` names a file that is told the same, for programs that run a verb.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[text]}"))
    place = os.environ.get("WARDGAN_PROGRESS")
    with Progress(*columns, TimeElapsedColumn(), console=screen(errors=True)) as progress:
        task = progress.add_task(title, total=total, text="")
        noted = 0.0

        def advance(done: int, whole: int, text: str) -> None:
            nonlocal noted
            progress.update(task, completed=done, total=whole, text=text)
            if place and (time.monotonic() - noted > _PAUSE or done >= whole):
                noted = time.monotonic()
                _note(Path(place), {"title": title, "done": done, "total": whole, "text": text})

        try:
            yield advance
        except BaseException:
            # What follows is a refusal; a bar that stopped on its way would stand before it for ever.
            progress.live.transient = True
            raise


def _note(place: Path, found: Mapping[str, object]) -> None:
    with suppress(OSError, ValueError):  # nobody's work stops for that
        beside = place.with_name(place.name + ".part")
        beside.write_text(json.dumps(found), encoding="utf-8")
        beside.replace(place)
