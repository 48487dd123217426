"""A sample in shards whose workers are killed, that is stopped, whose own process is killed, and that is whole at last."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import shards_kit as kit

# Enough for a while: a busy machine may look for a second at something else.
N, SHARDS = 1_600_000, 32
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are counted in /proc")


@pytest.fixture(autouse=True)
def stoppable():
    """Tests that run in the background may have been told to ignore Ctrl-C; what they begin is not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def begun(model, out, workers=2):
    command = [sys.executable, "-m", "wardgan", "sample", model, "-n", "1.6e6", "--shards", str(SHARDS), "-o", out]
    command += ["--workers", str(workers), "--seed", "5", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)


def finished(out):
    return len(list((out / "records").glob("*.json"))) if (out / "records").exists() else 0


def until(true, child=None):
    end = time.monotonic() + 240
    while time.monotonic() < end:
        if true():
            return
        if child is not None and child.poll() is not None:
            pytest.fail("it ended before it could be stopped")
        time.sleep(0.02)
    pytest.fail("it took too long")


def workers(pid):
    """The processes that draw: children of a process that were started as spawned ones."""
    found = []
    for task in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((task / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (task / "cmdline").read_bytes():
                found.append(int(task.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def alive(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_nothing_that_is_killed_is_lost(tmp_path):
    model, out = kit.released(tmp_path), tmp_path / "out"
    child = begun(model, out)
    try:
        # A worker that the system kills, as when memory runs out: its shard is drawn by another one.
        until(lambda: finished(out) >= 1, child)
        os.kill(workers(child.pid)[0], signal.SIGKILL)
        killed_at = finished(out)
        until(lambda: finished(out) >= killed_at + 2, child)
        # Ctrl-C, which a terminal sends to all of them.
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(timeout=240) == 130
        said = json.loads(child.stdout.read())["error"]
        assert said["kind"] == "Stopped"
        assert "run the same command again" in said["message"]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    stopped_at = finished(out)
    assert killed_at < stopped_at < SHARDS
    assert not kit.manifest(out)["complete"]
    assert [path.name for path in (out / "patients").glob(".*")] == []

    child = begun(model, out, 1)
    try:
        # The process that asks is killed: those that draw end with it.
        until(lambda: finished(out) > stopped_at, child)
        drawing = workers(child.pid)
        assert drawing
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    until(lambda: not any(map(alive, drawing)))
    assert finished(out) < SHARDS

    made = kit.draw(model, out, N, SHARDS, seed=5)
    assert made.complete
    assert made.kept >= stopped_at + 1
    assert made.kept + made.drawn + made.mended == SHARDS
    assert sorted(kit.sums(out)) == kit.names(SHARDS)
    assert {part.name: part.sha256 for part in made.parts} == kit.sums(out)
    # Every byte is that of a run that nothing happened to.
    whole = kit.draw(model, tmp_path / "whole", N, SHARDS, seed=5)
    assert made.parts == whole.parts
    assert kit.manifest(out) == kit.manifest(tmp_path / "whole")
    assert sum(part.patients for part in whole.parts) == N
