"""The last step of a push: killed there, or on a full disk, it leaves the old state or the new one, and nothing between."""

import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub_kit import Clinic
from registry_kit import Server, needs_registry
from wardgan import files
from wardgan.cli.main import app
from wardgan.errors import HubError, OutputError
from wardgan.hub import folder as folders
from wardgan.hub.hub import Hub
from wardgan.hub.registry import Registry

NO_KILL = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")

# A push that kills itself: before the last step, in the middle of it, or right behind it.
KILLED = """
import os, signal, socket, sys
from wardgan import files
from wardgan.hub.folder import Folder
from wardgan.hub.hub import Hub
from wardgan.hub.line import Line

place, trust, file, name, moment, force = sys.argv[1:]
publish, begun, replace, fsync = Folder.publish, Line._begun, os.replace, os.fsync

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class Half:
    "A handle that dies once half of an index is on the disk."
    def __init__(self, handle):
        self.handle = handle
    def write(self, data):
        self.handle.write(data[: len(data) // 2])
        self.handle.flush()
        fsync(self.handle.fileno())
        die()

def new_file(path, **more):
    made = files_new_file(path, **more)
    if os.path.basename(path) != "index.json":
        return made
    class Broken:
        def __enter__(self):
            return Half(made.__enter__())
        def __exit__(self, *_):
            die()
    return Broken()

def replaced(part, target):
    if os.path.basename(target) != "index.json":
        return replace(part, target)
    if moment == "behind":
        replace(part, target)
    die()

def put(line, method, path, content, headers, **more):
    if method != "PUT" or "/manifests/" not in path:
        return begun(line, method, path, content, headers, **more)
    if moment == "behind":
        begun(line, method, path, content, headers, **more)
        die()
    host, _, port = line.place.partition(":")
    head = f"PUT {path} HTTP/1.1\\r\\nHost: {line.place}\\r\\nContent-Length: {len(content)}\\r\\n"
    head += f"Content-Type: {headers['Content-Type']}\\r\\n\\r\\n"
    with socket.create_connection((host, int(port))) as way:
        way.sendall(head.encode() + (content[: len(content) // 2] if moment == "in" else b""))
        die()

files_new_file = files.new_file
if moment == "in":
    files.new_file = new_file
else:
    os.replace = replaced
Line._begun = put
if moment == "before":
    Folder.publish = die
Hub(place, trust=trust).push(file, name, force=bool(force))
"""


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    found = Clinic(tmp_path_factory.mktemp("clinic"))
    found.file("a")
    found.file("b", data="data-0000002", created="2026-02-01")
    return found


@pytest.fixture
def server(tmp_path):
    found = Server(tmp_path)
    yield found
    found.stop()


@pytest.fixture(params=["folder", pytest.param("registry", marks=needs_registry)])
def hub(request, clinic, tmp_path):
    place = str(tmp_path / "hub") if request.param == "folder" else request.getfixturevalue("server").place
    found = Hub(place, trust=clinic.trust)
    found.push(clinic.file("a"), "x:1")
    return found


def killed(clinic, hub, name, moment, force=""):
    words = [sys.executable, "-c", KILLED, hub.place, str(clinic.trust), str(clinic.file("b")), name, moment, force]
    done = subprocess.run(words, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def pulled(hub, name, folder):
    return hub.pull(name, folder / "got.hgan", force=True).path.read_bytes()


def tags(hub):
    return sorted(f"{one.name}:{one.tag}" for one in hub.list())


@NO_KILL
@pytest.mark.parametrize("moment", ["before", "in", "behind"])
def test_a_push_that_is_killed_in_its_last_step_is_seen_whole_or_not_at_all(hub, clinic, tmp_path, moment):
    old, new = clinic.file("a").read_bytes(), clinic.file("b").read_bytes()
    killed(clinic, hub, "x:2", moment)
    there = tags(hub)
    assert there in ((["x:1", "x:2"],) if moment == "behind" else (["x:1"],))
    assert pulled(hub, "x:1", tmp_path) == old
    assert pulled(hub, "x", tmp_path) == (new if "x:2" in there else old)
    if "x:2" not in there:
        with pytest.raises(HubError, match="has no x:2"):
            pulled(hub, "x:2", tmp_path)
    # All but the last step was done, and nobody is locked out.
    made = hub.push(clinic.file("b"), "x:2")
    assert (made.sent, made.new) == (0, "x:2" not in there)
    assert tags(hub) == ["x:1", "x:2"]
    assert (pulled(hub, "x:1", tmp_path), pulled(hub, "x:2", tmp_path)) == (old, new)


@NO_KILL
@pytest.mark.parametrize("moment", ["before", "in", "behind"])
def test_a_tag_that_is_replaced_is_the_old_release_or_the_new_one(hub, clinic, tmp_path, moment):
    killed(clinic, hub, "x:1", moment, "force")
    wanted = clinic.file("b" if moment == "behind" else "a").read_bytes()
    assert tags(hub) == ["x:1"]
    assert pulled(hub, "x:1", tmp_path) == wanted
    hub.push(clinic.file("b"), "x:1", force=True)
    assert pulled(hub, "x:1", tmp_path) == clinic.file("b").read_bytes()


# A full disk.


def push(clinic, hub, name, *more):
    words = ["push", clinic.file("b"), f"{hub.place}:{name}", *more]
    return CliRunner().invoke(app, [str(word) for word in words], env={"WARDGAN_TRUST": str(clinic.trust)})


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


CALLS = {
    "open": "there is no room for another file", "fsync": "what was written does not reach the disk",
    "replace": "there is no room for another name",
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_a_disk_that_is_full_in_the_last_step_changes_nothing(clinic, tmp_path, monkeypatch, call):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file("a"), "x:1")
    before = (tmp_path / "hub" / "index.json").read_bytes()
    real, locked = getattr(os, call), folders.Folder._locked

    @contextlib.contextmanager
    def last(folder):
        with locked(folder), monkeypatch.context() as patch:
            patch.setattr(
                files.os, call, lambda *given, **more: (full if _writes(call, given) else real)(*given, **more)
            )
            yield

    monkeypatch.setattr(folders.Folder, "_locked", last)
    done = push(clinic, hub, "x:2")
    assert done.exit_code == OutputError.exit_code == 2
    assert f"path='{tmp_path / 'hub' / 'index.json'}' cannot be written: No space left on device" in done.stderr
    assert "nothing was changed" in done.stderr
    monkeypatch.undo()
    assert (tmp_path / "hub" / "index.json").read_bytes() == before
    unharmed(clinic, hub, tmp_path)


def _writes(call, given):
    return call != "open" or given[1] & os.O_CREAT


def unharmed(clinic, hub, folder):
    """What was there is whole, nothing half is left, and the same push succeeds once there is room."""
    assert tags(hub) == ["x:1"]
    assert pulled(hub, "x:1", folder) == clinic.file("a").read_bytes()
    assert not list(Path(hub.place).rglob("*.part"))
    done = push(clinic, hub, "x:2")
    assert done.exit_code == 0, done.output
    assert pulled(hub, "x:2", folder) == clinic.file("b").read_bytes()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a megabyte, if this machine lets us have one."""
    place = tmp_path / "small"
    place.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run([umount, "-l", place], check=True)


def fill(disk, left=0):
    """Fills a disk but for some bytes, and gives the file that does."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(4096))
    os.truncate(ballast, ballast.stat().st_size - left)
    return ballast


@pytest.mark.parametrize("blobs_are_there", [True, False])
def test_a_hub_on_a_disk_that_is_really_full(clinic, small_disk, tmp_path, blobs_are_there):
    hub = Hub(small_disk / "hub", trust=clinic.trust)
    hub.push(clinic.file("a"), "x:1")
    if blobs_are_there:  # so that the last step is all that is left
        index = (small_disk / "hub" / "index.json").read_bytes()
        hub.push(clinic.file("b"), "x:0")
        (small_disk / "hub" / "index.json").write_bytes(index)
    ballast = fill(small_disk)
    done = push(clinic, hub, "x:2")
    assert done.exit_code == 2
    named = "index.json" if blobs_are_there else "blobs/sha256/"
    assert f"path='{small_disk}/hub/{named}" in done.stderr
    assert "No space left on device; nothing was changed" in done.stderr
    assert tags(hub) == ["x:1"]
    ballast.unlink()
    unharmed(clinic, hub, tmp_path)


def test_a_pull_onto_a_full_disk(clinic, small_disk, tmp_path):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file("a"), "x:1")
    wanted, refused = small_disk / "got.hgan", 0
    words = ["pull", f"{hub.place}:x:1", "-o", str(wanted)]
    while not wanted.exists():  # each time with a little more room, so that each step fails once
        ballast = fill(small_disk, left=4096)
        done = CliRunner().invoke(app, words, env={"WARDGAN_TRUST": str(clinic.trust)})
        ballast.unlink()
        if done.exit_code == 0:
            break
        assert done.exit_code == 2, done.output
        assert re.search(rf"path='{small_disk}[^']*' cannot be (written|made): No space left on device", done.stderr)
        assert not wanted.exists()
        assert not list(small_disk.glob(".*.part"))
        refused += 1
    assert 5 < refused < 50
    assert wanted.read_bytes() == clinic.file("a").read_bytes()
    assert [one.name for one in small_disk.iterdir()] == ["got.hgan"]


@needs_registry
def test_a_registry_whose_disk_is_full(clinic, small_disk, tmp_path, monkeypatch):
    server = Server(small_disk)
    try:
        hub = Hub(server.place, trust=clinic.trust)
        waited = []
        monkeypatch.setattr(hub, "_store", lambda: Registry(server.place, pause=waited.append))
        hub.push(clinic.file("a"), "x:1")
        ballast = fill(small_disk)
        with pytest.raises(HubError, match=f"^{server.place}: "):
            hub.push(clinic.file("b"), "x:2")
        assert tags(hub) == ["x:1"]
        assert pulled(hub, "x:1", tmp_path) == clinic.file("a").read_bytes()
        ballast.unlink()
        hub.push(clinic.file("b"), "x:2")
        assert pulled(hub, "x:2", tmp_path) == clinic.file("b").read_bytes()
    finally:
        server.stop()
