"""What a receiver can check alone: digests, signature, the bill, and the gates from the public numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from wardgan.dossier.document import Document
from wardgan.dossier.gates import Judgement, Measured, Verdict, judged, overall, reasons
from wardgan.dossier.gauges import claimed
from wardgan.dossier.looks import look_of
from wardgan.dossier.paid import PaidCounts, classes_to_find, read_counts, teacher_of
from wardgan.dossier.policy import Policy
from wardgan.dossier.public import GATES, UNATTACKED, Word, public_edition, public_numbers
from wardgan.dossier.subject import Subject
from wardgan.errors import FormatError, counted
from wardgan.seal.artifact import Verified, verified
from wardgan.seal.bill import Rebill
from wardgan.seal.reading import Model, read_file, signature_of

_NAME: Final = "dossier.json"
_UNPAID: Final = "The hospital paid for none."
_WORDS: Final[dict[Verdict, str]] = {
    "pass": "pass", "warn": "warn", "fail": "fail", "unjudged": "not judged", "not asked": "not asked",
}  # fmt: skip


@dataclass(frozen=True)
class Received(Verified):
    """What is known for certain after `verify`.

    Attributes:
        override: `person: reason` of a release without privacy, without a dossier, or against its gates.
        dossier: The public dossier; `None` if the file has none.
        gates: What its gates say, judged again from the public numbers and from synthetic patients drawn here.
        overall: The worst of them; `None` without a dossier.
        policy: Name of the policy that they were judged by.
        weaker: Where the hospital's own policy asks for less than `default` does.
        attacked: Whether the hospital says that the generator was attacked.
        refusals: Why it is not in order, one sentence each. By the hospital's own policy a failed gate is excused by
            the override that is signed with it; by yours nothing is, and a generator that nobody attacked, or that
            protects nobody, is refused.
    """

    override: str | None = None
    dossier: Document | None = None
    gates: Sequence[Judgement] = ()
    overall: Verdict | None = None
    policy: str = ""
    weaker: Sequence[str] = ()
    attacked: bool = False
    refusals: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """One line: what is in order, and what is not."""
        parts = [f"signed by {self.signer}"]
        if self.privacy.mode == "none":
            parts.append("NOT PRIVATE")
        else:
            parts.append(f"epsilon {self.privacy.epsilon:g} at delta {self.privacy.delta:g}, billed again")
        if self.dossier is None:
            parts.append("no dossier: nobody says what attacks found")
        else:
            counts = Counter(one.verdict for one in self.gates)
            told = ", ".join(f"{counts[verdict]} {word}" for verdict, word in _WORDS.items() if counts[verdict])
            parts.append(f"public gates judged again by the policy {self.policy}: {told}")
            if self.weaker:
                parts.append(f"the hospital's own policy asks for less than default in {len(self.weaker)} ways")
            parts += [] if self.attacked else ["nobody attacked it"]
        if self.override is not None:
            parts.append(f"released by override of {self.override}")
        if self.refusals:
            parts.insert(0, f"NOT IN ORDER ({counted(len(self.refusals), 'reason')})")
        return "; ".join(parts) + "."


def verify(
    path: str | Path, trust: str | Path | None = None, *, rebill: Rebill | None = None,
    policy: str | Path | Policy | None = None,
) -> Received:  # fmt: skip
    """Checks everything that can be checked about a `.hgan` file: digests, signature, the bill, and the public gates.

    Args:
        path: The file.
        trust: Trust file; `None` for the default one. The file must be signed by a key in it.
        rebill: Bills a ledger's JSON again; `None` for the accountant of record, if it is installed.
        policy: What you ask for; `None` for what the hospital asked for.

    Raises:
        TrustError: The file is unsigned, or its signature is unknown, wrong or belongs to another file; or the bill
            cannot be checked, because that takes the accountant of record or too much time.
        FormatError: The ledger's events cost more than the file claims; the dossier is about another generator, or its
            numbers do not follow from what was paid for; and whatever `load` raises.
        UsageError: The policy means nothing.
    """
    asked = policy if policy is None or isinstance(policy, Policy) else Policy.load(policy)
    model = read_file(path, lambda layout: signature_of(layout, trust, required=True))
    found = verified(model, rebill)
    document = None if model.dossier is None else read_dossier(model)
    if document is None:
        refusals = [] if asked is None else _without(model)
        return Received(
            **vars(found), policy="" if asked is None else asked.name, override=model.card.override, refusals=refusals
        )
    gates, own = public_gates(model, document, asked), Policy.of_dict(document.policy, _NAME)
    attacked = Word.of_dict(document.facts.get("word"), _NAME).attacked
    # By the hospital's own policy a gate that fails is excused by the override that was signed with it.
    refusals = [] if asked is None and model.card.override is not None else reasons(gates, asked or own)
    refusals += [] if asked is None or attacked else [UNATTACKED]
    return Received(
        **vars(found), policy=(asked or own).name, override=model.card.override, dossier=document, gates=gates,
        overall=overall(gates), weaker=own.weaker_than(Policy.named("default")), attacked=attacked, refusals=refusals,
    )  # fmt: skip


def _without(model: Model) -> list[str]:
    """Gives why a file without a dossier is refused by any policy."""
    found = ["It has no dossier: nobody says what attacks found."]
    return [*found, "epsilon: nothing protects the patients."] if model.card.privacy.mode == "none" else found


def read_dossier(model: Model) -> Document:
    """Gives the public dossier of a file.

    Raises:
        FormatError: It is none, or it is about another generator.
    """
    document = Document.of_json(cast("bytes", model.dossier), _NAME)
    subject = _subject(model, 0)
    overrides = [] if model.card.override is None else [model.card.override]
    for what, ours, theirs in (
        ("edition", "public", document.edition),
        ("name", model.card.name, document.name),
        ("private", subject.private, document.private),
        ("generator", subject.digests(), document.generator),
        ("overrides", overrides, list(document.overrides)),
    ):
        if ours != theirs:
            raise FormatError(f"{_NAME}: {what} does not agree with the other parts of the file.")
    return document


def rebuilt(model: Model, document: Document) -> Document:
    """Gives the public edition made anew from the parts of a file: no sentence of it is the sender's.

    Only the paid counts, whose bill is checked, and two facts of `Word` are the hospital's: whether attacks were made,
    and how many questions were paid for.

    Args:
        model: The file.
        document: Its dossier, from `read_dossier`, after `public_gates`.
    """
    seed, paid = cast("int", document.facts["seed"]), document.facts.get("paid")
    word = replace(Word.of_dict(document.facts.get("word"), _NAME), why_unpaid=_UNPAID)
    subject = replace(_subject(model, seed), package=model.card.package)
    made = public_edition(
        subject, look_of(model.generator, seed), None if paid is None else read_counts(paid, _NAME),
        Policy.of_dict(document.policy, _NAME), word,
    )  # fmt: skip
    return replace(made, overrides=document.overrides)


def public_gates(model: Model, document: Document, policy: Policy | None = None) -> list[Judgement]:
    """Gives what the public gates of a file say; see `gates_of`."""
    return gates_of(_subject(model, 0), document, policy)


def gates_of(subject: Subject, document: Document, policy: Policy | None = None) -> list[Judgement]:
    """Gives what the public gates say, from the paid counts and from synthetic patients that are drawn here.

    Args:
        subject: The generator and its bill.
        document: Its public dossier.
        policy: What is asked for; `None` for what the dossier was judged by.

    Raises:
        FormatError: The dossier's own numbers or verdicts do not follow.
    """
    seed, own = document.facts.get("seed"), Policy.of_dict(document.policy, _NAME)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise FormatError(f"{_NAME}: seed is not a whole number of at least 0.")
    told = {one.gate: one for one in document.measured}
    if len(told) != len(document.measured) or told.keys() != set(GATES):
        raise FormatError(f"{_NAME}: its numbers are not one for each public gate.")
    paid = document.facts.get("paid")
    counts = None if paid is None else read_counts(paid, _NAME)
    if counts is not None:
        _check_counts(counts, subject)
    numbers = public_numbers(subject, look_of(subject.generator, seed), counts, _UNPAID)
    for number in numbers:
        _check_same(number, told[number.gate])
    Word.of_dict(document.facts.get("word"), _NAME)
    judgements = judged(numbers, own, gates=GATES)
    ours, theirs = ([(one.gate, one.about, one.verdict) for one in each] for each in (judgements, document.judgements))
    if ours != theirs or overall(judgements) != document.overall:
        raise FormatError(f"{_NAME}: its verdicts do not follow from its numbers.")
    return judgements if policy is None else judged(numbers, policy, gates=GATES)


def _check_counts(counts: PaidCounts, subject: Subject) -> None:
    if counts.epsilon > (claimed(subject.generator) or 0.0) or counts.delta != subject.generator.privacy.get("delta"):
        raise FormatError(f"{_NAME}: the paid counts cost more than the generator, or are stated at another delta.")
    if (counts.model, counts.taught) != teacher_of(subject.schema):
        raise FormatError(f"{_NAME}: the paid counts are of another classifier, or one that was taught otherwise.")
    schema = subject.schema
    if counts.target not in {column.name for column in schema.table}:
        raise FormatError(f"{_NAME}: the paid counts are of a column that the schema does not have.")
    if counts.classes != classes_to_find(schema, counts.target):
        raise FormatError(f"{_NAME}: the paid counts are of other classes than the schema's.")


def _check_same(ours: Measured, theirs: Measured) -> None:
    mine, other = ours.estimate, theirs.estimate
    same = ours.asked == theirs.asked and (mine is None) == (other is None)
    if same and mine is not None and other is not None:
        same = all(
            abs(one - two) <= 1e-9 * max(1.0, abs(one))
            for one, two in ((mine.value, other.value), (mine.low, other.low), (mine.high, other.high))
        )
    if not same:
        raise FormatError(f"{_NAME}: the number behind the gate {ours.gate!r} is not what comes out here.")


def _subject(model: Model, seed: int) -> Subject:
    bill = model.ledger.model_dump(exclude_none=True)
    return Subject(model.generator, bill, {}, model.card.created, seed)
