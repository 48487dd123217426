"""Installs what is published into clean environments, one for each extra, and does there what the extra is for.

    make smoke                                  # builds, then this
    python scripts/smoke_extras.py dist [EXTRA ...]

It takes some minutes and is part of a release, not of each change. It needs an environment with [all], which runs it,
and the package index.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from check_version import ROOT
from smoke_jobs import JOBS

# Nothing of the environment around gets into the clean ones, and no ledger or key of the person who runs it.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WARDGAN"))}
ORDER = ("sdist", *(name for name in JOBS if name != "prepare"))


def install(folder: Path, what: str) -> Path:
    """Gives the Python of a new environment with a package and what it needs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, env=CLEAN)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    # What is not imported is not compiled either, which saves more than half of the time.
    subprocess.run([*pip, "--no-compile", "--constraint", ROOT / "constraints.txt", what], check=True, env=CLEAN)
    subprocess.run([*pip[:5], "check"], check=True, env=CLEAN, stdout=subprocess.DEVNULL)
    return python


def smoke(name: str, dist: Path, files: Path) -> tuple[float, float]:
    """Does one job in an environment of its own, and gives how long installing and working took, in seconds."""
    found = sorted(dist.glob("*.tar.gz" if name == "sdist" else "*.whl"))
    if len(found) != 1:
        sys.exit(f"{dist} holds {len(found)} packages of the kind, and one is needed: run make dist first.")
    what = str(found[0]) if name in ("sdist", "core") else f"{found[0]}[{name}]"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(files, folder / "files")
        start = time.monotonic()
        python = install(folder / "venv", what)
        installed = time.monotonic()
        job = "core" if name == "sdist" else name
        words = [python, ROOT / "scripts" / "smoke_jobs.py", job, folder / "files"]
        done = subprocess.run(words, env=CLEAN, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name}: failed\n{done.stdout}{done.stderr}")
        return installed - start, time.monotonic() - installed


def main(dist: Path, names: list[str]) -> None:
    """Does all jobs, and prints one line for each."""
    if strange := set(names) - set(ORDER):
        sys.exit(f"{', '.join(sorted(strange))}: there are {', '.join(ORDER)}.")
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, ROOT / "scripts" / "smoke_jobs.py", "prepare", scratch], check=True)
        print(f"Python {platform.python_version()}, {platform.platform()}", flush=True)
        for name in names or ORDER:
            installed, worked = smoke(name, dist, Path(scratch))
            print(f"{name:<12}passed: installed in {installed:.0f} s, done in {worked:.0f} s", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
