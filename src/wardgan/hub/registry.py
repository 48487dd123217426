"""A hub that is an OCI registry: the few calls of the OCI distribution specification 1.1 that releases need.

What a registry answers is not believed: readers check each digest (`store.checked`). Calls that fail for a moment are
repeated with growing pauses, and a blob goes on where it stopped, in both directions.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final, cast
from urllib.parse import urljoin

import httpx

from wardgan._version import __version__
from wardgan.errors import HubError
from wardgan.hub.logins import Login
from wardgan.hub.store import MANIFEST_CAP, Advance, digest_of
from wardgan.hub.target import is_digest, is_name, is_tag, loopback
from wardgan.seal.records import MANIFEST_TYPE

TRIES: Final = 5
_PIECE: Final = 32 << 20
_PAGES: Final = 10_000
_LIST_CAP: Final = 16 << 20
_TIMEOUT: Final = httpx.Timeout(60.0, connect=15.0)
_LATER: Final = frozenset({429, 500, 502, 503, 504})
_LONGEST_PAUSE: Final = 30.0


class _Sent:
    """How many bytes of a blob have arrived."""

    def __init__(self, advance: Advance) -> None:
        self.count = 0
        self._advance = advance

    def reach(self, count: int) -> None:
        self._advance(count - self.count)
        self.count = count


class Registry:
    """An OCI registry.

    Args:
        place: Its host, perhaps with a port.
        plain: HTTP without TLS: everybody on the way could read the password, though not change a byte unseen.
            Registries on this machine speak it by default.
        pause: How to wait, in seconds.
        transport: How bytes travel; `None` for the network.
    """

    def __init__(
        self, place: str, *, plain: bool = False, pause: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._place = place
        self._pause = pause
        plain = plain or loopback(place)
        self._client = httpx.Client(
            base_url=f"{'http' if plain else 'https'}://{place}", auth=Login(place, plain=plain), timeout=_TIMEOUT,
            headers={"User-Agent": f"wardgan/{__version__}", "Accept-Encoding": "identity"}, transport=transport,
        )  # fmt: skip

    @property
    def place(self) -> str:
        """The host."""
        return self._place

    def close(self) -> None:
        """Hangs up."""
        self._client.close()

    def names(self) -> list[str]:
        """Gives the names of which there are releases, sorted, as far as the registry tells them.

        Raises:
            HubError: It cannot be reached, or does not tell.
        """
        found = self._listed("/v2/_catalog?n=1000", "repositories", "names of all repositories")
        return sorted({name for name in found or [] if is_name(name)})

    def tags(self, name: str) -> list[str]:
        """Gives the tags of a name, sorted; none if there is no such name.

        Args:
            name: Such as `cardio/sprint`.

        Raises:
            HubError: It cannot be reached, or refuses.
        """
        found = self._listed(f"/v2/{name}/tags/list?n=1000", "tags", f"tags of {name}")
        return sorted({tag for tag in found or [] if is_tag(tag)})

    def manifest(self, name: str, reference: str) -> bytes | None:
        """Gives a manifest by its tag, or by its digest; `None` if there is none.

        Args:
            name: Such as `cardio/sprint`.
            reference: Tag or digest.

        Raises:
            HubError: The registry cannot be reached, refuses, or sends too much, or something else than was asked for.
        """
        response = self._ask(
            "GET", f"/v2/{name}/manifests/{reference}", headers={"Accept": MANIFEST_TYPE}, cap=MANIFEST_CAP
        )
        if response.status_code == 404:
            return None
        self._good(response, f"{name}:{reference}", 200)
        if is_digest(reference) and digest_of(response.content) != reference:
            raise HubError(f"{self.place}: sent other bytes for {reference}: damaged or forged.")
        return response.content

    def publish(self, name: str, tag: str, data: bytes, *, replace: bool = False) -> None:
        """Gives a manifest a tag; see `Store.publish`.

        A registry has no way of changing a tag only if nobody else has. So the tag is read before, and again behind it:
        of two who publish at the same moment one is told that it lost, unless the other comes between these two calls.

        Args:
            name: Such as `cardio/sprint`.
            tag: Such as `1.0`.
            data: The manifest.
            replace: Whether another one may be replaced.

        Raises:
            HubError: Another one is there, or came at the same moment; or the registry refuses.
        """
        there = self.manifest(name, tag)
        if there == data:
            return
        if there is not None and not replace:
            raise HubError(
                f"{self.place} has another {name}:{tag} already, {digest_of(there)[:23]}...; choose another tag, or "
                "replace it (--force, force=True)."
            )
        response = self._ask(
            "PUT", f"/v2/{name}/manifests/{tag}", headers={"Content-Type": MANIFEST_TYPE}, content=data
        )
        self._good(response, f"{name}:{tag}", 201)
        if self.manifest(name, tag) != data:
            raise HubError(
                f"{self.place}: somebody else published {name}:{tag} at the same moment; choose another tag."
            )

    def has(self, name: str, digest: str, size: int) -> bool:
        """Whether the registry says that it has bytes.

        Args:
            name: For whose releases.
            digest: Of the bytes.
            size: How many.
        """
        response = self._ask("HEAD", f"/v2/{name}/blobs/{digest}", follow=True)
        if response.status_code != 404:
            self._good(response, digest, 200)
        return response.status_code == 200 and response.headers.get("Content-Length", str(size)) == str(size)

    def put(self, name: str, digest: str, size: int, source: BinaryIO, advance: Advance) -> None:
        """Brings bytes in, whole or not at all; see `Store.put`.

        Args:
            name: For whose releases.
            digest: Of the bytes.
            size: How many.
            source: Where they begin.
            advance: Is called with how many have arrived.

        Raises:
            HubError: The registry cannot be reached, or refuses.
        """
        begin = source.tell()
        for tried in range(1, TRIES + 1):
            source.seek(begin)
            sent = _Sent(advance)
            if self._uploaded(name, digest, size, source, sent) or self.has(name, digest, size):
                sent.reach(size)
                return
            sent.reach(0)
            self._wait(tried, None)
        raise HubError(f"{self.place}: {digest} did not arrive in {TRIES} tries; try again later.")

    def _uploaded(self, name: str, digest: str, size: int, source: BinaryIO, sent: _Sent) -> bool:
        """Sends bytes; gives whether they arrived, or the upload was lost and must begin anew."""
        begin = source.tell()
        response = self._ask("POST", f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})
        self._good(response, "an upload", 202)
        while size - sent.count > _PIECE:
            source.seek(begin + sent.count)
            found = self._piece(self._next(response), source.read(_PIECE), sent.count)
            if found is None:
                return False
            sent.reach(_arrived(found))
            response = found
        source.seek(begin + sent.count)
        where = httpx.URL(self._next(response)).copy_merge_params({"digest": digest})
        headers = {"Content-Type": "application/octet-stream"}
        response = self._ask("PUT", where, content=source.read(size - sent.count), headers=headers, again=False)
        if response.status_code not in {400, 404, 416, *_LATER}:
            self._good(response, digest, 201)
        return response.status_code == 201

    def blob(self, name: str, digest: str, size: int, begin: int = 0) -> Iterator[bytes]:
        """Yields bytes from a position on, and goes on where a broken line stopped; see `Store.blob`.

        Args:
            name: Of whose releases.
            digest: Of the bytes.
            size: How many there are, as the manifest says.
            begin: Where to begin.

        Raises:
            HubError: The registry cannot be reached, or has no such bytes.
        """
        tried = 0
        while True:
            try:
                for chunk in self._stream(f"/v2/{name}/blobs/{digest}", digest, begin):
                    begin, tried = begin + len(chunk), 0
                    yield chunk
                    if begin > size:
                        return
                return
            except httpx.TransportError as error:
                tried += 1
                if tried == TRIES:
                    raise self._gone(error) from error
                self._wait(tried, None)

    def _stream(self, path: str, digest: str, begin: int) -> Iterator[bytes]:
        headers = {"Range": f"bytes={begin}-"} if begin else {}
        for tried in range(1, TRIES + 1):
            with self._client.stream("GET", path, headers=headers, follow_redirects=True) as response:
                if response.status_code in _LATER and tried < TRIES:
                    self._wait(tried, response.headers.get("Retry-After"))
                    continue
                if begin and response.status_code == 416:
                    return  # everything had come
                response.read() if response.status_code >= 400 else None
                self._good(response, digest, 200, 206)
                skip = begin if response.status_code == 200 else 0
                for chunk in self._bytes(response):
                    yield chunk[skip:]
                    skip = max(0, skip - len(chunk))
                return

    def _piece(self, where: str, data: bytes, done: int) -> httpx.Response | None:
        """Sends a piece of an upload; when the line breaks, asks how far it came. `None` if the upload is lost."""
        for tried in range(1, TRIES + 1):
            headers = {
                "Content-Type": "application/octet-stream", "Content-Range": f"{done}-{done + len(data) - 1}",
            }  # fmt: skip
            try:
                response = self._client.request("PATCH", where, content=data, headers=headers)
                if response.status_code == 202:
                    return response
                if response.status_code not in {404, 416, *_LATER}:
                    self._good(response, "a piece of an upload", 202)
            except httpx.TransportError as error:
                if tried == TRIES:
                    raise self._gone(error) from error
            self._wait(tried, None)
            state = self._ask("GET", where)
            if state.status_code != 204:
                return None
            if _arrived(state) > done:
                return state
            where = self._next(state)
        return None

    def _next(self, response: httpx.Response) -> str:
        where = response.headers.get("Location", "")
        if not where:
            raise HubError(f"{self.place}: did not say where to send the bytes.")
        return urljoin(str(response.request.url), where)

    def _listed(self, path: str, field: str, what: str) -> list[str] | None:
        found: list[str] = []
        for _ in range(_PAGES):
            response = self._ask("GET", path, cap=_LIST_CAP)
            if response.status_code == 404:
                return found or None
            self._good(response, what, 200)
            try:
                page = cast("object", response.json())
            except ValueError as error:
                raise HubError(f"{self.place}: the {what} came as no JSON.") from error
            listed = cast("Mapping[str, object]", page).get(field) if isinstance(page, dict) else None
            found += [one for one in cast("list[object]", listed or []) if isinstance(one, str)]
            link = re.match(r'\s*<([^>]+)>\s*;\s*rel="?next"?', response.headers.get("Link", ""))
            if link is None:
                return found
            path = urljoin(str(response.request.url), link[1])
            if httpx.URL(path).netloc != self._client.base_url.netloc:
                raise HubError(f"{self.place}: the list of {what} goes on at another host.")
        raise HubError(f"{self.place}: the list of {what} does not end.")

    def _ask(
        self, method: str, path: str | httpx.URL, *, content: bytes | None = None, follow: bool = False,
        headers: Mapping[str, str] | None = None, cap: int = _LIST_CAP, again: bool = True,
    ) -> httpx.Response:  # fmt: skip
        """Asks, and asks again when the registry is busy or the line breaks."""
        for tried in range(1, TRIES + 1):
            try:
                response = self._read(method, path, content, headers or {}, cap, follow=follow)
                if response.status_code not in _LATER or tried == TRIES or not again:
                    return response
                self._wait(tried, response.headers.get("Retry-After"))
            except httpx.TransportError as error:
                if tried == TRIES:
                    raise self._gone(error) from error
                self._wait(tried, None)
        raise AssertionError  # pragma: no cover - the last try returns or raises

    def _read(
        self, method: str, path: str | httpx.URL, content: bytes | None, headers: Mapping[str, str], cap: int, *,
        follow: bool,
    ) -> httpx.Response:  # fmt: skip
        request = self._client.build_request(method, path, content=content, headers=headers)
        response = self._client.send(request, stream=True, follow_redirects=follow)
        try:
            found = bytearray()
            for chunk in self._bytes(response):
                found += chunk
                if len(found) > cap:
                    raise HubError(f"{self.place}: sent more than {cap:,} bytes where few were expected.")
        finally:
            response.close()
        return httpx.Response(
            response.status_code, headers=_plain(response), content=bytes(found), request=response.request
        )

    def _bytes(self, response: httpx.Response) -> Iterator[bytes]:
        """Yields an answer as it came: a compressed one could unfold to any size."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise HubError(f"{self.place}: sent compressed bytes, which nobody asked for.")
        return response.iter_bytes()

    def _good(self, response: httpx.Response, what: str, *wanted: int) -> None:
        """Refuses an answer that is not the one that was wanted."""
        code = response.status_code
        if code in wanted:
            return
        if code in (401, 403):
            raise HubError(
                f"{self.place}: refuses {what} (HTTP {code}); sign in with docker login {self.place}, or ask its "
                "keeper."
            )
        if code == 404:
            raise HubError(f"{self.place}: has no {what}.")
        if code == 507:
            raise HubError(f"{self.place}: has no room left.")
        raise HubError(f"{self.place}: answered HTTP {code} for {what}{_reason(response)}.")

    def _gone(self, error: httpx.TransportError) -> HubError:
        name = type(error).__name__
        why = "its certificate is not trusted" if "CERTIFICATE_VERIFY" in str(error) else name
        hint = "; name the file of your hospital's certificates in SSL_CERT_FILE" if why != name else ""
        return HubError(f"{self.place} cannot be reached ({why}, tried {TRIES} times){hint}.")

    def _wait(self, tried: int, asked: str | None) -> None:
        # So that many clients do not come back at the same moment, each waits a little differently.
        pause = min(_LONGEST_PAUSE, 0.5 * 2**tried) * (0.5 + random.random())
        if asked is not None and asked.isdigit():
            pause = min(_LONGEST_PAUSE, float(asked))
        self._pause(pause)


def _arrived(response: httpx.Response) -> int:
    """Gives how many bytes of an upload a registry says that it has."""
    found = re.fullmatch(r"0-([0-9]{1,15})", response.headers.get("Range", ""))
    # An upload of nothing is told as 0-0.
    return int(found[1]) + 1 if found and found[1] != "0" else 0


def _plain(response: httpx.Response) -> dict[str, str]:
    """Gives the headers of an answer that has been unpacked."""
    skipped = {"content-encoding", "transfer-encoding"}
    return {name: value for name, value in response.headers.items() if name.casefold() not in skipped}


def _reason(response: httpx.Response) -> str:
    """Gives what a registry says about a refusal, if it can be shown."""
    try:
        found = cast("dict[str, list[dict[str, object]]]", response.json())
        said = str(found["errors"][0]["message"])[:200]
    except (ValueError, LookupError, TypeError):
        return ""
    return f": {said}" if said.isprintable() else ""
