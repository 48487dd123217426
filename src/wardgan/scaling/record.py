"""What is known of shards: of which sample they are, and of each one its rows and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, cast

from wardgan._version import __version__
from wardgan.errors import OutputError
from wardgan.scaling.asked import Shards
from wardgan.scaling.place import Place
from wardgan.seal.json_text import canonical

MANIFEST: Final = "manifest.json"
PATIENTS: Final = "patients"
_RECORDS: Final = "records"
_FORMAT: Final = 1


@dataclass(frozen=True)
class Part:
    """One shard that is finished.

    Attributes:
        name: Of its file in the folder `patients`.
        first: Number of its first patient, from 1.
        patients: How many it holds.
        rows: How many rows they have.
        bytes: Size of the file.
        sha256: Digest of the file, in hexadecimal digits.
    """

    name: str
    first: int
    patients: int
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Job:
    """What all shards of one sample have in common.

    Attributes:
        asked: Which patients, with a seed.
        release: Digest of the release that they are drawn from.
        privacy: What it claims.
        package: The version that draws them.
    """

    asked: Shards
    release: str
    privacy: Mapping[str, object]
    package: str = __version__

    def to_dict(self) -> dict[str, object]:
        """Gives what must be the same for all shards."""
        return {"wardgan": self.package, "release": self.release, **self.asked.to_dict()}

    @property
    def digest(self) -> str:
        """A name for all of it."""
        return hashlib.sha256(canonical(self.to_dict())).hexdigest()

    def begin(self, place: Place) -> None:
        """Says in a place whose shards it will hold, and refuses one that holds others.

        Args:
            place: Where the shards are put.

        Raises:
            OutputError: There are shards of another sample, or other things; or it cannot be written.
        """
        place.begin()
        there = manifest(place)
        if there is None:
            found = [one for one in place.names() if one not in (PATIENTS, _RECORDS)]
            if not found:
                place.write(MANIFEST, manifest_bytes(self, [], complete=False), force=False)
                return
            there = manifest(place)  # another run may have begun meanwhile
            if there is None:
                raise OutputError(
                    f"output={place.name!r} holds {found[0][:60]!a} and no {MANIFEST}; name a new folder."
                )
        mine = self.to_dict()
        others = [name for name in mine if mine[name] != there.get(name)]
        if others:
            told = ", ".join(f"{name}: {there.get(name)!r} there, {mine[name]!r} here" for name in others)
            raise OutputError(
                f"output={place.name!r} holds another sample ({told}). Ask for the same, or name a new folder."
            )


def manifest(place: Place) -> dict[str, object] | None:
    """Gives what `manifest.json` says; `None` if there is none.

    Args:
        place: Where the shards are.

    Raises:
        OutputError: It cannot be read, or is of a newer format.
    """
    found = _object(place, MANIFEST)
    if found is not None and found.get("format") != _FORMAT:
        raise OutputError(f"output={place.name!r}: {MANIFEST} is of another format; use a newer version of wardgan.")
    return found


def manifest_bytes(job: Job, parts: list[Part], *, complete: bool) -> bytes:
    """Gives `manifest.json`: a function of its arguments, so that two who write it write the same.

    Args:
        job: What the shards have in common.
        parts: Those that are known, in order.
        complete: Whether that is all of them.
    """
    found = {
        "format": _FORMAT, "synthetic": True, "complete": complete, **job.to_dict(), "privacy": dict(job.privacy),
        "rows": sum(part.rows for part in parts), "bytes": sum(part.bytes for part in parts),
        "parts": [asdict(part) for part in parts],
    }  # fmt: skip
    return (json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def noted(place: Place, job: Job, number: int) -> Part | None:
    """Gives what was noted of a shard when it was finished; `None` if it was not.

    Args:
        place: Where the shards are.
        job: What it must belong to.
        number: Of the shard.

    Raises:
        OutputError: It belongs to another sample, or the note cannot be read.
    """
    name = _note(job, number)
    found = _object(place, name)
    if found is None:
        return None
    if found.get("job") != job.digest:
        raise OutputError(
            f"output={place.name!r}: {job.asked.name(number)} is a shard of another sample; name a new folder."
        )
    try:
        return Part(**cast("dict[str, int]", found["part"]))  # pyright: ignore[reportArgumentType]
    except (KeyError, TypeError) as error:
        raise _damaged(place, name) from error


def note(place: Place, job: Job, number: int, part: Part) -> None:
    """Notes that a shard is finished.

    Args:
        place: Where the shards are.
        job: What it belongs to.
        number: Of the shard.
        part: What is known of it.
    """
    place.write(_note(job, number), canonical({"job": job.digest, "part": asdict(part)}) + b"\n")


def notes(place: Place) -> int:
    """Gives how many shards are noted as finished.

    Args:
        place: Where the shards are.
    """
    return len(place.names(_RECORDS))


def _note(job: Job, number: int) -> str:
    return f"{_RECORDS}/{job.asked.name(number)}.json"


def _object(place: Place, name: str) -> dict[str, object] | None:
    data = place.read(name)
    if data is None:
        return None
    try:
        found: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(place, name) from error
    if not isinstance(found, dict):
        raise _damaged(place, name)
    return cast("dict[str, object]", found)


def _damaged(place: Place, name: str) -> OutputError:
    return OutputError(f"output={place.name!r}: {name} cannot be read; remove it, and run the same again.")
