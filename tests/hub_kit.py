"""Signed releases to share, and a registry in memory that can misbehave."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field

import httpx2

import release_kit as kit
import wardgan as wg
from wardgan.hub.hub import Hub
from wardgan.hub.registry import Registry
from wardgan.seal import artifact, keys

PLACE = "registry.example"


@dataclass
class Clinic:
    """A hospital with a key, and whoever knows the key.

    Attributes:
        home: Its folder.
    """

    home: object

    def __post_init__(self):
        self.key, self.trust = self.home / "clinic.key", self.home / "trust.json"
        keys.new_key(self.key, name="Clinic", trust=self.trust)

    def file(self, name="a", *, signed=True, created=kit.DAY, data="data-0000001", **changes):
        path = self.home / f"{name}.hgan"
        if not path.exists():
            key = self.key if signed else None
            artifact.release(kit.fit(**changes), path, key, training_data_id=data, created=created)
        return path

    def region(self):
        path = self.home / "region.hgan"
        if not path.exists():
            inner = self.home / "inner.hgan"
            parts = [self.file("a"), self.file("b", data="data-0000002", created="2026-02-01")]
            wg.combine(parts, inner, name="inner", key=self.key, created=kit.DAY)
            third = self.file("c", data="data-0000003", created="2026-03-01")
            wg.combine([inner, third], path, name="region", key=self.key, created=kit.DAY)
        return path

    def remote(self, registry):
        hub = Hub(PLACE, trust=self.trust)
        hub._store = registry.client
        return hub


@dataclass
class FakeRegistry:
    """As much of a registry as is asked for, with faults that are taken from a list, one for each request.

    Attributes:
        faults: Called with a request before it is answered; gives an answer of its own, raises, or gives `None`.
        asked: What was asked for.
    """

    faults: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    blobs: dict = field(default_factory=dict)
    manifests: dict = field(default_factory=dict)
    uploads: dict = field(default_factory=dict)
    waited: list = field(default_factory=list)

    def client(self, place=PLACE, **more):
        return Registry(place, pause=self.waited.append, transport=httpx2.MockTransport(self), **more)

    def __call__(self, request):
        self.asked.append(f"{request.method} {request.url.path}")
        for at, fault in enumerate(self.faults):
            found = fault(request, self)
            if found is not None:
                del self.faults[at]
                if isinstance(found, BaseException):
                    raise found
                return found
        return self.answer(request)

    def answer(self, request):
        path = request.url.path
        for shape, reply in (
            (r"/v2/_catalog", self._names), (r"/v2/(.+)/tags/list", self._tags), (r"/v2/(.+)/manifests/(.+)", self._manifest),
            (r"/v2/(.+)/blobs/uploads/", self._begin), (r"/uploads/([0-9]+)", self._upload),
            (r"/v2/(.+)/blobs/(sha256:.+)", self._blob),
        ):  # fmt: skip
            found = re.fullmatch(shape, path)
            if found:
                return reply(request, *found.groups())
        return httpx2.Response(404)

    def _names(self, request):
        names = sorted({name for name, _ in self.manifests})
        return paged(request, "repositories", names)

    def _tags(self, request, name):
        tags = sorted(tag for of, tag in self.manifests if of == name and not tag.startswith("sha256:"))
        return paged(request, "tags", tags) if tags else httpx2.Response(404)

    def _manifest(self, request, name, reference):
        if request.method == "PUT":
            data = request.content
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            found = json.loads(data)
            lacking = [one for one in (found["config"], *found["layers"]) if one["digest"] not in self.blobs]
            if lacking:
                return httpx2.Response(400, json={"errors": [{"message": "blob unknown to registry"}]})
            self.manifests[name, reference] = self.manifests[name, digest] = data
            return httpx2.Response(201)
        data = self.manifests.get((name, reference))
        return httpx2.Response(404) if data is None else httpx2.Response(200, content=data)

    def _begin(self, request, name):
        self.uploads[len(self.uploads)] = b""
        return httpx2.Response(202, headers={"Location": f"/uploads/{len(self.uploads) - 1}?state=x", "Range": "0-0"})

    def _upload(self, request, number):
        at = int(number)
        if at not in self.uploads:
            return httpx2.Response(404)
        state = {"Location": f"/uploads/{at}?state=y", "Range": f"0-{max(0, len(self.uploads[at]) - 1)}"}
        if request.method == "GET":
            return httpx2.Response(204, headers=state)
        begin = request.headers.get("Content-Range", "").partition("-")[0]
        if begin and int(begin) != len(self.uploads[at]):
            return httpx2.Response(416, headers=state)
        self.uploads[at] += request.content
        if request.method == "PATCH":
            return httpx2.Response(202, headers=state | {"Range": f"0-{len(self.uploads[at]) - 1}"})
        data, digest = self.uploads.pop(at), request.url.params["digest"]
        if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            return httpx2.Response(400, json={"errors": [{"message": "digest invalid"}]})
        self.blobs[digest] = data
        return httpx2.Response(201)

    def _blob(self, request, name, digest):
        data = self.blobs.get(digest)
        if data is None:
            return httpx2.Response(404)
        begin = re.fullmatch(r"bytes=([0-9]+)-", request.headers.get("Range", ""))
        if begin:
            return httpx2.Response(206, content=data[int(begin[1]) :])
        head = {"Content-Length": str(len(data))}
        return httpx2.Response(200, headers=head) if request.method == "HEAD" else httpx2.Response(200, content=data)


def paged(request, field_name, values, size=2):
    """Gives a list in pages of two."""
    begin = int(request.url.params.get("begin", 0))
    page = values[begin : begin + size]
    more = begin + size < len(values)
    headers = {"Link": f'<{request.url.path}?begin={begin + size}>; rel="next"'} if more else {}
    return httpx2.Response(200, json={field_name: page}, headers=headers)


class Broken(httpx2.SyncByteStream):
    """An answer whose line breaks after some bytes."""

    def __init__(self, data):
        self.data = data

    def __iter__(self):
        yield self.data
        raise httpx2.ReadError("the line broke")
