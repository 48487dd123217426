"""The one-run canary audit: is a claim of privacy too good to be true?

Canary patients are trained on or not, each by the toss of a coin. Whoever guesses from synthetic patients who was in
guesses right too often only if the training gives away more than it claims. That proves a mistake; no other outcome
proves anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan.attack.canaries import canaries as canary_patients
from wardgan.attack.guesses import fewest, least_epsilon
from wardgan.attack.patients import rows_of
from wardgan.attack.suspicion import Scene, Scores, by_cells, by_copies
from wardgan.errors import DataError, UsageError
from wardgan.estimate import Estimate
from wardgan.models.base import Config, Progress, Watcher
from wardgan.models.fit import Privacy, check_asked, trial
from wardgan.models.planning import config_of
from wardgan.privacy.accounts.spending import Account, account_of, entered
from wardgan.privacy.events import DEFAULT_DELTA, Budget
from wardgan.privacy.records import admit
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort, joined

Finding = Literal["above the claim", "within the claim"]

FEWEST_CANARIES: Final = 20
_CONFIDENCE: Final = 0.95
_DRAWN: Final = 1 << 17
_CELLS: Final = 1 << 24


@dataclass(frozen=True)
class Way:
    """A way to guess, fixed before anybody looks at the coins.

    Attributes:
        name: Of the score.
        score: Gives how much speaks for each canary to have been in.
        most: Share of the canaries that is guessed "in": those with the highest scores.
        least: Share that is guessed "out": those with the lowest. Nothing is said about the others.
    """

    name: str
    score: Callable[[Scene], Scores]
    most: float
    least: float

    def counts(self, canaries: int) -> tuple[int, int]:
        """Gives how many of some canaries are guessed to be in, and how many to be out."""
        return math.floor(self.most * canaries), math.floor(self.least * canaries)

    def right(self, scores: Scores, inside: NDArray[np.bool_]) -> int:
        """Gives how many guesses are right; of equal scores the first canary is guessed."""
        most, least = self.counts(len(scores))
        order = np.argsort(-scores, kind="stable")
        return int(inside[order[:most]].sum()) + int((~inside[order[len(order) - least :]]).sum())


# Copies are found one by one, and who was not copied may still have been in; hence a way without a guess of "out".
WAYS: Final = tuple(
    Way(name, score, most, least)
    for name, score in (("copies", by_copies), ("cells", by_cells))
    for most, least in ((0.1, 0.0), (0.1, 0.1), (0.25, 0.25))
)
_EACH: Final = 1 - (1 - _CONFIDENCE) / len(WAYS)


@dataclass(frozen=True)
class Audit:
    """What an audit proved. It is about real patients and stays on site, as all attacks do.

    Attributes:
        estimate: The certified lower bound of epsilon as value and lower end; the upper end is open. 0 says nothing.
        claim: The epsilon that was to be kept; `None` without privacy.
        delta: That goes with both.
        family: The model family.
        canaries: How many coins were tossed.
        guesses: How many guesses the bound was made from.
        right: How many of them are right.
        power: The largest bound that this many canaries could have certified, if all guesses were right.
        replayable: Whether noise and coins came from a seed.
    """

    estimate: Estimate
    claim: float | None
    delta: float
    family: str
    canaries: int
    guesses: int
    right: int
    power: float
    replayable: bool = False

    @property
    def verdict(self) -> Finding | None:
        """`above the claim`: a mistake is proved. `within the claim`: nothing is proved. `None` without a claim."""
        if self.claim is None:
            return None
        return "above the claim" if self.estimate.value > self.claim else "within the claim"

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as a dictionary for JSON, the verdict among them."""
        return {
            "estimate": self.estimate.to_dict(), "claim": self.claim, "delta": self.delta, "family": self.family,
            "canaries": self.canaries, "guesses": self.guesses, "right": self.right, "power": self.power,
            "replayable": self.replayable, "verdict": self.verdict,
        }  # fmt: skip


def audit(
    cohort: Cohort, budget: Budget | None = None, *, family: str | Config = "auto", privacy: Privacy = "private",
    canaries: int = 200, seed: int | None = None, watch: Watcher | None = None,
    accounts: str | Path | Account | None = None,
) -> Audit:  # fmt: skip
    """Trains once more, with canary patients, and gives a certified lower bound of what that training gave away.

    The training takes the same steps as `fit` and costs the patients the same. Its generator is thrown away: there is
    no run folder, nothing is written, and all that is left is the bound.

    As many real patients as there are canaries are left out at random, so nobody changes places with a canary, and
    there are never more patients than before. Each canary is then one more patient, or is not: what (epsilon,
    delta)-privacy is about.

    Args:
        cohort: The patients.
        budget: What is claimed. A claim of about 1 can be refuted; far larger ones cannot, by any number of canaries.
        family: As in `fit`.
        privacy: As in `fit`; with `none` there is no claim, and the bound shows how much leaks.
        canaries: How many canary patients, at least 20 and at most half as many as there are patients.
        seed: Replays the audit, noise and coins included; `None`: real noise and secret coins.
        watch: Is told of progress.
        accounts: As in `fit`: the training reads patients and is entered as such.

    Raises:
        UsageError: There are too few canaries for the claim, or more than the schema allows different patients.
        DataError: More than half of the patients would be canaries.
        SchemaError: A column waits for bounds or levels.
        PlanError: As in `fit`.
        BudgetError: A cap of the institution's ledger does not allow the training.

    Source:
        Steinke, Nasr and Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023, algorithm 1 and
        theorem 5.2; the best of six ways to guess that were fixed beforehand, each at 1 - .05 / 6 (Bonferroni).
    """
    check_asked(cohort, budget, privacy, seed)
    if cohort.schema.images is not None:
        raise UsageError(f"cohort: {cohort.schema.name!r} holds images, and an audit knows tables and visits only.")
    delta = DEFAULT_DELTA if budget is None else budget.delta
    power = _power(canaries, delta)
    _check_size(cohort, budget, canaries, power)
    config = config_of(family, cohort.schema, patients=None if budget else len(cohort))
    source = Seed.secret() if seed is None else Seed(seed)
    # Nothing below depends on the coins before they are used: neither the canaries, nor who or how many are left out.
    birds = canary_patients(cohort.schema, canaries, source.stream("audit/canaries"))
    inside = source.choices(canaries, 0.5, "audit/coins")
    others = cohort.take(np.sort(source.stream("audit/left out").permutation(len(cohort))[canaries:]))
    account = account_of(accounts, None, resume=False)
    rows, variables = rows_of(birds)
    synthetic = trial(
        _together(others, birds.take(np.flatnonzero(inside))), budget, config=config, seed=seed,
        watch=watch or _nobody, size=max(1, min(_DRAWN, _CELLS // rows.shape[1])),
        enter=lambda ledger: entered(account, cohort, ledger, family=f"audit of {config.family}", run=None),
    )  # fmt: skip
    scene = Scene(variables, rows, rows_of(others)[0], rows_of(synthetic)[0])
    estimate, guesses, right = guessed(scene, inside, delta=delta)
    claim = None if budget is None else budget.epsilon
    return Audit(estimate, claim, delta, config.family, canaries, guesses, right, power, source.replayable)


def guessed(scene: Scene, inside: NDArray[np.bool_], *, delta: float) -> tuple[Estimate, int, int]:
    """Gives the bound of the best way to guess, how many guesses that are, and how many of them are right.

    Args:
        scene: What the auditor sees.
        inside: Who was trained on, shape (canaries,); looked at only once all guesses are made.
        delta: Of the claim.
    """
    scores = {way.name: way.score(scene) for way in {way.name: way for way in WAYS}.values()}
    best = (-1.0, 0, 0, WAYS[0])
    for way in WAYS:
        guesses, right = sum(way.counts(len(inside))), way.right(scores[way.name], inside)
        bound = least_epsilon(len(inside), guesses, right, delta=delta, confidence=_EACH)
        best = max(best, (bound, guesses, right, way), key=lambda each: each[0])
    bound, guesses, right, way = best
    method = f"one-run audit, certified lower bound, 95 %, by {way.name}, the best of {len(WAYS)} ways to guess"
    return Estimate(bound, bound, math.inf, guesses, method, 0.0), guesses, right


def _power(canaries: int, delta: float) -> float:
    check.whole(FEWEST_CANARIES, canaries=canaries)
    counts = {sum(way.counts(canaries)) for way in WAYS}
    return max(least_epsilon(canaries, count, count, delta=delta, confidence=_EACH) for count in counts)


def _check_size(cohort: Cohort, budget: Budget | None, canaries: int, power: float) -> None:
    if 2 * canaries > len(cohort):
        raise DataError(f"canaries={canaries} are more than half of the patients; take fewer canaries.")
    if budget is None:
        return
    if cohort.schema.population is not None:
        admit(len(cohort), cohort.schema.population)
    if power <= budget.epsilon:
        share = max(way.most + way.least for way in WAYS)
        enough = fewest(budget.epsilon, share=share, delta=budget.delta, confidence=_EACH)
        way_out = f"take at least {enough:,} canaries, or " if enough else ""
        raise UsageError(
            f"canaries={canaries} can certify an epsilon of at most {power:.2f}, and the claim is {budget.epsilon:g}: "
            f"no mistake could be seen. To see one, {way_out}audit with a smaller epsilon; the code is the same."
        )


def _together(others: Cohort, birds: Cohort) -> Cohort:
    both = joined([others, birds])
    return replace(both, patients=np.arange(1, len(both) + 1))


def _nobody(progress: Progress) -> None:
    """Nobody watches."""
