"""The demo: simulate, draft, check, plan, fit, assess, sign, verify, sample, judge."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol

from wardgan import check
from wardgan.demo.worth import Worth, judge
from wardgan.dossier.assess import Dossier, assess
from wardgan.dossier.receiver import Received, verify
from wardgan.dossier.release import release
from wardgan.errors import OutputError, UsageError
from wardgan.models.base import Config, Progress, Trained
from wardgan.models.fit import fit
from wardgan.models.planning import plan as planned
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Plan
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.sample.write import Format, write
from wardgan.schema.draft import Drafted, draft
from wardgan.schema.read import read
from wardgan.schema.schema import Schema
from wardgan.seal.artifact import inspect, load
from wardgan.seal.keys import new_key
from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

SYNTHETIC: Final = 10_000
_TRIAL, _SAMPLE = 2017, 7
_EXTRAS: Final = ("torch", "dp_accounting", "sklearn", "matplotlib")


class Audience(Protocol):
    """Whoever watches the demo."""

    def step(self, title: str) -> None:
        """Is told that a step begins."""
        ...

    def draft(self, drafted: Drafted) -> None:
        """Is shown the draft of the schema."""
        ...

    def plan(self, plan: Plan) -> None:
        """Is shown the plan."""
        ...

    def fitting(self, plan: Plan, run: Path) -> AbstractContextManager[Callable[[Progress], None]]:
        """Gives what is told of the fit's progress."""
        ...

    def assessing(self) -> AbstractContextManager[Callable[[str, int, int], None]]:
        """Gives what is told of the dossier's progress."""
        ...

    def assessed(self, dossier: Dossier, files: Sequence[Path]) -> None:
        """Is shown the dossier's verdict."""
        ...

    def verified(self, found: Received, facts: Mapping[str, Any]) -> None:
        """Is shown what is known of the released file."""
        ...


@dataclass(frozen=True)
class Shown:
    """What the demo has made and measured.

    Attributes:
        files: Every file, by what it is.
        patients: Number of simulated patients.
        synthetic: Number of synthetic patients.
        rows_per_second: Rows of visits written to Parquet in a second.
        fit_seconds: How long the fit took.
        model_bytes: Size of the released file.
        epsilon: What was spent, by the accountant of record.
        budget: What might have been spent.
        worth: How good the synthetic patients are.
    """

    files: Mapping[str, Path]
    patients: int
    synthetic: int
    rows_per_second: float
    fit_seconds: float
    model_bytes: int
    epsilon: float
    budget: Budget
    worth: Worth

    def to_dict(self) -> dict[str, object]:
        """Gives everything for JSON."""
        return {
            "files": {what: str(path) for what, path in self.files.items()},
            "patients": self.patients,
            "synthetic_patients": self.synthetic,
            "epsilon": self.budget.epsilon,
            "delta": self.budget.delta,
            "spent_epsilon": self.epsilon,
            "model_bytes": self.model_bytes,
            "fit_seconds": self.fit_seconds,
            "rows_per_second": self.rows_per_second,
            **self.worth.to_dict(),
        }


def run_demo(
    folder: Path,
    audience: Audience,
    *,
    patients: int = 6502,
    epsilon: float = 3.0,
    family: str | Config = "tabgan",
    force: bool = False,
) -> Shown:
    """Gives everything that the demo makes, in a folder, and measures it.

    Args:
        folder: Where everything goes.
        audience: Is shown each step.
        patients: How many patients the trial has.
        epsilon: How much may be given away about one of them.
        family: Model family, or its configuration.
        force: Whether an earlier demo in the folder may be replaced.

    Raises:
        OutputError: The folder is not empty, or cannot be written.
        UsageError: A package that the demo needs is not installed.
        PlanError: Epsilon is too small for so few patients.
    """
    _ready()
    check.whole(1, patients=patients)
    budget, files = Budget(epsilon), _files(folder)
    _empty(folder, force=force)

    audience.step(f"1  Simulate a blood-pressure trial of {patients:,} invented patients: {files['patients']}")
    _simulated(patients, files)

    audience.step(f"2  Draft a schema from the file: {files['draft']}")
    drafted = draft(files["patients"], name="sprint-like")
    drafted.save(files["draft"])
    audience.draft(drafted)

    audience.step(f"3  Replace what came from patients by what the trial's protocol says: {files['schema']}")
    schema = public_schema(patients)
    schema.save(files["schema"])

    audience.step("4  Plan: what will be spent, before a patient is read")
    plan = planned(schema, budget, family=family)
    audience.plan(plan)

    audience.step(f"5  Check the file and fit a private generator: {files['run']}")
    cohort = read(files["patients"], schema)
    begun = perf_counter()
    with audience.fitting(plan, files["run"]) as watch:
        trained = fit(cohort, budget, family=family, run=files["run"], watch=watch)
    fit_seconds = perf_counter() - begun

    audience.step(f"6  Attack it, and ask what it is good for, with as many others: {files['dossier']}")
    with audience.assessing() as told:
        dossier = assess(files["run"], cohort, read(files["hold-out"], schema), told=told)
    audience.assessed(dossier, dossier.write(files["dossier"]))

    audience.step(f"7  Let it pass the gates, sign and release: {files['model']}")
    found = _released(trained, dossier, files)
    # The demo's key is in the demo's trust file only, where `inspect` does not look.
    signature = {"status": "verified", "name": found.signer, "keyid": found.keyid}
    audience.verified(found, inspect(files["model"]) | {"signature": signature})

    audience.step(f"8  Draw {SYNTHETIC:,} synthetic patients: {files['parquet']}, {files['csv']}")
    generator = load(files["model"], trust=files["trust"])
    speed = _sampled(generator, files["parquet"], "parquet", found.digest)
    _sampled(generator, files["csv"], "csv", found.digest)

    audience.step(
        f"9  Judge them on patients that the generator never saw: {files['medians']}, {files['correlations']}"
    )
    unseen = read(sprint_like(2_000, seed=Seed(_TRIAL + 1)), schema)
    worth = judge(cohort, unseen, generator.draw(SYNTHETIC, seed=_SAMPLE), folder=folder)
    size = files["model"].stat().st_size
    return Shown(files, patients, SYNTHETIC, speed, fit_seconds, size, trained.ledger.epsilon(), budget, worth)


def _simulated(patients: int, files: Mapping[str, Path]) -> None:
    """Writes the patients, and as many others to hold out."""
    sprint_like(patients, seed=Seed(_TRIAL)).to_csv(files["patients"], index=False)
    others = sprint_like(patients, seed=Seed(_TRIAL + 2))
    others["patient_id"] = "H" + others["patient_id"]
    others.to_csv(files["hold-out"], index=False)


def public_schema(patients: int) -> Schema:
    """Gives the schema that the trial's protocol makes public, for about so many patients."""
    visits = {**SPRINT_SCHEMA["visits"], "complete": True}  # pyright: ignore
    return Schema.from_dict({**SPRINT_SCHEMA, "population": int(float(f"{patients:.1e}")), "visits": visits})


def _files(folder: Path) -> dict[str, Path]:
    names = {
        "patients": "patients.csv", "hold-out": "holdout.csv", "draft": "draft.yaml", "schema": "schema.yaml",
        "run": "run", "dossier": "dossier", "key": "demo.key", "public key": "demo.key.pub", "trust": "trust.json",
        "model": "sprint.hgan", "parquet": "synthetic.parquet", "csv": "synthetic.csv", "medians": "medians.png",
        "correlations": "correlations.png",
    }  # fmt: skip
    return {what: folder / name for what, name in names.items()}


def _ready() -> None:
    absent = [name for name in _EXTRAS if find_spec(name) is None]
    if absent:
        raise UsageError(f"demo: {', '.join(absent)} not installed; the demo needs: pip install 'wardgan[train]'.")


def _empty(folder: Path, *, force: bool) -> None:
    """Makes the folder; with `force` it removes what an earlier demo has made, and nothing else."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"output={str(folder)!r} is a file; choose another name for the demo's folder.")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise OutputError(
            f"output={str(folder)!r} is not empty; choose another folder, or pass --force to replace the demo in it."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place in _files(folder).values():
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"output={str(folder)!r} cannot be written: {error.strerror}.") from error


def _released(trained: Trained, dossier: Dossier, files: Mapping[str, Path]) -> Received:
    new_key(files["key"], name="demo hospital", trust=files["trust"])
    # A large epsilon or a few patients may not pass the gates; here nobody has to be protected.
    override = "the demo: its patients are invented" if dossier.refusals else None
    release(trained, files["model"], files["key"], override, dossier=files["dossier"])
    return verify(files["model"], files["trust"])


def _sampled(generator: Generator, path: Path, kind: Format, digest: str) -> float:
    """Writes the synthetic patients and gives how many rows it wrote in a second."""
    begun = perf_counter()
    note = {"synthetic": "true", "model": digest, "seed": str(_SAMPLE)}
    rows = write(generator.stream(SYNTHETIC, seed=_SAMPLE), path, kind=kind, note=note)
    return rows / (perf_counter() - begun)
