"""Cells in the form of another country, and what to do about them; the form is told, never a cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_COMMAS: Final = re.compile(r"[+-]?(?:\d[\d.]*,\d+|\d{1,3}(?:,\d{3})+(?:\.\d+)?)")
_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE: Final = re.compile(
    rf"(?:\d{{1,2}}([./-])\d{{1,2}}\1\d{{2,4}}|\d{{4}}([./])\d{{1,2}}\2\d{{1,2}}|\d{{4}}-(?:\d-\d\d?|\d\d-\d)"
    rf"|(?:19|20)\d{{6}}|\d{{1,2}}[ .-]*{_MONTH}[ .-]*\d{{2,4}})(?:[ T].*)?",
    re.IGNORECASE,
)
_HINTS: Final = (
    (_COMMAS, "it has numbers with decimal commas, or commas between thousands; write them as in 1234.5"),
    (_DATE, "it has dates in another form; write them as in 2020-12-31"),
)


def other_form(texts: Sequence[str]) -> str:
    """Gives what to do about cells that cannot be read, if most of them are in a known form; "" if not.

    Args:
        texts: The different cells.

    Example:
        >>> other_form(["1,5", "12,25", "?"])
        'it has numbers with decimal commas, or commas between thousands; write them as in 1234.5'
        >>> other_form(["31.12.2020", "1/2/1999"])
        'it has dates in another form; write them as in 2020-12-31'
        >>> other_form(["red", "green", "1,5"])
        ''
    """
    for form, hint in _HINTS:
        if 2 * sum(form.fullmatch(text) is not None for text in texts) > len(texts):
            return hint
    return ""
