"""Patients with images have a fingerprint, too: that of their names, or of their images where nobody said whose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import image_family_kit as kit
from wardgan.imaging import read_images
from wardgan.privacy.accounts.fingerprint import fingerprint

KEY = b"k" * 32


def of(cohort):
    return fingerprint(cohort, KEY)


def test_order_labels_and_images_do_not_matter_where_patients_are_named():
    cohort = kit.cohort(6)
    order = np.array([3, 0, 5, 1, 2, 4])
    assert of(cohort.take(order)) == of(cohort)
    assert of(replace(cohort, pixels=-cohort.pixels)) == of(cohort)
    assert of(replace(cohort, labels={"finding": 1 - cohort.labels["finding"]})) == of(cohort)
    larger = kit.cohort_of(np.zeros((12, 1, 16, 16)), [0] * 12, [*range(6), *range(6)])
    assert of(larger) == of(cohort)


def test_one_patient_more_less_or_other_is_another_fingerprint():
    cohort = kit.cohort(6)
    other = cohort.patients.copy()
    other[2] = kit.names(9)[8]
    found = {of(cohort), of(cohort.take(slice(0, 5))), of(kit.cohort(7)), of(replace(cohort, patients=other))}
    assert len(found) == 4


def test_another_key_gives_another_fingerprint_and_no_name_is_in_it():
    cohort = kit.cohort(3)
    assert fingerprint(cohort, KEY) != fingerprint(cohort, b"l" * 32)
    assert len(of(cohort)) == 64
    assert not any(name[:16] in of(cohort) for name in cohort.patients)


def saved(path, name, **arrays):
    np.savez(path / name, **arrays)
    return path / name


def test_names_that_a_spreadsheet_changed_are_the_same(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8)).astype(np.uint8)
    declared, found = kit.schema(table={}), []
    for at, names in enumerate((["P1", "p2 ", "007"], ["p1", "P2", "7"], ["7", "P2", "P1"], ["7", "P2", "P3"])):
        path = saved(tmp_path, f"{at}.npz", images=pixels, patients=np.array(names))
        found.append(of(read_images(path, declared)[0]))
    assert found[0] == found[1] == found[2] != found[3]


def test_without_names_the_images_count_in_any_order(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    declared = kit.schema(table={}, patient=None)
    changed = pixels.copy()
    changed[1, 2, 3] ^= 255
    one, turned, less, other = (
        of(read_images(saved(tmp_path, f"{at}.npz", images=images), declared)[0])
        for at, images in enumerate((pixels, pixels[[2, 0, 3, 1]], pixels[:3], changed))
    )
    assert one == turned
    assert len({one, less, other}) == 3


@pytest.mark.parametrize("named", [True, False])
def test_how_it_was_known_whose_they_are_does_not_matter(named):
    cohort = replace(kit.cohort(3), named=named)
    assert of(cohort) == of(kit.cohort(3))
