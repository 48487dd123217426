"""How often somebody may ask, and where from."""

from __future__ import annotations

import time
from collections import OrderedDict
from ipaddress import ip_address, ip_network
from threading import Lock
from typing import Final

from starlette.requests import Request

from wardgan.web.workers import BusyError

_KEYS: Final = 20_000


class LimitedError(BusyError):
    """Somebody asks too often."""


class Pace:
    """How often something may be done: a number of times within some seconds, for each of many.

    Args:
        most: How often.
        seconds: Within which time.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._seen: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def left(self, who: str, *, spend: float = 1.0) -> bool:
        """Takes one time, and tells whether there was one left.

        Args:
            who: Who does it.
            spend: How many are taken; 0 only asks.
        """
        now = time.monotonic()
        with self._lock:
            left, since = self._seen.pop(who, (float(self._most), now))
            left = min(float(self._most), left + (now - since) * self._most / self._seconds)
            able = left >= 1.0
            self._seen[who] = (left - spend if able else left, now)
            while len(self._seen) > _KEYS:
                self._seen.popitem(last=False)
        return able


def address_of(request: Request) -> str:
    """Gives where a request comes from: of IPv6 the network, since each machine has as many addresses as it likes.

    Args:
        request: What is asked.
    """
    text = request.client.host if request.client else ""
    try:
        found = ip_address(text)
    except ValueError:
        return "unknown"
    # A socket that listens for both kinds gives those of IPv4 as part of IPv6.
    found = getattr(found, "ipv4_mapped", None) or found
    return str(found) if found.version == 4 else str(ip_network((found, 64), strict=False))
