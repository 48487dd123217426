"""Names of patients, as they are compared: whatever a spreadsheet made of them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_WHOLE: Final = re.compile(r"^(\d+)\.0+$")


def plain_key(name: str) -> str:
    """Gives a patient key as a spreadsheet would have left it: "0007" and "7.0" as "7", "p1 " and "P1" as one."""
    letters = unicodedata.normalize("NFKC", name)
    plain = "".join(letter for letter in letters if unicodedata.category(letter) != "Cf").strip().casefold()
    plain = _WHOLE.sub(r"\1", plain)
    return plain.lstrip("0") or "0" if plain.startswith("0") and plain.isdecimal() else plain
