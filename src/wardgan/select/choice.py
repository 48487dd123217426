"""How the weights that leave are chosen, and what of the budget that takes: public numbers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.errors import PlanError
from wardgan.privacy.plan import Share

CHOICE: Final = "choice of weights"
WAYS: Final = ("noisy-max", "top-k", "boosting")
_MOST: Final = 50
_ROUNDS: Final = 1_000


@dataclass(frozen=True)
class Choice:
    """How the weights that leave are chosen among those of several steps of a training.

    Every way reads patients, so it is billed, and the training gets what is left of the budget.

    Attributes:
        how: `noisy-max`: those whose synthetic patients teach classifiers best. `top-k`: the best few of these, mixed
            in equal parts. `boosting`: a mixture that the discriminators cannot tell from patients (private post-GAN
            boosting).
        candidates: From how many steps weights are kept, equally spaced over the second half of the training; the last
            of them are the newest.
        weight: Weight of the choice; other weights of the fit are compared with it.
        k: Most weights in a mixture.
        rounds: Rounds of the boosting, each of which is a choice; at most 1,000.

    Raises:
        PlanError: `how` is none of the three, there are fewer candidates than a mixture has parts, or more rounds or
            candidates than are allowed.

    Example:
        >>> Choice("top-k", candidates=8).kept_at(100)
        (57, 63, 69, 75, 82, 88, 94, 100)
    """

    how: str = "noisy-max"
    candidates: int = 10
    weight: float = 0.02
    k: int = 5
    rounds: int = 40

    def __post_init__(self) -> None:
        if self.how not in WAYS:
            raise PlanError(f"choice: how={self.how!r} is not one of {', '.join(WAYS)}.")
        check.whole(2, candidates=self.candidates)
        check.whole(1, k=self.k, rounds=self.rounds)
        check.positive(weight=self.weight)
        if self.candidates > _MOST:
            raise PlanError(f"choice: candidates={self.candidates} are more than {_MOST}; keep fewer.")
        if self.rounds > _ROUNDS:
            raise PlanError(f"choice: rounds={self.rounds} are more than {_ROUNDS:,}; each is billed, so take fewer.")
        if self.how == "top-k" and self.k > self.candidates:
            raise PlanError(f"choice: k={self.k} of candidates={self.candidates} cannot be chosen; take a smaller k.")

    @property
    def runs(self) -> int:
        """How many choices are billed."""
        return {"noisy-max": 1, "top-k": self.k, "boosting": self.rounds}[self.how]

    @property
    def share(self) -> Share:
        """The wish for a part of the budget."""
        return Share(CHOICE, self.weight, steps=self.runs, pure=True)

    def kept_at(self, steps: int) -> tuple[int, ...]:
        """Gives after which steps weights are kept, in order; the last one is the end.

        Args:
            steps: Steps of the training.
        """
        return tuple(
            steps - steps * (self.candidates - 1 - at) // (2 * self.candidates) for at in range(self.candidates)
        )


def choice_shares(choice: Choice | None) -> list[Share]:
    """Gives the wishes for the budget: none if nothing is chosen."""
    return [] if choice is None else [choice.share]


def check_choice(choice: Choice | None, layout: Layout) -> None:
    """Refuses to score classifiers of a class where there is only one.

    Args:
        choice: What is chosen, if anything.
        layout: The variables.

    Raises:
        PlanError: Says what can be done instead.
    """
    if choice is not None and choice.how != "boosting" and layout.schema.classes < 2:
        raise PlanError(
            f"choice: how={choice.how!r} asks which weights teach classifiers best, and the schema has one class only. "
            "Mark a column with label: true, take how='boosting', or leave the choice out."
        )
