"""Builds generator networks as ONNX graphs: default operators, no code, nothing external.

Every network has the same contract. Inputs: `latent`, float32 (patients, latent), standard normal; `label`, int64
(patients,), the class. Output: `units`, float32 (patients, variables), as in `wardgan.encode.units`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from wardgan._version import __version__

OPSET: Final = 17
IR_VERSION: Final = 9
Attribute = int | float | str | Sequence[int] | Sequence[float]


class Graph:
    """A network under construction; values are named by strings.

    Example:
        >>> graph = Graph(latent=2)
        >>> weight = graph.constant(np.ones((2, 3), dtype=np.float32))
        >>> network = graph.finish(graph.add("Sigmoid", graph.add("MatMul", "latent", weight)), variables=3)
        >>> len(network) < 1000
        True
    """

    def __init__(self, *, latent: int) -> None:
        """Begins a network with `latent` standard normals for each patient."""
        self._latent = latent
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def constant(self, array: NDArray[np.floating] | NDArray[np.int64] | NDArray[np.bool_]) -> str:
        """Adds an array of weights, of the type that it has, and gives its name."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def floats(self, array: object) -> str:
        """Adds weights as float32 and gives their name."""
        return self.constant(np.asarray(array, dtype=np.float32))

    def whole(self, array: object) -> str:
        """Adds whole numbers as int64 and gives their name."""
        return self.constant(np.asarray(array, dtype=np.int64))

    def add(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """Adds an operator and gives the name of its output."""
        name = f"v{len(self._nodes)}"
        node = helper.make_node(operator, list(inputs), [name])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)
        return name

    def finish(self, units: str, *, variables: int) -> bytes:
        """Gives the network's bytes, with `units` as its output."""
        self._nodes.append(helper.make_node("Identity", [units], ["units"]))
        graph = helper.make_graph(
            self._nodes,
            "generator",
            [
                helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["patients", self._latent]),
                helper.make_tensor_value_info("label", TensorProto.INT64, ["patients"]),
            ],
            [helper.make_tensor_value_info("units", TensorProto.FLOAT, ["patients", variables])],
            self._constants,
        )
        model = helper.make_model(
            graph,
            producer_name="wardgan",
            producer_version=__version__,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        return model.SerializeToString(deterministic=True)
