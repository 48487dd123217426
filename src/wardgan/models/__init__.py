"""Model families: the one place that knows them all."""

from __future__ import annotations

from typing import Final

from wardgan.errors import PlanError
from wardgan.models.base import Config

FAMILIES: Final = ("copula", "marginal", "tabgan", "acgan")
# In no benchmark so far did the discriminator of tabgan earn its part of the budget.
AUTO: Final = "copula"


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
        case "tabgan":
            from wardgan.models.tabgan.config import TabganConfig

            return TabganConfig()
        case _:
            raise PlanError(f"family={family!r} is not one of auto, {', '.join(FAMILIES)}.")
