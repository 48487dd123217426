"""What every model family has in common: a configuration, and what a fit gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from wardgan import check, files
from wardgan.encode.layout import Layout
from wardgan.errors import FormatError, OutputError, UsageError
from wardgan.privacy.events import Budget
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.sample.generator import Generator


@dataclass(frozen=True)
class Network:
    """A trained network.

    Attributes:
        onnx: Its bytes.
        latent: How many standard normals it wants for each patient.
        probabilities: Share of each class.
        notes: What the noisy answers say that a steward should know.
    """

    onnx: bytes
    latent: int
    probabilities: tuple[float, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """Where a fit is.

    Attributes:
        doing: What is being done.
        done: Steps done.
        total: Steps in all.
    """

    doing: str
    done: int
    total: int


Watcher = Callable[[Progress], None]
CHECKPOINT: Final = "checkpoint.npz"
TRAINED: Final = "trained.json"
NETWORK: Final = "generator.onnx"
LEDGER: Final = "ledger.jsonl"
# One hospital's part of a training with others.
TOGETHER: Final = "together.json"


@dataclass(frozen=True)
class Run:
    """What a family needs besides the patients.

    Attributes:
        population: Public number of patients.
        seed: Everything that is not privacy noise.
        noise: Privacy noise.
        folder: Where checkpoints go; they stay on site. `None`: nowhere.
        watch: Is told of progress.
    """

    population: int
    seed: Seed
    noise: Seed
    folder: Path | None
    watch: Watcher


class Config(Protocol):
    """A family with its settings: public numbers only."""

    @property
    def family(self) -> str:
        """Name of the family."""
        ...

    def shares(self, layout: Layout, budget: Budget) -> list[Share]:
        """Gives the wishes for a budget, from public facts."""
        ...

    def check(self, layout: Layout, budget: Budget, population: int | None) -> None:
        """Refuses what cannot work, from public facts."""
        ...

    def train(self, records: Records, run: Run) -> Network:
        """Gives the trained network."""
        ...


@dataclass(frozen=True, repr=False)
class Trained:
    """A fit that stays in the hospital: the generator, and the bill.

    Attributes:
        generator: What may be released.
        ledger: What was spent.
        config: The family's settings.
        notes: What the noisy answers, which were paid for, say that a steward should know. They stay on site: nobody
            else can act on them.
    """

    generator: Generator
    ledger: Ledger
    config: Mapping[str, object] = field(default_factory=dict[str, object])
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Trained({self.generator!r}, {self.ledger!r})"

    def save(self, folder: str | Path) -> None:
        """Writes the generator into a run folder, beside its ledger file.

        Raises:
            OutputError: It is no path, or it cannot be written.
        """
        files.check_name(folder)
        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"run={str(place)!r} cannot be written: {error.strerror}.") from error
        files.write_bytes(place / NETWORK, self.generator.network, force=True)
        about = {
            "family": self.generator.family,
            "latent": self.generator.latent,
            "probabilities": list(self.generator.probabilities),
            "privacy": dict(self.generator.privacy),
            "config": dict(self.config),
            "notes": list(self.notes),
            "schema": self.generator.schema.to_dict(),
            "network": hashlib.sha256(self.generator.network).hexdigest(),
        }
        files.write_bytes(place / TRAINED, json.dumps(about, indent=1).encode(), force=True)

    @classmethod
    def load(cls, folder: str | Path) -> Trained:
        """Reads a finished run folder.

        Raises:
            UsageError: There is no such folder.
            FormatError: The folder is no run, its run is not finished, or its files are damaged.
        """
        from wardgan.schema.schema import Schema

        check.path(run=folder)
        place = Path(folder)
        _check_finished(place)
        forget(place)
        try:
            about = json.loads((place / TRAINED).read_text(encoding="utf-8"))
            network = (place / NETWORK).read_bytes()
            same = hashlib.sha256(network).hexdigest() == about["network"]
            generator = Generator(
                Schema.from_dict(about["schema"]),
                about["family"],
                network,
                about["latent"],
                tuple(about["probabilities"]),
                about["privacy"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FormatError(
                f"run={str(place)!r} is damaged ({type(error).__name__} in {TRAINED} or {NETWORK}); fit again, into "
                "another folder."
            ) from error
        if not same:
            raise FormatError(
                f"run={str(place)!r}: {NETWORK} is not the network that was trained in this folder; put that one back, "
                "or fit again, into another folder."
            )
        return cls(generator, Ledger.resume(place / LEDGER), about["config"], tuple(map(str, about.get("notes", ()))))


def forget(folder: Path) -> None:
    """Removes the checkpoint of a run, and what a killed process was writing of one: discriminators, candidates (P12).

    Args:
        folder: The run folder. One that cannot be written to stays as it is.
    """
    with suppress(OSError):
        for path in (folder / CHECKPOINT, *folder.glob(f".{CHECKPOINT}.*.part")):
            path.unlink(missing_ok=True)


def _check_finished(place: Path) -> None:
    if not place.is_dir():
        raise UsageError(f"run={str(place)!r} {'is a file, not a run folder' if place.exists() else 'does not exist'}.")
    if (place / TRAINED).exists():
        return
    if (place / TOGETHER).exists():
        raise UsageError(
            f"run={str(place)!r} is this hospital's part of a training with others. Its generator is everybody's, with "
            "everybody's ledgers: whoever coordinated the training has released it."
        )
    if not (place / LEDGER).exists():
        raise FormatError(f"run={str(place)!r} is not a run folder: no fit was begun in it.")
    raise FormatError(
        f"run={str(place)!r} is not a finished run. If it stopped, finish it with fit --resume; if it was refused, fit "
        "again, into another folder."
    )
