"""A released model of images: it draws what was trained, within limits of its own, and holds no patient (Rule P18)."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

import image_family_kit as kit
import release_kit
import wardgan as wg
from wardgan.errors import NetworkError, WardganError
from wardgan.models.imagegan.nets import ImageGenerator
from wardgan.sample.generator import Generator
from wardgan.sample.network import Graph
from wardgan.seal import reading
from wardgan.seal.onnx_check import check_network
from wardgan.seal.onnx_shapes import IMAGE, PATIENT

NO_DOSSIER = "A. Tester: no dossier in a test"
CANARY = np.random.default_rng(77).uniform(-1, 1, (2, 8, 12)).astype(np.float32)
CANARY[1] = np.where(CANARY[1] > 0, 1, -1)


def cohort():
    """A hundred patients, and one more with an image of their own and a name."""
    whole = kit.cohort(100, size=(8, 12), mask=True)
    names = np.append(whole.patients, "Zanzibarowitsch")
    return kit.cohort_of(
        np.concatenate([whole.pixels, CANARY[None]]), np.append(whole.classes, 1), np.append(whole.owners, 100),
        whole.schema, patients=names,
    )  # fmt: skip


def fitted(*, private=True, **how):
    if private:
        return wg.fit(cohort(), kit.BUDGET, family=kit.TINY, **how)
    return wg.fit(cohort(), family=kit.TINY, privacy="none", **how)


@pytest.fixture(scope="module", params=[True, False], ids=["private", "open"])
def released(request, tmp_path_factory):
    made = fitted(private=request.param)
    path = wg.release(made, tmp_path_factory.mktemp("images") / "x.hgan", override=NO_DOSSIER)
    return made, path


def test_it_draws_the_same_images_when_it_is_loaded_again(released):
    made, path = released
    loaded = wg.load(path)
    assert loaded.network == made.generator.network
    assert loaded.schema == made.generator.schema
    assert loaded.schema.images.shape == (2, 8, 12)
    for ask in ({}, {"balance": "finding"}, {"where": {"finding": "malignant"}}):
        one, two = (generator.images(20, seed=3, **ask) for generator in (loaded, made.generator))
        assert np.array_equal(one.pixels, two.pixels)
        assert one.labels == two.labels
    assert loaded.row_bytes > 0


def test_the_file_says_what_it_is(released):
    made, path = released
    loaded = wg.load(path)
    assert loaded.family == "imagegan"
    assert ("NOT PRIVATE" in repr(loaded)) == (made.ledger.plan is None)
    assert "Cohort" not in str(wg.inspect(path))


def test_p18_no_value_of_a_planted_image_is_in_the_file(released):
    made, path = released
    data = path.read_bytes() + made.generator.network + made.generator.schema.to_yaml().encode()
    image = CANARY[0]
    numbers = [np.rint((image + 1) * 127.5).astype(np.uint8), np.rint((image + 1) * 32767.5).astype(np.uint16)]
    for kind in ("<f4", "<f8", ">f4"):
        numbers.append(image.astype(kind))
    for rows in numbers:
        assert not [row for row in rows if row.tobytes() in data]
    # A single pixel, too, as long as it is long enough to be told from chance.
    assert not [pixel for pixel in image.ravel().astype(np.float64) if pixel.tobytes() in data]
    assert sum(pixel.tobytes() in data for pixel in image.ravel()) == 0
    assert b"Zanzibarowitsch" not in data
    assert str(float(image[0, 0])).encode() not in data


def test_p03_the_exact_number_of_patients_is_nowhere(tmp_path):
    made = wg.fit(kit.cohort(97), kit.BUDGET, family=kit.TINY)
    images = len(kit.cohort(97).pixels)
    told = str(made.ledger.to_dict()) + str(made.generator.privacy) + str(made.config) + repr(made)
    path = wg.release(made, tmp_path / "x.hgan", override=NO_DOSSIER)
    told += str(wg.load(path).privacy) + repr(wg.load(path))
    for count in (97, images):
        assert not re.search(rf"(?<![\d.]){count}(?![\d.])", told)


def test_without_privacy_and_in_a_rehearsal_the_gate_refuses(tmp_path):
    with pytest.raises(WardganError, match="privacy none"):
        wg.release(fitted(private=False), tmp_path / "x.hgan")
    with pytest.raises(WardganError, match="rehearsal"):
        wg.release(fitted(seed=3), tmp_path / "x.hgan", override=NO_DOSSIER)


def test_p05_no_more_is_spent_than_allowed(released):
    ledger = released[0].ledger
    if ledger.plan is not None:
        assert 0.9 * kit.BUDGET.epsilon < ledger.epsilon() <= kit.BUDGET.epsilon
        assert ledger.epsilon() <= ledger.epsilon_bound()
    assert ledger.unbilled == ()


# --- what a network may take -------------------------------------------------------------------------------------------


def test_images_may_take_more_than_patients():
    assert IMAGE.row > PATIENT.row
    assert IMAGE.total > PATIENT.total
    assert IMAGE.work > PATIENT.work
    # A part of 16 images stays within 2 GiB.
    assert 16 * IMAGE.total <= 2 << 30


def convolved(channels, *, side=64, layers=1):
    """A network with wide convolutions at full size."""
    size = side * side
    graph = Graph(latent=2)
    flat = graph.add("MatMul", "latent", graph.floats(np.zeros((2, size))))
    hidden = graph.add("Reshape", flat, graph.whole([-1, 1, side, side]))
    for before, after in [(1, channels), *[(channels, channels)] * layers, (channels, 1)]:
        kernel = graph.floats(np.zeros((after, before, 3, 3)))
        hidden = graph.add("Conv", hidden, kernel, pads=[1] * 4)
    return graph.finish(graph.add("Reshape", hidden, graph.whole([-1, size])), variables=size)


def test_a_network_of_images_is_too_much_for_a_patient():
    network = convolved(96)
    check_network(network, latent=2, variables=4096, classes=1, limits=IMAGE)
    with pytest.raises(NetworkError):
        check_network(network, latent=2, variables=4096, classes=1)
    with pytest.raises(NetworkError):
        check_network(network, latent=2, variables=4096, classes=1, limits=PATIENT)


def test_images_have_limits_too():
    for wrong, said in ((convolved(2000, layers=0), "bytes"), (convolved(400, layers=4), "multiplications")):
        with pytest.raises(NetworkError, match=said):
            check_network(wrong, latent=2, variables=4096, classes=1, limits=IMAGE)


def test_only_a_schema_of_images_gets_the_limits_of_images(released, tmp_path, monkeypatch):
    asked = []
    honest = reading.check_network
    monkeypatch.setattr(
        reading, "check_network", lambda *args, **how: (asked.append(how["limits"]), honest(*args, **how))[1]
    )
    wg.load(released[1])
    assert set(asked) == {IMAGE}
    asked.clear()
    wg.load(release_kit.write(tmp_path, release_kit.valid()))
    assert set(asked) == {PATIENT}


@pytest.mark.parametrize("grained", [True, False])
@pytest.mark.parametrize(("size", "width"), [((8, 12), 24), ((64, 64), 24), ((128, 128), 12)])
def test_the_largest_default_network_is_accepted(size, width, grained):
    look = kit.schema(size, mask=True).images
    base = kit.model(look, waves=4, normals=8, grained=grained)
    network = ImageGenerator(base, width=width, noise_inputs=32)
    check_network(network.network(), latent=network.latent, variables=math.prod(look.shape), classes=2, limits=IMAGE)


def test_pixels_beyond_their_range_do_not_leave_a_loaded_model(released):
    loaded = wg.load(released[1])
    graph = Graph(latent=loaded.latent)
    pixels = graph.add("MatMul", "latent", graph.floats(np.full((loaded.latent, 192), 9.0)))
    wild: Generator = replace(loaded, network=graph.finish(pixels, variables=192))
    assert np.abs(wild.images(5, seed=1).pixels).max() == 1
