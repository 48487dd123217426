"""Signing in at a registry: the user that `docker login`, `podman login` or `skopeo login` wrote down, and tokens.

A registry answers 401 and says how it wants to know who asks: by name and password (RFC 7617), or by a token that
another address gives for them (distribution, token authentication specification). Both are for that registry alone.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, cast

import httpx2

from wardgan.errors import FormatError, HubError, UsageError
from wardgan.hub.target import loopback
from wardgan.seal.json_text import parse

_CAP: Final = 1 << 20
_PARAM: Final = re.compile(r'([a-zA-Z]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')


class Login:
    """Who asks a registry, as far as it wants to know; and nobody else is told.

    Args:
        place: The registry's host, with its port, as a person writes it.
        base: Its address. What comes from another scheme, host or port is somebody else.
        fetch: Sends a request without any sign-in, and gives the status and the body of the answer.
    """

    def __init__(
        self, place: str, base: httpx2.URL, fetch: Callable[[httpx2.URL, Mapping[str, str]], tuple[int, bytes]]
    ) -> None:
        self._place = place
        self._base = base
        self._fetch = fetch
        self._header: str | None = None

    def header(self, url: httpx2.URL) -> dict[str, str]:
        """Gives the header that says who asks; none for somebody else's address.

        Args:
            url: Who is asked.
        """
        return {"Authorization": self._header} if self._header and self._same(url) else {}

    def asked(self, response: httpx2.Response) -> bool:
        """Whether an answer is the registry's question who is there.

        Args:
            response: The answer.
        """
        return response.status_code == 401 and self._same(response.url)

    def learn(self, challenge: str) -> None:
        """Finds what a registry wants to know.

        Args:
            challenge: The header by which it asked.

        Raises:
            HubError: It asks for something that nobody has, or in a way that is not known.
        """
        scheme, params = _challenge(challenge)
        if scheme == "basic":
            header = self._basic(needed=True)
        elif scheme == "bearer":
            header = "Bearer " + self._token(params)
        else:
            named = scheme if re.fullmatch("[a-z-]{1,20}", scheme) else "none that can be shown"
            raise HubError(f"{self._place}: asks for a way of signing in that is not known ({named}).")
        if header == self._header:
            raise HubError(f"{self._place}: refuses your sign-in; sign in again, or ask its keeper for the right.")
        self._header = header

    def _same(self, url: httpx2.URL) -> bool:
        return (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port)

    def _basic(self, *, needed: bool) -> str | None:
        known = user_of(self._place)
        if known is None and needed:
            raise HubError(
                f"{self._place}: asks who you are; sign in with: docker login {self._place} (or skopeo login)."
            )
        return None if known is None else "Basic " + base64.b64encode(known.encode()).decode()

    def _token(self, params: dict[str, str]) -> str:
        try:
            realm = httpx2.URL(params.get("realm", ""))
            netloc = realm.netloc.decode()
        except (httpx2.InvalidURL, ValueError) as error:
            raise HubError(f"{self._place}: sends who signs in to an address that is none.") from error
        here = realm.scheme == "http" and self._base.scheme == "http" and (self._same(realm) or loopback(netloc))
        if (realm.scheme != "https" and not here) or not realm.host:
            raise HubError(f"{self._place}: sends who signs in to an address without TLS; ask its keeper.")
        asked = {name: params[name] for name in ("service", "scope") if name in params}
        known = self._basic(needed=False)
        status, body = self._fetch(realm.copy_merge_params(asked), {} if known is None else {"Authorization": known})
        if status in (401, 403):
            raise HubError(f"{self._place}: refuses your sign-in; sign in again, or ask its keeper for the right.")
        try:
            given = parse(body, what="token", cap=_CAP) if status == 200 else None
        except FormatError:
            given = None
        answer = cast("dict[str, object]", given) if isinstance(given, dict) else {}
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]{1,65536}", token):
            raise HubError(f"{self._place}: gave no token (HTTP {status}).")
        return token


def user_of(place: str) -> str | None:
    """Gives `user:password` for a registry, if somebody signed in on this machine.

    Looked for in `$REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json`, `$XDG_RUNTIME_DIR/containers/auth.json`,
    `~/.config/containers/auth.json` and `~/.docker/config.json`, in this order.

    Args:
        place: The registry's host, with its port.

    Raises:
        UsageError: A file cannot be read, or leaves the password to another program.
    """
    for path in _files():
        try:
            data = path.read_bytes()[:_CAP] if path.is_file() else b"{}"
            found = parse(data, what="sign-ins", cap=_CAP)
        except (OSError, FormatError) as error:
            raise UsageError(f"{str(path)!r} cannot be read as a file of sign-ins: {type(error).__name__}.") from error
        known = _in_file(cast("dict[str, object]", found) if isinstance(found, dict) else {}, place, path)
        if known is not None:
            return known
    return None


def _files() -> Iterator[Path]:
    home = Path.home()
    for variable, rest in (
        ("REGISTRY_AUTH_FILE", ""), ("DOCKER_CONFIG", "config.json"), ("XDG_RUNTIME_DIR", "containers/auth.json"),
    ):  # fmt: skip
        base = os.environ.get(variable)
        if base:
            yield Path(base) / rest if rest else Path(base)
    yield home / ".config" / "containers" / "auth.json"
    yield home / ".docker" / "config.json"


def _in_file(found: dict[str, object], place: str, path: Path) -> str | None:
    auths = found.get("auths")
    entries = cast("dict[str, object]", auths) if isinstance(auths, dict) else {}
    # skopeo writes down names below a host, too; a sign-in for one name is good enough to ask with.
    below = [name for name in entries if name.startswith(f"{place}/")]
    for name in (place, f"https://{place}", f"https://{place}/v2/", *below[:1]):
        entry = entries.get(name)
        if not isinstance(entry, dict):
            continue
        auth = cast("dict[str, object]", entry).get("auth")
        if isinstance(auth, str) and auth:
            try:
                return base64.b64decode(auth, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise UsageError(f"{str(path)!r}: the entry of {place} is malformed; sign in again.") from error
        if cast("dict[str, object]", entry).get("identitytoken"):
            raise UsageError(
                f"{str(path)!r} has an identity token for {place}, which is not known here; sign in again."
            )
        raise UsageError(
            f"{str(path)!r} leaves the password of {place} to another program, which is not asked here; sign in with "
            f"skopeo login --authfile FILE {place}, and set REGISTRY_AUTH_FILE=FILE."
        )
    return None


def _challenge(header: str) -> tuple[str, dict[str, str]]:
    scheme, _, rest = header.strip().partition(" ")
    return scheme.casefold(), {name.casefold(): one or two for name, one, two in _PARAM.findall(rest)}
