"""`wardgan pool`: the noisy tables of hospitals are added up, and one generator is made of the sums."""

from __future__ import annotations

import json as text
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from wardgan.cli.inspect import shown
from wardgan.cli.options import DataId, Delta, Epsilon, Force, Json, Revoked, SchemaFile, SigningKey, Trust
from wardgan.cli.terminal import answer, say, screen, unsigned, watching
from wardgan.cli.whose import whose
from wardgan.errors import counted

app = typer.Typer(
    no_args_is_help=True, help="Add up noisy tables of several hospitals: one generator without a round of training."
)
_SHOWN: Final = 6
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file.", show_default=False)]


@app.command("survey")
def survey(  # noqa: PLR0913, PLR0917 - one argument for each option
    schema: SchemaFile,
    output: Output,
    patients: Annotated[
        int, typer.Option("--patients", help="About how many patients all hospitals have.", min=1, show_default=False)
    ],
    hospitals: Annotated[int, typer.Option("--hospitals", help="How many hospitals.", min=2, show_default=False)],
    epsilon: Epsilon = 1.0,
    delta: Delta = 1e-5,
    family: Annotated[
        str, typer.Option("--family", help="copula, or marginal: tables of some pairs of variables are asked for, too.")
    ] = "copula",
    like: Annotated[
        Path | None,
        typer.Option(
            "--like", metavar="MODEL", help="A released generator: bins are made for patients like its own.",
            show_default="simulated patients",
        ),
    ] = None,
    trust: Trust = None,
    revoked: Revoked = None,
    force: Force = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Fix the questions that all hospitals answer, from public facts; none of them has to know the others' patients."""
    from wardgan import files
    from wardgan.cli.combine import lines_of
    from wardgan.combining.pooling import survey as made
    from wardgan.encode.layout import Layout
    from wardgan.privacy.events import Budget
    from wardgan.schema.schema import Schema

    files.check_new(output, force=force)
    declared = Schema.load(schema)
    found = made(
        declared, patients=patients, hospitals=hospitals, budget=Budget(epsilon, delta), like=like, trust=trust,
        revoked=lines_of(revoked), family=family,
    )  # fmt: skip
    files.write_bytes(output, text.dumps(found.to_dict()).encode(), force=force)
    console, names = screen(errors=json), Layout.of(replace(declared, population=None)).names
    say(console, f"{output}: {counted(len(found.levels), 'variable')}, {found.digest}", style="bold green")
    pairs = [] if found.pairing is None else [[names[at] for at in pair] for pair in found.pairing.pairs]
    if pairs:
        say(console, f"Tables of {counted(len(pairs), 'pair')} are asked for, too: {_listed(pairs)}.")
    if not found.like:
        say(
            console,
            "Note: it was made for simulated patients, whose values lie anywhere between the declared bounds. If there "
            "is a released generator of similar patients, --like makes better questions.",
            style="yellow",
        )
    for one in found.like:
        say(console, f"It was made for patients of {shown(str(one['name']))}, whose bill is part of it.")
    say(
        console,
        f"Next, in each hospital: wardgan fit DATA {schema} --family {found.family} --survey {output} "
        f"--epsilon {epsilon:g} -o RUN; wardgan pool tables RUN -o FILE",
    )
    if json:
        facts = {"output": str(output), "digest": found.digest, "variables": len(found.levels)}
        answer({**facts, "family": found.family, "pairs": pairs})


def _listed(pairs: list[list[str]]) -> str:
    words = [shown(" x ".join(pair)) for pair in pairs[:_SHOWN]]
    return ", ".join(words) + (f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else "")


@app.command("tables")
def tables(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a fit with --survey.", show_default=False)],
    output: Output,
    key: SigningKey = None,
    data_id: DataId = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a hospital's noisy answers, with their bill, to one file that may leave."""
    from wardgan.cli.keys import passphrase_of
    from wardgan.combining.tables import read_tables, write_tables

    secret = None if key is None else passphrase_of(key)
    console = screen(errors=json)
    write_tables(
        run, output, key=key, passphrase=secret, training_data_id=whose(console, run, data_id), force=force
    )  # fmt: skip
    found = read_tables(output)
    size = output.stat().st_size
    say(console, f"{output}: {counted(len(found.answers), 'noisy table')}, {size:,} bytes", style="bold green")
    say(console, f"Digest:    {found.digest}")
    say(console, f"Privacy:   epsilon {found.ledger.epsilon:g} at delta {found.ledger.delta:g}, for each patient")
    unsigned(console, key)
    if json:
        answer({"output": str(output), "bytes": size, "digest": found.digest, "epsilon": found.ledger.epsilon})


@app.command("add")
def add(  # noqa: PLR0913, PLR0917 - one argument for each option
    files: Annotated[
        list[Path], typer.Argument(metavar="TABLES", help="Files of noisy tables.", show_default=False)
    ],
    output: Output,
    name: Annotated[str | None, typer.Option("--name", help="Of the whole.", show_default="name of the file")] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            "--overlap", metavar="M", help="In how many of the hospitals a patient may be at most. You answer for it.",
            show_default="in all of them",
        ),
    ] = None,
    key: SigningKey = None,
    trust: Trust = None,
    revoked: Revoked = None,
    force: Force = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Make one generator of the sum of hospitals' noisy tables."""
    from wardgan.cli.combine import lines_of, show_bounds
    from wardgan.cli.keys import passphrase_of
    from wardgan.combining.pooling import pool

    secret = None if key is None else passphrase_of(key)
    with watching("pooling") as watch:
        made = pool(
            files, output, name=name, overlap=overlap, key=key, passphrase=secret, trust=trust,
            revoked=lines_of(revoked), force=force, watch=watch,
        )  # fmt: skip
    console = screen(errors=json)
    say(
        console,
        f"{output}: {counted(len(made.hospitals), 'hospital')}, about {made.patients:,} patients by the noisy tables.",
        style="bold green",
    )
    for notice in made.notices:
        say(console, f"Note: {shown(notice)}", style="yellow")
    unsigned(console, key)
    show_bounds(console, made.bounds)
    if json:
        answer(
            {
                "output": str(output), "hospitals": list(made.hospitals), "patients": made.patients,
                "signers": {one: vars(signer) for one, signer in made.signers.items()},
                "bounds": made.bounds.to_dict(), "notices": list(made.notices),
            }
        )  # fmt: skip
