"""A hub that is an OCI registry: the few calls of the OCI distribution specification 1.1 that releases need.

What a registry answers is not believed: readers check each digest (`store.checked`). A blob goes on where it stopped,
in both directions.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final, cast

import httpx2

from wardgan.errors import HubError
from wardgan.hub.line import LATER, LIST_CAP, SAID, TRIES, Answer, Line, json_of, reason_of
from wardgan.hub.store import MANIFEST_CAP, Advance
from wardgan.hub.target import is_digest, is_name, is_tag
from wardgan.seal.oci import digest_of
from wardgan.seal.records import MANIFEST_TYPE

_PIECE: Final = 32 << 20
_PAGES: Final = 10_000
_MOST_NAMES: Final = 1_000_000
_PROGRESS: Final = 1 << 16


class _Sent:
    """How many bytes of a blob have arrived."""

    def __init__(self, advance: Advance) -> None:
        self.count = 0
        self.why = ""
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
        transport: httpx2.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._line = Line(place, plain=True if plain else None, pause=pause, transport=transport)

    @property
    def place(self) -> str:
        """The host."""
        return self._line.place

    def close(self) -> None:
        """Hangs up."""
        self._line.close()

    def stamp(self) -> None:
        """Gives nothing: a registry does not tell when something has changed."""

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
        response = self._line.ask(
            "GET", f"/v2/{name}/manifests/{reference}", headers={"Accept": MANIFEST_TYPE}, cap=MANIFEST_CAP
        )
        if response.status == 404:
            return None
        self._line.good(response, f"{name}:{reference}", 200)
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
        response = self._line.ask(
            "PUT", f"/v2/{name}/manifests/{tag}", headers={"Content-Type": MANIFEST_TYPE}, content=data
        )
        self._line.good(response, f"{name}:{tag}", 201)
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
        response = self._line.ask("HEAD", f"/v2/{name}/blobs/{digest}", follow=True)
        if response.status != 404:
            self._line.good(response, digest, 200)
        return response.status == 200 and response.headers.get("Content-Length", str(size)) == str(size)

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
        begin, sent = source.tell(), _Sent(advance)
        for tried in range(1, TRIES + 1):
            source.seek(begin)
            if self._uploaded(name, digest, size, source, sent) or self.has(name, digest, size):
                sent.reach(size)
                return
            sent.reach(0)
            self._line.wait(tried, None)
        raise HubError(f"{self.place}: {digest} did not arrive in {TRIES} tries{sent.why}; try again later.")

    def _uploaded(self, name: str, digest: str, size: int, source: BinaryIO, sent: _Sent) -> bool:
        """Sends bytes; gives whether they arrived, or the upload was lost and must begin anew."""
        begin = source.tell()
        response = self._line.ask("POST", f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})
        self._line.good(response, "an upload", 202)
        while size - sent.count > _PIECE:
            source.seek(begin + sent.count)
            found = self._piece(self._next(response), source.read(_PIECE), sent.count)
            if found is None:
                return False
            sent.reach(_arrived(found))
            response = found
        source.seek(begin + sent.count)
        where = str(httpx2.URL(self._next(response)).copy_merge_params({"digest": digest}))
        headers = {"Content-Type": "application/octet-stream"}
        response = self._line.ask("PUT", where, content=source.read(size - sent.count), headers=headers, again=False)
        if response.status not in {400, 404, 416, *LATER}:
            self._line.good(response, digest, 201)
        sent.why = reason_of(response)
        return response.status == 201

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
        tried, since = 0, begin
        while True:
            try:
                for chunk in self._stream(f"/v2/{name}/blobs/{digest}", digest, begin):
                    begin += len(chunk)
                    yield chunk
                    if begin > size:
                        return
                return
            except httpx2.TransportError as error:
                # A line that breaks again and again without having brought anything to speak of is no line.
                tried, since = (1, begin) if begin - since >= _PROGRESS else (tried + 1, since)
                if tried == TRIES:
                    raise self._line.gone(error) from error
                self._line.wait(tried, None)

    def _stream(self, path: str, digest: str, begin: int) -> Iterator[bytes]:
        headers = {"Range": f"bytes={begin}-"} if begin else {}
        for tried in range(1, TRIES + 1):
            with self._line.sent("GET", path, headers=headers, follow=True) as response:
                if response.status_code in LATER and tried < TRIES:
                    self._line.wait(tried, response.headers.get("Retry-After"))
                    continue
                if begin and response.status_code == 416:
                    return  # everything had come
                if response.status_code not in (200, 206):
                    self._line.good(self._line.whole(response, SAID), digest, 200, 206)
                skip = begin if response.status_code == 200 else 0
                for chunk in self._line.bytes(response):
                    if len(chunk) > skip:
                        yield chunk[skip:]
                    skip = max(0, skip - len(chunk))
                return

    def _piece(self, where: str, data: bytes, done: int) -> Answer | None:
        """Sends a piece of an upload; when the line breaks, asks how far it came. `None` if the upload is lost."""
        headers = {
            "Content-Type": "application/octet-stream", "Content-Range": f"{done}-{done + len(data) - 1}",
        }  # fmt: skip
        for tried in range(1, TRIES + 1):
            asked = None
            try:
                response = self._line.once("PATCH", where, content=data, headers=headers)
                if response.status == 202:
                    return response if _arrived(response) > done else None
                if response.status not in {404, 416, *LATER}:
                    self._line.good(response, "a piece of an upload", 202)
                asked = response.headers.get("Retry-After")
            except httpx2.TransportError as error:
                if tried == TRIES:
                    raise self._line.gone(error) from error
            self._line.wait(tried, asked)
            state = self._line.ask("GET", where)
            if state.status != 204:
                return None
            if _arrived(state) > done:
                return state
            where = self._next(state)
        return None

    def _next(self, response: Answer) -> str:
        return self._line.led(response.url, response.headers.get("Location", ""))

    def _listed(self, path: str, field: str, what: str) -> list[str] | None:
        found: list[str] = []
        for _ in range(_PAGES):
            response = self._line.ask("GET", path, cap=LIST_CAP)
            if response.status == 404:
                return found or None
            self._line.good(response, what, 200)
            page = json_of(response)
            listed = cast("Mapping[str, object]", page).get(field) if isinstance(page, dict) else 0
            if not isinstance(listed, list) and listed is not None:
                raise HubError(f"{self.place}: the {what} came in another form.")
            found += [one for one in cast("list[object]", listed or []) if isinstance(one, str)]
            link = re.match(r'\s*<([^>]+)>\s*;\s*rel="?next"?', response.headers.get("Link", ""))
            if link is None:
                return found
            path = self._line.led(response.url, link[1])
            if httpx2.URL(path).netloc != self._line.base.netloc or len(found) > _MOST_NAMES:
                raise HubError(f"{self.place}: the list of {what} goes on at another host, or does not end.")
        raise HubError(f"{self.place}: the list of {what} does not end.")


def _arrived(response: Answer) -> int:
    """Gives how many bytes of an upload a registry says that it has."""
    found = re.fullmatch(r"0-([0-9]{1,15})", response.headers.get("Range", ""))
    # An upload of nothing is told as 0-0.
    return int(found[1]) + 1 if found and found[1] != "0" else 0
