"""Tokens of hubs: each goes to its own hub, and to nobody else."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

import httpx2

from wardgan.errors import HubError, UsageError
from wardgan.hub.target import hub_of

TOKEN: Final = "WARDGAN_TOKEN"  # noqa: S105 - where it is, and not what it is
HUB: Final = "WARDGAN_HUB"


class Bearer:
    """A token for one hub, and for nobody else.

    Args:
        place: The hub.
        token: What its operator gave; `None` for none.
        base: Its address.
    """

    def __init__(self, place: str, token: str | None, base: httpx2.URL) -> None:
        self._place = place
        self._token = token
        self._base = base

    def header(self, url: httpx2.URL) -> dict[str, str]:
        """Gives the header that says who asks; none for somebody else's address.

        Args:
            url: Who is asked.
        """
        mine = _origin(url) == _origin(self._base)
        return {"Authorization": f"Bearer {self._token}"} if self._token and mine else {}

    def asked(self, response: httpx2.Response) -> bool:
        """Whether a hub's answer is its question who is there.

        Args:
            response: The answer.
        """
        return response.status_code == 401 and not self._token

    def learn(self, challenge: str) -> None:
        """Says that nobody knows a token.

        Args:
            challenge: The header by which the hub asked.

        Raises:
            HubError: Always.
        """
        del challenge
        raise HubError(
            f"{self._place}: asks who you are; put the token that its operator gave you into ${TOKEN}, and "
            f"{self._place} into $WARDGAN_HUB: a token goes to that hub alone. Several hubs: {TOKEN}='HOST=TOKEN ...'."
        )


def token_for(base: httpx2.URL) -> str | None:
    """Gives the token for a hub: `$WARDGAN_TOKEN` is for that of `$WARDGAN_HUB`, or names its hub itself.

    Args:
        base: Address of the hub.
    """
    for part in os.environ.get(TOKEN, "").split():
        host, named, token = part.rpartition("=")
        if host in (base.host, base.netloc.decode()) if named else _is_home(base):
            return token
    return None


def _is_home(base: httpx2.URL) -> bool:
    """Whether a hub is that of `$WARDGAN_HUB`."""
    with suppress(UsageError):
        home = hub_of(os.environ.get(HUB, "") or ".")
        return home.pages and _origin(httpx2.URL(home.place)) == _origin(base)
    return False


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
