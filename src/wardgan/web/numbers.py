"""Numbers that promise something: what is shown is never less than what is so."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from typing import Final

# Sums of promises such as 0.1 + 0.2 are not meant to the last bit.
_NOISE: Final = 1e-12


def upward(value: float, digits: int = 3) -> str:
    """Gives an epsilon or a delta, rounded up.

    Args:
        value: 0 or greater.
        digits: How many digits that count are shown at most.

    Example:
        >>> upward(1.231), upward(2.0), upward(0.1 + 0.2), upward(1.4e-5, 6)
        ('1.24', '2', '0.3', '1.4e-05')
    """
    exact = Decimal(value) * (1 - Decimal(_NOISE))
    return f"{float(Context(prec=digits, rounding=ROUND_CEILING).create_decimal(exact)):.{digits}g}"
