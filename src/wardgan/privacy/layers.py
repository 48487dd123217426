"""Which networks can be trained privately, and the gradient of each patient in one layer.

A patient's gradient in a layer is known from two arrays that one ordinary pass leaves behind: what went into
the layer, `a`, and the derivative of the loss with respect to what came out, `g`. It is the product `g aᵀ`,
summed over positions, so its length follows without ever writing the gradients of all patients down
(Goodfellow 2015, "Efficient per-example gradient computations"; Bu et al. 2023, "Differentially private
optimization on large model at small cost", section 3: the "book-keeping" algorithm).

Names of axes: `records` (rows of the batch), `positions` (places where the layer is applied: 1 for a plain
linear layer, pixels of the output for a convolution), `inputs` (numbers that enter at one position),
`outputs` (numbers that leave at one position).
"""

# torch annotates a part of its functions only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
from typing import Final, TypeAlias

import torch
from torch import Tensor, nn

from wardgan.errors import PlanError

Layer: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d

_LAYERS: Final = (nn.Linear, nn.Conv1d, nn.Conv2d)
_CONTAINERS: Final = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)
_PER_RECORD: Final = frozenset(
    {
        *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
        *(nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Sigmoid, nn.LogSigmoid, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid),
        *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Flatten, nn.Unflatten, nn.Identity),
        *(nn.AvgPool1d, nn.AvgPool2d, nn.MaxPool1d, nn.MaxPool2d, nn.Upsample),
    }
)

# Largest number of values that are written down at once for a block of records: 4 MiB of float32.
_BLOCK: Final = 1 << 20

# Sums over positions can cancel, and rounding then shows a short gradient where there is a longer one. So a share
# of the greatest length that `a` and `g` allow is always added: it is far above what rounding can hide, far below
# what changes a fit. In units of the machine precision, of the length and (for `_gram`) of the squared length.
_ROUNDING: Final = 8
_GRAM_ROUNDING: Final = 4


def private_layers(module: nn.Module) -> dict[str, Layer]:
    """Gives the layers that learn, by name, after a check that all of the network can be trained privately.

    Args:
        module: The network. Allowed are `Linear`, `Conv1d` and `Conv2d`, layers without parameters that treat
            each record alone (activations, dropout, reshaping, pooling), and modules built of these.

    Raises:
        PlanError: Names the first layer that mixes records, is not known, shares its weights or is frozen.

    Example:
        >>> list(private_layers(nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))))
        ['0', '2']
        >>> private_layers(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)))
        Traceback (most recent call last):
        wardgan.errors.PlanError: layer '1' (BatchNorm1d) cannot be trained privately: it is not one of Linear, \
Conv1d, Conv2d and the layers without parameters that treat each record alone. Leave it out.
    """
    layers: dict[str, Layer] = {}
    for name, child in module.named_modules():
        if type(child) in _LAYERS:
            _check_layer(name, child)
            layers[name] = child  # pyright: ignore[reportArgumentType]
        else:
            _check_container(name, child)
    if not layers:
        raise PlanError("module has no Linear, Conv1d or Conv2d layer: there is nothing to learn.")
    parameters = [parameter for layer in layers.values() for parameter in layer.parameters()]
    if len({id(parameter) for parameter in parameters}) != len(parameters):
        raise PlanError("module uses the same parameter in two layers. Give each layer its own.")
    return layers


def _check_layer(name: str, layer: nn.Module) -> None:
    # Hooks and parametrizations (weight norm, spectral norm) change what the layer computes behind its name.
    own = {key for key, _ in layer.named_parameters()} <= {"weight", "bias"} and not list(layer.buffers())
    if not own or any(vars(layer).get(key) for key in ("_forward_hooks", "_forward_pre_hooks", "forward")):
        raise PlanError(f"layer {name!r} ({type(layer).__name__}) has hooks or parameters of its own. Use a plain one.")
    if not all(parameter.requires_grad for parameter in layer.parameters()):
        raise PlanError(f"layer {name!r} is frozen. Leave frozen layers out of the module that is trained privately.")
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        plain = layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
        if not plain:
            raise PlanError(f"layer {name!r} must have groups=1, padding_mode='zeros' and its padding as numbers.")


def _check_container(name: str, module: nn.Module) -> None:
    if type(module) in _PER_RECORD:
        if getattr(module, "inplace", False):
            raise PlanError(f"layer {name!r} ({type(module).__name__}) overwrites its input. Use inplace=False.")
        return
    ancestors = [kind for kind in type(module).__mro__ if kind.__module__.startswith("torch.")]
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    if own or any(kind not in _CONTAINERS for kind in ancestors):
        raise PlanError(
            f"layer {name!r} ({type(module).__name__}) cannot be trained privately: it is not one of Linear, Conv1d, "
            f"Conv2d and the layers without parameters that treat each record alone. Leave it out."
        )


def squared_norms(layer: Layer, a: Tensor, g: Tensor) -> Tensor:
    """Gives the squared length of the layer's gradient for each record; never less, at most a rounding more.

    Args:
        layer: The layer.
        a: What went in; `Linear`: (records, inputs) or (records, positions, inputs); convolution: (records,
            channels, length) or (records, channels, height, width).
        g: Derivative of the record's loss with respect to what came out, shaped as the output.

    Returns:
        Tensor of shape (records,), in float64.

    Source:
        Goodfellow 2015, section 2, for one position: `|a|² |g|²`. For several positions the cheaper of `|g aᵀ|²`
        and `Σ aᵀa ∘ gᵀg` (Bu, Mao, Xu 2022, "Scalable and efficient training of large convolutional neural
        networks with differential privacy", equation 4). The bias is the weight of one more input that is 1.
    """
    greatest = _greatest(layer, a, g)
    if a.ndim == 2 or not len(a):
        return greatest
    outputs, inputs = layer.weight.shape[0], layer.weight[0].numel()
    positions = g[0].numel() // outputs
    epsilon = torch.finfo(g.dtype).eps
    # The second way takes longer for each operation, as its matrices are small.
    if 2 * positions * (inputs + outputs) < inputs * outputs:
        size, norms, rounding = positions * (inputs + positions), _norms_by_gram, _GRAM_ROUNDING * epsilon
    else:
        size, norms, rounding = inputs * (positions + outputs), _norms_by_products, (_ROUNDING * epsilon) ** 2
    blocks = a.split(max(1, _BLOCK // size)), g.split(max(1, _BLOCK // size))
    return torch.cat([norms(layer, x, y) for x, y in zip(*blocks, strict=True)]) + rounding * greatest


def squared_norms_of_patients(layer: Layer, a: Tensor, g: Tensor, patients: Tensor, count: int) -> Tensor:
    """Gives the squared length of the layer's gradient for each patient, all records of a patient summed first.

    The gradients of a block of patients are written down, so this is slow.

    Args:
        layer: The layer.
        a: As in `squared_norms`.
        g: As in `squared_norms`.
        patients: Whose record it is, whole numbers in [0, count), shape (records,).
        count: Number of patients.

    Returns:
        Tensor of shape (count,), in float64.
    """
    outputs, inputs = layer.weight.shape[0], layer.weight[0].numel()
    block = max(1, _BLOCK // (outputs * inputs))
    greatest = g.new_zeros(count, dtype=torch.float64).index_add_(0, patients, _greatest(layer, a, g).sqrt()).square()
    norms = greatest * (_ROUNDING * torch.finfo(g.dtype).eps) ** 2
    for start in range(0, count, block):
        rows = ((patients >= start) & (patients < start + block)).nonzero().flatten()
        products = _products(layer, a[rows], g[rows])  # (records, outputs, inputs + 1)
        sums = products.new_zeros(min(block, count - start), *products.shape[1:])
        norms[start : start + block] += _squares_by_rows(sums.index_add_(0, patients[rows] - start, products))
    return norms


def summed_gradients(layer: Layer, a: Tensor, g: Tensor, factors: Tensor) -> list[Tensor]:
    """Gives the gradient of the layer, summed over records times their factors: `[weight]` or `[weight, bias]`.

    Args:
        layer: The layer.
        a: As in `squared_norms`.
        g: As in `squared_norms`.
        factors: One for each record, in the type of `g`, shape (records,).
    """
    bias = [] if layer.bias is None else [factors @ (g if g.ndim == 2 else _leaving(layer, g).sum(2))]
    # A factor belongs to the product, so the smaller side is scaled.
    if a.numel() < g.numel():
        a = a * factors.view(-1, *[1] * (a.ndim - 1))
    else:
        g = g * factors.view(-1, *[1] * (g.ndim - 1))
    if isinstance(layer, nn.Linear):
        return [g.flatten(0, -2).t() @ a.flatten(0, -2), *bias]
    pads, nothing = list(layer.padding), [0] * len(layer.padding)
    backward, only = torch.ops.aten.convolution_backward, (False, True, False)
    weight = layer.weight.detach()
    return [backward(g, a, weight, None, layer.stride, pads, layer.dilation, False, nothing, 1, only)[1], *bias]


def _norms_by_products(layer: Layer, a: Tensor, g: Tensor) -> Tensor:
    return _squares_by_rows(_products(layer, a, g))


def _norms_by_gram(layer: Layer, a: Tensor, g: Tensor) -> Tensor:
    x, y = _entering(layer, a, g), _leaving(layer, g)
    inputs = torch.bmm(x, x.transpose(1, 2)) + (layer.bias is not None)  # (records, positions, positions)
    outputs = torch.bmm(y.transpose(1, 2), y)  # (records, positions, positions)
    return (inputs * outputs).sum((1, 2)).double().clamp(min=0)


def _products(layer: Layer, a: Tensor, g: Tensor) -> Tensor:
    """Gives each record's gradient, inputs in any order, the bias last: (records, outputs, inputs or inputs + 1)."""
    return torch.bmm(_leaving(layer, g), _entering(layer, a, g, ones=layer.bias is not None))


def _greatest(layer: Layer, a: Tensor, g: Tensor) -> Tensor:
    # Cauchy-Schwarz on what enters and leaves; a kernel sees the same number at `seen` positions at most.
    seen, positions = 1, g[0].numel() // layer.weight.shape[0] if len(g) else 0
    if not isinstance(layer, nn.Linear):
        for size, stride, dilation in zip(layer.kernel_size, layer.stride, layer.dilation, strict=True):
            seen *= math.ceil(size * math.gcd(stride, dilation) / stride)
    return (seen * _squares(a) + positions * (layer.bias is not None)) * _squares(g)


def _squares(values: Tensor) -> Tensor:
    # In float64, because a product of two squared lengths leaves the range of float32 long before the lengths do.
    return torch.linalg.vector_norm(values.flatten(1), dim=1).double().square()


def _squares_by_rows(products: Tensor) -> Tensor:
    # Row by row, because a sum of a million squares in float32 comes out too small by a part in ten thousand.
    return torch.linalg.vector_norm(products, dim=2).double().square().sum(1)


def _leaving(layer: Layer, g: Tensor) -> Tensor:
    """Gives what leaves at each position: (records, outputs, positions)."""
    if isinstance(layer, nn.Linear):
        return g.reshape(len(g), math.prod(g.shape[1:-1]), g.shape[-1]).transpose(1, 2)
    return g.flatten(2)


def _entering(layer: Layer, a: Tensor, g: Tensor, *, ones: bool = False) -> Tensor:
    """Gives what enters at each position, with a last input of ones if wanted: (records, positions, inputs)."""
    seen = a if isinstance(layer, nn.Linear) else _patches(layer, a, g)
    inputs = layer.weight[0].numel()
    x = a.new_empty(len(a), math.prod(seen.shape[1:]) // inputs, inputs + ones)
    x[:, :, :inputs].view(seen.shape).copy_(seen)
    x[:, :, inputs:] = 1
    return x


def _patches(layer: nn.Conv1d | nn.Conv2d, a: Tensor, g: Tensor) -> Tensor:
    """Gives a view of what the kernel sees: (records, *places of the output, *kernel, channels)."""
    # Channels last, so that the copy of this view runs over neighbours in memory.
    pads = [int(pad) for pad in layer.padding]
    sides = [side + 2 * pad for side, pad in zip(a.shape[2:], pads, strict=True)]
    inside = [slice(pad, pad + side) for side, pad in zip(a.shape[2:], pads, strict=True)]
    padded = a.new_zeros(len(a), *sides, a.shape[1])
    padded[:, *inside] = a.movedim(1, -1)
    steps = padded.stride()[1:-1]
    between = [stride * step for stride, step in zip(layer.stride, steps, strict=True)]
    within = [dilation * step for dilation, step in zip(layer.dilation, steps, strict=True)]
    size = (len(a), *g.shape[2:], *layer.kernel_size, a.shape[1])
    return padded.as_strided(size, (padded.stride(0), *between, *within, 1))
