"""A folder of synthetic images that appears when it is whole."""

from __future__ import annotations

import csv
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wardgan.errors import OutputError
from wardgan.files import check_name
from wardgan.imaging.marks import Item

LABELS: Final = "labels.csv"
_OURS: Final = re.compile(r"\d{8,}(-mask)?\.(png|dcm|json)")


@contextmanager
def new_folder(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Gives a folder that appears under its name only when everything has been written.

    It is filled under a hidden name beside its place, and then renamed. If anything fails, it is removed and what
    was there before is untouched.

    Args:
        path: Where the folder is wanted.
        force: Whether a folder with synthetic images of an earlier run may be replaced. A folder that holds anything
            else is never replaced.

    Raises:
        OutputError: It exists, its parent does not, or it cannot be written.
    """
    check_name(path)
    target = Path(path)
    _check_place(target, force=force)
    hidden = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        hidden.mkdir()
        try:
            yield hidden
            _publish(hidden, target, force=force)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"path={str(target)!r} cannot be written: {error.strerror or error}; nothing was changed."
        ) from error


def write_labels(folder: Path, items: Iterable[Item], suffix: str) -> int:
    """Writes the table of the labels of images while they are written, and gives their number.

    Args:
        folder: Where it is put.
        items: The images, each of which has been written when the next one is asked for.
        suffix: Ending of the files of images.
    """
    count = 0
    with (folder / LABELS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for count, item in enumerate(items, start=1):
            mask = [] if item.mask is None else [f"{item.name}-mask{suffix}"]
            if count == 1:
                writer.writerow(["file", *item.labels, *["mask"] * len(mask)])
            writer.writerow([f"{item.name}{suffix}", *item.labels.values(), *mask])
    return count


def _check_place(target: Path, *, force: bool) -> None:
    if not target.name or not target.parent.is_dir():
        raise OutputError(f"path={str(target)!r}: the folder {str(target.parent)!r} does not exist; create it first.")
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise OutputError(f"path={str(target)!r} exists and is no folder; name another one.")
    names = [entry.name for entry in os.scandir(target)]
    if names and not force:
        raise OutputError(f"path={str(target)!r} exists; choose another name, or replace it (--force, force=True).")
    if any(name != LABELS and not _OURS.fullmatch(name) for name in names):
        raise OutputError(f"path={str(target)!r} holds other files than synthetic images; name another folder.")


def _publish(hidden: Path, target: Path, *, force: bool) -> None:
    _check_place(target, force=force)  # somebody may have put something there meanwhile
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
