"""The page of benchmarks is made from what the scripts left, and no script's numbers are missing."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAVED = re.compile(r"""save\(\s*['"](\w+)['"]""")


def saved():
    scripts = [path for folder in ("", "sprint") for path in (ROOT / "benchmarks" / folder).glob("*.py")]
    return {name for path in scripts for name in SAVED.findall(path.read_text("utf-8"))}


def test_scripts_and_results_belong_together():
    assert len(saved()) > 10
    for ending in ("json", "md"):
        assert {path.stem for path in (ROOT / "benchmarks" / "results").glob(f"*.{ending}")} == saved()


def test_the_pages_are_made_from_the_results(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    made = pytest.importorskip("make_benchmark_page").pages()
    sys.modules.pop("make_benchmark_page")
    for path, text in made.items():
        assert path.read_text("utf-8") == text, path.name


def test_the_page_speaks_of_the_rows_that_were_drawn():
    found = json.loads((ROOT / "benchmarks" / "results" / "scale.json").read_text("utf-8"))
    assert {row["rows"] // 10**8 for row in found["rows"]} == {1}
    assert "100 million rows in each" in (ROOT / "benchmarks" / "results" / "scale.md").read_text("utf-8")
