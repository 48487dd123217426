"""Sharing: pushes and pulls beside skopeo, a folder with many releases, and its pages.

    python benchmarks/hub.py                 # all of it; needs Debian's docker-registry and skopeo for the first part
    python benchmarks/hub.py --releases 10000 --users 20

`transport`: a release of 100 MB (random bytes in the place of a network) goes into a docker-registry on this machine
and back, by wardgan and by skopeo in turn. wardgan checks each digest, the signature and the file's order; here the
last two are left out, since no network has 100 MB: what is timed is the carrying, with all digests. `folder`: what
each verb takes in a folder of many releases (a few generators under many names). `pages`: the same folder, asked by
several users at once who never pause (`saturated`), or who read for a second between two pages (`reading`). `preview`:
100 synthetic patients with their figures. `stream`: a download of many patients. Memory is the largest of the server
and of each of its processes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx2
import numpy as np

import wardgan as wg
from common import markdown, save
from hub_pages import PATHS, PREVIEW, asked_by, free_port, peaks, served, stocked, times_of, until_said
from wardgan.hub.moving import fetch, send, staging
from wardgan.hub.parcel import Packed, Parcel, read_parcel
from wardgan.hub.registry import Registry
from wardgan.seal import tar
from wardgan.seal.json_text import canonical
from wardgan.seal.oci import digest_of

_MIB = 1 << 20


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        rows = list(_transport(home, asked.rounds))
        stocked(home, asked.releases)
        rows += [*_folder(home, asked.releases), *_pages(home, asked)]
    print(markdown(rows))
    print(save("hub", rows, asked.out))


# --- transport --------------------------------------------------------------------------------------------------------


def _transport(home: Path, rounds: int) -> Iterator[dict[str, object]]:
    if shutil.which("docker-registry") is None or shutil.which("skopeo") is None:
        print("docker-registry or skopeo is not installed; transport is left out")
        return
    with _registry(home) as place:
        took: dict[str, list[float]] = {}
        for number in range(rounds):
            for what, seconds in _round(home, place, number):
                took.setdefault(what, []).append(seconds)
    for what in ("push", "pull"):
        ratios = [a / b for a, b in zip(took[what], took[f"{what}, skopeo"], strict=True)]
        told = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        yield {
            "part": "transport", "what": f"{what} of 100 MB", "wardgan s": round(median(took[what]), 2),
            "skopeo s": round(median(took[f"{what}, skopeo"]), 2), "wardgan : skopeo": told,
        }  # fmt: skip


def _round(home: Path, place: str, number: int) -> Iterator[tuple[str, float]]:
    """Carries a release there and back, by both in turn."""
    file, packed = _large(home / f"{number}", number)
    layout, back, out = (home / f"{name}{number}" for name in ("layout", "back", "out"))
    _layout(layout, file, packed)
    store, there = Registry(place), f"docker://{place}/theirs{number}:1"
    yield "push", _took(lambda: _push(store, f"ours{number}", file, packed))
    yield "push, skopeo", _took(lambda: _skopeo(f"oci:{layout}:x:1", there, "--dest-tls-verify=false"))
    yield "pull", _took(lambda: _pull(store, f"ours{number}", packed.parcel, out))
    yield "pull, skopeo", _took(lambda: _skopeo(there, f"oci:{back}:x:1", "--src-tls-verify=false"))
    store.close()
    for one in (layout, back, home / f"{number}"):
        shutil.rmtree(one)
    out.unlink()


def _large(home: Path, seed: int) -> tuple[Path, Packed]:
    """Makes the parts of a release of 100 MB, and where they lie in a file."""
    home.mkdir()
    data = np.random.default_rng(seed).bytes(100_000_000)
    parts = {digest_of(one): one for one in (data, b"{}", canonical({"card": seed}))}
    index = canonical({"seed": seed})
    file, places = home / "large", {}
    with file.open("wb") as out:
        for digest, one in [*parts.items(), (digest_of(index), index)]:
            places[digest] = tar.Member(out.tell(), len(one))
            out.write(one)
    layers = [{"mediaType": "x/y", "digest": digest, "size": len(one)} for digest, one in sorted(parts.items())]
    first = {"mediaType": "application/vnd.wardgan.index.v1+json", "digest": digest_of(index), "size": len(index)}
    manifest = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.wardgan.release.v1+json", "config": layers[0], "layers": [first, *layers[1:]],
        "annotations": {"vnd.wardgan.release.digest": digest_of(data)},
    }  # fmt: skip
    return file, Packed(read_parcel(canonical(manifest), "large"), places)


def _push(store: Registry, name: str, file: Path, packed: Packed) -> None:
    send(store, name, file, packed, lambda *_: None)
    store.publish(name, "1", packed.parcel.data)


def _pull(store: Registry, name: str, parcel: Parcel, out: Path) -> None:
    from wardgan.hub.moving import assemble

    with staging(out, parcel.digest) as staged:
        fetch(store, name, parcel, staged, lambda *_: None)
        with out.open("wb") as file:
            assemble(parcel, staged, file)


def _layout(folder: Path, file: Path, packed: Packed) -> None:
    parts = folder / "blobs" / "sha256"
    parts.mkdir(parents=True)
    data = file.read_bytes()
    for digest, member in packed.places.items():
        (parts / digest[7:]).write_bytes(data[member.offset : member.offset + member.size])
    (parts / packed.parcel.digest[7:]).write_bytes(packed.parcel.data)
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": packed.parcel.digest,
        "size": len(packed.parcel.data), "annotations": {"org.opencontainers.image.ref.name": "x:1"},
    }  # fmt: skip
    (folder / "index.json").write_bytes(canonical({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def _skopeo(source: str, target: str, *more: str) -> None:
    subprocess.run(
        ["skopeo", "copy", "--insecure-policy", "--preserve-digests", *more, source, target],
        check=True,
        capture_output=True,
    )


@contextmanager
def _registry(home: Path) -> Iterator[str]:
    port = free_port()
    (home / "registry.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {home / 'registry'}}}}}\n"
        f"http: {{addr: 'localhost:{port}'}}\n"
    )
    command = ["docker-registry", "serve", str(home / "registry.yml")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_said(f"http://localhost:{port}/v2/", "")
        yield f"localhost:{port}"
    finally:
        process.kill()
        process.wait()


# --- a large folder ---------------------------------------------------------------------------------------------------


def _folder(home: Path, releases: int) -> Iterator[dict[str, object]]:
    hub = wg.Hub(home / "hub", trust=home / "trust.json")
    for what, work in (
        ("list", hub.list), ("search", lambda: hub.search("intensive mm")), ("entry", lambda: hub.entry("n0:1")),
        ("pull", lambda: hub.pull("n1:1", home / "pulled.hgan")), ("push", lambda: hub.push(home / "2.hgan", "new:1")),
    ):  # fmt: skip
        yield {"part": "folder", "what": f"{what}, {releases:,} releases", "wardgan s": round(_took(work), 2)}


# --- pages ------------------------------------------------------------------------------------------------------------


def _pages(home: Path, asked: argparse.Namespace) -> Iterator[dict[str, object]]:
    releases = asked.releases + 1  # with the one that was pushed
    with served(home, releases) as (place, process, ready):
        what = f"{releases:,} releases read by the server"
        yield {"part": "pages", "what": what, "s": round(ready, 1), "peak MB": peaks(process)}
        for name, pause in (("saturated", 0.0), ("reading", 1.0)):
            times = asked_by(place, PATHS, asked.users, asked.seconds, pause)
            yield {"part": "pages", "what": f"list and search, {asked.users} users, {name}", **times_of(times)}
        times = asked_by(place, (PREVIEW,), 1, asked.seconds / 2, 0.0)
        yield {"part": "preview", "what": "100 patients and figures, one user", **times_of(times)}
        for rows in (asked.rows // 10, asked.rows):
            begun, count = time.perf_counter(), 0
            with httpx2.stream("GET", f"{place}/api/v1/sample/n0:1?n={rows}&seed=1", timeout=600) as answer:
                for chunk in answer.iter_raw():
                    count += len(chunk)
            seconds = time.perf_counter() - begun
            yield {
                "part": "stream", "what": f"{rows:,} patients as CSV", "s": round(seconds, 1),
                "MB": round(count / 1e6), "patients/s": round(rows / seconds), "peak MB": peaks(process),
            }  # fmt: skip


def _took(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
