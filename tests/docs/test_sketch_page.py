"""The page of the sketch explains what is printed, and its numbers are those that were measured."""

import json
import re

import numpy as np
from docs_kit import ROOT, page

from wardgan.rehearsal import judge
from wardgan.rehearsal.sketch import EPSILONS, LARGEST
from wardgan.rehearsal.words import HEADER
from wardgan.schema.columns import Column
from wardgan.simulate.assume import SIGNALS, Assumptions

TEXT = page("docs/sketch.md")
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "sketch.json").read_text(encoding="utf-8"))
WAYS = ("sketch", "label known")


def words():
    return " ".join(TEXT.text.split())


def test_every_column_of_the_table_is_explained():
    assert TEXT.first_cells("How to read the table") == list(HEADER)


def test_the_printed_table_has_these_columns():
    (printed,) = TEXT.blocks("text")
    (header,) = [line for line in printed.splitlines() if line.split()[:2] == ["epsilon", "share"]]
    assert header.split() == list(HEADER)
    assert "This is a simulation" in printed


def test_how_far_it_is_off():
    rows = re.findall(r"^\| ([\d.]+|no privacy) \| ([\d.]+) \| ([\d.]+) \|$", TEXT.text, re.MULTILINE)
    assert [row[0] for row in rows] == [*(f"{epsilon:g}" for epsilon in EPSILONS), "no privacy"]
    for epsilon, *cells in rows:
        name = "none" if epsilon == "no privacy" else epsilon
        for way, cell in zip(WAYS, cells, strict=True):
            assert f"{np.mean(np.abs(RESULTS['errors'][f'{way}, epsilon {name}'])):.3f}" == cell


def test_how_often_the_interval_held():
    known = [row for row in RESULTS["rows"] if "[" in row["sketch"]]
    held = {way: sum("outside" not in row[way] for row in known) for way in WAYS}
    text = f"measured share in {held['label known']} of {len(known)} cells, and in {held['sketch']} of {len(known)} if"
    assert text in words()


def test_the_examples_are_those_of_the_benchmark():
    cells = {(row["table"], row["epsilon"]): row for row in RESULTS["rows"]}
    for table, epsilon in (("physionet2012_summary", "0.5"), ("uci_heart", "1")):
        row = cells[table, epsilon]
        measured, plain, told = (float(row[name].split()[0]) for name in ("measured", *WAYS))
        said = f"{measured:.2f}".lstrip("0"), f"{plain:.2f}".lstrip("0"), f"{told:.2f}".lstrip("0")
        assert re.search(rf"epsilon {epsilon} kept {said[0]}\b.*?said {said[1]}, or {said[2]} with", words())


def test_the_other_numbers_of_the_page():
    text = words()
    for name, area in SIGNALS.items():
        assert f"`{name}` .{100 * area:.0f}" in text
    two, three = (Assumptions().label_shares(Column("x", "category", levels=tuple("abc"[:k])))[-1] for k in (2, 3))
    assert f"{100 * two:.0f} % of two levels and {100 * three:.0f} % of three" in text
    assert f"more than {LARGEST:,} patients" in text
    assert f"at most {judge.TAUGHT:,} patients, {judge.COMPARED:,} are compared" in text
    assert f"at most {judge.PAIRED} columns" in text
    assert f"`--missing` ({Assumptions().missing:g})" in text
