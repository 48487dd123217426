"""Model families: the one place that knows them all."""

from __future__ import annotations

from typing import Final

from wardgan.encode.layout import Layout
from wardgan.errors import PlanError
from wardgan.models.base import Config

FAMILIES: Final = ("copula", "acgan", "tabgan")


def family_config(family: str) -> Config:
    """Gives the default configuration of a family.

    Raises:
        PlanError: There is no such family.
    """
    match family:
        case "copula":
            from wardgan.models.copula.config import CopulaConfig

            return CopulaConfig()
        case "acgan":
            from wardgan.models.acgan.config import AcganConfig

            return AcganConfig()
        case "tabgan":
            from wardgan.models.tabgan.config import TabganConfig

            return TabganConfig()
        case _:
            raise PlanError(f"family={family!r} is not one of auto, {', '.join(FAMILIES)}.")


def auto(layout: Layout, *, epsilon: float | None, population: int | None) -> str:
    """Chooses a family from public facts: how many variables and patients, and epsilon.

    Args:
        layout: The variables.
        epsilon: The budget; `None` without privacy.
        population: Public number of patients, if declared.

    Returns:
        `tabgan` for visits of many patients, where its discriminator earns its part of the budget; else `copula`.
    """
    many = population is not None and population >= 2_000
    return "tabgan" if layout.schema.visits is not None and many and (epsilon is None or epsilon >= 2) else "copula"
