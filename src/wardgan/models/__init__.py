"""Model families: the one place that knows them all."""

from __future__ import annotations

from typing import Final

from wardgan.errors import PlanError
from wardgan.models.base import Config
from wardgan.schema.schema import Schema

FAMILIES: Final = ("copula", "marginal", "tabgan", "acgan", "imagegan")
IMAGES: Final = "imagegan"
_FEWEST: Final = 500


def auto_family(schema: Schema, *, private: bool, patients: int) -> str:
    """Gives the family that the benchmarks speak for, from public facts: `imagegan` for images.

    With a budget it is `copula`: what tables of pairs or a discriminator add there is less than what fits of one table
    differ by. Without privacy `marginal` is far more alike, if there are enough patients to hold some out; it was not
    measured on visits.

    Args:
        schema: The declarations.
        private: Whether there is a budget.
        patients: How many there are; it decides only without privacy.
    """
    if schema.images is not None:
        return IMAGES
    return "copula" if private or schema.visits is not None or patients < _FEWEST else "marginal"


def family_config(family: str) -> Config:
    """Gives the default configuration of a family.

    Raises:
        PlanError: There is no such family.
    """
    match family:
        case "copula":
            from wardgan.models.copula.config import CopulaConfig

            return CopulaConfig()
        case "marginal":
            from wardgan.models.marginal.config import MarginalConfig

            return MarginalConfig()
        case "acgan":
            from wardgan.models.acgan.config import AcganConfig

            return AcganConfig()
        case "imagegan":
            from wardgan.models.imagegan.config import ImageganConfig

            return ImageganConfig()
        case "tabgan":
            from wardgan.models.tabgan.config import TabganConfig

            return TabganConfig()
        case _:
            raise PlanError(f"family={family!r} is not one of auto, {', '.join(FAMILIES)}.")
