"""The waves of imagegan: planted means and covariances are found, and noise alone makes no direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import image_family_kit as kit
from wardgan.models.imagegan import base as module
from wardgan.models.imagegan.config import CLASSES, GRAIN, GREYS, PRODUCTS, SUMS
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.image_queries import ClassShares, Waves, WaveSums
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan
from wardgan.privacy.records import Records
from wardgan.rng import Seed

WIDE = replace(kit.TINY, waves=3, radius=1.0)
ASKED = (CLASSES, SUMS, PRODUCTS, GRAIN, GREYS)


def records(cohort, noise=None):
    """Behind the counter, with the noise multiplier of all answers; `None`: without privacy."""
    if noise is None:
        return Records(cohort, Ledger(None), noise=Seed(1))
    events = tuple(Event(name, "gaussian", noise_multiplier=noise) for name in ASKED)
    return Records(cohort, Ledger(Plan(Budget(2.0), events, 120, "imagegan"), replayable=True), noise=Seed(1))


def planted(patients=400, *, each=1, seed=0):
    """Images of two classes, made of nine waves with known means and covariances, and nothing else."""
    stream = np.random.default_rng(seed)
    waves = Waves.of(3, (1, 8, 8))
    means = stream.normal(size=(2, 9)) * 0.03
    roots = stream.normal(size=(2, 9, 4)) * 0.02
    owners = np.repeat(np.arange(patients), each)
    labels = stream.integers(0, 2, patients)[owners]
    numbers = means[labels] + np.einsum("nij,nj->ni", roots[labels], stream.normal(size=(len(owners), 4)))
    pixels = 8 * (waves.left.T @ numbers.reshape(-1, 3, 3) @ waves.right)
    assert np.abs(pixels).max() <= 1
    return kit.cohort_of(pixels[:, None], labels, owners), numbers


@pytest.mark.parametrize("each", [1, 3])
def test_without_privacy_means_and_covariances_are_those_of_the_images(each):
    cohort, numbers = planted(each=each)
    found = module.wave_model(WIDE, records(cohort))
    assert found.notes == ()
    share = (cohort.labels["finding"] == 1).mean()
    np.testing.assert_allclose(found.shares, [1 - share, share])
    assert found.factors.shape[:2] == (2, 9)
    for label in (0, 1):
        mine = numbers[cohort.labels["finding"] == label]
        np.testing.assert_allclose(found.means[label], mine.mean(axis=0), atol=1e-6)
        covariance = np.cov(mine.T, bias=True)
        np.testing.assert_allclose(found.factors[label] @ found.factors[label].T, covariance, atol=1e-7)
        assert np.linalg.norm(covariance) > 1e-4


def test_patients_with_many_images_weigh_no_more():
    """Patients of class 0 with one image are white, those with ten are black: the mean is in the middle."""
    counts = np.array([1, 10] * 20)
    owners = np.repeat(np.arange(40), counts)
    pixels = np.where(counts[owners] == 1, 0.5, -0.5)[:, None, None, None] * np.ones((1, 8, 8))
    found = module.wave_model(WIDE, records(kit.cohort_of(pixels, np.zeros(len(owners)), owners)))
    np.testing.assert_allclose(found.means[0], 0, atol=1e-9)
    assert found.shares[0] == pytest.approx(40 / 41)


def test_little_noise_changes_little():
    cohort, _ = planted()
    exact, noisy = (module.wave_model(WIDE, records(cohort, noise)) for noise in (None, 1e-3))
    np.testing.assert_allclose(noisy.means, exact.means, atol=1e-4)
    np.testing.assert_allclose(noisy.shares, exact.shares, atol=1e-4)
    for label in (0, 1):
        wanted = exact.factors[label] @ exact.factors[label].T
        found = noisy.factors[label] @ noisy.factors[label].T
        assert np.linalg.norm(found - wanted) < 0.05 * np.linalg.norm(wanted)


def test_noise_as_large_as_the_patients_leaves_a_valid_model():
    cohort, _ = planted(40)
    found = module.wave_model(WIDE, records(cohort, 1e3))
    assert np.isfinite(found.factors).all()
    assert np.isfinite(found.means).all()
    assert np.linalg.norm(found.means, axis=1).max() <= 1 + 1e-9
    assert found.shares.min() > 0
    assert found.shares.sum() == pytest.approx(1)
    assert found.rank >= 1
    assert "cannot tell from none" in found.notes[0]
    assert "hardly better than noise" in found.notes[0]


def test_a_class_of_few_patients_is_named():
    pixels = np.zeros((100, 1, 8, 8))
    labels = (np.arange(100) < 1).astype(int)
    found = module.wave_model(WIDE, records(kit.cohort_of(pixels, labels, np.arange(100)), 2.0))
    assert found.notes[0].startswith("classes that noise cannot tell from none: finding=malignant;")
    assert "benign" not in found.notes[0]
    (note,) = module.wave_model(WIDE, records(kit.cohort_of(pixels, labels, np.arange(100)))).notes
    assert note.startswith("classes of a single patient: finding=malignant.")


def test_each_question_is_billed_and_asked_once():
    mine = records(kit.cohort(), 1.0)
    module.wave_model(WIDE, mine)
    assert {event.name: event.steps for event in mine.ledger.events} == dict.fromkeys(ASKED, 1)
    assert mine.ledger.unbilled == ()


def test_there_are_no_more_waves_than_pixels():
    found = module.wave_model(replace(kit.TINY, waves=20), records(kit.cohort(12, size=(8, 12))))
    assert found.waves.size == 64


# --- what noise makes of a covariance ----------------------------------------------------------------------------------


def noise_of(size, sd, seed):
    """A symmetric matrix of noise as an answer has it: sd on the diagonal, less by the square root of 2 elsewhere."""
    raw = np.random.default_rng(seed).normal(size=(size, size)) * sd
    return (raw + raw.T) / 2


def test_the_simulated_noise_is_that_of_an_answer():
    found = np.array([noise_of(12, 1.0, seed) for seed in range(800)])
    diagonal = np.eye(12, dtype=bool)
    assert found[:, diagonal].std() == pytest.approx(1, rel=0.03)
    assert found[:, ~diagonal].std() == pytest.approx(0.5**0.5, rel=0.03)


@pytest.mark.parametrize("size", [9, 36, 144])
def test_noise_alone_keeps_hardly_a_direction(size):
    kept = [int((module._directions(noise_of(size, 0.3, seed), 0.3)[0] > 0).sum()) for seed in range(60)]
    assert np.mean(kept) < 0.4
    assert max(kept) <= 1
    # Half the noise would not do: the bound is where noise ends.
    assert (
        np.mean([(np.linalg.eigvalsh(noise_of(size, 0.3, seed))[-1] > np.sqrt(size / 2) * 0.3) for seed in range(9)])
        == 1
    )


@pytest.mark.parametrize("spike", [1.5, 2.5, 6.0])
def test_a_variance_is_seen_through_the_noise(spike):
    """A variance v among noise whose half width is s shows as v + s^2 / v, and v is what is given."""
    size, sd = 400, 0.1
    half = np.sqrt(size / 2) * sd
    found, seen = [], []
    for seed in range(4):
        direction = np.random.default_rng(100 + seed).normal(size=size)
        direction /= np.linalg.norm(direction)
        matrix = noise_of(size, sd, seed) + spike * half * np.outer(direction, direction)
        values, vectors = module._directions(matrix, sd)
        assert (values > 0).sum() == 1
        found.append(values[-1])
        seen.append(np.linalg.eigvalsh(matrix)[-1])
        assert (vectors[:, -1] @ direction) ** 2 == pytest.approx(1 - 1 / spike**2, abs=0.08)
    assert np.mean(found) == pytest.approx(spike * half, rel=0.08)
    assert np.mean(seen) == pytest.approx(half * (spike + 1 / spike), rel=0.05)


def test_without_noise_variances_stay_and_negative_ones_go():
    vectors, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    values, found = module._directions((vectors * [0.5, -0.2, 0.0, 3.0]) @ vectors.T, 0.0)
    np.testing.assert_allclose(values, [0, 0, 0.5, 3.0], atol=1e-12)
    np.testing.assert_allclose(np.abs(found[:, -1]), np.abs(vectors[:, 3]), atol=1e-9)


def pooled(side, waves, variance=1.0):
    """The same variance for each of the lowest frequencies, none for the others."""
    grid = np.zeros((waves.channels, len(waves.left), len(waves.left)))
    grid[:, :side, :side] = variance
    return np.diag(grid.ravel())


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("side", [1, 2])
def test_the_lowest_frequencies_are_chosen_where_noise_would_drown_them_among_all(side, mask):
    """Variances of six times the noise are seen among four numbers, and not among all 72."""
    waves = Waves.of(6, (1 + mask, 8, 8))
    places = np.arange(waves.size).reshape(1 + mask, 6, 6)
    for seed in range(6):
        matrix = pooled(side, waves, 0.6) + noise_of(waves.size, 0.1, seed)
        chosen = module._lowest(matrix, 0.1, waves)
        assert set(places[:, :side, :side].ravel()) <= set(chosen)
        assert any(sorted(chosen) == sorted(places[:, :most, :most].ravel()) for most in range(side, 6))
        inside = np.ix_(chosen, chosen)
        held, whole = (module._directions(each, 0.1)[0].sum() for each in (matrix[inside], matrix))
        assert held > whole


def test_without_noise_all_that_hold_something_are_chosen():
    waves = Waves.of(4, (1, 8, 8))
    assert len(module._lowest(pooled(4, waves), 0.0, waves)) == 16


def test_the_garrote_takes_away_what_noise_may_have_made():
    numbers = np.array([0.0, 0.5, -1.0, 2.0, -4.0])
    np.testing.assert_allclose(module._garrote(numbers, np.array(1.0)), [0, 0, 0, 1.5, -3.75])
    np.testing.assert_array_equal(module._garrote(numbers, np.array(0.0)), numbers)


def test_means_are_means_of_possible_images():
    rows = module._within(np.array([[3.0, 4.0], [0.3, 0.4]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.3, 0.4]])


def test_classes_are_drawn_together_as_far_as_noise_demands():
    """Little noise: each class has its own covariance. Much noise: both have the common one."""
    waves = Waves.of(2, (1, 8, 8))
    ours = np.stack([np.diag([4.0, 1, 1, 1]), np.diag([1.0, 1, 1, 4])])
    counts = np.array([100.0, 100.0])
    apart = module._factors(ours * 100, counts, 1e-6, waves)
    for label in (0, 1):
        np.testing.assert_allclose(apart[label] @ apart[label].T, ours[label], atol=1e-6)
    # Noise of 50 in the sums: what tells the classes apart could well be noise.
    together = module._factors(ours * 100, counts, 90.0, waves)
    one, two = (factors @ factors.T for factors in together)
    np.testing.assert_allclose(one, two)


def test_the_sd_is_that_of_the_plan_and_none_without_privacy():
    assert module.sd_of(records(kit.cohort(), 1.7), SUMS) == 1.7
    assert module.sd_of(records(kit.cohort()), SUMS) == 0
    waves = Waves.of(2, (1, 8, 8))
    assert WaveSums(waves, 2).sensitivity == ClassShares(2).sensitivity == 1
