"""The page of the attacks repeats what was measured, and the limits that are used."""

import json
import re

from docs_kit import ROOT, page

from wardgan.attack import FEWEST, LIMITS

TEXT = page("docs/attacks.md")
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "attacks.json").read_text(encoding="utf-8"))
ATTACKS = {(row["table"], row["generator"], row["epsilon"], row["attack"]): row for row in RESULTS["attacks"]}


def rows(heading):
    lines = re.findall(r"^\| (.+) \|$", TEXT.section(heading), re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines if not line.startswith("---")]


def test_the_limits_are_those_that_are_used():
    found = {name: limit for name, _, limit in rows("How to read a result")[1:]}
    assert found["membership: area under the ROC curve"] == (
        f"{LIMITS['auc']}, for the most isolated {LIMITS['worst']:.2f}"
    )
    assert float(found["membership: found at 1 % false positives"]) == LIMITS["tpr_1"]
    assert float(found["inference: excess"]) == LIMITS["inference"]
    assert float(found["linkability: excess"]) == LIMITS["linkability"]
    assert float(found["singling out: excess"]) == LIMITS["singling_out"]
    assert float(found["copies: excess"]) == LIMITS["copies"]
    assert f"Fewer than {FEWEST} patients" in " ".join(TEXT.text.split())


def test_what_was_seen_is_as_measured():
    found = rows("What was measured")
    assert found[0] == ["attack", "uci_heart", "support2", "flchain_like", "sprint_like"]
    body = found[1:]
    assert len(body) == 16
    for name, *cells in body:
        for table, cell in zip(found[0][1:], cells, strict=True):
            attack = name.strip("`")
            if attack == "inference":
                (attack,) = {key[3] for key in ATTACKS if key[0] == table and key[3].startswith("inference.")}
            safe, leaking = (ATTACKS[table, generator, "-", attack] for generator in ("safe", "leak"))
            assert cell == f"{safe['clear']} / {safe['leak']} / {leaking['leak']}", (name, table)


def test_those_who_were_accused_are_the_ones_that_the_page_names():
    fitted = [row for row in RESULTS["rows"] if row["generator"] not in ("safe", "leak")]
    assert {row["leak seen"].split()[-1] for row in fitted} == {"3"}
    accused = {(row["table"], row["generator"], row["epsilon"]) for row in fitted if row["leak seen"] != "0 of 3"}
    assert accused == {("uci_heart", "copula", "none"), ("uci_heart", "tabgan", "none")}
    leaks = {(one["attack"], one["leak"]) for key, one in ATTACKS.items() if key[:3] in accused and one["leak"]}
    assert leaks == {("singling_out.one", 3), ("membership.nearest.auc", 1)}
    assert "The six that were accused are those of `uci_heart` without privacy" in TEXT.text
