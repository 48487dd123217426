"""`wardgan sample --shards`: one sample in many files, drawn by many processes."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wardgan.cli.terminal import answer, bar, say, screen
from wardgan.errors import UsageError, counted

if TYPE_CHECKING:
    from wardgan.combining.loading import Opened
    from wardgan.scaling.asked import Shards
    from wardgan.scaling.run import Sharded

_ONLY: Final = re.compile("[0-9]{1,9}/[0-9]{1,9}")
_LONG: Final = 40
_TOLD: Final = 3
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True)
class Split:
    """How a sample is cut, and who draws it.

    Attributes:
        shards: What `--shards` says.
        only: What `--only` says.
        workers: What `--workers` says.
        cluster: What `--cluster` says.
    """

    shards: int | None
    only: str | None
    workers: int | None
    cluster: str | None

    def wanted(self, *, plain: bool) -> bool:
        """Whether the sample is cut into shards.

        Args:
            plain: Whether nothing is asked for that shards cannot give.

        Raises:
            UsageError: Something is asked for that only shards have, or that they have not.
        """
        if self.shards is None and self.only is None:
            if self.workers is not None or self.cluster is not None:
                raise UsageError("--workers, --cluster: they are for samples in shards; say how many with --shards.")
            return False
        if not plain:
            raise UsageError(
                "--shards: shards are Parquet files drawn from a .hgan file, and none is replaced. Leave out --force, "
                "--format, --bits and --concepts; pull a release that is behind pages."
            )
        return True

    @property
    def count(self) -> int:
        """How many shards there are."""
        return self._read()[0]

    @property
    def number(self) -> int | None:
        """Which one alone is asked for, from 0."""
        return self._read()[1]

    def _read(self) -> tuple[int, int | None]:
        if self.only is None:
            return (1 if self.shards is None else self.shards), None
        one, _, whole = self.only.partition("/")
        if not _ONLY.fullmatch(self.only):
            said = self.only if len(self.only) <= _LONG else f"{self.only[:_LONG]}..."
            raise UsageError(f"only={said!r} is not like 3/1000: a shard's number from 0, and how many there are.")
        if self.shards not in (None, int(whole)):
            raise UsageError(f"only={self.only!r} contradicts shards={self.shards}; leave out one of the two.")
        return int(whole), int(one)


def draw_shards(
    model: str, asked: Shards, output: str, split: Split, *, where: list[str], trust: Path | None, croissant: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Draws a sample in shards, and says what came of it.

    Args:
        model: A `.hgan` file.
        asked: Which patients; the conditions are added here.
        output: A folder, or the address of one.
        split: Who draws them.
        where: Conditions, as a person writes them.
        trust: What `--trust` says.
        croissant: Whether `croissant.json` is written beside `manifest.json`.
        as_json: Whether the answer is JSON.
    """
    from wardgan.cli.sample import opened
    from wardgan.sample.asked import parse_where
    from wardgan.scaling.record import CROISSANT
    from wardgan.scaling.run import sample_shards
    from wardgan.scaling.worker import sited

    console = screen(errors=as_json)
    found, only = opened(Path(model), trust, console), split.number
    asked = replace(asked, where=parse_where(where, sited(found.generator, asked.site).schema))
    with bar("sampling", asked.n) as advance:
        made = sample_shards(
            model, asked, output, only=only, workers=split.workers, cluster=split.cluster, trust=trust,
            watch=lambda done, total: advance(done, total, f"{done:,} patients"),
        )  # fmt: skip
    beside = _describe(output, made, found) if croissant and made.complete else None
    for number, line in enumerate(_lines(made, only)):
        say(console, line, style=None if number else "bold green")
    if croissant and beside is None:
        say(console, f"{CROISSANT} describes whole samples: ask again when all shards are there.", style="yellow")
    if as_json:
        answer({
            **made.asked.to_dict(), "output": made.output, "format": "parquet", "where": where, "model": made.release,
            "signature": vars(found.signature), "rows": made.rows, "bytes": made.bytes, "only": only,
            "complete": made.complete, "finished": made.finished, "drawn": made.drawn, "kept": made.kept,
            "mended": made.mended, "gone": made.gone, "croissant": beside,
            "parts": [asdict(part) for part in made.parts],
        })  # fmt: skip


def _lines(made: Sharded, only: int | None) -> list[str]:
    """Gives what was done, in words."""
    asked = made.asked
    rows = f"{counted(sum(part.patients for part in made.parts), 'synthetic patient')} in {counted(made.rows, 'row')}"
    cut = f"{counted(asked.shards, 'shard')}" if only is None else f"shard {only} of {asked.shards:,} (from 0)"
    seed = f"--seed {asked.seed} draws the same again."
    lines = [f"{made.output}: {rows}, {cut}, {size(made.bytes)}; {seed}"]
    told = [
        f"{number:,} {said}"
        for number, said in (
            (made.drawn, "drawn"), (made.kept, "there already, with the right digest"),
            (made.mended, "gone or damaged, and drawn again"),
        )
        if number
    ]  # fmt: skip
    lines.append(f"Shards: {', '.join(told)}.")
    if made.gone:
        some = ", ".join(map(str, made.gone[:_TOLD])) + (", ..." if len(made.gone) > _TOLD else "")
        lines.append(
            f"{counted(len(made.gone), 'finished shard')} gone or of another size: number {some} (from 0). "
            f"--shards {asked.shards} draws what is missing, and so does --only, number by number."
        )
    if not made.complete:
        lines.append(f"{made.finished:,} of {asked.shards:,} finished; manifest.json lists them when the last one is.")
    return lines


def _describe(output: str, made: Sharded, found: Opened) -> str:
    from wardgan.metadata.croissant import croissant_of_shards
    from wardgan.scaling.place import place_at
    from wardgan.scaling.record import CROISSANT, MANIFEST
    from wardgan.scaling.worker import sited

    place = place_at(output)
    none = sited(found.generator, made.asked.site).draw(0)
    columns = (none.wide() if made.asked.wide else none.frame()).columns
    text = croissant_of_shards(
        place.read(MANIFEST) or b"", list(columns), none.schema, privacy=found.privacy, digest=found.digest,
        seed=made.asked.seed or 0, created=datetime.now(UTC).date().isoformat(),
    )  # fmt: skip
    place.write(CROISSANT, text)
    return f"{made.output}/{CROISSANT}"


def size(count: float) -> str:
    """Gives a number of bytes in words.

    Example:
        >>> size(812), size(35_200_000_000)
        ('812 bytes', '35.2 GB')
    """
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.3g} {_UNITS[unit]}" if unit else f"{count:.0f} bytes"
