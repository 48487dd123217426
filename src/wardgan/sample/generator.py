"""The generator: a network, a schema and class shares. No patients, and no way back to them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.encode.units import decode
from wardgan.errors import UsageError
from wardgan.imaging.marks import Batch
from wardgan.rng import Seed
from wardgan.sample.conditions import Conditions, Where, conditions
from wardgan.sample.drawing import BLOCK, Drawn, Effort, Placed, Search, filled_block
from wardgan.sample.engine import engine, refused
from wardgan.sample.images import Painter, SyntheticImages
from wardgan.sample.search import Efficiency, Network, efficiency, searched
from wardgan.sample.spans import Span, chunks, spans, told
from wardgan.schema.cohort import Cohort
from wardgan.schema.schema import Schema

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_PART: Final = 2_048
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
    distribution; rare ones come from where alone the conditions can hold, with the same distribution.

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
            where: What they must have, such as `{"arm": "intensive", "age": (65, 80), "sbp@3M": "present"}`: a level or
                a number, a list of them, a range with both ends as a tuple, or one of the words missing and present.
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
        refuse_large(n, len(self.layout))
        return next(self.draws(n, chunk=max(n, 1), where=where, balance=balance, seed=seed))

    def draws(
        self, n: int, *, chunk: int = 8 * BLOCK, where: Where | None = None, balance: str | None = None,
        seed: int | None = None, drew: Callable[[Drawn], None] | None = None,
    ) -> Iterator[Cohort]:  # fmt: skip
        """Gives `n` synthetic patients as cohorts of `chunk` patients; arguments as in `stream`.

        Args:
            n: How many, 0 or more.
            chunk: Patients in a cohort, at least 1.
            where: As in `sample`.
            balance: As in `sample`.
            seed: As in `sample`.
            drew: Called with what each block took; the sum depends on the conditions, `seed` and `n` only.
        """
        return self.part(0, n, chunk=chunk, where=where, balance=balance, seed=seed, drew=drew)

    def part(
        self, skip: int, n: int, *, chunk: int = 8 * BLOCK, where: Where | None = None, balance: str | None = None,
        seed: int | None = None, threads: int | None = None, drew: Callable[[Drawn], None] | None = None,
    ) -> Iterator[Cohort]:  # fmt: skip
        """Gives patients `skip` + 1 to `skip` + `n` of a seed, without drawing those before: a part of a larger sample.

        What is drawn and not used is at most the block in which they begin (16,384 patients). How rare conditions are
        met follows from the seed, so parts are those of the whole sample whatever is asked for.

        Args:
            skip: How many patients of the seed come before, 0 or more.
            n: How many, 0 or more.
            chunk: Patients in a cohort, at least 1.
            where: As in `sample`.
            balance: As in `sample`.
            seed: As in `sample`.
            threads: How many blocks are made at the same time; `None`: as many as there are processors.
            drew: As in `draws`.
        """
        check.whole(0, skip=skip, n=n)
        check.whole(1, chunk=chunk, threads=1 if threads is None else threads)
        self._refuse_images()
        wanted = conditions(self.schema, self.probabilities, where, balance)
        return chunks(told(self._blocks(skip, n, wanted, replayable(seed), threads), drew), chunk)

    def images(
        self, n: int, *, where: Where | None = None, balance: str | None = None, seed: int | None = None
    ) -> Batch:
        """Gives `n` synthetic images with their labels, of a generator of images.

        Args:
            n: How many, 0 or more.
            where: Labels that they must have, such as `{"finding": "malignant"}`, or a list of levels.
            balance: A label whose levels shall be equally frequent: they take turns, image by image.
            seed: Replays the sample; `None` draws a new one.

        Returns:
            Pixels of shape (n, channels, height, width), from -1 (black) to 1, a mask being the last channel; and the
            levels of each label.

        Raises:
            UsageError: The generator draws tables; `n` or `seed` is no whole number; an unknown label or level; or a
                sample too large for memory (use `image_batches`).
        """
        check.whole(0, n=n)
        refuse_large(n, len(self.layout), images=True)
        return next(self.image_batches(n, chunk=max(n, 1), where=where, balance=balance, seed=seed))

    def image_batches(
        self, n: int, *, chunk: int = 1_024, where: Where | None = None, balance: str | None = None,
        seed: int | None = None,
    ) -> Iterator[Batch]:  # fmt: skip
        """Gives `n` synthetic images in batches, in constant memory; the images are those of `images`.

        Args:
            n: How many, 0 or more.
            chunk: Images in a batch, at least 1.
            where: As in `images`.
            balance: As in `images`.
            seed: As in `images`.
        """
        check.whole(0, n=n)
        check.whole(1, chunk=chunk)
        wanted = conditions(self.schema, self.probabilities, where, balance)
        return self._painter().batches(n, chunk, wanted, replayable(seed))

    def dataset(
        self, n: int, *, where: Where | None = None, balance: str | None = None, seed: int | None = None
    ) -> SyntheticImages:
        """Gives `n` synthetic images as a data set for torch: `DataLoader(generator.dataset(10_000), batch_size=64)`.

        Nothing is drawn before it is asked for. Arguments as in `images`.
        """
        check.whole(0, n=n)
        wanted = conditions(self.schema, self.probabilities, where, balance)
        return SyntheticImages(self._painter(), wanted, replayable(seed), n)

    def _refuse_images(self) -> None:
        if self.schema.images is not None:
            raise UsageError(f"generator {self.schema.name!r} draws images; use images, image_batches or dataset.")

    def __getstate__(self) -> dict[str, object]:
        """Gives what is pickled, for workers of a data loader: everything but the engine, which each makes itself."""
        return {name: value for name, value in vars(self).items() if name != "_session"}

    def _painter(self) -> Painter:
        look = self.schema.images
        if look is None:
            raise UsageError(f"generator {self.schema.name!r} draws tables and visits; use sample, stream or draw.")
        return Painter(self.schema, look, self.pixels, self.latent)

    def pixels(self, latent: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Gives what the network makes of normals, shape (images, numbers).

        Args:
            latent: Shape (images, latent).
            classes: Shape (images,).
        """
        with refused():
            found = self._session.run(["units"], {"latent": latent, "label": classes})[0]
        return cast("NDArray[np.float32]", found)

    def efficiency(
        self, *, where: Where | None = None, balance: str | None = None, seed: int | None = None
    ) -> Efficiency:
        """Gives how many patients must be drawn for those who are kept, and how rare these are, from a pilot.

        Args:
            where: As in `sample`.
            balance: As in `sample`.
            seed: Replays the pilot; `sample` with the same seed looks for patients in the way that is told here.

        Raises:
            UsageError: As for `sample`.
        """
        self._refuse_images()
        wanted, replay = conditions(self.schema, self.probabilities, where, balance), replayable(seed)
        _ = self._session, self.layout
        return efficiency(self._parts, self._search(wanted, replay), replay)

    @property
    def _parts(self) -> Network:
        return Network(self.run, self.network, self.latent, self.layout)

    def _search(self, wanted: Conditions, seed: Seed) -> Search:
        return searched(self._parts, wanted, seed)

    @cached_property
    def layout(self) -> Layout:
        """The variables of the network's output."""
        return Layout.of(self.schema)

    @cached_property
    def _session(self) -> InferenceSession:
        return engine(self.network)

    def _blocks(
        self, skip: int, n: int, wanted: Conditions, seed: Seed, threads: int | None
    ) -> Iterator[tuple[Cohort, Drawn]]:  # fmt: skip
        """Yields the patients block by block, a few blocks ahead of the reader; at least one block."""
        _ = self._session, self.layout  # made once, before the workers share them
        search = self._search(wanted, seed) if n else Search(wanted, None, Effort(wanted))

        def filled(span: Span) -> tuple[Cohort, Drawn]:
            patients, drawn = filled_block(self.run, search, span.block, span.stop, seed)
            return (patients.take(slice(span.start, None)) if span.start else patients), drawn

        workers = self._workers() if threads is None else threads
        if n <= BLOCK or workers == 1:
            yield from map(filled, spans(skip, n, BLOCK))
            return
        ahead: deque[Future[tuple[Cohort, Drawn]]] = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            for span in spans(skip, n, BLOCK):
                ahead.append(pool.submit(filled, span))
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

    def run(self, classes: NDArray[np.int64], stream: np.random.Generator, placed: Placed | None = None) -> Cohort:
        """Gives one patient of each class, whether or not the rules are obeyed.

        Args:
            classes: Shape (patients,).
            stream: Source of randomness.
            placed: Moves the normals to where candidates shall be.
        """
        units = np.empty((len(classes), len(self.layout)), dtype=np.float32)
        # Parts that stay in a processor's cache are faster than one large run. The normals are those of one large draw.
        for start in range(0, len(classes), _PART):
            label = classes[start : start + _PART]
            latent = stream.standard_normal((len(label), self.latent), dtype=np.float32)
            given = {"latent": latent if placed is None else placed(latent, start), "label": label}
            with refused():
                units[start : start + len(label)] = cast("NDArray[np.float32]", self._session.run(["units"], given)[0])
        return decode(units, classes, self.layout)


def replayable(seed: int | None) -> Seed:
    """Gives a seed that all blocks of one call share: a fresh one if none is given.

    Args:
        seed: What the caller says.

    Raises:
        UsageError: It is no whole number of at least 0.
    """
    if seed is None:
        return Seed.fresh()
    check.whole(0, seed=seed)
    return Seed(seed)


def refuse_large(n: int, numbers: int, *, images: bool = False) -> None:
    """Refuses a sample that would not fit into memory.

    Args:
        n: How many patients, or images.
        numbers: Variables, or numbers, of each.
        images: Which of the two.

    Raises:
        UsageError: Says how much it would take, and which verb takes constant memory.
    """
    if n * numbers <= _CELLS:
        return
    if images:
        raise UsageError(
            f"n={n} images need about {n * numbers * 4 >> 30:,} GiB of memory; use image_batches, or wardgan sample, "
            "which write any number of images in constant memory."
        )
    raise UsageError(
        f"n={n} patients of {numbers} variables need about {n * numbers * 16 >> 30:,} GiB of memory; use stream, or "
        "wardgan sample, which write any number of patients in constant memory."
    )
