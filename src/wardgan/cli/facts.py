"""What `wardgan --version` says: what a fault may depend on, and nothing about the person who met it."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from importlib import metadata
from typing import Final

from wardgan._version import __version__

_REQUIREMENT: Final = re.compile(r"(?P<name>[\w.-]+)(?:.*extra == ['\"](?P<extra>[\w.-]+)['\"])?")
# Who develops the package has these, and nobody else needs to know.
_HIDDEN: Final = ("dev", "docs")


def facts() -> str:
    r"""Gives the version, the platform, and the version of each library that wardgan uses, by extra.

    Nothing is imported for it, so torch costs no second.

    Returns:
        Lines of plain text. The first is `wardgan` and the version, and nothing else.

    Example:
        >>> facts().splitlines()[0].split()[0]
        'wardgan'
    """
    python = f"{platform.python_implementation()} {platform.python_version()}"
    rows = [("python", python), ("platform", platform.platform()), *_libraries()]
    return "\n".join([f"wardgan {__version__}", *(f"{name:<13}{text}" for name, text in rows)])


def _libraries() -> list[tuple[str, str]]:
    try:
        needed = metadata.requires("wardgan") or []
    except metadata.PackageNotFoundError:
        return [("libraries", "unknown, for wardgan itself is not installed")]
    return [(group, _told(names)) for group, names in _groups(needed).items()]


def _groups(needed: Iterable[str]) -> dict[str, list[str]]:
    """Gives the libraries of the core and of each extra; extras that only name other extras are left out."""
    found: dict[str, list[str]] = {}
    for requirement in needed:
        parts = _REQUIREMENT.match(requirement)
        if parts is not None and parts["name"] != "wardgan" and parts["extra"] not in _HIDDEN:
            found.setdefault("core" if parts["extra"] is None else f"[{parts['extra']}]", []).append(parts["name"])
    return found


def _told(names: Iterable[str]) -> str:
    versions = {name: _version(name) for name in names}
    if not any(versions.values()):
        return "not installed"
    return ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
