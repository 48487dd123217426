"""Image layers: convolutions, resizing and instance normalisation, with patients and channels in front."""

from __future__ import annotations

import math
from typing import Final

from wardgan.seal.onnx_values import FLOATS, Call, Value

MAX_SCALE: Final = 64
MAX_SETTING: Final = 4_096
_MODES: Final = {
    "mode": {"nearest", "linear", "cubic"},
    "coordinate_transformation_mode": {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"},
    "nearest_mode": {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"},
}


def conv(call: Call) -> Value:
    """Gives the result of a convolution: floor((x + pads - dilation (k - 1) - 1) / stride) + 1 on each axis."""
    image, kernel, group = _operands(call)
    out, per_group = kernel.shape[:2]
    if per_group * group != image.shape[1] or out % group:
        call.refuse("has channels that do not fit together")
    _bias(call, image, out)
    sizes: list[int] = []
    for size, k, stride, dilation, pad in _axes(call, image, kernel):
        room = size + pad - dilation * (k - 1) - 1
        if room < 0:
            call.refuse("has a kernel larger than its image")
        sizes.append(room // stride + 1)
    return Value(image.kind, (image.shape[0], out, *sizes))


def conv_transpose(call: Call) -> Value:
    """Gives the result of a transposed convolution: stride (x - 1) + output_padding + dilation (k - 1) + 1 - pads."""
    image, kernel, group = _operands(call)
    into, per_group = kernel.shape[:2]
    if into != image.shape[1] or into % group:
        call.refuse("has channels that do not fit together")
    _bias(call, image, per_group * group)
    more = call.wholes("output_padding", [0] * (len(image.shape) - 2))
    sizes: list[int] = []
    for (size, k, stride, dilation, pad), add in zip(_axes(call, image, kernel), more, strict=True):
        if not 0 <= add < max(stride, dilation):
            call.refuse("has an output_padding that does not fit")
        sizes.append(stride * (size - 1) + add + dilation * (k - 1) + 1 - pad)
    if any(size < 1 for size in sizes):
        call.refuse("has nothing left")
    return Value(image.kind, (image.shape[0], per_group * group, *sizes))


def resize(call: Call) -> Value:
    """Gives the result of a resize by constant scales: floor(size * scale) on each axis."""
    image = call.value(0, frozenset({1}))
    scales = call.value(2, frozenset({1}))
    if call.has(1) or scales.numbers is None or scales.shape != (len(image.shape),):
        call.refuse("is not by constant scales, one for each axis")
    for name, allowed in _MODES.items():
        found = call.attributes.get(name)
        if found is not None and found not in allowed:
            call.refuse(f"has a {name} that is not allowed")
    factors = [float(factor) for factor in scales.numbers]
    if any(not 1 / MAX_SCALE <= factor <= MAX_SCALE for factor in factors) or (image.fed and factors[0] != 1):
        call.refuse(f"has scales beyond {MAX_SCALE}, or mixes patients")
    sizes = [
        size if factor == 1 else math.floor(size * factor) for size, factor in zip(image.shape, factors, strict=True)
    ]
    return Value(image.kind, tuple(sizes))


def instance_norm(call: Call) -> Value:
    """Gives the result of an instance normalisation: the shape of its image."""
    image = call.value(0, FLOATS)
    kind = frozenset({image.kind})
    if len(image.shape) < 3 or any(call.weights(at, kind).shape != image.shape[1:2] for at in (1, 2)):
        call.refuse("has operands that do not fit together")
    return Value(image.kind, image.shape)


def _operands(call: Call) -> tuple[Value, Value, int]:
    image, kernel = call.value(0, FLOATS), call.weights(1)
    rank, group = len(image.shape), call.whole("group", 1)
    if not 3 <= rank <= 5 or len(kernel.shape) != rank or kernel.kind != image.kind:
        call.refuse("has an image or a kernel with the wrong number of axes")
    if call.attributes.get("auto_pad", "NOTSET") != "NOTSET" or not 1 <= group <= MAX_SETTING:
        call.refuse("has an auto_pad or a group that is not allowed")
    if call.wholes("kernel_shape", kernel.shape[2:]) != list(kernel.shape[2:]):
        call.refuse("has a kernel_shape that is not its kernel's")
    return image, kernel, group


def _axes(call: Call, image: Value, kernel: Value) -> list[tuple[int, int, int, int, int]]:
    """Gives size, kernel, stride, dilation and sum of pads of each spatial axis."""
    count = len(image.shape) - 2
    strides, dilations = call.wholes("strides", [1] * count), call.wholes("dilations", [1] * count)
    pads = call.wholes("pads", [0] * (2 * count))
    if any(not 1 <= number <= MAX_SETTING for number in (*strides, *dilations)):
        call.refuse(f"has strides or dilations that are not from 1 to {MAX_SETTING}")
    if any(not 0 <= number <= MAX_SETTING for number in pads):
        call.refuse(f"has pads that are not from 0 to {MAX_SETTING}")
    both = [before + after for before, after in zip(pads[:count], pads[count:], strict=True)]
    return list(zip(image.shape[2:], kernel.shape[2:], strides, dilations, both, strict=True))


def _bias(call: Call, image: Value, channels: int) -> None:
    if call.has(2) and call.weights(2, frozenset({image.kind})).shape != (channels,):
        call.refuse("has a bias that does not fit")
