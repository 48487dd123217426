"""Distilling: one generator of constant size, learned from synthetic patients of a combined one alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from wardgan import check, files
from wardgan.combining.faithful import Faithful, faithful
from wardgan.combining.lesson import lesson
from wardgan.combining.loading import Opened, open_file
from wardgan.combining.tree import members_below
from wardgan.errors import GateError, TrustError, UsageError
from wardgan.models.base import Config, Progress, Watcher
from wardgan.models.fit import fit
from wardgan.models.planning import check_kind, config_of
from wardgan.privacy.union import Bounds
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.seal import joint
from wardgan.seal.artifact import day_of, packed
from wardgan.seal.joint import Named
from wardgan.seal.reading import Facts

PATIENTS: Final = 50_000
IMAGES: Final = 4_000


@dataclass(frozen=True)
class Distilled:
    """What came of distilling.

    Attributes:
        path: The file.
        teacher: Digest of the generator that it has learned from.
        bounds: What its hospitals' ledgers cost one patient together: the same as the teacher's.
        quality: How near to the teacher it is; `None` if nobody asked.
        sizes: Bytes of the teacher's file and of this one.
        learned_from: How many synthetic patients it has learned from.
    """

    path: Path
    teacher: str
    bounds: Bounds
    quality: Faithful | None
    sizes: tuple[int, int]
    learned_from: int


def distill(  # noqa: PLR0913 - what distilling may be told, in one place
    source: str | Path, path: str | Path, *, name: str | None = None, family: str | Config = "auto",
    n: int | None = None, overlap: int | None = None, seed: int | None = None, judge: bool = True, again: bool = False,
    key: str | Path | None = None, passphrase: bytes | None = None, trust: str | Path | None = None,
    revoked: Sequence[str] = (), override: str | None = None, created: str | None = None, force: bool = False,
    watch: Watcher | None = None,
) -> Distilled:  # fmt: skip
    """Learns one generator from synthetic patients of a combined one, and measures how near to it the pupil is.

    No patient is read, so it costs no privacy: the pupil has the guarantee of the teacher (post-processing; Dwork and
    Roth 2014, proposition 2.1), and its file lists the ledgers of all hospitals behind it.

    Args:
        source: The teacher's `.hgan` file.
        path: The pupil's file.
        name: Of the pupil's data set; `None` for that of the teacher.
        family: Family of the pupil, or its settings: `auto` for the best one without privacy.
        n: How many synthetic patients or images it learns from; `None` for 50,000 patients or 4,000 images.
        overlap: In how many of the hospitals one patient may be at most, as somebody who knows declares; `None` for
            what the teacher declares.
        seed: Replays everything; `None`: new patients each time.
        judge: Whether pupil and teacher are compared.
        again: Whether the teacher may have been distilled itself. Errors add up from pupil to pupil, so that is
            refused otherwise.
        key: Private key that signs the file; `None` leaves it unsigned.
        passphrase: Of the private key.
        trust: Trust file: then the teacher must be signed by a key in it.
        revoked: Digests of releases that must not be used any more.
        override: `person: reason`, needed if the teacher is not private.
        created: Date, `YYYY-MM-DD`; `None` for `$SOURCE_DATE_EPOCH`, or today.
        force: Whether an existing file may be replaced.
        watch: Is told of progress.

    Raises:
        UsageError: The teacher was distilled itself, a class cannot be drawn, or the family does not fit.
        GateError: The teacher is not private, and nobody answers for that.
        ArtifactError: The teacher's file is damaged.
        TrustError: Its signature is missing, unknown or wrong; or it, or something in it, was revoked.
        PlanError: There is no such family.
        OutputError: The file exists, or cannot be written.
    """
    files.check_new(path, force=force)
    if n is not None:
        check.whole(100, n=n)
    day = day_of(created)
    opened = open_file(source, trust, required=trust is not None)
    check_revoked(opened, revoked)
    behind = named_behind(opened)
    _check_depth(opened, again=again)
    teacher = opened.generator
    # What cannot be trained is refused before anything is drawn.
    check_kind(config_of(family, teacher.schema, patients=PATIENTS), teacher.schema)
    declared = _overlap(opened) if overlap is None else overlap
    bounds = joint.bounds_of(behind, overlap=declared)
    claim = joint.claim(bounds)
    if claim["mode"] == "none" and override is None:
        raise GateError(
            ["The teacher is not private, so neither is what learns from it; it may leave only with an override "
             "'person: reason'."]
        )  # fmt: skip
    size = n or (PATIENTS if teacher.schema.images is None else IMAGES)
    told = watch or _nobody
    told(Progress("sampling the teacher", 0, 1))
    made = lesson(teacher, size, Seed.secret() if seed is None else Seed(seed))
    trained = fit(made, family=family, privacy="none", seed=seed, watch=watch).generator
    schema = replace(teacher.schema, name=name or teacher.schema.name)
    pupil = Generator(schema, trained.family, trained.network, trained.latent, teacher.probabilities, claim)
    ledger = joint.ledger_of(behind, claim, how="distilled", of=opened.digest, overlap=declared, family=pupil.family)
    data = packed(
        pupil, ledger, day, override=override if claim["mode"] == "none" else None, key=key, passphrase=passphrase,
        data_id=joint.data_id(behind),
    )  # fmt: skip
    # The file is there before the pupil is judged, which takes a while.
    files.write_bytes(path, data, force=force)
    told(Progress("comparing teacher and pupil", 0, 1))
    quality = faithful(teacher, pupil, seed=seed) if judge else None
    told(Progress("compared", 1, 1))
    sizes = (Path(source).stat().st_size, len(data))
    return Distilled(Path(path), opened.digest, bounds, quality, sizes, size)


def check_revoked(opened: Opened, revoked: Sequence[str]) -> None:
    """Refuses a file that was taken back, or that holds one that was.

    Args:
        opened: The file.
        revoked: Digests that were.

    Raises:
        TrustError: Names the digest.
    """
    inside = [] if opened.node is None else [member.node for member in members_below(opened.node)]
    for digest in (opened.digest, *(one.digest for one in inside)):
        if digest in revoked:
            raise TrustError(f"{digest[:23]}... was revoked by its publisher; use what was made without it.")


def named_behind(opened: Opened) -> list[Named]:
    """Gives the ledgers behind a file, with the hospitals' names.

    Args:
        opened: The file.
    """
    return [
        one
        for name, digest, facts in _generators(opened)
        for one in joint.named(digest, name, facts.card.training_data_id, facts.ledger)
    ]


def _generators(opened: Opened) -> list[tuple[str, str, Facts]]:
    """Gives name, digest and facts of each generator in a file."""
    if opened.node is not None:
        return [(name, leaf.digest, leaf.facts) for name, leaf, _ in opened.node.leaves()]
    facts = cast("Facts", opened.facts)
    return [(facts.card.name, opened.digest, facts)]


def _overlap(opened: Opened) -> int | None:
    """Gives in how many hospitals a patient may be at most, as the teacher declares."""
    if opened.node is not None:
        return opened.node.record.overlap
    return cast("Facts", opened.facts).ledger.overlap


def _check_depth(opened: Opened, *, again: bool) -> None:
    if again:
        return
    for name, _, facts in _generators(opened):
        if facts.ledger.origin is not None and facts.ledger.origin.how == "distilled":
            raise UsageError(
                f"source: {name} was distilled itself, and what learns from it learns its errors, too; distil from the "
                "hospitals' own generators, or say --again."
            )


def _nobody(progress: Progress) -> None:
    """Nobody watches."""
