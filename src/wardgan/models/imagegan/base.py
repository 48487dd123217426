"""What the generator is built on: for each class a mean image and the directions in which images differ from it.

Both are made of low frequencies, from three noisy answers. What follows is post-processing: covariances are drawn
towards their mean over the classes as far as the noise demands, and directions that noise alone would make are left
out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.models.imagegan.config import CLASSES, PRODUCTS, SUMS, ImageganConfig
from wardgan.models.imagegan.grain import GrainModel, grain_model, sd_of
from wardgan.privacy.image_queries import ClassShares, WaveProducts, Waves, WaveSums
from wardgan.privacy.records import Asked
from wardgan.schema.images import ImageFormat

Values = NDArray[np.float64]
_MOST: Final = 96


@dataclass(frozen=True, eq=False, repr=False)
class WaveModel:
    """Normal distributions of low frequencies, one for each class.

    Attributes:
        look: How images look.
        waves: The transform.
        shares: Share of each class, shape (classes,).
        means: Shape (classes, numbers).
        factors: Shape (classes, numbers, normals): what a standard normal adds.
        notes: What the noisy answers say that a steward should know.
        grain: Fine texture and shades of grey; `None`: low frequencies alone.
    """

    look: ImageFormat
    waves: Waves
    shares: Values
    means: Values
    factors: Values
    notes: tuple[str, ...]
    grain: GrainModel | None = None

    @property
    def rank(self) -> int:
        """Number of standard normals of the low frequencies of each image."""
        return self.factors.shape[2]

    @property
    def latent(self) -> int:
        """Number of standard normals that it wants for each image; those of the grain are the last ones."""
        return self.rank + (0 if self.grain is None else self.grain.latent)

    @property
    def scale(self) -> float:
        """What numbers of an image are multiplied by, so that orthonormal cosines make grey levels of them."""
        return math.sqrt(math.prod(self.look.shape))


def wave_model(config: ImageganConfig, records: Asked) -> WaveModel:
    """Asks the patients for shares, sums and products of low frequencies, and for grain, and gives what follows.

    Args:
        config: Settings.
        records: The patients.
    """
    schema = records.layout.schema
    look = schema.images
    if look is None:
        raise AssertionError("the plan was checked for images")
    waves = Waves.of(min(config.waves, look.height, look.width), look.shape)
    counted = records.measure(CLASSES, ClassShares(schema.classes))
    counts = np.maximum(counted, 1.0)
    sums = records.measure(SUMS, WaveSums(waves, schema.classes)).reshape(schema.classes, -1)
    means = _within(_garrote(sums / counts[:, None], sd_of(records, SUMS) / counts[:, None]))
    query = WaveProducts(waves, means, config.radius)
    matrices = query.matrices(records.measure(PRODUCTS, query)) * config.radius**2
    sd = sd_of(records, PRODUCTS) * config.radius**2
    factors = _factors(matrices, counts, sd, waves)
    model = WaveModel(look, waves, counts / counts.sum(), means, factors, _notes(records, counted))
    # Without privacy a network learns the texture itself.
    wanted = config.has_grain(records.layout) and (records.private or not config.open_steps)
    return replace(model, grain=_grain(model, records, counts)) if wanted else model


def _grain(model: WaveModel, records: Asked, counts: Values) -> GrainModel:
    """Gives the grain of the image; a mask has none."""
    side = len(model.waves.left)
    image = slice(side * side)
    means = model.scale * model.means[:, image].reshape(-1, side, side)
    factors = model.scale * model.factors[:, image].reshape(-1, side, side, model.rank)
    return grain_model(records, means, factors, counts)


def _factors(matrices: Values, counts: Values, sd: float, waves: Waves) -> Values:
    """Gives directions of the classes' covariances that noise does not make, shape (classes, numbers, normals).

    Args:
        matrices: Noisy sums of products, shape (classes, numbers, numbers).
        counts: Noisy number of patients of each class.
        sd: Noise of each number on the diagonal of a sum; of the others it is less by the square root of 2.
        waves: The transform.
    """
    classes, size = matrices.shape[:2]
    pooled, pooled_sd = matrices.sum(axis=0) / counts.sum(), sd * np.sqrt(classes) / counts.sum()
    chosen = _lowest(pooled, pooled_sd, waves)
    inside = np.ix_(chosen, chosen)
    found: list[Values] = []
    for matrix, count in zip(matrices / counts[:, None, None], counts, strict=True):
        apart = float(np.sum((matrix[inside] - pooled[inside]) ** 2))
        noise = len(chosen) * (len(chosen) + 1) / 2 * (sd / count) ** 2
        own = max(0.0, 1 - noise / apart) if apart > 0 else 0.0
        mixed = float(np.hypot(own * sd / count, (1 - own) * pooled_sd))
        values, vectors = _directions(own * matrix[inside] + (1 - own) * pooled[inside], mixed)
        whole = np.zeros((size, len(chosen)))
        whole[chosen] = vectors * np.sqrt(values)
        found.append(whole[:, ::-1])
    rank = max(1, min(_MOST, max(int((np.abs(each).sum(axis=0) > 0).sum()) for each in found)))
    return np.stack([each[:, :rank] for each in found])


def _lowest(pooled: Values, sd: float, waves: Waves) -> NDArray[np.intp]:
    """Gives which numbers to use: the square of low frequencies whose directions hold most beyond the noise."""
    count = len(waves.left)
    places = np.arange(waves.size).reshape(waves.channels, count, count)
    squares = [places[:, :side, :side].ravel() for side in range(1, count + 1)]
    held = [float(_directions(pooled[np.ix_(square, square)], sd)[0].sum()) for square in squares]
    return squares[int(np.argmax(held))]


def _directions(matrix: Values, sd: float) -> tuple[Values, Values]:
    """Gives the variances of a noisy covariance and their directions; 0 where noise alone would make as much.

    A variance v shows as v + s^2 / v where s is half of the largest variance of noise alone (Péché 2006, theorem 1.1).

    Args:
        matrix: Symmetric, shape (numbers, numbers).
        sd: Its noise, as in `_factors`.
    """
    values, vectors = np.linalg.eigh(matrix)
    half = np.sqrt(len(matrix) / 2) * sd
    kept = values > max(2 * half, 1e-9)
    true = (values + np.sqrt(np.maximum(values**2 - 4 * half**2, 0))) / 2
    return np.where(kept, true, 0.0), vectors


def _garrote(numbers: Values, sd: Values) -> Values:
    """Gives noisy numbers drawn towards 0 as far as noise may have made them (Breiman 1995, the garrote)."""
    return numbers * np.maximum(0, 1 - sd**2 / np.maximum(numbers**2, 1e-300))


def _within(rows: Values) -> Values:
    """Gives means of images: rows of length at most 1."""
    return rows / np.maximum(1, np.linalg.norm(rows, axis=1, keepdims=True))


def _notes(records: Asked, counted: Values) -> tuple[str, ...]:
    schema = records.layout.schema
    noise, told = sd_of(records, CLASSES), list[str]()
    few = [schema.class_name(at) for at, count in enumerate(counted) if count < max(3 * noise, 1e-9)]
    if few:
        told.append(
            f"classes that noise cannot tell from none: {', '.join(few)}; their images are hardly better than noise."
        )
    alone = [schema.class_name(at) for at, count in enumerate(counted) if not noise and 0 < count <= 1]
    if alone:
        told.append(
            f"classes of a single patient: {', '.join(alone)}. Without privacy, what is drawn of them is drawn around "
            "that patient's images; leave the patient out, or join the class with another one."
        )
    return tuple(told)
