"""The generator: a network, a schema and class shares. No patients, and no way back to them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.encode.units import decode
from wardgan.errors import NetworkError, UsageError
from wardgan.rng import Seed
from wardgan.sample.conditions import Conditions, Where, conditions
from wardgan.schema.cohort import Cohort, joined
from wardgan.schema.read import broken
from wardgan.schema.schema import Schema

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BLOCK: Final = 16_384
_PART: Final = 2_048
_FEWEST: Final = 1_024
_MOST: Final = 1 << 25
_PATIENCE: Final = 1 << 21
_CELLS: Final = 1 << 32
_MEMORY: Final = 1 << 32
_CELL: Final = 48


@dataclass(frozen=True, eq=False, repr=False)
class Generator:
    """Draws synthetic patients.

    Patient `i` of a seed is always the same, whatever the number of patients, the chunks or the workers: patients
    come in blocks of 16,384, and each block has random numbers of its own (Philox, keyed by seed and block).

    A patient who breaks a rule of the schema is drawn again within the class, so the classes keep their shares. A
    patient who does not meet `where` is drawn again, class and all, so the sample follows the conditional
    distribution.

    Attributes:
        schema: What the patients obey.
        family: The model family it comes from.
        network: ONNX bytes; the contract is in `wardgan.sample.network`.
        latent: How many standard normals the network wants for each patient.
        probabilities: Share of each class, shape (classes,); sums to 1.
        privacy: What the receiver is told: mode, epsilon, delta, unit, neighbours.
        row_bytes: Memory that the network takes for one patient, if it was checked as a foreign one.
    """

    schema: Schema
    family: str
    network: bytes
    latent: int
    probabilities: tuple[float, ...]
    privacy: Mapping[str, object] = field(default_factory=dict[str, object])
    row_bytes: int = 0

    def __post_init__(self) -> None:
        shares = np.asarray(self.probabilities, dtype=np.float64)
        if shares.shape != (self.schema.classes,) or not (shares >= 0).all() or not 0 < shares.sum() < np.inf:
            raise UsageError(f"probabilities: they are not shares of the schema's {self.schema.classes} classes.")

    def __repr__(self) -> str:
        epsilon = self.privacy.get("epsilon")
        claim = "NOT PRIVATE" if epsilon is None else f"epsilon {epsilon:g}"
        return f"Generator({self.schema.name!r}, {self.family}, {claim}, {len(self.network):,} bytes)"

    def sample(
        self, n: int, *, where: Where | None = None, balance: str | None = None, seed: int | None = None
    ) -> pd.DataFrame:
        """Gives `n` synthetic patients, in the form in which real ones were read.

        Args:
            n: How many, 0 or more.
            where: What they must have, such as `{"arm": "intensive", "age": (65, 80)}`: a level or a number, a list
                of them, or, as a tuple, a range with both ends included.
            balance: A label whose levels shall be equally frequent: they take turns, patient by patient.
            seed: Replays the sample; `None` draws a new one.

        Returns:
            One row per patient, or per visit that took place.

        Raises:
            UsageError: `n` or `seed` is no whole number, an unknown column or level, a condition that almost no
                patient meets or that leaves nothing to balance, or a sample too large for memory (use `stream`).
        """
        return self.draw(n, where=where, balance=balance, seed=seed).frame()

    def stream(
        self, n: int, *, chunk: int = 8 * BLOCK, where: Where | None = None, balance: str | None = None,
        seed: int | None = None,
    ) -> Iterator[pd.DataFrame]:  # fmt: skip
        """Gives `n` synthetic patients in chunks, in constant memory; the rows are those of `sample`.

        Args:
            n: How many, 0 or more.
            chunk: Patients in a chunk, at least 1.
            where: As in `sample`.
            balance: As in `sample`.
            seed: As in `sample`.
        """
        cohorts = self.draws(n, chunk=chunk, where=where, balance=balance, seed=seed)
        return (cohort.frame() for cohort in cohorts)

    def draw(
        self, n: int, *, where: Where | None = None, balance: str | None = None, seed: int | None = None
    ) -> Cohort:
        """Gives `n` synthetic patients as a cohort (for `wide` tables and further steps); arguments as in `sample`."""
        check.whole(0, n=n)
        cells = n * len(self.layout)
        if cells > _CELLS:
            raise UsageError(
                f"n={n} patients of {len(self.layout)} variables need about {cells * 16 >> 30:,} GiB of memory; use "
                "stream, or wardgan sample, which write any number of patients in constant memory."
            )
        return next(self.draws(n, chunk=max(n, 1), where=where, balance=balance, seed=seed))

    def draws(
        self, n: int, *, chunk: int = 8 * BLOCK, where: Where | None = None, balance: str | None = None,
        seed: int | None = None,
    ) -> Iterator[Cohort]:  # fmt: skip
        """Gives `n` synthetic patients as cohorts of `chunk` patients; arguments as in `stream`."""
        check.whole(0, n=n)
        check.whole(1, chunk=chunk)
        if seed is not None:
            check.whole(0, seed=seed)
        wanted = conditions(self.schema, self.probabilities, where, balance)
        # A fresh, replayable number: all blocks of one call must share it.
        replay = Seed(int.from_bytes(os.urandom(8), "big") if seed is None else seed)
        return _chunks(self._blocks(n, wanted, replay), chunk)

    @cached_property
    def layout(self) -> Layout:
        """The variables of the network's output."""
        return Layout.of(self.schema)

    @cached_property
    def _session(self) -> InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        with _refused():
            return onnxruntime.InferenceSession(self.network, options, providers=["CPUExecutionProvider"])

    def _blocks(self, n: int, wanted: Conditions, seed: Seed) -> Iterator[Cohort]:
        """Yields the patients block by block, a few blocks ahead of the reader; at least one block."""
        _ = self._session, self.layout  # made once, before the workers share them
        if n <= BLOCK:
            yield self._block(0, n, wanted, seed)
            return
        workers = self._workers()
        ahead: deque[Future[Cohort]] = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            for block in range(-(-n // BLOCK)):
                ahead.append(pool.submit(self._block, block, min(n - block * BLOCK, BLOCK), wanted, seed))
                if len(ahead) > 2 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _workers(self) -> int:
        """Gives how many blocks are made at the same time: one for each processor, fewer if that takes 4 GiB."""
        block = _PART * self.row_bytes + BLOCK * _CELL * len(self.layout)
        return max(1, min(os.cpu_count() or 1, _MEMORY // block))

    def _block(self, block: int, stop: int, wanted: Conditions, seed: Seed) -> Cohort:
        """Gives the first `stop` patients of a block. Who they are never depends on `stop`."""
        stream = seed.stream("patients", block)
        number = np.arange(BLOCK if stop else 0) + block * BLOCK
        turns = number % len(wanted.turns)
        patients = replace(self._lawful(wanted.classes(turns, stream), stream), patients=number + 1)
        waiting = np.flatnonzero(~wanted.hold(patients))
        search = _Search(wanted, drawn=len(number), kept=len(number) - len(waiting))
        while len(waiting) and waiting[0] < stop:
            search.check(needed=int(np.searchsorted(waiting, stop)))
            their = np.resize(turns[waiting], search.size(len(waiting)))
            more = self._lawful(wanted.classes(their, stream), stream)
            good = np.flatnonzero(wanted.hold(more))
            search = search.after(len(their), len(good))
            rows, source = _matched(waiting, turns[waiting], good, their[good])
            _put(patients, rows, more, source)
            waiting = np.setdiff1d(waiting, rows, assume_unique=True)
        return patients.take(slice(stop))

    def _lawful(self, classes: NDArray[np.int64], stream: np.random.Generator) -> Cohort:
        """Gives one patient of each class who obeys the rules."""
        patients = self._run(classes, stream)
        waiting = np.flatnonzero(broken(patients)[1])
        drawn = len(classes)
        while len(waiting):
            if drawn > 2 * _PATIENCE:
                rules = ", ".join(rule.text for rule in self.schema.rules)
                raise UsageError(
                    f"rules: in some class hardly any patient of the network obeys {rules}; change the rules."
                )
            rows = np.resize(waiting, max(len(waiting), _FEWEST))
            more = self._run(classes[rows], stream)
            good = np.flatnonzero(~broken(more)[1])
            found, first = np.unique(rows[good], return_index=True)
            _put(patients, found, more, good[first])
            waiting = np.setdiff1d(waiting, found, assume_unique=True)
            drawn += len(rows)
        return patients

    def _run(self, classes: NDArray[np.int64], stream: np.random.Generator) -> Cohort:
        units = np.empty((len(classes), len(self.layout)), dtype=np.float32)
        # Parts that stay in a processor's cache are faster than one large run. The normals are those of one large draw.
        for start in range(0, len(classes), _PART):
            label = classes[start : start + _PART]
            latent = stream.standard_normal((len(label), self.latent), dtype=np.float32)
            given = {"latent": latent, "label": label}
            with _refused():
                units[start : start + len(label)] = cast("NDArray[np.float32]", self._session.run(["units"], given)[0])
        return decode(units, classes, self.layout)


@contextmanager
def _refused() -> Iterator[None]:
    """Says in our own words that the engine does not take a network."""
    import onnxruntime.capi.onnxruntime_pybind11_state as engine  # pyright: ignore[reportMissingImports]

    kinds = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    refusals = cast("list[type[Exception]]", [getattr(engine, kind) for kind in kinds])
    try:
        yield
    except (*refusals, ValueError) as error:
        raise NetworkError(f"network: it cannot be run ({type(error).__name__}); ask its publisher.") from error


@dataclass(frozen=True)
class _Search:
    """How the search for patients who meet the conditions goes in one block."""

    wanted: Conditions
    drawn: int
    kept: int
    idle: int = 0

    def after(self, drawn: int, kept: int) -> _Search:
        """Gives the state after some more draws."""
        return replace(self, drawn=self.drawn + drawn, kept=self.kept + kept, idle=0 if kept else self.idle + drawn)

    def size(self, waiting: int) -> int:
        """Gives how many to draw next: about as many as are needed."""
        return int(np.clip(1.1 * waiting * self.drawn / max(self.kept, 1), _FEWEST, BLOCK))

    def check(self, *, needed: int) -> None:
        """Refuses to go on if the conditions are so rare that the sample would never be filled."""
        slow = self.drawn > _PATIENCE and needed * self.drawn > _MOST * self.kept
        if slow or self.idle > _PATIENCE or self.drawn > _MOST:
            names = ", ".join(condition.name for condition in self.wanted.others)
            raise UsageError(
                f"where: {self.kept:,} of {self.drawn:,} drawn patients meet the conditions on {names}; that is too "
                "rare to fill the sample. Ask for fewer patients or a wider range, or declare the column as a label "
                "and fit again."
            )


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


def _put(patients: Cohort, rows: NDArray[np.intp], other: Cohort, source: NDArray[np.intp]) -> None:
    """Writes some patients of another cohort over rows of one that nobody else has seen yet."""
    for name, codes in patients.static.items():
        codes[rows] = other.static[name][source]
    for name, codes in patients.measured.items():
        codes[rows] = other.measured[name][source]
    if patients.present is not None and other.present is not None:
        patients.present[rows] = other.present[source]


def _chunks(blocks: Iterable[Cohort], size: int) -> Iterator[Cohort]:
    """Yields the patients of all blocks in cohorts of `size`; one empty cohort if there are none."""
    held: list[Cohort] = []
    rows = 0
    for block in blocks:
        start = 0
        while len(block) - start >= size - rows:
            stop = start + size - rows
            yield joined([*held, block.take(slice(start, stop))])
            held, rows, start = [], 0, stop
        if start < len(block) or not len(block):
            held.append(block.take(slice(start, None)))
            rows += len(block) - start
    if held:
        yield joined(held)
