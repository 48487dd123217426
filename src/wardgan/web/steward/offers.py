"""What the verbs of the installed version offer, as they say themselves."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from wardgan.models import FAMILIES
from wardgan.web.steward.verbs import help_of

_KNOWN: Final = ("auto", *FAMILIES)


@cache
def families_of(*verb: str, option: str = "--family") -> tuple[str, ...]:
    """Gives the model families that the help of an option names, in its order; none if the verb has no such option.

    Args:
        verb: Its words, such as `pool add`.
        option: The option.
    """
    line = next((one for one in help_of(*verb).splitlines() if re.search(rf"(?<![\w-]){option}(?![\w-])", one)), "")
    return tuple(dict.fromkeys(word for word in re.findall(r"[a-z]+", line) if word in _KNOWN))
