"""Lists of revoked releases, as people keep them: a digest at the beginning of each line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from wardgan.errors import UsageError

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def read_revoked(path: str | Path) -> list[str]:
    """Gives the digests of a file of revoked releases.

    Args:
        path: The file.

    Raises:
        UsageError: It cannot be read, or a line is no digest.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"revoked={str(path)!r} cannot be read: {type(error).__name__}.") from error
    return digests_of(data, str(path))


def digests_of(data: bytes, name: str) -> list[str]:
    """Gives the digests of a list; what follows `#` in a line is a remark.

    Args:
        data: The list.
        name: What people call it.

    Raises:
        UsageError: A line is no digest.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"revoked={name!r} cannot be read: {type(error).__name__}.") from error
    found: list[str] = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if not _DIGEST.fullmatch(words[0].lower()):
            # What is not understood must not let a revoked release through.
            raise UsageError(f"revoked={name!r}, line {number}: does not begin with sha256: and 64 digits (0-9, a-f).")
        found.append(words[0].lower())
    return found
