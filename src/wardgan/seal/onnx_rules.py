"""What each allowed operator makes of its operands: type and shape, after the ONNX operator specification.

An operator, a setting or a combination that is not described here is refused. No rule lets the patients leave the
first axis, and none lets one patient's numbers decide a shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from wardgan.seal.onnx_layers import conv, conv_transpose, instance_norm, resize
from wardgan.seal.onnx_values import BOOL, FLOATS, NUMBERS, PATIENTS, TYPES, WHOLES, Call, Value

MAX_VARIADIC: Final = 4_096
_ANY: Final = NUMBERS | {BOOL}
_BOOLS: Final = frozenset({BOOL})


@dataclass(frozen=True)
class Rule:
    """What an operator may look like, and what it gives.

    Attributes:
        least: Fewest operands.
        most: Most operands.
        result: Gives the output of a call.
        attributes: Allowed settings.
    """

    least: int
    most: int
    result: Callable[[Call], Value]
    attributes: frozenset[str] = frozenset()


def _elementwise(kinds: frozenset[int], gives: int | None = None) -> Callable[[Call], Value]:
    def result(call: Call) -> Value:
        values = [call.value(at, kinds) for at in range(len(call.inputs))]
        if len({value.kind for value in values}) > 1:
            call.refuse("has operands of different data types")
        return Value(values[0].kind if gives is None else gives, call.broadcast([value.shape for value in values]))

    return result


def _cast(call: Call) -> Value:
    to = call.whole("to", 0)
    if to not in TYPES:
        call.refuse("gives a data type that is not allowed")
    return Value(to, call.value(0).shape)


def _clip(call: Call) -> Value:
    value = call.value(0, NUMBERS)
    for at in (1, 2):
        if call.has(at) and (call.weights(at, frozenset({value.kind})).shape != ()):
            call.refuse("has a bound that is no single number")
    return _like(value)


def _softmax(call: Call) -> Value:
    value = call.value(0, FLOATS)
    if call.axis(call.whole("axis", -1), len(value.shape)) == 0 and value.fed:
        call.refuse("mixes patients")
    return _like(value)


def _where(call: Call) -> Value:
    choice, one, other = call.value(0, _BOOLS), call.value(1), call.value(2)
    if one.kind != other.kind:
        call.refuse("has operands of different data types")
    return Value(one.kind, call.broadcast([choice.shape, one.shape, other.shape]))


def _matmul(call: Call) -> Value:
    left, right = call.value(0, FLOATS), call.value(1, FLOATS)
    a, b = left.shape, right.shape
    if left.kind != right.kind or len(a) < 2 or len(b) < 2 or a[-1] != b[-2] or PATIENTS in (a[-1], b[-2]):
        call.refuse("has operands that do not fit together")
    return Value(left.kind, (*call.broadcast([a[:-2], b[:-2]]), a[-2], b[-1]))


def _gemm(call: Call) -> Value:
    left, right = call.value(0, FLOATS), call.weights(1)
    if len(left.shape) != 2 or len(right.shape) != 2 or left.kind != right.kind:
        call.refuse("has operands that are no matrices")
    a = left.shape[::-1] if call.flag("transA", default=False) else left.shape
    b = right.shape[::-1] if call.flag("transB", default=False) else right.shape
    if a[1] != b[0] or a[1] == PATIENTS:
        call.refuse("has operands that do not fit together")
    shape = (a[0], b[1])
    if call.has(2) and call.broadcast([shape, call.value(2, frozenset({left.kind})).shape]) != shape:
        call.refuse("has an addend that does not fit")
    return Value(left.kind, shape)


def _gather(call: Call) -> Value:
    data, index = call.value(0), call.value(1, WHOLES)
    axis = call.axis(call.whole("axis", 0), len(data.shape))
    if axis == 0 and data.fed:
        call.refuse("mixes patients")
    return Value(data.kind, data.shape[:axis] + index.shape + data.shape[axis + 1 :])


def _gather_elements(call: Call) -> Value:
    data, index = call.value(0), call.value(1, WHOLES)
    axis = call.axis(call.whole("axis", 0), len(data.shape))
    rest = [(one, other) for at, (one, other) in enumerate(zip(data.shape, index.shape, strict=False)) if at != axis]
    if len(data.shape) != len(index.shape) or any(one != other for one, other in rest) or (axis == 0 and data.fed):
        call.refuse("has operands that do not fit together")
    return Value(data.kind, index.shape)


def _gather_nd(call: Call) -> Value:
    data, index = call.value(0), call.value(1, frozenset({7}))
    batch = call.whole("batch_dims", 0)
    if not index.shape or not 0 <= batch < min(len(data.shape), len(index.shape)):
        call.refuse(f"has batch_dims={batch} that do not fit")
    depth = index.shape[-1]
    if not 1 <= depth <= len(data.shape) - batch or data.shape[:batch] != index.shape[:batch]:
        call.refuse("has operands that do not fit together")
    if data.fed and batch == 0:
        call.refuse("mixes patients")
    return Value(data.kind, index.shape[:-1] + data.shape[batch + depth :])


def _concat(call: Call) -> Value:
    values = [call.value(at) for at in range(len(call.inputs))]
    first = values[0]
    axis = call.axis(call.whole("axis", 0), len(first.shape))
    rests = {value.shape[:axis] + value.shape[axis + 1 :] for value in values}
    if len(rests) > 1 or any(len(value.shape) != len(first.shape) or value.kind != first.kind for value in values):
        call.refuse("has operands that do not fit together")
    if axis == 0 and any(value.fed for value in values):
        call.refuse("mixes patients")
    return Value(
        first.kind, (*first.shape[:axis], sum(value.shape[axis] for value in values), *first.shape[axis + 1 :])
    )


def _reshape(call: Call) -> Value:
    value, wanted = call.value(0), call.numbers(1)
    if call.flag("allowzero", default=False) or wanted.count(-1) > 1 or any(size < -1 for size in wanted):
        call.refuse("has a malformed shape")
    if any(size == 0 and at >= len(value.shape) for at, size in enumerate(wanted)):
        call.refuse("copies an axis that is not there")
    kept = wanted[:1] == [0] and value.fed
    found = [value.shape[at] if size == 0 else size for at, size in enumerate(wanted)]
    rest = math.prod(size for at, size in enumerate(_sizes(found, wanted)) if not (kept and at == 0))
    if -1 in wanted:
        # The open axis takes the patients, unless they were copied; either way it must come out whole.
        open_at = wanted.index(-1)
        takes_patients = value.fed and not kept
        if value.row % rest or (takes_patients and value.row != rest):
            call.refuse("does not keep a row for each patient")
        found[open_at] = PATIENTS if takes_patients else value.row // rest
    elif rest != value.row or (value.fed and not kept):
        call.refuse("does not keep a row for each patient, or the number of entries")
    return Value(value.kind, tuple(found))


def _sizes(found: list[int], wanted: list[int]) -> list[int]:
    return [1 if size == -1 else known for known, size in zip(found, wanted, strict=True)]


def _expand(call: Call) -> Value:
    value, wanted = call.value(0), call.numbers(1)
    if any(size < 1 for size in wanted):
        call.refuse("has a malformed shape")
    return Value(value.kind, call.broadcast([value.shape, tuple(wanted)]))


def _transpose(call: Call) -> Value:
    value = call.value(0)
    rank = len(value.shape)
    order = call.axes(call.wholes("perm", range(rank)[::-1]), rank)
    return Value(value.kind, tuple(value.shape[at] for at in order))


def _slice(call: Call) -> Value:
    value, starts, ends = call.value(0), call.numbers(1), call.numbers(2)
    axes = call.axes(call.numbers(3) if call.has(3) else range(len(starts)), len(value.shape))
    steps = call.numbers(4) if call.has(4) else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or any(step < 1 for step in steps):
        call.refuse("has malformed positions")
    if 0 in axes and value.fed:
        call.refuse("mixes patients")
    shape = list(value.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        shape[axis] = len(range(*slice(start, end, step).indices(shape[axis])))
    return Value(value.kind, tuple(shape))


def _squeeze(call: Call) -> Value:
    value = call.value(0)
    axes = call.axes(call.numbers(1), len(value.shape))
    if any(value.shape[at] != 1 for at in axes):
        call.refuse("removes an axis that is longer than 1")
    return Value(value.kind, tuple(size for at, size in enumerate(value.shape) if at not in axes))


def _unsqueeze(call: Call) -> Value:
    value, added = call.value(0), call.numbers(1)
    axes = call.axes(added, len(value.shape) + len(added))
    rest = iter(value.shape)
    return Value(value.kind, tuple(1 if at in axes else next(rest) for at in range(len(value.shape) + len(axes))))


def _flatten(call: Call) -> Value:
    value = call.value(0)
    rank, axis = len(value.shape), call.whole("axis", 1)
    if not -rank <= axis <= rank:
        call.refuse(f"has the axis {axis} of {rank}")
    at = axis % rank if axis < 0 else axis
    if not value.fed:
        return Value(value.kind, (math.prod(value.shape[:at]), math.prod(value.shape[at:])))
    if at == 0 or math.prod(value.shape[1:at]) != 1:
        call.refuse("does not keep a row for each patient")
    return Value(value.kind, (PATIENTS, math.prod(value.shape[at:])))


def _reduce(call: Call) -> Value:
    value = call.value(0, NUMBERS)
    given = call.attributes.get("axes")
    numbers = given if isinstance(given, list) else call.numbers(1) if call.has(1) else []
    if not numbers or call.flag("noop_with_empty_axes", default=False):
        call.refuse("does not say which axes")
    return _reduced(call, value, call.axes([int(number) for number in numbers], len(value.shape)), value.kind)


def _argmax(call: Call) -> Value:
    value = call.value(0, NUMBERS)
    call.flag("select_last_index", default=False)
    return _reduced(call, value, [call.axis(call.whole("axis", 0), len(value.shape))], 7)


def _reduced(call: Call, value: Value, axes: list[int], kind: int) -> Value:
    if 0 in axes and value.fed:
        call.refuse("mixes patients")
    keep = call.flag("keepdims", default=True)
    sizes = ((1 if at in axes else size, at in axes) for at, size in enumerate(value.shape))
    return Value(kind, tuple(size for size, gone in sizes if keep or not gone))


def _constant(call: Call) -> Value:
    (name, value), *more = call.attributes.items() or [("", 0)]
    kinds = {"value_float": "<f4", "value_floats": "<f4", "value_int": "<i8", "value_ints": "<i8"}
    if more or not (name == "value" or name in kinds):
        call.refuse("has not exactly one value")
    array = value if isinstance(value, np.ndarray) else np.asarray(value, dtype=kinds.get(name))
    return constant(array)


def _constant_of_shape(call: Call) -> Value:
    shape = tuple(call.numbers(0))
    value = call.attributes.get("value", np.zeros(1, dtype="<f4"))
    if any(size < 1 for size in shape) or not isinstance(value, np.ndarray) or value.shape != (1,):
        call.refuse("has a malformed shape or value")
    return Value(constant(value).kind, shape)


def constant(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Value:
    """Gives what is known of an array that is written in the file."""
    kind = next(number for number, dtype in TYPES.items() if dtype == array.dtype)
    return Value(kind, array.shape, array if array.size <= 16 else None)


def _like(value: Value) -> Value:
    """Gives a value of the same type and shape, whose numbers are not known."""
    return Value(value.kind, value.shape)


def _rules(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_AXES: Final = frozenset({"axes", "keepdims", "noop_with_empty_axes"})
_CONV: Final = frozenset({"dilations", "group", "kernel_shape", "pads", "strides", "auto_pad"})
_CONSTANT: Final = frozenset({"value", "value_float", "value_floats", "value_int", "value_ints"})
_RESIZE: Final = frozenset({"coordinate_transformation_mode", "cubic_coeff_a", "mode", "nearest_mode"})

RULES: Final[dict[str, Rule]] = {
    **_rules("Ceil Erf Exp Floor Log Relu Round Sigmoid Softplus Sqrt Tanh", Rule(1, 1, _elementwise(FLOATS))),
    **_rules("Abs Neg", Rule(1, 1, _elementwise(NUMBERS))),
    **_rules("Identity", Rule(1, 1, _elementwise(_ANY))),
    # Whole numbers are never divided: a processor stops the process at x / 0, and at the smallest number / -1.
    **_rules("Div Pow", Rule(2, 2, _elementwise(FLOATS))),
    **_rules("Add Mul Sub", Rule(2, 2, _elementwise(NUMBERS))),
    **_rules("Max Min", Rule(1, MAX_VARIADIC, _elementwise(NUMBERS))),
    **_rules("Greater GreaterOrEqual Less LessOrEqual", Rule(2, 2, _elementwise(NUMBERS, BOOL))),
    **_rules("Equal", Rule(2, 2, _elementwise(_ANY, BOOL))),
    **_rules("And Or", Rule(2, 2, _elementwise(_BOOLS))),
    **_rules("Not", Rule(1, 1, _elementwise(_BOOLS))),
    **_rules("ReduceMax ReduceMean ReduceSum", Rule(1, 2, _reduce, _AXES)),
    "LeakyRelu": Rule(1, 1, _elementwise(FLOATS), frozenset({"alpha"})),
    "ArgMax": Rule(1, 1, _argmax, frozenset({"axis", "keepdims", "select_last_index"})),
    "Cast": Rule(1, 1, _cast, frozenset({"to"})),
    "Clip": Rule(1, 3, _clip),
    "Concat": Rule(1, MAX_VARIADIC, _concat, frozenset({"axis"})),
    "Constant": Rule(0, 0, _constant, _CONSTANT),
    "ConstantOfShape": Rule(1, 1, _constant_of_shape, frozenset({"value"})),
    "Conv": Rule(2, 3, conv, _CONV),
    "ConvTranspose": Rule(2, 3, conv_transpose, _CONV | {"output_padding"}),
    "Expand": Rule(2, 2, _expand),
    "Flatten": Rule(1, 1, _flatten, frozenset({"axis"})),
    "Gather": Rule(2, 2, _gather, frozenset({"axis"})),
    "GatherElements": Rule(2, 2, _gather_elements, frozenset({"axis"})),
    "GatherND": Rule(2, 2, _gather_nd, frozenset({"batch_dims"})),
    "Gemm": Rule(2, 3, _gemm, frozenset({"alpha", "beta", "transA", "transB"})),
    "InstanceNormalization": Rule(3, 3, instance_norm, frozenset({"epsilon"})),
    "MatMul": Rule(2, 2, _matmul),
    "Reshape": Rule(2, 2, _reshape, frozenset({"allowzero"})),
    "Resize": Rule(3, 3, resize, _RESIZE),
    "Slice": Rule(3, 5, _slice),
    "Softmax": Rule(1, 1, _softmax, frozenset({"axis"})),
    "Squeeze": Rule(2, 2, _squeeze),
    "Transpose": Rule(1, 1, _transpose, frozenset({"perm"})),
    "Unsqueeze": Rule(2, 2, _unsqueeze),
    "Where": Rule(3, 3, _where),
}
