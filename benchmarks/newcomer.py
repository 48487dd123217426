"""How long a newcomer waits: the tutorial for stewards, typed in a fresh folder.

    python benchmarks/newcomer.py

Each command of docs/tutorials/steward.md is run as a reader would, in a shell of its own; the files that the page shows
are saved before. Measured are seconds on the clock and of processors, from the table of patients to the published
generator. The words are those of the page with all that the commands print, to add the time of reading.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import markdown, save

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from tutorials import FIRST, Typed, page, steps  # noqa: E402 - its folder is no package


def main() -> None:
    """Types the page and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    text, rows = page(FIRST).read_text(encoding="utf-8"), []
    with tempfile.TemporaryDirectory() as folder:
        # `wardgan` is that of the Python that runs this, and meets nobody's ledger or keys.
        surroundings = {**os.environ, "HOME": folder, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        home = Path(folder) / "clinic"
        home.mkdir()
        for step in steps(text):
            if isinstance(step, tuple):
                (home / step[0]).write_text(step[1], encoding="utf-8")
            elif step.command.startswith("export "):
                name, _, value = step.command.removeprefix("export ").partition("=")
                surroundings[name] = value
            else:
                rows.append(_typed(step, home, surroundings))
    whole: dict[str, object] = {"command": "all"}
    whole |= {name: round(sum(float(str(row[name])) for row in rows), 1) for name in ("seconds", "processor s")}
    whole["words of the page"] = len(text.split())
    print(markdown([*rows, whole]))
    print(save("newcomer", [*rows, whole], asked.out))


def _typed(step: Typed, home: Path, surroundings: dict[str, str]) -> dict[str, object]:
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        ["bash", "-c", step.command], cwd=home, env=surroundings, capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode != (2 if step.shown.startswith("error:") else 0):
        sys.exit(f"{step.command}: {done.stdout}{done.stderr}")
    return {"command": f"`{step.command}`", "seconds": round(seconds, 1), "processor s": round(spent, 1)}


if __name__ == "__main__":
    main()
