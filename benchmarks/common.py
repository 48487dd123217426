"""What all benchmarks share: facts of the machine, JSON beside the table, Markdown for docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev

OUT = Path(__file__).parent / "out"
_PACKAGES = ("numpy", "pandas", "pyarrow", "onnxruntime", "torch", "dp-accounting", "scikit-learn")


def machine() -> dict[str, object]:
    """Gives the facts that a number needs beside it."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "commit": _commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def repeated(text: str | None, repeats: int) -> argparse.Namespace:
    """Gives what a person asks a script for that fits again and again: `repeats`, and `out` for the JSON.

    Args:
        text: What the script does.
        repeats: The usual number of fits.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def save(name: str, rows: Sequence[dict[str, object]], out: Path | None, **facts: object) -> Path:
    """Writes rows and facts as JSON and gives the path.

    Args:
        name: Name of the benchmark.
        rows: The table.
        out: Where to; `None` for `benchmarks/out/NAME.json`.
        facts: What else belongs to the numbers, such as the seeds.
    """
    path = out or OUT / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {"benchmark": name, "machine": machine(), **facts, "rows": list(rows)}
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return path


def markdown(rows: Sequence[dict[str, object]]) -> str:
    """Gives rows as a Markdown table; columns are the keys of all rows, in order of appearance."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(str(row.get(name, "")) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def kept(path: Path) -> list[dict[str, object]]:
    """Gives the runs that a script has noted in a file of lines; none, if there is no file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def note(path: Path, row: dict[str, object]) -> None:
    """Notes a run in a file of lines, and prints it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(row, flush=True)


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Gives the mean over seeds, and its standard error if there are at least two.

    Args:
        values: One for each seed.
        digits: Of both.
    """
    found = f"{mean(values):.{digits}f}"
    return found if len(values) < 2 else f"{found} ± {stdev(values) / math.sqrt(len(values)):.{digits}f}"


def _commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
