"""Made-up pictures of a retina with a mask of its vessels: a phantom to try generators of image and mask on.

    python benchmarks/vessels.py --count 24 --out benchmarks/out/vessels.png

Nobody's eye is in them. A round ground, brighter towards an optic disc and uneven, with vessels that leave the disc,
bend around the macula and branch; they differ in width and in contrast. The two classes are few and many branches.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import OUT

SIDE = 64
LEVELS = ("few branches", "many branches")
# Lengths are parts of the picture's side.
APERTURE = 0.47
_STEP = 0.008
_THINNEST = 0.008
# Vessels are drawn this many times finer, and means over blocks are the picture.
_FINE = 3

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Vessel:
    """Where a vessel begins and how it goes on.

    Attributes:
        x: Column of its beginning.
        y: Row of its beginning.
        heading: Direction in radians, 0 to the right and a quarter turn downwards.
        bend: Whole turn over its length, in radians.
        length: Its length.
        radius: Half of its width at the beginning.
        contrast: Part of the light that it takes away.
    """

    x: float
    y: float
    heading: float
    bend: float
    length: float
    radius: float
    contrast: float


def phantoms(count: int, seed: int, *, side: int = SIDE) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Gives pictures with masks and their classes; picture `i` of a seed is always the same.

    Args:
        count: How many, at least 1.
        seed: Of all of them.
        side: Rows and columns.

    Returns:
        Pixels of shape (count, 2, side, side): the picture from -1 to 1, and the mask, 1 inside of vessels and -1
        outside. Classes of shape (count,), places in `LEVELS`.
    """
    streams = [np.random.default_rng([seed, at]) for at in range(count)]
    labels = np.array([stream.integers(len(LEVELS)) for stream in streams], dtype=np.int64)
    pictures = [_picture(stream, int(label), side) for stream, label in zip(streams, labels, strict=True)]
    return np.stack(pictures).astype(np.float32), labels


def inside(side: int = SIDE) -> NDArray[np.bool_]:
    """Tells which pixels lie in the round picture, shape (side, side)."""
    down, right = _grid(side)
    return (down - 0.5) ** 2 + (right - 0.5) ** 2 < APERTURE**2


def _grid(side: int) -> tuple[Values, Values]:
    down, right = (np.mgrid[:side, :side] + 0.5) / side
    return down, right


def _picture(stream: np.random.Generator, label: int, side: int) -> Values:
    """Gives a picture and its mask, shape (2, side, side)."""
    # 1: the disc is on the right and the macula on the left.
    where = stream.choice([-1.0, 1.0])
    disc = 0.5 + where * stream.uniform(0.22, 0.28), 0.5 + stream.uniform(-0.04, 0.04)
    dark, covered = _shadows(_tree(stream, disc, where, label), side)
    light = _ground(stream, disc, where, side) * (1 - dark)
    light += stream.normal(size=light.shape) * stream.uniform(0.01, 0.025)
    round_ = inside(side)
    picture = np.where(round_, np.clip(2 * light - 1, -1, 1), -1)
    return np.stack([picture, np.where((covered >= 0.5) & round_, 1.0, -1.0)])


def _ground(stream: np.random.Generator, disc: tuple[float, float], where: float, side: int) -> Values:
    """Gives the light of a retina without vessels, from 0 to 1, shape (side, side)."""
    down, right = _grid(side)
    far = ((down - 0.5) ** 2 + (right - 0.5) ** 2) / APERTURE**2
    tilt = stream.normal(size=2) * 0.12
    light = stream.uniform(0.5, 0.62) - 0.15 * far + tilt[0] * (down - 0.5) + tilt[1] * (right - 0.5)
    for _ in range(4):
        y, x = stream.uniform(0.2, 0.8, 2)
        light += stream.normal() * 0.03 * np.exp(-((down - y) ** 2 + (right - x) ** 2) / 0.03)
    macula = (down - disc[1]) ** 2 + (right - disc[0] + where * 0.3) ** 2
    light -= stream.uniform(0.06, 0.12) * np.exp(-macula / 0.006)
    size = stream.uniform(0.055, 0.075)
    beyond = np.hypot(down - disc[1], right - disc[0]) - size
    return light + stream.uniform(0.2, 0.3) / (1 + np.exp(beyond / 0.008))


# --- vessels ----------------------------------------------------------------------------------------------------------


def _tree(stream: np.random.Generator, disc: tuple[float, float], where: float, label: int) -> Values:
    """Gives discs that cover all vessels: column, row, radius and contrast of each, shape (discs, 4)."""
    found: list[Values] = []
    for up in (-1.0, 1.0):
        for temporal in (True, False):
            # Towards the macula for the temporal ones, away from it for the others.
            towards = -where if temporal else where
            tilt = stream.uniform(0.3, 0.7)
            heading = math.atan2(up * math.cos(tilt), towards * math.sin(tilt))
            turn = stream.uniform(0.9, 1.5) if temporal else stream.uniform(0.0, 0.5)
            trunk = Vessel(
                disc[0], disc[1], heading, -towards * up * turn, stream.uniform(0.65, 0.85),
                stream.uniform(0.013, 0.021), stream.uniform(0.35, 0.65),
            )  # fmt: skip
            found += _grown(stream, trunk, (4, 2) if label else (1, 0))
    return np.concatenate(found)


def _grown(stream: np.random.Generator, vessel: Vessel, branches: tuple[int, ...]) -> list[Values]:
    """Gives a vessel and its branches as discs.

    Args:
        stream: Source of randomness.
        vessel: The vessel.
        branches: Fewest branches of it, of these and so on; there may be one more of each.
    """
    path, headings = _path(stream, vessel)
    found = [path]
    if not branches or not branches[0] or len(path) < 8:
        return found
    # A vessel that soon leaves the picture has fewer.
    count = round((branches[0] + stream.integers(2)) * len(path) * _STEP / vessel.length)
    for at in np.sort(stream.integers(len(path) // 6, len(path) * 5 // 6, count)):
        left = stream.choice([-1.0, 1.0])
        branch = replace(
            vessel, x=path[at, 0], y=path[at, 1], heading=headings[at] + left * stream.uniform(0.5, 1.0),
            bend=-left * stream.uniform(0.0, 0.6), length=vessel.length * stream.uniform(0.35, 0.55),
            radius=max(_THINNEST, path[at, 2] * stream.uniform(0.6, 0.85)),
            contrast=vessel.contrast * stream.uniform(0.75, 1.0),
        )  # fmt: skip
        found += _grown(stream, branch, branches[1:])
    return found


def _path(stream: np.random.Generator, vessel: Vessel) -> tuple[Values, Values]:
    """Gives the discs of a vessel until it leaves the round picture, and its direction at each of them."""
    count = max(2, round(vessel.length / _STEP))
    turns = vessel.bend / count + stream.normal(size=count) * 0.06
    headings = vessel.heading + np.cumsum(turns)
    x = vessel.x + _STEP * np.cumsum(np.cos(headings))
    y = vessel.y + _STEP * np.cumsum(np.sin(headings))
    radius = np.linspace(vessel.radius, max(_THINNEST, 0.6 * vessel.radius), count)
    path = np.stack([x, y, radius, np.full(count, vessel.contrast)], axis=1)  # (discs, 4)
    out = np.hypot(x - 0.5, y - 0.5) > APERTURE
    kept = int(np.argmax(out)) if out.any() else count
    return path[:kept], headings[:kept]


def _shadows(discs: Values, side: int) -> tuple[Values, Values]:
    """Gives what part of the light vessels take away, and what part of each pixel they cover; both (side, side)."""
    fine = side * _FINE
    reach = math.ceil(discs[:, 2].max() * fine) + 1
    places = np.arange(-reach, reach + 1)
    middle = np.floor(discs[:, :2] * fine).astype(np.intp)
    column = (middle[:, :1] + places)[:, None, :]  # (discs, 1, places)
    row = (middle[:, 1:] + places)[:, :, None]  # (discs, places, 1)
    apart = (column + 0.5 - discs[:, 0, None, None] * fine) ** 2 + (row + 0.5 - discs[:, 1, None, None] * fine) ** 2
    shadow = np.where(apart <= (discs[:, 2, None, None] * fine) ** 2, discs[:, 3, None, None], 0.0)
    canvas = np.zeros((fine, fine))
    # Where vessels cross, the darker one is seen.
    np.maximum.at(canvas, (np.clip(row, 0, fine - 1), np.clip(column, 0, fine - 1)), shadow)
    return _blocks(canvas), _blocks((canvas > 0).astype(np.float64))


def _blocks(canvas: Values) -> Values:
    side = len(canvas) // _FINE
    return canvas.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3))


def main() -> None:
    """Writes a sheet of pictures beside their masks, the class with few branches first."""
    from PIL import Image

    from wardgan.models.imagegan.strip import sheet

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT / "vessels.png")
    asked = parser.parse_args()
    pixels, labels = phantoms(asked.count, asked.seed)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet(pixels[np.argsort(labels, kind="stable")], columns=6)).save(asked.out)
    print(asked.out)


if __name__ == "__main__":
    main()
