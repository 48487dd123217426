"""Messages between hospitals and whoever coordinates: JSON and arrays, nothing that could be executed."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan._version import __version__
from wardgan.errors import FormatError
from wardgan.seal.json_text import canonical, parse

Arrays = Mapping[str, NDArray[np.generic]]
# One more whenever a message means something else than before, or is answered in another way.
PROTOCOL: Final = 1
CAP: Final = 512 << 20
_JSON: Final = 4 << 20
_KINDS: Final = ("<f4", "<f8")
_MOST: Final = 4_096
_VERSION: Final = re.compile(r"[0-9A-Za-z.+-]{1,40}")


@dataclass(frozen=True, eq=False, repr=False)
class Message:
    """What is said at once.

    Attributes:
        facts: Plain values.
        arrays: Arrays of single or double precision by name.
    """

    facts: Mapping[str, object]
    arrays: Arrays = field(default_factory=dict[str, NDArray[np.generic]])

    def part(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """Gives the arrays whose names begin with `prefix/`, by the rest of their names."""
        return {name.partition("/")[2]: one for name, one in self.arrays.items() if name.partition("/")[0] == prefix}

    def pack(self) -> tuple[str, bytes]:
        """Gives the text and the bytes that travel."""
        data = io.BytesIO()
        np.savez(data, allow_pickle=False, **{name: np.ascontiguousarray(one) for name, one in self.arrays.items()})
        # The order of a schema is the order of its columns, so keys stay as they are.
        return canonical(dict(self.facts), sort=False).decode(), data.getvalue()

    @classmethod
    def unpack(cls, text: object, data: object) -> Message:
        """Reads a message; nothing in it is believed.

        Args:
            text: The facts.
            data: The arrays.

        Raises:
            FormatError: It is none.
        """
        if not isinstance(text, str) or not isinstance(data, (bytes, bytearray)) or len(data) > CAP:
            raise FormatError("message: it has no facts or no arrays, or is too long.")
        facts = parse(text.encode(), what="message", cap=_JSON)
        if not isinstance(facts, dict):
            raise FormatError("message: its facts are no object.")
        return cls(cast("dict[str, object]", facts), _arrays(bytes(data)))


def versions() -> dict[str, object]:
    """Gives what each side tells the other about its messages: the protocol, and for people the package's version."""
    return {"protocol": PROTOCOL, "wardgan": __version__}


def strange(facts: Mapping[str, object]) -> str | None:
    """Gives why the other side's messages would be misunderstood, with both versions; `None` if they are like ours.

    Args:
        facts: What the other side says.

    Example:
        >>> strange(versions()) is None
        True
        >>> strange({"protocol": 0, "wardgan": "0.0.9"}).partition(", and")[0]
        'speaks protocol 0 (wardgan 0.0.9)'
    """
    theirs, package = facts.get("protocol"), facts.get("wardgan")
    if theirs == PROTOCOL and isinstance(theirs, int) and not isinstance(theirs, bool):
        return None
    number = f"protocol {theirs}" if _VERSION.fullmatch(str(theirs)) else "no protocol"
    version = package if isinstance(package, str) and _VERSION.fullmatch(package) else "of an unknown version"
    return (
        f"speaks {number} (wardgan {version}), and here it is protocol {PROTOCOL} (wardgan {__version__}); install the "
        "same version of wardgan on both sides"
    )


def _arrays(data: bytes) -> dict[str, NDArray[np.generic]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = [one.file_size for one in archive.infolist()]
            if len(sizes) > _MOST or sum(sizes) > CAP:
                raise FormatError("message: its arrays are too many, or too large.")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, EOFError, ValueError, KeyError, MemoryError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise FormatError(f"message: its arrays cannot be read ({type(error).__name__}).") from error
    for name, one in found.items():
        if not isinstance(one, np.ndarray) or one.dtype.str not in _KINDS or not np.isfinite(one).all():
            raise FormatError(f"message: the array {name[:60]!a} has numbers of another kind, or not finite ones.")
    return found
