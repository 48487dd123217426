"""What is asked of a generator, in plain words, with what the answers may be at most."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from wardgan.attack.inference import secrets
from wardgan.attack.result import Question
from wardgan.schema.schema import Schema

# What each kind of number may be at most.
LIMITS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "auc": 0.55,
        "tpr_1": 0.03,
        "worst": 0.60,
        "inference": 0.09,
        "linkability": 0.05,
        "singling_out": 0.09,
        "copies": 0.01,
    }
)
ATTACKERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "nearest": "who compares the nearest synthetic patient with the nearest patient of a reference sample",
        "distance": "who looks how near the nearest synthetic patient is",
        "forest": "who teaches a classifier to tell synthetic patients from a reference sample",
    }
)
_FIGURES: Final = (
    ("auc", "Can somebody {} tell training patients from others?", LIMITS["auc"], 0.5),
    (
        "tpr_1",
        "How many training patients does somebody {} find, if one in 100 of the others may be accused wrongly?",
        LIMITS["tpr_1"],
        0.01,
    ),
    (
        "tpr_01",
        "How many training patients does somebody {} find, if one in 1,000 of the others may be accused wrongly?",
        None,
        0.001,
    ),
)
_PROOF: Final = "Which epsilon does somebody {} prove at least?"
_WORST: Final = "Can somebody {} tell training patients from others, among the patients who are least like all others?"
_GUESSED: Final = (
    "Does the nearest synthetic patient give away a patient's {}, beyond what all patients teach about it?"
)
_OTHERS: Final = (
    (
        "linkability",
        "Do synthetic patients help to find out that two parts of a record belong to the same patient?",
        LIMITS["linkability"],
        0.0,
    ),
    (
        "singling_out.one",
        "Does one value of a synthetic patient point at exactly one training patient?",
        LIMITS["singling_out"],
        0.0,
    ),
    (
        "singling_out.many",
        "Do several values of a synthetic patient point at exactly one training patient?",
        LIMITS["singling_out"],
        0.0,
    ),
    (
        "copies.excess",
        "Do training patients who are unlike all others occur among the synthetic ones more often than others?",
        LIMITS["copies"],
        0.0,
    ),
    ("copies.certain", "Are there synthetic patients who are copies of a training patient beyond doubt?", 0.0, 0.0),
    (
        "nearer_to_training",
        "Are synthetic patients nearer to the training than to the hold-out patients? (For information only.)",
        None,
        0.5,
    ),
)


# Numbers that are certain themselves: a certified bound, and a count where one is too many.
_CERTAIN: Final = ("copies.certain", *(f"membership.{name}.epsilon" for name in ATTACKERS))


def questions(schema: Schema, epsilon: float | None = None) -> tuple[Question, ...]:
    """Gives what is asked of a generator, in the order of a report.

    Args:
        schema: Of the training patients: says what is sensitive.
        epsilon: What the generator claims; `None` if it claims nothing.

    Example:
        >>> schema = Schema.from_dict({"name": "demo", "table": {"hiv": {"kind": "flag", "sensitive": True}}})
        >>> [question.name for question in questions(schema)][-7:-5]
        ['inference.hiv', 'linkability']
    """
    asked: list[tuple[str, str, float | None, float]] = []
    for name, who in ATTACKERS.items():
        asked += [
            (f"membership.{name}.{figure}", text.format(who), limit, chance) for figure, text, limit, chance in _FIGURES
        ]
        asked.append((f"membership.{name}.epsilon", _PROOF.format(who), epsilon or 0.0, 0.0))
    asked.append(("membership.worst.auc", _WORST.format(ATTACKERS["nearest"]), LIMITS["worst"], 0.5))
    asked += [(f"inference.{name}", _GUESSED.format(name), LIMITS["inference"], 0.0) for name in secrets(schema)]
    asked += _OTHERS
    level = 1 - 0.05 / sum(limit is not None for _, _, limit, _ in asked)
    return tuple(
        Question(name, text, limit, chance, level, "value" if name in _CERTAIN else "interval")
        for name, text, limit, chance in asked
    )
