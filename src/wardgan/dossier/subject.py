"""What a dossier is about: a generator, its bill, and how it was made."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from wardgan._version import __version__
from wardgan.dossier.document import Curves, Facts, Section, Table, Text
from wardgan.dossier.draw import Axis, Line
from wardgan.privacy.accountant import rdp_epsilon
from wardgan.privacy.events import Event
from wardgan.sample.generator import Generator
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema
from wardgan.seal.card import certainty
from wardgan.seal.json_text import canonical
from wardgan.seal.records import read_ledger

_DELTAS: Final = tuple(10 ** (-exponent / 2) for exponent in range(20, 3, -1))
_LEVELS: Final = 8
_BYTES: Final = 4


@dataclass(frozen=True, eq=False, repr=False)
class Subject:
    """A generator with its bill; all of it is public once the generator is.

    Attributes:
        generator: What is judged.
        bill: The ledger's JSON.
        config: The family's settings.
        created: Date of the dossier, `YYYY-MM-DD`.
        seed: Of the synthetic patients that were judged.
        package: Version of the package that made the dossier.
    """

    generator: Generator
    bill: Mapping[str, object]
    config: Mapping[str, object]
    created: str
    seed: int
    package: str = __version__

    @property
    def schema(self) -> Schema:
        """The public declarations."""
        return self.generator.schema

    @property
    def events(self) -> list[Event]:
        """What was spent."""
        return [Event.from_dict(event) for event in cast("list[Mapping[str, object]]", self.bill["events"])]

    @property
    def private(self) -> bool:
        """Whether the generator claims to be private."""
        return self.generator.privacy.get("mode") == "private"

    def digests(self) -> dict[str, str]:
        """Gives what ties a dossier to a generator."""
        return digests(self.generator, self.bill)


def digests(generator: Generator, bill: Mapping[str, object]) -> dict[str, str]:
    """Gives the digests of the network, the bill and the schema: what ties a dossier to a generator.

    Args:
        generator: The generator.
        bill: The ledger's JSON.
    """
    # As a strict record, so that the hospital and a receiver write the same bytes.
    plain = canonical(read_ledger(bill, "bill").model_dump(exclude_none=True))
    return {
        "network": "sha256:" + hashlib.sha256(generator.network).hexdigest(),
        "bill": "sha256:" + hashlib.sha256(plain).hexdigest(),
        "schema": generator.schema.fingerprint(),
    }


def identity(subject: Subject) -> Section:
    """Gives section 1: what this is, and who signs for it."""
    generator, digests = subject.generator, subject.digests()
    known, absent = _terms(subject.schema, ("controller", "contact", "expires"))
    rows = [
        ("name", subject.schema.name), ("family", generator.family), ("made with", f"wardgan {subject.package}"),
        ("date of the dossier", subject.created), ("network", digests["network"]), ("bill", digests["bill"]),
        ("schema", digests["schema"]), *known,
    ]  # fmt: skip
    head = ["who", "name", "decision", "date", "signature"]
    sign_off = Table(
        "Sign-off", head, [[who, "", "", "", ""] for who in ("data controller", "data protection officer")]
    )
    return Section(1, "Identity and sign-off", [Facts(rows), *absent, sign_off])


def purpose(subject: Subject) -> Section:
    """Gives section 2: what it is for, and on which terms."""
    names = ("purpose", "licence", "duo", "recipients", "legal_basis")
    known = set(names) | {"controller", "contact", "expires"}
    more = [(name, _short(value)) for name, value in subject.schema.terms.items() if name not in known]
    forbidden = (
        "Not allowed, whatever else is agreed: to try to recognise a person; to decide about a person by a synthetic "
        "patient; to hand it on as if it were real."
    )
    said, absent = _terms(subject.schema, names)
    facts = [Facts([*said, *more])] if said or more else []
    return Section(2, "Purpose and terms", [*facts, *absent, Text(forbidden)])


def declared(subject: Subject) -> list[Facts | Table]:
    """Gives the public part of section 3: the declarations."""
    schema = subject.schema
    said = "not declared" if schema.population is None else f"about {schema.population:,}"
    facts = [("patients, as declared", said), ("unit of protection", "the patient, with everything of theirs")]
    if schema.visits is not None:
        slots = schema.visits.slots
        names = ", ".join(map(str, slots[:_LEVELS])) + (", ..." if len(slots) > _LEVELS else "")
        facts.append(("visits", f"{'up to ' if schema.visits.ragged else ''}{len(slots)} ({names})"))
    if schema.images is not None:
        look = schema.images
        facts.append(
            ("images", f"{look.height} x {look.width} pixels, grey{', each with a mask' if look.mask else ''}")
        )
    rows = [_declaration(column, "") for column in schema.table]
    rows += [_declaration(column, "at visits") for column in (schema.visits.columns if schema.visits else ())]
    head = ["column", "kind", "values", "unit", "notes"]
    blocks: list[Facts | Table] = [Facts(facts)]
    blocks += [Table("What the schema declares; it is public", head, rows)] if rows else []
    if schema.rules:
        blocks.append(Table("Rules that every patient obeys", ["rule"], [[rule.text] for rule in schema.rules]))
    return blocks


def method(subject: Subject, sources: Sequence[tuple[str, int]] = ()) -> Section:
    """Gives section 4: how it was made, and how much smaller it is.

    Args:
        subject: The generator.
        sources: What it is compared with in words, and the size of that in bytes; nothing in the public edition.
    """
    generator, schema = subject.generator, subject.schema
    size = len(generator.network)
    one = "patient" if schema.images is None else "image"
    rows = [
        ("family", generator.family), ("size of the network", f"{size:,} bytes"),
        (f"numbers for each {one}", f"{len(generator.layout):,}"),
    ]  # fmt: skip
    if schema.population is not None:
        memory = _BYTES * schema.population * len(generator.layout)
        what = "numbers of the declared patients" + (", one image each" if schema.images is not None else "")
        rows.append((what, f"{memory:,} bytes ({memory / size:.3g} : 1)"))
    rows += [(what, f"{count:,} bytes ({count / size:.3g} : 1)") for what, count in sources]
    rows += [(f"setting {name}", _short(value)) for name, value in subject.config.items() if value is not None]
    large = [what for what, count in sources if count < size]
    room = "It is larger than what it was made from: it has room to memorise."
    return Section(
        4, "Method", [Facts(rows), *([Text(f"{room} Smaller: {'; '.join(large)}.", "alarm")] if large else [])]
    )


def guarantee(subject: Subject) -> Section:
    """Gives section 5: the statement on differential privacy, with the fields that NIST SP 800-226 asks for."""
    if not subject.private:
        text = (
            "NOT PRIVATE. Nothing protects the patients: this generator may reproduce them. Treat it like the "
            "patients' records themselves."
        )
        return Section(5, "Privacy statement", [Text(text, "alarm")])
    events, claim = subject.events, subject.generator.privacy
    epsilon, delta = float(cast("float", claim["epsilon"])), float(cast("float", claim["delta"]))
    spent = cast("Mapping[str, object]", subject.bill.get("spent") or {})
    rows = [
        ("who is protected", "each patient, with all rows, visits and images of theirs"),
        ("neighbouring data sets", "one patient more or less (add or remove)"),
        ("epsilon", f"{epsilon:g}"), ("delta", f"{delta:g}"),
        ("spent", f"epsilon {_number(spent.get('epsilon'))} by {spent.get('accountant', 'our own accountant')}"),
        ("mechanisms", ", ".join(sorted({event.mechanism for event in events}))),
        ("sampling", _sampling(events)),
        ("noise", "from the operating system's generator of random numbers, rounded to a grid; it cannot be replayed"),
        ("what is public", "the schema: columns, bounds, levels, rules, and the rounded number of patients"),
        ("trust", "the hospital computes everything; only the generator and this public dossier leave it"),
        ("earlier releases", "of the same patients add to this one: section 12"),
        ("not protected", "what is true of the whole group; relatives and others who are told from each other by the "
         "same facts: k people together have k times the epsilon"),
    ]  # fmt: skip
    head = ["what was read", "mechanism", "times", "noise multiplier", "sampling rate", "epsilon if it were alone"]
    table = Table("The bill: every touch of the patients", head, [_event(event, delta) for event in events])
    return Section(
        5, "Privacy statement", [Facts(rows), Text(bet(epsilon, delta)), table, _curve(events, epsilon, delta)]
    )


def bet(epsilon: float, delta: float) -> str:
    """Gives the guarantee as a bet.

    Example:
        >>> "at most 73.2 % certainty, except with a probability of about 1e-05" in bet(1.0, 1e-5)
        True
    """
    return (
        "In plain words: someone who thinks it an even bet that a given person is among the patients, and who then "
        "studies the generator with any other knowledge, any computer, and whatever is published later about other "
        f"people, can come to at most {certainty(epsilon)} % certainty, except with a probability of about {delta:g} "
        "(delta)."
    )


def reproduce(subject: Subject, command: str) -> Section:
    """Gives section 13: how to come to the same numbers."""
    rows = [
        ("command", command), ("package", f"wardgan {subject.package}"),
        ("seed of the synthetic patients", str(subject.seed)), ("network", subject.digests()["network"]),
    ]  # fmt: skip
    return Section(13, "How to reproduce this", [Facts(rows)])


def glossary() -> Section:
    """Gives section 14."""
    return Section(14, "Words", [Facts(_WORDS)])


def _terms(schema: Schema, names: tuple[str, ...]) -> tuple[list[tuple[str, str]], list[Text]]:
    """Gives what the schema's terms say of some things, and a sentence about the others."""
    said = [(name.replace("_", " "), _short(schema.terms[name])) for name in names if schema.terms.get(name)]
    absent = [name for name in names if not schema.terms.get(name)]
    text = f"Not said: {', '.join(name.replace('_', ' ') for name in absent)}. Add it under terms in the schema."
    return said, [Text(text, "quiet")] if absent else []


def _declaration(column: Column, place: str) -> list[str]:
    flags = [name for name in ("label", "nullable", "sensitive", "learn") if getattr(column, name)]
    words = ", ".join(word for word in (place, *flags) if word)
    return [column.name, column.kind, _values(column), column.unit or "", words]


def _values(column: Column) -> str:
    if column.after is not None:
        return f"0 to {column.within} days after {column.after}"
    if column.origin:
        return "day 0 of each patient"
    if column.numeric:
        return f"{_number(column.low)} to {_number(column.high)}" if column.kind != "date" else "dates between bounds"
    more = f", ... ({len(column.levels)} levels)" if len(column.levels) > _LEVELS else ""
    return ", ".join(map(str, column.levels[:_LEVELS])) + more


def _sampling(events: list[Event]) -> str:
    rates = [event for event in events if event.sampling_rate is not None]
    if not rates:
        return "none: each question is asked of all patients at once"
    return "; ".join(f"{event.name}: each patient with probability {event.sampling_rate:.4g}" for event in rates)


def _event(event: Event, delta: float) -> list[str]:
    return [
        event.name, event.mechanism, f"{event.steps:,}", _number(event.noise_multiplier), _number(event.sampling_rate),
        _number(rdp_epsilon([event], delta)),
    ]  # fmt: skip


def _curve(events: list[Event], epsilon: float, delta: float) -> Curves:
    found = [(at, rdp_epsilon(events, at)) for at in _DELTAS]
    points = [(at, value) for at, value in found if math.isfinite(value)]
    high = max([epsilon, *(value for _, value in points)]) * 1.1
    lines = [
        Line("upper bound", "synthetic", [at for at, _ in points], [value for _, value in points]),
        Line("what is claimed", "real", [_DELTAS[0], delta, delta], [epsilon, epsilon, 0.0]),
    ]  # fmt: skip
    return Curves(
        "What epsilon is for other deltas, by our own accountant, which is never below the truth",
        lines, Axis("delta", _DELTAS[0], _DELTAS[-1], log=True), Axis("epsilon", 0.0, high),
    )  # fmt: skip


def _number(value: object) -> str:
    return (
        f"{value:.4g}"
        if isinstance(value, (int, float)) and math.isfinite(value)
        else "none"
        if value is None
        else "infinite"
    )


def _short(value: object, most: int = 300) -> str:
    text = ", ".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)
    return text if len(text) <= most else text[: most - 4] + " ..."


_WORDS: Final = (
    (
        "alarm interval",
        "an interval so wide that all attacks together accuse a safe generator in 1 of 20 cases at most",
    ),
    ("area under the ROC curve", "chance that somebody with the property gets the higher score; .5 is guessing"),
    ("calibration", "whether of those who were told a risk of 20 % one in five has the event"),
    ("differential privacy", "what somebody can learn from a result hardly depends on whether you took part"),
    ("epsilon, delta", "how much it may depend: the smaller, the better protected; delta is the chance of more"),
    ("estimate, interval", "the number that was measured, and where the truth lies in 95 of 100 cases"),
    ("excess risk", "what is found about training patients, of what is not found about people who were not trained on"),
    ("gate", "a rule that a generator must pass before it leaves the hospital"),
    ("hold-out", "real patients whom the generator has never seen; what is true of them was not learned from anybody"),
    ("leaking generator", "a made-up one that hands out copies, to show that an attack would see it"),
    ("power", "the smallest leak that would have been seen in 80 of 100 cases with so many patients"),
    ("TSTR, TRTR, TRTS", "taught by synthetic, tested on real patients; real, real; real, synthetic"),
)
