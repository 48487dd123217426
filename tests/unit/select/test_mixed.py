"""A mixture of weights in one network: who makes a patient is a latent normal, and nothing else changes."""

import numpy as np
import onnxruntime
import pytest
import torch

import wardgan as wg
from wardgan.encode.layout import Layout
from wardgan.models.acgan.features import Picture
from wardgan.models.acgan.nets import PictureGenerator, mixed_network
from wardgan.models.anchor import refiner as refiners
from wardgan.models.anchor.anchor import measure_anchor
from wardgan.models.anchor.refiner import Mixed, Refiner, warp_of
from wardgan.models.tabgan.train import finished, mixture
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.sample.network import Graph
from wardgan.seal.onnx_check import check_network
from wardgan.select.mixed import add_choice, cuts
from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

WEIGHTS = np.array([0.1, 0.2, 0.3, 0.25, 0.15])


def run(network, latent, label):
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return session.run(["units"], {"latent": latent.astype(np.float32), "label": label})[0]


@pytest.mark.parametrize("weights", [WEIGHTS, np.array([1.0]), np.array([1e-20, 1.0]), np.array([0.5, 0.5])])
def test_each_part_is_chosen_with_its_share(weights):
    graph = Graph(latent=1)
    rows = graph.add(
        "Mul", graph.add("Slice", "latent", graph.whole([0]), graph.whole([1]), graph.whole([1])), graph.floats([[0.0]])
    )
    parts = [graph.add("Add", rows, graph.floats([[float(at)]])) for at in range(len(weights))]
    network = graph.finish(add_choice(graph, parts, weights, latent=1), variables=1)
    normals = np.random.default_rng(1).standard_normal((40_000, 1))
    found = np.bincount(
        run(network, normals, np.zeros(40_000, dtype=np.int64))[:, 0].astype(int), minlength=len(weights)
    )
    np.testing.assert_allclose(found / 40_000, weights, atol=0.01)
    assert len(cuts(weights)) == len(weights) - 1


@pytest.fixture(scope="module")
def anchor():
    cohort = wg.read(sprint_like(400, seed=Seed(1)), wg.Schema.from_dict(SPRINT_SCHEMA))
    return measure_anchor(Records(cohort, Ledger(None), noise=Seed(1)), population=400)


@pytest.fixture(scope="module")
def five(anchor):
    """Five refiners of full size, with weights of their own."""
    found = []
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(torch.Generator().manual_seed(1).get_state())
        for _ in range(5):
            one = Refiner(anchor, width=128, noise_inputs=32)
            torch.nn.init.normal_(one.last.weight, std=0.05)
            found.append(one)
    return found


def test_a_mixture_of_five_tabgans_is_below_a_megabyte_and_passes_the_loader(anchor, five, monkeypatch):
    monkeypatch.setattr(refiners, "_DRAWN", 1 << 14)
    made = mixture(five, WEIGHTS, anchor)
    assert len(made.onnx) < 1_000_000
    assert made.latent == five[0].latent + 1
    check_network(made.onnx, latent=made.latent, variables=len(anchor.layout), classes=2)


def test_the_network_takes_the_part_that_the_mixture_in_training_takes(anchor, five, monkeypatch):
    """The units of the network are those of the chosen refiner's normals under the mixture's warp."""
    monkeypatch.setattr(refiners, "_DRAWN", 1 << 14)
    mixed = Mixed(five, WEIGHTS)
    warp = warp_of(mixed)
    whole = refiners.mixed_network(mixed, anchor, warp)
    latent = np.random.default_rng(2).standard_normal((300, mixed.latent)).astype(np.float32)
    label = np.arange(300) % 2
    place = np.searchsorted(cuts(WEIGHTS), latent[:, -1], side="right")
    found = run(whole, latent, label)
    for at, part in enumerate(mixed.parts):
        mine = place == at
        alone = run(refiners.refined_network(part, anchor, warp), latent[:, :-1], label)
        np.testing.assert_allclose(found[mine], alone[mine], atol=2e-5)
        with torch.no_grad():
            one = part(torch.from_numpy(latent[mine, :-1]), torch.from_numpy(label[mine]))
            both = mixed(torch.from_numpy(latent), torch.from_numpy(label))[torch.from_numpy(mine)]
        np.testing.assert_allclose(both, one, atol=1e-5)
    assert len(np.unique(place)) == 5


def test_the_margins_of_a_mixture_are_the_anchors(anchor, five, monkeypatch):
    """Its warp is that of the mixture, so quantiles come out as those of the anchor alone."""
    monkeypatch.setattr(refiners, "_DRAWN", 1 << 15)
    made = mixture(five, WEIGHTS, anchor)
    generator = Generator(anchor.layout.schema, "tabgan", made.onnx, made.latent, made.probabilities)
    plain = finished(Refiner(anchor, width=4, noise_inputs=1), anchor)
    other = Generator(anchor.layout.schema, "tabgan", plain.onnx, plain.latent, plain.probabilities)
    one, two = (each.draw(20_000, seed=3).measured["sbp"] for each in (generator, other))
    assert np.abs(np.median(one, axis=0) - np.median(two, axis=0)).max() <= 1


def test_weights_of_the_refiners_are_left_alone(five):
    before = five[0].second.weight.detach().clone()
    mixed = Mixed(five, WEIGHTS)
    assert torch.equal(five[0].second.weight, before)
    assert not torch.equal(mixed.parts[0].second.weight, before)


def test_a_mixture_of_acgans_takes_one_of_its_parts():
    layout = Layout.of(wg.Schema.from_dict(SPRINT_SCHEMA))
    picture = Picture.of(layout)
    with torch.random.fork_rng(devices=[]):
        makers = [PictureGenerator(picture, classes=2, latent=8, channels=2) for _ in range(3)]
    weights = np.array([0.5, 0.3, 0.2])
    whole = mixed_network(makers, weights)
    check_network(whole, latent=9, variables=len(layout), classes=2)
    latent = np.random.default_rng(2).standard_normal((200, 9)).astype(np.float32)
    label = np.arange(200) % 2
    place = np.searchsorted(cuts(weights), latent[:, -1], side="right")
    alone = np.stack([run(maker.network(), latent[:, :-1], label) for maker in makers])
    np.testing.assert_allclose(run(whole, latent, label), alone[place, np.arange(200)], atol=2e-5)
