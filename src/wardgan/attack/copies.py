"""Copies: do patients who are unlike all others occur among the synthetic ones, cell by cell?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wardgan.attack.chance import unlikely
from wardgan.attack.inference import compared
from wardgan.attack.membership import tested
from wardgan.attack.nearest import nearest
from wardgan.attack.patients import Parties, Rows, keys
from wardgan.attack.result import Power, Question, Result, too_few
from wardgan.estimate import exact_proportion, proportion
from wardgan.rng import Seed


def copied(parties: Parties, question: Question) -> Result:
    """Gives how much more often training patients occur among the synthetic ones, cell by cell, than hold-out patients.

    Only patients who occur once among all real ones are counted: what several share is nobody's secret.

    Args:
        parties: The patients.
        question: What is asked.
    """
    ours, theirs = _unique(parties)
    few = too_few({"unique training": len(ours), "unique hold-out": len(theirs)})
    if few:
        return question.unanswered(few, len(ours))
    made = np.unique(keys(parties.synthetic))
    trials = [[(int(np.isin(keys(rows), made).sum()), len(rows))] for rows in (ours, theirs)]
    return compared(question, *trials)


def certain_copies(parties: Parties, question: Question) -> Result:
    """Gives the share of training patients who occur among the synthetic ones where chance cannot explain it.

    Counted are patients who occur once among all real ones, and whose values are so rare together that chance would
    bring them about less than once in a million times (`unlikely`). One such copy is a leak.

    Args:
        parties: The patients.
        question: What is asked; the limit is 0.
    """
    ours, theirs = _unique(parties)
    # Not of the synthetic ones: whoever hands out one patient many times would make that patient common.
    real = np.concatenate([parties.train, parties.holdout])
    trials = len(parties.synthetic)
    ours, theirs = (rows[unlikely(rows, real, parties.variables.sources, trials=trials)] for rows in (ours, theirs))
    few = too_few({"special training": len(ours)})
    if few:
        return question.unanswered(few, len(ours))
    made = np.unique(keys(parties.synthetic))
    count = int(np.isin(keys(ours), made).sum())
    base = float(np.isin(keys(theirs), made).mean()) if len(theirs) else None
    plain, joint = (
        exact_proportion(count, len(ours), baseline=base, confidence=level) for level in (0.95, question.confidence)
    )
    return question.judged(plain, joint, Power(1 / len(ours), enough=True))


def nearer_to_training(parties: Parties, question: Question, *, seed: Seed) -> Result:
    """Gives the share of synthetic patients who are nearer to the training than to the hold-out; equal ones count half.

    For information only: the share is an average over all synthetic patients, and generators that pass it leak.

    Args:
        parties: The patients.
        question: What is asked.
        seed: Of the sample: as many training as hold-out patients, and who is tested.
    """
    size = min(len(parties.train), len(parties.holdout))
    few = too_few({"training": size, "synthetic": len(parties.synthetic)})
    if few:
        return question.unanswered(few, size)
    made = tested(parties.synthetic, seed, "attack/synthetic")
    one, two = (
        nearest(made, rows[np.sort(seed.stream("attack/even", step).permutation(len(rows))[:size])], numeric)[0]
        for step, (rows, numeric) in enumerate(
            (rows, parties.variables.numeric) for rows in (parties.train, parties.holdout)
        )
    )
    nearer = int((one < two).sum() + (one == two).sum() // 2)
    plain, joint = (
        proportion(nearer, len(made), baseline=0.5, confidence=level) for level in (0.95, question.confidence)
    )
    return question.answered(plain, joint, (0.25 / len(made)) ** 0.5)


def _unique(parties: Parties) -> tuple[Rows, Rows]:
    """Gives the training and the hold-out patients who occur once among both."""
    both = keys(np.concatenate([parties.train, parties.holdout]))
    _, place, count = np.unique(both, return_inverse=True, return_counts=True)
    alone: NDArray[np.bool_] = count[place.ravel()] == 1
    cut = len(parties.train)
    return parties.train[alone[:cut]], parties.holdout[alone[cut:]]
