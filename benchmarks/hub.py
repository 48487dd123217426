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
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx2
import numpy as np

import wardgan as wg
from common import markdown, save
from wardgan.hub.moving import fetch, send, staging
from wardgan.hub.parcel import Packed, Parcel, read_parcel
from wardgan.hub.registry import Registry
from wardgan.rng import Seed
from wardgan.seal import tar
from wardgan.seal.json_text import canonical
from wardgan.seal.keys import new_key
from wardgan.seal.oci import digest_of
from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

_MIB = 1 << 20
_OVERRIDE = "benchmarks: simulated patients"
_PATHS = (
    "/",
    "/?q=sbp",
    "/?q=intensive+mm",
    "/?privacy=epsilon+1+to+3",
    "/?page=7",
    "/api/v1/releases?q=drugs&offset=100",
)


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
        _stock(home, asked.releases)
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

    with staging(out, parcel) as staged:
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
    port = _port()
    (home / "registry.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {home / 'registry'}}}}}\n"
        f"http: {{addr: 'localhost:{port}'}}\n"
    )
    command = ["docker-registry", "serve", str(home / "registry.yml")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(f"http://localhost:{port}/v2/", "")
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
    with _served(home, releases) as (place, process, ready):
        what = f"{releases:,} releases read by the server"
        yield {"part": "pages", "what": what, "s": round(ready, 1), "peak MB": _peaks(process)}
        for name, pause in (("saturated", 0.0), ("reading", 1.0)):
            times = _asked(place, _PATHS, asked.users, asked.seconds, pause)
            yield {"part": "pages", "what": f"list and search, {asked.users} users, {name}", **_times(times)}
        times = _asked(place, ("/api/v1/preview/n0:1?n=100&where=arm%3Dintensive&seed={}",), 1, asked.seconds / 2, 0.0)
        yield {"part": "preview", "what": "100 patients and figures, one user", **_times(times)}
        for rows in (asked.rows // 10, asked.rows):
            begun, count = time.perf_counter(), 0
            with httpx2.stream("GET", f"{place}/api/v1/sample/n0:1?n={rows}&seed=1", timeout=600) as answer:
                for chunk in answer.iter_raw():
                    count += len(chunk)
            seconds = time.perf_counter() - begun
            yield {
                "part": "stream", "what": f"{rows:,} patients as CSV", "s": round(seconds, 1),
                "MB": round(count / 1e6), "patients/s": round(rows / seconds), "peak MB": _peaks(process),
            }  # fmt: skip


def _stock(home: Path, releases: int) -> None:
    """A few generators under many names: an index does not know that their bytes are the same."""
    new_key(home / "key", name="Hospital", trust=home / "trust.json")
    hub = wg.Hub(home / "hub", trust=home / "trust.json")
    patients = wg.read(sprint_like(1_000, seed=Seed(1)), wg.Schema.from_dict(SPRINT_SCHEMA))
    for number, epsilon in enumerate((0.5, 1.0, 2.0, 3.0, 8.0)):
        made = wg.fit(patients, wg.Budget(epsilon))
        file = home / f"{number}.hgan"
        wg.release(
            made,
            file,
            home / "key",
            _OVERRIDE,
            training_data_id=f"data-00000{number}",
            created=f"2026-01-0{number + 1}",
        )
        hub.push(file, f"n{number}:1")
    place = home / "hub" / "index.json"
    index = json.loads(place.read_text())
    first = index["manifests"]
    for number in range(len(first), releases):
        entry = json.loads(json.dumps(first[number % 5]))
        entry["annotations"]["org.opencontainers.image.ref.name"] = f"ward{number % 97}/n{number}:1"
        index["manifests"].append(entry)
    place.write_text(json.dumps(index))


@contextmanager
def _served(home: Path, releases: int) -> Iterator[tuple[str, int, float]]:
    port = _port()
    words = [sys.executable, "-m", "wardgan", "serve", "--hub", "./hub", "--trust", "trust.json", "--port", str(port)]
    begun = time.perf_counter()
    server = subprocess.Popen(words, cwd=home, stderr=subprocess.DEVNULL)
    try:
        _until(f"http://localhost:{port}/statistics", f"{releases:,} releases")
        yield f"http://localhost:{port}", server.pid, time.perf_counter() - begun
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def _asked(place: str, paths: tuple[str, ...], users: int, seconds: float, pause: float) -> list[float]:
    """Gives how long each answer took, with several users at once."""
    found: list[float] = []
    until = time.perf_counter() + seconds

    def user(number: int) -> None:
        order = np.random.default_rng(number)
        with httpx2.Client(base_url=place, timeout=60) as client:
            while time.perf_counter() < until:
                path = paths[order.integers(len(paths))].format(order.integers(1_000_000))
                begun = time.perf_counter()
                client.get(path).raise_for_status()
                found.append(time.perf_counter() - begun)
                time.sleep(pause * order.uniform(0.5, 1.5))

    threads = [threading.Thread(target=user, args=(number,)) for number in range(users)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return found


def _times(times: list[float]) -> dict[str, object]:
    return {
        "answers": len(times), "median ms": round(1e3 * median(times), 1),
        "p95 ms": round(1e3 * float(np.quantile(times, 0.95)), 1),
        "p99 ms": round(1e3 * float(np.quantile(times, 0.99)), 1),
    }  # fmt: skip


def _peaks(process: int) -> str:
    """Gives the largest memory of a process, and of the processes that it made."""
    found = [(int(Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[1]), one) for one in _processes()]
    every = [process, *(one for parent, one in found if parent == process)]
    peaks = [Path(f"/proc/{one}/status").read_text().partition("VmHWM:")[2].split()[0] for one in every]
    return " + ".join(f"{int(peak) / 1e3:.0f}" for peak in peaks)


def _processes() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()]


def _port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


def _until(address: str, said: str) -> None:
    for _ in range(3_000):
        try:
            if said in httpx2.get(address, timeout=30).text:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{address} did not answer")


def _took(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
