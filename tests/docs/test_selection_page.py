"""What the page on choosing weights claims is what was measured."""

import json
from itertools import product
from statistics import mean, stdev

import pytest
from docs_kit import ROOT, page

WORDS = " ".join(page("docs/selection.md").text.split())
RUNS = json.loads((ROOT / "benchmarks" / "results" / "selection.json").read_text(encoding="utf-8"))["runs"]
OF = {(run["family"], run["epsilon"], run["seed"], run["method"]): run for run in RUNS}
PRIVATE = ("noisy-max", "top-5", "boosting", "pool")
SEEDS = sorted({run["seed"] for run in RUNS})
CASES = (("acgan", 1.0), ("tabgan", 1.0), ("tabgan", 3.5))


def gap(case, method, other, name):
    """The mean paired difference over seeds, and its standard error."""
    found = [OF[(*case, seed, method)][name] - OF[(*case, seed, other)][name] for seed in SEEDS]
    return mean(found), stdev(found) / len(found) ** 0.5


def test_no_way_is_ahead_and_six_are_behind():
    gaps = [gap(*one, "EMA", name) for *one, name in product(CASES, PRIVATE, ("LR", "RF"))]
    assert len(gaps) == 24
    assert sum(middle > 2 * error for middle, error in gaps) == 0
    assert sum(middle < -2 * error for middle, error in gaps) == 6
    assert "in none of these 24 comparisons" in WORDS
    assert "In 6 it is behind" in WORDS
    assert all(gap(case, "oracle", "EMA", name)[0] < 2 * gap(case, "oracle", "EMA", name)[1] for case in CASES for name in ("LR", "RF"))  # fmt: skip


def test_noisy_max_mostly_took_what_the_oracle_took():
    same = [OF[(*case, seed, "noisy-max")]["chosen"] == OF[(*case, seed, "oracle")]["chosen"] for case in CASES for seed in SEEDS]  # fmt: skip
    assert f"in {sum(same)} of {len(same)} trainings" in WORDS


@pytest.mark.parametrize(
    ("case", "method", "other", "name", "text"),
    [
        (CASES[2], "top-5", "EMA", "RF", "-0.004 ± 0.001"),
        (CASES[2], "boosting", "EMA", "RF", "-0.004 ± 0.001"),
        (CASES[0], "oracle", "EMA of the run", "RF", "0.023 ± 0.015"),
        (CASES[0], "oracle", "EMA of the run", "LR", "-0.012 ± 0.012"),
    ],
)
def test_numbers_in_the_text(case, method, other, name, text):
    middle, error = gap(case, method, other, name)
    assert f"{middle:.3f} ± {error:.3f}" == text
    assert text.lstrip("-") in WORDS
