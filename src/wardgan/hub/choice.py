"""Which release of a store somebody means."""

from __future__ import annotations

from contextlib import suppress

from wardgan.errors import DigestError, FormatError, HubError
from wardgan.hub.entries import VERSION, order_of, several
from wardgan.hub.parcel import Parcel, read_parcel
from wardgan.hub.store import Store
from wardgan.hub.target import Target, is_revocation


def parcel_in(store: Store, target: Target) -> tuple[str, Parcel]:
    """Gives the tag and the manifest of a release.

    Args:
        store: Where it is.
        target: Which: with a tag that one, with a digest the one that has it, else the newest version.

    Raises:
        HubError: There is none such.
        DigestError: Its tag has another release by now.
        UsageError: There are several, and no version among them.
    """
    name = str(target.name)
    if target.tag is not None:
        parcel = _read(store, name, target.tag)
        if target.digest not in (None, parcel.digest, parcel.release):
            raise DigestError(
                f"{name}:{target.tag} is the release {parcel.release}, not {target.digest}: somebody replaced it."
            )
        return target.tag, parcel
    return _without_a_tag(store, name, target.digest)


def _without_a_tag(store: Store, name: str, digest: str | None) -> tuple[str, Parcel]:
    tags = [tag for tag in store.tags(name) if not is_revocation(tag)]
    if not tags:
        raise HubError(f"{store.place} has no {name}; wardgan list {store.place} says what it has.")
    # Other programs' images may have tags of that name, too.
    found: dict[str, Parcel] = {}
    for tag in sorted(tags, key=order_of, reverse=True):
        with suppress(FormatError):
            found[tag] = _read(store, name, tag)
            if digest in (found[tag].digest, found[tag].release):
                return tag, found[tag]
            if digest is None and VERSION.fullmatch(tag):
                return tag, found[tag]
    if digest is not None or not found:
        wanted = "that can be used" if digest is None else f"with the digest {digest}"
        raise HubError(f"{store.place} has no {name} {wanted}.")
    if len(found) > 1:
        raise several(name, found)
    return next(iter(found.items()))


def _read(store: Store, name: str, tag: str) -> Parcel:
    data = store.manifest(name, tag)
    if data is None:
        tags = [one for one in store.tags(name) if not is_revocation(one)]
        there = f"it has {', '.join(sorted(tags, key=order_of)[-5:])}" if tags else "it has none of that name"
        raise HubError(f"{store.place} has no {name}:{tag}; {there}.")
    return read_parcel(data, f"{name}:{tag}")
