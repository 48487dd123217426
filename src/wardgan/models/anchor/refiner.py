"""A network that refines the anchor's correlated normals, shared by the families that train one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.network import add_factors, add_margins
from wardgan.models.anchor.warp import Warp
from wardgan.rng import Seed
from wardgan.sample.network import Graph
from wardgan.select.mixed import add_choice, cuts

Weights = Callable[[Graph, Tensor], str]
_SLOPE: Final = 0.1
_DRAWN: Final = 1 << 18
_FEWEST: Final = 1 << 14
_PART: Final = 1 << 13


class Refiner(nn.Module):
    """g = L_y z1 + f(L_y z1, z2, y): the anchor's correlated normals refined by f; f = 0 first.

    Args:
        anchor: Correlations of each class.
        width: Units in each hidden layer.
        noise_inputs: Size of z2.
    """

    factors: Tensor

    def __init__(self, anchor: Anchor, *, width: int, noise_inputs: int) -> None:
        """Makes the network."""
        super().__init__()
        size, classes = len(anchor.axes), len(anchor.probabilities)
        self.size, self.latent = size, size + noise_inputs
        self.register_buffer("factors", torch.from_numpy(anchor.factors.astype(np.float32)))
        self.first = nn.Linear(size + noise_inputs + classes, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, size)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, latent: Tensor, classes: Tensor) -> Tensor:
        """Gives correlated normals.

        Args:
            latent: Shape (patients, latent).
            classes: Shape (patients,).

        Returns:
            Shape (patients, axes).
        """
        anchored = torch.empty(len(latent), self.size)
        for y, factor in enumerate(self.factors):
            mine = classes == y
            anchored[mine] = latent[mine, : self.size] @ factor.T
        onehot = torch.eye(len(self.factors))[classes]
        hidden = torch.cat([anchored, latent[:, self.size :], onehot], dim=1)
        hidden = nn.functional.leaky_relu(self.first(hidden), _SLOPE)
        hidden = nn.functional.leaky_relu(self.second(hidden), _SLOPE)
        return anchored + self.last(hidden)


class Mixed:
    """Several refiners of one anchor; a latent normal behind the others chooses one for each patient.

    Attributes:
        parts: Copies of the refiners, their weights rounded to half precision, as the file will hold them.
        weights: Share of each, shape (parts,).
        factors: The anchor's factors.
        latent: Number of latent normals, with that of the choice.
        size: Number of axes.
    """

    def __init__(self, refiners: Sequence[Refiner], weights: NDArray[np.float64]) -> None:
        """Takes the refiners, and the share of each."""
        self.parts = [copy.deepcopy(refiner) for refiner in refiners]
        for part in self.parts:
            for parameter in part.parameters():
                parameter.data = parameter.data.half().float()
        self.weights = weights
        self.factors, self.size = self.parts[0].factors, self.parts[0].size
        self.latent = self.parts[0].latent + 1

    def __call__(self, latent: Tensor, classes: Tensor) -> Tensor:
        """Gives correlated normals of shape (patients, axes); arguments as those of a refiner."""
        place = torch.bucketize(
            latent[:, -1].contiguous(), torch.tensor(cuts(self.weights), dtype=latent.dtype), right=True
        )
        found = torch.empty(len(latent), self.size)
        for at, part in enumerate(self.parts):
            mine = place == at
            found[mine] = part(latent[mine, :-1], classes[mine])
        return found


def warp_of(refiner: Refiner | Mixed) -> Warp:
    """Gives the distribution of each refined axis, by drawing many patients of each class."""
    classes = len(refiner.factors)
    parts = max(_FEWEST, _DRAWN // classes) // _PART

    def drawn(y: int) -> Iterator[NDArray[np.float64]]:
        # Replayable on purpose: the same numbers in each fit, and no patient is involved.
        stream = Seed(0).stream("warp", y)
        label = torch.full((_PART,), y)
        for _ in range(parts):
            latent = torch.from_numpy(stream.standard_normal((_PART, refiner.latent), dtype=np.float32))
            with torch.no_grad():
                yield cast("NDArray[np.float64]", torch.special.ndtr(refiner(latent, label)).double().numpy())

    return Warp.of((drawn(y) for y in range(classes)), classes=classes, axes=refiner.size)


def refined_network(refiner: Refiner, anchor: Anchor, warp: Warp) -> bytes:
    """Gives the generator network: correlated normals, refinement, and quantile tables."""
    graph = Graph(latent=refiner.latent)
    anchored, hidden = _given(graph, anchor, refiner)
    refined = _refined(graph, anchored, hidden, refiner, _floats)
    return graph.finish(add_margins(graph, refined, anchor, warp), variables=len(anchor.layout))


def mixed_network(mixed: Mixed, anchor: Anchor, warp: Warp) -> bytes:
    """Gives one network of several refiners, with one more latent normal, which chooses among them.

    Args:
        mixed: The refiners.
        anchor: Paid answers.
        warp: The distribution of the mixture's axes.
    """
    graph = Graph(latent=mixed.latent)
    anchored, hidden = _given(graph, anchor, mixed.parts[0])
    parts = [_refined(graph, anchored, hidden, part, _halves) for part in mixed.parts]
    refined = add_choice(graph, parts, mixed.weights, latent=mixed.latent)
    return graph.finish(add_margins(graph, refined, anchor, warp), variables=len(anchor.layout))


def _given(graph: Graph, anchor: Anchor, refiner: Refiner) -> tuple[str, str]:
    """Adds the anchor's normals, and what the first layer sees."""
    size, classes = refiner.size, len(anchor.probabilities)
    normals = graph.add("Slice", "latent", graph.whole([0]), graph.whole([size]), graph.whole([1]))
    others = graph.add("Slice", "latent", graph.whole([size]), graph.whole([refiner.latent]), graph.whole([1]))
    anchored = add_factors(graph, normals, anchor.factors)
    onehot = graph.add("Gather", graph.floats(np.eye(classes)), "label", axis=0)
    return anchored, graph.add("Concat", anchored, others, onehot, axis=1)


def _refined(graph: Graph, anchored: str, hidden: str, refiner: Refiner, weights: Weights) -> str:
    for layer in (refiner.first, refiner.second):
        hidden = graph.add("LeakyRelu", _linear(graph, hidden, layer, weights), alpha=_SLOPE)
    return graph.add("Add", anchored, _linear(graph, hidden, refiner.last, weights))


def _linear(graph: Graph, value: str, layer: nn.Linear, weights: Weights) -> str:
    weight, bias = (weights(graph, part.detach()) for part in (layer.weight, layer.bias))
    return graph.add("Gemm", value, weight, bias, transB=1)


def _floats(graph: Graph, weights: Tensor) -> str:
    return graph.floats(weights.numpy())


def _halves(graph: Graph, weights: Tensor) -> str:
    return graph.add("Cast", graph.constant(weights.numpy().astype(np.float16)), to=1)
