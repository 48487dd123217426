"""A project of a steward: a folder with the patients, and what was made of them. Its files are its state."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from wardgan import files
from wardgan.errors import UsageError
from wardgan.hub.target import target_of

STEPS: Final = ("schema", "budget", "training", "dossier", "release", "publish")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_SUFFIXES: Final = (".csv", ".tsv", ".parquet")
KEY: Final = "signing.key"
REVOKED: Final = "revoked.txt"
_CHOICES: Final = "project.json"


class MissingError(UsageError):
    """What is asked for is not there."""


@dataclass(frozen=True)
class Kept:
    """A folder with what a steward chose.

    Attributes:
        folder: Where it is.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Its name."""
        return self.folder.name

    @property
    def file(self) -> Path:
        """What is made here, and may leave."""
        return self.folder / f"{self.name}.hgan"

    @property
    def chosen(self) -> dict[str, object]:
        """What the steward chose, and what came of it."""
        try:
            found = json.loads((self.folder / _CHOICES).read_bytes())
        except (OSError, ValueError):
            return {}
        return cast("dict[str, object]", found) if isinstance(found, dict) else {}

    def choose(self, **more: object) -> None:
        """Notes what the steward chose.

        Args:
            more: Names and values, which JSON can hold.
        """
        text = json.dumps(self.chosen | more, indent=1).encode()
        files.write_bytes(self.folder / _CHOICES, text, force=True, mode=0o600)


@dataclass(frozen=True)
class Project(Kept):
    """A project."""

    @property
    def data(self) -> Path:
        """The patients; the first place that fits if they are not there."""
        found = [path for suffix in _SUFFIXES if (path := self.folder / f"patients{suffix}").is_file()]
        return found[0] if found else self.folder / "patients.csv"

    @property
    def draft(self) -> Path:
        """What was guessed from the patients."""
        return self.folder / "draft.yaml"

    @property
    def schema(self) -> Path:
        """What the steward declares of all patients."""
        return self.folder / "schema.yaml"

    @property
    def fitted(self) -> Path:
        """The same for those who are fitted to."""
        return self.folder / "schema-fit.yaml"

    @property
    def train(self) -> Path:
        """Patients to fit to."""
        return self.folder / f"train{self.data.suffix}"

    @property
    def holdout(self) -> Path:
        """Patients who are set aside."""
        return self.folder / f"holdout{self.data.suffix}"

    @property
    def run(self) -> Path:
        """Run folder of the fit."""
        return self.folder / "run"

    @property
    def survey(self) -> Path:
        """Survey of several hospitals that the fit answers, if there is one."""
        return self.folder / "survey.json"

    @property
    def tables(self) -> Path:
        """Its noisy answers, which may leave."""
        return self.folder / f"{self.name}.tables"

    @property
    def same(self) -> str | None:
        """Data set of an earlier project with the same file, with whose patients these are counted; `None` for none."""
        mine = self.chosen.get("digest")
        others = [one.chosen for one in projects(self.folder.parent) if one.folder != self.folder]
        # Those that nobody trained yet are counted with nobody.
        names = [text_of(one, "dataset") for one in others if mine and one.get("digest") == mine]
        return next(filter(None, names), None)

    @property
    def begun(self) -> bool:
        """Whether a fit has left something, so that another one would not be the first."""
        return any(self.run.glob("*"))

    @property
    def measured(self) -> bool:
        """Whether there is a dossier, and all of it: of its files this one appears last."""
        return (self.run / "dossier" / "internal.html").is_file()

    @property
    def step(self) -> str:
        """What is to be done next; the last step when all is done."""
        done = {
            "schema": self.schema.is_file(),
            "budget": self.begun,
            "training": (self.run / "trained.json").is_file(),
            "dossier": self.measured,
            "release": self.file.is_file(),
        }
        return next((step for step, ready in done.items() if not ready), "publish")

    def reached(self, step: str) -> bool:
        """Tells whether a step can be opened.

        Args:
            step: One of `STEPS`.
        """
        return STEPS.index(step) <= STEPS.index(self.step)


def projects(home: Path) -> list[Project]:
    """Gives all projects of a folder, by name.

    Args:
        home: The steward's folder.
    """
    return [Project(path) for path in sorted(home.iterdir()) if path.is_dir() and _NAME.fullmatch(path.name)]


def project_of(home: Path, name: str) -> Project:
    """Gives a project.

    Args:
        home: The steward's folder.
        name: Of the project.

    Raises:
        MissingError: There is none of that name.
    """
    if not _NAME.fullmatch(name) or not (home / name).is_dir():
        raise MissingError(f"There is no project {name[:40]!r}; the first page lists all.")
    return Project(home / name)


def begin(home: Path, name: str, suffix: str) -> Project:
    """Makes a project without patients.

    Args:
        home: The steward's folder.
        name: Small letters, digits and dashes.
        suffix: Of the patients' file.

    Raises:
        UsageError: The name is none, or taken; or the file has another format.
    """
    check_name(name)
    if suffix.lower() not in _SUFFIXES:
        raise UsageError(f"The file ends in {suffix[:20]!r}; it must be CSV (.csv), TSV (.tsv) or Parquet (.parquet).")
    return Project(new_folder(home, name))


def check_name(name: str) -> None:
    """Refuses what is no name of a project.

    Args:
        name: Small letters, digits and dashes.

    Raises:
        UsageError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"name={name[:40]!r}: use 1 to 40 small letters, digits and dashes.")


def new_folder(home: Path, name: str) -> Path:
    """Makes a folder that its owner alone can read.

    Args:
        home: Where.
        name: Of it.

    Raises:
        UsageError: It is there already.
    """
    try:
        (home / name).mkdir(mode=0o700)
    except FileExistsError as error:
        raise UsageError(f"name={name!r} is taken; choose another one.") from error
    return home / name


def revoked_words(kept: Kept) -> list[str]:
    """Gives the words by which a verb refuses what was revoked, if there is a list of it.

    Args:
        kept: A folder of what several hospitals do; the list is in the steward's folder, two above.
    """
    return [f"--revoked=../../{REVOKED}"] if (kept.folder.parent.parent / REVOKED).exists() else []


def key_seen(home: Path, folder: Path) -> str:
    """Gives the private key of the steward's folder, as verbs within it see it; empty if there is none yet.

    Args:
        home: The steward's folder.
        folder: In which a verb runs.
    """
    return os.path.relpath(home / KEY, folder) if (home / KEY).is_file() else ""


def settled(folder: Path, target: str) -> str:
    """Gives a target that means the same wherever a verb is run.

    Args:
        folder: From where a folder was written.
        target: A release of a hub, as a person wrote it.

    Raises:
        UsageError: It is none.
    """
    found = target_of(target)
    return str(
        replace(found, place=str((folder / Path(found.place).expanduser()).resolve())) if found.folder else found
    )


def text_of(facts: Mapping[str, object], name: str) -> str:
    """Gives a choice as text; empty if it was not made.

    Args:
        facts: Choices.
        name: Of one.
    """
    found = facts.get(name)
    return "" if found is None else str(found)
