"""The page on measures names all of them, and the limits that it tells are those of the code."""

import inspect
import re
from dataclasses import fields

import pytest
from docs_kit import page

from wardgan import evaluate
from wardgan.evaluate import (
    coefficients,
    detect,
    distances,
    groups,
    neighbours,
    survival,
    transfer,
    utility,
    vanished,
    visits,
)

TEXT = page("docs/evaluation.md")
WORDS = " ".join(TEXT.text.split())


def test_every_function_is_named():
    functions = [name for name in evaluate.__all__ if inspect.isfunction(getattr(evaluate, name))]
    assert len(functions) > 20
    assert [name for name in functions if not re.search(rf"\b{name}\b", TEXT.text)] == []


@pytest.mark.parametrize(
    ("heading", "kinds"),
    [
        ("Likeness: `likeness`", [evaluate.Likeness]),
        ("Can they be told apart? `detection`, `neighbourhoods`", [evaluate.Neighbourhoods]),
        ("Do they do the work? `train_synthetic_test_real`", [evaluate.Transfer, evaluate.Calibration]),
        ("Do regressions say the same? `coefficient_agreement`, `hazard_agreement`", [evaluate.CoefficientAgreement]),
        ("Survival: `survival_agreement`", [evaluate.SurvivalGap, evaluate.Survival]),
        ("Visits: `course`", [evaluate.Course]),
        ("Groups: `subgroups`", [evaluate.Subgroup]),
        ("Are they possible? `rules_kept`, `unseen_combinations`", [evaluate.Obedience, evaluate.UnseenCombinations]),
    ],
)
def test_every_number_of_a_table_is_there(heading, kinds):
    known = {field.name for kind in kinds for field in fields(kind)}
    named = {word for cell in TEXT.first_cells(heading) for word in re.findall(r"\w+", cell)}
    assert named
    assert named - known == set()


def test_every_estimate_is_explained():
    for kind in (evaluate.Likeness, evaluate.Neighbourhoods, evaluate.Transfer, evaluate.CoefficientAgreement):
        told = {field.name for field in fields(kind) if "Estimate" in str(field.type) or "Beside" in str(field.type)}
        assert {name for name in told if f"`{name}`" not in TEXT.text} == set()


def test_the_limits_are_those_of_the_code():
    assert {distances.MOST, transfer.MOST, visits.MOST, coefficients.MOST} == {20_000}
    assert "20,000 patients for likeness, classifiers, coefficients and visits" in WORDS
    assert f"{detect.JUDGED:,} for detection, {neighbours.MOST:,} for neighbours" in WORDS
    assert f"fewer than {transfer.ENOUGH} tested patients do not count" in WORDS
    assert f"gradient boosting and {utility.NEIGHBOURS} nearest neighbours" in WORDS
    assert f"categories of up to {groups.SMALL} levels" in WORDS
    assert "(below {}, from {}, {}, {}, {} on".format(groups.AGES[0], *groups.AGES) in WORDS
    assert f"fewer than {vanished.ENOUGH} real patients" in WORDS
    assert survival.ENOUGH == 10
    assert "ten patients of each table are followed" in WORDS
