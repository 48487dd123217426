"""Synthetic images of a verb: to an NPZ file or a folder, marked as synthetic."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from wardgan.cli.terminal import Advance, answer, bar, say, screen
from wardgan.errors import UsageError, counted

if TYPE_CHECKING:
    from wardgan.combining.loading import Opened
    from wardgan.imaging.marks import Batch, Bits, Origin
    from wardgan.sample.wish import Wanted
    from wardgan.schema.images import ImageFormat

_FORMS: Final = ("npz", "png", "dicom")
_CHUNK: Final = 256


@dataclass(frozen=True)
class Pictures:
    """What is asked for.

    Attributes:
        n: How many images.
        output: An NPZ file, or a folder for PNG and DICOM.
        where: Labels that they must have.
        balance: A label whose levels shall be equally frequent.
        seed: Replays them; `None` for a new one.
        form: What `--format` says.
        bits: What `--bits` says.
        force: Whether what is there may be replaced.
    """

    n: int
    output: Path
    where: Mapping[str, Wanted]
    balance: str | None
    seed: int | None
    form: str | None
    bits: int
    force: bool


def draw_pictures(found: Opened, asked: Pictures, *, as_json: bool, more: Mapping[str, object] | None = None) -> None:
    """Writes synthetic images, and says so.

    Args:
        found: The generator with its file's digest.
        asked: What is asked for.
        as_json: Whether the answer is JSON.
        more: What else the answer says.

    Raises:
        UsageError: A label or level is not known, or the form of the files.
    """
    from wardgan.imaging.marks import Origin

    kind, output = _form(asked.output, asked.form), asked.output
    generator = found.generator
    look = cast("ImageFormat", generator.schema.images)
    where, balance = asked.where, asked.balance
    generator.images(0, where=where, balance=balance)  # refuses what cannot be asked for, before a file is begun
    seed = secrets.randbits(48) if asked.seed is None else asked.seed
    origin = Origin(found.digest, seed, found.privacy.epsilon)
    begun = time.perf_counter()
    with bar("sampling", asked.n) as advance:
        batches = generator.image_batches(asked.n, chunk=_CHUNK, where=where, balance=balance, seed=seed)
        written = _write(kind, _told(batches, advance, asked.n), look, origin, asked)
    speed = written / max(time.perf_counter() - begun, 1e-9)
    console = screen(errors=as_json)
    text = f"{output}: {counted(written, 'synthetic image')} of {look.height} x {look.width}"
    say(console, f"{text}; --seed {seed} draws the same again.", style="bold green")
    say(console, f"{speed:,.0f} images a second, written as {kind}.")
    if as_json:
        answer({"output": str(output), "format": kind, "images": written, "seed": seed, "model": found.digest,
                "signature": vars(found.signature), "images_per_second": round(speed, 1), **(more or {})})  # fmt: skip


def _write(kind: str, batches: Iterator[Batch], look: ImageFormat, origin: Origin, asked: Pictures) -> int:
    from wardgan.imaging.secondary_capture import write_dicom
    from wardgan.imaging.write import write_npz, write_png

    writer = {"npz": write_npz, "png": write_png, "dicom": write_dicom}[kind]
    return writer(batches, asked.output, look, origin, bits=cast("Bits", asked.bits), force=asked.force)


def _form(output: Path, form: str | None) -> str:
    """Gives the kind of file: an NPZ by its name, else a folder of PNG files."""
    kind = form or ("npz" if output.suffix.lower() == ".npz" else "png" if not output.suffix else None)
    if kind not in _FORMS:
        said = f"format={form!r}" if form else f"output={str(output)!r}"
        raise UsageError(f"{said}: images are written to a file .npz, or with --format png or dicom into a folder.")
    return kind


def _told(batches: Iterator[Batch], advance: Advance, n: int) -> Iterator[Batch]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch.pixels)
        advance(done, n, f"{done:,} images")
