"""Patients from a network: those who obey the rules, those who meet conditions, and the block that they fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import UsageError
from wardgan.rng import Seed
from wardgan.sample.conditions import Conditions
from wardgan.sample.proposal import Proposal
from wardgan.schema.cohort import Cohort, joined
from wardgan.schema.read import broken_rules

BLOCK: Final = 16_384
PATIENCE: Final = 1 << 21
MOST: Final = 1 << 25
_FEWEST: Final = 1_024


class Placed(Protocol):
    """Moves standard normals to where candidates shall be."""

    def __call__(self, normals: NDArray[np.float32], start: int) -> NDArray[np.float32]:
        """Gives the latent normals of the candidates from number `start` on, shape (patients, latent)."""
        ...


class Run(Protocol):
    """Runs the network."""

    def __call__(self, classes: NDArray[np.int64], stream: np.random.Generator, placed: Placed | None = None) -> Cohort:
        """Gives one patient of each class of shape (patients,), whether or not the rules are obeyed."""
        ...


@dataclass(frozen=True)
class Drawn:
    """How many patients were drawn for a sample.

    Attributes:
        patients: Drawn from the network in all.
        kept: How many of them obeyed the rules and met the conditions.
        broken: For each rule, how many broke it and were drawn again.
    """

    patients: int = 0
    kept: int = 0
    broken: Mapping[str, int] = field(default_factory=dict[str, int])

    def __add__(self, other: Drawn) -> Drawn:
        rules = dict.fromkeys([*self.broken, *other.broken])
        counts = {rule: self.broken.get(rule, 0) + other.broken.get(rule, 0) for rule in rules}
        return Drawn(self.patients + other.patients, self.kept + other.kept, counts)


class Met(NamedTuple):
    """Patients who met the conditions.

    Attributes:
        patients: They.
        source: Which draw each of them comes from, shape (patients,).
        drawn: What it took.
    """

    patients: Cohort
    source: NDArray[np.intp]
    drawn: Drawn


@dataclass(frozen=True)
class Effort:
    """How the search for patients who meet the conditions goes in one block.

    Attributes:
        wanted: The conditions.
        proved: Whether candidates come from where the conditions can hold.
        drawn: Draws so far.
        kept: How many of them met the conditions.
        idle: Draws since the last one that did.
    """

    wanted: Conditions
    proved: bool = False
    drawn: int = 0
    kept: int = 0
    idle: int = 0

    def after(self, drawn: int, kept: int) -> Effort:
        """Gives the state after some more draws."""
        return replace(self, drawn=self.drawn + drawn, kept=self.kept + kept, idle=0 if kept else self.idle + drawn)

    def size(self, waiting: int) -> int:
        """Gives how many to draw next: about as many as are needed."""
        return int(np.clip(1.1 * waiting * self.drawn / max(self.kept, 1), _FEWEST, BLOCK))

    def check(self, *, needed: int) -> None:
        """Refuses to go on if the conditions are so rare that the sample would never be filled."""
        slow = self.drawn > PATIENCE and needed * self.drawn > MOST * self.kept
        if not (slow or self.idle > PATIENCE or self.drawn > MOST):
            return
        where = " where the conditions can hold" if self.proved else ""
        raise UsageError(
            f"where: {self.kept:,} of {self.drawn:,} drawn patients{where} meet the conditions on {self.wanted.names}; "
            "that is too rare to fill the sample. Ask for fewer patients or a wider range, see whether a rule of the "
            "schema excludes them, or declare the column as a label and fit again. Private noise may have left nobody "
            "there."
        )


@dataclass(frozen=True)
class Search:
    """How patients are looked for.

    Attributes:
        wanted: The conditions.
        proposal: Where candidates come from; `None` for ordinary patients, who are drawn until the conditions hold.
        effort: The state before the first block: what a trial of the proposal showed, or nothing.
    """

    wanted: Conditions
    proposal: Proposal | None
    effort: Effort


def lawful(run: Run, classes: NDArray[np.int64], stream: np.random.Generator) -> tuple[Cohort, Drawn]:
    """Gives one patient of each class who obeys the rules, and what it took.

    Args:
        run: Runs the network.
        classes: Shape (patients,).
        stream: Source of randomness.

    Raises:
        UsageError: Hardly any patient of a class obeys the rules.
    """
    patients = run(classes, stream)
    bad, counts = judged(patients)
    drawn = Drawn(len(classes), len(classes), counts)
    waiting = np.flatnonzero(bad)
    tried = len(classes)
    while len(waiting):
        if tried > 2 * PATIENCE:
            rules = ", ".join(rule.text for rule in patients.schema.rules)
            raise UsageError(f"rules: in some class hardly any patient of the network obeys {rules}; change the rules.")
        rows = np.resize(waiting, max(len(waiting), _FEWEST))
        more = run(classes[rows], stream)
        tried += len(rows)
        good = np.flatnonzero(~judged(more)[0])
        found, first = np.unique(rows[good], return_index=True)
        drawn += _looked_at(more, rows, found, good[first])
        put(patients, found, more, good[first])
        waiting = np.setdiff1d(waiting, found, assume_unique=True)
    return patients, drawn


def _looked_at(more: Cohort, rows: NDArray[np.intp], found: NDArray[np.intp], first: NDArray[np.intp]) -> Drawn:
    """Counts the patients up to the first one who was kept for each place; more may have been drawn at once."""
    last = np.full(int(rows.max()) + 1, len(rows))
    last[found] = first
    seen = more.take(np.flatnonzero(np.arange(len(rows)) <= last[rows]))
    return Drawn(len(seen), 0, judged(seen)[1])


def filled_block(run: Run, search: Search, block: int, stop: int, seed: Seed) -> tuple[Cohort, Drawn]:
    """Gives the first `stop` patients of a block, and what it took. Who they are never depends on `stop`.

    Args:
        run: Runs the network.
        search: The conditions, and where candidates come from.
        block: Number of the block.
        stop: How many patients of it are wanted, 0 to `BLOCK`.
        seed: Replays the sample.

    Raises:
        UsageError: Almost no patient meets the conditions.
    """
    fill = _plain_block if search.proposal is None or not stop else _proposed_block
    return fill(run, search, block, stop, seed)


def _plain_block(run: Run, search: Search, block: int, stop: int, seed: Seed) -> tuple[Cohort, Drawn]:
    wanted = search.wanted
    stream = seed.stream("patients", block)
    number = np.arange(BLOCK if stop else 0) + block * BLOCK
    turns = number % len(wanted.turns)
    patients, drawn = lawful(run, wanted.classes(turns, stream), stream)
    patients = replace(patients, patients=number + 1)
    waiting = np.flatnonzero(~wanted.hold(patients))
    drawn = replace(drawn, kept=len(number) - len(waiting))
    effort = search.effort.after(len(number), drawn.kept)
    while len(waiting) and waiting[0] < stop:
        effort.check(needed=int(np.searchsorted(waiting, stop)))
        their = np.resize(turns[waiting], effort.size(len(waiting)))
        more, took = lawful(run, wanted.classes(their, stream), stream)
        good = np.flatnonzero(wanted.hold(more))
        drawn += replace(took, kept=len(good))
        effort = effort.after(len(their), len(good))
        rows, source = _matched(waiting, turns[waiting], good, their[good])
        put(patients, rows, more, source)
        waiting = np.setdiff1d(waiting, rows, assume_unique=True)
    return patients.take(slice(stop)), drawn


def _proposed_block(run: Run, search: Search, block: int, stop: int, seed: Seed) -> tuple[Cohort, Drawn]:
    wanted = search.wanted
    stream = seed.stream("patients", block)
    number = np.arange(BLOCK) + block * BLOCK
    turns = number % len(wanted.turns)
    waiting, place = np.arange(BLOCK), np.zeros(BLOCK, dtype=np.intp)
    found: list[Cohort] = []
    drawn, effort = Drawn(), search.effort
    while len(waiting) and waiting[0] < stop:
        effort.check(needed=int(np.searchsorted(waiting, stop)))
        their = np.resize(turns[waiting], effort.size(len(waiting)))
        met = candidates(run, search, their, stream)
        effort = effort.after(len(their), len(met.source))
        rows, source = _matched(waiting, turns[waiting], np.arange(len(met.source)), their[met.source])
        place[rows] = source + sum(len(each) for each in found)
        found.append(met.patients)
        drawn += met.drawn
        waiting = np.setdiff1d(waiting, rows, assume_unique=True)
    return replace(joined(found).take(place[:stop]), patients=number[:stop] + 1), drawn


def candidates(run: Run, search: Search, turn: NDArray[np.intp], stream: np.random.Generator) -> Met:
    """Gives those of some candidates who obey the rules and meet the conditions.

    Ordinary patients are drawn again within their class until they obey the rules, so each class y keeps its share,
    and a patient of it who obeys them is 1 / r_y times as likely as the network makes it, with r_y the share of the
    class that obeys. That is in proportion to the product of the r of all other classes. So a candidate is kept if one
    ordinary patient of each other class that it might have had obeys the rules: with just this chance, and without
    knowing r.

    Args:
        run: Runs the network.
        search: The conditions, and where candidates come from.
        turn: Row of `wanted.turns` of each draw, shape (draws,).
        stream: Source of randomness.
    """
    proposal = search.proposal
    if proposal is None:
        raise UsageError("search: it has no proposal to draw candidates from.")
    found = proposal.draw(turn, stream)
    patients = run(found.classes, stream, found.placed)
    bad, counts = judged(patients)
    drawn = Drawn(len(patients), 0, counts)
    good = np.flatnonzero(~bad & search.wanted.hold(patients))
    if patients.schema.rules:
        row, other = np.nonzero(proposal.others(found.classes[good], turn[found.source[good]]))
        lost = np.zeros(len(good), dtype=bool)
        for start in range(0, len(row), BLOCK):
            part = slice(start, start + BLOCK)
            bad, counts = judged(run(other[part].astype(np.int64), stream))
            drawn += Drawn(len(bad), 0, counts)
            lost[row[part][bad]] = True
        good = good[~lost]
    return Met(patients.take(good), found.source[good], replace(drawn, kept=len(good)))


def judged(patients: Cohort) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Gives which patients break a rule, shape (patients,), and how many break each."""
    masks = broken_rules(patients)
    bad = np.logical_or.reduce(masks) if masks else np.zeros(len(patients), dtype=bool)
    return bad, {rule.text: int(mask.sum()) for rule, mask in zip(patients.schema.rules, masks, strict=True)}


def _matched(
    waiting: NDArray[np.intp], turns: NDArray[np.intp], good: NDArray[np.intp], their: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs waiting places with accepted patients of the same turn, both in order."""
    rows, source = [waiting[:0]], [good[:0]]
    for turn in np.unique(their):
        places, found = waiting[turns == turn], good[their == turn]
        size = min(len(places), len(found))
        rows.append(places[:size])
        source.append(found[:size])
    return np.concatenate(rows), np.concatenate(source)


def put(patients: Cohort, rows: NDArray[np.intp], other: Cohort, source: NDArray[np.intp] | slice) -> None:
    """Writes some patients of another cohort over rows of one that nobody else has seen yet.

    Args:
        patients: Who is written over.
        rows: Which of them.
        other: Whose cells are taken.
        source: Which of these, one for each row.
    """
    for name, codes in patients.static.items():
        codes[rows] = other.static[name][source]
    for name, codes in patients.measured.items():
        codes[rows] = other.measured[name][source]
    if patients.present is not None and other.present is not None:
        patients.present[rows] = other.present[source]
