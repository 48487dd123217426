"""Images that were remembered are seen, and fresh patients do not accuse."""

import numpy as np
import pytest

from picture_kit import changed, leaking, phantoms, real, real_set
from wardgan.evaluate.images import ImageSet, memory
from wardgan.evaluate.images.remembered import CONFIDENCE
from wardgan.rng import Seed

SEED = Seed(1)


def test_copies_are_seen_by_every_number():
    train, holdout, fresh = phantoms(200, 0), phantoms(120, 1), phantoms(300, 2)
    found = memory(train, holdout, leaking(train, fresh, 0.3), seed=SEED)
    assert found.refusal is None
    one = found.spaces["pixels"]
    assert set(one.accused) == {"nearer", "membership", "exposed", "copies"}
    assert min(one.nearer.low, one.exposed.low, one.membership.low) > 0.5
    assert one.copies.synthetic.low > one.copies.holdout.high
    assert one.nearer.baseline == one.membership.baseline == one.exposed.baseline == 0.5
    # Where something is matters little to the random features, and much in these images.
    assert found.spaces["random features"].accused
    assert found.accused[0] == "nearer (pixels)"


@pytest.mark.parametrize(("sizes", "each"), [((120, 120, 150), 1), ((150, 50, 100), 1), ((60, 30, 100), 3)])
def test_fresh_patients_do_not_accuse(sizes, each):
    accused, nearer, area = 0, [], []
    for at in range(40):
        parts = [
            phantoms(n, 10 * at + side, side=16, each=e)
            for side, (n, e) in enumerate(zip(sizes, (each, each, 1), strict=True))
        ]
        found = memory(*parts, seed=Seed(at))
        accused += bool(found.accused)
        nearer.append(found.spaces["pixels"].nearer)
        area.append(found.spaces["pixels"].membership)
    # Five of a hundred are expected; of forty, more than six would be one in a hundred.
    assert accused <= 6
    for numbers in (nearer, area):
        assert np.mean([one.low <= 0.5 <= one.high for one in numbers]) > 0.85
        assert np.mean([one.value for one in numbers]) == pytest.approx(0.5, abs=0.04)


def test_a_patients_second_image_is_a_copy_too():
    """Patients with unequal numbers of images count once for nearness; what is handed out may be any of them."""
    train, holdout, fresh = phantoms(100, 0, each=3), phantoms(200, 1), phantoms(200, 2)
    copied = train.pixels[np.arange(200)]
    found = memory(train, holdout, changed(fresh, copied), seed=SEED)
    assert found.identical.synthetic.value == 1
    assert found.identical.holdout.value == 0
    assert found.same


def test_who_has_more_images_is_not_nearer():
    accused = 0
    for at in range(20):
        train, holdout, fresh = (phantoms(90, 10 * at + side, side=16, each=3 if side == 0 else 1) for side in range(3))
        found = memory(train, holdout, fresh, seed=Seed(at))
        accused += bool(found.accused)
        assert found.spaces["pixels"].copies.holdout.n == 45
    # One of twenty is expected; more than four would be one in 400.
    assert accused <= 4


def test_a_hold_out_that_is_copied_does_not_accuse():
    train, holdout, fresh = phantoms(120, 0), phantoms(120, 1), phantoms(120, 2)
    found = memory(train, holdout, leaking(holdout, fresh, 0.5), seed=SEED)
    assert found.spaces["pixels"].membership.high < 0.5
    assert "membership (pixels)" not in found.accused


def test_training_and_hold_out_are_treated_alike():
    one, other, fresh = phantoms(80, 0, side=16), phantoms(50, 1, side=16), phantoms(90, 2, side=16)
    there, back = (memory(*sides, fresh, seed=SEED).spaces for sides in ((one, other), (other, one)))
    for space, found in there.items():
        for name in ("nearer", "membership", "exposed"):
            ours, theirs = getattr(found, name), getattr(back[space], name)
            assert ours.value == pytest.approx(1 - theirs.value, abs=1e-9)
            assert ours.low == pytest.approx(1 - theirs.high, abs=1e-9)


def test_one_patient_who_is_copied_again_and_again_is_seen_as_identical():
    train, holdout, fresh = phantoms(150, 0), phantoms(150, 1), phantoms(150, 2)
    pixels = fresh.pixels.copy()
    pixels[:75] = train.pixels[3]
    found = memory(train, holdout, changed(fresh, pixels), seed=SEED)
    # That half of all images are nearest to one patient may be chance: it is one patient.
    assert "identical" in found.accused
    assert not {"nearer (pixels)", "exposed (pixels)", "membership (pixels)"} & set(found.accused)
    assert found.identical.synthetic.value == 0.5
    assert found.identical.holdout.value == 0
    assert memory(train, holdout, fresh, seed=SEED).identical.synthetic.value == 0


def test_a_generator_that_makes_ten_images_again_and_again_is_not_accused_for_that():
    accused = 0
    for at in range(30):
        train, holdout, fresh = (phantoms(n, 10 * at + side, side=16) for side, n in enumerate((100, 100, 200)))
        few = changed(fresh, fresh.pixels[np.arange(200) % 10])
        accused += bool(memory(train, holdout, few, seed=SEED).accused)
    assert accused <= 4


def test_copies_are_told_from_images_of_the_same_patient():
    train, holdout = phantoms(100, 0, each=2), phantoms(100, 1, each=2)
    fresh = phantoms(150, 2)
    copied = fresh.pixels.copy()
    copied[:50] = train.pixels[:50]
    found = memory(train, holdout, changed(fresh, copied), seed=SEED).spaces["pixels"]
    assert "two images of one patient" in found.copies.synthetic.method
    assert "copies" in found.accused
    assert found.copies.synthetic.value == pytest.approx(1 / 3, abs=0.05)
    assert memory(train, holdout, fresh, seed=SEED).spaces["pixels"].copies.synthetic.value < 0.05


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((19, 40, 40), "only 19 training patients;"),
        ((40, 3, 40), "only 3 hold-out patients;"),
        ((19, 3, 1), "only 19 training patients and 3 hold-out patients and 1 synthetic images; 20 are needed."),
    ],
)
def test_too_few_patients_are_never_a_pass(sizes, words):
    found = memory(*(phantoms(n, at, each=1) for at, n in enumerate(sizes)), seed=SEED)
    assert words in str(found.refusal)
    assert found.spaces == {}
    assert found.accused == ()


def test_constant_images_are_judged():
    blank = [ImageSet.of(np.zeros((n, 1, 16, 16), dtype=np.float32)) for n in (30, 30, 30)]
    found = memory(*blank, seed=SEED)
    assert np.isfinite(found.spaces["pixels"].membership.value)


def test_all_nine_numbers_together_accuse_one_in_twenty():
    assert pytest.approx(1 - 0.05 / 9) == CONFIDENCE


def test_real_pneumonias_that_were_copied_are_seen_and_fresh_ones_are_not():
    data = real("pneumoniamnist28.npz")
    images = real_set(data["train_images"], data["train_labels"])
    order = np.random.default_rng(5).permutation(len(images))
    train, holdout, fresh = (images.take(order[400 * at : 400 * (at + 1)]) for at in range(3))
    assert memory(train, holdout, fresh, seed=SEED).accused == ()
    assert len(memory(train, holdout, leaking(train, fresh, 0.3), seed=SEED).accused) >= 5
