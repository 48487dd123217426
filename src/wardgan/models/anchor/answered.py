"""All questions of a survey, asked at once; and answers that were given already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.errors import FormatError
from wardgan.models.anchor.grid import cell_query
from wardgan.models.anchor.groups import level_query
from wardgan.models.anchor.scores import axes_of
from wardgan.models.anchor.survey import Survey
from wardgan.privacy.image_queries import ImageQuery
from wardgan.privacy.plan import Plan
from wardgan.privacy.queries import LevelCounts, Query, ScoreProducts, Scores, ScoreSums
from wardgan.privacy.records import Asked, nobodys

GRID: Final = "grid"
SPIKES: Final = "shared values"
TOTALS: Final = "level totals"
LABELS: Final = "label tables"
MEANS: Final = "class means"
COVARIANCE: Final = "covariance"
PAIRS: Final = "pairs"


@dataclass(frozen=True, eq=False, repr=False)
class Answered:
    """Answers that were given already.

    Attributes:
        layout: The variables.
        plan: Their noise; `None` without any.
        answers: By name of the event, shape (numbers,).
    """

    layout: Layout
    plan: Plan | None
    answers: Mapping[str, NDArray[np.float64]]

    @property
    def private(self) -> bool:
        """Whether answers carry noise."""
        return self.plan is not None

    def measure(self, name: str, query: Query | ImageQuery) -> NDArray[np.float64]:
        """Gives an answer.

        Args:
            name: The event.
            query: What was asked.

        Raises:
            FormatError: The answer is to another question.
        """
        if (
            isinstance(query, ImageQuery)
            or name not in self.answers
            or self.answers[name].shape != nobodys(query, self.layout).shape
        ):
            raise FormatError(f"tables: the answer to {name!r} is not to the question of the survey.")
        return self.answers[name]


def questions(layout: Layout, survey: Survey) -> dict[str, Query]:
    """Gives the questions of a survey, by name of the event.

    Args:
        layout: The variables.
        survey: What is fixed.
    """
    classes = layout.schema.classes
    cells, names = cell_query(layout)
    totals, large = level_query(layout)
    scores = Scores(survey.levels, tuple(axis.at for axis in axes_of(layout)), survey.tables(), survey.radius)
    found: dict[str, Query] = {GRID: cells} if names else {}
    found |= {TOTALS: totals} if large else {}
    found[LABELS] = LevelCounts(survey.levels, classes)
    found |= {MEANS: ScoreSums(scores, classes)} if has_means(layout) else {}
    found |= {COVARIANCE: ScoreProducts(scores, classes)} if len(scores) > 1 else {}
    return found | ({} if survey.pairing is None else {PAIRS: survey.pairing.query(survey.levels, classes)})


def answered(records: Asked, survey: Survey) -> Answered:
    """Asks all questions of a survey at once, and gives the answers.

    Args:
        records: The patients.
        survey: The questions.
    """
    asked = questions(records.layout, survey)
    return Answered(records.layout, records.plan, {name: records.measure(name, query) for name, query in asked.items()})


def has_means(layout: Layout) -> bool:
    """Whether there are classes or visits whose mean scores differ."""
    return layout.schema.classes > 1 or layout.schema.visits is not None
