"""Patients as images: whose they are, who is taken, and what is shown of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import image_family_kit as kit
from wardgan.errors import DataError, WardganError


def mine(**more):
    """Three patients: the first with images 0, 2 and 5, the second with 1 and 4, the last with 3."""
    declared = kit.schema((8, 12), mask=True, table={"finding": kit.FINDING, "left": kit.SIDE})
    pixels = np.arange(6)[:, None, None, None] / 10 * np.ones((6, 2, 8, 12))
    labels = {"finding": [0, 1, 0, 1, 1, 0], "left": [0, 0, 1, 1, 0, 1]}
    return kit.cohort_of(pixels, labels, [0, 1, 0, 2, 1, 0], declared, **more)


def test_a_cohort_counts_patients_not_images():
    cohort = mine()
    assert len(cohort) == 3
    assert cohort.format.shape == (2, 8, 12)
    assert cohort.classes.tolist() == [0, 2, 1, 3, 2, 1]


def test_its_repr_shows_no_count_and_no_image():
    assert repr(mine()) == "ImageCohort('scans', 8 x 12 with masks)"
    assert repr(kit.cohort(7)) == "ImageCohort('scans', 8 x 8)"


def test_images_without_a_label_are_of_one_class():
    cohort = kit.cohort(5, declared=kit.schema(table={}))
    assert set(cohort.classes.tolist()) == {0}


def test_taking_patients_takes_all_their_images_in_order():
    cohort = mine()
    taken = cohort.take(np.array([2, 0]))
    assert taken.pixels[:, 0, 0, 0].tolist() == pytest.approx([0.0, 0.2, 0.3, 0.5])
    assert taken.owners.tolist() == [1, 1, 0, 1]
    assert taken.patients.tolist() == cohort.patients[[2, 0]].tolist()
    assert taken.labels["finding"].tolist() == [0, 0, 1, 0]
    assert taken.labels["left"].tolist() == [0, 1, 1, 1]
    assert len(cohort.take(slice(1, 3))) == 2
    assert cohort.take(slice(1, 3)).owners.tolist() == [0, 1, 0]
    assert len(cohort.take(np.arange(0)).pixels) == 0


def test_a_split_is_one_of_patients():
    cohort = kit.cohort(40)
    first, second = cohort.split(0.3, seed=1)
    assert (len(first), len(second)) == (12, 28)
    assert not set(first.patients) & set(second.patients)
    assert set(first.patients) | set(second.patients) == set(cohort.patients)
    assert len(first.pixels) + len(second.pixels) == len(cohort.pixels)
    for part in (first, second):
        for place, name in enumerate(part.patients):
            whole = int(np.flatnonzero(cohort.patients == name)[0])
            assert np.array_equal(part.pixels[part.owners == place], cohort.pixels[cohort.owners == whole])
    again, _ = cohort.split(0.3, seed=1)
    assert again.patients.tolist() == first.patients.tolist()
    other, _ = cohort.split(0.3, seed=2)
    assert other.patients.tolist() != first.patients.tolist()


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, "half"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(WardganError, match="share="):
        kit.cohort(5).split(share, seed=1)


def test_a_split_without_patients_on_one_side_is_refused():
    with pytest.raises(DataError, match="leaves one of the two cohorts without a patient"):
        kit.cohort(3).split(0.1, seed=1)


def test_a_digest_changes_with_whatever_a_fit_sees():
    cohort = mine()
    pixels = cohort.pixels.copy()
    pixels[3, 1, 2, 4] = -1
    others = [
        cohort, replace(cohort, pixels=pixels), replace(cohort, owners=np.array([0, 1, 0, 2, 1, 1])),
        replace(cohort, labels={**cohort.labels, "left": np.zeros(6, dtype=np.int64)}), cohort.take(slice(0, 2)),
    ]  # fmt: skip
    assert len({other.digest() for other in others}) == len(others)
    assert mine().digest() == cohort.digest() != cohort.digest(b"settings")
    assert len(cohort.digest()) == 64
    # Pixels that stand in memory in another order are the same pixels.
    turned = replace(cohort, pixels=np.asfortranarray(cohort.pixels))
    assert turned.digest() == cohort.digest()


@pytest.mark.parametrize("wrong", [
    {"pixels": np.zeros((6, 1, 8, 12), dtype=np.float32)}, {"pixels": np.zeros((6, 2, 12, 8), dtype=np.float32)},
    {"pixels": np.zeros((5, 2, 8, 12), dtype=np.float32)}, {"owners": np.zeros((6, 1), dtype=np.int64)},
    {"labels": {"finding": np.zeros(6, dtype=np.int64), "left": np.zeros(5, dtype=np.int64)}},
])  # fmt: skip
def test_arrays_of_other_shapes_are_refused(wrong):
    with pytest.raises(DataError, match="do not have the shapes"):
        replace(mine(), **wrong)


@pytest.mark.parametrize("owners", [
    [0, 0, 0, 2, 2, 0], [1, 1, 2, 2, 1, 2], [0, 1, 2, -1, 1, 0], [0, 0, 0, 0, 0, 0], [0, 3, 0, 1, 1, 0], [-1, 0, 0, 1, 1, 0],
])  # fmt: skip
def test_p01_owners_that_are_not_the_places_of_all_patients_are_refused(owners):
    with pytest.raises(DataError, match="owners are not the places"):
        replace(mine(), owners=np.array(owners))


def test_tables_are_read_elsewhere():
    cohort = mine()
    with pytest.raises(DataError, match=r"declares no images; .*wg\.read"):
        replace(cohort, schema=replace(cohort.schema, images=None))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_p01_a_pixel_that_is_no_number_is_refused(wrong):
    pixels = mine().pixels.copy()
    pixels[3, 0, 1, 1] = wrong
    with pytest.raises(DataError):
        replace(mine(), pixels=pixels)


def test_patients_without_an_image_are_refused():
    with pytest.raises(DataError, match="owners are not the places"):
        kit.cohort_of(np.zeros((0, 1, 8, 8)), [], [], kit.schema(), patients=kit.names(3))


@pytest.mark.parametrize("code", [-1, 2])
def test_codes_that_are_no_level_are_refused(code):
    labels = {name: np.where(np.arange(len(codes)) == 1, code, codes) for name, codes in mine().labels.items()}
    with pytest.raises(DataError, match="is no place among its 2 levels"):
        replace(mine(), labels=labels)
