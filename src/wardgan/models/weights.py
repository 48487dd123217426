"""Small pieces that the networks' trainings share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn, optim

from wardgan.errors import FormatError
from wardgan.rng import Seed


def decay_at(decay: float, step: int) -> float:
    """Gives the decay of a running mean at one of its steps: smaller at first, so that it forgets where it began.

    Args:
        decay: The decay in the end.
        step: Number of the step, from 0.

    Example:
        >>> [round(decay_at(0.99, step), 2) for step in (0, 10, 10_000)]
        [0.1, 0.55, 0.99]
    """
    return min(decay, (1 + step) / (10 + step))


def average(mean: nn.Module, module: nn.Module, decay: float) -> None:
    """Moves the running mean of a network's weights: mean <- decay mean + (1 - decay) weights."""
    with torch.no_grad():
        for kept, new in zip(mean.parameters(), module.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)


def weight_arrays(module: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Gives copies of a network's weights by name."""
    return {name: one.detach().cpu().numpy().copy() for name, one in module.named_parameters()}


def load_arrays(module: nn.Module, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Takes weights over, whose names and shapes are those of the network."""
    with torch.no_grad():
        for name, one in module.named_parameters():
            one.copy_(torch.from_numpy(np.array(weights[name], dtype=np.float32)))


def checked(
    weights: Mapping[str, NDArray[np.float32]], wanted: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    """Gives weights whose names and shapes are the wanted ones, and whose numbers are finite.

    Raises:
        FormatError: Says what is wrong.
    """
    if {name: one.shape for name, one in weights.items()} != dict(wanted):
        raise FormatError("weights: they are not those of the generator that was agreed on.")
    found = {name: np.asarray(one, dtype=np.float32) for name, one in weights.items()}
    if not all(np.isfinite(one).all() for one in found.values()):
        raise FormatError("weights: there is a number that is not finite.")
    return found


def fall(optimiser: optim.Optimizer, rate: float, done: float) -> None:
    """Sets the learning rate: constant in the first half of the training, then linear to 0."""
    for group in optimiser.param_groups:
        group["lr"] = rate * min(1.0, 2 * (1 - done))


def weights_state(seed: Seed) -> Tensor:
    """Gives a state for torch's generator, so that first weights and dropout follow the fit's seed."""
    return torch.Generator().manual_seed(int(seed.stream("weights").integers(2**62))).get_state()


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs torch on one thread and restores the setting: threads of small networks mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
