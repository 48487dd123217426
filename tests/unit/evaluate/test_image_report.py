"""One report of everything: each number with its interval and its baseline, and what cannot be judged says so."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from picture_kit import changed, phantoms, smooth, with_masks
from wardgan.errors import DataError, UsageError
from wardgan.estimate import Estimate
from wardgan.evaluate.images import Extractor, ImageSet, evaluate_images
from wardgan.evaluate.images import report as reporting
from wardgan.evaluate.record import Beside
from wardgan.rng import Seed

SEED = Seed(1)
TRAIN, HOLDOUT, FRESH = (phantoms(n, at, side=16) for at, n in enumerate((150, 90, 120)))


def estimates(found):
    """Yields all estimates of a report, with their way to it."""
    if isinstance(found, Estimate):
        yield found
    elif isinstance(found, (list, tuple)):
        for one in found:
            yield from estimates(one)
    elif isinstance(found, dict):
        yield from estimates(list(found.values()))
    elif hasattr(found, "__dataclass_fields__"):
        yield from estimates([getattr(found, name) for name in found.__dataclass_fields__])


def besides(found):
    if isinstance(found, Beside):
        yield found
    elif isinstance(found, (list, tuple)):
        for one in found:
            yield from besides(one)
    elif isinstance(found, dict):
        yield from besides(list(found.values()))
    elif hasattr(found, "__dataclass_fields__"):
        yield from besides([getattr(found, name) for name in found.__dataclass_fields__])


@pytest.fixture(autouse=True, scope="module")
def short():
    """Trainings are short: what they reach is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "STEPS", 30)
        patch.setattr(reporting, "DRAWN_STEPS", 30)
        yield


@pytest.fixture(scope="module")
def report():
    return evaluate_images(TRAIN, HOLDOUT, FRESH, seed=SEED, repeats=1)


def test_every_number_has_an_interval_a_size_and_a_method(report):
    found = list(estimates(report))
    assert len(found) > 90
    for one in found:
        assert one.low <= one.value <= one.high, one
        assert one.n > 0
        assert len(one.method) > 3


def test_every_number_stands_beside_the_one_of_the_hold_out(report):
    found = list(besides(report))
    assert len(found) > 40
    assert all(one.holdout is not None and one.synthetic.baseline == one.holdout.value for one in found)


def test_the_report_says_what_was_compared(report):
    assert report.sizes == {"training": (150, 150), "hold-out": (90, 90), "synthetic": (120, 120)}
    assert report.compared == 90
    assert list(report.distances) == ["random features", "radiomics"]
    assert report.refusals == ()
    assert [one.label for one in report.classes] == [0, 1]
    assert all(len(set(one.sizes)) == 1 for one in report.classes)
    assert "random features, sha256 99edeefe1062" in report.distances["random features"].frechet.synthetic.method
    assert report.taught is not None
    assert report.drawn is None
    assert report.memory.accused == ()


def test_the_report_is_plain_json(report):
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert set(plain) == set(report.__dataclass_fields__)
    assert plain["distances"]["radiomics"]["frechet"]["holdout"]["n"] == 90


def test_the_same_seed_gives_the_same_report(report):
    again = evaluate_images(TRAIN, HOLDOUT, FRESH, seed=SEED, repeats=1)
    assert again.to_dict() == report.to_dict()


def test_nothing_is_called_fid(report):
    assert "fid" not in json.dumps(report.to_dict()).lower().replace("confid", "")


def test_blur_and_copies_are_seen_in_a_report():
    soft = evaluate_images(TRAIN, HOLDOUT, smooth(FRESH), seed=SEED, repeats=0)
    assert soft.distances["radiomics"].ratio.high < 1
    assert soft.spectrum.synthetic.low > soft.spectrum.holdout.high
    assert soft.taught is None
    assert any("repeats=0" in reason for reason in soft.refusals)
    pixels = FRESH.pixels.copy()
    pixels[:60] = TRAIN.pixels[40:100]
    copied = evaluate_images(TRAIN, HOLDOUT, changed(FRESH, pixels), seed=SEED, repeats=0)
    assert {"membership (pixels)", "copies (pixels)", "identical"} <= set(copied.memory.accused)


def test_a_swap_of_classes_is_seen_in_each_class():
    swapped = ImageSet(FRESH.pixels, 1 - FRESH.labels, FRESH.patients)
    found = evaluate_images(TRAIN, HOLDOUT, swapped, seed=SEED, repeats=0)
    for one in found.classes:
        precision = one.manifolds["random features"].precision
        assert precision.synthetic.high < precision.holdout.value
    assert found.distances["random features"].ratio.high > 1


def test_masks_are_drawn_and_count_for_memory_and_random_features():
    sets = [with_masks(one) for one in (TRAIN, HOLDOUT, FRESH)]
    found = evaluate_images(*sets, seed=SEED, mask=True, repeats=1)
    assert found.drawn is not None
    assert found.drawn.trtr.value > 0.5
    bare = evaluate_images(TRAIN, HOLDOUT, FRESH, seed=SEED, repeats=0)
    assert found.distances["radiomics"].frechet == bare.distances["radiomics"].frechet
    assert found.intensity == bare.intensity
    assert found.distances["random features"].frechet != bare.distances["random features"].frechet
    shuffled = changed(sets[2], np.stack([sets[2].pixels[:, 0], np.roll(sets[2].pixels[:, 1], 7, axis=2)], axis=1))
    odd = evaluate_images(sets[0], sets[1], shuffled, seed=SEED, mask=True, repeats=0)
    ours, theirs = (one.distances["random features"].frechet.synthetic.value for one in (odd, found))
    assert ours > 1.5 * theirs
    assert "drawn: repeats=0, so no network was taught." in odd.refusals
    few = evaluate_images(sets[0], sets[1].take(np.arange(19)), sets[2], seed=SEED, mask=True, repeats=1)
    assert few.drawn is None
    assert "drawn: there are only 19 hold-out patients; 20 are needed." in few.refusals
    with pytest.raises(DataError, match="the images have one channel"):
        evaluate_images(TRAIN, HOLDOUT, FRESH, seed=SEED, mask=True)


def test_an_extractor_of_the_users_own_stands_beside_the_others():
    mine = Extractor("thorax net", "ab" * 32, lambda pixels: pixels[:, 0, ::4, ::4].reshape(len(pixels), -1))
    found = evaluate_images(TRAIN, HOLDOUT, FRESH, seed=SEED, extractors=[mine], repeats=0)
    assert found.distances["thorax net"].features == 16
    assert "thorax net, sha256 abababababab" in found.distances["thorax net"].kernel.synthetic.method
    assert "thorax net" in found.classes[0].manifolds
    with pytest.raises(UsageError, match="are not all different"):
        evaluate_images(TRAIN, HOLDOUT, FRESH, seed=SEED, extractors=[mine, mine], repeats=0)


def test_too_few_patients_are_refused_in_words():
    few = HOLDOUT.take(np.arange(15))
    found = evaluate_images(TRAIN, few, FRESH, seed=SEED, repeats=0)
    assert found.distances == {}
    assert found.diversity is None
    assert all(one.refusal is not None and one.manifolds == {} for one in found.classes)
    assert len(found.refusals) == 5
    assert "15 training patients and 15 hold-out patients and 15 synthetic patients; 20 are needed" in found.refusals[0]
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_class_that_was_never_made_is_refused_and_one_class_is_not_taught():
    only = FRESH.take(FRESH.labels == 0)
    found = evaluate_images(TRAIN, HOLDOUT, only, seed=SEED, repeats=0)
    assert found.classes[1].sizes == (0, 0, 0)
    assert "class 1:" in " ".join(found.refusals)
    single = [ImageSet.of(one.pixels) for one in (TRAIN, HOLDOUT, FRESH)]
    alone = evaluate_images(*single, seed=SEED)
    assert alone.classes == ()
    assert any("there is but one class" in reason for reason in alone.refusals)


def test_images_of_different_sizes_are_refused():
    with pytest.raises(
        DataError, match=r"training \(1, 16, 16\), hold-out \(1, 28, 28\).*Bring the images to one size"
    ):
        evaluate_images(TRAIN, phantoms(30, 0), FRESH, seed=SEED)
    with pytest.raises(UsageError, match="repeats=-1"):
        evaluate_images(TRAIN, HOLDOUT, FRESH, seed=SEED, repeats=-1)


def test_hold_out_images_that_were_trained_on_are_counted(report):
    assert report.shared.value == 0
    mixed = HOLDOUT.pixels.copy()
    mixed[:9] = TRAIN.pixels[20:29]
    found = evaluate_images(TRAIN, changed(HOLDOUT, mixed), FRESH, seed=SEED, repeats=0)
    assert found.shared.value == pytest.approx(0.1)
    assert found.shared.n == 90


def test_large_sets_are_cut_by_patient(monkeypatch):
    monkeypatch.setattr(reporting, "MOST", 60)
    found = evaluate_images(phantoms(50, 0, side=16, each=2), HOLDOUT, FRESH, seed=SEED, repeats=0)
    assert found.sizes == {"training": (60, 30), "hold-out": (60, 60), "synthetic": (60, 60)}
    assert found.compared == 60


def test_constant_images_give_numbers_or_a_reason():
    blank = ImageSet(np.zeros_like(FRESH.pixels), FRESH.labels, FRESH.patients)
    found = evaluate_images(TRAIN, HOLDOUT, blank, seed=SEED, repeats=0)
    assert found.distances["radiomics"].manifold.coverage.synthetic.value == 0
    for one in (found.diversity, found.classes[0].diversity):
        assert one.similarity.synthetic.value == pytest.approx(1)
        assert one.similarity.holdout.value < 0.9
        # a processor may round an image's features differently by its place in a batch
        assert one.spread.synthetic.value < 1e-5 * one.spread.holdout.value
    assert math.isfinite(found.distances["radiomics"].frechet.synthetic.value)
    json.dumps(found.to_dict(), allow_nan=False)


def test_training_images_that_are_all_the_same_cannot_be_judged_by_features():
    blank = ImageSet(np.zeros_like(TRAIN.pixels), TRAIN.labels, TRAIN.patients)
    found = evaluate_images(blank, HOLDOUT, FRESH, seed=SEED, repeats=0)
    assert found.distances == {}
    assert "radiomics: no feature varies in the training images." in found.refusals
    assert all(one.manifolds == {} for one in found.classes)


def test_importing_the_package_does_not_import_torch():
    code = "import sys, wardgan.evaluate.images\nprint('torch' in sys.modules, 'sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
