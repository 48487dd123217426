"""The page on images explains every number and name, and the limits that it tells are those of the code."""

import re
from dataclasses import fields

import pytest
from docs_kit import page

from wardgan.evaluate import images
from wardgan.evaluate.images import (
    clusters,
    convolved,
    copied,
    drawn,
    draws,
    places,
    radiomic,
    remembered,
    report,
    sets,
    taught,
    textures,
)

TEXT = page("docs/image-evaluation.md")
WORDS = " ".join(TEXT.text.split())


@pytest.mark.parametrize("name", images.__all__)
def test_every_name_is_there_and_on_the_page(name):
    assert hasattr(images, name)
    assert re.search(rf"\b{name}\b", TEXT.text)


def test_names_are_sorted():
    assert images.__all__ == sorted(images.__all__)


@pytest.mark.parametrize(
    "kind",
    [
        images.Distances,
        images.Manifold,
        images.Diversity,
        images.Taught,
        images.Drawn,
        images.Nearness,
        images.Memory,
        images.ImageReport,
    ],
)
def test_every_number_is_explained(kind):
    assert [field.name for field in fields(kind) if f"`{field.name}`" not in TEXT.text] == []


def test_the_limits_are_those_of_the_code():
    assert f"At most {report.MOST:,} images of each set" in WORDS
    assert f"fewer than {report.ENOUGH} patients" in WORDS
    assert report.ENOUGH == remembered.ENOUGH
    assert f"both sides at least {sets.SMALLEST} pixels" in WORDS
    assert f"jackknife over {clusters.GROUPS} groups of patients" in WORDS
    assert f"k = {places.NEAREST};" in WORDS
    assert f"{len(radiomic.NAMES)} numbers with names" in WORDS
    assert f"{textures.LEVELS} grey levels between -1 and 1" in WORDS
    assert f"(three convolutions, {taught.STEPS} steps)" in WORDS
    assert f"{drawn.DRAWN_STEPS} steps, after synthetic pairs" in WORDS
    assert f"at least {taught.ENOUGH} hold-out patients" in WORDS
    assert f"images above {draws.SIDE} pixels" in WORDS
    assert (remembered.EXPOSED, copied.NEAR_PAIRS) == (0.05, 0.05)
    assert pytest.approx(1 - 0.05 / 9) == remembered.CONFIDENCE
    assert len(convolved._WIDTHS) == 3
