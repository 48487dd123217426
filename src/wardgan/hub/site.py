"""The pages of a hub, asked by a program: the same API that they use, and everything that comes is checked here.

What is told of a release there is the hub's word; who signed it is only known once the file is here. Patients that are
drawn there are of the hub's making: whoever wants to be sure pulls the generator and draws them.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final, cast
from urllib.parse import quote, urlencode

import httpx2

from wardgan import files
from wardgan.combining.loading import open_file
from wardgan.errors import DigestError, FormatError, HubError, OutputError, TrustError, UsageError
from wardgan.hub.bearer import Bearer, token_for
from wardgan.hub.entry import Entry
from wardgan.hub.line import LATER, Answer, Line
from wardgan.hub.moving import Meter, Watch, staging
from wardgan.hub.store import UnreachableError
from wardgan.hub.target import Target, loopback
from wardgan.hub.told import entry_of
from wardgan.seal.json_text import parse

_API: Final = "/api/v1"
_CAP: Final = 32 << 20
_PAGE: Final = 100
_MOST: Final = 1_000_000
# A file has more bytes than its parts: names, sizes and padding.
_SMALL: Final = 1 << 20
_TRIES: Final = 5
_LARGEST: Final = 4 << 30
_FREE_BYTES: Final = 256 << 20
_NUMBER: Final = re.compile("[0-9a-f]{32}")
_FREE: Final = frozenset({"releases", "schema", "revoked", "facets", "error", "problem", "where", "title"})


class Site:
    """The pages of a hub.

    Args:
        place: Such as `https://hub.hospital.example`.
        trust: Trust file; `None` for the default one.
        plain_http: Whether another machine may be spoken to without TLS.
        pause: How to wait, in seconds.
        transport: How bytes travel; `None` for the network.

    Raises:
        UsageError: It is on another machine, and without TLS.
    """

    def __init__(
        self, place: str, *, trust: str | Path | None = None, plain_http: bool = False,
        pause: Callable[[float], None] = time.sleep, transport: httpx2.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        scheme, _, host = place.partition("://")
        if scheme == "http" and not (plain_http or loopback(host)):
            raise UsageError(
                f"hub={place!r} is spoken to without TLS; write https://, or say plain_http (--plain-http)."
            )
        base = httpx2.URL(place)
        self.place = place
        self._trust = trust
        self._pause = pause
        login = Bearer(place, token_for(base), base)
        self._line = Line(host, plain=scheme == "http", pause=pause, transport=transport, login=login)

    def close(self) -> None:
        """Hangs up."""
        self._line.close()

    def entries(self, beginning: str | None, words: str = "") -> list[Entry]:
        """Gives the releases of the hub, newest first.

        Args:
            beginning: Of their names; `None` for all.
            words: All must occur somewhere.

        Raises:
            HubError: The hub cannot be reached or refuses, or sends what is no list.
        """
        found: list[Entry] = []
        while len(found) < _MOST:
            query = urlencode({"q": words, "offset": len(found), "limit": _PAGE})
            told = self._json("GET", f"/releases?{query}", "list")
            listed = told.get("releases")
            every = cast("Sequence[object]", listed) if isinstance(listed, list) else ()
            some = [entry_of(one, self.place, self._trust) for one in every]
            found += some
            if not some:
                break
        within = f"{beginning}/"
        return [one for one in found if beginning is None or one.name == beginning or one.name.startswith(within)]

    def entry(self, target: Target) -> Entry:
        """Gives what one release says of itself.

        Args:
            target: Which; without a tag the newest.

        Raises:
            HubError: The hub cannot be reached or refuses, or has no such release.
            DigestError: It is another one than was named.
        """
        told = self._json("GET", f"/releases/{_path(target)}", str(target.label))
        found = entry_of(told, self.place, self._trust)
        if found.name != target.name or target.tag not in (None, found.tag):
            raise HubError(f"{self.place}: answers with another release than {target.label}.")
        if target.digest not in (None, found.digest, found.manifest):
            raise DigestError(
                f"{found.name}:{found.tag} is the release {found.digest}, not {target.digest}: somebody replaced it."
            )
        return found

    def pull(
        self, target: Target, path: Path | None, watch: Watch, *, any_signer: bool, even_revoked: bool, force: bool
    ) -> tuple[Path, Entry]:  # fmt: skip
        """Gives the file of a release, checked as `Hub.pull` does.

        Args:
            target: Which; without a tag the newest.
            path: The file that is wanted; `None` for one with its name and tag.
            watch: Is called with (bytes done, bytes, what is fetched).
            any_signer: Whether an unsigned file, or one with an unknown key, may pass.
            even_revoked: Whether a release may pass that was taken back.
            force: Whether an existing file may be replaced.

        Raises:
            TrustError: It is not signed by a key of the trust file, wrongly signed, or revoked.
            HubError: The hub cannot be reached or refuses, or has no such release.
            ArtifactError: The file is not in order, or another one.
            OutputError: The file exists or cannot be written.
        """
        entry = self.entry(target)
        wanted = Path(f"{entry.name.rpartition('/')[2]}-{entry.tag}.hgan") if path is None else path
        files.check_new(wanted, force=force)
        if entry.revoked is not None and entry.revoked.holds and not even_revoked:
            raise TrustError(f"{entry.name}:{entry.tag} was revoked {entry.revoked}; do not use it.")
        most = entry.bytes + entry.bytes // 8 + _SMALL
        if most > _LARGEST:
            raise HubError(
                f"{self.place}: says that the file has {entry.bytes:,} bytes, which nobody signed; fetch one so large "
                "from the hub's folder or registry, where each part is checked as it comes."
            )
        with staging(wanted, entry.digest) as staged:
            whole = staged / "whole.hgan"
            self._fetch(f"{_API}/files/{_path(target, entry)}", whole, most, watch)
            opened = open_file(whole, self._trust, required=not any_signer)
            if opened.digest != entry.digest:
                raise DigestError(f"{self.place}: sent the release {opened.digest}, and said it is {entry.digest}.")
            _moved(whole, wanted, force=force)
        return wanted, replace(entry, signature=opened.signature)

    def draw(
        self, target: Target, path: Path, asked: Mapping[str, object], kind: str, watch: Watch, *, force: bool
    ) -> dict[str, object]:  # fmt: skip
        """Has a file of synthetic patients made at the hub, fetches it, and gives what the hub says of it.

        Args:
            target: Of which release; without a tag the newest.
            path: The file that is wanted.
            asked: `n`, `seed`, `where` and `balance`, as the API takes them.
            kind: `csv`, `parquet`, or `npz` of images.
            watch: Is called with (done, of how many, what is done).
            force: Whether an existing file may be replaced.

        Raises:
            HubError: The hub cannot be reached or refuses, or fails to make it.
            UsageError: Something that is asked for is none.
            OutputError: The file exists or cannot be written.
        """
        files.check_new(path, force=force)
        query = urlencode({**asked, "format": kind}, doseq=True)
        told = self._json("POST", f"/sample/{_path(target)}?{query}", str(target.label))
        number = str(told.get("id"))
        if not _NUMBER.fullmatch(number):
            raise HubError(f"{self.place}: sends what is no answer; ask its operator.")
        place = f"/jobs/{number}"
        try:
            told = self._ready(place, watch)
            with staging(path, f"sha256:{number}", kept=False) as staged:
                part = staged / "whole"
                self._fetch(f"{_API}{place}/file", part, int(str(told["bytes"])), watch)
                _moved(part, path, force=force)
        finally:
            with contextlib.suppress(HubError):
                self._line.ask("DELETE", f"{_API}{place}")
        return told

    def _ready(self, place: str, watch: Watch) -> dict[str, object]:
        """Waits until a file is there."""
        wait = 0.1
        while True:
            told = self._json("GET", place, "file")
            try:
                state, done, n = str(told["state"]), int(str(told["done"])), int(str(told["n"]))
                _ = int(str(told["bytes"])) if state == "ready" else 0
            except (KeyError, ValueError) as error:
                raise HubError(f"{self.place}: sends what is no answer; ask its operator.") from error
            if state == "failed":
                raise HubError(f"{self.place}: {str(told.get('problem'))[:500]}")
            if state == "ready":
                return told
            watch(done, n, "drawing")
            self._pause(wait)
            wait = min(2.0, 1.5 * wait)

    def _fetch(self, path: str, target: Path, most: int, watch: Watch) -> None:
        """Fetches a file of at most so many bytes, from where it was left."""
        size = -1
        for tried in range(1, _TRIES + 1):
            try:
                with target.open("ab") as out:
                    size = self._rest(path, out, most, watch)
                break
            except _LaterError as error:
                if tried == _TRIES:
                    raise error.refusal from error
                self._line.wait(tried, error.after)
            except httpx2.TransportError as error:
                if tried == _TRIES:
                    raise self._line.gone(error) from error
                self._line.wait(tried, None)
            except OSError as error:
                raise OutputError(f"path={str(target)!r} cannot be written: {error.strerror}.") from error
        if target.stat().st_size != size:
            target.unlink()
            raise HubError(f"{self.place}: sent another number of bytes than it said.")

    def _rest(self, path: str, out: BinaryIO, most: int, watch: Watch) -> int:
        """Fetches what is missing of a file, and gives how many bytes it has in all."""
        have = out.tell()
        headers = {"Range": f"bytes={have}-"} if have else {}
        with self._line.sent("GET", path, headers=headers) as response:
            if have and response.status_code == 416:
                return have  # all of it was there
            if response.status_code in LATER:
                refusal = self._refused(self._line.whole(response, 1 << 20), "file")
                raise _LaterError(refusal, response.headers.get("Retry-After"))
            if response.status_code not in (200, 206) or (response.status_code == 206) is not bool(have):
                if response.status_code != 200:
                    raise self._refused(self._line.whole(response, 1 << 20), "file")
                have = out.truncate(0)  # somebody on the way gives no parts of files: all of it comes again
            size = have + _length(response)
            if size > most:
                raise HubError(f"{self.place}: sends {size:,} bytes, which are more than it said.")
            _room(Path(out.name), size - have)
            meter = Meter(size, watch)
            meter.now("file")
            meter.advance(have)
            for chunk in self._line.bytes(response):
                out.write(chunk)
                meter.advance(len(chunk))
            return size

    def _json(self, method: str, path: str, what: str) -> dict[str, object]:
        answer = self._line.ask(method, _API + path, cap=_CAP, again=method == "GET", twice=method == "GET")
        if answer.status not in (200, 202):
            raise self._refused(answer, what)
        found = _parsed(answer)
        if found is None:
            raise HubError(f"{self.place}: is no hub's page, or sends what cannot be read.")
        return found

    def _refused(self, answer: Answer | None, what: str) -> HubError | UsageError:
        """Gives the hub's own words for a refusal."""
        found = None if answer is None else _parsed(answer)
        error = None if found is None else found.get("error")
        said = str(cast("dict[str, object]", error).get("message"))[:500] if isinstance(error, dict) else ""
        status = 0 if answer is None else answer.status
        if not said:
            return HubError(f"{self.place}: answered HTTP {status} for {what}.")
        if status == 400:
            return UsageError(said)
        return UnreachableError(f"{self.place}: {said}") if status in (502, 503) else HubError(f"{self.place}: {said}")


class _LaterError(Exception):
    """The hub is busy."""

    def __init__(self, refusal: HubError | UsageError, after: str | None) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.after = after


def _room(target: Path, size: int) -> None:
    """Refuses what would fill the disk."""
    free = shutil.disk_usage(target.parent).free
    if size + _FREE_BYTES > free:
        raise OutputError(f"path={str(target.parent)!r}: {size:,} bytes do not fit; {free:,} are free.")


def _parsed(answer: Answer) -> dict[str, object] | None:
    try:
        found = parse(answer.content, what="answer", cap=_CAP, free=_FREE)
    except FormatError:
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _path(target: Target, entry: Entry | None = None) -> str:
    tag = target.tag if entry is None else entry.tag
    return quote(f"{target.name}:{tag}" if tag else str(target.name), safe="/:")


def _length(response: httpx2.Response) -> int:
    """Gives how many bytes an answer says it has."""
    told = response.headers.get("Content-Length", "")
    return int(told) if told.isdecimal() and len(told) < 16 else 1 << 60


def _moved(part: Path, wanted: Path, *, force: bool) -> None:
    """Copies what is whole to where it is wanted."""
    with files.new_file(wanted, force=force) as out, part.open("rb") as source:
        for chunk in _chunks(source.read):
            out.write(chunk)
    part.unlink()


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    return iter(lambda: read(1 << 20), b"")
