"""A hub with accounts under load: each visitor has a token, and each look at patients is a line of the log.

    python benchmarks/hub_load.py
    python benchmarks/hub_load.py --database sqlite postgresql://hub@/postgres?host=SOCKETS   # one that nobody needs

`list and search` and `preview` as in `hub.py`, through accounts. `load`: fifty users for a minute, who look at lists,
releases, previews of 20 patients, small downloads and statistics, and pause for about a second between two of them. An
error is an answer of 500 or above, a broken line, or any other refusal; those that were busy (429, 503) are told
apart. Afterwards the log is verified.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from common import markdown, save
from hub_pages import PATHS, PREVIEW, asked_by, peaks, served, stocked, times_of

_LOAD = (
    "/", "/?q=sbp", "/releases/n0:1", "/statistics", "/api/v1/releases?limit=25", "/compare",
    "/api/v1/preview/n1:1?n=20&seed={}", "/api/v1/sample/n2:1?n=200",
)  # fmt: skip


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", nargs="+", default=["sqlite"])
    parser.add_argument("--releases", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--many", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--load", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        stocked(home, asked.releases)
        rows = [row for database in asked.database for row in _measured(home, database, asked)]
    print(markdown(rows))
    print(save("hub_load", rows, asked.out))


def _measured(home: Path, database: str, asked: argparse.Namespace) -> Iterator[dict[str, object]]:
    kind = "SQLite" if database == "sqlite" else "PostgreSQL"
    database = str(home / "hub.db") if database == "sqlite" else database
    tokens = [_said(home, "token", "new", f"User {at}", "--database", database) for at in range(asked.many)]
    with served(home, asked.releases, "--database", database) as (place, process, _):
        for name, pause in (("saturated", 0.0), ("reading", 1.0)):
            times = asked_by(place, PATHS, asked.users, asked.seconds, pause, tokens)
            yield {"database": kind, "what": f"list and search, {asked.users} users, {name}", **times_of(times)}
        # An account looks at most 240 times a minute.
        times = asked_by(place, (PREVIEW,), 1, asked.seconds, 0.26, tokens)
        yield {"database": kind, "what": "preview of 100 patients, one user", **times_of(times)}
        refused: list[str] = []
        times = asked_by(place, _LOAD, asked.many, asked.load, 1.0, tokens, refused)
        busy = Counter("busy" if "429" in one or "503" in one else "error" for one in refused)
        yield {
            "database": kind, "what": f"load, {asked.many} users, {asked.load:.0f} s", **times_of(times),
            "busy": busy["busy"], "errors": busy["error"], "peak MB": peaks(process),
        }  # fmt: skip
    found = json.loads(_said(home, "audit-log", "verify", "--json", "--database", database))
    yield {"database": kind, "what": "lines of the log afterwards, verified", "answers": found["lines"]}


def _said(home: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "wardgan", *words], cwd=home, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
