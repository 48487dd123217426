"""One patient more or less, with all of their images, moves an answer by no more than was billed (Rule P1)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import image_family_kit as kit
from wardgan.privacy.grain_queries import Grain, GrainSums, Shades
from wardgan.privacy.image_queries import ClassShares, Pictures, WaveProducts, Waves, WaveSums
from wardgan.privacy.training import Groups
from wardgan.schema.images import ImageFormat

many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
TABLE = {"grade": {"kind": "category", "levels": ["a", "b", "c"]}}


@st.composite
def cohorts(draw, least=1):
    """Patients with up to four images each, in any order, of any class: white, black, boards and anything between."""
    look = ImageFormat(8, draw(st.sampled_from([8, 12])), mask=draw(st.booleans()))
    counts = draw(st.lists(st.integers(1, 4), min_size=least, max_size=5))
    owners = draw(st.permutations(np.repeat(np.arange(len(counts)), counts).tolist()))
    extremes = kit.extremes(look)
    stream = np.random.default_rng(draw(st.integers(0, 1000)))
    pixels = []
    for _ in owners:
        if draw(st.booleans()):
            pixels.append(extremes[draw(st.integers(0, len(extremes) - 1))])
        else:
            pixels.append(stream.uniform(-1, 1, look.shape) ** draw(st.sampled_from([1, 3, 9])))
    labels = [draw(st.integers(0, 2)) for _ in owners]
    declared = kit.schema((look.height, look.width), mask=look.mask, table=TABLE)
    return kit.cohort_of(np.array(pixels), labels, owners, declared)


@st.composite
def products(draw, look, waves):
    size = look.planes * waves**2
    stream = np.random.default_rng(draw(st.integers(0, 1000)))
    centres = stream.normal(size=(3, size)) * draw(st.sampled_from([0.0, 0.2, 1.0]))
    centres /= np.maximum(1, np.linalg.norm(centres, axis=1, keepdims=True))
    return WaveProducts(Waves.of(waves, look.shape), centres, draw(st.sampled_from([0.1, 0.5, 1.0])))


def slow(query, cohort):
    """The answer, patient by patient, image by image and number by number."""
    waves = len(query.waves.left) if not isinstance(query, ClassShares) else 0
    totals = {}
    for patient in range(len(cohort)):
        mine = [at for at, owner in enumerate(cohort.owners.tolist()) if owner == patient]
        for at in mine:
            label = int(cohort.classes[at])
            parts = [1.0] if isinstance(query, ClassShares) else kit.slow_numbers(cohort.pixels[at], waves)
            if isinstance(query, WaveProducts):
                parts = slow_products(parts, query.centres[label].tolist(), query.radius)
            for place, part in enumerate(parts):
                totals[label, place] = totals.get((label, place), 0.0) + part / len(mine)
    size = 1 + max(place for _, place in totals)
    return np.array([totals.get((label, place), 0.0) for label in range(3) for place in range(size)])


def slow_products(numbers, centre, radius):
    away = [(number - middle) / radius for number, middle in zip(numbers, centre, strict=True)]
    length = math.sqrt(sum(each * each for each in away))
    if length > 1:
        away = [each / length for each in away]
    return [away[i] * away[j] * (1 if i == j else math.sqrt(2)) for i in range(len(away)) for j in range(i, len(away))]


def asked(data, cohort, waves=2):
    look = cohort.format
    return ClassShares(3), WaveSums(Waves.of(waves, look.shape), 3), data.draw(products(look, waves))


@many
@given(cohorts(), st.data())
def test_answers_are_those_of_a_loop_over_patients_and_images(cohort, data):
    pictures = Pictures.of(cohort)
    for query in asked(data, cohort):
        np.testing.assert_allclose(pictures.total(query), slow(query, cohort), atol=1e-7)


@many
@given(cohorts(least=2), st.integers(0, 4), st.sampled_from([1, 2, 5, 8]))
def test_p01_one_patient_moves_grain_and_shades_by_at_most_their_sensitivity(cohort, gone, waves):
    gone = gone % len(cohort)
    rest = cohort.take(np.delete(np.arange(len(cohort)), gone))
    for query in (GrainSums(Grain.of(waves, cohort.format.height, cohort.format.width), 3), Shades(3)):
        whole, less, mine = (
            Pictures.of(each).total(query) for each in (cohort, rest, cohort.take(slice(gone, gone + 1)))
        )
        assert np.linalg.norm(whole - less) <= query.sensitivity * (1 + 1e-9)
        np.testing.assert_allclose(whole - less, mine, atol=1e-9)


@many
@given(cohorts(least=2), st.data())
def test_p01_one_patient_moves_an_answer_by_at_most_its_sensitivity(cohort, data):
    gone = data.draw(st.integers(0, len(cohort) - 1))
    rest = cohort.take(np.delete(np.arange(len(cohort)), gone))
    for query in asked(data, cohort, waves=data.draw(st.sampled_from([2, 5, 8]))):
        whole, less = (Pictures.of(each).total(query) for each in (cohort, rest))
        assert np.linalg.norm(whole - less) <= query.sensitivity * (1 + 1e-9)


@many
@given(cohorts(least=2), st.data())
def test_p01_patients_do_not_change_what_others_add(cohort, data):
    for query in asked(data, cohort):
        alone = [Pictures.of(cohort.take(slice(at, at + 1))).total(query) for at in range(len(cohort))]
        np.testing.assert_allclose(Pictures.of(cohort).total(query), np.sum(alone, axis=0), atol=1e-9)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("images", [1, 2, 5])
def test_p01_the_bound_is_reached_by_a_patient_with_any_number_of_images(images, mask):
    """White images, masks and all, around a black centre; a patient of many images moves no more and no less."""
    look = ImageFormat(8, 8, mask=mask)
    waves = Waves.of(2, look.shape)
    pixels = np.ones((3 + images, *look.shape), dtype=np.float32)
    pixels[:3] = np.random.default_rng(0).uniform(-1, 1, (3, *look.shape))
    declared = kit.schema(mask=mask, table=TABLE)
    cohort = kit.cohort_of(pixels, np.zeros(len(pixels)), [0, 1, 2, *[3] * images], declared)
    black = np.repeat(-waves.numbers(np.ones((1, *look.shape), dtype=np.float32)), 3, axis=0)
    for query in (ClassShares(3), WaveSums(waves, 3), WaveProducts(waves, black, 1.0)):
        whole, less = (Pictures.of(each).total(query) for each in (cohort, cohort.take(slice(0, 3))))
        assert np.linalg.norm(whole - less) == pytest.approx(query.sensitivity, rel=1e-9)


# --- which images stand for a patient in a step ------------------------------------------------------------------------


def slow_rows(owners, patient, at_once, step):
    """All of a patient's images, or the next few of them."""
    mine = [at for at, owner in enumerate(owners) if owner == patient]
    if len(mine) <= at_once:
        return set(mine)
    return {mine[(step * at_once + turn) % len(mine)] for turn in range(at_once)}


@st.composite
def owned(draw):
    counts = draw(st.lists(st.integers(1, 7), min_size=1, max_size=6))
    return draw(st.permutations(np.repeat(np.arange(len(counts)), counts).tolist()))


@many
@given(owned(), st.integers(1, 5), st.integers(0, 40), st.data())
def test_p01_the_rows_of_a_batch_are_those_of_a_loop_over_patients(owners, at_once, step, data):
    count = max(owners) + 1
    drawn = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1)))), dtype=np.intp)
    cap = data.draw(st.integers(max(1, len(drawn)), 9))
    groups = Groups(np.array(owners), at_once)
    # Public: a patient with many images changes no shape for the others.
    assert (len(groups), groups.single) == (count, at_once == 1)
    rows, places, parts = groups.batch(drawn, cap, step)
    assert rows.shape == places.shape == parts.shape == (cap * at_once,)
    for place, patient in enumerate(drawn):
        counted = (places == place) & (parts > 0)
        assert set(rows[counted].tolist()) == slow_rows(owners, patient, at_once, step)
        assert counted.sum() == min(at_once, owners.count(patient))
        np.testing.assert_allclose(parts[counted], 1 / counted.sum())
    assert parts.sum() == pytest.approx(len(drawn))
    assert (parts[len(drawn) * at_once :] == 0).all()


@many
@given(owned(), owned(), st.integers(1, 5), st.integers(0, 40))
def test_p01_what_stands_for_a_patient_hangs_on_no_other(owners, others, at_once, step):
    """The first patient with one set of others, and with another."""
    mine = [owner for owner in owners if owner == 0]
    found = []
    for more in (owners, mine + [other + 1 for other in others], mine):
        groups = Groups(np.array(more), at_once)
        rows, places, parts = groups.batch(np.array([0]), 1, step)
        first = np.flatnonzero(np.array(more) == 0)
        counted = parts > 0
        found.append(sorted(zip(np.searchsorted(first, rows[counted]).tolist(), parts[counted].tolist(), strict=True)))
        assert (places == 0).all()
    assert found[0] == found[1] == found[2]
