"""Many hospitals, one model: mixtures of generators, nested to any depth, and what they cost a patient together."""

from wardgan.combining.loading import VerifiedMixture, inspect, load, verify_mixture
from wardgan.combining.making import Combined, combine
from wardgan.combining.mixture import Mixture
from wardgan.combining.recipe import Recipe, Wanted
from wardgan.combining.translate import Source

__all__ = [
    "Combined",
    "Mixture",
    "Recipe",
    "Source",
    "VerifiedMixture",
    "Wanted",
    "combine",
    "inspect",
    "load",
    "verify_mixture",
]
