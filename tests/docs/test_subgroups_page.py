"""The page of small groups repeats what was measured."""

import json
import re

import pytest
from docs_kit import ROOT, page

TEXT = page("docs/subgroups.md")
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "subgroups.json").read_text(encoding="utf-8"))
ROWS = {(row["table"], row["groups"], row["epsilon"], row["lever"]): row for row in RESULTS["rows"]}
GROUPS = {(row["table"], row["groups"], row["epsilon"], row["lever"], row["group"]): row for row in RESULTS["groups"]}
OWNER = {
    "switzerland": ("uci_heart", "site"),
    "asian": ("support2", "race"),
    "female": ("uci_heart", "sex"),
    "Asian": ("diabetes130", "race"),
}
LEVERS = ("plain", "floor", "label", "label, floor", "one each")


def rows(heading):
    lines = re.findall(r"^\| (.+) \|$", TEXT.section(heading), re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines[1:] if not line.startswith("---")]


def mean(row, name):
    return row[name].split()[0]


def near(group, epsilon, lever, name):
    return GROUPS[(*OWNER[group], epsilon, lever, group)][name]


def test_what_training_does_is_as_measured():
    found = rows("What private training does to them")
    assert len(found) == 12
    for group, n, epsilon, *cells in found:
        own = GROUPS[(*OWNER[group], epsilon, "plain", group)]
        everybody = ROWS[(*OWNER[group], epsilon, "plain")]
        assert [n, *cells] == [own["n"], own["share"], own["risk"], own["LR"], everybody["all: LR"]]


def test_what_levers_do_is_as_measured():
    found = rows("The levers")
    assert len(found) == 8
    for name, *cells in found:
        group, epsilon = name.split(", ")
        for lever, cell in zip(LEVERS, cells, strict=True):
            place = (*OWNER[group], epsilon, lever)
            if ROWS[place]["fits"].startswith("0 of"):
                assert cell == "refused"
                continue
            own = GROUPS[(*place, group)]
            assert cell == " / ".join([mean(ROWS[place], "all: LR"), mean(own, "LR"), mean(own, "risk")])


@pytest.mark.parametrize(
    ("group", "epsilon", "lever", "text"),
    [
        ("asian", "3", "label", "-1.7 ± 2.7"),
        ("asian", "3", "plain", "-6.1 ± 2.8"),
        ("asian", "3", "one each", "-0.2 ± 3.2"),
        ("switzerland", "3", "label", "-1.2 ± 1.9"),
        ("switzerland", "3", "plain", "-4.0 ± 1.6"),
        ("switzerland", "3", "one each", "1.7 ± 1.4"),
        ("Asian", "3", "one each", "3.1 ± 1.4"),
        ("Asian", "3", "plain", "-1.2 ± 0.5"),
    ],
)
def test_risks_in_the_text(group, epsilon, lever, text):
    assert near(group, epsilon, lever, "risk") == text
    assert text in " ".join(TEXT.text.split())


def test_losses_in_the_text():
    words = " ".join(TEXT.text.split())

    def loss(table, column, lever):
        plain, pulled = (float(mean(ROWS[table, column, "1", name], "all: LR")) for name in ("plain", lever))
        return f"{plain - pulled:.3f}".lstrip("0")

    by_label = loss("uci_heart", "sex", "label"), loss("diabetes130", "race", "label")
    assert f"loses {by_label[0]} on `uci_heart` by sex, and {by_label[1]} on `diabetes130`" in words
    alone = loss("uci_heart", "site", "one each"), loss("diabetes130", "race", "one each")
    assert f"loses {alone[0]} on `uci_heart` by site and {alone[1]} on `diabetes130`" in words


def test_boosting_in_the_text():
    words = " ".join(TEXT.text.split())
    for group, place, column in (
        ("female", ("uci_heart", "sex"), "all: GB"),
        ("Other", ("diabetes130", "race"), "all: GB"),
    ):
        own = [mean(GROUPS[(*place, epsilon, "plain", group)], "GB").lstrip("0") for epsilon in ("none", "1")]
        everybody = [mean(ROWS[(*place, epsilon, "plain")], column).lstrip("0") for epsilon in ("none", "1")]
        assert f"from {own[0]} to {own[1]}" in words
        assert f"{everybody[0]} to {everybody[1]})" in words


def test_facts_in_the_text():
    assert near("switzerland", "1", "plain", "real risk").startswith("93.")
    assert near("asian", "1", "plain", "share").endswith("(0.70 to 2.48)")
    assert near("switzerland", "1", "plain", "share").endswith("(0.32 to 2.10)")
    assert near("switzerland", "1", "plain", "risk").startswith("-20.7")
    assert near("female", "1", "plain", "risk").endswith("± 3.2")  # of ten fits: 10 points from fit to fit
    refused = {place for place, row in ROWS.items() if row["fits"].startswith("0 of")}
    assert refused == {("uci_heart", "site", "1", "label"), ("uci_heart", "site", "1", "label, floor")}
    assert ROWS["uci_heart", "sex", "1", "one each"]["generators"] == "1"
