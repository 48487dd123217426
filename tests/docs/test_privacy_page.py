"""What the privacy page promises can be found in the code and in the tests."""

import ast
import fnmatch
import math
import re

import numpy as np
import pytest
from docs_kit import ROOT, page

import wardgan.dossier.images.paid as image_paid
import wardgan.models.imagegan.config as imagegan
from wardgan.dossier import paid
from wardgan.models.anchor import anchor
from wardgan.models.pairs.settings import SELECTION, round_name
from wardgan.privacy import grain_queries, image_queries, learn, pairs, plan, queries
from wardgan.privacy.training import BLOCK

RULES = re.findall(r"^\| (P\d+) \| .* \| (.*) \|$", page("docs/privacy.md").text, re.MULTILINE)

# How the names of the tests begin that the page names, with a rule's number or without.
STEMS = {re.split(r"\d|\*", name)[0] for _, named in RULES for name in re.findall(r"`(test_\w+\*?)`", named)}


@pytest.fixture(scope="module")
def tests():
    """Names of all tests."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        # To parse all files would take seconds: only those that may have a test of a rule.
        if not any(stem in text for stem in STEMS):
            continue
        tree = ast.parse(text)
        found |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return {numbered(name) for name in found if name.startswith("test_")}


def numbered(name):
    """Gives a test's name with the number of its rule as the page writes it: 4 rather than 04."""
    return re.sub(r"^test_p0", "test_p", name)


def test_there_are_eighteen_rules():
    assert [name for name, _ in RULES] == [f"P{number}" for number in range(1, 19)]


@pytest.mark.parametrize("named", [named for _, named in RULES], ids=[rule for rule, _ in RULES])
def test_every_rule_has_its_tests(named, tests):
    patterns = re.findall(r"`(test_\w+\*?)`", named)
    assert patterns
    assert [name for name in map(numbered, patterns) if not fnmatch.filter(tests, name)] == []


def test_the_bets():
    rows = re.findall(r"^\| ([\d.]+) \| ([\d.]+) % \|$", page("docs/privacy.md").text, re.MULTILINE)
    assert len(rows) == 6
    for epsilon, sure in rows:
        exact = 100 / (1 + math.exp(-float(epsilon)))
        assert 0 <= float(sure) - exact < 0.1
    readme = " ".join(page("README.md").text.split())
    assert "at most 73.2 % certainty at epsilon 1, at most 95.3 % at epsilon 3" in readme


def test_every_sum_is_on_the_page():
    rows = page("docs/privacy.md").section("What is read, and with how much noise")
    names = [
        anchor.GRID,
        anchor.SPIKES,
        anchor.TOTALS,
        anchor.LABELS,
        anchor.MEANS,
        anchor.COVARIANCE,
        "patient count",
        "class counts",
        "discriminator",
        SELECTION,
        round_name(0),
        *(imagegan.CLASSES, imagegan.SUMS, imagegan.PRODUCTS, imagegan.GRAIN, imagegan.GREYS, paid.EVENT),
    ]
    assert [name for name in names if f"`{name}`" not in rows] == []
    kinds = [*vars(queries).items(), *vars(pairs).items()]
    asks = {
        name for name, kind in kinds if isinstance(kind, type) and (hasattr(kind, "total") or hasattr(kind, "scores"))
    }
    known = asks - {"Query"}
    # A new question needs a row, and this list its name.
    assert known == {
        "CellCounts", "ClassCounts", "LevelCounts", "LevelTotals", "PairCounts", "PairGaps", "PatientCount",
        "RangeCounts", "ScoreProducts", "ScoreSums", "ValueCounts"
    }  # fmt: skip


def test_every_sum_over_images_is_on_the_page():
    kinds = [*vars(image_queries).items(), *vars(grain_queries).items(), *vars(image_paid).items()]
    asks = {
        name
        for name, kind in kinds
        if isinstance(kind, type) and hasattr(kind, "over") and hasattr(kind, "sensitivity")
    }
    # A new question needs a row on the page, and this list its name.
    assert asks - {"ImageQuery"} == {
        "ClassShares",
        "WaveSums",
        "WaveProducts",
        "GrainSums",
        "Shades",
        "RecognisedImages",
    }
    rows = re.findall(
        r"^\| `([a-z ]+)` \| imagegan[^|]*\|[^|]*(?:\\\|[^|]*)*\| (\S+) \|", page("docs/privacy.md").text, re.MULTILINE
    )
    assert dict(rows) == dict.fromkeys(["classes", "wave sums", "wave products", "grain", "shades of grey"], "1")
    waves = image_queries.Waves.of(3, (1, 16, 16))
    sums = image_queries.WaveSums(waves, 2), image_queries.WaveProducts(waves, np.zeros((2, 9)), 0.3)
    grain = grain_queries.GrainSums(grain_queries.Grain.of(3, 16, 16), 2), grain_queries.Shades(2)
    assert {one.sensitivity for one in (image_queries.ClassShares(2), *sums, *grain)} == {1.0}


def test_the_sensitivities_are_those_of_the_page():
    levels = tuple(queries.Levels(None, 3, None) for _ in range(5))
    scores = queries.Scores(levels, tuple(range(5)), tuple(np.zeros(3) for _ in range(5)), 2.0)
    edges = (np.linspace(0, 1, 2**3 + 1), np.linspace(0, 1, 2**4 + 1))
    assert queries.PatientCount().sensitivity == queries.ClassCounts(2).sensitivity == 1
    assert queries.ValueCounts([0], edges[0]).sensitivity == 1
    assert queries.CellCounts(((0,), (1,)), edges).sensitivity == pytest.approx(math.sqrt(3 + 4))
    assert queries.LevelCounts(levels, 2).sensitivity == pytest.approx(math.sqrt(5))
    two = pairs.PairCounts(levels, tuple(np.arange(3) for _ in range(5)), ((0, 1), (2, 4)), 2)
    assert two.sensitivity == pytest.approx(math.sqrt(2))
    assert pairs.PairGaps(two, (), np.zeros(0)).sensitivity == 1
    assert queries.LevelTotals(((0,), (1, 2), (3,)), (3, 3, 3)).sensitivity == pytest.approx(math.sqrt(3))
    assert queries.ScoreSums(scores, 2).sensitivity == 2
    assert queries.ScoreProducts(scores, 2).sensitivity == pytest.approx(2**2 * math.sqrt((1 - 1 / 5) / 2))


def test_the_numbers_of_the_page():
    text = page("docs/privacy.md").text
    assert f"R is {anchor.RADIUS:g} times the root" in text
    assert f"in all {100 * learn.THRESHOLD_DELTA:g} % of the budget's delta" in text
    assert f"billed in blocks of {BLOCK}" in text
    assert plan.HEADROOM == 1.1
    assert plan.batch_cap(6500, 1 / 6) == math.ceil(7151 / 6 + 8 * math.sqrt(7151 * 5 / 36))
