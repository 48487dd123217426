"""Folders of what several hospitals do together, beside the projects; their names cannot be those of projects."""

from __future__ import annotations

from pathlib import Path

from wardgan.web.steward.project import MissingError, check_name, new_folder


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
