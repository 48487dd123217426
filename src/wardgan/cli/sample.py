"""`wardgan sample`: synthetic patients to a file, in constant memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.exchange import Asked, asked_form, draw_exchange
from wardgan.cli.options import Bits, Force, Json, Trust, whole_number
from wardgan.cli.pictures import Pictures, draw_pictures
from wardgan.cli.remote import is_pages, sample_there
from wardgan.cli.shards import Split, draw_shards
from wardgan.cli.tables import Table, draw_table
from wardgan.cli.terminal import banner, say, screen
from wardgan.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from wardgan.combining.loading import Opened


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
            "--out",
            "-o",
            metavar="FILE",
            help="A table, or .ndjson; a folder of images, shards, FHIR or OMOP files; .npz; s3://bucket for shards.",
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
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            parser=whole_number,
            help="Write a folder of N Parquet files; goes on where it stopped.",
        ),
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
    from wardgan.scaling.asked import Shards
    from wardgan.scaling.worker import sited

    split = Split(shards, only, workers, cluster)
    if split.wanted(
        plain=not force and form in (None, "parquet") and bits == 8 and concepts is None and not is_pages(model)
    ):
        asked = Shards(n, split.count, seed, balance=balance, wide=wide, site=site)
        draw_shards(model, asked, output, split, where=where or [], trust=trust, croissant=croissant, as_json=json)
        return
    target = Path(output)
    console = screen(errors=json)
    if is_pages(model):
        if wide or croissant or site is not None or bits != 8 or concepts is not None:
            raise UsageError(
                "--wide, --croissant, --site, --bits, --concepts: pages of a hub do not know them; pull the release."
            )
        sample_there(model, n, target, where=where or [], balance=balance, seed=seed, form=form, trust=trust,
                     force=force, as_json=json)  # fmt: skip
        return
    exchange = asked_form(form, target, concepts, tables_only=wide or croissant or bits != 8)
    found = opened(Path(model), trust, console)
    generator = sited(found.generator, site)
    wanted = parse_where(where or [], generator.schema)
    if exchange is not None and concepts is not None:
        asked = Asked(n, target, concepts, exchange, wanted, where or [], balance, seed, force)
        draw_exchange(found, generator, asked, as_json=json)
        return
    if generator.schema.images is not None:
        if wide or croissant:
            raise UsageError("--wide, --croissant: they have no meaning for images.")
        draw_pictures(found, Pictures(n, target, wanted, balance, seed, form, bits, force), as_json=json)
        return
    draw_table(
        found, generator, Table(n, target, wanted, where or [], balance, seed, form, wide, bits, croissant, force),
        as_json=json,
    )  # fmt: skip


def opened(model: Path, trust: Path | None, console: Console) -> Opened:
    """Gives a released generator, and says what a receiver must know about it first."""
    from wardgan.combining.loading import open_file

    found = open_file(model, trust, required=trust is not None)
    if found.privacy.mode == "none":
        banner(console)
    if found.signature.name is None:
        say(console, f"The file is not known to be genuine ({found.signature.status}).", style="yellow")
    return found
