"""Invented patients with the published aggregates of real studies, for demonstrations and benchmarks."""

from __future__ import annotations

from wardgan.simulate.sprint import MEDIAN_SBP, SPRINT_SCHEMA, VISITS, sprint_like

__all__ = ["MEDIAN_SBP", "SPRINT_SCHEMA", "VISITS", "sprint_like"]
