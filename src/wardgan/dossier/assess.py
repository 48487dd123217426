"""From a run and its patients to a dossier in two editions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast, get_args

from wardgan import check
from wardgan.dossier.account import UNREADABLE, institution, spent
from wardgan.dossier.canaries import check_audit, read_audit
from wardgan.dossier.document import Document
from wardgan.dossier.gates import Judgement, judged, overall, reasons
from wardgan.dossier.inside import Asked, aim_of, check_kind, internal_parts
from wardgan.dossier.looks import look_of
from wardgan.dossier.measure import Told
from wardgan.dossier.page import page
from wardgan.dossier.paid import SHARE, PaidCounts, all_paid, can_be_paid, paid_counts
from wardgan.dossier.policy import Name, Policy
from wardgan.dossier.public import GATES, Word, public_edition
from wardgan.dossier.subject import Subject, glossary, guarantee, identity, purpose, reproduce
from wardgan.errors import DataError, FormatError, OutputError, UsageError, counted
from wardgan.evaluate.images import Extractor
from wardgan.files import check_name, new_file
from wardgan.models.base import Trained
from wardgan.models.fit import fitted_to
from wardgan.privacy.events import DEFAULT_DELTA
from wardgan.privacy.learn import as_learned
from wardgan.rng import Seed
from wardgan.schema.image_cohort import AnyCohort, ImageCohort
from wardgan.schema.keys import plain_key
from wardgan.schema.schema import Schema
from wardgan.seal.artifact import day_of

INTERNAL: Final = "internal"
PUBLIC: Final = "public"


@dataclass(frozen=True, eq=False, repr=False)
class Dossier:
    """A dossier in its two editions.

    Attributes:
        internal: Everything; it stays in the hospital.
        public: What may leave it.
    """

    internal: Document
    public: Document

    @property
    def whole(self) -> bool:
        """Whether the two editions were made together, and the public one was not changed since."""
        return self.internal.facts.get("public") == _digest(self.public) and self.internal.policy == self.public.policy

    @property
    def policy(self) -> Policy:
        """What it was judged by."""
        return Policy.of_dict(self.internal.policy, "dossier")

    @property
    def judgements(self) -> list[Judgement]:
        """What the gates say, judged again from the numbers."""
        gates = [gate for gate in self.policy.limits if gate != "public utility"]
        inside = judged(self.internal.measured, self.policy, gates=gates)
        return inside + [
            one for one in judged(self.public.measured, self.policy, gates=GATES) if one.gate == "public utility"
        ]

    @property
    def refusals(self) -> list[str]:
        """Why the generator may not leave, one sentence for each gate that says so; none if it may."""
        return reasons(self.judgements, self.policy)

    def write(self, folder: str | Path, *, force: bool = False) -> list[Path]:
        """Writes both editions as pages and as JSON.

        Args:
            folder: Where to; made if it is not there.
            force: Whether files that are there may be replaced.

        Raises:
            OutputError: They are there already, or cannot be written.
        """
        check_name(folder)
        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"output={str(place)!r} cannot be written: {error.strerror}.") from error
        made: dict[str, bytes] = {}
        for document in (self.internal, self.public):
            made[f"{document.edition}.html"] = page(document).encode()
            made[f"{document.edition}.json"] = document.to_json()
        if not force and any((place / name).exists() for name in made):
            raise OutputError(f"output={str(place)!r} holds a dossier already; replace it with --force (force=True).")
        with ExitStack() as written:
            for name, data in made.items():
                mode = 0o600 if name.startswith(INTERNAL) else 0o644
                handle = written.enter_context(new_file(place / name, force=True, mode=mode))
                handle.write(data)
                handle.flush()
            # The first page gets its name last: where it is missing, somebody was stopped between two editions.
            (place / next(iter(made))).unlink(missing_ok=True)
        return [place / name for name in made]

    @classmethod
    def read(cls, folder: str | Path) -> Dossier:
        """Reads a dossier that `write` has written.

        Raises:
            UsageError: There is none.
            FormatError: A file of it is damaged.
        """
        check.path(dossier=folder)
        found: list[Document] = []
        for edition in (INTERNAL, PUBLIC):
            place = Path(folder) / f"{edition}.json"
            try:
                data = place.read_bytes()
            except OSError as error:
                raise UsageError(
                    f"dossier={str(folder)!r} holds no {place.name}: make one with wardgan dossier."
                ) from error
            document = Document.of_json(data, str(place))
            if document.edition != edition:
                raise FormatError(f"{place}: is the {document.edition} edition.")
            limits = Policy.of_dict(document.policy, str(place)).limits
            if any(one.gate not in limits for one in document.measured):
                raise FormatError(f"{place}: it has a number of a gate that is none.")
            found.append(document)
        return cls(*found)

    def overridden(self, override: str) -> Dossier:
        """Gives the dossier with a release against the gates printed in it; the public edition is about one release."""
        earlier = [one for one in self.internal.overrides if one != override]
        return Dossier(
            replace(self.internal, overrides=[*earlier, override]), replace(self.public, overrides=[override])
        )


def assess(  # noqa: PLR0913 - what a dossier may be told, in one place
    run: str | Path, train: AnyCohort, holdout: AnyCohort | None = None, *, policy: str | Path | Policy = "default",
    target: str | None = None, public_share: float = SHARE, seed: int = 0, audit: str | Path | None = None,
    source_bytes: int | None = None, created: str | None = None, told: Told = lambda _what, _done, _all: None,
    extractors: Sequence[Extractor] = (),
) -> Dossier:  # fmt: skip
    """Gives the dossier of a run: what its generator gives away, what it is good for, and whether it may leave.

    Args:
        run: Run folder of a finished fit.
        train: The patients it was fitted to, read as for the fit.
        holdout: Other patients, drawn like them and set aside before the fit, read with the same schema; best as many.
            `None`: then no attack and no use can be judged.
        policy: `strict`, `default`, `research`, or a YAML file.
        target: Column that classifiers learn; `None` for the first label.
        public_share: Part of the fit's epsilon that the hold-out pays for the public counts; 0 for none.
        seed: Of the synthetic patients and of all choices.
        audit: What `wardgan audit -o` has written, to be shown and judged, too.
        source_bytes: Size of the files with the patients, if known; of images it is known.
        created: Date, `YYYY-MM-DD`; `None` for `$SOURCE_DATE_EPOCH`, or today.
        told: Called with what is being done, how many parts are done and how many there are.
        extractors: Of images: networks of your own whose features are compared, too.

    Raises:
        DataError: `train` are not the patients of the run; the hold-out has patients of the training, or other columns.
        FormatError: The run folder is damaged.
        BudgetError: A cap of the institution's ledger does not allow the public counts.
        UsageError: The policy, the target or the share means nothing.
    """
    check.path(run=run)
    check.whole(0, seed=seed)
    rules = policy if isinstance(policy, Policy) else Policy.load(policy)
    proved = None if audit is None else read_audit(audit)
    place = Path(run)
    trained = Trained.load(place)
    real = fitted_to(place, trained, train)
    check_kind(holdout, trained.generator.schema)
    if holdout is not None:
        _check_apart(train, holdout)
        _check_doubles(train, holdout, pays=public_share != 0)
    held = None if holdout is None else as_learned(holdout, trained.generator.schema)
    if proved is not None:
        check_audit(proved, trained.generator)
    subject = Subject(trained.generator, trained.ledger.to_dict(), trained.config, day_of(created), seed)
    generator = trained.generator
    aim = aim_of(generator.schema, target)
    delta = float(cast("float", generator.privacy.get("delta") or 0.0))
    asked = Asked(subject, rules, proved, aim, source_bytes, trained.notes, told, extractors)
    inside = internal_parts(asked, real, held, delta=delta)
    counts, why = _paid(place, trained, held, aim, public_share, seed, pays=holdout)
    ledger, no_ledger = institution(place)
    word = Word(held is not None, why, all_paid(place, delta or DEFAULT_DELTA))
    public = public_edition(subject, look_of(generator, seed), counts, rules, word)
    judgements = judged(inside.measured, rules, gates=[gate for gate in rules.limits if gate != "public utility"])
    command = _command(rules, aim, public_share, seed, schema=generator.schema, networks=len(extractors))
    command += "" if proved is None else " --audit FILE"
    sections = [
        identity(subject), purpose(subject), *inside.before(guarantee(subject)),
        spent(subject, ledger, no_ledger, counts), reproduce(subject, command), glossary(),
    ]  # fmt: skip
    facts = {
        "seed": seed,
        "patients": {"train": len(real), "holdout": None if held is None else len(held)},
        "warnings": [*inside.warnings, *([no_ledger] if no_ledger.startswith(UNREADABLE) else [])],
    }
    internal = Document(
        generator.schema.name, "internal", subject.private, subject.digests(), rules.to_dict(), inside.measured,
        overall(judgements), judgements, (), facts, sections,
    )  # fmt: skip
    return tied(internal, public)


def tied(internal: Document, public: Document) -> Dossier:
    """Gives a dossier of two editions that were made together.

    Args:
        internal: The internal edition.
        public: The public one; its digest is noted in the internal one.
    """
    return Dossier(replace(internal, facts={**internal.facts, "public": _digest(public)}), public)


def _digest(public: Document) -> str:
    """Gives what ties the editions; overrides come later."""
    return hashlib.sha256(replace(public, overrides=()).to_json()).hexdigest()


def _check_apart(train: AnyCohort, holdout: AnyCohort) -> None:
    """Refuses a hold-out with names of training patients; equal rows are looked for by the attacks."""
    by = f"in {train.schema.patient}"
    if isinstance(train, ImageCohort) and isinstance(holdout, ImageCohort):
        if not (train.named and holdout.named):
            return
        # Of images nothing but digests of names is kept.
        names, others = set(train.patients.tolist()), holdout.patients.tolist()
        by = by if train.schema.patient is not None else "in the labels or the files"
    elif train.schema.patient is None:
        return
    else:
        names = {plain_key(str(name)) for name in train.patients.tolist()}
        others = [plain_key(str(name)) for name in holdout.patients.tolist()]
    both = sum(name in names for name in others)
    if both:
        raise DataError(
            f"holdout: {counted(both, 'patient')} of it are patients of data, too, by their names {by}. Take them out: "
            "wardgan split sets patients aside before a fit."
        )


def _check_doubles(train: AnyCohort, holdout: AnyCohort, *, pays: bool) -> None:
    """Refuses a hold-out with images of the training, pixel for pixel: whoever is in both would pay twice."""
    if not isinstance(train, ImageCohort) or not isinstance(holdout, ImageCohort):
        return
    known = {hashlib.sha256(image.tobytes()).digest() for image in train.pixels}
    both = sum(hashlib.sha256(image.tobytes()).digest() in known for image in holdout.pixels)
    if 2 * both > len(holdout.pixels):
        raise DataError(
            f"holdout: {counted(both, 'image')} of it are images of data, pixel for pixel, which is most of it. Pass "
            "patients whom the fit has not read: wardgan split sets them aside before a fit."
        )
    if both and pays:
        raise DataError(
            f"holdout: {counted(both, 'image')} of it are images of data, pixel for pixel, and whoever is in both "
            "would pay twice for public numbers. Take them out, or ask for no public numbers (--public-share 0)."
        )


def _paid(
    run: Path,
    trained: Trained,
    holdout: AnyCohort | None,
    target: str | None,
    share: float,
    seed: int,
    *,
    pays: AnyCohort | None,
) -> tuple[PaidCounts | None, str]:
    why = can_be_paid(trained.generator, target)
    if why or target is None:
        return None, why
    if holdout is None:
        return None, "There is no hold-out, and training patients are never asked again."
    if share == 0:
        return None, "No share of the budget was given for public numbers (--public-share 0)."
    return paid_counts(run, trained.generator, holdout, target=target, share=share, seed=Seed(seed), pays=pays), ""


def _command(
    policy: Policy, target: str | None, share: float, seed: int, *, schema: Schema, networks: int
) -> str:  # fmt: skip
    named = policy.name if policy.name in get_args(Name) else "FILE"
    words = ["wardgan dossier RUN --data FILE --holdout FILE"]
    if schema.images is not None:
        words = ["wardgan dossier RUN --data PATH --labels FILE --holdout PATH --holdout-labels FILE"]
        words += ["--mask COLUMN"] * schema.images.mask + ["--extractor FILE"] * networks
    words += [f"--policy {named}", *([] if target is None else [f"--target {target}"])]
    return " ".join([*words, f"--public-share {share:g}", f"--seed {seed}"])
