"""What a fit of a project is asked for: its words, and what it would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

from wardgan import files
from wardgan.errors import UsageError, WardganError
from wardgan.models import IMAGES
from wardgan.schema.schema import Schema
from wardgan.seal.card import BANNER, statement
from wardgan.seal.records import Claim
from wardgan.web.steward import declare
from wardgan.web.steward.offers import families_of
from wardgan.web.steward.project import Project, projects, text_of
from wardgan.web.steward.verbs import Acts, VerbError, ask

UNCONFIRMED: Final = "Some values still come from patients: confirm them in the step before, or replace them."
_LEDGER: Final = "ledger.db"
_SETTLING: Final = Lock()
_TABLE: Final = tuple("┏┃┡│└")


def planned(project: Project, chosen: Mapping[str, object]) -> dict[str, Any]:
    """Gives what a fit would spend, also in words; or why none can be planned.

    Args:
        project: Whose.
        chosen: What the steward chose.
    """
    try:
        epsilon, delta = float(text_of(chosen, "epsilon")), float(text_of(chosen, "delta") or "1e-5")
        share = _share_of(chosen)
        if not project.begun:
            keep(project.fitted, declare.for_fit(Schema.load(project.schema), share).to_yaml().encode())
        found, told = ask(
            project, "plan", project.fitted.name, f"--epsilon={epsilon!r}", f"--delta={delta!r}",
            *_family(project),
        )  # fmt: skip
    except (VerbError, WardganError) as error:
        return {"problem": str(error)}
    except ValueError:
        return {"problem": "epsilon and delta are numbers, such as 1 and 1e-5."}
    words = statement(Claim(mode="private", epsilon=epsilon, delta=delta)).replace("**", "").replace(BANNER, "")
    # The page has a table of its own.
    told = "\n".join(line for line in told.splitlines() if not line.startswith(_TABLE))
    return {"plan": found, "told": told, "claim": words}


def train(acts: Acts, project: Project) -> None:
    """Sets patients aside, and fits to the others.

    Args:
        acts: Runs the verbs.
        project: Whose.

    Raises:
        UsageError: It was begun already, or cannot be planned.
    """
    _check_free(project)
    acts.check_free(project)
    chosen = project.chosen
    schema = Schema.load(project.schema)
    if schema.confirm:
        raise UsageError(UNCONFIRMED)
    known = counted(project)
    # Two that begin at the same moment are told apart: the second one sees the first.
    with _SETTLING:
        project.choose(dataset=dataset_of(project, known))
    # What cannot be planned does not begin.
    if (wrong := planned(project, chosen).get("problem")) is not None:
        raise UsageError(str(wrong))
    share = _share_of(chosen)

    def first() -> None:
        _check_free(project)
        keep(project.fitted, declare.for_fit(schema, share).to_yaml().encode())
        for place in (project.train, project.holdout):
            place.unlink(missing_ok=True)

    commands: list[list[str]] = []
    if share:
        commands.append(["split", project.data.name, project.schema.name, "-o", project.train.name, "--holdout",
                         project.holdout.name, "--share", f"{share:g}", "--json"])  # fmt: skip
    source = project.train.name if share else project.data.name
    acts.start(project, "training", "Training", *commands, fit_words(project, source), first=first)


def fit_words(project: Project, source: str | None = None) -> list[str]:
    """Gives the words of the fit.

    Args:
        project: Whose.
        source: File of those who are fitted to; `None` for the one that is there.
    """
    chosen = project.chosen
    return [
        "fit", source or fitted_data(project), project.fitted.name, "-o", project.run.name,
        f"--epsilon={text_of(chosen, 'epsilon')}", f"--delta={text_of(chosen, 'delta') or '1e-5'}",
        *_family(project), "--ledger", str(project.folder.parent / _LEDGER),
        f"--dataset={text_of(chosen, 'dataset') or project.name}", "--json",
    ]  # fmt: skip


def families(project: Project) -> tuple[str, ...]:
    """Gives the families that a project can choose from, as the verb offers them.

    Args:
        project: Whose.
    """
    found = families_of("fit", option="--survey" if project.survey.is_file() else "--family")
    return tuple(one for one in found if one != IMAGES)  # of which these pages know nothing


def _family(project: Project) -> list[str]:
    """Gives the words that name the family, and the survey that it answers."""
    wanted = text_of(project.chosen, "family") or "auto"
    if not project.survey.is_file():
        return [f"--family={wanted}"]
    able = families(project)
    return [f"--family={wanted if wanted in able or not able else able[0]}", f"--survey={project.survey.name}"]


def dataset_of(project: Project, known: Sequence[Mapping[str, Any]]) -> str:
    """Gives the data set with which the patients of a project are counted in the ledger.

    Who is set aside is drawn anew for each project, so the ledger cannot know the same patients again: the same file
    is counted with its earlier projects, and of another file a person says with whom.

    Args:
        project: Whose.
        known: What `counted` gave.

    Raises:
        UsageError: Nobody has said it, and there are earlier data sets.
    """
    if settled := (text_of(project.chosen, "dataset") if project.begun else project.same):
        return settled
    names = data_sets(project, known)
    if not (said := text_of(project.chosen, "counted_with")) and names:
        raise UsageError(
            "counted_with: say with whom these patients are counted; with an earlier data set if any of them is in it."
        )
    if said not in ("", project.name, *names):
        raise UsageError(f"counted_with={said[:40]!r} is not in the ledger of these projects; choose one that is.")
    return said or project.name


def data_sets(project: Project, known: Sequence[Mapping[str, Any]]) -> list[str]:
    """Gives the data sets that are counted: those of the ledger, and those of fits that have not billed yet.

    Args:
        project: For whom it is asked.
        known: What `counted` gave.
    """
    begun = [text_of(one.chosen, "dataset") for one in projects(project.folder.parent) if one.folder != project.folder]
    return list(dict.fromkeys([*(str(name) for page in known for name in page["names"]), *filter(None, begun)]))


def counted(project: Project) -> list[Mapping[str, Any]]:
    """Gives what the ledger of the projects says of each data set.

    Args:
        project: One of them.

    Raises:
        VerbError: It cannot be read.
    """
    ledger = project.folder.parent / _LEDGER
    if not ledger.is_file():
        return []
    found, _ = ask(project, "ledger", "show", "--ledger", str(ledger))
    return list(found.get("datasets", ()))


def fitted_data(project: Project) -> str:
    """Gives the name of the file of those who are fitted to.

    Args:
        project: Whose.
    """
    return (project.train if project.train.is_file() else project.data).name


def keep(place: Path, found: bytes) -> None:
    """Writes a file for its owner alone.

    Args:
        place: The file.
        found: What is in it.
    """
    files.write_bytes(place, found, force=True, mode=0o600)


def _check_free(project: Project) -> None:
    if project.begun:
        raise UsageError(
            f"{project.name} is trained already, or was begun; another fit costs again: begin a new project for it."
        )


def _share_of(chosen: Mapping[str, object]) -> float:
    try:
        share = float(text_of(chosen, "share") or "0.5")
    except ValueError as error:
        raise UsageError("share: it is not a number.") from error
    if not 0 <= share < 1:
        raise UsageError(f"share={share:g} is not at least 0 and below 1.")
    return share


def bill(project: Project, epsilon: float, known: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Gives what was spent on these patients before, and the cap; `None` for nothing.

    Args:
        project: Whose.
        epsilon: What the fit would spend.
        known: What `counted` gave.
    """
    try:
        mine = dataset_of(project, known)
    except UsageError:
        return None
    page = next((page for page in known if mine in page["names"]), None)
    if page is None:
        return None
    spent, limit = page["total"]["epsilon"], min((float(one["epsilon"]) for one in page["caps"]), default=None)
    # This fit is among what was spent, once it was begun.
    more = 0.0 if project.begun else epsilon
    return {"spent": spent, "cap": limit, "after": None if spent is None else spent + more}
