"""Texts that must not travel: what nobody sees, and what a spreadsheet program would run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wardgan.schema.schema import Schema

# Control characters move a terminal's cursor, bidirectional controls reorder what is shown, surrogates are no text,
# with characters that nobody sees two names look like one, and XML and YAML have no place for U+FFFE and U+FFFF.
_UNSAFE: Final = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    r"\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e0fff"
)
_IN_TEXT: Final = re.compile(f"[{_UNSAFE}]")
_IN_NAME: Final = re.compile(rf"[\t\n\xad\u200c\u200d{_UNSAFE}]")
# What a spreadsheet program runs: a call or a link behind =, + or -, or a call behind @. Levels such as -, +/-, -1, =,
# @home and +der(1) are real in medicine and harmless. The wide signs count as the plain ones.
_FORMULA: Final = re.compile(
    r"\s*(?:[=\uff1d].*[(|!]|[-+\uff0b\uff0d].*(?:[|!]|\(.*[\"&])|[@\uff20](?:\w+\(|.*[|!]))", re.DOTALL
)


def unsafe(text: str, *, name: bool) -> str | None:
    """Gives the first character of a text that cannot be shown safely, if there is one.

    Args:
        text: The text.
        name: Whether it is a name, a level or a unit: one line, and no character that nobody sees.
    """
    found = (_IN_NAME if name else _IN_TEXT).search(text)
    return None if found is None else found.group()


def formula(text: str) -> bool:
    """Whether a spreadsheet program would run a text as a formula."""
    return _FORMULA.match(text) is not None


def travels(text: str) -> bool:
    """Whether a level with this text may be released."""
    return unsafe(text, name=True) is None and not formula(text)


def formula_problem(schema: Schema) -> str | None:
    """Gives which text of a sample a spreadsheet program would run as a formula, if any.

    Samples are written as they are, and CSV has no way to say that a cell is text; so such a text must not travel.
    Names and levels stand in tables, units and codes in OMOP files.

    Args:
        schema: The declarations, with the texts that stand in a sample.
    """
    for what, texts in (("name or level", _names(schema)), ("unit, code or group", _remarks(schema))):
        text = next(filter(formula, texts), None)
        if text is not None:
            return f"A spreadsheet program would run the {what} {text[:60]!a} as a formula; write it otherwise."
    return None


def travel_problem(schema: Schema) -> str | None:
    """Gives why the texts of a schema could not be released, if so: to be asked before anything is spent."""
    for text in [schema.name, *_names(schema), *_remarks(schema), *(rule.text for rule in schema.rules)]:
        character = unsafe(text, name=True)
        if character is not None:
            return f"The text {text[:60]!a} holds the invisible or control character U+{ord(character):04X}; remove it."
    return formula_problem(schema)


def _names(schema: Schema) -> Iterator[str]:
    """Yields the names and levels that stand in a sample."""
    yield from (column.name for column in schema.columns)
    yield from (str(level) for column in schema.columns for level in column.levels)
    if schema.patient is not None:
        yield schema.patient
    if schema.visits is not None:
        yield from (schema.visits.key, *schema.visits.slots)


def _remarks(schema: Schema) -> Iterator[str]:
    """Yields what else is said of columns: units, codes and names of groups."""
    yield from (text for column in schema.columns for text in (column.unit, column.code) if text)
    yield from (name for column in schema.columns for name, _ in column.groups)
