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
IMAGE_ATTACKERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pixels": "who compares the nearest synthetic image with the nearest other one, by blurred pixels,",
        "features": "who compares the nearest synthetic image with the nearest other one, by features of a network,",
    }
)
_Asked = tuple[str, str, float | None, float]
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


_SEEN: Final = "Does the synthetic image nearest to a patient's give away {}, beyond what all patients teach about it?"
_IMAGE_COPIES: Final = (
    (
        "copies.near",
        "Are more synthetic images very near to a training patient's image than to other patients', beyond chance?",
        LIMITS["copies"],
        0.0,
    ),
    ("copies.certain", "Are there training patients whose image is a synthetic one up to one grey level?", 0.0, 0.0),
)


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
    asked = _membership(ATTACKERS, "nearest", epsilon)
    asked += [(f"inference.{name}", _GUESSED.format(name), LIMITS["inference"], 0.0) for name in secrets(schema)]
    return _together([*asked, *_OTHERS])


def image_questions(schema: Schema, epsilon: float | None = None) -> tuple[Question, ...]:
    """Gives what is asked of a generator of images, in the order of a report.

    Args:
        schema: Of the training patients: says what is sensitive.
        epsilon: What the generator claims; `None` if it claims nothing.

    Example:
        >>> schema = Schema.from_dict({"name": "demo", "images": {"size": [28, 28]}})
        >>> [question.name for question in image_questions(schema)][-3:]
        ['membership.worst.auc', 'copies.near', 'copies.certain']
    """
    asked = _membership(IMAGE_ATTACKERS, "pixels", epsilon)
    secret = secrets(schema) if schema.table else ()
    asked += [(f"inference.{name}", _SEEN.format(name), LIMITS["inference"], 0.0) for name in secret]
    return _together([*asked, *_IMAGE_COPIES])


def _membership(attackers: Mapping[str, str], worst: str, epsilon: float | None) -> list[_Asked]:
    asked: list[_Asked] = []
    for name, who in attackers.items():
        asked += [
            (f"membership.{name}.{figure}", text.format(who), limit, chance) for figure, text, limit, chance in _FIGURES
        ]
        asked.append((f"membership.{name}.epsilon", _PROOF.format(who), epsilon or 0.0, 0.0))
    return [*asked, ("membership.worst.auc", _WORST.format(attackers[worst]), LIMITS["worst"], 0.5)]


def _together(asked: list[_Asked]) -> tuple[Question, ...]:
    """Gives questions whose joint intervals hold together."""
    level = 1 - 0.05 / sum(limit is not None for _, _, limit, _ in asked)
    return tuple(
        Question(name, text, limit, chance, level, "value" if _certain(name) else "interval")
        for name, text, limit, chance in asked
    )


def _certain(name: str) -> bool:
    """Tells whether a number is certain itself: a certified bound, or a count where one is too many."""
    return name == "copies.certain" or (name.startswith("membership.") and name.endswith(".epsilon"))
