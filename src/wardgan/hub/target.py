"""What people write to say where a release is: a hub, a name, a tag, a digest."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wardgan.errors import UsageError

DEFAULT: Final = "./hub"
_DEFAULT_BY: Final = "WARDGAN_HUB"
# OCI distribution specification 1.1, "Pulling manifests".
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:]{2,45}\])(?::[0-9]{1,5})?")
_LABEL: Final = re.compile(r"(?!xn--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LONGEST: Final = 200
_REVOKED: Final = "revoked-"
_KEY: Final = 32


@dataclass(frozen=True)
class Target:
    """A release in a hub, as far as somebody named it.

    Attributes:
        place: The hub: a folder, the host of a registry with its port, such as `registry.hospital.example:5000`, or
            the address of a hub's pages, such as `https://hub.hospital.example`.
        folder: Whether the hub is a folder.
        name: Of the releases that belong together, such as `cardio/sprint`; `None` if only a hub was named.
        tag: Which of them; `None` for the newest.
        digest: What it must be: the digest of the release, or of its manifest in the hub; `None` for whatever is there.
    """

    place: str
    folder: bool
    name: str | None = None
    tag: str | None = None
    digest: str | None = None

    @property
    def pages(self) -> bool:
        """Whether the hub is one behind its pages, such as `https://hub.hospital.example`."""
        return not self.folder and "://" in self.place

    @property
    def label(self) -> str | None:
        """Name, tag and digest, as far as they are known; `None` if only a hub was named."""
        if self.name is None:
            return None
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.place if self.label is None else f"{self.place}{':' if self.folder else '/'}{self.label}"


def default_hub() -> str:
    """Gives the hub that is meant where none is named: that of `$WARDGAN_HUB`, or `./hub`."""
    return os.environ.get(_DEFAULT_BY) or DEFAULT


def target_of(text: str | Path) -> Target:
    """Gives what a person means by a target.

    `./hub`, `/data/hub` or `~/hub` is a folder, and `./hub:cardio/sprint:1.0` a release in it;
    `registry.hospital.example/cardio/sprint:1.0` a release in a registry, whose host has a dot, a port, or is
    `localhost`; anything else, such as `cardio/sprint:1.0`, a release in the default hub: the folder or the registry of
    `$WARDGAN_HUB`, else `./hub`; `https://hub.hospital.example/cardio/sprint:1.0` one behind the pages of a hub.
    `@sha256:...` behind it says which release it must be.

    Args:
        text: What the person wrote.

    Raises:
        UsageError: It is none of these, or a name, a tag or a digest is malformed.

    Example:
        >>> target_of("registry.hospital.example/cardio/sprint:1.0").name
        'cardio/sprint'
        >>> str(target_of("./hub:cardio/sprint:1.0"))
        './hub:cardio/sprint:1.0'
        >>> target_of("./hub").name is None
        True
    """
    given = _given(text, "target")
    if (pages := _pages(given)) is not None:
        return _named(Target(pages[0], folder=False), pages[1], given)
    folder = _folder_in(given)
    if folder is not None:
        place, _, rest = folder.partition(":")
        return _named(Target(place, folder=True), rest, given)
    first, slash, rest = given.partition("/")
    if slash and _is_host(first):
        return _named(Target(_host(first), folder=False), rest, given)
    if not slash and _is_host(re.split("[:@]", given)[0]):
        raise UsageError(
            f"target={given!r} may be a registry or a name: write {given.partition(':')[0]}/NAME for the registry, or "
            f"./hub:{given} for the name."
        )
    return release_in(hub_of(default_hub()), given)


def release_in(hub: Target, name: str) -> Target:
    """Gives a release of a hub.

    Args:
        hub: The hub, perhaps with the beginning of all names.
        name: Such as `cardio/sprint`, `cardio/sprint:1.0` or `cardio/sprint@sha256:...`.

    Raises:
        UsageError: It is none.
    """
    given = _given(name, "name")
    return _named(Target(hub.place, hub.folder), f"{hub.name}/{given}" if hub.name else given, given)


def hub_of(text: str | Path) -> Target:
    """Gives which hub a person means: a folder, or the host of a registry, perhaps with the beginning of all names.

    Args:
        text: Such as `./hub`, `registry.hospital.example` or `registry.hospital.example/cardio`.

    Raises:
        UsageError: It is neither.

    Example:
        >>> hub_of("r.example:5000/cardio")
        Target(place='r.example:5000', folder=False, name='cardio', tag=None, digest=None)
    """
    given = _given(text, "hub")
    if isinstance(text, Path):
        return Target(_as_folder(given), folder=True)
    if (pages := _pages(given)) is not None:
        return _hub_named(Target(pages[0], folder=False), pages[1], given)
    first, slash, rest = given.partition("/")
    folder = _folder_in(given)
    if folder is not None and ":" in folder:
        raise UsageError(f"hub={given!r} names a release; name the hub alone.")
    if folder is None and _is_host(first):
        return _hub_named(Target(_host(first), folder=False), rest if slash else "", given)
    if folder is None and ":" in given:
        raise UsageError(f"hub={given!r} is neither a folder nor the host of a registry.")
    return Target(_as_folder(given if folder is None else folder), folder=True)


def check_tag(tag: str) -> None:
    """Refuses what is no tag of a release.

    Args:
        tag: The tag.

    Raises:
        UsageError: Says why.
    """
    if not _TAG.fullmatch(tag):
        raise UsageError(f"tag={tag!r}: a tag has letters, digits, dots, - and _, at most 128, such as 1.0.")
    if tag.startswith(_REVOKED):
        raise UsageError(f"tag={tag!r}: such tags hold revocations; choose another one.")


def revocation_tag(digest: str, keyid: str = "") -> str:
    """Gives the tag under which somebody's revocation of a release lies; nobody's stands in the way of another's.

    Args:
        digest: Of the release.
        keyid: Of the key that revokes; without it, the beginning that all revocations of the release share.
    """
    return f"{_REVOKED}{digest.removeprefix('sha256:')}-{keyid[:_KEY]}"


def is_revocation(tag: str) -> bool:
    """Whether a tag is that of a revocation.

    Args:
        tag: The tag.
    """
    return re.fullmatch(_REVOKED + f"[0-9a-f]{{64}}-[0-9a-f]{{{_KEY}}}", tag) is not None


def is_name(text: str) -> bool:
    """Whether a text can be the name of releases.

    Args:
        text: Such as `cardio/sprint`.
    """
    return len(text) <= _LONGEST and _NAME.fullmatch(text) is not None


def is_digest(text: object) -> bool:
    """Whether something is a digest.

    Args:
        text: Such as `sha256:` and 64 digits.
    """
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether a text can be a tag, of a release or of a revocation.

    Args:
        text: Such as `1.0`.
    """
    return _TAG.fullmatch(text) is not None


def name_for(title: str) -> str:
    """Gives a name for releases of a data set.

    Args:
        title: What the data set is called.

    Example:
        >>> name_for("SPRINT: blood pressure (2015)")
        'sprint-blood-pressure-2015'
    """
    words = re.findall(r"[a-z0-9]+", title.casefold())
    return "-".join(words)[:60].strip("-") or "generator"


def loopback(place: str) -> bool:
    """Whether a registry is on this very machine.

    Args:
        place: Host, perhaps with a port.

    Example:
        >>> loopback("localhost"), loopback("localhost.example"), loopback("[::1]:5000")
        (True, False, True)
    """
    host = place[: place.rindex(":")] if re.search(r":[0-9]+$", place) else place
    return host in {"localhost", "[::1]"} or re.fullmatch(r"127(?:\.[0-9]{1,3}){3}", host) is not None


def _as_folder(place: str) -> str:
    """Gives a folder as it must be written in a target."""
    return place if _folder_in(place) is not None else f"./{place}"


def _pages(given: str) -> tuple[str, str] | None:
    """Gives the address of a hub's pages, and what stands behind it; `None` if it is none."""
    found = re.fullmatch(r"(https?)://([^/?#]*)/?(.*)", given)
    if found is None:
        return None
    if not _HOST.fullmatch(found[2]):
        raise UsageError(f"target={given!r}: {found[2]!r} is not the host of a hub, such as hub.hospital.example.")
    return f"{found[1]}://{found[2].lower()}", found[3]


def _hub_named(hub: Target, rest: str, given: str) -> Target:
    found = _named(hub, rest, given)
    if found.tag is None and found.digest is None:
        return found
    raise UsageError(f"hub={given!r} names a release; name the hub alone.")


def _named(hub: Target, rest: str, given: str) -> Target:
    if not rest:
        return hub
    left, at, digest = rest.partition("@")
    name, colon, tag = left.partition(":")
    if not is_name(name):
        raise UsageError(
            f"target={given!r}: the name {name!r} has other characters than small letters, digits, and . _ - / between "
            "them; such as cardio/sprint."
        )
    if colon:
        check_tag(tag)
    if at and not is_digest(digest):
        raise UsageError(f"target={given!r}: behind @ stands a digest, sha256: and 64 digits (0-9, a-f).")
    return Target(hub.place, hub.folder, name, tag if colon else None, digest if at else None)


def _given(text: str | Path, what: str) -> str:
    given = str(text)
    if "://" in given and not given.startswith(("http://", "https://")):
        raise UsageError(f"{what}={given!r}: leave out what stands before ://, such as registry.hospital.example/name.")
    spaced = " " in given and _folder_in(given) is None
    if not given or not given.isprintable() or spaced or len(given) > 4096:
        raise UsageError(f"{what}={given[:100]!r} is neither a folder nor a registry nor the name of a release.")
    return given


def _folder_in(given: str) -> str | None:
    """Gives what begins with a folder, `~` resolved; `None` if it does not."""
    if given.startswith("~"):
        return os.path.expanduser(given)
    return given if re.match(r"\.{0,2}/|\.{1,2}(?:$|:)", given) else None


def _is_host(text: str) -> bool:
    return text == "localhost" or "." in text or ":" in text


def _host(text: str) -> str:
    host, port = re.fullmatch(r"(.*?)(?::([0-9]{1,5}))?", text, re.DOTALL).groups()  # type: ignore[union-attr]
    numeric = host.startswith("[") or re.fullmatch("[0-9.]+", host)
    try:
        good = _HOST.fullmatch(text) is not None and int(port or 1) <= 65_535
        good = good and (not numeric or ipaddress.ip_address(host.strip("[]")) is not None)
        good = good and (bool(numeric) or all(_LABEL.fullmatch(label) for label in host.split(".")))
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"target: {text[:100]!r} is not the host of a registry, such as registry.hospital.example.")
    return text.lower()
