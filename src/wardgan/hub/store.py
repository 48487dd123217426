"""What every hub can do, be it a folder or a registry: keep bytes by digest, and manifests by name and tag."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final, Protocol

from wardgan.errors import DigestError, HubError

MANIFEST_CAP: Final = 4 << 20
CHUNK: Final = 1 << 20
Advance = Callable[[int], None]


class UnreachableError(HubError):
    """A registry does not answer; nothing more is asked of it."""


class Store(Protocol):
    """A hub. No answer of it is believed: whoever reads checks digests, see `checked`."""

    @property
    def place(self) -> str:
        """Its folder, or its host."""
        ...

    def close(self) -> None:
        """Lets go of it."""
        ...

    def stamp(self) -> object | None:
        """Gives something that changes whenever a tag does; `None` if that cannot be known without reading all."""
        ...

    def names(self) -> list[str]:
        """Gives the names of which there are releases, sorted."""
        ...

    def tags(self, name: str) -> list[str]:
        """Gives the tags of a name, sorted; none if there is no such name."""
        ...

    def manifest(self, name: str, reference: str) -> bytes | None:
        """Gives a manifest by its tag, or by its digest; `None` if there is none."""
        ...

    def publish(self, name: str, tag: str, data: bytes, *, replace: bool = False) -> None:
        """Gives a manifest a tag: from then on everybody sees it, and all that it names.

        Args:
            name: Such as `cardio/sprint`.
            tag: Such as `1.0`.
            data: The manifest. What it names is there already.
            replace: Whether another manifest under that tag may be replaced.

        Raises:
            HubError: Another one is there, or was put there at the same moment.
        """
        ...

    def has(self, name: str, digest: str, size: int) -> bool:
        """Whether bytes are there."""
        ...

    def put(self, name: str, digest: str, size: int, source: BinaryIO, advance: Advance) -> None:
        """Brings bytes in, whole or not at all.

        Args:
            name: For whose releases.
            digest: Of the bytes.
            size: How many.
            source: A handle that can seek; the bytes begin where it stands.
            advance: Is called with the number of bytes that have just arrived.
        """
        ...

    def blob(self, name: str, digest: str, size: int, begin: int = 0) -> Iterator[bytes]:
        """Yields bytes from a position on; they are not checked.

        Raises:
            HubError: They are not there.
        """
        ...


def checked(chunks: Iterable[bytes], digest: str, size: int, what: str) -> Iterator[bytes]:
    """Yields bytes and refuses them when they are not what they should be.

    Args:
        chunks: The bytes.
        digest: What their digest must be.
        size: How many there must be.
        what: Their name, for messages.

    Raises:
        DigestError: They are others; what was yielded until then must be thrown away.
    """
    found, count = hashlib.sha256(), 0
    for chunk in chunks:
        count += len(chunk)
        if count > size:
            raise DigestError(f"{what}: more than {size:,} bytes came, which is what its manifest says.")
        found.update(chunk)
        yield chunk
    if count != size:
        raise DigestError(f"{what}: {count:,} bytes came, its manifest says {size:,}: damaged or forged.")
    if "sha256:" + found.hexdigest() != digest:
        raise DigestError(f"{what}: its bytes do not match the digest {digest}: damaged or forged.")


def small(store: Store, name: str, digest: str, size: int, cap: int, what: str) -> bytes:
    """Gives a small blob whole, checked.

    Args:
        store: Where it is.
        name: Of whose releases.
        digest: Its digest.
        size: How many bytes it must have.
        cap: How many are read at most.
        what: Its name, for messages.

    Raises:
        DigestError: It is larger than it may be, or its bytes are others.
    """
    if size > cap:
        raise DigestError(f"{what}: {size:,} bytes are more than {cap:,}.")
    return b"".join(checked(store.blob(name, digest, size), digest, size, what))


def chunks_of(source: BinaryIO, size: int) -> Iterator[bytes]:
    """Yields at most so many bytes of a file, from where it stands.

    Args:
        source: The file.
        size: How many at most.
    """
    while size > 0:
        chunk = source.read(min(CHUNK, size))
        if not chunk:
            return
        size -= len(chunk)
        yield chunk
