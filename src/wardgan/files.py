"""Writing files: whole or not at all, and never over something by accident."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from wardgan.errors import OutputError


@contextmanager
def new_file(
    path: str | Path, *, force: bool = False, mode: int = 0o644, follow: bool = True
) -> Iterator[BinaryIO]:  # fmt: skip
    """Gives a handle for a file that appears under its name only when everything has been written.

    The bytes go to a hidden file in the same folder, reach the disk (fsync) and are then renamed. If anything
    fails, the hidden file is removed and what was there before is untouched. A symbolic link stays: the file that it
    leads to is replaced.

    Args:
        path: Where the file is wanted.
        force: Whether an existing file may be replaced.
        mode: Permission bits, before the umask.
        follow: Whether the file that a symbolic link leads to is meant, and not the link; say no in folders where
            others may write.

    Raises:
        OutputError: As for `check_new`, or it cannot be written (no space, no permission).
    """
    check_new(path, force=force)
    target = _followed(Path(path)) if follow else Path(path)
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


@contextmanager
def new_folder(
    path: str | Path, ours: Callable[[str], bool], what: str, *, force: bool = False
) -> Iterator[Path]:  # fmt: skip
    """Gives a folder that appears under its name only when everything has been written.

    It is filled under a hidden name beside its place, and then renamed. If anything fails, it is removed and what
    was there before is untouched.

    Args:
        path: Where the folder is wanted.
        ours: Says of the name of a file whether it may be one of an earlier run.
        what: What such files are, for messages.
        force: Whether a folder of an earlier run may be replaced. A folder that holds anything else is never replaced.

    Raises:
        OutputError: It exists, its parent does not, or it cannot be written.
    """
    check_new_folder(path, ours, what, force=force)
    target = Path(path)
    hidden = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        hidden.mkdir()
        try:
            yield hidden
            check_new_folder(path, ours, what, force=force)  # somebody may have put something there meanwhile
            _publish_folder(hidden, target)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"path={str(target)!r} cannot be written: {error.strerror or error}; nothing was changed."
        ) from error


def check_new_folder(path: str | Path, ours: Callable[[str], bool], what: str, *, force: bool = False) -> None:
    """Refuses a folder before any work is done for it; arguments as of `new_folder`.

    Raises:
        OutputError: It exists, or its parent does not.
    """
    check_name(path)
    target = Path(path)
    if not target.name or not target.parent.is_dir():
        raise OutputError(f"path={str(target)!r}: the folder {str(target.parent)!r} does not exist; create it first.")
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise OutputError(f"path={str(target)!r} exists and is no folder; name another one.")
    names = [entry.name for entry in os.scandir(target)]
    if names and not force:
        raise _exists(target)
    if not all(map(ours, names)):
        raise OutputError(f"path={str(target)!r} holds other files than {what}; name another folder.")


def write_bytes(
    path: str | Path, data: bytes, *, force: bool = False, mode: int = 0o644, follow: bool = True
) -> Path:  # fmt: skip
    """Writes bytes to a file, whole or not at all, and gives its path.

    Args:
        path: Where the file is wanted.
        data: What it holds.
        force: Whether an existing file may be replaced.
        mode: Permission bits, before the umask.
        follow: As of `new_file`.

    Raises:
        OutputError: As for `new_file`.
    """
    with new_file(path, force=force, mode=mode, follow=follow) as handle:
        handle.write(data)
    return Path(path)


def check_new(path: str | Path, *, force: bool = False) -> None:
    """Refuses a target before any work is done for it.

    Args:
        path: Where a file is wanted.
        force: Whether an existing file may be replaced.

    Raises:
        OutputError: It is no file name, a folder, a device, a pipe or a socket, its folder does not exist, or it
            exists.
    """
    check_name(path)
    named = Path(path)
    try:
        target = _followed(named)
        is_folder, has_folder = target.is_dir() or not named.name, target.parent.is_dir()
        if has_folder and not is_folder:
            _check_regular(target)
    except OSError as error:
        raise OutputError(f"path={str(named)!r} cannot be written: {error.strerror}.") from error
    if is_folder:
        raise OutputError(f"path={str(named)!r} is a folder; name a file in it.")
    if not has_folder:
        raise OutputError(f"path={str(named)!r}: the folder {str(target.parent)!r} does not exist; create it first.")
    if not force and os.path.lexists(named):
        raise _exists(named)


def check_name(path: str | Path) -> None:
    """Refuses what cannot name an output.

    Args:
        path: Where a file or a folder is wanted.

    Raises:
        OutputError: It is no path, or the word `-`.
    """
    if not isinstance(path, (str, os.PathLike)) or "\0" in str(path):
        raise OutputError(f"path: {type(path).__name__} is not a path; pass text or a pathlib.Path.")
    if str(path) == "-":
        raise OutputError("path='-' stands for standard output, where nothing is written to; name a file.")


def _followed(path: Path) -> Path:
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def locked(path: str | Path, *, wait: float = 0.0) -> Iterator[None]:
    """Holds a file for this process alone; the system lets go of it however the process ends.

    Args:
        path: A file that exists; its bytes are not touched.
        wait: Seconds to wait for others.

    Raises:
        OutputError: Another process holds it.
    """
    until = time.monotonic() + wait
    with Path(path).open("rb") as handle:
        while True:
            try:
                _lock(handle)
                break
            except OSError as error:
                if time.monotonic() >= until:
                    raise OutputError(
                        f"path={str(path)!r} is in use by another process; wait until it ends."
                    ) from error
                time.sleep(0.02)
        yield


def _lock(handle: BinaryIO) -> None:
    # Each system has one of the two modules.
    if os.name == "nt":  # pragma: no cover
        import msvcrt

        # Far behind the end, because Windows would keep everybody from reading the locked byte.
        handle.seek(1 << 40)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _check_regular(target: Path) -> None:
    """Refuses to put a file in the place of a device, a pipe or a socket."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(target.stat().st_mode):
            raise OutputError(
                f"path={str(target)!r} is a device, a pipe or a socket, and is never replaced; name a file."
            )


def _publish(part: Path, target: Path, *, force: bool) -> None:
    if force:
        _check_regular(target)  # somebody may have put a pipe there meanwhile
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


def _publish_folder(hidden: Path, target: Path) -> None:
    if not target.exists():
        hidden.rename(target)
        return
    old = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.old")
    target.rename(old)
    try:
        hidden.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exists(target: Path) -> OutputError:
    return OutputError(f"path={str(target)!r} exists; choose another name, or replace it (--force, force=True).")
