"""All attacks on one generator, with one family of intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from wardgan import check
from wardgan.attack import copies, inference, linkage, membership
from wardgan.attack.patients import Parties
from wardgan.attack.questions import questions
from wardgan.attack.result import Question, Result, too_few
from wardgan.errors import UsageError
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort

Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Battery:
    """What all attacks found.

    Attributes:
        results: One for each attack, in the order of a report.
        family: How many of them are judged: the joint intervals hold 95 % for all of these together.
        train: Number of training patients.
        holdout: Number of hold-out patients.
        synthetic: Number of synthetic patients.
    """

    results: tuple[Result, ...]
    family: int
    train: int
    holdout: int
    synthetic: int

    def __getitem__(self, name: str) -> Result:
        """Gives a result by its machine name.

        Raises:
            UsageError: There is none of this name.
        """
        for result in self.results:
            if result.name == name:
                return result
        raise UsageError(f"name={name!r} is no attack; there are {', '.join(each.name for each in self.results)}.")

    @property
    def leaks(self) -> tuple[Result, ...]:
        """The attacks that saw a leak."""
        return tuple(result for result in self.results if result.verdict == "leak")

    @property
    def unclear(self) -> tuple[Result, ...]:
        """The attacks that saw none and could not have been sure."""
        return tuple(result for result in self.results if result.verdict == "unclear")

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as a dictionary for JSON."""
        return {
            "family": self.family,
            "patients": {"train": self.train, "holdout": self.holdout, "synthetic": self.synthetic},
            "results": [result.to_dict() for result in self.results],
        }


def battery(
    train: Cohort, holdout: Cohort, synthetic: Cohort, *, seed: Seed, epsilon: float | None = None,
    delta: float = 1e-5, told: Told = lambda _name, _done, _all: None,
) -> Battery:  # fmt: skip
    """Gives what all attacks on a generator find.

    The patients are only read. The result depends on who the patients are, not on their order or that of the columns.
    All numbers are about real patients: they are for the hospital, and no part of a public report.

    Args:
        train: Real patients the generator has learned from.
        holdout: Other patients, drawn like them, whom it has never seen; best as many as `train`.
        synthetic: Patients drawn from the generator; best as many as `train`.
        seed: Of all choices that attacks make.
        epsilon: What the generator claims; a larger certified bound is a leak. `None`: any bound is.
        delta: Of the claim.
        told: Called before each attack with its name, how many are done and how many there are, and once at the end.

    Raises:
        DataError: A cohort is empty, has other columns than `train`, or patients of `train` are in `holdout`.
        UsageError: `epsilon` or `delta` is none, or scikit-learn is not installed.
    """
    if epsilon is not None:
        check.positive(epsilon=epsilon)
    if not check.is_number(delta) or not 0 <= delta < 1:
        raise UsageError(f"delta={delta!r} is not at least 0 and below 1.")
    parties = Parties.of(train, holdout, synthetic)
    asked = questions(train.schema, epsilon)
    family = sum(question.limit is not None for question in asked)
    told("membership", 0, len(asked))
    arena = None if _too_small(parties) else membership.arena(parties, seed=seed)
    shared = Context(arena, seed, delta)
    results: list[Result] = []
    for question in asked:
        told(question.name, len(results), len(asked))
        results.append(_RUN[question.name.partition(".")[0]](parties, question, shared))
    told("done", len(asked), len(asked))
    return Battery(tuple(results), family, len(train), len(holdout), len(synthetic))


@dataclass(frozen=True, eq=False, repr=False)
class Context:
    """What attacks share.

    Attributes:
        arena: Who was tested for membership; `None` if there are too few.
        seed: Of all choices.
        delta: Of the claim.
    """

    arena: membership.Arena | None
    seed: Seed
    delta: float


def _too_small(parties: Parties) -> str:
    return too_few({
        "training": len(parties.train), "tested hold-out": len(parties.holdout) // 2,
        "synthetic": len(parties.synthetic),
    })  # fmt: skip


def _membership(parties: Parties, question: Question, shared: Context) -> Result:
    _, attack, figure = question.name.split(".")
    arena = shared.arena
    if arena is None:
        return question.unanswered(_too_small(parties))
    if attack == "worst":
        return membership.area(question, *membership.most_isolated(arena))
    scores = arena.members[attack], arena.others[attack]
    return membership.measured(question, figure, *scores, delta=shared.delta, seed=shared.seed)


def _inference(parties: Parties, question: Question, shared: Context) -> Result:
    return inference.guessed(parties, question.name.partition(".")[2], question, seed=shared.seed)


def _linkability(parties: Parties, question: Question, shared: Context) -> Result:
    return linkage.linked(parties, question, seed=shared.seed)


def _singling_out(parties: Parties, question: Question, shared: Context) -> Result:
    attack = linkage.singled_by_one if question.name.endswith("one") else linkage.singled_by_many
    return attack(parties, question, seed=shared.seed)


def _copies(parties: Parties, question: Question, _: Context) -> Result:
    return (copies.copied if question.name.endswith("excess") else copies.certain_copies)(parties, question)


def _nearer(parties: Parties, question: Question, shared: Context) -> Result:
    return copies.nearer_to_training(parties, question, seed=shared.seed)


_RUN: Final[Mapping[str, Callable[[Parties, Question, Context], Result]]] = MappingProxyType(
    {
        "membership": _membership,
        "inference": _inference,
        "linkability": _linkability,
        "singling_out": _singling_out,
        "copies": _copies,
        "nearer_to_training": _nearer,
    }
)
