"""How much memory a network needs: known before it runs, and proportional to the number of patients.

The shape of every tensor is derived here, from our own rules for each operator and with the number of patients
left open. (ONNX's own inference is not used: written for friendly files, it reads beyond its memory on some hostile
ones.) The patients may only be the first axis, so memory is proportional to them, whatever their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from wardgan.errors import NetworkError
from wardgan.sample.generator import BLOCK
from wardgan.seal.onnx_rules import RULES, constant
from wardgan.seal.onnx_values import PATIENTS, TYPES, Attribute, Call, Value, shown

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, NodeProto

# The sampler always runs the network on a block of patients: 2 GiB for one tensor, 8 GiB for all of them.
MAX_ROW: Final = (1 << 29) // BLOCK
MAX_ROW_TOTAL: Final = (1 << 31) // BLOCK
MAX_CONSTANT: Final = 1 << 27
MAX_AXES: Final = 8


def check_shapes(graph: GraphProto, *, latent: int, variables: int, classes: int) -> None:
    """Refuses a network whose shapes do not fit, or whose memory is too large or not proportional to the patients.

    Args:
        graph: A graph whose names are in order.
        latent: Length of the latent vector.
        variables: Number of variables.
        classes: Number of label classes.

    Raises:
        NetworkError: Names the operator or the tensor.
    """
    values = infer(graph, latent=latent)
    made = [values[node.output[0]] for node in graph.node]
    _cap("all tensors of one patient", sum(value.row for value in made if value.fed), MAX_ROW_TOTAL)
    _cap("all constants", sum(value.row for value in made if not value.fed), MAX_CONSTANT)
    units = values["units"]
    if (units.kind, units.shape) != (1, (PATIENTS, variables)):
        found = f"{TYPES[units.kind].name} {shown([units.shape])}"
        raise NetworkError(f"network: units is {found}, not {variables} float32 variables for each patient.")
    for node in graph.node:
        if node.op_type == "Gather" and node.input[1] == "label" and values[node.input[0]].shape[0] != classes:
            raise NetworkError(f"network: the label's table does not have one row for each of {classes} classes.")


def infer(graph: GraphProto, *, latent: int) -> dict[str, Value]:
    """Gives what is known of every tensor of a graph.

    Args:
        graph: A graph whose names are in order.
        latent: Length of the latent vector.

    Raises:
        NetworkError: An operator is used in a way that is not described in the rules.
    """
    from onnx import numpy_helper

    values = {"latent": Value(1, (PATIENTS, latent)), "label": Value(7, (PATIENTS,))}
    for tensor in graph.initializer:
        values[tensor.name] = constant(numpy_helper.to_array(tensor))
    for node in graph.node:
        inputs = tuple(values[name] if name else None for name in node.input)
        call = Call(node.op_type, inputs, {item.name: _setting(item) for item in node.attribute})
        values[node.output[0]] = _result(call, node)
    return values


def _result(call: Call, node: NodeProto) -> Value:
    rule = RULES[call.operator]
    if not rule.least <= len(call.inputs) <= rule.most:
        call.refuse(f"has {len(call.inputs)} operands")
    unknown = sorted(set(call.attributes) - rule.attributes)
    if unknown:
        call.refuse(f"has the attribute {unknown[0][:60]!a}, which is not allowed")
    value = rule.result(call)
    name = f"the tensor {node.output[0][:60]!a} of a {call.operator}"
    if PATIENTS in value.shape[1:]:
        raise NetworkError(
            f"network: the first axis of {name} is not the patients, or they mix: {shown([value.shape])}."
        )
    if len(value.shape) > MAX_AXES or 0 in value.shape:
        raise NetworkError(f"network: {name} has an impossible shape, {shown([value.shape])}.")
    _cap(name, value.row, MAX_ROW if value.fed else MAX_CONSTANT)
    return value


def _cap(what: str, size: int, most: int) -> None:
    if size > most:
        raise NetworkError(f"network: {what} would hold {size} numbers, more than {most}.")


def _setting(attribute: AttributeProto) -> Attribute:
    from onnx import helper, numpy_helper

    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    if isinstance(value, (int, float)):
        return value
    return numpy_helper.to_array(value) if attribute.HasField("t") else cast("list[int]", list(value))
