"""A file that somebody wants: what is kept of it on disk, and what is told."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from wardgan.web.preview import Asked

State = Literal["waiting", "running", "ready", "failed"]
Kind = Literal["csv", "parquet", "npz"]
FILE: Final = "job.json"
_ID: Final = re.compile("[0-9a-f]{32}")


class Job(BaseModel):
    """A file that somebody wants.

    Attributes:
        id: Known to nobody but who asked.
        release: Name and tag.
        digest: Of the release.
        asked: How many patients, and which.
        kind: Of the file.
        owner: Number of the account that asked; `None` in a hub without accounts.
        realm: In which database; empty in a hub without accounts.
        state: What became of it.
        created: When it was asked for, UTC.
        ended: When it was ready, or failed.
        problem: Why it failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    release: str
    digest: str
    asked: Asked
    kind: Kind
    owner: int | None
    realm: str = ""
    state: State = "waiting"
    created: str
    ended: str | None = None
    problem: str | None = None

    @property
    def name(self) -> str:
        """Name of its file."""
        base, _, tag = self.release.rpartition("/")[2].partition(":")
        return f"{base}-{tag}-{self.asked.seed}.{self.kind}"

    @property
    def over(self) -> bool:
        """Whether nothing will happen any more."""
        return self.state in ("ready", "failed")


def kept(folder: Path) -> Sequence[Job]:
    """Gives the jobs of a folder; what was being made waits again, and what is no job is left alone.

    Args:
        folder: Of the jobs.
    """
    found = []
    for place in sorted(folder.iterdir()):
        if not _ID.fullmatch(place.name):
            continue
        try:
            job = Job.model_validate_json((place / FILE).read_bytes())
        except FileNotFoundError:
            shutil.rmtree(place, ignore_errors=True)  # it was being dropped, or never begun
            continue
        except (OSError, ValidationError) as error:
            print(f"{place} is no job that this wardgan knows: {type(error).__name__}.", file=sys.stderr)
            continue
        for left in place.glob(".*.part"):
            left.unlink(missing_ok=True)
        if job.id == place.name:
            found.append(job if job.over else job.model_copy(update={"state": "waiting"}))
    return found


def told(job: Job, done: int, size: int | None) -> dict[str, object]:
    """Gives what the API says of a job.

    Args:
        job: The job.
        done: How many patients have been drawn.
        size: Bytes of its file; `None` if it is not ready.
    """
    return {
        "id": job.id, "release": job.release, "digest": job.digest, "format": job.kind, "state": job.state,
        "done": done, "bytes": size, "created": job.created, "ended": job.ended, "problem": job.problem,
        **asdict(job.asked),
    }  # fmt: skip
