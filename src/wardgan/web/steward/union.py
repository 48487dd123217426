"""Generators of several hospitals that are to become one: a folder with the files, and what was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from wardgan import files
from wardgan.errors import UsageError
from wardgan.web.steward import recipes
from wardgan.web.steward.places import begin_folder, check_file_name, folders
from wardgan.web.steward.project import Kept, new_folder, revoked_words
from wardgan.web.steward.verbs import VerbError, ask

UNIONS: Final = "_combined"


@dataclass(frozen=True)
class Union(Kept):
    """Generators that are to become one."""

    @property
    def draft(self) -> Path:
        """The combined generator before anybody signed it."""
        return self.folder / "_draft.hgan"  # which is the name of none

    @property
    def members(self) -> list[Path]:
        """Files that are to be combined, by name."""
        return sorted((self.folder / "members").glob("*.hgan"))

    @property
    def stems(self) -> list[str]:
        """Names of the members' files, without the ending."""
        return [one.stem for one in self.members]

    @property
    def recipe(self) -> Path:
        """How they become one, as the verb reads it."""
        return self.folder / "recipe.yaml"

    @property
    def pupil(self) -> Path:
        """What was distilled from the signed file."""
        return self.folder / f"{self.name}-distilled.hgan"

    def place(self, name: str) -> Path:
        """Gives where the file of a member is.

        Args:
            name: Of its file, without the ending.

        Raises:
            UsageError: It is no such name.
        """
        check_file_name(name, "member")
        return self.folder / "members" / f"{name}.hgan"


def unions(home: Path) -> list[Union]:
    """Gives all that is to be combined, by name.

    Args:
        home: The steward's folder.
    """
    return [Union(path) for path in folders(home, UNIONS)]


def begin_union(home: Path, name: str) -> Union:
    """Makes a place for generators.

    Args:
        home: The steward's folder.
        name: Small letters, digits and dashes.

    Raises:
        UsageError: The name is none, or taken.
    """
    found = Union(begin_folder(home, UNIONS, name))
    new_folder(found.folder, "members")
    return found


def words_of(union: Union, output: Path, key: str | None) -> list[str]:
    """Gives the words that combine the members by the recipe that was written.

    Args:
        union: Whose.
        output: The file that is made.
        key: Private key; `None` for an unsigned draft.

    Raises:
        UsageError: There are no members.
    """
    if not union.members:
        raise UsageError("members: bring a generator.")
    found = recipes.written(recipes.kept(union.chosen, union.stems), union.name)
    files.write_bytes(union.recipe, found, force=True, mode=0o600)
    words = ["combine", union.recipe.name, "-o", output.name, "--json", *revoked_words(union)]
    return [*words, "--force"] if key is None else [*words, f"--key={key}"]


def facts_of(union: Union) -> tuple[Mapping[str, Any], str]:
    """Gives what the combined file says of itself with what was told when it was made (`notices`), and why not.

    A draft of which it is not known what was told is shown to nobody: they would sign what they were not told.

    Args:
        union: Whose.

    Returns:
        Facts and a problem, which may both be empty.
    """
    made, said = union.file if union.file.is_file() else union.draft, union.chosen.get("combined")
    if not made.is_file():
        return {}, ""
    try:
        facts = ask(union, "inspect", made.name)[0]
    except VerbError as error:
        return {}, str(error)
    told = cast("Mapping[str, Any]", said) if isinstance(said, dict) else {}
    if told.get("digest") == facts["digest"]:
        return {**facts, "notices": told["notices"]}, ""
    return ({**facts, "notices": ()}, "") if union.file.is_file() else ({}, "")
