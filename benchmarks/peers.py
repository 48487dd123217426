"""Other generators of tables, each in an environment of its own: their code is never imported here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from common import OUT
from wardgan.schema.schema import Schema

# Name: whether it has a private mode, and one without privacy.
PEERS = {
    "aim": (True, False),
    "aim, our bins": (True, False),
    "mst": (True, False),
    "tabularargn": (True, True),
    "ctgan": (False, True),
    "tvae": (False, True),
}
PACKAGES = {
    "smartnoise": "smartnoise-synth==1.0.8",
    "mostlyai": "mostlyai-engine==2.7.3",
    "ctgan": "ctgan==0.12.1",
}
_HOME = {
    "aim": "smartnoise", "aim, our bins": "smartnoise", "mst": "smartnoise", "tabularargn": "mostlyai",
    "ctgan": "ctgan", "tvae": "ctgan",
}  # fmt: skip
_WORKER = Path(__file__).with_name("peer_worker.py")


class PeerError(Exception):
    """A fit that did not come to its end."""


def python_of(method: str) -> Path:
    """Gives the interpreter of a peer's environment, which is made on first use.

    Raises:
        PeerError: It cannot be installed.
    """
    home = Path(os.environ.get("WARDGAN_PEERS", OUT / "peers")) / _HOME[method]
    python = home / "bin" / "python"
    if not (home / ".installed").exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        steps = [
            [sys.executable, "-m", "venv", str(home)],
            [str(python), "-m", "pip", "install", "-q", "torch==2.13.0", "pyarrow", PACKAGES[_HOME[method]]],
            # No tables need them, and on a machine without a GPU they do not fit to torch.
            [str(python), "-m", "pip", "uninstall", "-q", "-y", "torchvision", "torchaudio"],
        ]
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                raise PeerError(f"cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        (home / ".installed").touch()
    return python


def fit(
    method: str, train: pd.DataFrame, schema: Schema, epsilon: str, seed: int, place: Path, limit: float
) -> dict[str, object]:  # fmt: skip
    """Trains a peer on a table and writes as many synthetic rows.

    Args:
        method: One of `PEERS`.
        train: The table.
        schema: Its declarations: peers get kinds, levels and bounds from it.
        epsilon: A number, or `none`.
        seed: For peers that take one.
        place: Where the synthetic table goes.
        limit: Seconds after which the fit is stopped.

    Raises:
        PeerError: The peer cannot be installed or ended with an error.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "schema.json").write_text(json.dumps(schema.to_dict()), encoding="utf-8")
        train.to_parquet(Path(folder) / "train.parquet")
        # -P: the folder of this script has modules whose names other packages use.
        command = [str(python_of(method)), "-P", str(_WORKER), method, epsilon, str(seed), folder, str(place)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, check=False, cwd=folder, env=environment
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise PeerError(lines[-1])
        return json.loads(done.stdout.splitlines()[-1])
