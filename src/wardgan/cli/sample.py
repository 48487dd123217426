"""`wardgan sample`: synthetic patients to a file, in constant memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wardgan._version import __version__
from wardgan.cli.options import Bits, Force, Json, Trust, whole_number
from wardgan.cli.pictures import Pictures, draw_pictures
from wardgan.cli.remote import is_pages, sample_there
from wardgan.cli.shards import Split, draw_shards
from wardgan.cli.terminal import Advance, answer, banner, bar, say, screen
from wardgan.errors import UsageError, counted
from wardgan.files import check_new

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from wardgan.combining.loading import Opened
    from wardgan.combining.mixture import Mixture
    from wardgan.sample.drawing import Drawn
    from wardgan.sample.generator import Generator
    from wardgan.sample.search import Efficiency
    from wardgan.sample.wish import Wanted
    from wardgan.schema.cohort import Cohort

_KINDS = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow"}


def sample(  # noqa: PLR0913, PLR0917 - one argument for each option
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", show_default=False, help="A .hgan file, or a release behind pages: https://HUB/NAME:TAG."
        ),
    ],
    n: Annotated[
        int,
        typer.Option(
            "-n",
            "--patients",
            metavar="N",
            parser=whole_number,
            help="How many patients, or images; 1e9 is a number.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A table; of images a folder or .npz; of shards a folder or s3://bucket/prefix.",
            show_default=False,
        ),
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="COND",
            help="arm=intensive, sex=m|f, age=65..80, sbp@3M=140.., age=missing, visit@count=3..5; repeat for more.",
            show_default=False,
        ),
    ] = None,
    balance: Annotated[
        str | None, typer.Option("--balance", metavar="LABEL", help="Make the levels of a label equally frequent.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Replays a sample.", show_default="a new one")] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="csv, parquet, arrow; npz, png, dicom.", show_default="by the name"),
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="One row per patient, visits as columns such as sbp@3M.")
    ] = False,
    bits: Bits = 8,
    site: Annotated[
        str | None,
        typer.Option(
            "--site",
            metavar="COLUMN",
            help="Of a combined generator: a column with the member's name.",
            show_default=False,
        ),
    ] = None,
    croissant: Annotated[
        bool, typer.Option("--croissant", help="Write FILE.croissant.json beside it, which describes it to programs.")
    ] = False,
    shards: Annotated[
        int | None,
        typer.Option("--shards", metavar="N", help="Write a folder of N Parquet files; goes on where it stopped."),
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="I/N", help="Of N shards number I alone, from 0; needs --seed.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="K", help="Processes that draw shards.", show_default="one a processor"),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", metavar="ADDRESS", help="Draw shards on a cluster: dask://host:port.", show_default=False
        ),
    ] = None,
    trust: Trust = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Draw synthetic patients or images, as many as you need."""
    from wardgan.sample.asked import parse_where
    from wardgan.sample.drawing import Drawn
    from wardgan.sample.write import write
    from wardgan.scaling.asked import Shards
    from wardgan.scaling.worker import sited

    split = Split(shards, only, workers, cluster)
    if split.wanted(plain=not force and form in (None, "parquet") and bits == 8 and not is_pages(model)):
        asked = Shards(n, split.count, seed, balance=balance, wide=wide, site=site)
        draw_shards(model, asked, output, split, where=where or [], trust=trust, croissant=croissant, as_json=json)
        return
    target = Path(output)
    console = screen(errors=json)
    if is_pages(model):
        if wide or croissant or site is not None or bits != 8:
            raise UsageError("--wide, --croissant, --site, --bits: pages of a hub do not know them; pull the release.")
        sample_there(model, n, target, where=where or [], balance=balance, seed=seed, form=form, trust=trust,
                     force=force, as_json=json)  # fmt: skip
        return
    found = opened(Path(model), trust, console)
    generator = sited(found.generator, site)
    wanted = parse_where(where or [], generator.schema)
    if generator.schema.images is not None:
        if wide or croissant:
            raise UsageError("--wide, --croissant: they have no meaning for images.")
        draw_pictures(found, Pictures(n, target, wanted, balance, seed, form, bits, force), as_json=json)
        return
    check_new(target, force=force)
    kind = _kind(target, form, bits)
    beside = _beside(target, kind, wanted=croissant, force=force)
    generator.draw(0, where=wanted, balance=balance)  # refuses what cannot be asked for, before a file is begun
    seed = secrets.randbits(48) if seed is None else seed
    known = _efficiency(generator, wanted, balance, seed)
    parts: list[Drawn] = []
    absent: list[int] = []
    with bar("sampling", n) as advance:
        cohorts = generator.draws(n, where=wanted, balance=balance, seed=seed, drew=parts.append)
        rows = write(
            _frames(cohorts, advance, absent, n, wide=wide), target, kind=kind,
            note=_note(found, seed, where, known), force=force,
        )  # fmt: skip
    drawn = sum(parts, Drawn())
    say(
        console,
        f"{target}: {counted(n, 'synthetic patient')} in {counted(rows, 'row')}; --seed {seed} draws the same again.",
        style="bold green",
    )
    for line in (*_unseen(0 if wide else sum(absent)), *_took(drawn, known)):
        say(console, line)
    _describe(beside, target, kind, found, seed)
    if json:
        answer({
            "output": str(target), "format": kind, "patients": n, "rows": rows, "seed": seed, "wide": wide,
            "croissant": None if beside is None else str(beside),
            "without_visits": sum(absent), "model": found.digest, "signature": vars(found.signature),
            "where": where or [], "balance": balance, "drawn": asdict(drawn),
            "efficiency": None if known is None else known.to_dict(),
        })  # fmt: skip


def opened(model: Path, trust: Path | None, console: Console) -> Opened:
    """Gives a released generator, and says what a receiver must know about it first."""
    from wardgan.combining.loading import open_file

    found = open_file(model, trust, required=trust is not None)
    if found.privacy.mode == "none":
        banner(console)
    if found.signature.name is None:
        say(console, f"The file is not known to be genuine ({found.signature.status}).", style="yellow")
    return found


def _note(
    found: Opened, seed: int, where: list[str] | None, known: Efficiency | None
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
    from datetime import UTC, datetime

    from wardgan.files import write_bytes
    from wardgan.metadata.croissant import check_kind, croissant

    text = croissant(
        output, check_kind(kind), found.generator.schema, privacy=found.privacy, digest=found.digest, seed=seed,
        created=datetime.now(UTC).date().isoformat(),
    )  # fmt: skip
    write_bytes(beside, text, force=True)


def _efficiency(
    generator: Generator | Mixture, wanted: Mapping[str, Wanted], balance: str | None, seed: int
) -> Efficiency | None:
    """Gives what a pilot shows, where conditions make it necessary to draw more patients than are kept."""
    labels = {column.name for column in generator.schema.labels}
    if set(wanted) <= labels:
        return None
    return generator.efficiency(where=wanted, balance=balance, seed=seed)


def _unseen(absent: int) -> Iterator[str]:
    """Yields how many patients have no row."""
    if absent:
        yield f"{counted(absent, 'patient')} of them have no visit, and so no row; --wide shows them."


def _took(drawn: Drawn, known: Efficiency | None) -> Iterator[str]:
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
