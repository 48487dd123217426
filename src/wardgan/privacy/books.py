"""One forward and one backward pass that leave behind, for each layer, what a private gradient needs.

Nothing stays attached to the network, and no weight gradient is computed on the way.
"""

# torch annotates a part of its functions only, and shows what was overwritten in `_version` alone.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from wardgan.errors import PlanError
from wardgan.privacy.layers import Layer, squared_norms, summed_gradients

# Records -> one loss for each record, shape (records,).
Losses = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False, repr=False)
class Book:
    """What one layer saw in one pass.

    Attributes:
        layer: The layer.
        a: What went in; the first axis is records.
        g: Derivative of the summed losses with respect to what came out.
    """

    layer: Layer
    a: Tensor
    g: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class _Call:
    layer: Layer
    a: Tensor
    out: Tensor
    versions: tuple[int, int]


def keep_books(layers: Mapping[str, Layer], losses_of: Losses, records: Tensor) -> list[Book]:
    """Gives the books of one pass, without layers that the losses do not depend on.

    Args:
        layers: The layers by name, from `private_layers`.
        losses_of: Calls the network on records and gives one loss for each.
        records: The first axis is records.

    Raises:
        PlanError: A layer is used twice or not on all records, or what it saw was overwritten.
    """
    total, calls = _forward(layers, losses_of, records)
    return _backward(total, calls)


def prove_separate(layers: Mapping[str, Layer], losses_of: Losses, records: Tensor) -> bool:
    """Refuses losses that mix records, or that use parameters in a way the books do not see.

    The loss of the first and of the last record must stay the same when all others become copies of them. What
    the losses do is tried out, whoever the patients are; the global random generator is left as it was.

    Args:
        layers: The layers by name.
        losses_of: As in `keep_books`; called five times.
        records: The first axis is records; real ones first, fakes last.

    Returns:
        False if all records are the same, so that nothing can be told.

    Raises:
        PlanError: A loss changed with the other records, or the books miss a part of the gradient.
    """
    if not bool((records != records[:1]).any()):
        return False
    devices = [records.device] if records.is_cuda else []
    with torch.random.fork_rng(devices):
        total, calls = _forward(layers, losses_of, records)
        _prove_complete(layers, total, calls)
    for chosen in (0, len(records) - 1):
        losses: list[Tensor] = []
        for trial in (records, records[chosen].expand_as(records).clone()):
            with torch.random.fork_rng(devices), torch.no_grad():
                losses.append(losses_of(trial)[chosen])
        if not torch.allclose(*losses, rtol=1e-4, atol=1e-6, equal_nan=True):
            raise PlanError(
                "losses_of mixes records: the loss of one changed with the others. Let each loss depend on its own "
                "record only, and take random numbers from torch's global generator."
            )
    return True


def _prove_complete(layers: Mapping[str, Layer], total: Tensor, calls: list[_Call]) -> None:
    parameters = [parameter for layer in layers.values() for parameter in layer.parameters()]
    plain = torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
    truth: dict[int, Tensor | None] = {id(each): found for each, found in zip(parameters, plain, strict=True)}
    for book in _backward(total, calls):
        scale = float(squared_norms(book.layer, book.a, book.g).sqrt().sum())
        sums = summed_gradients(book.layer, book.a, book.g, book.g.new_ones(len(book.g)))
        for parameter, ours in zip(book.layer.parameters(), sums, strict=True):
            theirs = truth.pop(id(parameter))
            if theirs is None or float(torch.dist(ours, theirs)) > 1e-3 * scale:
                raise _incomplete()
    if any(gradient is not None and bool(gradient.any()) for gradient in truth.values()):
        raise _incomplete()


def _incomplete() -> PlanError:
    return PlanError(
        "losses_of uses parameters outside the call of their layer (a gradient penalty, or weights used directly). "
        "Put such terms on fake records, in an ordinary gradient that is added after the private one."
    )


def _forward(layers: Mapping[str, Layer], losses_of: Losses, records: Tensor) -> tuple[Tensor, list[_Call]]:
    with torch.enable_grad(), _recording(layers) as calls:
        total = _one_for_each(losses_of(records), records).sum()
    for name, call in calls.items():
        if len(call.a) != len(records) or call.out.dtype != call.layer.weight.dtype or not call.out.requires_grad:
            raise PlanError(f"layer {name!r} must be called on all records, in the type of its weights, with grad on.")
        if call.versions != (call.a._version, call.out._version):
            raise PlanError(f"what goes into or comes out of layer {name!r} is overwritten later. Make a new tensor.")
    if not calls or not total.requires_grad:
        raise PlanError("the losses do not depend on the network. Call it inside losses_of.")
    return total, list(calls.values())


def _backward(total: Tensor, calls: list[_Call]) -> list[Book]:
    derivatives = torch.autograd.grad(total, [call.out for call in calls], allow_unused=True)
    pairs = zip(calls, derivatives, strict=True)
    return [Book(call.layer, call.a.detach(), g) for call, g in pairs if g is not None]  # pyright: ignore[reportUnnecessaryComparison]


def _one_for_each(losses: Tensor, records: Tensor) -> Tensor:
    if losses.shape != records.shape[:1]:
        raise PlanError(f"losses_of gave shape {tuple(losses.shape)}, not one loss for each of {len(records)} records.")
    return losses


@contextmanager
def _recording(layers: Mapping[str, Layer]) -> Generator[dict[str, _Call]]:
    calls: dict[str, _Call] = {}

    def record(name: str, layer: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        if name in calls or len(given) != 1:
            raise PlanError(f"layer {name!r} must be used once in a forward pass, on one tensor.")
        calls[name] = _Call(layers[name], given[0], out, (given[0]._version, out._version))

    hooks = [layer.register_forward_hook(partial(record, name)) for name, layer in layers.items()]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()
