"""A training of several hospitals, where it is coordinated: a folder with what was agreed on, kits and state."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from wardgan import files
from wardgan.errors import FormatError, UsageError, WardganError
from wardgan.federating.agreement import Agreement
from wardgan.federating.state import State
from wardgan.models.together import FAMILIES
from wardgan.privacy.accountant import rdp_epsilon
from wardgan.web.steward.project import Kept, MissingError

TRAININGS: Final = "_federated"
FIELDS: Final = (
    "family",
    "settings",
    "patients",
    "hospitals",
    "least",
    "epsilon",
    "delta",
    "blocks",
    "overlap",
    "seed",
)
OTHERS: Final = ("server", "admin", "authority")
_WHOLE: Final = ("patients", "hospitals", "least", "blocks", "overlap", "seed")


@dataclass(frozen=True)
class Training(Kept):
    """A training that is coordinated here."""

    @property
    def schema(self) -> Path:
        """What all patients obey."""
        return self.folder / "schema.yaml"

    @property
    def agreement(self) -> Path:
        """What all hospitals agreed on."""
        return self.folder / "agreement.yaml"

    @property
    def kits(self) -> Path:
        """Startup kits of all sides."""
        return self.folder / "kits"

    @property
    def sites(self) -> list[str]:
        """Hospitals for which there are kits."""
        found = [path.name for path in self.kits.iterdir() if path.is_dir()] if self.kits.is_dir() else []
        return sorted(name for name in found if name not in OTHERS)


@dataclass(frozen=True)
class Hospital:
    """How far a hospital is, as the coordinator knows.

    Attributes:
        name: What it is called.
        patients: Declared number of its patients.
        spent: Epsilon of what it has billed and what counts, at most; `None` without privacy.
        planned: Epsilon that it may spend; `None` without privacy.
        heard: Whether anything that it said counts.
    """

    name: str
    patients: int
    spent: float | None
    planned: float | None
    heard: bool


@dataclass(frozen=True)
class Standing:
    """How far a training is.

    Attributes:
        round: Rounds that are done.
        rounds: Rounds that there are.
        answers: Questions that were answered by all.
        over: Whether all steps are spent.
        hospitals: Who takes part.
        notices: What a person should know.
    """

    round: int
    rounds: int
    answers: int
    over: bool
    hospitals: tuple[Hospital, ...]
    notices: tuple[str, ...]


def agreed_in(training: Training) -> Agreement | None:
    """Gives what was agreed on; `None` if nothing was.

    Args:
        training: Whose.

    Raises:
        WardganError: What lies there is no agreement.
    """
    return Agreement.load(training.agreement) if training.agreement.is_file() else None


def agree(training: Training, form: Mapping[str, str]) -> None:
    """Writes down what was agreed on.

    Args:
        training: Whose.
        form: What a person wrote; settings are NAME=VALUE, one a line.

    Raises:
        WardganError: It is no agreement; then what was there before stays.
    """
    found: dict[str, Any] = {"name": training.name, "schema": training.schema.name}
    for name in FIELDS:
        text = form.get(name, "").strip()
        if text and name != "settings":
            found[name] = _whole(name, text) if name in _WHOLE else text
    found["settings"] = _settings(form.get("settings", ""))
    Agreement.from_dict(found, training.folder)
    files.write_bytes(training.agreement, yaml.safe_dump(found, sort_keys=False).encode(), force=True, mode=0o600)


def fields_of(agreement: Agreement | None) -> dict[str, str]:
    """Gives the fields of the form that says an agreement.

    Args:
        agreement: What was agreed on; `None` for what is usual.
    """
    if agreement is None:
        return {"family": FAMILIES[1], "least": "2", "epsilon": "1", "delta": "1e-5", "blocks": "1", "seed": "0"}
    given = agreement.to_dict()
    found = {name: "" if given[name] is None else str(given[name]) for name in FIELDS if name != "settings"}
    found["epsilon"] = found["epsilon"] or "none"
    return found | {"settings": "\n".join(f"{name}={value}" for name, value in agreement.settings.items())}


def standing_of(training: Training, agreement: Agreement) -> Standing | None:
    """Gives how far a training is, from the coordinator's own folder; `None` if it has not begun.

    Args:
        training: Whose.
        agreement: What was agreed on.

    Raises:
        WardganError: The state is damaged.
    """
    folder = training.kits / "server" / "together" / agreement.short
    state = State.load(folder, agreement.digest)
    if not state.members:
        return None
    delta = agreement.delta
    hospitals = tuple(
        Hospital(
            one.name, one.population,
            None if one.plan is None else (rdp_epsilon(one.events, delta) if one.events else 0.0),
            None if one.plan is None else one.plan.budget.epsilon, one.heard,
        )
        for one in state.members.values()
    )  # fmt: skip
    return Standing(state.round, agreement.rounds, len(state.sums), state.over, hospitals, tuple(state.notices))


def zipped(training: Training, site: str) -> bytes:
    """Gives the startup kit of a hospital as one file.

    Args:
        training: Whose.
        site: Name of the hospital.

    Raises:
        MissingError: There is no such kit.
    """
    if site not in training.sites:
        raise MissingError("There is no kit of that name.")
    place, found = training.kits / site, io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as pack:
        for path in sorted(place.rglob("*")):
            if path.is_file() and not path.is_symlink():
                pack.write(path, f"{site}/{path.relative_to(place)}")
    return found.getvalue()


def kit_words(form: Mapping[str, str]) -> list[str]:
    """Gives the words that write startup kits.

    Args:
        form: What a person wrote; sites one a line.

    Raises:
        UsageError: There are none.
    """
    sites = form.get("sites", "").replace(",", " ").split()
    if not sites:
        raise UsageError("sites: name at least two hospitals, one a line.")
    more = [f"--{name}={text}" for name in ("host", "port", "days") if (text := form.get(name, "").strip())]
    return ["federate", "provision", "-o", "kits", *more, "--", *sites]


def run_words(training: Training, form: Mapping[str, str], key: str) -> list[str]:
    """Gives the words that coordinate.

    Args:
        training: Whose.
        form: What a person wrote.
        key: Private key.
    """
    words = ["federate", "coordinate", training.agreement.name, training.kits.name, "-o", training.file.name,
             f"--key={key}", "--json"]  # fmt: skip
    options = {"join": "--join", "patience": "--patience", "override": "--override"}
    return words + [f"{option}={text}" for name, option in options.items() if (text := form.get(name, "").strip())]


def known_problem(training: Training) -> tuple[Agreement | None, Standing | None, str]:
    """Gives what was agreed on, how far it is, and why either cannot be told.

    Args:
        training: Whose.
    """
    try:
        agreement = agreed_in(training)
        return agreement, None if agreement is None else standing_of(training, agreement), ""
    except WardganError as error:
        return None, None, str(error)


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise UsageError(f"{name}={text[:30]!r} is not a whole number.")
    return int(text)


def _settings(text: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for line in filter(None, (one.strip() for one in text.splitlines())):
        name, sign, value = (part.strip() for part in line.partition("="))
        if not (name and sign and value):
            raise FormatError(f"settings: write {line[:40]!r} as NAME=VALUE, one a line.")
        found[name] = value
    return found
