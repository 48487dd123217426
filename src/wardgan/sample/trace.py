"""A generator network read as a formula: what its numbers are made of, for one class.

The operators are those of ONNX (operator set 13 and later). What is not described here is not guessed at: the network
then counts as one about which nothing can be proved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.sample.forms import UNIT, Affine, Floats, Known, Later, Places, Value, broadcast

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, NodeProto

_NODES: Final = 128
_NUMBERS: Final = 1 << 25
_FLOATS: Final = (1, 11)
_WHOLES: Final = (6, 7)
Settings = Mapping[str, object]


class UnprovedError(Exception):
    """Nothing can be proved about the network; who asked for a proof goes on without one."""


@dataclass(frozen=True)
class Monotone:
    """An operator that rises or falls in each of its operands.

    Attributes:
        function: The operator on arrays.
        signs: For each operand 1 if it rises, -1 if it falls.
        slack: How far the engine's result may be off, beyond rounding.
        exact: Whether the result is not rounded.
    """

    function: Callable[..., NDArray[np.generic]]
    signs: tuple[int, ...]
    slack: float = 0.0
    exact: bool = False


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(0.5 * x))


# The slack of the approximations is several times the largest error that the engine was seen to make.
MONOTONE: Final[dict[str, Monotone]] = {
    "Add": Monotone(np.add, (1, 1)),
    "Sub": Monotone(np.subtract, (1, -1)),
    "Neg": Monotone(np.negative, (-1,), exact=True),
    "Floor": Monotone(np.floor, (1,), exact=True),
    "Ceil": Monotone(np.ceil, (1,), exact=True),
    "Clip": Monotone(lambda x, low, high: np.minimum(np.maximum(x, low), high), (1, 1, 1), exact=True),
    "Max": Monotone(np.maximum, (1, 1), exact=True),
    "Min": Monotone(np.minimum, (1, 1), exact=True),
    "Relu": Monotone(lambda x: np.maximum(x, 0), (1,), exact=True),
    "Greater": Monotone(np.greater, (1, -1), exact=True),
    "GreaterOrEqual": Monotone(np.greater_equal, (1, -1), exact=True),
    "Less": Monotone(np.less, (-1, 1), exact=True),
    "LessOrEqual": Monotone(np.less_equal, (-1, 1), exact=True),
    "Erf": Monotone(_erf, (1,), 2.5e-7),
    "Sigmoid": Monotone(_sigmoid, (1,), 1e-6),
    "Tanh": Monotone(np.tanh, (1,), 1.5e-6),
    "Truncate": Monotone(np.trunc, (1,), exact=True),
}


def traced(network: bytes, *, latent: int, label: int) -> Value:
    """Gives the units of a patient of one class as a formula, shape (1, variables).

    Args:
        network: ONNX bytes that keep the contract of `wardgan.sample.network`.
        latent: Number of latent normals.
        label: The class.

    Raises:
        UnprovedError: An operator is not described here, its operands do not fit, or the network is too large.
    """
    import onnx

    graph = onnx.load_from_string(network).graph
    if len(graph.node) > _NODES or latent * latent > _NUMBERS >> 2:
        raise UnprovedError
    try:
        with np.errstate(all="ignore"):
            return _followed(graph, latent, label)
    except (ArithmeticError, IndexError, KeyError, MemoryError, TypeError, ValueError) as error:
        raise UnprovedError from error


def _check_size(*lengths: int) -> None:
    """Refuses what would be too large, before any memory is taken for it: a foreign file may ask for terabytes."""
    if math.prod(lengths) > _NUMBERS:
        raise UnprovedError


def _followed(graph: GraphProto, latent: int, label: int) -> Value:
    from onnx import numpy_helper

    values: dict[str, Value] = {
        # Normals are rounded to single precision.
        "latent": Affine(np.zeros((1, latent)), np.eye(latent)[None], np.zeros((1, latent))).rounded(),
        "label": Known(np.array([label], dtype=np.int64)),
    }
    values |= {tensor.name: Known(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
    numbers = 0
    for node in graph.node:
        found = _result(node, [values[name] for name in node.input if name], latent)
        numbers += found.weights.size if isinstance(found, Affine) else math.prod(found.shape)
        if numbers > _NUMBERS:
            raise UnprovedError
        values[node.output[0]] = found
    return values["units"]


def _result(node: NodeProto, operands: list[Value], latent: int) -> Value:
    operator = node.op_type
    settings = {item.name: _setting(item) for item in node.attribute}
    if operator in _MOVED:
        return _taken(operands[0], _places(operator, operands, settings))
    if operator in _OTHERS:
        return _OTHERS[operator](operands, settings, latent)
    if len(node.input) != len(operands):
        raise UnprovedError
    return _elementwise(operator, operands, latent)


def _elementwise(operator: str, operands: list[Value], latent: int) -> Value:
    rule = MONOTONE.get(operator)
    if (rule is None and operator not in ("Mul", "Where")) or (rule is not None and len(rule.signs) != len(operands)):
        raise UnprovedError
    forms = any(isinstance(operand, Affine) for operand in operands)
    _check_size(*np.broadcast_shapes(*(operand.shape for operand in operands)), latent if forms else 1)
    known = [operand.array for operand in operands if isinstance(operand, Known)]
    if len(known) == len(operands) and (rule is None or not rule.slack):
        plain = {"Mul": np.multiply, "Where": np.where}.get(operator) or cast("Monotone", rule).function
        return Known(np.asarray(plain(*known)))
    plain = [operand for operand in operands if not isinstance(operand, Later)]
    if len(plain) == len(operands) and operator in ("Add", "Sub", "Neg", "Mul"):
        found = _affine(operator, plain, latent)
        if found is not None:
            return found
    shape, places = broadcast(operands)
    return Later(operator, tuple(operands), places, shape)


def _affine(operator: str, operands: Sequence[Known | Affine], latent: int) -> Affine | None:
    """Gives what stays an affine form of the normals; a product of two forms does not."""
    if operator == "Mul":
        form, factor = operands if isinstance(operands[1], Known) else operands[::-1]
        if not isinstance(factor, Known):
            return None
        shape = np.broadcast_shapes(form.shape, factor.shape)
        form, by = _spread(form, shape, latent), np.broadcast_to(factor.array.astype(np.float64), shape)
        return Affine(form.centre * by, form.weights * by[..., None], form.slack * np.abs(by)).rounded()
    shape = np.broadcast_shapes(*(operand.shape for operand in operands))
    forms = [_spread(operand, shape, latent) for operand in operands]
    signs = {"Add": (1, 1), "Sub": (1, -1), "Neg": (-1,)}[operator]
    return Affine(
        sum((sign * form.centre for sign, form in zip(signs, forms, strict=True)), np.zeros(shape)),
        sum((sign * form.weights for sign, form in zip(signs, forms, strict=True)), np.zeros((*shape, latent))),
        sum((form.slack for form in forms), np.zeros(shape)),
    ).rounded()


def _spread(value: Known | Affine, shape: tuple[int, ...], latent: int) -> Affine:
    form = Affine.of(value, latent)
    (_, (places, *_)) = broadcast([form, Known(np.zeros(shape))])
    return form.moved(places)


def _product(operands: list[Value], settings: Settings, latent: int) -> Value:
    """Gives `x W + b` for constant weights W; of anything but affine forms x nothing is known."""
    rows, weight, *more = operands
    if not isinstance(weight, Known) or len(weight.shape) != 2 or len(rows.shape) != 2 or settings.get("transA"):
        raise UnprovedError
    if settings.get("alpha", 1.0) != 1.0 or settings.get("beta", 1.0) != 1.0:
        raise UnprovedError
    _check_size(max(math.prod(rows.shape), *weight.shape), latent)
    matrix = weight.array.astype(np.float64)
    matrix = matrix.T if settings.get("transB") else matrix  # (inputs, outputs)
    shape = (1, matrix.shape[1])
    if isinstance(rows, Later):
        return Later("Free", (), (), shape)
    form, size = Affine.of(rows, latent), np.abs(matrix)
    # The error of a sum of n products is at most n roundings of the sum of their sizes; zeros are exact.
    roundings = UNIT * (1 + np.count_nonzero(matrix[form.size[0] > 0], axis=0))
    found = Affine(
        form.centre @ matrix,
        (matrix.T @ form.weights[0])[None],
        form.slack @ size + roundings * (form.size @ size),
    )
    for addend in more:
        return _elementwise("Add", [found, addend], latent)
    return found


def _cast(operands: list[Value], settings: Settings, latent: int) -> Value:
    (value,), to = operands, cast("int", settings["to"])
    if isinstance(value, Known):
        kinds = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}
        return Known(value.array.astype(kinds[to]))
    if to in _FLOATS:
        return value.rounded() if isinstance(value, Affine) else value
    if to not in _WHOLES:
        raise UnprovedError
    shape, places = broadcast([value])
    return Later("Truncate", (value,), places, shape)


def _concat(operands: list[Value], settings: Settings, latent: int) -> Value:
    axis = cast("int", settings["axis"])
    if all(isinstance(operand, Known) for operand in operands):
        return Known(np.concatenate([cast("Known", operand).array for operand in operands], axis=axis))
    _check_size(sum(math.prod(operand.shape) for operand in operands), latent)
    forms = [Affine.of(operand, latent) for operand in operands if not isinstance(operand, Later)]
    at = axis % len(operands[0].shape)
    if len(forms) == len(operands):
        parts = ([form.centre for form in forms], [form.weights for form in forms], [form.slack for form in forms])
        return Affine(*(np.concatenate(part, axis=at) for part in parts))
    which = [np.full(operand.shape, number) for number, operand in enumerate(operands)]
    place = [np.arange(math.prod(operand.shape)).reshape(operand.shape) for operand in operands]
    joined = np.concatenate(which, axis=at), np.concatenate(place, axis=at)
    return Later("Concat", tuple(operands), joined, joined[0].shape)


def _looked_up(operands: list[Value], settings: Settings, latent: int) -> Value:
    table, row = operands
    if not isinstance(table, Known) or len(table.shape) != 2 or settings.get("axis", 0) or len(row.shape) != 2:
        raise UnprovedError
    shape, places = broadcast([row])
    return Later("GatherElements", (table, row), (np.broadcast_to(np.arange(shape[1]), shape), *places), shape)


def _taken(value: Value, places: Places) -> Value:
    _check_size(*places.shape, value.weights.shape[-1] if isinstance(value, Affine) else 1)
    if isinstance(value, Known):
        return Known(value.array.ravel()[places])
    return value.moved(places) if isinstance(value, Affine) else Later("Identity", (value,), (places,), places.shape)


def _places(operator: str, operands: list[Value], settings: Settings) -> Places:
    """Gives which number of the first operand stands where in the result: the operator, done to positions."""
    positions = np.arange(math.prod(operands[0].shape)).reshape(operands[0].shape)
    given = [operand.array for operand in operands[1:] if isinstance(operand, Known)]
    if len(given) < len(operands) - 1:
        raise UnprovedError
    return _MOVED[operator](positions, given, settings)


def _reshaped(positions: Places, given: list[NDArray[np.generic]], settings: Settings) -> Places:
    if settings.get("allowzero"):
        raise UnprovedError
    wanted = [positions.shape[at] if size == 0 else int(size) for at, size in enumerate(given[0].tolist())]
    return positions.reshape(wanted)


def _sliced(positions: Places, given: list[NDArray[np.generic]], settings: Settings) -> Places:
    starts, ends, *more = (array.tolist() for array in given)
    axes = more[0] if more else range(len(starts))
    steps = more[1] if len(more) > 1 else [1] * len(starts)
    cut = [slice(None)] * positions.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = slice(start, end, step)
    return positions[tuple(cut)]


def _gathered(positions: Places, given: list[NDArray[np.generic]], settings: Settings) -> Places:
    axis = cast("int", settings.get("axis", 0))
    _check_size(positions.size // positions.shape[axis], given[0].size)
    return np.take(positions, given[0].astype(np.intp), axis=axis)


_MOVED: Final[dict[str, Callable[[Places, list[NDArray[np.generic]], Settings], Places]]] = {
    "Identity": lambda positions, given, settings: positions,
    "Reshape": _reshaped,
    "Slice": _sliced,
    "Unsqueeze": lambda positions, given, settings: np.expand_dims(positions, tuple(given[0].ravel().tolist())),
    "Squeeze": lambda positions, given, settings: np.squeeze(positions, tuple(given[0].ravel().tolist())),
    "Flatten": lambda positions, given, settings: positions.reshape(
        math.prod(positions.shape[: cast("int", settings.get("axis", 1))]), -1
    ),
    "Transpose": lambda positions, given, settings: positions.transpose(
        cast("Sequence[int]", settings.get("perm", range(positions.ndim)[::-1]))
    ),
    "Gather": _gathered,
    "Expand": lambda positions, given, settings: np.broadcast_to(
        positions, np.broadcast_shapes(positions.shape, tuple(given[0].tolist()))
    ),
}


_OTHERS: Final[dict[str, Callable[[list[Value], Settings, int], Value]]] = {
    "Cast": _cast,
    "Concat": _concat,
    "Gemm": _product,
    "GatherElements": _looked_up,
    "MatMul": _product,
}


def _setting(attribute: AttributeProto) -> object:
    from onnx import helper, numpy_helper

    value = helper.get_attribute_value(attribute)
    return numpy_helper.to_array(value) if attribute.HasField("t") else value
