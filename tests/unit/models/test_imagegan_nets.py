"""The networks of imagegan: ONNX draws what torch draws, and at the start it is the waves alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import image_family_kit as kit
from wardgan.models.imagegan.draw import cosine_pairs, waves_network
from wardgan.models.imagegan.nets import ImageGenerator, Judge
from wardgan.models.imagegan.sizes import channels, stages
from wardgan.privacy.clip import PatientGradients, PrivateStep
from wardgan.sample.generator import Generator
from wardgan.schema.images import ImageFormat
from wardgan.seal.onnx_check import check_network
from wardgan.seal.onnx_shapes import IMAGE

LOOKS = [(8, 8, False), (12, 8, True), (8, 12, False), (28, 28, False), (16, 24, True)]


def maker(look, *, classes=2, normals=3, waves=3, seed=1):
    base = kit.model(look, classes=classes, normals=normals, waves=waves)
    return kit.randomised(ImageGenerator(base, width=2, noise_inputs=2), seed)


def drawn(look, classes, network, latent, count=7):
    """The same images from torch's numbers and through onnxruntime."""
    table = {"grade": {"kind": "category", "levels": [f"g{at}" for at in range(classes)]}}
    declared = kit.schema((look.height, look.width), mask=look.mask, table=table)
    generator = Generator(declared, "imagegan", network, latent, (1 / classes,) * classes)
    stream = np.random.default_rng(3)
    normals = stream.standard_normal((count, latent), dtype=np.float32)
    labels = stream.integers(0, classes, count)
    return normals, labels, generator.pixels(normals, labels).reshape(count, *look.shape)


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize(("height", "width", "mask"), LOOKS)
def test_onnx_draws_what_torch_draws(height, width, mask, classes):
    look = ImageFormat(height, width, mask=mask)
    network = maker(look, classes=classes)
    normals, labels, found = drawn(look, classes, network.network(), network.latent)
    with torch.no_grad():
        wanted = network(torch.from_numpy(normals), torch.from_numpy(labels)).clamp(-1, 1).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert found.std() > 0.05
    assert (np.abs(found) < 1).any()


def test_pixels_are_cut_by_the_network_itself():
    look = ImageFormat(8, 8)
    network = maker(look)
    with torch.no_grad():
        network.last.bias.fill_(50.0)
    _, _, found = drawn(look, 2, network.network(), network.latent)
    assert found.max() == 1


@pytest.mark.parametrize(("height", "width", "mask"), LOOKS)
def test_at_the_start_images_are_those_of_the_waves_alone(height, width, mask):
    look = ImageFormat(height, width, mask=mask)
    base = kit.model(look, classes=2, size=0.05)
    network = ImageGenerator(base, width=2, noise_inputs=2)
    assert (network.rank, network.latent) == (3, 5)
    normals = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    labels = np.array([0, 1, 1, 0])
    with torch.no_grad():
        found = network(torch.from_numpy(normals), torch.from_numpy(labels)).numpy()
    numbers = base.means[labels] + np.einsum("nij,nj->ni", base.factors[labels], normals[:, :3])
    # The numbers of these images are the ones that were drawn: the inverse of what was asked of patients.
    np.testing.assert_allclose(base.waves.numbers(found), numbers, atol=1e-5)
    scale = math.sqrt(math.prod(look.shape))
    waves = numbers.reshape(4, look.planes, 3, 3)
    np.testing.assert_allclose(found, scale * (base.waves.left.T @ waves @ base.waves.right), atol=1e-5)


@pytest.mark.parametrize(("height", "width", "mask"), LOOKS)
def test_whatever_is_learned_the_low_frequencies_stay(height, width, mask):
    """Of each channel, number by number, in torch and in the network of the file."""
    look = ImageFormat(height, width, mask=mask)
    network = maker(look)
    normals = np.random.default_rng(0).standard_normal((5, network.latent)).astype(np.float32)
    labels = np.array([0, 1, 1, 0, 1])
    with torch.no_grad():
        images = network(torch.from_numpy(normals), torch.from_numpy(labels))
        waves = network.waves(torch.from_numpy(normals), torch.from_numpy(labels))
        start = network.image(waves, 0).numpy()
    added = images.numpy() - start
    low = added[:, :, None, None] * np.einsum("ay,bx->abyx", network.base.waves.left, network.base.waves.right)
    assert np.abs(low.sum(axis=(4, 5))).max() < 1e-4 * np.abs(added).max() * added[0, 0].size
    assert np.abs(added).max() > 0.01


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize(("height", "width", "mask"), LOOKS)
def test_the_waves_alone_are_a_network_of_their_own(height, width, mask, classes):
    """It draws what the generator draws before it has learned anything, and a receiver accepts it."""
    look = ImageFormat(height, width, mask=mask)
    base = kit.model(look, classes=classes)
    normals, labels, found = drawn(look, classes, waves_network(base), base.rank)
    start = ImageGenerator(base, width=2, noise_inputs=2)
    latent = np.concatenate([normals, np.ones((7, 2), dtype=np.float32)], axis=1)
    with torch.no_grad():
        wanted = start(torch.from_numpy(latent), torch.from_numpy(labels)).clamp(-1, 1).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert found.std() > 0.01
    size = math.prod(look.shape)
    check_network(waves_network(base), latent=base.rank, variables=size, classes=classes, limits=IMAGE)


@pytest.mark.parametrize(("height", "width", "mask"), [*LOOKS, (64, 64, True)])
def test_at_each_size_the_waves_have_the_same_brightness(height, width, mask):
    """A number of low frequencies makes at half the size the same picture, seen at fewer places."""
    look = ImageFormat(height, width, mask=mask)
    base = kit.model(look, classes=1, normals=1, waves=2)
    for stage, (left, right) in enumerate(cosine_pairs(base, stages(look) + 1)):
        high, wide = height >> stage, width >> stage
        assert left.shape == (high, 2)
        assert right.shape == (2, wide)
        for row in range(2):
            for column in range(2):
                waves = np.zeros((2, 2))
                waves[row, column] = 1 / math.sqrt(look.planes)
                down = np.cos(np.pi * row * (np.arange(high) + 0.5) / high) * (math.sqrt(2) if row else 1)
                along = np.cos(np.pi * column * (np.arange(wide) + 0.5) / wide) * (math.sqrt(2) if column else 1)
                np.testing.assert_allclose(left @ waves @ right, np.outer(down, along), atol=1e-5)


def test_a_small_image_is_nearly_the_mean_of_the_large_one():
    look = ImageFormat(32, 32)
    network = maker(look, waves=3)
    waves = torch.randn(5, 1, 3, 3)
    large, small = network.image(waves, 0), network.image(waves, 2)
    means = nn.functional.avg_pool2d(large, 4)
    assert float((means - small).norm() / small.norm()) < 0.1


def test_waves_finer_than_a_small_image_are_left_out_of_it():
    look = ImageFormat(8, 12)
    base = kit.model(look, waves=8)
    left, right = cosine_pairs(base, 2)[1]
    assert left.shape == (4, 8)
    assert right.shape == (8, 6)
    assert (left[:, 4:] == 0).all()
    assert (right[6:] == 0).all()
    assert np.abs(left[:, :4]).max(axis=0).min() > 0


@pytest.mark.parametrize(("height", "width", "mask"), [*LOOKS, (64, 48, True)])
@pytest.mark.parametrize("classes", [1, 3])
def test_the_network_is_one_that_a_receiver_accepts(height, width, mask, classes):
    look = ImageFormat(height, width, mask=mask)
    network = maker(look, classes=classes)
    row = check_network(
        network.network(), latent=network.latent, variables=math.prod(look.shape), classes=classes, limits=IMAGE
    )
    assert 0 < row <= IMAGE.total


@pytest.mark.parametrize(("size", "count"), [
    ((8, 8), 1), ((12, 8), 1), ((16, 8), 1), ((28, 28), 2), ((32, 32), 3), ((64, 48), 4), ((256, 256), 6), ((20, 256), 2),
])  # fmt: skip
def test_sizes_are_halved_while_both_sides_are_whole(size, count):
    assert stages(ImageFormat(*size)) == count


def test_channels_grow_four_times_at_most():
    assert [channels(6, stage) for stage in range(5)] == [6, 12, 24, 24, 24]


def test_images_do_not_hang_on_others_of_the_batch():
    network = maker(ImageFormat(8, 12, mask=True))
    latent, labels = torch.randn(6, network.latent), torch.tensor([0, 1, 0, 1, 1, 0])
    with torch.no_grad():
        whole, part = network(latent, labels), network(latent[2:3], labels[2:3])
        assert torch.allclose(whole[2:3], part, atol=1e-6)
        assert not torch.allclose(network(latent, 1 - labels), whole, atol=1e-2)


# --- the discriminator -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width", "mask"), LOOKS)
def test_the_discriminator_judges_each_image_by_itself_and_by_its_class(height, width, mask):
    look = ImageFormat(height, width, mask=mask)
    judge = kit.randomised(Judge(look, classes=3, width=2), 4)
    images, labels = torch.randn(5, *look.shape), torch.tensor([0, 1, 2, 1, 0])
    with torch.no_grad():
        found = judge(images, labels)
        assert found.shape == (5,)
        assert torch.allclose(judge(images[3:4], labels[3:4]), found[3:4], atol=1e-5)
        others = torch.stack([judge(images, torch.full((5,), at)) for at in range(3)])
        assert torch.equal(others.gather(0, labels[None])[0], found)
        assert (others.std(dim=0) > 1e-3).all()


@pytest.mark.parametrize(("height", "width", "mask"), LOOKS)
def test_p07_the_discriminator_can_be_trained_privately(height, width, mask):
    judge = Judge(ImageFormat(height, width, mask=mask), classes=2, width=2)
    PatientGradients(judge, PrivateStep(1.0, 1.0, 1.0))
    assert not [name for name, _ in judge.named_modules() if "Norm" in type(judge.get_submodule(name)).__name__]


def test_every_weight_of_the_discriminator_is_used():
    look = ImageFormat(16, 16)
    judge = kit.randomised(Judge(look, classes=2, width=2), 4)
    judge(torch.randn(8, *look.shape), torch.tensor([0, 1] * 4)).sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in judge.parameters())


def test_every_weight_of_the_generator_is_used():
    network = maker(ImageFormat(16, 16))
    network(torch.randn(8, network.latent), torch.tensor([0, 1] * 4)).square().sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in network.parameters())


def test_what_patients_were_asked_for_is_not_trained():
    network = maker(ImageFormat(8, 8))
    names = {name for name, _ in network.named_parameters()}
    assert not {"means", "factors"} & names
    assert {"means", "factors"} <= set(network.state_dict())
