"""A hospital's fit to a survey: all is asked first, then a generator is made of the answers, if there are enough."""

from __future__ import annotations

import json
from typing import Final

from wardgan import files
from wardgan.encode.layout import Layout
from wardgan.errors import PlanError
from wardgan.models.anchor.anchor import Anchor, measure_anchor
from wardgan.models.anchor.answered import Answered, answered
from wardgan.models.anchor.survey import Survey, as_one
from wardgan.models.base import Run
from wardgan.privacy.records import Asked

SURVEY: Final = "survey.json"


def check_survey(survey: Survey, layout: Layout, population: int | None, *, family: str) -> int:
    """Refuses a survey that does not fit, and gives the number of patients to judge a budget by.

    Args:
        survey: The questions.
        layout: The variables.
        population: Declared number of patients.
        family: The family that shall answer.

    Raises:
        FormatError: The survey is about something else.
        PlanError: It is for another family, or no population is declared.
    """
    _check_fits(survey, layout, family)
    if population is None:
        raise PlanError("population: a survey needs a declared one; the number of patients is not among its questions.")
    # Whether there are enough patients is a question of the sums.
    return max(population, as_one(survey.patients, survey.hospitals))


def surveyed(records: Asked, survey: Survey, run: Run, *, family: str) -> tuple[Answered, Anchor]:
    """Asks all questions of a survey, and gives the answers with the anchor that they make.

    Args:
        records: The patients.
        survey: The questions.
        run: Folder and public number of patients.
        family: The family that answers.

    Raises:
        FormatError: The survey is about something else.
        PlanError: It is for another family. Or by the noisy answers there are too few patients: then the answers are
            complete all the same, and kept in the folder.
    """
    _check_fits(survey, records.layout, family)
    # All is asked first: a hospital too small for a generator of its own can still give its answers.
    if run.folder is not None:
        files.write_bytes(run.folder / SURVEY, json.dumps(survey.to_dict()).encode(), force=True)
    answers = answered(records, survey)
    try:
        return answers, measure_anchor(answers, population=run.population, survey=survey)
    except PlanError as error:
        if answers.private and run.folder is not None:
            error.add_note(
                "The answers to the survey are complete, though, and can be added to those of other hospitals: "
                f"wardgan pool tables {run.folder}"
            )
        raise


def _check_fits(survey: Survey, layout: Layout, family: str) -> None:
    survey.check(layout)
    if survey.family != family:
        what = "asks for no" if survey.pairing is None else "asks for"
        raise PlanError(
            f"survey: it {what} tables of pairs, so family={survey.family!r} answers it and {family!r} does not; leave "
            f"--family out, or let all hospitals answer a survey of: wardgan pool survey --family {family}."
        )
