"""The part of a generator network that draws low frequencies and makes images of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wardgan.models.imagegan.base import WaveModel
from wardgan.models.imagegan.grain import FLAT, GrainModel
from wardgan.privacy.image_queries import cosines
from wardgan.sample.network import Graph

Floats = NDArray[np.float32]
Values = NDArray[np.float64]


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


def add_start(graph: Graph, base: WaveModel, waves: str, image: str) -> str:
    """Adds the images that a network starts from: low frequencies, with grain and shades of grey if there are any.

    Args:
        graph: The network.
        base: What images are made of.
        waves: The low frequencies of each image.
        image: The images that they make at full size.
    """
    if base.grain is None:
        return image
    plane = _channels(graph, image, 0, 1)
    steep = _steepness(graph, base, base.grain, _channels(graph, waves, 0, 1))
    fine = graph.add("Mul", _texture(graph, base.grain), steep)
    plane = _toned(graph, base.grain, graph.add("Add", plane, fine))
    return graph.add("Concat", plane, _channels(graph, image, 1, 2), axis=1) if base.look.mask else plane


def _texture(graph: Graph, model: GrainModel) -> str:
    """Adds the grain of each image, shape (images, 1, height, width), before it is stronger where images are steep."""
    brush = model.brush
    ends = graph.whole([-model.latent]), graph.whole([1 << 31])
    normals = graph.add("Slice", "latent", *ends, graph.whole([1]))
    normals = graph.add("Reshape", normals, graph.whole([-1, 1, *brush.radius.shape]))
    strength = _spread(graph, model.bands, brush.bands)
    strength = graph.add("Div", strength, graph.floats(brush.radius))
    grain = graph.add("MatMul", graph.floats(brush.left), graph.add("Mul", strength, normals))
    grain = graph.add("MatMul", grain, graph.floats(brush.right))
    return graph.add("Mul", grain, _spread(graph, model.cells, brush.cells))


def _spread(graph: Graph, table: Values, pair: tuple[Values, Values]) -> str:
    """Adds the class's part of a table, spread over rows and columns, shape (images, 1, height, width)."""
    mine = graph.add("Gather", graph.floats(table[:, None]), "label", axis=0)
    return graph.add("MatMul", graph.add("MatMul", graph.floats(pair[0]), mine), graph.floats(pair[1]))


def _steepness(graph: Graph, base: WaveModel, model: GrainModel, waves: str) -> str:
    left, right = cosine_pairs(base, 1)[0]
    steep = model.brush.steep
    pairs = (base.scale * steep[0], right), (left, steep[1])
    down, across = (add_image(graph, waves, (_small(one), _small(other))) for one, other in pairs)
    squares = graph.add("Add", graph.add("Mul", down, down), graph.add("Mul", across, across))
    return graph.add("Sqrt", graph.add("Add", squares, graph.floats(FLAT)))


def _toned(graph: Graph, model: GrainModel, plane: str) -> str:
    """Adds images after the curve of grey levels of their class, looked up in one table of all classes."""
    classes, count = model.tones.shape
    lowest, step = (
        graph.add("Gather", graph.floats(table[:, None, None, None]), "label", axis=0)
        for table in (model.lowest, model.step)
    )
    along = graph.add("Div", graph.add("Sub", plane, lowest), step)
    along = graph.add("Clip", along, graph.floats(0.0), graph.floats(float(count - 1)))
    point = graph.add("Min", graph.add("Floor", along), graph.floats(float(count - 2)))
    first = graph.whole((count * np.arange(classes)).reshape(-1, 1, 1, 1).tolist())
    row = graph.add("Add", graph.add("Cast", point, to=7), graph.add("Gather", first, "label", axis=0))
    rises = np.append(np.diff(model.tones, axis=1), np.zeros((classes, 1)), axis=1)
    tone, rise = (graph.add("Gather", graph.floats(table.ravel()), row, axis=0) for table in (model.tones, rises))
    return graph.add("Add", tone, graph.add("Mul", rise, graph.add("Sub", along, point)))


def _channels(graph: Graph, images: str, first: int, end: int) -> str:
    return graph.add("Slice", images, graph.whole([first]), graph.whole([end]), graph.whole([1]))


def _small(array: Values | Floats) -> Floats:
    return array.astype(np.float32)


def finish(graph: Graph, image: str, base: WaveModel) -> bytes:
    """Gives the network's bytes, with pixels cut to -1 to 1 as its output."""
    image = graph.add("Clip", image, graph.floats(-1.0), graph.floats(1.0))
    size = math.prod(base.look.shape)
    return graph.finish(graph.add("Reshape", image, graph.whole([-1, size])), variables=size)


def waves_network(base: WaveModel) -> bytes:
    """Gives a generator network of low frequencies and grain alone; its latent normals are those of the base."""
    graph = Graph(latent=base.latent)
    waves = add_waves(graph, base)
    image = add_image(graph, waves, cosine_pairs(base, 1)[0])
    return finish(graph, add_start(graph, base, waves, image), base)
