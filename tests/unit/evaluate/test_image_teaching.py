"""Networks learn from images what is in them: real ones teach, fresh ones too, shuffled ones do not."""

import numpy as np
import pytest
import torch

from picture_kit import changed, phantoms, with_masks
from wardgan.errors import UsageError
from wardgan.evaluate.images import ImageSet, dice, draw_and_test, train_and_test
from wardgan.evaluate.images import draws as drawing
from wardgan.evaluate.images.draws import over_repeats, patient_draws
from wardgan.evaluate.images.nets import classifier, segmenter
from wardgan.evaluate.images.taught import judged
from wardgan.rng import Seed

SEED = Seed(1)
TRAIN, HOLDOUT, FRESH = (phantoms(n, at, side=16) for at, n in enumerate((150, 100, 150)))


def test_fresh_images_teach_as_training_images_do():
    found = train_and_test(TRAIN, FRESH, HOLDOUT, seed=SEED, repeats=2, steps=80)
    assert found.trtr.value > 0.95
    assert found.tstr.value == pytest.approx(found.trtr.value, abs=0.05)
    assert found.tstr.baseline == found.trts.baseline == found.trtr.value
    assert found.share.low <= 1 <= found.share.high
    assert found.trts.value > 0.9
    assert found.accuracy.value > 0.85
    assert (found.classes, found.taught, found.tstr.n) == ((0, 1), 150, 100)


def test_images_with_the_wrong_class_teach_the_wrong_thing():
    wrong = ImageSet(FRESH.pixels, 1 - FRESH.labels, FRESH.patients)
    found = train_and_test(TRAIN, wrong, HOLDOUT, seed=SEED, repeats=1, steps=80)
    assert found.tstr.high < 0.2
    assert found.share.high < 0.5
    assert found.accuracy.value < 0.2 < found.accuracy.baseline
    assert found.trts.value < 0.2


def test_images_with_random_classes_teach_nothing():
    shuffled = ImageSet(FRESH.pixels, np.random.default_rng(0).permutation(FRESH.labels), FRESH.patients)
    found = train_and_test(TRAIN, shuffled, HOLDOUT, seed=SEED, repeats=1, steps=60)
    assert found.share.high < 0.95


def test_a_class_that_was_never_made_is_not_tested_and_costs_the_score():
    only = FRESH.take(FRESH.labels == 0)
    found = train_and_test(TRAIN, only, HOLDOUT, seed=SEED, repeats=1, steps=30)
    assert found.trts is None
    assert found.accuracy.value == pytest.approx(0.5)
    assert found.taught == len(only)


def test_rare_classes_weigh_alike():
    # Noise tells nothing about the class, so the chance of a class is what the training gave it beforehand.
    noise = np.random.default_rng(0).uniform(-1, 1, (260, 1, 16, 16)).astype(np.float32)
    net = classifier(noise[:200], (np.arange(200) < 20).astype(np.int64), 2, steps=25, seed=SEED)
    assert 0.3 < net(noise[200:])[:, 1].mean() < 0.7


def test_small_masks_are_not_drowned():
    # Without the Dice term the chance of a pixel in noise would be the share of the masks, a tenth.
    stream = np.random.default_rng(0)
    noise = stream.uniform(-1, 1, (120, 1, 16, 16)).astype(np.float32)
    net = segmenter(noise[:100], stream.random((100, 16, 16)) < 0.1, steps=160, seed=SEED)
    assert 0.13 < net(noise[100:]).mean() < 0.2


@pytest.mark.parametrize("labels", [np.zeros(60, dtype=int), np.r_[np.zeros(55, dtype=int), np.ones(5, dtype=int)]])
def test_too_few_patients_of_a_class_cannot_be_judged(labels):
    images = phantoms(60, 0, side=16)
    found = train_and_test(TRAIN, FRESH, ImageSet(images.pixels, labels, images.patients), seed=SEED)
    assert "it cannot be judged" in found


def test_classes_are_judged_by_patients():
    images = phantoms(8, 0, side=16, each=5)
    assert judged(images) == ()
    assert judged(ImageSet.of(images.pixels, images.labels)) == (0, 1)


def test_the_same_seed_teaches_the_same_and_leaves_the_callers_world_alone():
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    one, two, other = (
        classifier(TRAIN.pixels, TRAIN.labels, 2, steps=5, seed=Seed(at))(HOLDOUT.pixels) for at in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.allclose(one, other)
    np.testing.assert_allclose(one.sum(axis=1), 1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


def test_large_images_are_made_smaller():
    large = phantoms(40, 0, side=140)
    found = train_and_test(large, large, large, seed=SEED, repeats=1, steps=3)
    assert found.taught == 40


def test_pairs_teach_to_draw_masks_and_moved_masks_do_not():
    train, holdout, fresh = (with_masks(one) for one in (TRAIN, HOLDOUT, FRESH))
    moved = fresh.pixels.copy()
    moved[:, 1] = np.roll(moved[:, 1], 6, axis=2)
    good = draw_and_test(train, fresh, holdout, seed=SEED, repeats=1, steps=60)
    bad = draw_and_test(train, changed(fresh, moved), holdout, seed=SEED, repeats=1, steps=60)
    assert good.trtr.value == bad.trtr.value > 0.7
    assert good.tstr.baseline == good.trtr.value
    assert good.share.low < 1.05
    assert good.share.high > 0.95
    assert bad.share.high < 0.7
    assert good.taught == 150


def test_a_segmenter_gives_chances_of_the_shape_of_the_images():
    pairs = with_masks(phantoms(6, 0, side=17))
    net = segmenter(pairs.pixels[:, :1], pairs.pixels[:, 1] > 0, steps=2, seed=SEED)
    found = net(pairs.pixels[:, :1])
    assert found.shape == (6, 17, 17)
    assert ((found > 0) & (found < 1)).all()
    assert dice(found > 2, found > 2).tolist() == [1.0] * 6


def test_draws_are_of_patients_within_their_class():
    images = phantoms(40, 0, side=16, each=3)
    weights = patient_draws(images, SEED)
    assert weights.shape == (401, 120)
    assert (weights[0] == 1).all()
    assert (weights[:, ::3] == weights[:, 1::3]).all()
    for label in (0, 1):
        assert len(set(weights[:, images.labels == label].sum(axis=1))) == 1
    assert weights[1:].var() == pytest.approx(1, abs=0.1)


def test_repeats_are_drawn_again_and_the_first_draw_is_their_mean():
    values = np.stack([np.zeros(2001), np.ones(2001), np.full(2001, 5.0)])
    found = over_repeats(values, SEED, "demo")
    assert found[0] == 2
    assert found[1:].mean() == pytest.approx(2, abs=0.15)
    assert found[1:].var() == pytest.approx(np.var([0, 1, 5]) / 3, rel=0.15)


def test_without_torch_the_way_out_is_told(monkeypatch):
    monkeypatch.setattr(drawing, "find_spec", lambda name: None)
    for teach, sets in ((train_and_test, (TRAIN, FRESH, HOLDOUT)), (draw_and_test, (TRAIN, FRESH, HOLDOUT))):
        with pytest.raises(UsageError, match="repeats=0"):
            teach(*sets, seed=SEED)
