"""Distances of images see what was planted, see nothing where nothing is, and have intervals that hold the truth."""

import numpy as np
import pytest

from picture_kit import changed, phantoms, real, real_set, smooth
from wardgan.evaluate.images import (
    Cloud,
    ImageSet,
    Scale,
    diversity,
    frechet,
    intensity_gap,
    kernel,
    manifold,
    nearness,
    radiomics,
    random_features,
    spectrum_gap,
)
from wardgan.evaluate.images.clusters import grouped, share_of
from wardgan.rng import Seed

SEED = Seed(1)
TRAIN, HOLDOUT, FRESH = (phantoms(200, at) for at in range(3))


def clouds(features, *sets):
    found = [features(one.pixels) for one in sets]
    scale = Scale.of(found[0])
    return [
        Cloud.of(scale(one), images.patients, SEED, str(at))
        for at, (one, images) in enumerate(zip(found, sets, strict=True))
    ]


def alike(found):
    """Whether the intervals of synthetic images and of the hold-out have something in common."""
    return found.synthetic.low <= found.holdout.high and found.holdout.low <= found.synthetic.high


def collapsed(images):
    """Ten images, again and again."""
    return changed(images, images.pixels[np.arange(len(images)) % 10])


def swapped(images):
    return ImageSet(images.pixels, 1 - images.labels, images.patients)


@pytest.mark.parametrize("features", [random_features, radiomics])
def test_blur_and_collapse_are_seen_and_fresh_patients_are_not(features):
    train, holdout, fresh, soft, few = clouds(features, TRAIN, HOLDOUT, FRESH, smooth(FRESH), collapsed(FRESH))
    base = frechet(train, holdout, "demo")
    near = kernel(train, holdout, "demo").estimate()
    for planted in (soft, few):
        gap = frechet(train, planted, "demo")
        assert gap.estimate().value > 3 * base.value
        assert nearness(gap, base).high < 1
        assert kernel(train, planted, "demo").estimate().low > max(0, near.value)
    gap = frechet(train, fresh, "demo")
    assert gap.estimate().low < base.value < gap.estimate().high
    found = nearness(gap, base)
    assert found.low < 1 < found.high
    assert found.baseline == 1
    same = kernel(train, fresh, "demo").estimate()
    assert same.low < 0 < same.high


@pytest.mark.parametrize("features", [random_features, radiomics])
def test_neighbourhoods_see_what_is_missing_and_what_is_invented(features):
    noise = changed(FRESH, np.random.default_rng(0).uniform(-1, 1, FRESH.pixels.shape))
    train, holdout, fresh, few, odd = clouds(features, TRAIN, HOLDOUT, FRESH, collapsed(FRESH), noise)
    same, missing, invented = (manifold(train, one, holdout) for one in (fresh, few, odd))
    for name in ("precision", "recall", "density", "coverage", "clipped_density", "clipped_coverage"):
        found = getattr(same, name)
        assert found.synthetic.baseline == found.holdout.value
        assert alike(found)
        assert found.holdout.value > 0.75
    assert missing.coverage.synthetic.high < 0.5 < missing.precision.synthetic.value
    assert missing.clipped_coverage.synthetic.high < 0.4
    for name in ("precision", "density", "coverage", "clipped_density", "clipped_coverage"):
        assert getattr(invented, name).synthetic.value == 0


def test_clipped_numbers_are_the_share_of_good_images():
    stream = np.random.default_rng(0)
    train, holdout, made = (stream.normal(size=(1000, 4)) for _ in range(3))
    for bad in (0.0, 0.3, 0.7):
        planted = made.copy()
        planted[: round(1000 * bad)] += 100
        sides = [Cloud.of(one, np.arange(1000), SEED, str(at)) for at, one in enumerate((train, planted, holdout))]
        found = manifold(*sides)
        assert found.clipped_density.synthetic.value == pytest.approx(1 - bad, abs=0.05)
        assert found.clipped_coverage.synthetic.value == pytest.approx(1 - bad, abs=0.05)


def test_one_far_outlier_does_not_make_far_images_good():
    stream = np.random.default_rng(0)
    train, holdout = stream.normal(size=(300, 3)), stream.normal(size=(300, 3))
    train[:3] = 40 * np.eye(3)
    far = 20 + stream.normal(size=(300, 3))
    sides = [Cloud.of(one, np.arange(300), SEED, str(at)) for at, one in enumerate((train, far, holdout))]
    found = manifold(*sides)
    assert found.precision.synthetic.value == 1
    assert found.clipped_density.synthetic.value == 0


def test_images_of_the_same_patient_are_no_neighbours():
    stream = np.random.default_rng(0)
    points = np.repeat(stream.normal(size=(40, 2)), 8, axis=0) + 1e-3 * stream.normal(size=(320, 2))
    patients = np.repeat(np.arange(40), 8)
    fresh = stream.normal(size=(320, 2))
    sides = [
        Cloud.of(points, patients, SEED, "train"),
        Cloud.of(fresh, np.arange(320), SEED, "made"),
        Cloud.of(fresh, np.arange(320), SEED, "held"),
    ]
    assert manifold(*sides).precision.synthetic.value > 0.8
    blind = Cloud.of(points, np.arange(320), SEED, "train")
    assert manifold(blind, *sides[1:]).precision.synthetic.value < 0.1


def test_fewer_images_than_features_give_a_distance():
    train, other = clouds(random_features, phantoms(30, 8), phantoms(30, 9))
    found = frechet(train, other, "random features").estimate()
    assert 0 <= found.low < found.value < found.high < 1e4
    assert "frechet distance (random features)" in found.method
    assert "FID" not in found.method


@pytest.mark.parametrize("measure", [frechet, kernel])
def test_intervals_hold_what_samples_of_this_size_show_on_the_whole(measure):
    found = []
    for at in range(60):
        stream = np.random.default_rng(at)
        one, other = stream.normal(size=(120, 5)), stream.normal(size=(120, 5)) + 0.4
        sides = [Cloud.of(points, np.arange(120), Seed(at), str(side)) for side, points in enumerate((one, other))]
        found.append(measure(*sides, "demo").estimate())
    centre = np.mean([one.value for one in found])
    held = np.mean([one.low <= centre <= one.high for one in found])
    assert 0.88 < held <= 1
    assert np.mean([one.high - one.low for one in found]) < 8 * np.std([one.value for one in found])


def test_intervals_are_those_of_patients_and_not_of_images():
    patients = np.repeat(np.arange(30), 10)
    points = np.random.default_rng(0).normal(size=(30, 3)).repeat(10, axis=0)
    other = Cloud.of(np.random.default_rng(1).normal(size=(300, 3)), np.arange(300), SEED, "other")
    honest, blind = (
        frechet(Cloud.of(points, who, SEED, "one"), other, "demo").estimate() for who in (patients, np.arange(300))
    )
    assert honest.high - honest.low > 1.5 * (blind.high - blind.low)
    who = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0] * 5, 10)
    honest, blind = (share_of(who, one, "share") for one in (patients, np.arange(300)))
    assert honest.high - honest.low > 2.5 * (blind.high - blind.low)
    assert honest.value == blind.value == pytest.approx(2 / 3)


def test_a_share_of_all_images_is_sure_by_its_patients_only():
    patients = np.repeat(np.arange(5), 100)
    found = share_of(np.ones(500), patients, "share")
    assert found.value == found.high == 1
    assert found.low == pytest.approx(0.566, abs=0.001)  # Wilson's interval of 5 of 5
    assert found.n == 500


def test_shares_by_patient_cover():
    held = 0
    for at in range(300):
        stream = np.random.default_rng(at)
        rates = stream.beta(2, 2, size=60)
        sizes = stream.integers(1, 6, size=60)
        patients = np.repeat(np.arange(60), sizes)
        found = share_of(stream.random(sizes.sum()) < rates[patients], patients, "share")
        held += found.low <= 0.5 <= found.high
    assert 0.9 < held / 300 < 0.985


def test_groups_hold_whole_patients():
    patients = np.repeat(np.arange(95), 3)
    groups = grouped(patients, SEED, "demo")
    assert all(len(set(groups[patients == who])) == 1 for who in range(95))
    assert sorted(np.bincount(groups).tolist()) == [6] * 25 + [9] * 15


def test_collapse_lowers_diversity_and_fresh_patients_do_not():
    train = (HOLDOUT, random_features(HOLDOUT.pixels))
    few = collapsed(FRESH)
    same = diversity((FRESH, random_features(FRESH.pixels)), train, seed=SEED)
    less = diversity((few, random_features(few.pixels)), train, seed=SEED)
    one = changed(FRESH, np.repeat(FRESH.pixels[:1], len(FRESH), axis=0))
    none = diversity((one, random_features(one.pixels)), train, seed=SEED)
    assert alike(same.similarity)
    assert alike(same.spread)
    assert less.similarity.synthetic.value > same.similarity.synthetic.value
    assert none.similarity.synthetic.value == pytest.approx(1)
    # a processor may round an image's features differently by its place in a batch
    assert none.spread.synthetic.value < 1e-5 * same.spread.synthetic.value
    assert same.similarity.synthetic.n == 100


def test_pairs_are_of_different_patients():
    images = phantoms(60, 0, each=4)
    found = diversity((images, random_features(images.pixels)), (images, random_features(images.pixels)), seed=SEED)
    assert found.similarity.synthetic.n == 30
    alike = ImageSet(images.pixels, images.labels, np.repeat(np.arange(60), 4)[::-1].copy())
    assert (
        found.spread.synthetic.value
        > 0.9
        * diversity(
            (alike, random_features(alike.pixels)), (alike, random_features(alike.pixels)), seed=SEED
        ).spread.synthetic.value
    )


def test_lightness_and_blur_are_seen_in_grey_levels_and_spectrum():
    bright = changed(FRESH, np.clip(FRESH.pixels + 0.2, -1, 1))
    same, lifted = (intensity_gap(TRAIN, one, HOLDOUT, seed=SEED) for one in (FRESH, bright))
    assert same.synthetic.low <= same.holdout.value <= same.synthetic.high
    assert lifted.synthetic.low > lifted.holdout.high
    assert lifted.synthetic.value == pytest.approx(0.1, abs=0.02)  # 0.2 of a range of 2
    fine, soft = (spectrum_gap(TRAIN, one, HOLDOUT, seed=SEED) for one in (FRESH, smooth(FRESH)))
    assert fine.synthetic.low <= fine.holdout.value <= fine.synthetic.high
    assert soft.synthetic.low > 5 * soft.holdout.high


def test_rounding_to_8_bits_counts_as_twice_the_power_at_most():
    # In images without fine patterns, rounding is all there is of them.
    stream = np.random.default_rng(0)
    turn = stream.uniform(0, 2 * np.pi, (3, 100, 1)) + 2 * np.pi * np.arange(28) / 28
    rows = 0.4 * stream.uniform(0.5, 1, (3, 100, 1)) * np.cos(turn)
    sets = [ImageSet.of((one[:, None, None, :] + one[:, None, ::-1, None]).astype(np.float32)) for one in rows]
    rounded = changed(sets[1], np.round((sets[1].pixels + 1) * 127.5) / 127.5 - 1)
    exact, coarse = (spectrum_gap(sets[0], one, sets[2], seed=SEED).synthetic.value for one in (sets[1], rounded))
    assert abs(coarse - exact) < np.log(2)


def test_a_swap_of_classes_is_seen_within_the_classes_only():
    train, holdout, fresh = clouds(random_features, TRAIN, HOLDOUT, FRESH)

    def within(images, label):
        pairs = ((train, TRAIN), (fresh, images), (holdout, HOLDOUT))
        kept = [np.flatnonzero(one.labels == label)[:80] for _, one in pairs]
        parts = [
            Cloud.of(cloud.features[one], cloud.patients[one], SEED, str(at))
            for at, ((cloud, _), one) in enumerate(zip(pairs, kept, strict=True))
        ]
        return manifold(*parts).precision

    right, wrong = within(FRESH, 0), within(swapped(FRESH), 0)
    assert alike(right)
    assert wrong.synthetic.high < wrong.holdout.low


def test_real_pneumonias_are_near_real_ones_and_blurred_ones_are_not():
    data = real("pneumoniamnist28.npz")
    images = real_set(data["train_images"], data["train_labels"])
    order = np.random.default_rng(0).permutation(len(images))
    train, holdout, fresh = (images.take(order[400 * at : 400 * (at + 1)]) for at in range(3))
    for features in (random_features, radiomics):
        one, two, three, soft = clouds(features, train, holdout, fresh, smooth(fresh))
        base = frechet(one, two, "demo")
        assert nearness(frechet(one, three, "demo"), base).high > 0.9
        assert nearness(frechet(one, soft, "demo"), base).value < 0.5
