"""Synthetic patients on their way to somebody's disk: chunk by chunk, whatever their number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar, cast

import pandas as pd

from wardgan._version import __version__
from wardgan.combining.loading import Opened
from wardgan.sample.write import Format, csv_bytes, write
from wardgan.schema.schema import Schema
from wardgan.web.preview import Asked, Drawable

MOST: Final = 10_000_000
_CHUNK: Final = 16_384
_CELLS: Final = 500_000
_IMAGES: Final = 256


def csv_of(generator: Drawable, asked: Asked) -> Iterator[bytes]:
    """Yields a CSV file of synthetic patients, in constant memory; the same seed gives the same bytes.

    Args:
        generator: Draws them.
        asked: How many, and which.

    Raises:
        UsageError: A condition is none.
    """
    for at, frame in enumerate(_frames(generator, asked)):
        yield csv_bytes(frame, header=at == 0)


def write_file(opened: Opened, asked: Asked, target: Path, kind: str, tell: Callable[[object], None]) -> None:
    """Writes a file of synthetic patients or images, in constant memory; the same seed gives the same patients.

    Args:
        opened: The release.
        asked: How many, and which.
        target: The file; what is there is replaced.
        kind: `csv` or `parquet`, and for images `npz`.
        tell: Is told how many have been drawn, after each part.

    Raises:
        OutputError: It cannot be written; nothing is left behind.
        UsageError: A condition is none.
    """
    schema = opened.generator.schema
    if schema.images is not None:
        from wardgan.imaging.marks import Origin
        from wardgan.imaging.write import write_npz

        batches = opened.generator.image_batches(
            asked.n, chunk=_IMAGES, where=asked.wanted(schema), balance=asked.balance, seed=asked.seed
        )
        origin = Origin(opened.digest, asked.seed, opened.privacy.epsilon)
        write_npz(_counted(batches, asked.n, _IMAGES, tell), target, schema.images, origin, force=True)
        return
    claim = opened.privacy.model_dump_json()
    note = {"synthetic": "true", "wardgan": __version__, "model": opened.digest, "privacy": claim}
    note |= {"seed": str(asked.seed), "where": json.dumps(asked.where, ensure_ascii=False)}
    frames = _counted(_frames(opened.generator, asked), asked.n, _chunk(schema), tell)
    write(frames, target, kind=cast("Format", kind), note=note, force=True)


_Part = TypeVar("_Part")


def _counted(parts: Iterator[_Part], n: int, size: int, tell: Callable[[object], None]) -> Iterator[_Part]:
    for at, part in enumerate(parts):
        tell(min(n, at * size))
        yield part


def _frames(generator: Drawable, asked: Asked) -> Iterator[pd.DataFrame]:
    where, chunk = asked.wanted(generator.schema), _chunk(generator.schema)
    return generator.stream(asked.n, chunk=chunk, where=where, balance=asked.balance, seed=asked.seed)


def _chunk(schema: Schema) -> int:
    return max(64, min(_CHUNK, _CELLS // (1 + schema.cells)))
