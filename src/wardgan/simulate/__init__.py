"""Invented patients: a trial with the published aggregates of a real study, and cohorts for any schema."""

from __future__ import annotations

from wardgan.simulate.assume import SIGNALS, Assumptions
from wardgan.simulate.schemas import generic_schema, stand_in
from wardgan.simulate.sprint import MEDIAN_SBP, SPRINT_SCHEMA, VISITS, sprint_like
from wardgan.simulate.world import World

__all__ = [
    "MEDIAN_SBP",
    "SIGNALS",
    "SPRINT_SCHEMA",
    "VISITS",
    "Assumptions",
    "World",
    "generic_schema",
    "sprint_like",
    "stand_in",
]
