"""Synthetic patients of a verb as one table."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wardgan._version import __version__
from wardgan.cli.drawn import known_efficiency, took
from wardgan.cli.terminal import Advance, answer, bar, say, screen
from wardgan.errors import UsageError, counted
from wardgan.files import check_new, write_bytes

if TYPE_CHECKING:
    import pandas as pd

    from wardgan.combining.loading import Opened
    from wardgan.combining.mixture import Mixture
    from wardgan.sample.drawing import Drawn
    from wardgan.sample.generator import Generator
    from wardgan.sample.search import Efficiency
    from wardgan.sample.wish import Wanted
    from wardgan.schema.cohort import Cohort

_KINDS: Final = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow"}


@dataclass(frozen=True)
class Table:
    """What is asked for.

    Attributes:
        n: How many patients.
        output: A file.
        wanted: Conditions.
        where: The same in words.
        balance: A label whose levels shall be equally frequent.
        seed: Replays them; `None` for a new one.
        form: What `--format` says.
        wide: Whether there is one row per patient.
        bits: What `--bits` says, which has a meaning for images only.
        croissant: Whether a description is written beside it.
        force: Whether what is there may be replaced.
    """

    n: int
    output: Path
    wanted: Mapping[str, Wanted]
    where: list[str]
    balance: str | None
    seed: int | None
    form: str | None
    wide: bool
    bits: int
    croissant: bool
    force: bool


def draw_table(found: Opened, generator: Generator | Mixture, asked: Table, *, as_json: bool) -> None:
    """Draws a table, and says what came of it.

    Args:
        found: The release.
        generator: Its generator.
        asked: What is asked for.
        as_json: Whether the answer is JSON.
    """
    from wardgan.sample.drawing import Drawn
    from wardgan.sample.write import write

    console, n, output = screen(errors=as_json), asked.n, asked.output
    check_new(output, force=asked.force)
    kind = _kind(output, asked.form, asked.bits)
    beside = _beside(output, kind, wanted=asked.croissant, force=asked.force)
    # This refuses what cannot be asked for, before a file is begun.
    generator.draw(0, where=asked.wanted, balance=asked.balance)
    seed = secrets.randbits(48) if asked.seed is None else asked.seed
    known = known_efficiency(generator, asked.wanted, asked.balance, seed)
    note = _note(found, seed, asked.where, known)
    parts: list[Drawn] = []
    absent: list[int] = []
    with bar("sampling", n) as advance:
        cohorts = generator.draws(n, where=asked.wanted, balance=asked.balance, seed=seed, drew=parts.append)
        frames = _frames(cohorts, advance, absent, n, wide=asked.wide)
        rows = write(frames, output, kind=kind, note=note, force=asked.force)
    drawn = sum(parts, Drawn())
    say(
        console,
        f"{output}: {counted(n, 'synthetic patient')} in {counted(rows, 'row')}; --seed {seed} draws the same again.",
        style="bold green",
    )
    for line in (*_unseen(0 if asked.wide else sum(absent)), *took(drawn, known)):
        say(console, line)
    _describe(beside, output, kind, found, seed)
    if as_json:
        answer({
            "output": str(output), "format": kind, "patients": n, "rows": rows, "seed": seed, "wide": asked.wide,
            "croissant": None if beside is None else str(beside),
            "without_visits": sum(absent), "model": found.digest, "signature": vars(found.signature),
            "where": asked.where, "balance": asked.balance, "drawn": asdict(drawn),
            "efficiency": None if known is None else known.to_dict(),
        })  # fmt: skip


def _note(
    found: Opened, seed: int, where: list[str], known: Efficiency | None
) -> dict[str, str]:  # fmt: skip
    claim = found.privacy.model_dump_json()
    note = {"synthetic": "true", "wardgan": __version__, "model": found.digest, "privacy": claim, "seed": str(seed)}
    more = {} if known is None else {"where": dumps(where, ensure_ascii=False), "efficiency": str(known)}
    return note | more


def _beside(output: Path, kind: str, *, wanted: bool, force: bool) -> Path | None:
    """Gives where the description of a sample is written, and refuses early what cannot be described."""
    if not wanted:
        return None
    from wardgan.metadata.croissant import SUFFIX, check_kind

    check_kind(kind)
    found = output.with_name(output.name + SUFFIX)
    check_new(found, force=force)
    return found


def _describe(beside: Path | None, output: Path, kind: str, found: Opened, seed: int) -> None:
    if beside is None:
        return
    from wardgan.metadata.croissant import check_kind, croissant

    text = croissant(
        output, check_kind(kind), found.generator.schema, privacy=found.privacy, digest=found.digest, seed=seed,
        created=datetime.now(UTC).date().isoformat(),
    )  # fmt: skip
    write_bytes(beside, text, force=True)


def _unseen(absent: int) -> Iterator[str]:
    """Yields how many patients have no row."""
    if absent:
        yield f"{counted(absent, 'patient')} of them have no visit, and so no row; --wide shows them."


def _kind(output: Path, form: str | None, bits: int) -> Any:  # noqa: ANN401 - `write` says which kinds there are
    if bits != 8:
        raise UsageError(f"bits={bits} is for images; the generator draws tables.")
    kind = form or _KINDS.get(output.suffix.lower())
    if kind is None:
        raise UsageError(
            f"output={str(output)!r} does not say its format; name it .csv, .parquet or .arrow, or use --format."
        )
    return kind


def _frames(
    cohorts: Iterator[Cohort], advance: Advance, absent: list[int], n: int, *, wide: bool
) -> Iterator[pd.DataFrame]:
    done = 0
    for cohort in cohorts:
        yield cohort.wide() if wide else cohort.frame()
        absent.append(0 if cohort.present is None else int((~cohort.present.any(axis=1)).sum()))
        done += len(cohort)
        advance(done, n, f"{done:,} patients")
