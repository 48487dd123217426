"""A real registry (Debian's docker-registry) with a folder of its own, on this machine only."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx2
import pytest

REGISTRY = shutil.which("docker-registry")
needs_registry = pytest.mark.skipif(
    REGISTRY is None, reason="docker-registry is not installed (Debian: docker-registry)"
)


class Server:
    """A registry with a folder of its own, on this machine only."""

    def __init__(self, home: Path, htpasswd: Path | None = None) -> None:
        self.home, self.data = home, home / "data"
        with socket.socket() as found:
            found.bind(("localhost", 0))
            self.port = found.getsockname()[1]
        self.place = f"localhost:{self.port}"
        sign = f"auth: {{htpasswd: {{realm: x, path: {htpasswd}}}}}\n" if htpasswd else ""
        (home / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {self.data}}}}}\n"
            f"http: {{addr: 'localhost:{self.port}'}}\n{sign}"
        )
        self.start()

    def start(self) -> None:
        command = [str(REGISTRY), "serve", str(self.home / "config.yml")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                httpx2.get(f"http://{self.place}/v2/", timeout=1)
            except httpx2.TransportError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("the registry did not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def blob(self, digest: str) -> Path:
        return self.data / "docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"
