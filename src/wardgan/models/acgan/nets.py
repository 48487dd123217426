"""Generator and discriminator of 2017 (SPRINT_gan), for pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wardgan.models.acgan.features import Picture
from wardgan.sample.network import Graph
from wardgan.select.mixed import add_choice

_UP = (2, 6)


class PictureGenerator(nn.Module):
    """z times a learned embedding of the class -> dense 256 -> dense -> upsampling (2, 6) -> two convolutions.

    Args:
        picture: Size of the output.
        classes: Number of classes.
        latent: Size of z, standard normal; it is turned into uniform numbers in (-1, 1).
        channels: Channels between the two convolutions.
    """

    def __init__(self, picture: Picture, *, classes: int, latent: int, channels: int) -> None:
        """Makes the network."""
        super().__init__()
        self.picture, self.latent = picture, latent
        self.small = (32, picture.rows, -(-picture.columns // 3))
        self.embedding = nn.Parameter(torch.randn(classes, latent) * 0.5 + 1.0)
        self.first = nn.Linear(latent, 256)
        self.second = nn.Linear(256, int(np.prod(self.small)))
        self.third = nn.Conv2d(32, channels, 5, padding=2)
        self.last = nn.Conv2d(channels, 1, 4, stride=2, padding=1)

    def forward(self, latent: Tensor, classes: Tensor) -> Tensor:
        """Gives pictures.

        Args:
            latent: Shape (patients, latent).
            classes: Shape (patients,).

        Returns:
            Shape (patients, features), row by row.
        """
        hidden = torch.erf(latent * 0.5**0.5) * self.embedding[classes]
        hidden = torch.relu(self.second(torch.relu(self.first(hidden))))
        hidden = nn.functional.interpolate(
            hidden.view(-1, *self.small), scale_factor=_UP
        )  # (patients, 32, 2 rows, 6 c)
        picture = self.last(torch.relu(self.third(hidden)))[:, 0, :, : self.picture.columns]
        return picture.flatten(1)

    def network(self) -> bytes:
        """Gives the generator network."""
        graph = Graph(latent=self.latent)
        flat = self.add_picture(graph, "latent")
        return graph.finish(self.picture.add_units(graph, flat), variables=len(self.picture.cells))

    def add_picture(self, graph: Graph, latent: str) -> str:
        """Adds the picture that is made of latent normals (patients, latent): a value of shape (patients, features)."""
        uniform = graph.add("Erf", graph.add("Mul", latent, graph.floats(0.5**0.5)))
        hidden = graph.add("Mul", uniform, graph.add("Gather", _weights(graph, self.embedding), "label", axis=0))
        for layer in (self.first, self.second):
            dense = graph.add("Gemm", hidden, _weights(graph, layer.weight), _weights(graph, layer.bias), transB=1)
            hidden = graph.add("Relu", dense)
        hidden = graph.add("Reshape", hidden, graph.whole([-1, *self.small]))
        hidden = graph.add("Resize", hidden, "", graph.floats([1, 1, *_UP]), mode="nearest", nearest_mode="floor",
                           coordinate_transformation_mode="asymmetric")  # fmt: skip
        hidden = graph.add("Relu", _convolution(graph, hidden, self.third, 2))
        picture = _convolution(graph, hidden, self.last, 1)
        picture = graph.add("Slice", picture, graph.whole([0]), graph.whole([self.picture.columns]), graph.whole([3]))
        return graph.add("Reshape", picture, graph.whole([-1, self.picture.features]))


def mixed_network(makers: Sequence[PictureGenerator], weights: NDArray[np.float64]) -> bytes:
    """Gives one network of several generators; it wants one latent normal more, which chooses among them.

    Args:
        makers: Generators of the same pictures.
        weights: Share of each, shape (generators,).
    """
    size = makers[0].latent
    graph = Graph(latent=size + 1)
    latent = graph.add("Slice", "latent", graph.whole([0]), graph.whole([size]), graph.whole([1]))
    flat = add_choice(graph, [maker.add_picture(graph, latent) for maker in makers], weights, latent=size + 1)
    picture = makers[0].picture
    return graph.finish(picture.add_units(graph, flat), variables=len(picture.cells))


def discriminator(picture: Picture, *, classes: int, dense: int, dropout: float) -> nn.Sequential:
    """Gives the discriminator: two convolutions, two dense layers, one output for real or fake, one for each class."""
    rows, columns = -(-picture.rows // 2), -(-picture.columns // 2)
    return nn.Sequential(
        nn.Unflatten(1, (1, picture.rows, picture.columns)),
        nn.Conv2d(1, 32, 3, stride=2, padding=1),
        nn.LeakyReLU(0.3),
        nn.Dropout(dropout),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.LeakyReLU(0.3),
        nn.Dropout(dropout),
        nn.Flatten(),
        nn.Linear(64 * rows * columns, dense),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(dense, dense),
        nn.ReLU(),
        nn.Linear(dense, 1 + classes),
    )


def _weights(graph: Graph, tensor: Tensor) -> str:
    return graph.floats(tensor.detach().numpy())


def _convolution(graph: Graph, value: str, layer: nn.Conv2d, padding: int) -> str:
    weights = [_weights(graph, part) for part in (layer.weight, layer.bias) if part is not None]
    return graph.add("Conv", value, *weights, pads=[padding] * 4, strides=list(layer.stride))
