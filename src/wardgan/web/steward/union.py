"""Generators of several hospitals that are to become one: a folder with the files, and what was chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wardgan import files
from wardgan.errors import UsageError
from wardgan.web.steward.project import Kept, MissingError, check_name, new_folder, text_of
from wardgan.web.steward.verbs import VerbError, ask

UNIONS: Final = "_combined"
WAYS: Final = {"size": "by the numbers of patients that they declare", "uniform": "all alike", "own": "as written here"}
_MEMBER: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9])?")


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

    def place(self, name: str) -> Path:
        """Gives where the file of a member is.

        Args:
            name: Of its file, without the ending.

        Raises:
            UsageError: It is no such name.
        """
        if not _MEMBER.fullmatch(name):
            raise UsageError(f"member={name[:60]!r}: its file must be called by letters, digits, dots, - and _ alone.")
        return self.folder / "members" / f"{name}.hgan"


def unions(home: Path) -> list[Union]:
    """Gives all that is to be combined, by name.

    Args:
        home: The steward's folder.
    """
    place = home / UNIONS
    return [Union(path) for path in sorted(place.iterdir()) if path.is_dir()] if place.is_dir() else []


def union_of(home: Path, name: str) -> Union:
    """Gives what is to be combined.

    Args:
        home: The steward's folder.
        name: Of it.

    Raises:
        MissingError: There is none of that name.
    """
    found = next((one for one in unions(home) if one.name == name), None)
    if found is None:
        raise MissingError(f"There is nothing to combine that is called {name[:40]!r}.")
    return found


def begin_union(home: Path, name: str) -> Union:
    """Makes a place for generators.

    Args:
        home: The steward's folder.
        name: Small letters, digits and dashes.

    Raises:
        UsageError: The name is none, or taken.
    """
    check_name(name)
    (home / UNIONS).mkdir(mode=0o700, exist_ok=True)
    found = Union(new_folder(home / UNIONS, name))
    new_folder(found.folder, "members")
    return found


def words_of(union: Union, output: Path, key: str | None) -> list[str]:
    """Gives the words that combine the members.

    Args:
        union: Whose.
        output: The file that is made.
        key: Private key; `None` for an unsigned draft.

    Raises:
        UsageError: Weights are none, or there are fewer than two members.
    """
    if len(union.members) < 2:
        raise UsageError("members: bring at least two generators.")
    chosen = union.chosen
    way = text_of(chosen, "weights") or "size"
    if way not in WAYS:
        raise UsageError(f"weights={way[:30]!r} is not one of {', '.join(WAYS)}.")
    if way == "own":
        # YAML holds JSON; what is no weight is refused by the verb.
        files.write_bytes(union.folder / "weights.yaml", json.dumps(_weights(union)).encode(), force=True, mode=0o600)
        way = "weights.yaml"
    words = ["combine", *(f"members/{one.name}" for one in union.members), "-o", output.name, f"--name={union.name}",
             f"--weights={way}", f"--columns={text_of(chosen, 'columns') or 'common'}", "--json"]  # fmt: skip
    words += [f"--overlap={overlap}"] if (overlap := text_of(chosen, "overlap")) else []
    return [*words, "--force"] if key is None else [*words, f"--key={key}"]


def _weights(union: Union) -> dict[str, float]:
    given = union.chosen.get("own")
    own: Mapping[str, object] = given if isinstance(given, dict) else {}
    found: dict[str, float] = {}
    for member in union.members:
        said = text_of(own, member.stem)
        try:
            found[member.stem] = float(said)
        except ValueError as error:
            raise UsageError(
                f"weight of {member.stem}: {said[:30]!r} is not a number; write one, such as 2."
            ) from error
    return found


def facts_of(union: Union) -> tuple[Mapping[str, Any], str]:
    """Gives what the combined file says of itself, and why it cannot be told; both may be empty.

    Args:
        union: Whose.
    """
    made = union.file if union.file.is_file() else union.draft
    if not made.is_file():
        return {}, ""
    try:
        return ask(union, "inspect", made.name)[0], ""
    except VerbError as error:
        return {}, str(error)


@dataclass(frozen=True)
class Cost:
    """What one patient risks, as a line of the drawing.

    Attributes:
        words: Whose patient, and at which delta if it is another one than that of the whole.
        epsilon: What that costs; `None` if nothing protects them.
        share: Of the longest line, 0 to 1.
        kind: `member`, `bound`, `claim` (the bound that the file claims), or `added`.
    """

    words: str
    epsilon: float | None
    share: float
    kind: str


def costs_of(facts: Mapping[str, Any]) -> list[Cost]:
    """Gives what a patient of each hospital risks, and what one of several does: by three assumptions, and added up.

    Args:
        facts: What the combined file says of itself.
    """
    bounds = facts["bounds"]
    leaves = list(_leaves(facts["tree"], ""))
    lines: list[tuple[str, float | None, str]] = []
    for name, claim in leaves:
        other = "" if claim.get("delta") in (None, bounds["delta"]) else f" (at delta {claim['delta']:g})"
        lines.append((f"{name}, as its file promises{other}", claim["epsilon"], "member"))
    declared = bounds["overlap"] is not None
    lines.append(("Together: a patient of one of the hospitals", bounds["disjoint"]["epsilon"], "bound"))
    if declared:
        lines.append(
            (f"Together: a patient of at most {bounds['most']}, as you declare", bounds["overlap"]["epsilon"], "claim")
        )
    lines.append(
        (f"Together: a patient of all {bounds['sites']}", bounds["worst"]["epsilon"], "bound" if declared else "claim")
    )
    promised = [claim["epsilon"] for _, claim in leaves]
    # Epsilons of several deltas have no sum that means anything.
    if len(leaves) > 1 and None not in promised and {claim.get("delta") for _, claim in leaves} == {bounds["delta"]}:
        lines.append(("The promises added up, which is too careful", sum(promised), "added"))
    longest = max((epsilon for _, epsilon, _ in lines if epsilon is not None), default=1.0) or 1.0
    return [Cost(words, epsilon, 1.0 if epsilon is None else epsilon / longest, kind) for words, epsilon, kind in lines]


def strangers_of(tree: Any) -> list[str]:  # noqa: ANN401 - JSON
    """Gives the members that no key of the trust file signed.

    Args:
        tree: Members, as the combined file says.
    """
    found: list[str] = []
    for member in tree:
        found += [] if member["signature"]["name"] else [str(member["name"])]
        found += strangers_of(member.get("members", ()))
    return found


def _leaves(tree: Any, above: str) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - JSON
    for member in tree:
        name = f"{above}{member['name']}"
        if members := member.get("members"):
            yield from _leaves(members, f"{name} / ")
        else:
            claim = member["privacy"]
            yield name, claim if claim["mode"] == "private" else {"epsilon": None}
