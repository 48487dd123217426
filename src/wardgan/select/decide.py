"""From candidates to the weight of each: what was chosen on the patients, and billed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.encode.units import Units, encode
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.select.boosting import Heard, Verdicts, boosted
from wardgan.select.choice import CHOICE, Choice
from wardgan.select.score import Classes, Design, Recognition, class_weights, taught

_TAUGHT: Final = 4_000
_FEWEST: Final = 40
_POOL: Final = 512


@dataclass(frozen=True, eq=False, repr=False)
class Field:
    """The candidates of a choice. Nothing in it knows a patient but through private gradients and paid answers.

    Attributes:
        layout: The variables.
        networks: The generator network of each candidate, as ONNX.
        latent: How many normals these want.
        shares: Paid share of each class, shape (classes,).
        patients: Paid or declared number of patients.
        verdicts: What the discriminator of each candidate says of patients, given as units (patients, variables) and
            classes (patients,): shape (patients, candidates), each patient judged alone.
    """

    layout: Layout
    networks: tuple[bytes, ...]
    latent: int
    shares: NDArray[np.float64]
    patients: float
    verdicts: Verdicts

    def drawn(self, at: int, classes: Classes, name: str) -> Units:
        """Gives synthetic patients of a candidate, shape (patients, variables).

        They are the same ones each time: a run that goes on must ask as it asked before. No patient is involved.

        Args:
            at: Which candidate.
            classes: Class of each patient, shape (patients,).
            name: What they are for.
        """
        schema = self.layout.schema
        generator = Generator(schema, "candidate", self.networks[at], self.latent, tuple(self.shares.tolist()))
        return encode(generator.run(classes, Seed(0).stream(name, at)), self.layout)


@dataclass(frozen=True, eq=False, repr=False)
class Pool:
    """Synthetic patients of all candidates, one candidate after the other.

    Attributes:
        units: Shape (pool, variables).
        classes: Shape (pool,).
        owner: The candidate of each, shape (pool,).
    """

    units: Units
    classes: Classes
    owner: NDArray[np.int64]

    @classmethod
    def of(cls, field: Field, size: int = _POOL) -> Pool:
        """Draws as many patients of each candidate.

        Args:
            field: The candidates.
            size: How many of each.
        """
        drawing = Seed(0).stream("pool")
        classes = [drawing.choice(len(field.shares), size, p=field.shares) for _ in field.networks]
        units = [field.drawn(at, mine, "pool patients") for at, mine in enumerate(classes)]
        owner = np.repeat(np.arange(len(field.networks)), size)
        return cls(np.concatenate(units), np.concatenate(classes).astype(np.int64), owner)


def decided(choice: Choice, records: Records, field: Field) -> NDArray[np.float64]:
    """Chooses among candidates on the patients, and gives the weight of each.

    Neighbours: add or remove one patient. Event: the planned pure event, as many runs as the way takes. Not protected:
    the candidates, which are functions of private gradients. In a fit without privacy the best are taken.

    Args:
        choice: The way.
        records: The patients.
        field: The candidates.

    Returns:
        Shape (candidates,); 0 for those that were not chosen, sums to 1.

    Raises:
        BudgetError: The choice is not planned or spent, or one that was paid for is lost.
    """
    if choice.how == "boosting":
        pool = Pool.of(field)
        phi = boosted_pool(choice, records, field, pool)
        weights = np.bincount(pool.owner, weights=phi, minlength=len(field.networks)).astype(np.float64)
        return heaviest(weights, choice.k)
    places = records.choose(CHOICE, recognition(field), choice.runs)
    counts = np.bincount(places, minlength=len(field.networks)).astype(np.float64)
    return counts / len(places)


def recognition(field: Field) -> Recognition:
    """Teaches the classifiers of each candidate, by its synthetic patients alone, as many of each class.

    Args:
        field: The candidates.
    """
    design, number = Design(field.layout), len(field.shares)
    classes = np.tile(np.arange(number), max(_FEWEST, _TAUGHT // number))
    rows = (design.rows(field.drawn(at, classes, "taught")) for at in range(len(field.networks)))
    return Recognition(design, tuple(taught(one, classes) for one in rows), class_weights(field.shares))


def boosted_pool(choice: Choice, records: Records, field: Field, pool: Pool) -> NDArray[np.float64]:
    """Gives the weight of each patient of the pool after the boosting, shape (pool,)."""
    said = field.verdicts(pool.units, pool.classes)
    return boosted(records, Heard(field.verdicts), said, patients=field.patients, rounds=choice.rounds)


def heaviest(weights: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Gives the weights of the k heaviest candidates, so that they sum to 1, and 0 for the others.

    Example:
        >>> heaviest(np.array([0.125, 0.375, 0.375, 0.125]), 2).tolist()
        [0.0, 0.5, 0.5, 0.0]
    """
    kept = np.zeros(len(weights))
    top = np.argsort(-weights, kind="stable")[:k]
    kept[top] = weights[top]
    return kept / kept.sum()


def told(weights: NDArray[np.float64], steps: Sequence[int], choice: Choice) -> str:
    """Gives a note for the steward: the weights of which steps the generator has.

    Args:
        weights: Shape (candidates,).
        steps: The step of each candidate.
        choice: The way.
    """
    chosen = [(steps[at], weight) for at, weight in enumerate(weights.tolist()) if weight]
    parts = ", ".join(f"step {step}" if len(chosen) == 1 else f"step {step} ({part:.0%})" for step, part in chosen)
    kind = "The generator has the weights of" if len(chosen) == 1 else "The generator is a mixture of the weights of"
    return f"{kind} {parts}, of {len(weights)} candidates, chosen on patients by {choice.how} ({CHOICE} in the ledger)."
