"""Grain of imagegan: three ways to draw it draw the same, and drawn images answer the questions as the patients did."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import image_family_kit as kit
import wardgan as wg
from wardgan.models.imagegan import grain as module
from wardgan.models.imagegan.draw import waves_network
from wardgan.models.imagegan.nets import ImageGenerator
from wardgan.privacy.grain_queries import Grain, shades
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.schema.images import ImageFormat
from wardgan.seal.onnx_check import check_network
from wardgan.seal.onnx_shapes import IMAGE

LOOKS = [(8, 8, False), (12, 8, True), (28, 16, False)]
LOOK = pytest.mark.parametrize(("height", "width", "mask"), LOOKS)


def from_onnx(base, network, normals, labels):
    table = {"grade": {"kind": "category", "levels": [f"g{at}" for at in range(len(base.shares))]}}
    declared = kit.schema(base.look.shape[1:], mask=base.look.mask, table=table)
    latent = normals.shape[1]
    generator = Generator(declared, "imagegan", network, latent, tuple(base.shares.tolist()))
    return generator.pixels(normals, labels).reshape(-1, *base.look.shape)


def tone(model, label, pixel):
    """A pixel after the curve of its class: on a straight line between two points, or on the first or last one."""
    along = (pixel - model.lowest[label]) / model.step[label]
    tones = model.tones[label].tolist()
    if along <= 0 or along >= len(tones) - 1:
        return tones[0] if along <= 0 else tones[-1]
    at = math.floor(along)
    return tones[at] + (along - at) * (tones[at + 1] - tones[at])


def slow(base, normals, labels):
    """The images of a model, one by one, in double precision."""
    found, model, side = [], base.grain, len(base.waves.left)
    grain = Grain.of(side, base.look.height, base.look.width)
    for row, label in zip(normals.astype(float), labels, strict=True):
        numbers = base.means[label] + base.factors[label] @ row[: base.rank]
        low = base.scale * numbers.reshape(base.look.planes, 1, side, side)
        image = np.concatenate([base.waves.left.T @ each @ base.waves.right for each in low])
        brush, mine = model.brush, row[-model.latent :].reshape(1, *base.look.shape[1:])
        fine = module.texture(brush, model.bands[label], model.cells[label], mine)
        image[:1] += module.steepness(grain, brush, low[0]) * fine
        image[:1] = [[[tone(model, label, pixel) for pixel in line] for line in image[0]]]
        found.append(image)
    return np.array(found)


def drawn(base, extra=0, count=6):
    stream = np.random.default_rng(3)
    normals = stream.standard_normal((count, base.latent + extra), dtype=np.float32)
    return normals, stream.integers(0, len(base.shares), count)


@pytest.mark.parametrize("classes", [1, 3])
@LOOK
def test_onnx_draws_what_the_loop_over_images_draws(height, width, mask, classes):
    base = kit.model(ImageFormat(height, width, mask=mask), classes=classes, grained=True)
    normals, labels = drawn(base)
    found = from_onnx(base, waves_network(base), normals, labels)
    np.testing.assert_allclose(found, slow(base, normals, labels).clip(-1, 1), atol=2e-5)
    assert found.std() > 0.05
    size = math.prod(base.look.shape)
    check_network(waves_network(base), latent=base.latent, variables=size, classes=classes, limits=IMAGE)


@LOOK
def test_torch_begins_with_the_same_images_and_its_network_draws_them(height, width, mask):
    base = kit.model(ImageFormat(height, width, mask=mask), grained=True)
    network = ImageGenerator(base, width=2, noise_inputs=2)
    assert network.latent == base.latent + 2
    normals, labels = drawn(base, extra=2)
    for trained in (False, True):
        with torch.no_grad():
            wanted = network(torch.from_numpy(normals), torch.from_numpy(labels)).numpy()
        if not trained:
            np.testing.assert_allclose(wanted, slow(base, normals, labels), atol=2e-5)
        np.testing.assert_allclose(from_onnx(base, network.network(), normals, labels), wanted.clip(-1, 1), atol=3e-5)
        kit.randomised(network, 2)


def test_the_grain_is_not_trained_and_does_not_enter_the_convolutions():
    base = kit.model(ImageFormat(8, 8), grained=True)
    network = ImageGenerator(base, width=2, noise_inputs=2)
    plain = ImageGenerator(replace(base, grain=None), width=2, noise_inputs=2)
    sizes = [[tuple(each.shape) for each in one.parameters()] for one in (network, plain)]
    assert sizes[0] == sizes[1]


def test_a_mask_has_no_grain():
    base = kit.model(ImageFormat(12, 8, mask=True), grained=True)
    normals, labels = drawn(base)
    found, plain = (
        from_onnx(each, waves_network(each), normals[:, : each.latent], labels)
        for each in (base, replace(base, grain=None))
    )
    assert np.array_equal(found[:, 1], plain[:, 1])
    assert not np.allclose(found[:, 0], plain[:, 0])


# --- what images are drawn like ----------------------------------------------------------------------------------------


def rough(patients=300, seed=0):
    """Class 0 is smooth; in class 1 the left half is rough. All have a black border."""
    stream = np.random.default_rng(seed)
    labels = stream.integers(0, 2, patients)
    pixels = 0.2 * stream.normal(size=(patients, 1, 1, 1)) + 0.01 * stream.normal(size=(patients, 1, 16, 16))
    pixels[labels == 1, :, :, :8] += 0.2 * stream.normal(size=((labels == 1).sum(), 1, 16, 8))
    pixels[:, :, :2] = -1
    return kit.cohort_of(np.clip(pixels, -1, 1), labels, np.arange(patients), kit.schema((16, 16), population=patients))


CONFIG = replace(kit.TINY, waves=3, radius=1.0, grain=0.2, discriminator=0, open_steps=0)


def answers(pixels):
    grain = Grain.of(3, 16, 16)
    bands, cells = grain.parts(grain.numbers(pixels).mean(axis=0, keepdims=True))
    return bands[0], cells[0], shades(pixels).mean(axis=0)


def test_drawn_images_answer_the_questions_as_the_patients_do():
    cohort = rough()
    made = wg.fit(cohort, privacy="none", family=CONFIG, seed=1).generator
    for label, level in enumerate(kit.FINDING["levels"]):
        real = answers(cohort.pixels[cohort.classes == label])
        fake = answers(made.images(400, where={"finding": level}, seed=2).pixels)
        assert np.linalg.norm(fake[0] - real[0]) < 0.3 * np.linalg.norm(real[0])
        assert np.linalg.norm(fake[1] - real[1]) < 0.35 * np.linalg.norm(real[1])
        assert np.abs(np.cumsum(fake[2] - real[2])).max() < 0.06


def test_without_grain_they_do_not():
    cohort = rough()
    made = wg.fit(cohort, privacy="none", family=replace(CONFIG, grain=0), seed=1).generator
    real, fake = answers(cohort.pixels), answers(made.images(400, seed=2).pixels)
    assert np.linalg.norm(fake[0]) < 0.1 * np.linalg.norm(real[0])
    assert abs(fake[2][0] - real[2][0]) > 0.1


def test_a_private_fit_with_little_noise_is_nearly_one_without():
    cohort = rough(1000)
    found = [
        answers(wg.fit(cohort, budget, privacy=privacy, family=CONFIG, seed=1).generator.images(400, seed=2).pixels)
        for budget, privacy in ((None, "none"), (wg.Budget(epsilon=90.0), "private"))
    ]
    for one, other in zip(*found, strict=True):
        assert np.linalg.norm(one - other) < 0.15 * np.linalg.norm(one)


@pytest.mark.parametrize("sd", [0.1, 10.0, 1e4])
def test_noise_alone_leaves_strengths_that_are_valid(sd):
    stream = np.random.default_rng(0)
    noisy = sd * stream.normal(size=(4, 4))
    assert 0 <= module._lengths(noisy, sd).min() <= np.linalg.norm(module._lengths(noisy, sd)) <= 1 + 1e-9
    assert module._places(noisy, sd).min() > 0
    first = np.full(34, 1 / 34)
    found = module._shares(first + sd * stream.normal(size=34), first, sd)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


def test_what_noise_may_have_made_is_left_out():
    """Noise alone is drawn nearly to the first guess; without noise nothing is."""
    stream = np.random.default_rng(0)
    first = stream.uniform(size=(7, 7))
    away = [np.linalg.norm(module._towards(first + stream.normal(size=(7, 7)), first, 1.0) - first) for _ in range(50)]
    assert np.mean(away) < 0.3 * 7
    assert np.array_equal(module._towards(2 * first, first, 0.0), 2 * first)


def test_a_curve_gives_images_the_shades_that_are_wanted():
    stream = np.random.default_rng(0)
    images = stream.normal(size=(200, 8, 8))
    wanted = np.zeros(34)
    wanted[[0, 5, 20, 33]] = 0.4, 0.2, 0.3, 0.1
    found = shades(module.toned(images, *module._curve(images, wanted))[:, None].astype(np.float32)).mean(axis=0)
    # A step of the shades may lie anywhere on a piece, and a piece holds a fifteenth of the pixels.
    assert np.abs(np.cumsum(found - wanted)).max() < 1 / 15
    assert found[0] == pytest.approx(0.4, abs=0.02)


def test_the_brush_paints_each_band_alone():
    grain = Grain.of(3, 16, 16)
    brush = module.Brush.of(grain)
    normals = Seed(1).stream("test").standard_normal((50, 16, 16))
    (high, wide), cells = grain.shapes
    for band in [(0, 1), (2, 3), (high - 1, wide - 1)]:
        bands = np.zeros((high, wide))
        bands[band] = 0.01
        image = module.texture(brush, bands, np.ones(cells), normals)[:, None]
        found = grain.parts(grain.numbers(image).mean(axis=0, keepdims=True))[0][0]
        assert found[band] > 0.99 * np.linalg.norm(found) > 0


def test_each_fit_is_the_same():
    one, two = (wg.fit(rough(50), privacy="none", family=CONFIG, seed=seed).generator.network for seed in (1, 1))
    assert one == two
