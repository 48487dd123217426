"""The public edition: functions of synthetic patients and of public declarations, and numbers that were paid for.

Nothing here sees a real patient. What it is made from is handed over: the generator, its bill, and the paid counts.
So two data sets that gave the same generator and the same paid counts give the same bytes (Rule P13).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field, JsonValue, TypeAdapter
from pydantic.dataclasses import dataclass

from wardgan.attack import image_questions, questions
from wardgan.dossier.account import told
from wardgan.dossier.document import Block, Document, Facts, Number, Numbers, Section, Table, Text
from wardgan.dossier.gates import Measured, judged, overall
from wardgan.dossier.gauges import attack_name, claimed, epsilon_number
from wardgan.dossier.looks import Look
from wardgan.dossier.numbers import STRICT, parsed
from wardgan.dossier.paid import PaidCounts, plain_counts
from wardgan.dossier.policy import Policy
from wardgan.dossier.subject import Subject, declared, glossary, guarantee, identity, method, purpose, reproduce

GATES: Final = ("epsilon", "impossible", "public utility")
UNATTACKED: Final = "The hospital says that nobody attacked this generator: there was no hold-out."
_INSIDE: Final = (
    "Numbers about real patients that were not paid for stand in the internal edition only, which stays in the "
    "hospital: showing them would give away more than the privacy statement says (Rule P13)."
)


@dataclass(frozen=True, config=STRICT)
class Word:
    """What the hospital says, and nobody else can check.

    Attributes:
        attacked: Whether the generator was attacked, with a hold-out.
        why_unpaid: Why no number was paid for; empty if one was.
        asked: How many questions were put to the hold-out in all, and the most that they cost together.
    """

    attacked: bool
    why_unpaid: str = ""
    asked: tuple[Annotated[int, Field(ge=0)], Annotated[float, Field(ge=0)]] = (0, 0.0)

    def to_dict(self) -> dict[str, JsonValue]:
        """Gives it for JSON."""
        return _WORD.dump_python(self, mode="json")

    @classmethod
    def of_dict(cls, found: object, what: str) -> Word:
        """Gives it from a dossier.

        Args:
            found: What `to_dict` gave.
            what: What it is called in messages.

        Raises:
            FormatError: It is none.
        """
        return parsed(_WORD, found, f"{what}: what the hospital says is malformed.")


def public_edition(subject: Subject, look: Look, paid: PaidCounts | None, policy: Policy, word: Word) -> Document:
    """Gives the public edition.

    Args:
        subject: The generator and its bill.
        look: What is drawn from it.
        paid: Counts that were measured with noise; `None` if there are none.
        policy: What it is judged by.
        word: What the hospital says.
    """
    measured = public_numbers(subject, look, paid, word.why_unpaid)
    judgements = judged(measured, policy, gates=GATES)
    sections = [
        identity(subject),
        purpose(subject),
        Section(3, "Source data", [*declared(subject), Text(f"Real counts and missing cells: {_INSIDE}", "quiet")]),
        method(subject),
        guarantee(subject),
        _attacks(subject),
        look.shown(_INSIDE),
        _use(paid, word, "patients" if subject.schema.images is None else "images"),
        _rules(measured),
        look.groups(_INSIDE),
        _limits(subject),
        told(subject, paid),
        reproduce(subject, "wardgan verify FILE.hgan re-computes the bill, the gates and what synthetic patients show"),
        glossary(),
    ]
    facts = {
        "seed": subject.seed, "drawn": look.drawn, "paid": None if paid is None else plain_counts(paid),
        "word": word.to_dict(), "warnings": [] if word.attacked else [UNATTACKED],
    }  # fmt: skip
    return Document(
        subject.schema.name, "public", subject.private, subject.digests(), policy.to_dict(), measured,
        overall(judgements), judgements, (), facts, sections,
    )  # fmt: skip


def public_numbers(subject: Subject, look: Look, paid: PaidCounts | None, why_unpaid: str) -> list[Measured]:
    """Gives what the gates of the public edition judge: a receiver comes to the same.

    Args:
        subject: The generator.
        look: What is drawn from it.
        paid: The paid counts.
        why_unpaid: Why there are none.
    """
    return [epsilon_number(claimed(subject.generator)), look.rules(), _paid_number(paid, why_unpaid)]


def _paid_number(paid: PaidCounts | None, why: str) -> Measured:
    if paid is None:
        return Measured("public utility", "", None, because=why, asked=False)
    skill = paid.skill()
    about = f"{paid.target}, {paid.model}"
    if skill is None:
        because = "The noise hides how many patients a class has; a larger share or hold-out would show more."
        return Measured("public utility", about, None, because=because)
    because = "the interval, with the noise in it, holds what guessing finds."
    return Measured("public utility", about, skill, enough=skill.low > 0, because=because)


def _attacks(subject: Subject) -> Section:
    asked = questions if subject.schema.images is None else image_questions
    rows = [[attack_name(one.name), one.text] for one in asked(subject.schema, claimed(subject.generator))]
    return Section(
        6, "Attacks", [Text(_INSIDE), Table("What the hospital's edition asks", ["attack", "question"], rows)]
    )


def _use(paid: PaidCounts | None, word: Word, made: str) -> Section:
    if paid is None:
        return Section(8, "Use", [Text(f"No public number: {word.why_unpaid}"), Text(_INSIDE)])
    text = (
        f"A {paid.model} learned {paid.target} from {paid.taught:,} synthetic {made}. Real patients of the hold-out, "
        "whom the generator has never seen, were asked how many of each class there are and how many it recognises. "
        f"Both counts carry noise of standard deviation {paid.sd:.3g}, and cost each of these patients epsilon "
        f"{paid.epsilon:.4g} at delta {paid.delta:g}."
    )
    count, epsilon = word.asked
    if count > 1:
        text += f" In all, {count} questions were put to the hold-out: together at most epsilon {epsilon:.4g}."
    rows = [
        [name, f"{people:.0f}", f"{right:.0f}"]
        for name, people, right in zip(paid.classes, paid.people, paid.recognised, strict=True)
    ]
    skill = paid.skill()
    number = Number("recognised beyond guessing (0 is guessing, 1 everybody)", skill,
                    note="" if skill is not None else "hidden by the noise")  # fmt: skip
    return Section(8, "Use", [
        Text(text), Table("Noisy counts", [paid.target, "patients", "recognised"], rows),
        Numbers("Use on real patients", [number], "guessing"), Text(_INSIDE),
    ])  # fmt: skip


def _rules(measured: Sequence[Measured]) -> Section:
    one = next(number for number in measured if number.gate == "impossible")
    if one.estimate is None:
        return Section(9, "Clinical validity", [Text(one.because), Text(_INSIDE)])
    number = Numbers("Rules", [Number("synthetic patients who break a rule", one.estimate)], "")
    return Section(9, "Clinical validity", [number, Text(_INSIDE)])


def _limits(subject: Subject) -> Section:
    rows = [
        ("single patients", "Never decide about a person with a synthetic patient: nobody of that kind need exist."),
        ("rare things", "What few patients had may be missing or wrong; with a small epsilon more so."),
        ("causes", "Associations are kept as well as noise allows; an effect must be confirmed with real patients."),
        ("what was not tested", "Attackers with other knowledge, such as relatives or other releases of them."),
    ]  # fmt: skip
    first: list[Block] = []
    if not subject.private:
        first.append(Text("Nothing protects the patients whom this generator has learned from.", "alarm"))
    return Section(11, "Limits", [*first, Facts(rows)])


_WORD: Final = TypeAdapter(Word)
