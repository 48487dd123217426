"""The page that people read first: README.md inside the file, from the card, the schema and the ledger."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Sequence
from typing import Final

from wardgan._version import __version__
from wardgan.errors import FormatError
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema
from wardgan.seal.json_text import check_text
from wardgan.seal.records import Card, Claim, LedgerRecord, SiteLedger

BANNER: Final = "🟥 NOT PRIVATE 🟥"
_MAX_LEVELS: Final = 12
# The banner stands directly behind header and name, where no comment and no code block can begin before it.
_OPEN: Final = re.compile(rf"---\n(?:[a-z_]+: [^\n]*\n)+---\n\n# [^\n]*\n\n# {BANNER}\n")
_MARKS: Final = re.compile(r"([\\`*_{}\[\]()#+!|~$])")


def page_of(card: Card, schema: Schema, ledger: LedgerRecord) -> str:
    """Gives the page: YAML header, guarantee, columns, how to load it, what is not protected.

    Args:
        card: The facts.
        schema: What the synthetic patients obey.
        ledger: What was spent.
    """
    images = schema.images
    parts = [_header(card, "image" if images is not None else "tabular"), f"# {plain(card.name)}"]
    if card.privacy.mode == "none":
        parts.append(f"# {BANNER}")
    parts += [
        f"A generator of synthetic patients, made by the family `{card.family}` of wardgan {plain(card.package)} on "
        f"{card.created}. {'It holds no patient. ' if card.privacy.mode == 'private' else ''}Draw as many synthetic "
        "patients as you need.",
        _made(ledger),
        "## Privacy",
        f"**Released by override:** {plain(card.override)}" if card.override else "",
        statement(card.privacy),
        _bill(card, ledger),
        "## What is not protected",
        _limits(card.privacy),
        "## Columns" if images is None else "## Images and their labels",
        ""
        if images is None
        else f"Grey images of {images.height} x {images.width} pixels"
        + (", each with a mask." if images.mask else "."),
        _columns(schema) if schema.columns else "",
        "## How to use it",
        "```python\nimport wardgan as wg\n\n"
        'generator = wg.load("model.hgan", trust="trust.json")  # refused unless signed by a key you trust\n'
        f"{'patients = generator.sample' if images is None else 'images = generator.images'}(1000, seed=1)\n```",
        _use(schema),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def statement(claim: Claim) -> str:
    """Gives the guarantee in plain words.

    Example:
        >>> print(statement(Claim(mode="private", epsilon=1.0, delta=1e-5)))
        Differentially private for each **patient** (one patient more or less): epsilon 1, delta 1e-05. In plain words: someone who thinks it an even bet that a given person is among the patients, and who then studies this file with any other knowledge and any computer, can come to at most 73.2 % certainty, except with a probability of about 1e-05.
    """  # noqa: E501 - the sentence is one line
    if claim.mode == "none" or claim.epsilon is None or claim.delta is None:
        return (
            f"**{BANNER}** This generator was made **without any protection**. It may reproduce real patients. "
            "Treat it like the patients' records themselves: do not share it further."
        )
    return (
        f"Differentially private for each **patient** (one patient more or less): epsilon {claim.epsilon:g}, delta "
        f"{claim.delta:g}. In plain words: someone who thinks it an even bet that a given person is among the "
        "patients, and who then studies this file with any other knowledge and any computer, can come to at most "
        f"{certainty(claim.epsilon)} % certainty, except with a probability of about {claim.delta:g}."
    )


def certainty(epsilon: float) -> str:
    """Gives how sure, in per cent, somebody can become from an even bet, rounded up to as many digits as it takes.

    Args:
        epsilon: Greater than 0.

    Example:
        >>> certainty(1.0), certainty(10.0)
        ('73.2', '99.996')
    """
    share = 100 / (1 + math.exp(-epsilon))
    for digits in range(1, 10):
        found = math.ceil(share * 10**digits) / 10**digits
        if found < 100:
            return f"{found:.{digits}f}"
    return "100"


def check_readme(data: bytes, card: Card, schema: Schema, ledger: LedgerRecord) -> None:
    """Refuses a page that is not the one which this version writes for the card, if this version wrote it.

    The page of another version may have other words: its header must repeat the card's guarantee, and a missing
    guarantee must be the first thing that it says. Nothing else in it is known to be true, so it is never shown.

    Args:
        data: README.md.
        card: The facts.
        schema: What the synthetic patients obey.
        ledger: What was spent.

    Raises:
        FormatError: Says what is wrong.
    """
    claim = card.privacy
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"README.md: is not UTF-8 at byte {error.start}.") from error
    check_text(text, "README.md")
    head = text.partition("\n---\n")[0].split("\n")
    if head[0] != "---" or any(head.count(line) != 1 for line in _claim_lines(claim)):
        raise FormatError("README.md: its header does not repeat the privacy guarantee of the card.")
    if claim.mode == "none" and not _OPEN.match(text):
        raise FormatError("README.md: nothing protects the patients, and the page does not say so first.")
    if card.package == __version__ and text != page_of(card, schema, ledger):
        raise FormatError(
            f"README.md: is not the page that wardgan {card.package} writes for this card, schema and ledger."
        )


def _header(card: Card, kind: str) -> str:
    lines = [
        "---",
        f"license: {_quoted(card.licence or 'other')}",
        "library_name: wardgan",
        f"model_name: {_quoted(card.name)}",
        f"tags: [synthetic-data, health, {kind}, "
        + ("differential-privacy]" if card.privacy.mode == "private" else "not-private]"),
        *_claim_lines(card.privacy),
        "---",
    ]
    return "\n".join(lines)


def _claim_lines(claim: Claim) -> list[str]:
    return [
        f"privacy: {claim.mode}",
        f"epsilon: {_yaml(claim.epsilon)}",
        f"delta: {_yaml(claim.delta)}",
        f"privacy_unit: {claim.unit}",
        f"neighbours: {claim.neighbours}",
    ]


def _quoted(text: str) -> str:
    # No "<", so that nobody who reads the header as Markdown finds a comment or a tag in it.
    return json.dumps(text, ensure_ascii=False).replace("<", "\\u003c")


def _yaml(value: float | None) -> str:
    # YAML 1.1 reads 1e-05 as a text; with a point it is a number.
    text = json.dumps(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _bill(card: Card, ledger: LedgerRecord) -> str:
    if ledger.mode == "none":
        return "Nothing was spent, because nothing was protected."
    if ledger.sites is not None:
        return _joint_bill(ledger, ledger.sites)
    rows = [
        f"| {plain(event.name)} | {event.mechanism} | {event.steps} | {_number(event.noise_multiplier)} "
        f"| {_number(event.sampling_rate)} | {_number(event.epsilon)} |"
        for event in ledger.events
    ]
    names = "| what was read | mechanism | times | noise multiplier | sampling rate | epsilon each |"
    head = f"{names}\n|---|---|---|---|---|---|"
    spent = f"Spent: epsilon {ledger.spent.epsilon:.4g} by {plain(ledger.spent.accountant)}." if ledger.spent else ""
    return "\n".join([spent, "", head, *rows])


def _joint_bill(ledger: LedgerRecord, sites: Sequence[SiteLedger]) -> str:
    """Gives what each hospital's patients have cost, and what is assumed of patients of several."""
    most = ledger.overlap
    assumed = (
        "The guarantee is that of a patient of all of them."
        if most is None or most >= len(sites)
        else f"Declared: nobody is a patient of more than {most} of them."
    )
    head = "| hospital | patients | what was read | epsilon | delta |\n|---|---|---|---|---|"
    rows = [
        f"| {plain(site.name)} | {site.patients} | {len(site.ledger.events)} tables or trainings "
        f"| {_number(site.ledger.epsilon)} | {_number(site.ledger.delta)} |"
        for site in sites
    ]
    return "\n".join([f"The mechanisms of all hospitals are composed. {assumed}", "", head, *rows])


def _made(ledger: LedgerRecord) -> str:
    """Gives how a generator of several hospitals came about."""
    if ledger.origin is None or ledger.sites is None:
        return ""
    rounds = f" in {ledger.origin.rounds} rounds" if ledger.origin.rounds else ""
    words = {
        "distilled": "was learned from synthetic patients of another generator",
        "pooled": "was made from the sum of noisy tables",
        "federated": f"was trained{rounds} at the hospitals, whose patients stayed there",
    }
    count = len({site.patients for site in ledger.sites})
    return (
        f"It {words[ledger.origin.how]}; behind it are {count} data sets of patients. It was made from "
        f"`{ledger.origin.of}`."
    )


def _limits(claim: Claim) -> str:
    shared = [
        "- What is true of the whole group, whoever is in it: that a treatment works, that a disease is common.",
        "- What the schema declares: columns, bounds, levels, and the rounded number of patients.",
        "- The truth of any single synthetic patient: never decide about a person with one.",
    ]
    if claim.mode == "none":
        return "\n".join(["- The patients.", *shared])
    more = "- Patients who are in other data sets or other releases too: the epsilons add up."
    return "\n".join([more, "- Families and other groups: k people together have k times the epsilon.", *shared])


def _columns(schema: Schema) -> str:
    head = "| column | kind | values | unit | code | notes |\n|---|---|---|---|---|---|"
    labels = {column.name for column in schema.labels}
    rows = [_row(column, "label" if column.name in labels else "") for column in schema.table]
    if schema.visits is not None:
        rows += [_row(column, "at visits") for column in schema.visits.columns]
    lines = [head, *rows]
    if schema.visits is not None:
        slots = schema.visits.slots
        shown = ", ".join(plain(slot) for slot in slots[:_MAX_LEVELS]) + (", ..." if len(slots) > _MAX_LEVELS else "")
        kind = "up to" if schema.visits.ragged else "at"
        lines += ["", f"Visits: {kind} {len(slots)} ({shown})."]
    return "\n".join(lines)


def _row(column: Column, note: str) -> str:
    if column.after is not None:
        values = f"0 to {column.within} days after {column.after}"
    elif column.origin:
        values = "day 0 of each patient"
    elif column.numeric:
        values = " to ".join(column.ends)
    else:
        levels = [str(level) for level in column.levels]
        values = ", ".join(levels[:_MAX_LEVELS]) + (f", ... ({len(levels)})" if len(levels) > _MAX_LEVELS else "")
    flags = [note, "may be missing" if column.nullable else ""]
    notes = ", ".join(flag for flag in flags if flag)
    cells = (column.name, column.kind, values, column.unit or "", column.code or "", notes)
    return "| " + " | ".join(plain(cell) for cell in cells) + " |"


def _use(schema: Schema) -> str:
    terms = [f"{plain(key)}: {plain(json.dumps(value, ensure_ascii=False))}" for key, value in schema.terms.items()]
    labels = ", ".join(f"`{plain(column.name)}`" for column in schema.labels)
    one, draw = ("Patients", "sample") if schema.images is None else ("Images", "images")
    lines = [
        f"{one} of one class: `generator.{draw}(1000, where={{...}})`; classes are made of {labels}." if labels else ""
    ]
    lines.append(
        "Terms of use: " + "; ".join(terms) + "." if terms else "Terms of use: none declared; ask the publisher."
    )
    return "\n\n".join(line for line in lines if line)


def plain(text: str) -> str:
    """Gives a text that Markdown and HTML leave as it is."""
    if text.isalnum():
        return text
    return _MARKS.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
