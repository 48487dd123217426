"""The page of the attacks repeats what was measured, and the limits that are used."""

import json
import re

from docs_kit import ROOT, page

from wardgan.attack import FEWEST, LIMITS

TEXT = page("docs/attacks.md")
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "attacks.json").read_text(encoding="utf-8"))
ROWS = {(row["table"], row["generator"], row["epsilon"]): row for row in RESULTS["rows"]}
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
    body = found[1 : found.index(["table", "generator", "epsilon", "patients", "leak seen", "unclear"])]
    assert len(body) == 16
    for name, *cells in body:
        for table, cell in zip(found[0][1:], cells, strict=True):
            attack = name.strip("`")
            if attack == "inference":
                (attack,) = {key[3] for key in ATTACKS if key[0] == table and key[3].startswith("inference.")}
            safe, leaking = (ATTACKS[table, generator, "-", attack] for generator in ("safe", "leak"))
            assert cell == f"{safe['clear']} / {safe['leak']} / {leaking['leak']}", (name, table)


def test_generators_are_as_measured():
    found = rows("What was measured")
    start = found.index(["table", "generator", "epsilon", "patients", "leak seen", "unclear"])
    for table, generator, epsilon, patients, seen, unclear in found[start + 1 :]:
        row = ROWS[table, generator, epsilon]
        assert [patients, seen, unclear] == [str(row["patients"]), row["leak seen"], row["unclear"]]
    assert len(found) - start - 1 == len(ROWS)
