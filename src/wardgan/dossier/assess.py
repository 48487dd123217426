"""From a run and its patients to a dossier in two editions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast, get_args

import numpy as np

from wardgan import check
from wardgan.dossier.account import UNREADABLE, institution, spent
from wardgan.dossier.attacked import attacks, power
from wardgan.dossier.canaries import audit_number, check_audit, read_audit
from wardgan.dossier.document import Document, Facts, Number, Numbers, Section, Text
from wardgan.dossier.gates import Judgement, judged, overall, reasons
from wardgan.dossier.gauges import claimed, internal_numbers, warnings
from wardgan.dossier.measure import Findings, Patients, Told, measure, target_of
from wardgan.dossier.page import page
from wardgan.dossier.paid import SHARE, PaidCounts, all_paid, can_be_paid, paid_counts
from wardgan.dossier.policy import Name, Policy
from wardgan.dossier.public import DRAWN, GATES, Word, public_edition
from wardgan.dossier.subject import Subject, declared, glossary, guarantee, identity, method, purpose, reproduce
from wardgan.dossier.useful import clinical, fidelity, groups, utility
from wardgan.errors import DataError, FormatError, OutputError, UsageError, counted
from wardgan.estimate import proportion
from wardgan.files import check_name, write_bytes
from wardgan.models.base import Trained
from wardgan.models.fit import fitted_to
from wardgan.privacy.events import DEFAULT_DELTA
from wardgan.privacy.learn import as_learned
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort
from wardgan.schema.keys import plain_key
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
        return [
            write_bytes(place / name, data, force=True, mode=0o600 if name.startswith(INTERNAL) else 0o644)
            for name, data in made.items()
        ]

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
    run: str | Path, train: Cohort, holdout: Cohort | None = None, *, policy: str | Path | Policy = "default",
    target: str | None = None, public_share: float = SHARE, seed: int = 0, audit: str | Path | None = None,
    source_bytes: int | None = None, created: str | None = None, told: Told = lambda _what, _done, _all: None,
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
        source_bytes: Size of the files with the patients, if known.
        created: Date, `YYYY-MM-DD`; `None` for `$SOURCE_DATE_EPOCH`, or today.
        told: Called with what is being done, how many parts are done and how many there are.

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
    if trained.generator.schema.images is not None:
        raise UsageError(
            f"run={str(place)!r} draws images, and a dossier knows tables and visits only; measure them with "
            "wardgan.evaluate.images, and release with an override."
        )
    real = fitted_to(place, trained, train)
    if holdout is not None:
        _check_apart(train, holdout)
    held = None if holdout is None else as_learned(holdout, trained.generator.schema)
    if proved is not None:
        check_audit(proved, trained.generator)
    subject = Subject(trained.generator, trained.ledger.to_dict(), trained.config, day_of(created), seed)
    schema = trained.generator.schema
    aim = target_of(schema, target)
    claim = claimed(trained.generator)
    delta = float(cast("float", trained.generator.privacy.get("delta") or 0.0))
    patients = Patients(real, held, trained.generator.draw(len(real), seed=seed))
    found = measure(
        patients, target=aim, epsilon=claim, delta=delta, seed=Seed(seed), told=told
    )  # fmt: skip
    counts, why = _paid(place, trained, held, aim, public_share, seed, pays=holdout)
    ledger, no_ledger = institution(place)
    synthetic = trained.generator.draw(DRAWN, seed=seed)
    word = Word(held is not None, why, all_paid(place, delta or DEFAULT_DELTA))
    public = public_edition(subject, synthetic, counts, rules, word)
    measured = internal_numbers(found, trained.generator)
    measured += [] if proved is None else [audit_number(proved)]
    judgements = judged(measured, rules, gates=[gate for gate in rules.limits if gate != "public utility"])
    sections = [
        identity(subject),
        purpose(subject),
        _source(subject, patients),
        method(subject, _size(patients, source_bytes)),
        guarantee(subject),
        attacks(found, rules, proved),
        fidelity(found, patients),
        utility(found),
        clinical(found),
        groups(found, rules),
        _limits(found, trained),
        spent(subject, ledger, no_ledger, counts),
        reproduce(subject, _command(rules, aim, public_share, seed, audited=proved is not None)),
        glossary(),
    ]
    facts = {
        "seed": seed,
        "patients": {"train": len(real), "holdout": None if held is None else len(held)},
        "warnings": [*warnings(found), *([no_ledger] if no_ledger.startswith(UNREADABLE) else [])],
    }
    internal = Document(
        schema.name, "internal", subject.private, subject.digests(), rules.to_dict(), measured, overall(judgements),
        judgements, (), facts, sections,
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


def _check_apart(train: Cohort, holdout: Cohort) -> None:
    """Refuses a hold-out with names of training patients; equal rows are looked for by the attacks."""
    if train.schema.patient is None:
        return
    names = {plain_key(str(name)) for name in train.patients.tolist()}
    both = sum(plain_key(str(name)) in names for name in holdout.patients.tolist())
    if both:
        raise DataError(
            f"holdout: {counted(both, 'patient')} of it are patients of data, too, by their names in "
            f"{train.schema.patient}. Take them out: wardgan split sets patients aside before a fit."
        )


def _paid(
    run: Path,
    trained: Trained,
    holdout: Cohort | None,
    target: str | None,
    share: float,
    seed: int,
    *,
    pays: Cohort | None,
) -> tuple[PaidCounts | None, str]:
    why = can_be_paid(trained.generator, target)
    if why or target is None:
        return None, why
    if holdout is None:
        return None, "There is no hold-out, and training patients are never asked again."
    if share == 0:
        return None, "No share of the budget was given for public numbers (--public-share 0)."
    return paid_counts(run, trained.generator, holdout, target=target, share=share, seed=Seed(seed), pays=pays), ""


def _command(policy: Policy, target: str | None, share: float, seed: int, *, audited: bool) -> str:
    named = policy.name if policy.name in get_args(Name) else "FILE"
    words = ["wardgan dossier RUN --data FILE --holdout FILE", f"--policy {named}"]
    words += [] if target is None else [f"--target {target}"]
    words += [f"--public-share {share:g}", f"--seed {seed}", *(["--audit FILE"] if audited else [])]
    return " ".join(words)


def _source(subject: Subject, patients: Patients) -> Section:
    held = "none" if patients.holdout is None else f"{len(patients.holdout):,}"
    facts = Facts([("training patients", f"{len(patients.train):,}"), ("hold-out patients", held)])
    table = patients.tables()[0]
    missing = {name: int(np.asarray(table[name].isna()).sum()) for name in map(str, table.columns)}
    rows = [Number(name, proportion(count, len(table))) for name, count in missing.items() if count]
    blocks = [Numbers("Share of missing cells among training patients", rows, "")] if rows else []
    return Section(3, "Source data", [facts, *declared(subject), *blocks])


def _size(patients: Patients, source: int | None) -> tuple[str, int]:
    if source is not None:
        return "files with the patients", source
    cells = sum(codes.size for codes in (*patients.train.static.values(), *patients.train.measured.values()))
    return "cells of the training patients, 4 bytes each", 4 * cells


def _limits(found: Findings, trained: Trained) -> Section:
    words = [
        Text(
            "An attack that found nothing proves nothing: others may know more, such as the network itself, relatives, "
            "or other releases. What was not measured is not judged, and nothing here is about a later version."
        )
    ]
    notes = [Text(f"Note of the fit: {note}") for note in trained.notes]
    return Section(11, "Limits and power", [*words, *notes, *power(found.attacks)])
