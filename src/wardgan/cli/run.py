"""The run folder of a fit: is it free, can it go on, how far is it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from wardgan.cli.terminal import bar
from wardgan.errors import OutputError, PlanError, UsageError, WardganError
from wardgan.files import check_name

if TYPE_CHECKING:
    from wardgan.models.base import Progress
    from wardgan.privacy.ledger import Ledger
    from wardgan.privacy.plan import Plan

LEDGER: Final = "ledger.jsonl"
_SECONDS_BETWEEN_BILLS: Final = 3.0
_USUAL: Final = {
    "--family": "auto", "--invalid": "refuse", "--visits": None, "--delimiter": ",", "--labels": None, "--key": None,
    "--mask": None, "--seed": None, "--set": None, "--survey": None,
}  # fmt: skip


def check_free(run: Path) -> None:
    """Refuses a folder with something in it: a ledger is never overwritten.

    Raises:
        OutputError: The folder is not empty, is a file, or has no name of a folder.
    """
    check_name(run)
    if run.exists() and not run.is_dir():
        raise OutputError(f"output={str(run)!r} is a file; choose another name for the run folder.")
    if run.is_dir() and any(run.iterdir()):
        raise OutputError(
            f"output={str(run)!r} is not empty; choose another folder, or go on with the run in it with --resume."
        )


def stopped_run(run: Path, epsilon: float | None) -> Ledger:
    """Gives the ledger of a run that stopped.

    Args:
        run: The folder.
        epsilon: What was asked for now; must be what the run was begun with.

    Raises:
        UsageError: There is no run, or it is finished.
        PlanError: It was begun with another epsilon.
    """
    from wardgan.privacy.ledger import Ledger

    if (run / "trained.json").exists():
        raise UsageError(f"resume: the run in {str(run)!r} is finished; release it, or fit into another folder.")
    if not (run / LEDGER).is_file():
        raise UsageError(f"resume: {str(run)!r} holds no run that stopped.")
    ledger = Ledger.resume(run / LEDGER)
    begun = None if ledger.plan is None else ledger.plan.budget.epsilon
    if epsilon is not None and epsilon != begun:
        how = "without privacy" if begun is None else f"with epsilon {begun:g}"
        raise PlanError(f"epsilon={epsilon:g}: the run was begun {how}; leave --epsilon out.")
    return ledger


def how_to_resume(data: Path, schema: Path, run: Path, options: Mapping[str, object]) -> str:
    """Gives the message after Ctrl-C, with the command that goes on.

    Args:
        data: The patients' file.
        schema: The schema file.
        run: The folder.
        options: Values of the options that a resumed run needs again, by name.
    """
    if not (run / LEDGER).is_file():
        return "Stopped before anything was read; run the same command again."
    given = {name: value for name, value in options.items() if value != _USUAL[name]}
    more = [
        word
        for name, value in given.items()
        for one in (cast("list[object]", value) if isinstance(value, list) else [value])
        for word in (name, str(one))
    ]
    command = shlex.join(["wardgan", "fit", str(data), str(schema), *more, "--resume", "-o", str(run)])
    return f"Stopped. What was spent is in the ledger, and nothing is spent twice. To go on:\n  {command}"


@contextmanager
def remembered(run: Path, *, resumed: bool) -> Iterator[None]:
    """Adds to a refusal of a fit where its bill is, if one was begun, and what to do with it.

    Args:
        run: The folder.
        resumed: Whether the run was begun earlier.
    """
    try:
        yield
    except WardganError as error:
        if (run / LEDGER).is_file():
            error.add_note(_how_to_keep(run, again=resumed or isinstance(error, OutputError)))
        raise


def _how_to_keep(run: Path, *, again: bool) -> str:
    text = f"What was spent is in {run / LEDGER}: keep the folder as the record."
    if again:
        return f"{text} Mend the cause and go on with --resume; if that cannot be, fit into another folder."
    return f"{text} Fit the next time into another folder (--resume would end with the same refusal)."


@contextmanager
def watched(plan: Plan | None, run: Path) -> Iterator[Callable[[Progress], None]]:
    """Shows progress and the epsilon spent so far, by the ledger on the disk; gives what a fit calls.

    Args:
        plan: What may be spent; `None` without privacy.
        run: The folder.
    """
    from wardgan.privacy.ledger import Ledger

    spent, billed = "", time.monotonic()
    with bar("fitting", 1) as advance:

        def watch(progress: Progress) -> None:
            nonlocal spent, billed
            # Adding up the bill takes a moment, so it is not done at every step.
            if plan is not None and (
                time.monotonic() - billed >= _SECONDS_BETWEEN_BILLS or progress.done >= progress.total
            ):
                spent = f"epsilon {Ledger.resume(run / LEDGER).epsilon():.2f} of {plan.budget.epsilon:g} spent"
                billed = time.monotonic()
            advance(progress.done, progress.total, f"{progress.doing} {progress.done}/{progress.total}  {spent}")

        yield watch
        advance(1, 1, spent)
