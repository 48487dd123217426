"""The patients behind the counter: questions are billed before they are answered, and answered with noise."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from wardgan import files
from wardgan.encode.layout import Layout
from wardgan.encode.units import Units, classes_of, encode
from wardgan.errors import BudgetError, DataError, PlanError
from wardgan.privacy.choose import Scoring, noisy_top
from wardgan.privacy.events import Event
from wardgan.privacy.image_queries import ImageQuery, Pictures
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan, largest
from wardgan.privacy.queries import Query
from wardgan.rng import Seed
from wardgan.schema.image_cohort import AnyCohort, ImageCohort

if TYPE_CHECKING:
    from torch import nn

    from wardgan.privacy.training import PrivateTraining

Features = Callable[[Units, NDArray[np.int64]], NDArray[np.float32]]
_SNAP: Final = 2.0**-20
_LEAST: Final = 1e-9
_QUESTION: Final = ".question"


def admit(patients: int, population: int) -> None:
    """Refuses a cohort larger than the public bound that batch caps are computed for.

    Args:
        patients: How many there are.
        population: How many were declared.

    Raises:
        PlanError: There are more patients than 1.1 times the declared population.
    """
    if patients > largest(population):
        raise PlanError(
            f"population={population} is declared, but the cohort has more than {largest(population)} patients; "
            "declare a population that is not too small."
        )


class Asked(Protocol):
    """Whoever answers questions about patients: `Records`, or the sum of what several hospitals have answered."""

    @property
    def layout(self) -> Layout:
        """The variables."""
        ...

    @property
    def private(self) -> bool:
        """Whether answers carry noise."""
        ...

    @property
    def plan(self) -> Plan | None:
        """What the noise of each answer is; `None` without privacy."""
        ...

    def measure(self, name: str, query: Query | ImageQuery) -> NDArray[np.float64]:
        """Answers a query."""
        ...


class Records:
    """The only way to a cohort's patients during a fit (Rule P4).

    Attributes:
        layout: The variables.
        ledger: What is billed.
        private: Whether answers carry noise.
    """

    def __init__(self, cohort: AnyCohort, ledger: Ledger, *, noise: Seed, folder: Path | None = None) -> None:
        """Takes the patients.

        Args:
            cohort: Patients whose schema is complete.
            ledger: The bill.
            noise: Source of the noise: `Seed.secret()`, or a replayable seed in a rehearsal.
            folder: Where noisy answers are kept, so that a run that stopped can go on without asking again.

        Raises:
            BudgetError: The noise can be replayed and the ledger does not say so.
            DataError: A label has a cell without a declared level.
        """
        ledger.check_noise(noise)
        self.layout = Layout.of(cohort.schema)
        self.ledger = ledger
        self.private = ledger.mode == "private"
        self._cohort = cohort
        self._noise = noise
        self._folder = folder
        self._chosen: dict[str, int] = {}
        self._pictures: Pictures | None = None
        if isinstance(cohort, ImageCohort):
            # What is asked of patients alone, such as their number, finds patients without variables.
            self._pictures = Pictures.of(cohort)
            self._units, self._classes = np.empty((len(cohort), 0)), np.zeros(len(cohort), dtype=np.int64)
            classes = self._pictures.classes
        else:
            self._units = encode(cohort, self.layout)
            classes = self._classes = classes_of(cohort)
        if len(classes) and not 0 <= classes.min() <= classes.max() < cohort.schema.classes:
            raise DataError("label: a patient's label is missing or not declared; read the patients with their schema.")

    def __repr__(self) -> str:
        return f"Records({self.layout.schema.name!r}, {len(self.layout)} variables)"

    @property
    def plan(self) -> Plan | None:
        """What may be spent; `None` without privacy."""
        return self.ledger.plan

    def measure(self, name: str, query: Query | ImageQuery) -> NDArray[np.float64]:
        """Answers a query with Gaussian noise of sd noise multiplier x sensitivity.

        Neighbours: add or remove one patient. Event: the planned Gaussian event `name`, one run. Not protected:
        what the query asks, which is public. Answers are rounded to a grid far below the noise, so that their
        last bits carry nothing (Mironov 2012).

        Args:
            name: The planned event.
            query: What is asked.

        Returns:
            The noisy total; the exact one in a fit without privacy.

        Raises:
            BudgetError: The event is not planned, already spent, or planned for batches; or its answer is lost.
        """
        if not self.private:
            return self._total(query)
        kept = None if self._folder is None else self._folder / f"{name.replace(' ', '-')}.npy"
        about = "" if kept is None else digest_of(query)
        if kept is not None and kept.exists() and self.ledger.steps(name):
            _check_same(kept, name, about)
            return kept_answer(kept)
        if kept is not None and self.ledger.steps(name):
            raise BudgetError(f"event={name!r}: its answer was paid for and is lost; start a new run.")
        if not _LEAST <= query.sensitivity < math.inf:
            raise BudgetError(f"event={name!r}: a sensitivity of {query.sensitivity:g} leaves no room for noise.")
        event = self.ledger.spend(name, mechanism="gaussian")
        total = self._total(query)
        answer = noised(total, noise_sd(event, query), self._noise.normals(total.size, name))
        if kept is not None:
            files.write_bytes(kept.with_suffix(_QUESTION), about.encode(), force=True)
            keep(kept, answer)
        return answer

    def choose(self, name: str, scoring: Scoring, count: int = 1) -> list[int]:
        """Chooses the best of public candidates by report-noisy-max; each choice is one run of the event.

        Neighbours: add or remove one patient. Event: the planned pure event `name`, `count` runs of its epsilon. Not
        protected: the list of candidates, which is public; nothing but the choices leaves.

        Args:
            name: The planned event.
            scoring: The candidates' scores, with a proved sensitivity.
            count: How many different candidates to choose.

        Returns:
            The places of the chosen candidates; the best ones in a fit without privacy.

        Raises:
            BudgetError: The event is not planned, spent, or no selection; or a choice that was paid for is lost.
        """
        if not self.private:
            return np.argsort(-scoring.scores(self._units, self._classes), kind="stable")[:count].tolist()
        run = self._chosen.get(name, 0)
        self._chosen[name] = run + count
        kept = None if self._folder is None else self._folder / f"{name.replace(' ', '-')}-{run}.npy"
        if kept is not None and kept.exists() and run < self.ledger.steps(name):
            return kept_answer(kept).astype(int).tolist()
        if run < self.ledger.steps(name) and self._folder is not None:
            raise BudgetError(f"event={name!r}: choice {run + 1} was paid for and is lost; start a new run.")
        event = self.ledger.spend(name, count, mechanism="pure")
        scores = scoring.scores(self._units, self._classes)
        gumbels = self._noise.gumbels(len(scores), name, run)
        epsilon = cast("float", event.epsilon)
        chosen = noisy_top(scores, count, sensitivity=scoring.sensitivity, epsilon=epsilon, gumbels=gumbels)
        if kept is not None:
            keep(kept, chosen.astype(np.float64))
        return chosen.tolist()

    def admit(self, population: int) -> None:
        """Refuses a cohort larger than the public bound that batch caps were computed for (see `admit`)."""
        admit(len(self._units), population)

    def training(
        self,
        name: str,
        module: nn.Module,
        *,
        features: Features,
        rate: float,
        steps: int,
        clip_norm: float,
        population: int,
    ) -> PrivateTraining:
        """Gives the real half of a discriminator's training; the patients stay inside.

        Args:
            name: The planned Poisson-Gaussian event.
            module: The discriminator.
            features: From units (patients, variables) and classes (patients,) to float32 rows; it must treat each
                patient alone and know nothing but what is public or paid for.
            rate: Sampling rate in (0, 1].
            steps: Number of steps without privacy; a plan has its own.
            clip_norm: Longest gradient of one patient.
            population: Public number of patients.
        """
        from wardgan.privacy.training import PrivateTraining

        rows = features(self._units, self._classes)
        return PrivateTraining(
            rows, self.ledger, name, module, rate=rate, steps=steps, clip_norm=clip_norm, population=population,
            noise=self._noise,
        )  # fmt: skip

    def image_training(
        self, name: str, module: nn.Module, *, rate: float, steps: int, clip_norm: float, population: int, at_once: int
    ) -> PrivateTraining:
        """Gives the real half of a discriminator's training on images; a record is an image with its class behind it.

        A patient in a batch stands there with at most `at_once` images. Their losses weigh 1 together and their
        gradients are added before the one clip (Rule P1). Patients with more images take turns with them.

        Args:
            name: The planned Poisson-Gaussian event.
            module: The discriminator; it gets records of shape (images, pixels + 1).
            rate: Sampling rate in (0, 1].
            steps: Number of steps without privacy; a plan has its own.
            clip_norm: Longest gradient of one patient.
            population: Public number of patients.
            at_once: Most images of a patient in one step.
        """
        from wardgan.privacy.training import PrivateTraining

        pictures = self._images()
        rows = np.concatenate([pictures.pixels.reshape(len(pictures.pixels), -1), pictures.classes[:, None]], axis=1)
        return PrivateTraining(
            rows.astype(np.float32, copy=False), self.ledger, name, module, rate=rate, steps=steps,
            clip_norm=clip_norm, population=population, noise=self._noise, owners=pictures.owners, at_once=at_once,
        )  # fmt: skip

    def open_images(self) -> Pictures:
        """Gives the images themselves: only in a fit without privacy.

        Raises:
            BudgetError: The fit is private: images are never seen without noise.
        """
        if self.private:
            raise BudgetError("open_images: a private fit sees no image; train on image_training.")
        return self._images()

    def _images(self) -> Pictures:
        if self._pictures is None:
            raise DataError(f"schema={self.layout.schema.name!r} declares no images.")
        return self._pictures

    def _total(self, query: Query | ImageQuery) -> NDArray[np.float64]:
        if isinstance(query, ImageQuery):
            return self._images().total(query)
        return query.total(self._units, self._classes)

    def held_out(self, share: float, stream: np.random.Generator) -> tuple[Records, Units, NDArray[np.int64]]:
        """Gives most of the patients as records, and the others themselves: only in a fit without privacy.

        Args:
            share: Share of patients that the training shall not see, in (0, 1).
            stream: Who they are.

        Returns:
            The records of those to learn from, and units (patients, variables) and classes (patients,) of the others.

        Raises:
            BudgetError: The fit is private: patients are never read without noise.
        """
        if self.private:
            raise BudgetError("held_out: a private fit has no hold-out; judging on patients would have to be paid for.")
        out = stream.permutation(len(self._units)) < round(share * len(self._units))
        rest = Records(self._cohort.take(np.flatnonzero(~out)), self.ledger, noise=self._noise)
        return rest, self._units[out], self._classes[out]

    def peek(self, reason: str) -> tuple[Units, NDArray[np.int64]]:
        """Gives the patients themselves: noted as an unbilled read, so a private release will be refused.

        Args:
            reason: What they are read for.

        Returns:
            Units of shape (patients, variables) and classes of shape (patients,).
        """
        self.ledger.read_unbilled(reason)
        return self._units, self._classes


def nobodys(query: Query | ImageQuery, layout: Layout) -> NDArray[np.float64]:
    """Gives the answer of a hospital without patients: as many zeros as a question has numbers.

    Args:
        query: The question.
        layout: The variables.
    """
    none = np.empty(0, dtype=np.int64)
    if isinstance(query, ImageQuery):
        look = layout.schema.images
        return query.over(np.empty((0, *(look.shape if look else (1, 1, 1))), dtype=np.float32), none, np.empty(0))
    return query.total(np.empty((0, len(layout))), none)


def digest_of(query: object) -> str:
    """Gives a digest of a question: its kind, and everything that it holds.

    Args:
        query: A dataclass of numbers, texts, arrays and such dataclasses.
    """
    found = hashlib.sha256()

    def add(one: object) -> None:
        if isinstance(one, np.ndarray):
            array = cast("NDArray[np.float64]", one)
            found.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        elif isinstance(one, (tuple, list)):
            found.update(f"({len(cast('list[object]', one))}".encode())
            for each in cast("list[object]", one):
                add(each)
        elif is_dataclass(one):
            found.update(type(one).__name__.encode())
            for field in fields(one):
                add(getattr(one, field.name))
        else:
            found.update(f"{one!r};".encode())

    add(query)
    return found.hexdigest()


def _check_same(kept: Path, name: str, about: str) -> None:
    """Refuses an answer that was given to another question.

    Raises:
        BudgetError: The question is not the one that was paid for.
    """
    path = kept.with_suffix(_QUESTION)
    if path.exists() and path.read_text(encoding="utf-8") != about:
        raise BudgetError(f"event={name!r}: its answer was paid for, to another question; start a new run.")


def keep(path: Path, answer: NDArray[np.float64]) -> None:
    """Writes a noisy answer, so that a crash leaves all of it or nothing.

    Raises:
        OutputError: It cannot be written.
    """
    with files.new_file(path, force=True) as file:
        np.save(file, answer, allow_pickle=False)


def kept_answer(path: Path) -> NDArray[np.float64]:
    """Reads a noisy answer that was kept.

    Raises:
        BudgetError: It is damaged, and asking again is not paid for.
    """
    try:
        with path.open("rb") as file:
            return np.load(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise BudgetError(f"answer={str(path)!r} was paid for and is lost; start a new run.") from error


def noise_sd(event: Event, query: Query | ImageQuery) -> float:
    """Gives the standard deviation of the noise of one answer."""
    return cast("float", event.noise_multiplier) * query.sensitivity


def noised(total: NDArray[np.float64], sd: float, normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adds noise and rounds to a grid of about a millionth of its sd."""
    grid = 2.0 ** math.floor(math.log2(sd * _SNAP))
    return np.round((total + sd * normals) / grid) * grid
