"""What low frequencies leave out: for each class the strength of a texture, where it is, and a curve of grey levels.

Two noisy answers say how strong the grain of real images is and which shades they have. What follows is
post-processing: images are drawn, the same questions are asked of them without noise, and the texture and the curve are
changed until the answers are those of the patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.models.imagegan.config import GRAIN, GREYS
from wardgan.privacy.grain_queries import SHADES, Grain, GrainSums, Shades, shades
from wardgan.privacy.image_queries import within
from wardgan.privacy.records import Asked, noise_sd
from wardgan.rng import Seed

Values = NDArray[np.float64]
POINTS: Final = 256
# Grain is as strong as the low frequencies are steep, and this strong where they are flat.
FLAT: Final = 0.003
_ROUNDS: Final = 6
_STEP: Final = 3.0
_LEAST: Final = 0.1
_NARROW: Final = 1e-4
_PIXELS: Final = 1 << 19
_MOST, _FEWEST = 256, 16


@dataclass(frozen=True, eq=False, repr=False)
class Brush:
    """What makes grain of normals, the same for all classes; all arrays are made of the size of the images.

    grain = left @ (rows_in_bands @ bands @ bands_in_columns / radius * normals) @ right, then times
    rows_in_cells @ cells @ cells_in_columns and times how steep the low frequencies are.

    Attributes:
        left: Cosines of a column, shape (height, height).
        right: Cosines of a row, shape (width, width).
        radius: Distance of each frequency from 0, shape (height, width): strengths fall with it (Field 1987).
        bands: Shapes (height, bands) and (bands, width).
        cells: Shapes (height, cells) and (cells, width); between the middles of cells lies a straight line.
        steep: Slopes of the low cosines, shapes (height, waves) and (waves, width), for half a period of the finest.
    """

    left: Values
    right: Values
    radius: Values
    bands: tuple[Values, Values]
    cells: tuple[Values, Values]
    steep: tuple[Values, Values]

    @classmethod
    def of(cls, grain: Grain) -> Brush:
        """Gives the brush that paints what the question measures."""
        down, across = (np.arange(len(cosine)) + 0.5 for cosine in (grain.down, grain.across))
        between = [_between(*cells.shape) for cells in grain.cells]
        steep = [_slopes(grain.waves, len(cosine)) for cosine in (grain.down, grain.across)]
        return cls(
            grain.down.T, grain.across, np.hypot(down[:, None], across), (grain.bands[0], grain.bands[1].T),
            (between[0], between[1].T), (steep[0].T, steep[1]),
        )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class GrainModel:
    """The grain and the shades of each class.

    Attributes:
        brush: What makes grain of normals.
        bands: Strength in each band, shape (classes, bands, bands).
        cells: Strength in each place, shape (classes, cells, cells).
        lowest: Where the curve of grey levels begins, shape (classes,).
        step: How far its points are from each other, shape (classes,).
        tones: Grey level at each point, shape (classes, POINTS + 1); between two of them lies a straight line.
    """

    brush: Brush
    bands: Values
    cells: Values
    lowest: Values
    step: Values
    tones: Values

    @property
    def latent(self) -> int:
        """Number of standard normals that it wants for each image."""
        return self.brush.radius.size


@dataclass(frozen=True, eq=False, repr=False)
class _Wanted:
    """What the images of one class shall have."""

    bands: Values
    cells: Values
    shades: Values


def grain_model(records: Asked, means: Values, factors: Values, counts: Values) -> GrainModel:
    """Asks the patients for grain and shades, and gives what makes images like that.

    Args:
        records: The patients.
        means: Low frequencies of the image, without those of a mask, in grey levels, shape (classes, waves, waves).
        factors: What each normal adds to them, shape (classes, waves, waves, normals).
        counts: Noisy number of patients of each class.
    """
    look = records.layout.schema.images
    if look is None:
        raise AssertionError("the plan was checked for images")
    grain = Grain.of(means.shape[1], look.height, look.width)
    classes = len(counts)
    lengths = records.measure(GRAIN, GrainSums(grain, classes)).reshape(classes, -1) / counts[:, None]
    shares = records.measure(GREYS, Shades(classes)).reshape(classes, -1) / counts[:, None]
    sds = [sd_of(records, name) / counts for name in (GRAIN, GREYS)]
    bands, cells = grain.parts(lengths)
    brush = Brush.of(grain)
    found: list[tuple[Values, ...]] = []
    for label in range(classes):
        low = _drawn(means[label], factors[label], _images(*look.shape[1:]), Seed(label))
        first = shades(_plane(_low(grain, low)))
        wanted = _Wanted(
            _lengths(bands[label], np.sqrt(2) * sds[0][label]), _places(cells[label], np.sqrt(2) * sds[0][label]),
            _shares(shares[label], first.mean(axis=0), sds[1][label]),
        )  # fmt: skip
        found.append(_fitted(grain, brush, low, wanted))
    return GrainModel(brush, *(np.stack(part) for part in zip(*found, strict=True)))


def sd_of(records: Asked, name: str) -> float:
    """Gives the noise of each number of an answer with sensitivity 1; 0 in a fit without privacy."""
    plan = records.plan
    return 0.0 if plan is None else noise_sd(plan.event(name), Shades(1))


# --- what the answers say beyond their noise --------------------------------------------------------------------------


def _lengths(noisy: Values, sd: float) -> Values:
    """Gives lengths drawn towards 0 as far as noise may have made them, together at most 1 (Breiman 1995)."""
    kept = np.maximum(noisy, 0) * np.maximum(0, 1 - sd**2 / np.maximum(noisy**2, 1e-300))
    return within(kept.reshape(1, -1), 1.0).reshape(noisy.shape)


def _places(noisy: Values, sd: float) -> Values:
    """Gives lengths of cells, drawn towards the same one in all of them, and none below a tenth of it."""
    middle = max(float(noisy.mean()), 1e-9)
    return np.maximum(_towards(noisy, np.full_like(noisy, middle), sd), _LEAST * middle)


def _shares(noisy: Values, first: Values, sd: float) -> Values:
    """Gives shares of shades, drawn towards those that the low frequencies have by themselves."""
    found = np.maximum(0, _towards(noisy, first, sd))
    return found / found.sum() if found.sum() > 0 else first


def _towards(noisy: Values, first: Values, sd: float) -> Values:
    """Gives numbers drawn towards first guesses as far as noise may have made the difference (James, Stein 1961)."""
    away = noisy - first
    return first + away * max(0.0, 1 - noisy.size * sd**2 / max(float((away**2).sum()), 1e-300))


# --- the texture and the curve that give these answers ----------------------------------------------------------------


def _fitted(grain: Grain, brush: Brush, low: Values, wanted: _Wanted) -> tuple[Values, ...]:
    """Gives bands, cells, and a curve's beginning, step and tones, whose images have what is wanted.

    Strengths are multiplied by what is wanted by what was found, in turn with the curve (iterative proportional
    fitting; Deming, Stephan 1940).

    Args:
        grain: What is asked of real and drawn images.
        brush: What paints.
        low: Low frequencies of drawn images, shape (images, waves, waves).
        wanted: What they shall have.
    """
    normals = Seed(0).stream("grain").standard_normal((len(low), *brush.radius.shape))
    ground, steep = _low(grain, low), steepness(grain, brush, low)
    bands, cells = np.ones(wanted.bands.shape), np.ones(wanted.cells.shape)
    bands[0, 0] = 0
    for _ in range(_ROUNDS):
        fine = ground + steep * texture(brush, bands, cells, normals)
        curve = _curve(fine, wanted.shades)
        numbers = grain.numbers(_plane(toned(fine, *curve))).mean(axis=0, keepdims=True)
        found = [part[0] for part in grain.parts(numbers)]
        bands = bands * _ratio(wanted.bands, found[0])
        cells = cells * _ratio(wanted.cells / wanted.cells.mean(), found[1] / max(float(found[1].mean()), 1e-9))
    return bands, cells, *_curve(ground + steep * texture(brush, bands, cells, normals), wanted.shades)


def texture(brush: Brush, bands: Values, cells: Values, normals: Values) -> Values:
    """Gives grain of the strengths of one class, shape (images, height, width).

    Args:
        brush: What paints.
        bands: Shape (bands, bands).
        cells: Shape (cells, cells).
        normals: Shape (images, height, width).
    """
    strength = brush.bands[0] @ bands @ brush.bands[1] / brush.radius
    places = brush.cells[0] @ cells @ brush.cells[1]
    return places * (brush.left @ (strength * normals) @ brush.right)


def steepness(grain: Grain, brush: Brush, low: Values) -> Values:
    """Gives how steep low frequencies are at each pixel, shape (images, height, width)."""
    down = brush.steep[0] @ low @ grain.across[: grain.waves]
    across = grain.down[: grain.waves].T @ low @ brush.steep[1]
    return np.sqrt(down**2 + across**2 + FLAT)


def toned(images: Values, lowest: Values, step: Values, tones: Values) -> Values:
    """Gives images after the curve of one class.

    Args:
        images: Shape (images, height, width).
        lowest: A number.
        step: A number.
        tones: Shape (POINTS + 1,).
    """
    return np.interp((images - lowest) / step, np.arange(len(tones)), tones)


def _curve(images: Values, shares: Values) -> tuple[Values, Values, Values]:
    """Gives the curve that gives images the shares of shades that are wanted: a quantile becomes the same quantile.

    Args:
        images: Shape (images, height, width).
        shares: Of black, each shade and white, shape (SHADES + 2,); their sum is 1.
    """
    order = np.sort(images, axis=None)
    lowest, highest = order[0], order[-1]
    step = max((highest - lowest) / POINTS, _NARROW)
    below = np.searchsorted(order, lowest + step * np.arange(POINTS + 1), side="right") / order.size
    # Shades that do not occur would make the same quantile at several levels.
    parts = np.cumsum(shares)[:-1] + 1e-12 * np.arange(len(shares) - 1)
    return lowest, np.asarray(step), np.interp(below, parts, np.linspace(-1, 1, SHADES + 1))


def _ratio(wanted: Values, found: Values) -> Values:
    return np.where(found > 1e-9, np.clip(wanted / np.maximum(found, 1e-9), 1 / _STEP, _STEP), 1.0)


def _images(height: int, width: int) -> int:
    return max(_FEWEST, min(_MOST, _PIXELS // (height * width)))


def _drawn(mean: Values, factors: Values, count: int, seed: Seed) -> Values:
    """Gives low frequencies of images of a class, shape (images, waves, waves)."""
    return mean + np.einsum("ijr,nr->nij", factors, seed.stream("low").standard_normal((count, factors.shape[2])))


def _low(grain: Grain, low: Values) -> Values:
    return grain.down[: grain.waves].T @ low @ grain.across[: grain.waves]


def _plane(images: Values) -> NDArray[np.float32]:
    return np.clip(images, -1, 1)[:, None].astype(np.float32)


def _between(side: int, cells: int) -> Values:
    """Gives the part of each cell in each pixel, shape (side, cells): straight lines between the cells' middles."""
    place = np.clip((np.arange(side) + 0.5) * cells / side - 0.5, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells)))


def _slopes(waves: int, side: int) -> Values:
    """Gives the derivatives of the lowest cosines, times half a period of the finest one, shape (waves, side)."""
    wave, at = np.arange(waves)[:, None], np.arange(side) + 0.5
    return -np.sin(np.pi / side * wave * at) * np.sqrt(2 / side) * np.pi * wave / waves
