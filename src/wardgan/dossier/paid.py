"""Numbers about real patients that a public dossier may show, because they were paid for.

Patients of the hold-out answer one question: of each class, how many are there, and how many of them does a classifier
recognise that synthetic patients taught? Both counts are measured once, with noise, for a small share of the budget.
The patients who pay are those of the hold-out; the training patients are not read.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass as record

from wardgan import check
from wardgan.dossier.images import paid as images
from wardgan.dossier.numbers import STRICT, parsed
from wardgan.encode.layout import Layout
from wardgan.encode.units import Units, decode
from wardgan.errors import BudgetError, FormatError, PlanError, UsageError
from wardgan.estimate import Estimate
from wardgan.evaluate.utility import ask_classifiers
from wardgan.files import write_bytes
from wardgan.models.base import LEDGER
from wardgan.privacy.accountant import gaussian_delta, rdp_epsilon
from wardgan.privacy.accounts.spending import paid_figure
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.image_queries import ImageQuery
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Share, solve
from wardgan.privacy.queries import Classes, Query, Total
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.schema.image_cohort import AnyCohort
from wardgan.schema.schema import Schema

SHARE: Final = 0.05
MODEL: Final = "logistic regression"
EVENT: Final = "recognised by class"
TAUGHT: Final = 10_000
_FOLDER: Final = "figures"
_WHOM: Final = "holdout.sha256"
_MOST_CLASSES: Final = 50
_MOST_PEOPLE: Final = 1e9
# A class whose noisy count is below so many standard deviations of the noise is not told from an empty one.
_SEEN: Final = 3.0


@record(frozen=True, config=STRICT)
class PaidCounts:
    """What was measured with noise, and what it cost.

    Attributes:
        target: The column that is predicted.
        classes: Its classes.
        model: The classifier.
        taught: How many synthetic patients taught it.
        people: Noisy number of hold-out patients of each class.
        recognised: How many of them the classifier recognises, with noise.
        epsilon: What both counts together cost a hold-out patient.
        delta: The probability that goes with it.
        noise_multiplier: Standard deviation of the noise in units of the sensitivity.
        sensitivity: How much one patient can change both counts, as a length.
    """

    target: str
    classes: tuple[str, ...]
    model: str
    taught: int
    people: tuple[float, ...]
    recognised: tuple[float, ...]
    epsilon: float
    delta: float
    noise_multiplier: float
    sensitivity: float

    @property
    def sd(self) -> float:
        """Standard deviation of the noise on each count."""
        return self.noise_multiplier * self.sensitivity

    def problem(self) -> str:
        """Says what is wrong with the bill or the counts; "" if nothing is."""
        if not 2 <= len(self.classes) == len(self.people) == len(self.recognised) <= _MOST_CLASSES:
            return "it does not have one count for each class"
        if not (self.epsilon > 0 and 0 < self.delta < 1 and self.noise_multiplier > 0):
            return "its epsilon, delta or noise is out of range"
        if max(map(abs, (*self.people, *self.recognised))) > _MOST_PEOPLE:
            return "its counts are out of range"
        if not self.sensitivity >= math.sqrt(2) - 1e-9:
            return "its sensitivity is below that of the question"
        if gaussian_delta(1 / self.noise_multiplier, self.epsilon) > self.delta * (1 + 1e-6):
            return "its noise is too small for the epsilon that it claims"
        return ""

    def skill(self) -> Estimate | None:
        """Gives how much is recognised beyond guessing: 0 is what guessing finds, 1 is everybody.

        Returns:
            Mean over the classes, each counting alike; the interval holds the noise and the choice of the patients.
            `None` if the noise hides how many patients a class has.
        """
        if min(self.people) < _SEEN * self.sd:
            return None
        count = len(self.classes)
        shares = [right / people for right, people in zip(self.recognised, self.people, strict=True)]
        inside = [min(max(share, 0.0), 1.0) for share in shares]
        variances = [
            _variance(right, people, self.sd) for right, people in zip(self.recognised, self.people, strict=True)
        ]
        scale = 1 - 1 / count
        value = (math.fsum(inside) / count - 1 / count) / scale
        half = 1.959963984540054 * math.sqrt(math.fsum(variances)) / count / scale
        n = max(0, round(math.fsum(self.people)))
        return Estimate(
            value,
            max(value - half, 1 - 1 / scale),
            min(value + half, 1.0),
            n,
            "noisy counts, normal interval with the noise in it",
            0.0,
        )


def _variance(right: float, people: float, sd: float) -> float:
    """Gives the variance of a share of noisy counts: of the choice of the patients, and of the noise."""
    # One more of each kind, so that nobody out of 20 is not taken for nobody at all.
    share = min(max((right + 1) / (people + 2), 1 / (people + 2)), 1 - 1 / (people + 2))
    # What noise made large is shown, what it made small is hidden: the count may well be smaller.
    noise = sd / (people - sd)
    return share * (1 - share) / people + (1 + min(max(right / people, 0.0), 1.0) ** 2) * noise**2


@dataclass(frozen=True, eq=False, repr=False)
class Recognised:
    """Of each class, how many patients there are and how many a classifier recognises.

    A patient is in at most one class, and is recognised or not: at most 1 is added to one count of people and to one of
    recognised ones, so the norm of one patient's part is at most the root of 2. The classifier knows synthetic patients
    only, and looks at each patient alone.

    Attributes:
        layout: The variables.
        synthetic: Who taught the classifier, wide.
        target: The column that is predicted.
        classes: Its declared classes.
        seed: Of the classifier.
    """

    layout: Layout
    synthetic: pd.DataFrame
    target: str
    classes: tuple[str, ...]
    seed: Seed

    @property
    def sensitivity(self) -> float:
        """Root of 2."""
        return math.sqrt(2)

    def total(self, units: Units, classes: Classes) -> Total:
        """Gives both counts of each class, shape (2 x classes,)."""
        found = np.zeros((2, len(self.classes)))
        if not len(units):
            return found.ravel()
        patients = decode(units, classes, self.layout).wide()
        patients = cast("pd.DataFrame", patients[list(self.synthetic.columns)])
        if not bool(np.asarray(patients[self.target].notna()).any()):
            return found.ravel()
        answers = ask_classifiers(self.synthetic, patients, target=self.target, seed=self.seed, models=(MODEL,))[MODEL]
        guesses = self._names(answers.levels[answers.chances.argmax(axis=1)])
        wanted = self._names(answers.wanted)
        for at, name in enumerate(self.classes):
            here = wanted == name
            found[0, at] = here.sum()
            found[1, at] = (here & (guesses == name)).sum()
        return found.ravel()

    def _names(self, cells: np.ndarray) -> np.ndarray:
        # Classifiers know flags as 0 and 1.
        flag = self.layout.schema.column(self.target).kind == "flag"
        return np.array([str(bool(cell)) if flag else str(cell) for cell in cells], dtype=object)


def paid_counts(
    run: Path,
    generator: Generator,
    holdout: AnyCohort,
    *,
    target: str,
    share: float,
    seed: Seed,
    pays: AnyCohort | None = None,
    noise: Seed | None = None,
) -> PaidCounts:
    """Gives the public counts; they are measured once, kept in the run folder, and entered in the institution's ledger.

    Args:
        run: Run folder of the fit.
        generator: Of the same run.
        holdout: Patients who were not fitted to.
        target: Column that is predicted.
        share: Part of the fit's epsilon, in (0, 1].
        seed: Of the synthetic patients and the classifier.
        pays: The same patients as they were read, as a fit of them would enter them; `None` for `holdout`.
        noise: Of the noise; only tests replay it.

    Raises:
        BudgetError: A cap of the institution's ledger does not allow it, or an answer that was paid for is lost.
        UsageError: `share` is no share, the generator claims no privacy, or the question was put to other patients.
    """
    if not check.is_number(share) or not 0 < share <= 1:
        raise UsageError(f"public_share={share!r} is not greater than 0 and at most 1.")
    epsilon, delta = generator.privacy.get("epsilon"), generator.privacy.get("delta")
    if not isinstance(epsilon, (int, float)) or not isinstance(delta, (int, float)):
        raise UsageError("public_share: the generator claims no privacy, so there is no budget to take a share of.")
    classes = classes_to_find(generator.schema, target)
    query = _query(generator, target, classes, seed)
    budget = Budget(float(epsilon) * share, float(delta))
    folder = run / _FOLDER / _name(budget, target, seed)
    try:
        plan = solve(budget, [Share(EVENT, 1.0)], population=None, family="dossier")
    except PlanError as error:
        raise UsageError(f"public_share={share!r}: epsilon {budget.epsilon:g} is too small for any figure.") from error
    asked = _Asked(run, folder, holdout, holdout if pays is None else pays)
    answer = _answer(asked, Ledger(plan, replayable=noise is not None), query, noise or Seed.secret())
    people, recognised = answer.reshape(2, -1)
    sd = plan.event(EVENT).noise_multiplier or math.inf
    return PaidCounts(
        target, classes, *teacher_of(generator.schema), tuple(people.tolist()), tuple(recognised.tolist()),
        budget.epsilon, budget.delta, sd, query.sensitivity,
    )  # fmt: skip


def all_paid(run: Path, delta: float) -> tuple[int, float]:
    """Gives how many questions the hold-outs of a run were asked, and an upper bound of what they cost together.

    Args:
        run: Run folder of the fit.
        delta: That goes with the bound.
    """
    ledgers = [Ledger.resume(file) for file in sorted((run / _FOLDER).glob(f"*/{LEDGER}"))]
    events = [event for ledger in ledgers for event in ledger.events if event.steps]
    mu = math.sqrt(math.fsum((event.noise_multiplier or 0.0) ** -2 for event in events if event.noise_multiplier))
    return len(events), rdp_epsilon([Event(EVENT, "gaussian", noise_multiplier=1 / mu)], delta) if mu else 0.0


def can_be_paid(generator: Generator, target: str | None) -> str:
    """Says why there can be no public counts; "" if there can."""
    if generator.privacy.get("epsilon") is None:
        return "Nothing protects the patients, so there is no budget from which a public number could be paid."
    if target is None:
        return "The schema has no label, so there is nothing to predict."
    if not 2 <= len(classes_to_find(generator.schema, target)) <= _MOST_CLASSES:
        return f"{target} does not have 2 to {_MOST_CLASSES} classes."
    return ""


def teacher_of(schema: Schema) -> tuple[str, int]:
    """Gives the classifier that recognises patients, and how many synthetic patients or images teach it.

    Args:
        schema: Declarations.
    """
    return (MODEL, TAUGHT) if schema.images is None else (images.MODEL, images.TAUGHT)


def _query(generator: Generator, target: str, classes: tuple[str, ...], seed: Seed) -> Query | ImageQuery:
    if generator.schema.images is not None:
        return images.recognised_images(generator, target, classes, seed)
    table = generator.draw(TAUGHT, seed=seed.value).wide(named=False)
    return Recognised(generator.layout, table, target, classes, seed)


def classes_to_find(schema: Schema, target: str) -> tuple[str, ...]:
    """Gives the classes that a classifier looks for, as texts.

    Args:
        schema: Declarations.
        target: A category or a flag of the table.
    """
    column = schema.column(target)
    names = ("False", "True") if column.kind == "flag" else column.levels
    return tuple(map(str, names))


@dataclass(frozen=True, eq=False, repr=False)
class _Asked:
    """Who is asked, and where the answer is kept."""

    run: Path
    folder: Path
    holdout: AnyCohort
    pays: AnyCohort


def _name(budget: Budget, target: str, seed: Seed) -> str:
    """Gives the name of a question: how many were put to a hold-out is no secret, so it must not hang on patients."""
    text = json.dumps([budget.epsilon, budget.delta, target, seed.value])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _answer(asked: _Asked, ledger: Ledger, query: Query | ImageQuery, noise: Seed) -> np.ndarray:
    folder, holdout = asked.folder, asked.holdout
    file, whom, mark = folder / LEDGER, folder / _WHOM, holdout.digest().encode()
    if file.exists():
        if not whom.exists() or whom.read_bytes() != mark:
            raise UsageError(
                f"holdout: the question in {str(folder)!r} was put to another hold-out, or in another order. Pass that "
                "one, or ask under another --seed, which is paid for again."
            )
        known = Ledger.resume(file)
        if not known.steps(EVENT):
            raise BudgetError(f"figure={str(folder)!r} was begun and not finished; remove the folder to pay again.")
        return Records(holdout, known, noise=noise, folder=folder).measure(EVENT, query)
    with paid_figure(asked.run, ledger, "dossier", asked.pays):
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(whom, mark, force=True, mode=0o600)
        ledger.open_file(file)
        return Records(holdout, ledger, noise=noise, folder=folder).measure(EVENT, query)


def read_counts(found: object, what: str) -> PaidCounts:
    """Gives counts from a foreign dossier, if their bill is right.

    Args:
        found: What JSON gave.
        what: What it is called in messages.

    Raises:
        FormatError: They are malformed, or cost more than they claim.
    """
    counts = parsed(_COUNTS, found, f"{what}: the paid counts are malformed.")
    problem = counts.problem()
    if problem:
        raise FormatError(f"{what}: of the paid counts, {problem}.")
    return counts


def plain_counts(counts: PaidCounts) -> dict[str, object]:
    """Gives counts for JSON."""
    return _COUNTS.dump_python(counts, mode="json")


_COUNTS: Final = TypeAdapter(PaidCounts)
