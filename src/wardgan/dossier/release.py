"""The way out: a generator leaves with its public dossier, if the gates let it, or by a person's decision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from wardgan import check
from wardgan.dossier.assess import Dossier
from wardgan.dossier.receiver import gates_of
from wardgan.dossier.subject import Subject, digests
from wardgan.errors import GateError, UsageError
from wardgan.files import check_new
from wardgan.sample.generator import Generator
from wardgan.seal import artifact, gate
from wardgan.seal.json_text import canonical

if TYPE_CHECKING:
    from wardgan.models.base import Trained

NO_DOSSIER: Final = (
    "It has no dossier, so nobody has looked at what it gives away: make one with wardgan dossier (wg.assess), or let "
    "a person answer for it with an override 'person: reason'."
)


def release(  # noqa: PLR0913 - what a release may be told, in one place
    trained: Trained, path: str | Path, key: str | Path | None = None, override: str | None = None, *,
    dossier: str | Path | None = None, force: bool = False, created: str | None = None,
    passphrase: bytes | None = None, training_data_id: str | None = None,
) -> Path:  # fmt: skip
    """Writes a model and its public dossier to a `.hgan` file, if the gates let it leave.

    Args:
        trained: A finished fit.
        path: The file, usually `name.hgan`.
        key: The hospital's private key; `None` leaves the file unsigned, which receivers may refuse.
        override: `person: reason`, for a release without privacy, without a dossier, or against a gate. It is printed
            in the dossier and signed.
        dossier: Folder of the dossier, from `Dossier.write`; the gates are judged again from its numbers.
        force: Whether an existing file may be replaced.
        created: Date, `YYYY-MM-DD`; `None` for `$SOURCE_DATE_EPOCH`, or today.
        passphrase: Of the private key.
        training_data_id: Opaque name of the patients, the same for all models of the same patients, such as a random
            `data-3f9c...`. `None` names this fit only.

    Returns:
        The path.

    Raises:
        GateError: The model may not leave; `.reasons` lists why. What an override cannot excuse is among them.
        OutputError: `path` is no path, the file exists, or cannot be written.
        UsageError: `trained` is no finished fit, the dossier is not about it, the key cannot be used, or the date is
            none.
        FormatError: The dossier is damaged, or its public numbers do not follow.
        NetworkError: The network is not one that a receiver would accept.
    """
    check_new(path, force=force)
    if not isinstance(getattr(trained, "generator", None), Generator):
        raise UsageError(f"trained: {type(trained).__name__} is no finished fit; pass what fit or Trained.load gives.")
    found = None if dossier is None else _dossier_of(trained, dossier)
    refusals = refusals_of(trained, found)
    never = _never(trained, override)
    if never or (refusals and override is None):
        raise GateError([*never, *(refusals if override is None else [])])
    if override is not None and not refusals:
        raise GateError(["No gate holds it back, so there is nothing to override; leave the override out."])
    if found is not None and override is not None:
        found = found.overridden(override)
    if found is not None:
        # What a receiver would refuse must not leave.
        gates_of(Subject(trained.generator, trained.ledger.to_dict(), {}, "", 0), found.public)
    public = None if found is None else canonical(found.public.to_dict())
    made = artifact.release(
        trained, path, key, override, force=force, created=created, passphrase=passphrase,
        training_data_id=training_data_id, dossier=public,
    )  # fmt: skip
    if found is not None and dossier is not None and override is not None:
        found.write(dossier, force=True)
    return made


def refusals_of(trained: Trained, dossier: Dossier | None) -> list[str]:
    """Gives why a model may leave only by a person's decision, one sentence each; none if it may.

    Args:
        trained: The fit.
        dossier: Its dossier; `None` if there is none.
    """
    found = [NO_DOSSIER] if dossier is None else dossier.refusals
    if trained.ledger.mode == "none":
        return [gate.NOT_PROTECTED, *(reason for reason in found if not reason.startswith("epsilon:"))]
    return found


def _never(trained: Trained, override: str | None) -> list[str]:
    """Gives what no override excuses."""
    word = override
    if trained.ledger.mode == "none" and override is None:
        word = "nobody: not yet"
    claims = gate.claim_reasons(trained.generator.privacy, trained.ledger.to_dict(), word)
    return [*gate.generator_reasons(trained.generator), *claims]


def _dossier_of(trained: Trained, folder: str | Path) -> Dossier:
    check.path(dossier=folder)
    found = Dossier.read(folder)
    wanted = digests(trained.generator, trained.ledger.to_dict())
    for document in (found.internal, found.public):
        if document.generator != wanted:
            raise UsageError(
                f"dossier={str(folder)!r} is about another generator, or an earlier state of this one; make it again "
                "with wardgan dossier."
            )
    if not found.whole:
        raise UsageError(
            f"dossier={str(folder)!r}: the public edition is not the one that was made with the internal one; make "
            "both again with wardgan dossier."
        )
    return found
