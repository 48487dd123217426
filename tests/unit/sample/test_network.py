from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from numpy.testing import assert_array_equal

from wardgan.sample.network import IR_VERSION, OPSET, Graph
from wardgan.seal.onnx_check import check_network


def example() -> bytes:
    graph = Graph(latent=2)
    weight = graph.floats([[1, 0, -1], [0, 2, 1]])
    shift = graph.add("Gather", graph.constant(np.array([[0.0], [10.0]], dtype=np.float32)), "label", axis=0)
    wide = graph.add("Add", graph.add("MatMul", "latent", weight), shift)
    return graph.finish(graph.add("Gather", wide, graph.whole([2, 0, 1]), axis=1), variables=3)


def test_a_graph_computes_what_was_added():
    session = onnxruntime.InferenceSession(example(), providers=["CPUExecutionProvider"])
    latent, label = np.array([[1, 2], [3, 4]], dtype=np.float32), np.array([0, 1])
    assert_array_equal(session.run(["units"], {"latent": latent, "label": label})[0], [[1, 1, 4], [11, 13, 18]])


def test_a_graph_keeps_the_contract():
    check_network(example(), latent=2, variables=3, classes=2)
    model = onnx.load_from_string(example())
    assert (model.ir_version, model.opset_import[0].version, model.producer_name) == (IR_VERSION, OPSET, "wardgan")
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["latent", "label", "units"]


def test_the_same_graph_has_the_same_bytes():
    assert example() == example()
