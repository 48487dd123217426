"""Small changes to images: masks stay masks, gradients pass, no image changes another one, and nothing is mirrored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wardgan.models.imagegan.augment import _holes, augmented


def stream(seed=0):
    return np.random.default_rng(seed)


def images(count=40, *, mask=False, height=8, width=16, seed=1):
    found = torch.from_numpy(stream(seed).uniform(-1, 1, (count, 1 + mask, height, width)).astype(np.float32))
    if mask:
        found[:, 1] = torch.where(found[:, 1] > 0, 1.0, -1.0)
    return found


def changed(given, *, seed=0, mask=None, flips=False):
    return augmented(given, stream(seed), mask=given.shape[1] == 2 if mask is None else mask, flips=flips)


@pytest.mark.parametrize("flips", [False, True])
def test_masks_keep_their_values_and_nobody_is_changed_in_place(flips):
    given = images(mask=True)
    before = given.clone()
    found = changed(given, flips=flips)
    assert set(found[:, 1].unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(given, before)
    assert found.shape == given.shape
    assert found.dtype == given.dtype


def test_a_mask_moves_with_its_image():
    """The image is its own mask: wherever the mask is black, or outside, the image is not white."""
    given = images(mask=True)
    given[:, 0] = given[:, 1]
    found = changed(given, flips=True)
    for one in found:
        white, black = one[0][one[1] > 0], one[0][one[1] < 0]
        if len(white) and len(black):
            assert white.min() > black.max()


def test_brightness_stays_within_its_bounds():
    given = images(300)
    found = changed(given)
    middle = given.mean(dim=(1, 2, 3), keepdim=True)
    most = (given - middle).amax(dim=(1, 2, 3)) * 1.3 + middle.flatten() + 0.2
    least = (given - middle).amin(dim=(1, 2, 3)) * 1.3 + middle.flatten() - 0.2
    assert (found.amax(dim=(1, 2, 3)) <= most.clamp(min=-1) + 1e-5).all()
    assert (found.amin(dim=(1, 2, 3)) >= least.clamp(max=-1) - 1e-5).all()


def test_images_are_hardly_changed_on_the_whole():
    """A grey image stays grey: its mean over many draws is itself, a fifth more or less each time."""
    given = torch.zeros(2000, 1, 16, 16)
    found = changed(given)[:, 0, 8, 8]
    inside = found[found > -1]
    assert float(inside.mean()) == pytest.approx(0, abs=0.02)
    assert float(inside.abs().max()) <= 0.2 + 1e-6
    assert float(inside.std()) == pytest.approx(0.2 / 3**0.5, rel=0.1)
    assert 0.03 < float((found == -1).float().mean()) < 0.35


def test_each_image_is_changed_by_itself():
    given = images(6, mask=True)
    other = given.clone()
    other[3] = -other[3]
    one, two = changed(given), changed(other)
    kept = [at for at in range(6) if at != 3]
    assert torch.equal(one[kept], two[kept])
    assert not torch.equal(one[3], two[3])
    # What happens to an image differs from image to image.
    same = changed(given[:1].repeat(30, 1, 1, 1))
    assert len({each.numpy().tobytes() for each in same}) > 25


def test_the_same_stream_gives_the_same_changes():
    given = images()
    assert torch.equal(changed(given), changed(given))
    assert not torch.equal(changed(given), changed(given, seed=1))


def test_gradients_pass():
    given = images(20, mask=True).requires_grad_()
    changed(given).square().sum().backward()
    assert torch.isfinite(given.grad).all()
    assert (given.grad.abs().sum(dim=(1, 2, 3)) > 0).all()


def sides(flips, count=400):
    """On which side the white half of an image is found."""
    given = -torch.ones(count, 2, 8, 16)
    given[:, :, :, :8] = 1
    found = changed(given, flips=flips)[:, 1]
    return found[:, :, :8].sum(dim=(1, 2)) > found[:, :, 8:].sum(dim=(1, 2))


def test_nothing_is_mirrored_unless_it_is_asked_for():
    assert sides(flips=False).all()
    assert 0.4 < float(sides(flips=True).float().mean()) < 0.6


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 32)])
def test_images_move_by_an_eighth_and_black_comes_in(height, width):
    dots = -torch.ones(600, 2, height, width)
    dots[:, 1, height // 2, width // 2] = 1
    found = changed(dots)[:, 1]
    _, rows, columns = torch.nonzero(found > 0, as_tuple=True)
    assert set((rows - height // 2).tolist()) == set(range(-(height // 8), height // 8 + 1))
    assert set((columns - width // 2).tolist()) == set(range(-(width // 8), width // 8 + 1))
    white = changed(torch.ones(200, 2, height, width))[:, 1]
    assert (white[:, 0] == -1).all(dim=1).any()
    assert (white[:, :, -1] == -1).all(dim=1).any()


def test_half_of_the_images_have_a_hole_of_a_third():
    found = _holes(stream(), 400, 12, 9)
    sizes = (found == 0).sum(axis=(1, 2))
    assert set(sizes.tolist()) == {0, 4 * 3}
    assert 0.4 < (sizes > 0).mean() < 0.6
    assert (found.min(axis=0) == 0).all()
    for one in found[sizes > 0][:20]:
        rows, columns = np.nonzero(one == 0)
        assert (np.ptp(rows), np.ptp(columns)) == (3, 2)
