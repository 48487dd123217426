"""Synthetic images: image `i` of a seed is always the same, conditions hold, and a network's slips are mended."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

import data_kit
import image_family_kit as kit
from wardgan.errors import NetworkError, UsageError
from wardgan.sample import images as module
from wardgan.sample.images import BLOCK, SyntheticImages
from wardgan.sample.network import Graph

TABLE = {"finding": kit.FINDING, "left": kit.SIDE}
PLAIN = kit.generator()
MASKED = kit.generator(kit.schema((8, 12), mask=True, table=TABLE), shares=(0.1, 0.2, 0.3, 0.4))
TABLES = data_kit.generator(data_kit.schema({"age": {"kind": "integer", "low": 0, "high": 9}}))
BEYOND = BLOCK + 20


def test_images_with_their_labels():
    batch = MASKED.images(7, seed=1)
    assert batch.pixels.shape == (7, 2, 8, 12)
    assert batch.pixels.dtype == np.float32
    assert set(batch.labels) == {"finding", "left"}
    assert all(len(levels) == 7 and all(isinstance(level, str) for level in levels) for levels in batch.labels.values())
    assert set(batch.labels["finding"]) <= {"benign", "malignant"}


def test_labels_are_those_of_the_pixels():
    """The network adds a quarter for each class, far more than its noise."""
    batch = MASKED.images(200, seed=1)
    found = np.rint(batch.pixels.mean(axis=(1, 2, 3)) / 0.25).astype(int)
    levels = [[str(level) for level in column.levels] for column in MASKED.schema.table]
    wanted = [
        2 * levels[0].index(one) + levels[1].index(two)
        for one, two in zip(batch.labels["finding"], batch.labels["left"], strict=True)
    ]
    assert (found == np.array(wanted)).mean() > 0.95


def test_images_without_a_label():
    batch = kit.generator(kit.schema(table={}), shares=(1.0,)).images(3, seed=1)
    assert batch.labels == {}
    assert len(batch.pixels) == 3


def joined(batches):
    batches = list(batches)
    labels = {name: [level for batch in batches for level in batch.labels[name]] for name in batches[0].labels}
    return np.concatenate([batch.pixels for batch in batches]), labels


@pytest.mark.parametrize("n", [1, 5, BLOCK - 1, BLOCK, BLOCK + 1, BEYOND])
def test_an_image_does_not_hang_on_how_many_are_drawn(n):
    whole, some = MASKED.images(BEYOND, seed=4), MASKED.images(n, seed=4)
    assert np.array_equal(some.pixels, whole.pixels[:n])
    assert all(some.labels[name] == whole.labels[name][:n] for name in TABLE)


@pytest.mark.parametrize("chunk", [1, 7, 100, BLOCK, BLOCK + 3, 1000])
def test_nor_on_the_chunks(chunk):
    whole = MASKED.images(BEYOND, seed=4)
    batches = list(MASKED.image_batches(BEYOND, chunk=chunk, seed=4))
    assert [len(batch.pixels) for batch in batches[:-1]] == [chunk] * (len(batches) - 1)
    assert 0 < len(batches[-1].pixels) <= chunk
    pixels, labels = joined(batches)
    assert np.array_equal(pixels, whole.pixels)
    assert labels == whole.labels


def test_nor_on_the_order_in_which_they_are_asked_for():
    whole = MASKED.images(BEYOND, seed=4)
    found = MASKED.dataset(BEYOND, seed=4)
    for at in (BEYOND - 1, 0, BLOCK, 3, BLOCK - 1):
        pixels, label = found[at]
        assert np.array_equal(pixels, whole.pixels[at])
        assert isinstance(label, int)
        levels = MASKED.schema.class_name(label)
        assert levels == f"finding={whole.labels['finding'][at]}, left={whole.labels['left'][at]}"


def test_blocks_are_made_once_and_in_constant_memory(monkeypatch):
    monkeypatch.setattr(module, "_KEPT", 8 * PLAIN.images(BLOCK, seed=1).pixels.nbytes)
    made = []
    honest = module.Painter.block
    monkeypatch.setattr(module.Painter, "block", lambda self, *how: (made.append(how[2]), honest(self, *how))[1])
    batches = PLAIN.image_batches(10**9, chunk=3, seed=1)
    list(islice(batches, 90))
    assert made == [0, 1]
    made.clear()
    found = PLAIN.dataset(20 * BLOCK, seed=1)
    assert made == []
    for at in range(0, 20 * BLOCK, BLOCK // 2):
        _ = found[at]
    assert made == list(range(20))
    assert len(found._kept) == 8
    _ = found[20 * BLOCK - 1]
    assert len(made) == 20


def test_seeds_replay_and_differ():
    one, again, other = (PLAIN.images(5, seed=seed).pixels for seed in (7, 7, 8))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(PLAIN.images(5).pixels, PLAIN.images(5).pixels)
    assert np.array_equal(PLAIN.images(5, seed=np.int64(7)).pixels, one)
    blocks = PLAIN.images(2 * BLOCK, seed=7).pixels
    assert not np.array_equal(blocks[:BLOCK], blocks[BLOCK:])


def test_a_dataset_without_a_seed_is_one_draw():
    found = PLAIN.dataset(BEYOND)
    first = found[BEYOND - 1][0].copy()
    found._kept.clear()
    assert np.array_equal(found[BEYOND - 1][0], first)
    assert not np.array_equal(PLAIN.dataset(BEYOND)[BEYOND - 1][0], first)


def test_classes_have_their_shares():
    batch = MASKED.images(4000, seed=2)
    share = np.mean([level == "malignant" for level in batch.labels["finding"]])
    assert share == pytest.approx(0.7, abs=0.04)


@pytest.mark.parametrize("n", [2, 200, BEYOND])
def test_a_balance_is_exact_in_turns(n):
    for name in ("finding", "left"):
        levels = MASKED.images(n, balance=name, seed=3).labels[name]
        turns = [str(level) for level in MASKED.schema.column(name).levels]
        assert levels == (turns * n)[:n]


def test_turns_go_on_from_block_to_block():
    grades = {"grade": {"kind": "category", "levels": ["low", "middle", "high"]}}
    generator = kit.generator(kit.schema(table=grades))
    levels = generator.images(2 * BLOCK + 9, balance="grade", seed=3).labels["grade"]
    assert levels == (["low", "middle", "high"] * BLOCK)[: 2 * BLOCK + 9]


def test_conditions_hold_exactly():
    batch = MASKED.images(100, where={"finding": "malignant"}, seed=1)
    assert set(batch.labels["finding"]) == {"malignant"}
    assert len(set(batch.labels["left"])) == 2
    both = MASKED.images(100, where={"finding": ["benign", "malignant"], "left": True}, seed=1)
    assert set(both.labels["left"]) == {"true"}
    mixed = MASKED.images(100, where={"finding": "benign"}, balance="left", seed=1)
    assert set(mixed.labels["finding"]) == {"benign"}
    assert mixed.labels["left"].count("true") == 50
    batches = list(MASKED.image_batches(9, chunk=4, where={"left": False}, seed=1))
    assert {level for batch in batches for level in batch.labels["left"]} == {"false"}
    found = MASKED.dataset(9, where={"finding": "benign", "left": True}, seed=1)
    assert {found[at][1] for at in range(9)} == {1}


@pytest.mark.parametrize("ask", [
    lambda generator, **how: generator.images(5, **how), lambda generator, **how: generator.dataset(5, **how),
    lambda generator, **how: generator.image_batches(5, **how),
], ids=["images", "dataset", "batches"])  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(ask):
    for wrong, said in (
        ({"where": {"age": 3}}, "where"), ({"where": {"finding": "unclear"}}, "where"), ({"where": "benign"}, "where"),
        ({"balance": "side"}, "balance"), ({"seed": -1}, "seed"), ({"seed": 0.5}, "seed"),
        ({"where": {"finding": "benign"}, "balance": "finding"}, "balance"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            ask(MASKED, **wrong)


@pytest.mark.parametrize("n", [-1, 1.5, "7", None])
def test_a_number_that_is_none_is_refused(n):
    for ask in (PLAIN.images, PLAIN.image_batches, PLAIN.dataset):
        with pytest.raises(UsageError, match="n="):
            ask(n)


def test_a_chunk_of_nothing_is_refused():
    with pytest.raises(UsageError, match="chunk=0"):
        PLAIN.image_batches(5, chunk=0)


def test_an_empty_draw():
    batch = MASKED.images(0, seed=1)
    assert batch.pixels.shape == (0, 2, 8, 12)
    assert batch.labels == {"finding": [], "left": []}
    assert [len(each.pixels) for each in MASKED.image_batches(0, chunk=5)] == [0]
    found = MASKED.dataset(0)
    assert len(found) == 0
    with pytest.raises(IndexError):
        found[0]


def test_a_draw_too_large_for_memory_names_the_way_out():
    with pytest.raises(UsageError, match="GiB of memory; use image_batches"):
        PLAIN.images(10**9)
    assert len(next(PLAIN.image_batches(10**9, chunk=10, seed=1)).pixels) == 10


def test_tables_and_images_refuse_each_others_methods_with_a_way_out():
    for ask in (PLAIN.sample, PLAIN.draw, lambda n: next(PLAIN.stream(n)), lambda n: next(PLAIN.draws(n))):
        with pytest.raises(UsageError, match="draws images; use images, image_batches or dataset"):
            ask(5)
    for ask in (TABLES.images, TABLES.dataset, lambda n: next(TABLES.image_batches(n))):
        with pytest.raises(UsageError, match="draws tables and visits; use sample, stream or draw"):
            ask(5)


def test_efficiency_is_a_question_about_patients():
    with pytest.raises(UsageError, match="draws images"):
        PLAIN.efficiency(where={"finding": "benign"}, seed=1)


def broken(value):
    """A network whose first pixel is always this, and whose others overshoot."""
    declared = kit.schema()
    graph = Graph(latent=2)
    weights = graph.add("MatMul", "latent", graph.floats(np.full((2, 64), 50.0)))
    first = np.zeros(64)
    first[0] = value
    return replace(kit.generator(declared), network=graph.finish(
        graph.add("Add", weights, graph.floats(first)), variables=64
    ), latent=2)  # fmt: skip


@pytest.mark.parametrize(("value", "wanted"), [(np.nan, 0), (np.inf, 1), (-np.inf, -1), (1e30, 1)])
def test_what_a_network_overshoots_is_cut(value, wanted):
    generator = broken(value)
    for pixels in (generator.images(9, seed=1).pixels, generator.dataset(9, seed=1)[4][0][None]):
        assert np.abs(pixels).max() <= 1
        assert np.isfinite(pixels).all()
        assert (pixels[:, 0, 0, 0] == wanted).all()


def test_a_network_that_cannot_be_run_is_refused_in_our_words():
    with pytest.raises(NetworkError, match="cannot be run"):
        replace(PLAIN, network=b"no network").images(3)
    with pytest.raises(NetworkError, match="cannot be run"):
        replace(PLAIN, latent=9).images(3)


def test_the_world_of_the_caller_is_left_alone():
    np.random.seed(3)  # noqa: TID251 - this is the state that must not change
    before = np.random.get_state()[1].copy()
    PLAIN.images(5)
    assert np.array_equal(np.random.get_state()[1], before)


# --- as a data set of torch --------------------------------------------------------------------------------------------


def test_a_data_loader_takes_it_in_one_line():
    loader = pytest.importorskip("torch.utils.data", reason="torch is not installed").DataLoader
    whole = MASKED.images(50, seed=6)
    batches = list(loader(MASKED.dataset(50, seed=6), batch_size=16))
    assert [len(labels) for _, labels in batches] == [16, 16, 16, 2]
    pixels = np.concatenate([pixels.numpy() for pixels, _ in batches])
    assert np.array_equal(pixels, whole.pixels)
    names = [MASKED.schema.class_levels(int(label))["finding"] for _, labels in batches for label in labels]
    assert names == whole.labels["finding"]
    shuffled = loader(MASKED.dataset(50, seed=6), batch_size=50, shuffle=True)
    ((mixed, _),) = shuffled
    assert sorted(image.numpy().tobytes() for image in mixed) == sorted(image.tobytes() for image in whole.pixels)


def test_workers_of_a_data_loader_that_are_not_forked_get_it_too():
    """Python 3.14 sends a data set to its workers as a copy; nothing says that no image may have been drawn before."""
    found = PLAIN.dataset(5, seed=1)
    _ = found[0]
    assert np.array_equal(copy.deepcopy(found)[0][0], found[0][0])


def test_it_can_be_walked_through():
    found = PLAIN.dataset(5, seed=1)
    assert isinstance(found, SyntheticImages)
    assert len(list(found)) == len(found) == 5
    with pytest.raises(IndexError, match="index=5 is beyond the last of 5 images"):
        found[5]
    with pytest.raises(UsageError, match="index=-1"):
        found[-1]


def test_its_repr_shows_no_pixel():
    found = PLAIN.dataset(5, seed=1)
    _ = found[0]
    assert "_kept" not in repr(found)
    assert len(repr(found)) < 1500


def test_a_shuffled_walk_draws_each_block_once():
    found, drawn = PLAIN.dataset(700, seed=4), []
    real = found.painter.network
    found.painter = replace(found.painter, network=lambda *given: (drawn.append(len(given[1])), real(*given))[1])
    order = np.random.default_rng(0).permutation(700)
    whole = PLAIN.images(700, seed=4).pixels
    assert all(np.array_equal(found[int(at)][0], whole[at]) for at in order)
    assert sum(drawn) == 704  # in parts of 16
