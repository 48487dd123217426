"""Whether synthetic images are useful, and whether they remember patients: all offline, nothing is downloaded."""

from __future__ import annotations

from wardgan.evaluate.images.convolved import random_features, weights_digest
from wardgan.evaluate.images.drawn import Drawn, dice, draw_and_test
from wardgan.evaluate.images.extract import Extractor, radiomics_extractor, random_extractor
from wardgan.evaluate.images.gaps import Cloud, Gap, frechet, kernel, nearness
from wardgan.evaluate.images.places import Manifold, manifold
from wardgan.evaluate.images.radiomic import radiomics
from wardgan.evaluate.images.remembered import Memory, Nearness, memory
from wardgan.evaluate.images.report import ClassReport, Distances, ImageReport, evaluate_images
from wardgan.evaluate.images.scale import Scale
from wardgan.evaluate.images.sets import ImageSet
from wardgan.evaluate.images.taught import Taught, train_and_test
from wardgan.evaluate.images.tones import intensity_gap, spectrum_gap
from wardgan.evaluate.images.variety import Diversity, diversity, similarity

__all__ = [
    "ClassReport",
    "Cloud",
    "Distances",
    "Diversity",
    "Drawn",
    "Extractor",
    "Gap",
    "ImageReport",
    "ImageSet",
    "Manifold",
    "Memory",
    "Nearness",
    "Scale",
    "Taught",
    "dice",
    "diversity",
    "draw_and_test",
    "evaluate_images",
    "frechet",
    "intensity_gap",
    "kernel",
    "manifold",
    "memory",
    "nearness",
    "radiomics",
    "radiomics_extractor",
    "random_extractor",
    "random_features",
    "similarity",
    "spectrum_gap",
    "train_and_test",
    "weights_digest",
]
