"""How much memory and arithmetic a network needs: known before it runs, and proportional to the number of patients.

The shape of every tensor is derived here, from our own rules for each operator and with the number of patients
left open. (ONNX's own inference is not used: written for friendly files, it reads beyond its memory on some hostile
ones.) The patients may only be the first axis, so memory is proportional to them, whatever their number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from wardgan.errors import NetworkError
from wardgan.seal.onnx_rules import RULES, constant
from wardgan.seal.onnx_values import PATIENTS, TYPES, Attribute, Call, Value, shown

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, NodeProto

# Bytes. The sampler runs 2,048 patients at once: 512 MiB for one tensor, 2 GiB for all of them.
MAX_ROW: Final = 1 << 18
MAX_ROW_TOTAL: Final = 1 << 20
MAX_CONSTANT: Final = 1 << 29
MAX_COLUMNS: Final = 1 << 26
# Multiplications with addition: about 1 GFLOP for one patient, and as much again for what is the same for all.
MAX_WORK: Final = 1 << 29
MAX_AXES: Final = 8


@dataclass(frozen=True)
class Limits:
    """What one patient, or one image, may take.

    Attributes:
        row: Bytes of one tensor.
        total: Bytes of all tensors.
        work: Multiplications.
    """

    row: int
    total: int
    work: int


PATIENT: Final = Limits(MAX_ROW, MAX_ROW_TOTAL, MAX_WORK)
# The sampler runs 16 images at once, so all tensors take 2 GiB here, too: 256 x 256 pixels with 64 channels.
IMAGE: Final = Limits(1 << 24, 1 << 27, 1 << 34)


def check_shapes(graph: GraphProto, *, latent: int, variables: int, classes: int, limits: Limits = PATIENT) -> int:
    """Gives the memory that a network takes for one patient, in bytes.

    Args:
        graph: A graph whose names are in order.
        latent: Length of the latent vector.
        variables: Number of variables.
        classes: Number of label classes.
        limits: What one patient or image may take.

    Raises:
        NetworkError: Shapes do not fit, or memory or arithmetic are too much or not proportional to the patients;
            names the operator or the tensor.
    """
    values = infer(graph, latent=latent, limits=limits)
    made = [values[node.output[0]] for node in graph.node]
    row = values["latent"].bytes + sum(value.bytes for value in made if value.fed)
    _cap("all tensors of one patient", row, limits.total)
    _cap("all constants", sum(value.bytes for value in made if not value.fed), MAX_CONSTANT)
    _check_work(graph, values, limits)
    _check_columns(graph, values)
    units = values["units"]
    if (units.kind, units.shape) != (1, (PATIENTS, variables)):
        found = f"{TYPES[units.kind].name} {shown([units.shape])}"
        raise NetworkError(f"network: units is {found}, not {variables} float32 variables for each patient.")
    for node in graph.node:
        if node.op_type == "Gather" and node.input[1] == "label" and values[node.input[0]].shape[0] != classes:
            raise NetworkError(f"network: the label's table does not have one row for each of {classes} classes.")
    return row


def infer(graph: GraphProto, *, latent: int, limits: Limits = PATIENT) -> dict[str, Value]:
    """Gives what is known of every tensor of a graph.

    Args:
        graph: A graph whose names are in order.
        latent: Length of the latent vector.
        limits: What one patient or image may take.

    Raises:
        NetworkError: An operator is used in a way that is not described in the rules.
    """
    from onnx import numpy_helper

    values = {"latent": Value(1, (PATIENTS, latent)), "label": Value(7, (PATIENTS,))}
    _cap("the latent vector", values["latent"].bytes, limits.row)
    for tensor in graph.initializer:
        values[tensor.name] = constant(numpy_helper.to_array(tensor))
    for node in graph.node:
        inputs = tuple(values[name] if name else None for name in node.input)
        call = Call(node.op_type, inputs, {item.name: _setting(item) for item in node.attribute})
        values[node.output[0]] = _result(call, node, limits)
    return values


def _result(call: Call, node: NodeProto, limits: Limits) -> Value:
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
    _cap(name, value.bytes, limits.row if value.fed else MAX_CONSTANT)
    return value


def _cap(what: str, size: int, most: int) -> None:
    if size > most:
        raise NetworkError(f"network: {what} would hold {size} bytes, more than {most}.")


def _check_columns(graph: GraphProto, values: Mapping[str, Value]) -> None:
    """Refuses transposed convolutions whose columns would fill the memory: the engine writes all of them down.

    For one image these are the kernel's outputs at each place of the input, whatever is cut off afterwards.
    """
    for node in graph.node:
        if node.op_type == "ConvTranspose":
            image, kernel = values[node.input[0]], values[node.input[1]]
            size = math.prod(kernel.shape[1:]) * math.prod(image.shape[2:]) * TYPES[kernel.kind].itemsize
            _cap(f"the columns of {node.output[0][:60]!a}", size, MAX_COLUMNS)


def _check_work(graph: GraphProto, values: Mapping[str, Value], limits: Limits) -> None:
    """Refuses a network that would take forever: 4,096 small nodes can ask for 10^15 multiplications."""
    total = {True: 0, False: 0}
    for node in graph.node:
        made = values[node.output[0]]
        total[made.fed] += work(node.op_type, [values[name] for name in node.input if name], made)
    for fed, what in ((True, "one patient"), (False, "its constants")):
        if total[fed] > (most := limits.work if fed else MAX_WORK):
            raise NetworkError(f"network: {total[fed]} multiplications for {what} are more than {most}.")


def work(operator: str, operands: Sequence[Value], made: Value) -> int:
    """Gives how many multiplications an operator takes, for one patient if its result is fed.

    What is no product is counted as if each operand were as long as the longest of them, or as the result.

    Args:
        operator: Its name.
        operands: What it reads.
        made: What it gives.

    Example:
        >>> work("MatMul", [Value(1, (PATIENTS, 100)), Value(1, (100, 7))], Value(1, (PATIENTS, 7)))
        700
    """
    if operator == "MatMul":
        return made.row * operands[0].shape[-1]
    if operator == "Gemm":
        return made.row * (operands[0].row if made.fed else operands[0].row // made.shape[0])
    if operator == "Conv":
        return made.row * math.prod(operands[1].shape[1:])
    if operator == "ConvTranspose":
        return operands[0].row * math.prod(operands[1].shape[1:])
    # Of a table that is the same for all patients, one patient reads no more than goes into the result.
    longest = max(value.row for value in (*operands, made) if value.fed == made.fed)
    return max(len(operands), 1) * longest


def _setting(attribute: AttributeProto) -> Attribute:
    from onnx import helper, numpy_helper

    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    if isinstance(value, (int, float)):
        return value
    return numpy_helper.to_array(value) if attribute.HasField("t") else cast("list[int]", list(value))
