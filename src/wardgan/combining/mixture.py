"""A mixture of generators: each patient comes from one hospital's generator, drawn with its share.

The classes' shares are those of the members, weighed; which member a patient of a class comes from follows from the
same shares (Bayes), or from shares of that class that somebody declared. Members draw their patients as they always
do, rules and all, and what they draw is put into the common schema. So a sample is one from the mixture of the members'
distributions: each patient's member is drawn independently, and their numbers are multinomial.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan import check
from wardgan.combining.leaf import Leaf
from wardgan.combining.records import name_problem
from wardgan.encode.layout import Layout
from wardgan.errors import UsageError
from wardgan.estimate import proportion
from wardgan.imaging.marks import Batch
from wardgan.rng import Seed
from wardgan.sample.conditions import Conditions, Where, conditions
from wardgan.sample.drawing import BLOCK, Drawn, Effort, Search, filled_block, lawful, put
from wardgan.sample.generator import refuse_large, replayable
from wardgan.sample.images import Painter, SyntheticImages
from wardgan.sample.search import Efficiency
from wardgan.sample.spans import Span, chunks, spans, told
from wardgan.schema.cohort import Cohort, joined
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema
from wardgan.schema.texts import travels

# A member's patients of one large block come in parts of so many, each with random numbers of its own.
_FIRST: Final = 256
_PART: Final = 8_192
_LARGEST: Final = 1 << 20
_CELLS: Final = 1 << 26
_PILOT: Final = 16_384
# Of a member that has no share, for a class that only it knows.
_LEAST: Final = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Mixture:
    """Draws synthetic patients from several generators; it is used like a `Generator`.

    Patient `i` of a seed is always the same, whatever the number of patients, the chunks or the workers.

    Attributes:
        schema: What the patients obey; with a `site` column if one was asked for.
        leaves: The generators.
        privacy: What the receiver is told: mode, epsilon, delta, unit, neighbours.
        site: Name of the column that says which member a patient is drawn from; `None` for none.
    """

    schema: Schema
    leaves: tuple[Leaf, ...]
    privacy: Mapping[str, object]
    site: str | None = None

    family: str = "mixture"

    def __repr__(self) -> str:
        epsilon = self.privacy.get("epsilon")
        claim = "NOT PRIVATE" if epsilon is None else f"epsilon {epsilon:g}"
        return f"Mixture({self.schema.name!r}, {len(self.leaves)} generators, {claim})"

    @cached_property
    def table(self) -> NDArray[np.float64]:
        """Probability of each leaf and class, shape (leaves, classes); sums to 1."""
        found = np.zeros((len(self.leaves), self.schema.classes))
        for row, leaf in enumerate(self.leaves):
            np.add.at(found[row], leaf.to_class, leaf.joint)
        return found / found.sum()

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each leaf, shape (leaves,)."""
        return self.table.sum(axis=1)

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Share of each class."""
        return tuple(self.table.sum(axis=0).tolist())

    def sited(self, column: str) -> Mixture:
        """Gives the same mixture with a column that says which member each patient is drawn from.

        Args:
            column: Name of the new column, whose levels are the members' names.

        Raises:
            UsageError: The schema has a column of that name, or draws images, or a name is a formula for spreadsheets.
        """
        if self.schema.images is not None:
            raise UsageError("site: images carry labels only, so the site cannot be one; sample the members instead.")
        if any(one.name == column for one in self.schema.columns) or column == self.schema.patient:
            raise UsageError(f"site={column!r} is a column of the schema; choose another name.")
        if not travels(column):
            raise UsageError(
                "site: the name has characters that cannot be shown safely, or is a formula for spreadsheets."
            )
        levels = tuple(dict.fromkeys(leaf.name for leaf in self.leaves))
        problem = next(filter(None, map(name_problem, levels)), None)
        if problem is not None:
            raise UsageError(f"site: {problem}; combine again with another name for it in a recipe.")
        added = Column(column, "category", levels=levels)
        return replace(self, schema=replace(self.schema, table=(*self.schema.table, added)), site=column)

    def sample(
        self, n: int, *, where: Where | None = None, balance: str | None = None, seed: int | None = None
    ) -> pd.DataFrame:
        """Gives `n` synthetic patients; arguments and result as those of `Generator.sample`."""
        return self.draw(n, where=where, balance=balance, seed=seed).frame()

    def stream(
        self, n: int, *, chunk: int = 8 * BLOCK, where: Where | None = None, balance: str | None = None,
        seed: int | None = None,
    ) -> Iterator[pd.DataFrame]:  # fmt: skip
        """Gives `n` synthetic patients in chunks, in constant memory; the rows are those of `sample`."""
        return (cohort.frame() for cohort in self.draws(n, chunk=chunk, where=where, balance=balance, seed=seed))

    def draw(
        self, n: int, *, where: Where | None = None, balance: str | None = None, seed: int | None = None
    ) -> Cohort:
        """Gives `n` synthetic patients as a cohort; arguments as in `sample`."""
        check.whole(0, n=n)
        refuse_large(n, len(Layout.of(self.schema)))
        return next(self.draws(n, chunk=max(n, 1), where=where, balance=balance, seed=seed))

    def draws(
        self, n: int, *, chunk: int = 8 * BLOCK, where: Where | None = None, balance: str | None = None,
        seed: int | None = None, drew: Callable[[Drawn], None] | None = None,
    ) -> Iterator[Cohort]:  # fmt: skip
        """Gives `n` synthetic patients as cohorts of `chunk` patients; arguments as those of `Generator.draws`."""
        return self.part(0, n, chunk=chunk, where=where, balance=balance, seed=seed, drew=drew)

    def part(
        self, skip: int, n: int, *, chunk: int = 8 * BLOCK, where: Where | None = None, balance: str | None = None,
        seed: int | None = None, threads: int | None = None, drew: Callable[[Drawn], None] | None = None,
    ) -> Iterator[Cohort]:  # fmt: skip
        """Gives patients `skip` + 1 to `skip` + `n` of a seed; arguments as those of `Generator.part`.

        Blocks are larger here, and of those in which they begin and end only the parts are drawn in which they are.
        """
        check.whole(0, skip=skip, n=n)
        check.whole(1, chunk=chunk, threads=1 if threads is None else threads)
        if self.schema.images is not None:
            raise UsageError(f"mixture {self.schema.name!r} draws images; use images, image_batches or dataset.")
        wanted = self._wanted(where, balance)
        return chunks(told(self._blocks(skip, n, wanted, replayable(seed), threads), drew), chunk)

    def efficiency(
        self, *, where: Where | None = None, balance: str | None = None, seed: int | None = None
    ) -> Efficiency:
        """Gives how many patients must be drawn for those who are kept, from a pilot; see `Generator.efficiency`."""
        wanted = self._wanted(where, balance)
        number = np.arange(_PILOT)
        stream = replayable(seed).stream("pilot")
        patients = self._run(wanted.classes(number % len(wanted.turns), stream), stream)
        kept = int(wanted.hold(patients).sum())
        found = proportion(kept, _PILOT)
        return Efficiency(found, found, {}, proposed=False)

    def images(
        self, n: int, *, where: Where | None = None, balance: str | None = None, seed: int | None = None
    ) -> Batch:
        """Gives `n` synthetic images with their labels; arguments and result as those of `Generator.images`."""
        check.whole(0, n=n)
        refuse_large(n, len(Layout.of(self.schema)), images=True)
        return next(self.image_batches(n, chunk=max(n, 1), where=where, balance=balance, seed=seed))

    def image_batches(
        self, n: int, *, chunk: int = 1_024, where: Where | None = None, balance: str | None = None,
        seed: int | None = None,
    ) -> Iterator[Batch]:  # fmt: skip
        """Gives `n` synthetic images in batches, in constant memory; see `Generator.image_batches`."""
        check.whole(0, n=n)
        check.whole(1, chunk=chunk)
        wanted = self._wanted(where, balance)
        return self._painter().batches(n, chunk, wanted, replayable(seed))

    def dataset(
        self, n: int, *, where: Where | None = None, balance: str | None = None, seed: int | None = None
    ) -> SyntheticImages:
        """Gives `n` synthetic images as a data set for torch; see `Generator.dataset`."""
        check.whole(0, n=n)
        wanted = self._wanted(where, balance)
        return SyntheticImages(self._painter(), wanted, replayable(seed), n)

    def counts(self, n: int, *, seed: int) -> dict[str, int]:
        """Gives how many of the first `n` patients of a seed come from each member.

        Args:
            n: How many patients.
            seed: Of the sample.
        """
        if self.schema.images is not None:
            raise UsageError("counts: of images the labels alone are known; count the members of a table's mixture.")
        check.whole(0, n=n)
        wanted = self._wanted(None, None)
        found = np.zeros(len(self.leaves), dtype=np.int64)
        for start in range(0, n, self._size):
            leaf, _ = self._assigned(start // self._size, wanted, Seed(seed))
            found += np.bincount(leaf[: n - start], minlength=len(found))
        return {leaf.name: int(count) for leaf, count in zip(self.leaves, found, strict=True)}

    def _wanted(self, where: Where | None, balance: str | None) -> Conditions:
        """Gives what is asked for, and refuses classes that no member could ever draw."""
        found = conditions(self.schema, self.probabilities, where, balance)
        never = np.flatnonzero(found.turns.any(axis=0) & ~self._could.any(axis=1))
        if len(never):
            raise UsageError(
                f"where: no member knows patients of {self.schema.class_name(int(never[0]))}; ask for other labels."
            )
        return found

    @cached_property
    def _could(self) -> NDArray[np.bool_]:
        """Whether a leaf has a class at all, shape (classes, leaves)."""
        return np.array([[index in leaf.to_class for leaf in self.leaves] for index in range(self.schema.classes)])

    @cached_property
    def _size(self) -> int:
        """Patients in a block: many, so that each member has many of them, and few enough for memory."""
        return max(BLOCK, min(_LARGEST, 1 << ((_CELLS // max(self.schema.cells, 1)).bit_length() - 1)))

    @cached_property
    def _edges(self) -> NDArray[np.float64]:
        """Running shares of the leaves in each class, shape (classes, leaves); the last one is 1."""
        table = self.table.T
        whole = table.sum(axis=1, keepdims=True)
        # A class that no patient has is drawn only if it is asked for: from those who could say it.
        shares = np.where(whole > 0, table, self._could * np.maximum(self.shares, _LEAST))
        edges = np.cumsum(np.where(shares.any(axis=1, keepdims=True), shares, 1.0), axis=1)
        return edges / edges[:, -1:]

    def _leaves_of(self, classes: NDArray[np.int64], chance: NDArray[np.float64]) -> NDArray[np.intp]:
        """Gives the leaf of each patient from the class and a uniform number; shape (patients,)."""
        count = len(self.leaves)
        flat = (self._edges + np.arange(len(self._edges))[:, None]).ravel()
        found = np.searchsorted(flat, chance + classes, side="right") - classes * count
        last = count - 1 - np.argmax(np.diff(self._edges, prepend=0.0, axis=1)[:, ::-1] > 0, axis=1)
        return np.minimum(found, last[classes])

    def _assigned(
        self, block: int, wanted: Conditions, seed: Seed
    ) -> tuple[NDArray[np.intp], NDArray[np.int64]]:  # fmt: skip
        """Gives leaf and class of each patient of a block, shape (patients,) each."""
        stream = seed.stream("mixture", block)
        turns = (np.arange(self._size) + block * self._size) % len(wanted.turns)
        classes = wanted.classes(turns, stream)
        return self._leaves_of(classes, stream.random(len(classes))), classes

    def _blocks(
        self, skip: int, n: int, wanted: Conditions, seed: Seed, threads: int | None
    ) -> Iterator[tuple[Cohort, Drawn]]:  # fmt: skip
        if wanted.others:
            search = Search(wanted, None, Effort(wanted))
            for span in spans(skip, n, BLOCK):
                patients, drawn = filled_block(self._run, search, span.block, span.stop, seed)
                yield patients.take(slice(span.start, None)), drawn
            return
        with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
            for span in spans(skip, n, self._size):
                yield self._block(pool, self._assigned(span.block, wanted, seed), span, seed)

    def _block(
        self, pool: ThreadPoolExecutor, assigned: tuple[NDArray[np.intp], NDArray[np.int64]], span: Span, seed: Seed
    ) -> tuple[Cohort, Drawn]:  # fmt: skip
        """Gives some patients of a block. Who they are never depends on how many."""
        leaf, classes = assigned
        block, start, stop = span
        whole = _empty(self.schema, stop - start, block * self._size + start)
        tasks: list[tuple[int, NDArray[np.intp], int]] = []
        for number in np.unique(leaf[start:stop]):
            rows = np.flatnonzero(leaf == number)
            least, most = np.searchsorted(rows, (start, stop))
            cuts = enumerate(parts(len(rows)))
            tasks += [(int(number), rows[cut], place) for place, cut in cuts if cut.start < most and cut.stop > least]

        def part(task: tuple[int, NDArray[np.intp], int]) -> Drawn:
            number, rows, place = task
            name = f"mixture/{self.leaves[number].digest}/{self.leaves[number].name}/{block}"
            made, drawn = self._members(number, classes[rows], seed.stream(name, place))
            least, most = map(int, np.searchsorted(rows, (start, stop)))
            put(whole, rows[least:most] - start, made, slice(least, most))
            return drawn

        return whole, sum(pool.map(part, tasks), Drawn())

    def _members(self, number: int, classes: NDArray[np.int64], stream: np.random.Generator) -> tuple[Cohort, Drawn]:
        """Gives patients of one leaf, of the mixture's classes, shape (patients,)."""
        leaf = self.leaves[number]
        own = leaf.own_classes(classes, stream.random(len(classes)))
        cohort, drawn = lawful(leaf.generator().run, own, stream)
        found = leaf.translated(cohort)
        if self.site is not None:
            place = float(self.schema.column(self.site).places[leaf.name])
            found = replace(
                found, schema=self.schema, static={**found.static, self.site: np.full(len(found), place)}
            )  # fmt: skip
        return found, drawn

    def _run(self, classes: NDArray[np.int64], stream: np.random.Generator, placed: object = None) -> Cohort:
        """Gives one patient of each class, each from a leaf of its own, shape (patients,)."""
        del placed
        leaf = self._leaves_of(classes, stream.random(len(classes)))
        numbers = np.unique(leaf) if len(leaf) else np.zeros(1, dtype=np.intp)
        rows = [np.flatnonzero(leaf == number) for number in numbers]
        found = [self._members(int(number), classes[row], stream)[0] for number, row in zip(numbers, rows, strict=True)]
        return joined(found).take(np.argsort(np.concatenate(rows), kind="stable"))

    def _painter(self) -> Painter:
        look = self.schema.images
        if look is None:
            raise UsageError(f"mixture {self.schema.name!r} draws tables and visits; use sample, stream or draw.")
        # Two more normals for each image: one chooses the leaf, the other which of its classes.
        latent = max(leaf.generator().latent for leaf in self.leaves)
        return Painter(self.schema, look, self._pixels, latent + 2)

    def _pixels(self, latent: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        chance = np.array([0.5 * math.erfc(-float(one) / math.sqrt(2)) for one in latent[:, -2:].ravel()])
        first, second = chance.reshape(-1, 2).clip(0.0, 1 - 2.0**-53).T
        leaf = self._leaves_of(classes, first)
        found: dict[int, NDArray[np.float32]] = {}
        for number in np.unique(leaf):
            one, rows = self.leaves[number], np.flatnonzero(leaf == number)
            generator = one.generator()
            own = one.own_classes(classes[rows], second[rows])
            made = generator.pixels(np.ascontiguousarray(latent[rows, : generator.latent]), own)
            found |= dict(zip(rows.tolist(), made, strict=True))
        return np.stack([found[row] for row in range(len(leaf))])


def _empty(schema: Schema, count: int, first: int) -> Cohort:
    """Gives a cohort whose cells are not written yet."""
    visits = schema.visits
    slots = len(visits.slots) if visits else 0
    return Cohort(
        schema,
        {column.name: np.empty(count) for column in schema.table},
        {column.name: np.empty((count, slots)) for column in (visits.columns if visits else ())},
        np.empty((count, slots), dtype=bool) if visits else None,
        np.arange(count) + first + 1,
    )


def parts(count: int) -> Iterator[slice]:
    """Yields slices of so many patients: a short one first, so that a few patients are drawn quickly.

    Example:
        >>> [(one.start, one.stop) for one in parts(5000)]
        [(0, 256), (256, 5000)]
    """
    stop = 0
    while stop < count:
        start, stop = stop, min(count, stop + (_PART if stop else _FIRST))
        yield slice(start, stop)
