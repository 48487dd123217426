"""Folders of what several hospitals do together, beside the projects; their names cannot be those of projects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from wardgan.errors import UsageError
from wardgan.web.steward.project import MissingError, check_name, new_folder

_FILE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9])?")


def folders(home: Path, under: str) -> list[Path]:
    """Gives all that was begun of one kind, by name.

    Args:
        home: The steward's folder.
        under: Name of the kind's folder, such as `_combined`.
    """
    place = home / under
    return [path for path in sorted(place.iterdir()) if path.is_dir()] if place.is_dir() else []


def folder_of(home: Path, under: str, name: str) -> Path:
    """Gives one of them.

    Args:
        home: The steward's folder.
        under: Name of the kind's folder.
        name: Of it.

    Raises:
        MissingError: There is none of that name.
    """
    found = next((one for one in folders(home, under) if one.name == name), None)
    if found is None:
        raise MissingError(f"There is nothing here that is called {name[:40]!r}.")
    return found


def begin_folder(home: Path, under: str, name: str) -> Path:
    """Makes a folder that its owner alone can read.

    Args:
        home: The steward's folder.
        under: Name of the kind's folder.
        name: Small letters, digits and dashes.

    Raises:
        UsageError: The name is none, or taken.
    """
    check_name(name)
    (home / under).mkdir(mode=0o700, exist_ok=True)
    return new_folder(home / under, name)


def check_file_name(name: str, what: str) -> None:
    """Refuses a name that may be no file's here, such as one that leads elsewhere.

    Args:
        name: Of the file, without the ending.
        what: What it was given as, for messages.

    Raises:
        UsageError: It is none.
    """
    if not _FILE.fullmatch(name):
        raise UsageError(f"{what}={name[:60]!r}: its file must be called by letters, digits, dots, - and _ alone.")
