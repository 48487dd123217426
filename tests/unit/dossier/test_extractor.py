"""A hospital's own network as features: what is computed, and what is refused before it runs."""

import os

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from wardgan.dossier.images import extractor as module
from wardgan.dossier.images.extractor import read_extractor, resized
from wardgan.errors import NetworkError, UsageError

WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3) / 10


def network(shape=("N", 3, 8, 8), *, nodes=None, weights=(), domains=("",), outputs=("found",), kind=TensorProto.FLOAT):
    """Means over the places of each channel, times weights: two features of three channels."""
    nodes = nodes or [
        helper.make_node("GlobalAveragePool", ["images"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["found"], transB=1),
    ]
    graph = helper.make_graph(
        nodes, "own", [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(WEIGHTS, "weights"), *weights],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, 17) for domain in domains])
    model.ir_version = 8
    return model


def written(tmp_path, model, name="chest net.onnx"):
    path = tmp_path / name
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def pixels(n, side=12, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 1, side, side)).astype(np.float32)


def test_grey_images_are_given_in_the_size_and_channels_that_it_wants(tmp_path):
    own = read_extractor(written(tmp_path, network()))
    assert own.name == "chest net"
    assert len(own.digest) == 64
    images = pixels(70)
    found = own(images)
    means = resized(images, 8, 8).mean(axis=(2, 3), dtype=np.float64)
    np.testing.assert_allclose(found, np.repeat(means, 3, axis=1) @ WEIGHTS.T, atol=1e-6)


@pytest.mark.parametrize("shape", [("N", 1, "H", "W"), (None, None, None, None), (1, 1, 8, 8), (5, 1, "h", 8)])
def test_open_and_fixed_shapes(tmp_path, shape):
    nodes = [helper.make_node("GlobalAveragePool", ["images"], ["found"])]
    found = read_extractor(written(tmp_path, network(shape, nodes=nodes)))(pixels(7))
    assert found.shape == (7, 1)
    np.testing.assert_allclose(found[:, 0], pixels(7).mean(axis=(1, 2, 3)), atol=0.1)


def test_maps_become_their_means(tmp_path):
    nodes = [helper.make_node("AveragePool", ["images"], ["found"], kernel_shape=[2, 2], strides=[2, 2])]
    images = pixels(3, side=8)
    found = read_extractor(written(tmp_path, network(("N", 1, "H", "W"), nodes=nodes)))(images)
    np.testing.assert_allclose(found[:, 0], images.mean(axis=(1, 2, 3)), atol=1e-6)


def test_resizing_twice():
    """As in torch, where it is installed."""
    torch = pytest.importorskip("torch")
    images = pixels(4, side=11)
    for size in ((20, 31), (7, 5), (11, 11), (1, 1)):
        wanted = torch.nn.functional.interpolate(
            torch.from_numpy(images), size=size, mode="bilinear", align_corners=False
        )
        np.testing.assert_allclose(resized(images, *size), wanted.numpy(), atol=1e-5)


def refused(tmp_path, model, words, kind=NetworkError):
    with pytest.raises(kind, match=words) as found:
        read_extractor(written(tmp_path, model))
    assert "chest net.onnx" in str(found.value)


def test_a_file_that_could_do_more_than_compute(tmp_path):
    outside = TensorProto(name="more", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="/etc/passwd")
    refused(tmp_path, network(weights=[outside]), "keeps weights outside the file")
    inner = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["x"])], "b", [], [helper.make_empty_tensor_value_info("x")]
    )
    branch = helper.make_node("If", ["images"], ["found"], then_branch=inner, else_branch=inner)
    refused(tmp_path, network(nodes=[branch]), "holds a subgraph")
    foreign = helper.make_node("Steal", ["images"], ["found"], domain="evil")
    refused(tmp_path, network(nodes=[foreign]), "foreign domain")
    refused(tmp_path, network(domains=("", "com.microsoft")), "foreign domain 'com.microsoft'")
    own = network()
    own.functions.append(
        helper.make_function(
            "", "F", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], [helper.make_opsetid("", 17)]
        )
    )
    refused(tmp_path, own, "functions of its own")


def test_a_file_that_is_no_network(tmp_path):
    refused(tmp_path, b"\x00garbage" * 9, "ONNX|cannot be run")
    refused(tmp_path, b"", "is not an ONNX model")
    refused(tmp_path, network().SerializeToString() + b"\xf2\x7f\x03abc", "bytes that no field")
    refused(tmp_path, network(nodes=[helper.make_node("NoSuchThing", ["images"], ["found"])]), "cannot be run")
    with pytest.raises(UsageError, match="cannot be read"):
        read_extractor(tmp_path / "none.onnx")
    with pytest.raises(UsageError, match="cannot be read"):
        read_extractor(tmp_path)


def test_a_network_that_takes_no_images(tmp_path):
    nodes = [helper.make_node("Relu", ["images"], ["found"])]
    refused(tmp_path, network(("N", 8), nodes=nodes), "float32 input of shape", UsageError)
    refused(tmp_path, network(("N", 4, 8, 8), nodes=nodes), "takes 4 channels", UsageError)
    refused(tmp_path, network(("N", 3, 4096, 8)), "at most 1024", UsageError)
    refused(tmp_path, network((1_000_000, 3, 8, 8)), "1,000,000 images at once", UsageError)
    nodes = [helper.make_node("Cast", ["images"], ["found"], to=TensorProto.FLOAT)]
    refused(tmp_path, network(nodes=nodes, kind=TensorProto.DOUBLE), "float32", UsageError)


@pytest.mark.parametrize(("operator", "more"), [("ReduceMean", {"keepdims": 0}), ("Size", {})])
def test_a_network_that_gives_no_row_for_each_image(tmp_path, operator, more):
    nodes = [helper.make_node(operator, ["images"], ["found" if operator != "Size" else "size"], **more)]
    if operator == "Size":
        nodes.append(helper.make_node("Cast", ["size"], ["found"], to=TensorProto.FLOAT))
    refused(tmp_path, network(("N", 1, 8, 8), nodes=nodes), "not a row for each", UsageError)


def test_bytes_that_an_engine_would_read_as_another_network(tmp_path):
    two = network()
    two.producer_name = "ORTM"
    data = two.SerializeToString()
    assert data[4:8] == b"ORTM"
    refused(tmp_path, data, "could be read in two ways")


def test_a_file_that_never_ends(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link"):
        with pytest.raises(UsageError, match="it is no file"):
            read_extractor(tmp_path / name)


def test_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_FEATURES", 1)
    refused(tmp_path, network(), "2 features; at most 1", UsageError)
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    refused(tmp_path, network(), "more than 10 bytes")


def test_numbers_that_are_not_finite_are_no_features(tmp_path):
    nodes = [helper.make_node("Log", ["images"], ["log"]), helper.make_node("GlobalAveragePool", ["log"], ["found"])]
    own = read_extractor(written(tmp_path, network(("N", 1, 8, 8), nodes=nodes)))
    with pytest.raises(Exception, match="not finite"):
        own(pixels(2))
