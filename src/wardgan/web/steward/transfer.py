"""What all of the steward's pages do with files: they come from a browser, and go to a hub."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from wardgan import files
from wardgan.errors import UsageError
from wardgan.web.steward.project import Kept, settled
from wardgan.web.steward.verbs import Acts


def received(sent: UploadFile, place: Path) -> None:
    """Writes what was sent, for its owner alone.

    Args:
        sent: The file.
        place: Where to; it must not be there.
    """
    with files.new_file(place, force=False, mode=0o600) as target:
        shutil.copyfileobj(sent.file, target, 1 << 20)


async def publish(
    request: Request, kept: Kept, form: Mapping[str, str], *, step: str, file: Path, first: str, what: str = ""
) -> None:  # fmt: skip
    """Puts a file into a hub in the background; where to is kept as `target`, and where it is as `published`.

    Args:
        request: What is asked.
        kept: Whose.
        form: What a person wrote.
        step: For which step.
        file: What is put there.
        first: What comes before, for the message.
        what: Beginning of the names of both choices.

    Raises:
        UsageError: There is no such file yet, or no place for it was named.
    """
    target = form.get("target", "").strip()
    if not file.is_file():
        raise UsageError(f"publish: {first} first.")
    if not target:
        example = os.path.relpath(request.app.state.home / "hub", kept.folder)
        raise UsageError(f"target: say where it shall be, such as {example}:cardio/sprint:1.0.")
    await run_in_threadpool(kept.choose, **{f"{what}target": target})
    acts: Acts = request.app.state.acts
    acts.start(
        kept, step, "Publishing", ["push", "--json", "--", file.name, settled(kept.folder, target)],
        last=lambda answers: kept.choose(**{f"{what}published": answers[-1]["target"]}),
    )  # fmt: skip


async def take_in(sent: UploadFile, place: Path, draft: Path, check: Callable[[], None]) -> None:
    """Takes a file of a hospital, and the draft that was made without it away.

    Args:
        sent: The file.
        place: Where to; it must not be there.
        draft: What was made before.
        check: Refuses it if nothing may come any more; asked at the end, since files may come slowly.

    Raises:
        UsageError: Nothing may come any more.
    """
    await run_in_threadpool(received, sent, place)
    await run_in_threadpool(draft.unlink, missing_ok=True)
    try:
        check()
    except UsageError:
        place.unlink(missing_ok=True)
        raise
