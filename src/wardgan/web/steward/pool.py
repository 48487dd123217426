"""Noisy tables of several hospitals that are added up: a folder with the survey, the tables, and what comes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wardgan.errors import UsageError
from wardgan.web.steward.arithmetic import hospitals_in
from wardgan.web.steward.places import begin_folder, check_file_name
from wardgan.web.steward.project import Kept, new_folder, revoked_words, text_of
from wardgan.web.steward.verbs import VerbError, ask

POOLS: Final = "_pooled"
ASKED: Final = ("patients", "hospitals", "epsilon", "delta", "family")


@dataclass(frozen=True)
class Pool(Kept):
    """Tables that are to be added up."""

    @property
    def schema(self) -> Path:
        """What all hospitals declare."""
        return self.folder / "schema.yaml"

    @property
    def like(self) -> Path:
        """A released generator of similar patients, if there is one."""
        return self.folder / "like.hgan"

    @property
    def survey(self) -> Path:
        """The questions that all hospitals answer."""
        return self.folder / "survey.json"

    @property
    def draft(self) -> Path:
        """The generator of the sums before anybody signed it."""
        return self.folder / "_draft.hgan"

    @property
    def tables(self) -> list[Path]:
        """Files of noisy tables, by name."""
        return sorted((self.folder / "tables").glob("*.tables"))

    def place(self, name: str) -> Path:
        """Gives where the tables of a hospital are.

        Args:
            name: Of their file, without the ending.

        Raises:
            UsageError: It is no such name.
        """
        check_file_name(name, "tables")
        return self.folder / "tables" / f"{name}.tables"


def begin_pool(home: Path, name: str) -> Pool:
    """Makes a place for tables.

    Args:
        home: The steward's folder.
        name: Small letters, digits and dashes.

    Raises:
        UsageError: The name is none, or taken.
    """
    found = Pool(begin_folder(home, POOLS, name))
    new_folder(found.folder, "tables")
    return found


def survey_in(path: Path) -> dict[str, Any] | None:
    """Gives what people should know of a survey.

    These are `patients`, `hospitals`, the `family` that answers it, and for whose patients it was made (`like`).

    Args:
        path: Its file; the verb that reads it judges it.

    Returns:
        `None` if there is none.
    """
    try:
        found = json.loads(path.read_bytes())
        names = [str(one["name"])[:200] for one in found.get("like", ())]
        facts = {"patients": int(found["patients"]), "hospitals": int(found["hospitals"]), "like": names}
        return {**facts, "family": "marginal" if found.get("pairs") else "copula"}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return {"patients": None, "hospitals": None, "like": [], "family": ""}


def survey_words(pool: Pool) -> list[str]:
    """Gives the words that make the survey.

    Args:
        pool: Whose.
    """
    words = ["pool", "survey", pool.schema.name, "-o", pool.survey.name, "--force", "--json", *revoked_words(pool)]
    words += [f"--{name}={text}" for name in ASKED if (text := text_of(pool.chosen, name))]
    return [*words, f"--like={pool.like.name}"] if pool.like.is_file() else words


def add_words(pool: Pool, output: Path, key: str | None) -> list[str]:
    """Gives the words that add the tables up.

    Args:
        pool: Whose.
        output: The file that is made.
        key: Private key; `None` for an unsigned draft.

    Raises:
        UsageError: There are none.
    """
    if len(pool.tables) < 2:
        raise UsageError("tables: bring those of at least two hospitals.")
    words = ["pool", "add", *(f"tables/{one.name}" for one in pool.tables), "-o", output.name, f"--name={pool.name}",
             "--json", *revoked_words(pool)]  # fmt: skip
    chosen = pool.chosen
    words += [f"--overlap={overlap}"] if (overlap := text_of(chosen, "overlap")) else []
    return [*words, "--force"] if key is None else [*words, f"--key={key}"]


def facts_of(pool: Pool) -> tuple[Mapping[str, Any], Mapping[str, Any], str]:
    """Gives what the sums cost, what was answered when they were made, and why that cannot be told.

    Args:
        pool: Whose.
    """
    made = pool.file if pool.file.is_file() else pool.draft
    said = pool.chosen.get("pooled")
    if not made.is_file() or not isinstance(said, dict):
        return {}, {}, ""
    try:
        return hospitals_in(ask(pool, "inspect", made.name)[0], said["bounds"]), said, ""
    except VerbError as error:
        return {}, {}, str(error)
