"""What the benchmarks of a hub share: many releases, their pages, and people who ask for them at once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx2
import numpy as np

import wardgan as wg
from wardgan.rng import Seed
from wardgan.seal.keys import new_key
from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

OVERRIDE = "benchmarks: simulated patients"
PATHS = (
    "/",
    "/?q=sbp",
    "/?q=intensive+mm",
    "/?privacy=epsilon+1+to+3",
    "/?page=7",
    "/api/v1/releases?q=drugs&offset=100",
)
PREVIEW = "/api/v1/preview/n0:1?n=100&where=arm%3Dintensive&seed={}"


def stocked(home: Path, releases: int) -> None:
    """Makes a hub of a few generators under many names: an index does not know that their bytes are the same."""
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
            OVERRIDE,
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
def served(home: Path, releases: int, *more: str, **surroundings: str) -> Iterator[tuple[str, int, float]]:
    """Serves the hub, and gives the address of its pages, the server's process, and how long it took to read it all.

    Args:
        home: Folder of the hub and the trust file.
        releases: How many there are.
        more: Further options of `serve`.
        surroundings: Further environment variables.
    """
    port = free_port()
    words = [sys.executable, "-m", "wardgan", "serve", "--hub", "./hub", "--trust", "trust.json", "--port", str(port)]
    begun = time.perf_counter()
    server = subprocess.Popen([*words, *more], cwd=home, stderr=subprocess.DEVNULL, env={**os.environ, **surroundings})
    try:
        until_said(f"http://localhost:{port}/statistics", f"{releases:,} releases")
        yield f"http://localhost:{port}", server.pid, time.perf_counter() - begun
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def asked_by(
    place: str, paths: Sequence[str], users: int, seconds: float, pause: float, tokens: Sequence[str] = (),
    refused: list[str] | None = None,
) -> list[float]:  # fmt: skip
    """Gives how long each answer took, with several users at once.

    Args:
        place: Address of the pages.
        paths: What they ask for; `{}` becomes a number.
        users: How many.
        seconds: How long they go on.
        pause: About how many seconds they read between two answers.
        tokens: One for each user; none for a hub without accounts.
        refused: Gets what went wrong; `None` to end with the first.
    """
    found: list[float] = []
    until = time.perf_counter() + seconds

    def user(number: int) -> None:
        order = np.random.default_rng(number)
        headers = {"Authorization": f"Bearer {tokens[number]}"} if tokens else {}
        with httpx2.Client(base_url=place, timeout=60, headers=headers) as client:
            while time.perf_counter() < until:
                path = paths[int(order.integers(len(paths)))].format(order.integers(1_000_000))
                begun = time.perf_counter()
                try:
                    client.get(path).raise_for_status()
                except httpx2.HTTPError as error:
                    if refused is None:
                        raise
                    refused.append(f"{type(error).__name__} {str(error)[:60]}")
                else:
                    found.append(time.perf_counter() - begun)
                time.sleep(pause * order.uniform(0.5, 1.5))

    threads = [threading.Thread(target=user, args=(number,)) for number in range(users)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return found


def times_of(times: Sequence[float]) -> dict[str, object]:
    """Gives how many answers there were, and how long they took."""
    return {
        "answers": len(times), "median ms": round(1e3 * median(times), 1),
        "p95 ms": round(1e3 * float(np.quantile(times, 0.95)), 1),
        "p99 ms": round(1e3 * float(np.quantile(times, 0.99)), 1),
    }  # fmt: skip


def peaks(process: int) -> str:
    """Gives the largest memory of a process, and of the processes that it made."""
    found = [(int(Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[1]), one) for one in _processes()]
    every = [process, *(one for parent, one in found if parent == process)]
    peaks = [Path(f"/proc/{one}/status").read_text().partition("VmHWM:")[2].split()[0] for one in every]
    return " + ".join(f"{int(peak) / 1e3:.0f}" for peak in peaks)


def _processes() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()]


def free_port() -> int:
    """Gives a port that nobody uses."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


def until_said(address: str, said: str) -> None:
    """Waits until a page says something."""
    for _ in range(3_000):
        try:
            if said in httpx2.get(address, timeout=30).text:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{address} did not answer")
