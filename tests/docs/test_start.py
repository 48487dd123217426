"""What a newcomer reads first: the README is one screen, and the comparison with others says where its claims come from."""

import importlib.util
import re
import sys

import pandas as pd
import pytest
from docs_kit import ROOT, page
from test_pages import _LINK

sys.path.insert(0, str(ROOT / "scripts"))
_spec = importlib.util.spec_from_file_location("readme_figure", ROOT / "scripts" / "make_readme_figure.py")
readme_figure = importlib.util.module_from_spec(_spec)
sys.modules["readme_figure"] = readme_figure
_spec.loader.exec_module(readme_figure)
README, COMPARISON = page("README.md"), page("docs/comparison.md")


def test_the_readme_is_one_screen_with_two_commands_and_one_picture():
    assert len(README.text.splitlines()) <= 60
    commands = re.findall(r"^    (\S.*?)\s+#", README.section("Two commands"), re.MULTILINE)
    assert commands == ["make demo", "make test"]
    assert "```" not in README.text
    assert re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README.text) == ["docs/picture.svg"]
    assert (ROOT / "docs" / "picture.svg").stat().st_size < 100_000


def test_the_two_commands_are_those_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in ("demo", "test"):
        assert re.search(rf"^{name}: \$\(", makefile, re.MULTILINE)


def test_the_readme_leads_each_user_to_a_tutorial():
    linked = set(_LINK.findall(README.text))
    assert {f"docs/tutorials/{path.name}" for path in (ROOT / "docs" / "tutorials").glob("*.md")} <= linked
    assert {"docs/glance.md", "docs/comparison.md", "docs/notebooks.md", "docs/installing.md"} <= linked


def test_no_tutorial_asks_an_index_for_what_is_not_there():
    pages = [*(ROOT / "docs" / "tutorials").glob("*.md"), *(ROOT / "docs" / "howto").glob("*.md"), README.path]
    assert [path.name for path in pages if "pip install" in path.read_text(encoding="utf-8")] == []


def test_the_picture_is_drawn_of_what_it_is_given():
    visits = pd.DataFrame({
        "patient_id": [1, 1, 2, 2, 3, 3], "arm": ["standard"] * 4 + ["intensive"] * 2, "visit": ["RZ", "27M"] * 3,
        "sbp": [140, 130, 150, 132, 139, 118],
    })  # fmt: skip
    figure = readme_figure.draw(readme_figure.Made(visits, visits.iloc[2:], 123_400, 0.9996))
    left, middle, right = figure.axes
    assert left.get_title() == "3 patients: they stay"
    assert right.get_title() == "2 synthetic patients"
    assert "123 kB\nepsilon 1\n" in middle.texts[0].get_text()
    assert [line.get_ydata().tolist() for line in left.lines] == [[145, 131], [139, 118]]
    assert left.lines[0].get_xdata().tolist() == [0, 27]


def test_every_tool_of_the_comparison_has_its_sources():
    tools = COMPARISON.headings(2)[2:-1]
    assert len(tools) >= 9
    assert [tool for tool in tools if "](https://" not in COMPARISON.section(tool)] == []
    assert re.search(r"on\s+20\d\d-\d\d-\d\d", COMPARISON.text)


@pytest.mark.parametrize("word", ["It has", "They have"])
def test_the_comparison_says_of_others_what_they_have(word):
    fair = [tool for tool in COMPARISON.headings(2)[2:-1] if "we have not" in COMPARISON.section(tool)]
    assert len(fair) >= 8
    assert word in COMPARISON.text


def tables(text):
    """Gives the tables of a text, each as its rows by the names of columns."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def test_the_numbers_of_the_comparison_are_those_of_the_benchmarks():
    benchmarks, section = page("docs/benchmarks.md").text, COMPARISON.section("Measured here")
    theirs = {
        (row["table"], row["epsilon"]): row for row in tables(page("docs/benchmarks.md").section("Clinical tables"))[0]
    }
    ours = dict(zip(("1", "none"), tables(section), strict=True))
    assert [len(rows) for rows in ours.values()] == [5, 5]
    for epsilon, rows in ours.items():
        for row in rows:
            wanted = theirs[row["table"], epsilon]
            assert row == {name: wanted[name] for name in row}
    whole = " ".join(benchmarks.split())
    for claim in (
        "ahead of `copula` in 0 and behind in 30 of 33 cells",
        "Where `copula` refuses (250 patients at epsilon 0.5) it answers, with .73 to .77",
    ):
        assert claim in " ".join(section.split())
        assert claim in whole
    gains = [
        float(cell)
        for cell in re.findall(
            r"\| (\d\.\d\d) \|$", page("docs/benchmarks.md").section("The private step"), re.MULTILINE
        )
    ]
    assert f"{min(gains)} to {max(gains)} times as fast" in COMPARISON.text
    aim = re.search(
        r"AIM\*\* \(smartnoise-synth\): Of (\d+) cells .*? is ahead of `copula` in (\d+) .*? and behind in (\d+) ",
        whole,
    )
    assert f"ahead of `copula` in {aim[2]} and behind in {aim[3]} of {aim[1]} cells" in section
    packages = (ROOT / "benchmarks" / "peers.py").read_text(encoding="utf-8")
    for name, version in (("smartnoise-synth", "1.0.8"), ("mostlyai-engine", "2.7.3"), ("ctgan", "0.12.1")):
        assert f"{name}=={version}" in packages
        assert version in section
