"""Generator and discriminator of images: plain residual convolutions without normalisation.

The generator begins with images of low frequencies, drawn from normal distributions (see `base`), and adds what these
leave out; at first it adds nothing. So a private generator is useful before a discriminator has taught it, and whatever
that teaches, means and covariances of the low frequencies stay what they are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wardgan.models.imagegan.base import WaveModel
from wardgan.models.imagegan.draw import Floats, add_image, add_start, add_waves, cosine_pairs, finish
from wardgan.models.imagegan.grain import FLAT, GrainModel
from wardgan.models.imagegan.sizes import channels, stages
from wardgan.sample.network import Graph
from wardgan.schema.images import ImageFormat

_SLOPE: Final = 0.2


class ImageGenerator(nn.Module):
    """Normals and a class -> low frequencies -> images of rising size, with the low frequencies beside them.

    Args:
        base: The normal distributions of low frequencies.
        width: Channels at full size.
        noise_inputs: Latent normals besides those of the base.
    """

    def __init__(self, base: WaveModel, *, width: int, noise_inputs: int) -> None:
        """Makes the network; its last layer is 0."""
        super().__init__()
        self.base, self.look, self.count = base, base.look, stages(base.look)
        self.rank, self.hidden = base.rank, base.rank + noise_inputs
        self.latent = base.latent + noise_inputs
        self.side = len(base.waves.left)
        self.means: Tensor
        self.factors: Tensor
        self.register_buffer("means", torch.from_numpy(base.means.astype(np.float32)))
        self.register_buffer("factors", torch.from_numpy(base.factors.astype(np.float32)))
        for stage, (left, right) in enumerate(cosine_pairs(base, self.count + 1)):
            self.register_buffer(f"left{stage}", torch.from_numpy(left))
            self.register_buffer(f"right{stage}", torch.from_numpy(right))
        for name, cosine in zip(("down", "across"), self._cosines(), strict=True):
            self.register_buffer(name, torch.from_numpy(cosine))
        self.brush = None if base.grain is None else _Painter(base, base.grain)
        small = channels(width, self.count)
        self.small = (small, self.look.height >> self.count, self.look.width >> self.count)
        self.embedding = nn.Parameter(torch.randn(len(base.means), noise_inputs) * 0.5)
        self.first = nn.Linear(self.hidden + noise_inputs, int(np.prod(self.small)))
        self.ups, self.ins, self.outs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage in range(self.count, -1, -1):
            before, mine = channels(width, min(stage + 1, self.count)), channels(width, stage)
            self.ups.append(nn.Conv2d(before + self.look.planes, mine, 3, padding=1))
            self.ins.append(nn.Conv2d(mine, mine, 3, padding=1))
            self.outs.append(_zero(nn.Conv2d(mine, mine, 3, padding=1)))
        self.last = _zero(nn.Conv2d(width, self.look.planes, 3, padding=1))

    def forward(self, latent: Tensor, classes: Tensor) -> Tensor:
        """Gives images, not yet cut to -1 to 1.

        Args:
            latent: Shape (images, latent).
            classes: Shape (images,).

        Returns:
            Shape (images, channels, height, width).
        """
        waves = self.waves(latent, classes)
        hidden = torch.cat([latent[:, : self.hidden], self.embedding[classes]], dim=1)
        hidden = _leaky(self.first(hidden)).view(-1, *self.small)
        for at, stage in enumerate(range(self.count, -1, -1)):
            if at:
                hidden = functional.interpolate(hidden, scale_factor=2)
            hidden = _leaky(self.ups[at](torch.cat([hidden, self.image(waves, stage)], dim=1)))
            hidden = hidden + self.outs[at](_leaky(self.ins[at](hidden)))
        return self.start(latent, waves, classes) + self.fine(self.last(_leaky(hidden)))

    def fine(self, images: Tensor) -> Tensor:
        """Gives what the low frequencies leave out of images: the network changes nothing else."""
        down, across = self.get_buffer("down"), self.get_buffer("across")
        return images - down.T @ (down @ images @ across.T) @ across

    def start(self, latent: Tensor, waves: Tensor, classes: Tensor) -> Tensor:
        """Gives the images to start from: low frequencies, with grain and shades of grey if there are any.

        Args:
            latent: Shape (images, latent); the last ones are the grain's.
            waves: Shape (images, channels, waves, waves).
            classes: Shape (images,).
        """
        image = self.image(waves, 0)
        if self.brush is None:
            return image
        normals = latent[:, self.hidden :].view(-1, 1, self.look.height, self.look.width)
        plane = self.brush(image[:, :1], waves[:, :1], normals, classes)
        return torch.cat([plane, image[:, 1:]], dim=1)

    def waves(self, latent: Tensor, classes: Tensor) -> Tensor:
        """Gives low frequencies, shape (images, channels, waves, waves)."""
        normals = latent[:, : self.rank, None]
        flat = self.means[classes] + (self.factors[classes] @ normals)[:, :, 0]
        return flat.view(-1, self.look.planes, self.side, self.side)

    def image(self, waves: Tensor, stage: int) -> Tensor:
        """Gives images of low frequencies at the size that is halved `stage` times."""
        left, right = getattr(self, f"left{stage}"), getattr(self, f"right{stage}")
        return left @ waves @ right

    def network(self) -> bytes:
        """Gives the generator network, with pixels cut to -1 to 1."""
        graph = Graph(latent=self.latent)
        waves, pairs = add_waves(graph, self.base), cosine_pairs(self.base, self.count + 1)
        embedded = graph.add("Gather", _weights(graph, self.embedding), "label", axis=0)
        ends = graph.whole([0]), graph.whole([self.hidden])
        hidden = graph.add("Slice", "latent", *ends, graph.whole([1]))
        hidden = graph.add("Concat", hidden, embedded, axis=1)
        weights = [_weights(graph, self.first.weight), _weights(graph, self.first.bias)]
        hidden = _leak(graph, graph.add("Gemm", hidden, *weights, transB=1))
        hidden = graph.add("Reshape", hidden, graph.whole([-1, *self.small]))
        for at, stage in enumerate(range(self.count, -1, -1)):
            if at:
                hidden = graph.add("Resize", hidden, "", graph.floats([1, 1, 2, 2]), mode="nearest",
                                   nearest_mode="floor", coordinate_transformation_mode="asymmetric")  # fmt: skip
            both = graph.add("Concat", hidden, add_image(graph, waves, pairs[stage]), axis=1)
            hidden = _leak(graph, _convolution(graph, both, self.ups[at]))
            inner = _leak(graph, _convolution(graph, hidden, self.ins[at]))
            hidden = graph.add("Add", hidden, _convolution(graph, inner, self.outs[at]))
        more = self._add_fine(graph, _convolution(graph, _leak(graph, hidden), self.last))
        start = add_start(graph, self.base, waves, add_image(graph, waves, pairs[0]))
        return finish(graph, graph.add("Add", start, more), self.base)

    def _add_fine(self, graph: Graph, images: str) -> str:
        down, across = self._cosines()
        low = add_image(graph, images, (down, np.ascontiguousarray(across.T)))
        return graph.add("Sub", images, add_image(graph, low, (np.ascontiguousarray(down.T), across)))

    def _cosines(self) -> tuple[Floats, Floats]:
        """Gives the orthonormal low cosines of a column and of a row, shapes (waves, height) and (waves, width)."""
        waves = self.base.waves
        return waves.left.astype(np.float32), waves.right.astype(np.float32)


class _Painter(nn.Module):
    """Grain and shades of grey on images of low frequencies, as `grain` has them; nothing in it is trained."""

    def __init__(self, base: WaveModel, model: GrainModel) -> None:
        super().__init__()
        brush = model.brush
        left, right = cosine_pairs(base, 1)[0]
        tables = {
            "bands": model.bands[:, None], "cells": model.cells[:, None], "tones": model.tones,
            "lowest": model.lowest[:, None, None, None], "step": model.step[:, None, None, None],
            "left": brush.left, "right": brush.right, "radius": brush.radius, "low_left": left, "low_right": right,
            "band_rows": brush.bands[0], "band_columns": brush.bands[1], "cell_rows": brush.cells[0],
            "cell_columns": brush.cells[1], "steep_left": base.scale * brush.steep[0], "steep_right": brush.steep[1],
        }  # fmt: skip
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(table, dtype=np.float32)))

    def forward(self, plane: Tensor, waves: Tensor, normals: Tensor, classes: Tensor) -> Tensor:
        of = self.get_buffer
        strength = of("band_rows") @ of("bands")[classes] @ of("band_columns") / of("radius")
        places = of("cell_rows") @ of("cells")[classes] @ of("cell_columns")
        down, across = of("steep_left") @ waves @ of("low_right"), of("low_left") @ waves @ of("steep_right")
        steep = (down * down + across * across + FLAT).sqrt()
        fine = plane + places * steep * (of("left") @ (strength * normals) @ of("right"))
        tones = of("tones")[classes]
        along = ((fine - of("lowest")[classes]) / of("step")[classes]).clamp(0, tones.shape[1] - 1)
        point = along.floor().clamp(max=tones.shape[1] - 2)
        tone, following = (tones.gather(1, (point + more).flatten(1).long()).view(plane.shape) for more in (0, 1))
        return tone + (following - tone) * (along - point)


class Judge(nn.Module):
    """The discriminator: images of falling size, and one number for each class (projection, Miyato, Koyama 2018).

    Args:
        look: How images look.
        classes: Number of classes.
        width: Channels at full size.
    """

    def __init__(self, look: ImageFormat, *, classes: int, width: int) -> None:
        """Makes the network."""
        super().__init__()
        count = stages(look)
        self.first = nn.Conv2d(look.planes, channels(width, 0), 3, padding=1)
        self.ins, self.outs, self.downs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage in range(count):
            mine = channels(width, stage)
            self.ins.append(nn.Conv2d(mine, mine, 3, padding=1))
            self.outs.append(nn.Conv2d(mine, mine, 3, padding=1))
            self.downs.append(nn.Conv2d(mine, channels(width, stage + 1), 1))
        self.pool = nn.AvgPool2d(2)
        small = channels(width, count)
        self.before_last = nn.Conv2d(small, small, 3, padding=1)
        self.last = nn.Linear(small * (look.height >> count) * (look.width >> count), classes)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """Gives how real images of their classes look, shape (images,).

        Args:
            images: Shape (images, channels, height, width).
            classes: Shape (images,).
        """
        hidden = self.first(images)
        for one, other, down in zip(self.ins, self.outs, self.downs, strict=True):
            hidden = hidden + 0.5 * other(_leaky(one(_leaky(hidden))))
            hidden = down(self.pool(hidden))
        hidden = _leaky(self.before_last(_leaky(hidden)))
        return self.last(hidden.flatten(1)).gather(1, classes[:, None])[:, 0]


def _leaky(hidden: Tensor) -> Tensor:
    return functional.leaky_relu(hidden, _SLOPE)


def _leak(graph: Graph, value: str) -> str:
    return graph.add("LeakyRelu", value, alpha=_SLOPE)


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _weights(graph: Graph, tensor: Tensor) -> str:
    return graph.floats(tensor.detach().cpu().numpy())


def _convolution(graph: Graph, value: str, layer: nn.Module) -> str:
    weights = [_weights(graph, part) for part in layer.parameters()]
    return graph.add("Conv", value, *weights, pads=[1] * 4)
