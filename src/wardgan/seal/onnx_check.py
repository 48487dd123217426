"""A foreign generator network, judged as data before anything runs it.

The list is of what is allowed, never of what is forbidden: message fields, operators, types, inputs and outputs.
A network that passes holds finite weights, calls only pure arithmetic, reads `latent` and `label`, gives `units`,
and needs memory and time that are known beforehand and grow no faster than the number of patients.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NoReturn

import numpy as np

from wardgan.errors import NetworkError
from wardgan.seal.onnx_rules import RULES
from wardgan.seal.onnx_shapes import MAX_AXES, PATIENT, Limits, check_shapes
from wardgan.seal.onnx_values import TYPES
from wardgan.seal.onnx_wire import check_bytes

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

MAX_BYTES: Final = 512 << 20
MAX_NODES: Final = 4_096
MAX_PARAMETERS: Final = 1 << 27
MAX_ATTRIBUTE: Final = 1 << 20
OPSETS: Final = range(13, 22)
IR_VERSIONS: Final = range(7, 11)
_FIELDS: Final = {
    "ModelProto": {"ir_version", "opset_import", "producer_name", "producer_version", "graph"},
    "OperatorSetIdProto": {"domain", "version"},
    "GraphProto": {"node", "name", "initializer", "input", "output"},
    "NodeProto": {"input", "output", "name", "op_type", "domain", "attribute"},
    "AttributeProto": {"name", "type", "f", "i", "s", "t", "floats", "ints"},
    "TensorProto": {"dims", "data_type", "name", "raw_data", "float_data", "int32_data", "int64_data", "double_data"},
    "ValueInfoProto": {"name", "type"},
    "TypeProto": {"tensor_type"},
    "Tensor": {"elem_type", "shape"},
    "TensorShapeProto": {"dim"},
    "Dimension": {"dim_value", "dim_param"},
}
Value = tuple[str, int, list[int]]
_EXPLAINED: Final = {
    "functions": "defines functions of its own",
    "training_info": "carries training information",
    "metadata_props": "carries metadata",
    "doc_string": "carries free text",
    "external_data": "keeps weights outside the file",
    "data_location": "keeps weights outside the file",
    "sparse_initializer": "has sparse tensors",
    "sparse_tensor": "has sparse tensors",
    "g": "holds a subgraph (If, Loop or Scan)",
    "graphs": "holds a subgraph (If, Loop or Scan)",
}


def check_network(data: bytes, *, latent: int, variables: int, classes: int, limits: Limits = PATIENT) -> int:
    """Refuses a network that is anything but a plain generator, and gives what one patient takes.

    The contract: inputs `latent` (float32, shape (N, latent)) and `label` (int64, shape (N,)); one output `units`
    (float32, shape (N, variables)); N is free.

    Args:
        data: An ONNX model.
        latent: Length of the latent vector, at least 1.
        variables: Number of variables, at least 1.
        classes: Number of label classes, at least 1.
        limits: What one patient, or one image, may take.

    Returns:
        The memory that it takes for one patient, in bytes.

    Raises:
        NetworkError: Says which rule the network breaks.
    """
    if len(data) > MAX_BYTES:
        raise NetworkError(f"network: {len(data)} bytes are more than {MAX_BYTES}.")
    check_bytes(data)
    model = _parse(data)
    _check_fields(model)
    _check_versions(model)
    graph = model.graph
    if len(graph.node) > MAX_NODES:
        raise NetworkError(f"network: {len(graph.node)} nodes are more than {MAX_NODES}.")
    for node in graph.node:
        _check_node(node)
    _check_contract(graph, latent, variables)
    _check_names(graph)
    _check_tensors(graph)
    row = check_shapes(graph, latent=latent, variables=variables, classes=classes, limits=limits)
    _check_with_onnx(model)
    return row


def _parse(data: bytes) -> ModelProto:
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise NetworkError("network: is not an ONNX model: the protobuf is damaged or nested too deep.") from error
    model.DiscardUnknownFields()
    # Bytes that no field accounts for would travel unseen.
    if model.ByteSize() != len(data):
        raise NetworkError("network: holds bytes that no field of an ONNX model accounts for.")
    return model


def _check_fields(message: Message) -> None:
    kind = message.DESCRIPTOR.name
    for field, value in message.ListFields():
        if field.name not in _FIELDS.get(kind, ()):
            reason = _EXPLAINED.get(field.name, "uses something that a generator does not need")
            raise NetworkError(f"network: {reason} ({kind}.{field.name}).")
        if field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                _check_fields(inner)


def _check_versions(model: ModelProto) -> None:
    if model.ir_version not in IR_VERSIONS:
        raise NetworkError(f"network: IR version {model.ir_version} is not from {IR_VERSIONS[0]} to {IR_VERSIONS[-1]}.")
    for opset in model.opset_import:
        if opset.domain:
            raise NetworkError(f"network: uses operators of the foreign domain {opset.domain[:60]!a}.")
    versions = [opset.version for opset in model.opset_import]
    if len(versions) != 1 or versions[0] not in OPSETS:
        raise NetworkError(f"network: operator set {versions} is not one version from {OPSETS[0]} to {OPSETS[-1]}.")


def _check_node(node: NodeProto) -> None:
    if node.domain:
        raise NetworkError(f"network: uses an operator of the foreign domain {node.domain[:60]!a}.")
    if node.op_type not in RULES:
        raise NetworkError(f"network: the operator {node.op_type[:60]!a} is not allowed.")
    if len(node.output) != 1 or not node.output[0]:
        _refuse(node, "does not have exactly one output")
    names = [attribute.name for attribute in node.attribute]
    if len(set(names)) < len(names):
        _refuse(node, "has an attribute twice")
    for attribute in node.attribute:
        _check_attribute(node, attribute)


def _check_attribute(node: NodeProto, attribute: AttributeProto) -> None:
    field = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}.get(attribute.type)
    set_fields = {item.name for item, _ in attribute.ListFields()} - {"name", "type"}
    if field is None or not set_fields <= {field}:
        _refuse(node, f"has a malformed attribute {attribute.name[:60]!a}")
    if any(abs(value) > MAX_ATTRIBUTE for value in (attribute.i, *attribute.ints)):
        _refuse(node, f"has an attribute {attribute.name[:60]!a} beyond {MAX_ATTRIBUTE}")
    if not all(math.isfinite(value) for value in (attribute.f, *attribute.floats)):
        _refuse(node, f"has an attribute {attribute.name[:60]!a} that is not finite")


def _check_contract(graph: GraphProto, latent: int, variables: int) -> None:
    inputs: list[Value] = [("latent", 1, [latent]), ("label", 7, [])]
    _check_values(graph.input, inputs, f"inputs are not latent (float32, N x {latent}) and label (int64, N)")
    _check_values(graph.output, [("units", 1, [variables])], f"output is not units (float32, N x {variables})")


def _check_values(values: Iterable[ValueInfoProto], expected: list[Value], rule: str) -> None:
    found: list[Value] = []
    free = True
    for value in values:
        tensor = value.type.tensor_type
        first, *rest = tensor.shape.dim or [None]
        free = free and first is not None and not first.HasField("dim_value")
        found.append((value.name, tensor.elem_type, [dim.dim_value if dim is not None else -1 for dim in rest]))
    if found != expected or not free:
        raise NetworkError(f"network: the {rule}, with N free.")


def _check_names(graph: GraphProto) -> None:
    known = {"latent", "label"}
    for tensor in graph.initializer:
        if not tensor.name or tensor.name in known:
            raise NetworkError(f"network: the name {tensor.name[:60]!a} is given twice or empty.")
        known.add(tensor.name)
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                _refuse(node, f"reads {name[:60]!a}, which nothing before it gives")
        if node.output[0] in known:
            _refuse(node, f"gives {node.output[0][:60]!a} a second time")
        known.add(node.output[0])
    if "units" not in known:
        raise NetworkError("network: no node gives the output units.")


def _check_tensors(graph: GraphProto) -> None:
    constants = [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]
    total = sum(_check_tensor(tensor) for tensor in (*graph.initializer, *constants))
    if total > MAX_PARAMETERS:
        raise NetworkError(f"network: {total} parameters are more than {MAX_PARAMETERS}.")


def _check_tensor(tensor: TensorProto) -> int:
    from onnx import numpy_helper

    name = ascii(tensor.name[:60])
    if tensor.data_type not in TYPES:
        raise NetworkError(f"network: the tensor {name} has a data type that is not allowed.")
    if len(tensor.dims) > MAX_AXES or any(not 1 <= size <= MAX_PARAMETERS for size in tensor.dims):
        raise NetworkError(f"network: the tensor {name} has an impossible shape.")
    count = math.prod(tensor.dims)
    stored = [len(tensor.float_data), len(tensor.int32_data), len(tensor.int64_data), len(tensor.double_data)]
    lengths = [length for length in (*stored, len(tensor.raw_data) / TYPES[tensor.data_type].itemsize) if length]
    if lengths != [count]:
        raise NetworkError(f"network: the tensor {name} does not hold the numbers that its shape promises.")
    try:
        values = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise NetworkError(f"network: the tensor {name} cannot be read.") from error
    if values.size != count or not np.isfinite(values).all():
        raise NetworkError(f"network: the tensor {name} has weights that are not finite (NaN or infinity).")
    return count


def _check_with_onnx(model: ModelProto) -> None:
    from onnx import checker

    try:
        checker.check_model(model)  # pyright: ignore[reportUnknownMemberType] - a path-like without its type
    except (checker.ValidationError, ValueError) as error:
        raise NetworkError(f"network: breaks a rule of ONNX: {str(error).splitlines()[0][:200]!a}.") from error


def _refuse(node: NodeProto, reason: str) -> NoReturn:
    raise NetworkError(f"network: the node {node.name[:60]!a} ({node.op_type}) {reason}.")
