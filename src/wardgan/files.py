"""Writing files: whole or not at all, and never over something by accident."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from wardgan.errors import OutputError


@contextmanager
def new_file(path: str | Path, *, force: bool = False, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Gives a handle for a file that appears under its name only when everything has been written.

    The bytes go to a hidden file in the same folder, reach the disk (fsync) and are then renamed. If anything
    fails, the hidden file is removed and what was there before is untouched.

    Args:
        path: Where the file is wanted.
        force: Whether an existing file may be replaced.
        mode: Permission bits, before the umask.

    Raises:
        OutputError: The file exists, its folder does not, or it cannot be written (no space, no permission).
    """
    target = Path(path)
    check_new(target, force=force)
    part = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        handle = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode), "wb")
        try:
            with handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            _publish(part, target, force=force)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
    except OSError as error:
        raise OutputError(
            f"path={str(target)!r} cannot be written: {error.strerror or error}; nothing was changed."
        ) from error


def write_bytes(path: str | Path, data: bytes, *, force: bool = False, mode: int = 0o644) -> Path:
    """Writes bytes to a file, whole or not at all, and gives its path.

    Args:
        path: Where the file is wanted.
        data: What it holds.
        force: Whether an existing file may be replaced.
        mode: Permission bits, before the umask.

    Raises:
        OutputError: As for `new_file`.
    """
    with new_file(path, force=force, mode=mode) as handle:
        handle.write(data)
    return Path(path)


def check_new(path: str | Path, *, force: bool = False) -> None:
    """Refuses a target before any work is done for it.

    Args:
        path: Where a file is wanted.
        force: Whether an existing file may be replaced.

    Raises:
        OutputError: It is a folder, its folder does not exist, or it exists.
    """
    target = Path(path)
    try:
        is_folder, has_folder = target.is_dir() or not target.name, target.parent.is_dir()
    except OSError as error:
        raise OutputError(f"path={str(target)!r} cannot be written: {error.strerror}.") from error
    if is_folder:
        raise OutputError(f"path={str(target)!r} is a folder; name a file in it.")
    if not has_folder:
        raise OutputError(f"path={str(target)!r}: the folder {str(target.parent)!r} does not exist; create it first.")
    if not force and os.path.lexists(target):
        raise _exists(target)


def _publish(part: Path, target: Path, *, force: bool) -> None:
    if force:
        os.replace(part, target)
    else:
        _publish_new(part, target)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _publish_new(part: Path, target: Path) -> None:
    # A hard link, unlike a rename, cannot replace a file that somebody else has put there meanwhile.
    try:
        os.link(part, target)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        # File systems of memory sticks have no hard links.
        if os.path.lexists(target):
            raise _exists(target) from error
        os.replace(part, target)


def _exists(target: Path) -> OutputError:
    return OutputError(f"path={str(target)!r} exists; choose another name, or force to replace it.")
