"""What a sample took: how many patients were drawn for those who were kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wardgan.errors import counted

if TYPE_CHECKING:
    from wardgan.combining.mixture import Mixture
    from wardgan.sample.drawing import Drawn
    from wardgan.sample.generator import Generator
    from wardgan.sample.search import Efficiency
    from wardgan.sample.wish import Wanted


def known_efficiency(
    generator: Generator | Mixture, wanted: Mapping[str, Wanted], balance: str | None, seed: int
) -> Efficiency | None:
    """Gives what a pilot shows, where conditions make it necessary to draw more patients than are kept."""
    labels = {column.name for column in generator.schema.labels}
    if set(wanted) <= labels:
        return None
    return generator.efficiency(where=wanted, balance=balance, seed=seed)


def took(drawn: Drawn, known: Efficiency | None) -> Iterator[str]:
    """Yields what the sample took, in words."""
    from wardgan.sample.search import percent

    if not drawn.patients:
        return
    of = f"of {counted(drawn.patients, 'patient')} drawn"
    if known is not None:
        where = ", found where alone the conditions can hold" if known.proposed else ""
        share = percent(drawn.kept / drawn.patients)
        yield f"Conditions: {drawn.kept:,} {of} were kept ({share}){where}; {known.rarity}."
    for rule, count in drawn.broken.items():
        if count:
            yield f"Rules: {count:,} {of} broke {rule} ({percent(count / drawn.patients)}) and were drawn again."
