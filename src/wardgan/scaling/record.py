"""What is known of shards: of which sample they are, and of each one its rows and its digest."""

from __future__ import annotations

import hashlib
import json
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final, NamedTuple, TypeGuard, cast

from wardgan._version import __version__
from wardgan.errors import OutputError
from wardgan.scaling.asked import Shards
from wardgan.scaling.place import Place
from wardgan.seal.json_text import canonical

MANIFEST: Final = "manifest.json"
PATIENTS: Final = "patients"
CROISSANT: Final = "croissant.json"
_RECORDS: Final = "records"
_FORMAT: Final = 1
_LARGEST: Final = 10**18
_NUMBER: Final = re.compile(r"part-([0-9]{5,7})-of-")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_REPR: Final = reprlib.Repr()
_REPR.maxstring, _REPR.maxlevel = 100, 3


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


_FIELDS: Final = {one.name for one in fields(Part)}


@dataclass(frozen=True)
class Job:
    """What all shards of one sample have in common.

    Attributes:
        asked: Which patients, with a seed.
        release: Digest of the release that they are drawn from.
        privacy: What it claims.
        package: The version that draws them.
        each: How many rows a patient has, at least and at most; `None` if that is not known.
    """

    asked: Shards
    release: str
    privacy: Mapping[str, object]
    package: str = __version__
    each: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, object]:
        """Gives what must be the same for all shards."""
        return {"wardgan": self.package, "release": self.release, **self.asked.to_dict()}

    @property
    def digest(self) -> str:
        """A name for all of it."""
        return hashlib.sha256(canonical(self.to_dict())).hexdigest()

    def begin(self, place: Place, *, fresh: bool = False) -> None:
        """Says in a place whose shards it will hold, and refuses one that holds others.

        Args:
            place: Where the shards are put.
            fresh: Whether the seed is a new one that nobody asked for.

        Raises:
            OutputError: There are shards of another sample, or other things; or it cannot be written.
        """
        place.begin()
        there = manifest(place) or self._first(place)
        if there is None:
            return
        self._compare(place, there, fresh=fresh)
        for folder in (PATIENTS, _RECORDS):
            _refuse_strangers(place, self.asked, folder, place.inside(folder))

    def _first(self, place: Place) -> dict[str, object] | None:
        """Writes the first `manifest.json`, or gives that of another run which began meanwhile."""
        found = [one for one in place.inside() if one not in (PATIENTS, _RECORDS, CROISSANT)]
        try:
            if found:
                raise OutputError(
                    f"output={place.name!r} holds {found[0][:60]!a} and no {MANIFEST}; name a new folder."
                )
            for folder in (PATIENTS, _RECORDS):
                _refuse_strangers(place, self.asked, folder, place.inside(folder))
            place.write(MANIFEST, manifest_bytes(self, [], complete=False), force=False)
        except OutputError:
            there = manifest(place)
            if there is None:
                raise
            return there
        return None

    def _compare(self, place: Place, there: Mapping[str, object], *, fresh: bool) -> None:
        mine = self.to_dict()
        others = [name for name in mine if mine[name] != there.get(name)]
        if fresh and others == ["seed"]:
            raise OutputError(
                f"output={place.name!r}: another run began it at the same time with another seed; run the same again."
            )
        if others:
            told = ", ".join(f"{name}: {_short(there.get(name))} there, {_short(mine[name])} here" for name in others)
            raise OutputError(
                f"output={place.name!r} holds another sample ({told}). Ask for the same, or name a new folder."
            )


class There(NamedTuple):
    """What of a sample is really there.

    Attributes:
        finished: How many shards are noted and lie there.
        gone: Numbers of those that were noted and are not there, or in another size.
        parts: All shards, in order, if all are there; otherwise none.
    """

    finished: int
    gone: tuple[int, ...]
    parts: tuple[Part, ...]


def look(place: Place, job: Job, seen: Mapping[int, Part]) -> There:
    """Looks which shards are noted, and lie there in the size that was noted.

    Args:
        place: Where the shards are.
        job: What they belong to.
        seen: Shards that the caller made or compared with their digests, by number.

    Raises:
        OutputError: There are other things between them, or a note cannot be read or belongs to another sample.
    """
    asked, sizes, notes = job.asked, place.inside(PATIENTS), place.inside(_RECORDS)
    _refuse_strangers(place, asked, PATIENTS, sizes)
    _refuse_strangers(place, asked, _RECORDS, notes)
    noted_there = {number for number in (_number(asked, _RECORDS, name) for name in notes) if number is not None}
    numbers = sorted(noted_there | seen.keys())

    def size(number: int) -> int | None:
        # What a folder of several machines lists may be some seconds old, so what is missed is asked for by its name.
        name = asked.name(number)
        found = sizes.get(name)
        return place.size(f"{PATIENTS}/{name}") if found is None else found

    gone = tuple(number for number in numbers if size(number) is None)
    if gone or len(numbers) < asked.shards:
        return There(len(numbers) - len(gone), gone, ())
    parts = {number: seen.get(number) or noted(place, job, number) for number in numbers}
    whole = {number: part for number, part in parts.items() if part is not None and part.bytes == size(number)}
    missed = tuple(number for number in numbers if number not in whole)
    return There(len(whole), missed, () if missed else tuple(whole.values()))


def finish(place: Place, job: Job, seen: Mapping[int, Part]) -> There:
    """Writes `manifest.json` when all shards are there, and takes back one that says so when they are not.

    Args:
        place: Where the shards are.
        job: What they belong to.
        seen: As in `look`.

    Raises:
        OutputError: As in `look`, or it cannot be written.
    """
    found = look(place, job, seen)
    if not found.parts:
        if (manifest(place) or {}).get("complete") is False:
            return found
        # Whoever wrote that all are there saw them: another run that finished meanwhile, or one of long ago.
        found = look(place, job, seen)
    data = manifest_bytes(job, list(found.parts), complete=bool(found.parts))
    if place.read(MANIFEST) != data:
        place.write(MANIFEST, data)
    return found


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
    if found is not None and not _whole(found.get("seed")):
        raise _damaged(place, MANIFEST)
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
    part = _read_part(job, number, found.get("part"))
    if part is None:
        raise _damaged(place, name)
    return part


def note(place: Place, job: Job, number: int, part: Part) -> None:
    """Notes that a shard is finished.

    Args:
        place: Where the shards are.
        job: What it belongs to.
        number: Of the shard.
        part: What is known of it.
    """
    place.write(_note(job, number), canonical({"job": job.digest, "part": asdict(part)}) + b"\n")


def clear(place: Place, job: Job, number: int) -> None:
    """Removes what a process that was killed left of a shard and of its note.

    Args:
        place: Where the shards are.
        job: What it belongs to.
        number: Of a shard that nobody else is making.

    Raises:
        OutputError: It cannot be removed.
    """
    place.clear(f"{PATIENTS}/{job.asked.name(number)}")
    place.clear(_note(job, number))


def _note(job: Job, number: int) -> str:
    return f"{_RECORDS}/{job.asked.name(number)}.json"


def _number(asked: Shards, folder: str, name: str) -> int | None:
    """Gives the number of a shard whose file or note has a name; `None`: no shard of these has it."""
    found = _NUMBER.match(name)
    number = int(found[1]) if found else asked.shards
    wanted = asked.name(number) + (".json" if folder == _RECORDS else "")
    return number if number < asked.shards and name == wanted else None


def _refuse_strangers(place: Place, asked: Shards, folder: str, names: Iterable[str]) -> None:
    """Refuses what lies between shards or their notes and is neither: it would be read as patients, or counted."""
    for name in names:
        if _number(asked, folder, name) is None:
            raise OutputError(
                f"output={place.name!r}: {folder} holds {name[:60]!a}, which is of no shard of this sample; take it "
                "away and run the same again, or name a new folder."
            )


def _read_part(job: Job, number: int, found: object) -> Part | None:
    """Gives what a note says of a shard; `None` if that cannot be so."""
    if not isinstance(found, dict):
        return None
    said, holds = cast("dict[str, object]", found), job.asked.holds(number)
    known: dict[str, object] = {"name": job.asked.name(number), "first": holds.start + 1, "patients": len(holds)}
    if said.keys() != _FIELDS or any(said[key] != value or said[key] is True for key, value in known.items()):
        return None
    least, most = job.each or (0, _LARGEST)
    rows, size, sha256 = said["rows"], said["bytes"], said["sha256"]
    if not (_whole(rows) and _whole(size) and isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        return None
    if not least * len(holds) <= rows <= most * len(holds) or size > _LARGEST:
        return None
    return Part(job.asked.name(number), holds.start + 1, len(holds), rows, size, sha256)


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _short(value: object) -> str:
    """Gives a value of somebody's file in a few signs, none of which a terminal obeys."""
    text = _REPR.repr(value)
    return text if len(text) <= _REPR.maxstring else f"{text[: _REPR.maxstring]}..."


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
