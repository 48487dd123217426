"""Writes docs/benchmarks.md and its long tables from the JSON that the benchmarks left in benchmarks/results."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import sprint_page
import table_claims
from markdown_table import table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
HEAD = """# Benchmarks

Every number here was printed by a script in `benchmarks/`; run it with `.venv/bin/python benchmarks/NAME.py`. The
tables are made from the JSON in `benchmarks/results` by `scripts/make_benchmark_page.py`. Timings come from a shared
machine whose load changes: compare lines of one table, not tables. Where a target was missed, the page says so.
"""
# Tables that are too long to stand among the others have a page of their own.
ALONE = {"tables_groups": "benchmarks-groups.md"}
# Which methods are compared.
_MADE = re.compile(r"<!-- (differences|counts) (.+?) -->")
_BETWEEN = re.compile(r"(<!-- (differences|costs|gains) -->\n).*?(\n<!-- end -->)", re.DOTALL)
_GAINS = ("family", "epsilon", "method", "fits", "LR", "RF", "rho", "LR in its run", "RF in its run")


def main() -> None:
    """Writes the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """Gives the text of each page."""
    parts, found = [HEAD], {}
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        notes = (RESULTS / f"{path.stem}.md").read_text(encoding="utf-8").strip()
        machine = result["machine"]
        facts = f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, {machine['date']}"
        measured = f"Measured on: {facts}."
        if path.stem == "sprint":
            found[ROOT / "docs" / "sprint.md"] = f"{sprint_page.page(notes, result)}\n\n{measured}\n"
            continue
        more = [table(result["paper"])] if "paper" in result else []  # worked out from the first table
        mine = [_filled(notes, result.get("runs")), table(result["rows"]), *more, measured]
        if path.stem in ALONE:
            mine[0] = mine[0].replace("## ", "# ", 1)
            found[ROOT / "docs" / ALONE[path.stem]] = "\n\n".join(mine) + "\n"
        else:
            parts += mine
    return found | _models() | {ROOT / "docs" / "benchmarks.md": "\n\n".join(parts) + "\n"}


def _models() -> dict[Path, str]:
    """Gives the pages that quote what was measured: of a family beside others, and of choices."""
    runs = json.loads((RESULTS / "tables.json").read_text(encoding="utf-8"))["runs"]
    chosen = json.loads((RESULTS / "selection.json").read_text(encoding="utf-8"))
    gains = [{name: row.get(name, "") for name in _GAINS} for row in chosen["rows"]]
    quoted = {
        "models/tabgan.md": {"differences": table_claims.differences(runs, "tabgan", "copula")},
        "selection.md": {"costs": table(chosen["costs"]), "gains": table(gains)},
    }
    return {ROOT / "docs" / name: _between(ROOT / "docs" / name, texts) for name, texts in quoted.items()}


def _between(place: Path, texts: dict[str, str]) -> str:
    """Gives a page with texts between its marks."""
    return _BETWEEN.sub(lambda found: found[1] + texts[found[2]] + found[3], place.read_text(encoding="utf-8"))


def _filled(notes: str, runs: list[dict[str, object]]) -> str:
    """Gives notes with what is made from the runs."""
    if "<!-- shares -->" in notes:
        notes = notes.replace("<!-- shares -->", table_claims.shares(runs))
    return _MADE.sub(lambda found: getattr(table_claims, found[1])(runs, *shlex.split(found[2])), notes)


if __name__ == "__main__":
    main()
