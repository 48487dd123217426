"""All releases of a hub, one by one; what cannot be read is told, and hides nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wardgan.errors import ArtifactError, FormatError, HubError, TrustError, UsageError
from wardgan.hub.entry import Entry, entry_of
from wardgan.hub.parcel import read_parcel
from wardgan.hub.store import Store, UnreachableError
from wardgan.hub.target import is_revocation, revocation_tag
from wardgan.seal import keys
from wardgan.seal.oci import digest_of

VERSION: Final = re.compile(r"v?[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}")


@dataclass(frozen=True)
class Broken:
    """A release that cannot be read.

    Attributes:
        name: Such as `cardio/sprint`.
        tag: Such as `1.0`.
        problem: Why.
    """

    name: str
    tag: str
    problem: str


def entries_of(
    store: Store, above: str | None, trust: str | Path | None, *, deep: bool = False,
    known: Mapping[tuple[str, str], Entry] | None = None,
) -> Iterator[Entry | Broken]:  # fmt: skip
    """Yields the releases of a hub, by name, newest first.

    Args:
        store: The hub.
        above: The beginning of all names that are meant; `None` for all.
        trust: Trust file; `None` for the default one.
        deep: Whether schemas are read, too.
        known: What was read before, by name and tag; it is read again only where it has changed.

    Raises:
        TrustError: The trust file is malformed.
        HubError: The hub cannot be reached, or does not tell what it has.
    """
    keys.read_trust(trust)  # a malformed trust file is one refusal, and not one of each release
    for name in store.names():
        if above is not None and name != above and not name.startswith(f"{above}/"):
            continue
        try:
            tags = store.tags(name)
        except UnreachableError:
            raise
        except HubError as error:
            yield Broken(name, "", str(error))
            continue
        for tag in sorted((one for one in tags if not is_revocation(one)), key=order_of, reverse=True):
            yield _entry(store, name, tag, tags, trust, deep=deep, old=(known or {}).get((name, tag)))


def _entry(
    store: Store, name: str, tag: str, tags: Collection[str], trust: str | Path | None, *, deep: bool, old: Entry | None
) -> Entry | Broken:  # fmt: skip
    try:
        data = store.manifest(name, tag)
        if data is None:
            raise FormatError("It is no release of wardgan.")
        if old is not None and _same(old, data, tags):
            return old
        parcel = read_parcel(data, f"{name}:{tag}")
        return entry_of(store, name, tag, parcel, trust, deep=deep, whole=deep, tags=tags)
    except UnreachableError:
        raise
    except (ArtifactError, TrustError, HubError) as error:
        return Broken(name, tag, str(error))


def _same(old: Entry, data: bytes, tags: Collection[str]) -> bool:
    """Whether a release is still the one that was read, and nobody has revoked it."""
    begin = revocation_tag(old.digest)
    return old.manifest == digest_of(data) and old.revoked is None and not any(tag.startswith(begin) for tag in tags)


def several(name: str, tags: Collection[str]) -> UsageError:
    """Gives the refusal of a name that has several releases, and no version among them.

    Args:
        name: Such as `cardio/sprint`.
        tags: Of the releases.
    """
    return UsageError(f"name={name!r} has several releases ({', '.join(sorted(tags)[:5])}); say which one: {name}:TAG.")


def order_of(tag: str) -> tuple[bool, list[int], str]:
    """Gives how new a tag is: versions by their numbers, and before them all that is none.

    Args:
        tag: Such as `1.10`.
    """
    numbers = [int(part) for part in re.findall("[0-9]+", tag)] if VERSION.fullmatch(tag) else []
    return bool(numbers), numbers, tag
