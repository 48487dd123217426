"""Made-up patients with images, tiny settings of imagegan, and what a fit does, image by image and without haste."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np

import wardgan as wg
from wardgan.models.imagegan.base import WaveModel
from wardgan.models.imagegan.config import ImageganConfig
from wardgan.models.imagegan.grain import Brush, GrainModel
from wardgan.privacy.grain_queries import Grain
from wardgan.privacy.image_queries import Waves
from wardgan.sample.generator import Generator
from wardgan.sample.network import Graph
from wardgan.schema.image_cohort import ImageCohort
from wardgan.schema.images import ImageFormat
from wardgan.schema.schema import Schema

FINDING = {"kind": "category", "levels": ["benign", "malignant"]}
SIDE = {"kind": "flag"}
BUDGET = wg.Budget(epsilon=20.0)
POPULATION = 120
# With so large a sampling rate a plan is solved in a moment.
TINY = ImageganConfig(
    waves=2, radius=0.5, grain=0.15, discriminator=0.15, width=2, noise_inputs=2, steps=6, steps_per_generator_step=2, open_steps=6,
    batch=4, sampling_rate=0.8, images_at_once=2,
)  # fmt: skip


def schema(size=(8, 8), *, mask=False, table=None, patient="id", population=POPULATION, **images):
    """A schema of images with one label of two levels, unless told otherwise."""
    found = {"name": "scans", "table": {"finding": FINDING} if table is None else table}
    found |= {"patient": patient} if patient else {}
    found |= {"population": population} if population else {}
    return Schema.from_dict({**found, "images": {"size": list(size), **({"mask": True} if mask else {}), **images}})


def names(count):
    return np.array([hashlib.sha256(f"P{at}".encode()).hexdigest() for at in range(count)], dtype=object)


def cohort_of(pixels, labels, owners, declared=None, **more):
    """A cohort of given images; `labels` of one label, or by name."""
    declared = declared or schema(pixels.shape[2:], mask=pixels.shape[1] == 2)
    owners = np.asarray(owners, dtype=np.int64)
    if not isinstance(labels, dict):
        labels = {declared.table[0].name: labels} if declared.table else {}
    codes = {name: np.asarray(each, dtype=np.int64) for name, each in labels.items()}
    count = int(owners.max(initial=-1)) + 1
    return ImageCohort(
        declared, np.asarray(pixels, dtype=np.float32), codes, owners,
        **{"patients": names(count), "named": True, "source_bytes": 1, **more},
    )  # fmt: skip


def cohort(patients=100, *, size=(8, 8), mask=False, most=3, seed=0, declared=None):
    """Patients with 1 to `most` images in any order; those of class 1 are brighter at the left."""
    stream = np.random.default_rng(seed)
    declared = declared or schema(size, mask=mask)
    look = declared.images
    owners = stream.permutation(np.repeat(np.arange(patients), stream.integers(1, most + 1, patients)))
    labels = {column.name: stream.integers(0, column.size, len(owners)) for column in declared.table}
    slope = np.linspace(0.5, -0.5, look.width)
    first = next(iter(labels.values())) if labels else np.zeros(len(owners), dtype=np.int64)
    pixels = 0.15 * stream.normal(size=(len(owners), *look.shape)) + slope * np.asarray(first)[:, None, None, None]
    pixels += 0.2 * stream.normal(size=(len(owners), 1, 1, 1))
    if look.mask:
        pixels[:, 1] = np.where(pixels[:, 0] > 0, 1, -1)
    return cohort_of(np.clip(pixels, -1, 1), labels, owners, declared)


def extremes(look):
    """The images that a bound must hold for: white, black, boards of all kinds, halves, a dot, their channels apart."""
    down, right = np.mgrid[: look.height, : look.width]
    planes = [
        np.ones((look.height, look.width)), -np.ones((look.height, look.width)), (-1.0) ** (down + right),
        (-1.0) ** down, (-1.0) ** right, (-1.0) ** (down // 2 + right // 2), np.where(right < look.width // 2, 1.0, -1.0),
        np.where(down < look.height // 2, -1.0, 1.0), np.where((down == 1) & (right == 2), 1.0, -1.0),
        np.zeros((look.height, look.width)),
    ]  # fmt: skip
    found = [np.stack([plane] * look.planes) for plane in planes]
    if look.planes == 2:
        found += [np.stack([one, other]) for one in planes[:4] for other in planes[:2]]
    return np.array(found, dtype=np.float32)


def slow_cosine(wave, place, length):
    """The orthonormal cosine transform, as Ahmed, Natarajan and Rao have it."""
    scale = math.sqrt((1 if wave == 0 else 2) / length)
    return scale * math.cos(math.pi * (2 * place + 1) * wave / (2 * length))


def slow_numbers(image, waves):
    """Low frequencies of one image, number by number, divided by the square root of the number of pixels."""
    planes, height, width = image.shape
    rows = [[slow_cosine(wave, at, height) for at in range(height)] for wave in range(waves)]
    columns = [[slow_cosine(wave, at, width) for at in range(width)] for wave in range(waves)]
    found = []
    for plane in image.astype(float).tolist():
        for row in rows:
            for column in columns:
                total = 0.0
                for y, line in enumerate(plane):
                    total += row[y] * sum(column[x] * value for x, value in enumerate(line))
                found.append(total / math.sqrt(planes * height * width))
    return found


def model(look=None, *, waves=3, classes=2, normals=3, seed=0, size=0.1, grained=False):
    """Normal distributions of low frequencies, and grain if wanted, that were not asked of patients."""
    look = look or ImageFormat(8, 8)
    stream = np.random.default_rng(seed)
    made = Waves.of(min(waves, look.height, look.width), look.shape)
    means = stream.normal(size=(classes, made.size)) * size
    factors = stream.normal(size=(classes, made.size, normals)) * size
    grain = grain_model(look, waves, classes, stream) if grained else None
    return WaveModel(look, made, np.full(classes, 1 / classes), means, factors, (), grain)


def grain_model(look, waves, classes, stream):
    """Grain of any strength, and curves that bend at any places."""
    grain = Grain.of(min(waves, look.height, look.width), look.height, look.width)
    bands, cells = (stream.uniform(0, 0.5, (classes, *shape)) for shape in grain.shapes)
    bands[:, 0, 0] = 0
    lowest, step = stream.uniform(-0.8, -0.4, classes), stream.uniform(0.1, 0.2, classes)
    tones = np.sort(stream.uniform(-1, 1, (classes, 7)), axis=1)
    return GrainModel(Brush.of(grain), bands, cells, lowest, step, tones)


def generator(declared=None, *, shares=None, latent=3, over=1.0, family="imagegan"):
    """A generator of known images: each pixel is a normal by its place, plus the class, times `over`."""
    declared = declared or schema()
    size = math.prod(declared.images.shape)
    graph = Graph(latent=latent)
    stream = np.random.default_rng(5)
    noise = graph.add("MatMul", "latent", graph.floats(stream.normal(size=(latent, size)) * 0.1))
    shift = graph.add(
        "Gather", graph.floats(np.arange(declared.classes)[:, None] * 0.25 + np.zeros(size)), "label", axis=0
    )
    pixels = graph.add("Mul", graph.add("Add", noise, shift), graph.floats(over))
    shares = shares or (1 / declared.classes,) * declared.classes
    return Generator(declared, family, graph.finish(pixels, variables=size), latent, tuple(shares))


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def randomised(module, seed):
    """A network of torch whose weights are all different, the ones that begin with 0 too."""
    import torch

    stream = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            size = 0.7 / np.sqrt(max(1, parameter[0].numel()))
            parameter.copy_(torch.from_numpy(stream.normal(size=tuple(parameter.shape)) * size))
    return module
