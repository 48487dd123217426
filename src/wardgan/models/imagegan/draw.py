"""The part of a generator network that draws low frequencies and makes images of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wardgan.models.imagegan.base import WaveModel
from wardgan.privacy.image_queries import cosines
from wardgan.sample.network import Graph

Floats = NDArray[np.float32]


def cosine_pairs(base: WaveModel, sizes: int) -> list[tuple[Floats, Floats]]:
    """Gives what turns low frequencies into images, at full size and at each half of it.

    Args:
        base: The normal distributions of low frequencies.
        sizes: How many sizes.

    Returns:
        For each size the arrays of shape (height, waves) and (waves, width): image = left @ waves @ right.
    """
    found: list[tuple[Floats, Floats]] = []
    side = len(base.waves.left)
    for stage in range(sizes):
        height, width = base.look.height >> stage, base.look.width >> stage
        left, right = (np.zeros((side, length), dtype=np.float32) for length in (height, width))
        # What is finer than a small image cannot be shown in it.
        left[: min(side, height)] = cosines(min(side, height), height)
        right[: min(side, width)] = cosines(min(side, width), width)
        left *= math.sqrt(base.look.planes * height * width)
        found.append((np.ascontiguousarray(left.T), right))
    return found


def add_waves(graph: Graph, base: WaveModel) -> str:
    """Adds the low frequencies of each image, shape (images, channels, waves, waves), to a network."""
    normals = graph.add("Slice", "latent", graph.whole([0]), graph.whole([base.rank]), graph.whole([1]))
    normals = graph.add("Unsqueeze", normals, graph.whole([2]))
    factors = graph.add("Gather", graph.floats(base.factors), "label", axis=0)
    away = graph.add("Squeeze", graph.add("MatMul", factors, normals), graph.whole([2]))
    means = graph.add("Gather", graph.floats(base.means), "label", axis=0)
    side = len(base.waves.left)
    return graph.add("Reshape", graph.add("Add", means, away), graph.whole([-1, base.look.planes, side, side]))


def add_image(graph: Graph, waves: str, pair: tuple[Floats, Floats]) -> str:
    """Adds the images that low frequencies make at one size."""
    return graph.add("MatMul", graph.add("MatMul", graph.floats(pair[0]), waves), graph.floats(pair[1]))


def finish(graph: Graph, image: str, base: WaveModel) -> bytes:
    """Gives the network's bytes, with pixels cut to -1 to 1 as its output."""
    image = graph.add("Clip", image, graph.floats(-1.0), graph.floats(1.0))
    size = math.prod(base.look.shape)
    return graph.finish(graph.add("Reshape", image, graph.whole([-1, size])), variables=size)


def waves_network(base: WaveModel) -> bytes:
    """Gives a generator network of low frequencies alone; its latent normals are those of the base."""
    graph = Graph(latent=base.rank)
    return finish(graph, add_image(graph, add_waves(graph, base), cosine_pairs(base, 1)[0]), base)
