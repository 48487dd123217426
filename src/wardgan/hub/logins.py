"""Signing in at a registry: the user that `docker login`, `podman login` or `skopeo login` wrote down, and tokens.

A registry answers 401 and says how it wants to know who asks: by name and password (RFC 7617), or by a token that
another address gives for them (distribution, token authentication specification). Both are for that registry alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

import httpx

from wardgan.errors import HubError, UsageError

_CAP: Final = 1 << 20
_PARAM: Final = re.compile(r'([a-zA-Z]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')


class Login(httpx.Auth):
    """Answers a registry that asks who is there.

    Args:
        place: The registry's host, with its port.
        plain: Whether it speaks HTTP without TLS.
    """

    def __init__(self, place: str, *, plain: bool) -> None:
        self._place = place
        self._plain = plain
        self._header: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sends a request, and again with what the registry asked for.

        Args:
            request: What is asked.

        Raises:
            HubError: It asks for something that nobody has, or in a way that is not known.
        """
        mine = request.url.netloc.decode() == self._place
        if self._header and mine:
            request.headers["Authorization"] = self._header
        response = yield request
        if response.status_code != 401 or not mine:
            return
        response.read()
        scheme, params = _challenge(response.headers.get("WWW-Authenticate", ""))
        if scheme == "basic":
            header = self._basic(needed=True)
        elif scheme == "bearer":
            found = yield self._token_request(params)
            found.read()
            header = "Bearer " + _token(found, self._place)
        else:
            raise HubError(f"{self._place}: asks for a way of signing in that is not known ({scheme or 'none named'}).")
        if header == self._header and scheme == "basic":
            return
        self._header = header
        request.headers["Authorization"] = str(header)
        yield request

    def _basic(self, *, needed: bool) -> str | None:
        known = user_of(self._place)
        if known is None and needed:
            raise HubError(
                f"{self._place}: asks who you are; sign in with: docker login {self._place} (or skopeo login)."
            )
        return None if known is None else "Basic " + base64.b64encode(known.encode()).decode()

    def _token_request(self, params: dict[str, str]) -> httpx.Request:
        realm = urlsplit(params.get("realm", ""))
        if realm.scheme != "https" and not (self._plain and realm.scheme == "http"):
            raise HubError(f"{self._place}: sends who signs in to an address without TLS; ask its keeper.")
        asked = {name: params[name] for name in ("service", "scope") if name in params}
        known = self._basic(needed=False)
        return httpx.Request(
            "GET", params["realm"], params=asked, headers={} if known is None else {"Authorization": known}
        )  # fmt: skip


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
            found = cast("object", json.loads(data))
        except (OSError, ValueError) as error:
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
    for name in (place, f"https://{place}", f"https://{place}/v2/"):
        entry = entries.get(name)
        if not isinstance(entry, dict):
            continue
        auth = cast("dict[str, object]", entry).get("auth")
        if isinstance(auth, str) and auth:
            try:
                return base64.b64decode(auth, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise UsageError(f"{str(path)!r}: the entry of {place} is malformed; sign in again.") from error
        raise UsageError(
            f"{str(path)!r} leaves the password of {place} to another program, which is not asked here; sign in with "
            f"skopeo login --authfile FILE {place}, and set REGISTRY_AUTH_FILE=FILE."
        )
    return None


def _challenge(header: str) -> tuple[str, dict[str, str]]:
    scheme, _, rest = header.strip().partition(" ")
    return scheme.casefold(), {name.casefold(): one or two for name, one, two in _PARAM.findall(rest)}


def _token(response: httpx.Response, place: str) -> str:
    if response.status_code in (401, 403):
        raise HubError(f"{place}: your sign-in was refused; sign in again, or ask its keeper for the right.")
    try:
        found = cast("object", response.json()) if response.status_code == 200 else None
    except ValueError:
        found = None
    given = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    token = given.get("token") or given.get("access_token")
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]{1,65536}", token):
        raise HubError(f"{place}: gave no token (HTTP {response.status_code}).")
    return token
