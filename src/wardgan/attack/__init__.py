"""Whether synthetic patients are safe: what an attacker learns about the patients whom a generator has learned from."""

from __future__ import annotations

from wardgan.attack.audit import Audit, audit
from wardgan.attack.battery import Battery, battery
from wardgan.attack.images import Side, image_battery
from wardgan.attack.leak import leak
from wardgan.attack.patients import Parties
from wardgan.attack.questions import LIMITS, image_questions, questions
from wardgan.attack.result import FEWEST, Curve, Power, Question, Result, Verdict

__all__ = [
    "FEWEST",
    "LIMITS",
    "Audit",
    "Battery",
    "Curve",
    "Parties",
    "Power",
    "Question",
    "Result",
    "Side",
    "Verdict",
    "audit",
    "battery",
    "image_battery",
    "image_questions",
    "leak",
    "questions",
]
