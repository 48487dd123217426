"""The page of the audit repeats what was measured."""

import json
import re

from docs_kit import ROOT, page

from wardgan.attack.audit import FEWEST_CANARIES, WAYS, _power
from wardgan.attack.suspicion import PARTS

TEXT = page("docs/audit.md").text
PROSE = " ".join(TEXT.split())
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "audit.json").read_text(encoding="utf-8"))
INSTRUMENTS = ("step game", "audit of the training", "audit of the model")


def measured():
    """Gives the table of the page as it must be."""
    lines = ["| where | mistake | " + " | ".join(INSTRUMENTS) + " |", "|" + "---|" * 5]
    for row in RESULTS["rows"]:
        cells = [row[f"{name}: seen"] or "-" for name in INSTRUMENTS]
        lines.append("| " + " | ".join([row["where"], row["mistake"], *cells]) + " |")
    return "\n".join(lines)


def test_what_was_seen_is_as_measured():
    assert re.search(r"<!-- measured -->\n(.*)\n<!-- end -->", TEXT, re.DOTALL)[1] == measured()


def test_honest_code_was_never_accused():
    honest = [run for run in RESULTS["runs"] if run["mutant"] == "honest"]
    assert len(honest) == 50
    assert [run for run in honest if run["bound"] > run["claim"]] == []


def test_every_mistake_but_one_was_seen():
    seen = {run["mutant"] for run in RESULTS["runs"] if run["bound"] > run["claim"]}
    assert {run["mutant"] for run in RESULTS["runs"]} - seen == {"honest", "shuffled_batches"}


def test_the_numbers_of_the_text_are_those_of_the_code():
    assert f"no bound can pass {_power(200, 1e-5):.2f}" in PROSE
    assert f"as fine as 1 / {max(PARTS):,} of the range" in PROSE
    assert f"at least {FEWEST_CANARIES} are needed" in PROSE
    assert len(WAYS) == 6
    free = [run["bound"] for run in RESULTS["runs"] if run["mutant"] == "no_privacy"]
    assert f"{min(free):.2f} to {max(free):.2f} for a `copula`" in PROSE
    assert "There are six ways" in PROSE
