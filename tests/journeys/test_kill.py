"""A fit that the operating system kills, and what its run folder knows afterwards (Rule P5)."""

import os
import signal
import subprocess
import sys
import time

import pytest

import wardgan as wg
from release_kit import forge
from wardgan.privacy.ledger import Ledger

FIT = """
import sys
import numpy as np, pandas as pd, wardgan as wg
numbers = np.random.default_rng(0)
frame = pd.DataFrame({"age": numbers.integers(20, 90, 800), "arm": np.where(np.arange(800) % 3 == 0, "a", "b")})
schema = wg.Schema.from_dict({"name": "demo", "population": 800, "table": {
    "age": {"kind": "integer", "low": 0, "high": 99},
    "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
}})
config = wg.TabganConfig(steps=400, width=8, noise_inputs=2)
resume = sys.argv[2] == "resume"
wg.fit(wg.read(frame, schema), wg.Budget(epsilon=1.0), family=config, run=sys.argv[1], resume=resume)
"""
STEPS = 400


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_p05_kill_9_in_the_middle_never_overspends(tmp_path):
    run, command = tmp_path / "run", [sys.executable, "-c", FIT, str(tmp_path / "run")]
    spent = []
    for mode, enough in (("begin", 50), ("resume", 200)):
        child = subprocess.Popen([*command, mode], env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            spent.append(_killed_after(child, run / "ledger.jsonl", enough))
        finally:
            child.kill()
            child.wait()
    assert 50 <= spent[0] < STEPS
    assert spent[0] <= spent[1] < STEPS
    subprocess.run([*command, "resume"], check=True, timeout=120)
    made = wg.Trained.load(run)
    assert made.ledger.steps("discriminator") == STEPS
    assert made.ledger.epsilon() <= 1.0
    assert len(made.generator.sample(10)) == 10


def _killed_after(child, ledger, steps):
    """Kills the child once it has billed so many steps, and gives how many the ledger knows of."""
    for _ in range(4000):
        if child.poll() is not None:
            pytest.fail("the fit ended before it could be killed")
        begun = ledger.exists() and b"\n" in ledger.read_bytes()
        if begun and Ledger.resume(ledger).steps("discriminator") >= steps:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            return Ledger.resume(ledger).steps("discriminator")
        time.sleep(0.02)
    return pytest.fail("the fit has not billed a step in time")


@pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="this system has no SIGTERM")
def test_a_sample_that_is_ended_leaves_nothing_behind(tmp_path):
    model = tmp_path / "model.hgan"
    forge_to(model)
    command = [sys.executable, "-m", "wardgan", "sample", str(model), "-n", "400000000", "-o", str(tmp_path / "o.csv")]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(4000):
            if any(path.stat().st_size for path in tmp_path.glob(".o.csv*")) or child.poll() is not None:
                break
            time.sleep(0.02)
        assert child.poll() is None
        child.terminate()
        assert child.wait(timeout=60) == 128 + signal.SIGTERM
    finally:
        child.kill()
        child.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["model.hgan"]


def forge_to(path):
    path.write_bytes(forge())
