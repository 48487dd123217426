"""Synthetic patients on their way to somebody's disk: as text, chunk by chunk, whatever their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wardgan.sample.write import csv_bytes
from wardgan.web.preview import Asked, Drawable

MOST: Final = 10_000_000
_CHUNK: Final = 16_384
_CELLS: Final = 500_000


def csv_of(generator: Drawable, asked: Asked) -> Iterator[bytes]:
    """Yields a CSV file of synthetic patients, in constant memory; the same seed gives the same bytes.

    Args:
        generator: Draws them.
        asked: How many, and which.

    Raises:
        UsageError: A condition is none.
    """
    schema = generator.schema
    chunk = max(64, min(_CHUNK, _CELLS // (1 + schema.cells)))
    where = asked.wanted(schema)
    chunks = generator.stream(asked.n, chunk=chunk, where=where, balance=asked.balance, seed=asked.seed)
    for at, frame in enumerate(chunks):
        yield csv_bytes(frame, header=at == 0)
