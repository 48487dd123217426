"""`wardgan sample`: synthetic patients to a file, in constant memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wardgan._version import __version__
from wardgan.cli.drawn import known_efficiency, took
from wardgan.cli.exchange import Asked, asked_form, draw_exchange
from wardgan.cli.options import Bits, Force, Json, Trust
from wardgan.cli.pictures import Pictures, draw_pictures
from wardgan.cli.terminal import Advance, answer, banner, bar, say, screen
from wardgan.errors import UsageError, counted

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from wardgan.combining.loading import Opened
    from wardgan.combining.mixture import Mixture
    from wardgan.sample.drawing import Drawn
    from wardgan.sample.generator import Generator
    from wardgan.sample.search import Efficiency
    from wardgan.schema.cohort import Cohort

_KINDS = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow"}


def sample(  # noqa: PLR0913, PLR0917 - one argument for each option
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", show_default=False, help="A .hgan file, or a release behind pages: https://HUB/NAME:TAG."
        ),
    ],
    n: Annotated[int, typer.Option("-n", "--patients", help="How many patients, or images.", show_default=False)],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A table, or .ndjson; a folder of images, of FHIR or OMOP files; .npz.",
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
        typer.Option("--format", help="csv, parquet, arrow; fhir, omop; npz, png, dicom.", show_default="by the name"),
    ] = None,
    concepts: Annotated[
        Path | None,
        typer.Option("--concepts", metavar="FILE", help="What columns mean in FHIR and OMOP.", show_default=False),
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
    trust: Trust = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Draw synthetic patients or images, as many as you need."""
    from wardgan.cli.remote import is_pages, sample_there
    from wardgan.files import check_new
    from wardgan.sample.asked import parse_where
    from wardgan.sample.drawing import Drawn
    from wardgan.sample.write import write

    console = screen(errors=json)
    if is_pages(model):
        if wide or croissant or site is not None or bits != 8 or concepts is not None:
            raise UsageError(
                "--wide, --croissant, --site, --bits, --concepts: pages of a hub do not know them; pull the release."
            )
        sample_there(model, n, output, where=where or [], balance=balance, seed=seed, form=form, trust=trust,
                     force=force, as_json=json)  # fmt: skip
        return
    exchange = asked_form(form, output, concepts, tables_only=wide or croissant or bits != 8)
    found = opened(Path(model), trust, console)
    generator = _sited(found.generator, site)
    wanted = parse_where(where or [], generator.schema)
    if exchange is not None and concepts is not None:
        asked = Asked(n, output, concepts, exchange, wanted, where or [], balance, seed, force)
        draw_exchange(found, generator, asked, as_json=json)
        return
    if generator.schema.images is not None:
        if wide or croissant:
            raise UsageError("--wide, --croissant: they have no meaning for images.")
        draw_pictures(found, Pictures(n, output, wanted, balance, seed, form, bits, force), as_json=json)
        return
    check_new(output, force=force)
    kind = _kind(output, form, bits)
    beside = _beside(output, kind, wanted=croissant, force=force)
    generator.draw(0, where=wanted, balance=balance)  # refuses what cannot be asked for, before a file is begun
    seed = secrets.randbits(48) if seed is None else seed
    known = known_efficiency(generator, wanted, balance, seed)
    note = _note(found, seed, where, known)
    parts: list[Drawn] = []
    absent: list[int] = []
    with bar("sampling", n) as advance:
        cohorts = generator.draws(n, where=wanted, balance=balance, seed=seed, drew=parts.append)
        rows = write(_frames(cohorts, advance, absent, n, wide=wide), output, kind=kind, note=note, force=force)
    drawn = sum(parts, Drawn())
    say(
        console,
        f"{output}: {counted(n, 'synthetic patient')} in {counted(rows, 'row')}; --seed {seed} draws the same again.",
        style="bold green",
    )
    for line in (*_unseen(0 if wide else sum(absent)), *took(drawn, known)):
        say(console, line)
    _describe(beside, output, kind, found, seed)
    if json:
        answer({
            "output": str(output), "format": kind, "patients": n, "rows": rows, "seed": seed, "wide": wide,
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
    from wardgan.files import check_new
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


def _sited(generator: Generator | Mixture, site: str | None) -> Generator | Mixture:
    from wardgan.combining.mixture import Mixture

    if site is None:
        return generator
    if not isinstance(generator, Mixture):
        raise UsageError(f"--site {site} has no meaning here: the file holds the generator of one hospital.")
    return generator.sited(site)


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
