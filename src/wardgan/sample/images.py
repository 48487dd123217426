"""Synthetic images from a generator: exact shares of the classes, in constant memory, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan.encode.units import label_codes
from wardgan.imaging.marks import Batch
from wardgan.rng import Seed
from wardgan.sample.conditions import Conditions
from wardgan.schema.images import ImageFormat
from wardgan.schema.schema import Schema

BLOCK: Final = 256
_PART: Final = 16
_KEPT: Final = 1 << 30
# From normals (images, latent) and classes (images,) to pixels (images, numbers).
Network = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Painter:
    """Draws images block by block; image `i` of a seed is always the same, whatever the number or the chunks.

    Attributes:
        schema: What the images obey.
        look: How they look.
        network: Makes pixels.
        latent: How many standard normals it wants for each image.
    """

    schema: Schema
    look: ImageFormat
    network: Network
    latent: int

    def block(
        self, wanted: Conditions, seed: Seed, number: int, most: int = BLOCK
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Gives all images of a block and their classes.

        Args:
            wanted: What was asked for.
            seed: Source of randomness.
            number: Which block, from 0.
            most: How many of its images, from the first one, are wanted.

        Returns:
            Pixels of shape (most, channels, height, width), from -1 to 1, and classes of shape (most,).
        """
        stream = seed.stream("images", number)
        first = number * BLOCK
        classes = wanted.classes((first + np.arange(BLOCK)) % len(wanted.turns), stream)
        latent = stream.standard_normal((BLOCK, self.latent), dtype=np.float32)
        parts = [
            self.network(latent[at : at + _PART], classes[at : at + _PART]).reshape(-1, *self.look.shape)
            for at in range(0, most, _PART)
        ]
        # A network may overshoot, and a foreign one may give anything.
        return np.nan_to_num(np.concatenate(parts)[:most], nan=0.0).clip(-1, 1), classes[:most]

    def batches(self, n: int, chunk: int, wanted: Conditions, seed: Seed) -> Iterator[Batch]:
        """Yields `n` images in batches of `chunk`; one empty batch if there are none.

        Args:
            n: How many.
            chunk: Images in a batch.
            wanted: What was asked for.
            seed: Source of randomness.
        """
        held: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []
        size = 0
        for number in range(-(-n // BLOCK)):
            pixels, classes = self.block(wanted, seed, number, min(BLOCK, n - number * BLOCK))
            while size + len(pixels) >= chunk:
                cut = chunk - size
                yield self.batch([*held, (pixels[:cut], classes[:cut])])
                pixels, classes, held, size = pixels[cut:], classes[cut:], [], 0
            if len(pixels):
                held.append((pixels, classes))
                size += len(pixels)
        if held or not n:
            yield self.batch(held)

    def batch(self, parts: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]]) -> Batch:
        """Gives images with the names of their labels' levels.

        Args:
            parts: Pixels and classes.
        """
        pixels = [part[0] for part in parts] or [np.empty((0, *self.look.shape), dtype=np.float32)]
        classes = np.concatenate([np.empty(0, dtype=np.int64), *(part[1] for part in parts)])
        codes = label_codes(classes, self.schema)
        labels = {
            column.name: [str(column.levels[int(code)]) for code in codes[column.name]] for column in self.schema.labels
        }
        return Batch(np.concatenate(pixels), labels)


@dataclass(eq=False)
class SyntheticImages:
    """Synthetic images as a map-style data set: `DataLoader(generator.dataset(10_000), batch_size=64)`.

    An item is the pair of its pixels, float32 of shape (channels, height, width) from -1 to 1, and its class. Blocks of
    images are made when they are asked for, and up to 1 GiB of them are kept, so they can be asked for in any order.

    Attributes:
        painter: Draws the images.
        wanted: What was asked for.
        seed: Source of randomness.
        size: Number of images.
    """

    painter: Painter
    wanted: Conditions
    seed: Seed
    size: int
    _kept: dict[int, tuple[NDArray[np.float32], NDArray[np.int64]]] = field(
        default_factory=dict[int, tuple[NDArray[np.float32], NDArray[np.int64]]], repr=False
    )

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], int]:
        """Gives the pixels and the class of an image.

        Args:
            index: Its number, from 0.

        Raises:
            IndexError: There is no such image.
        """
        check.whole(0, index=index)
        if index >= self.size:
            raise IndexError(f"index={index} is beyond the last of {self.size} images.")
        number, at = divmod(index, BLOCK)
        if number not in self._kept:
            made = self.painter.block(self.wanted, self.seed, number, min(BLOCK, self.size - number * BLOCK))
            while self._kept and (len(self._kept) + 1) * BLOCK * made[0][0].nbytes > _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[number] = made
        pixels, classes = self._kept[number]
        return pixels[at], int(classes[at])
