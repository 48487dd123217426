"""`wardgan split`: patients to fit to, and others who are set aside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.options import Data, Delimiter, Force, Json, SchemaFile, delimiter_of
from wardgan.cli.terminal import answer, say, screen
from wardgan.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def split(  # noqa: PLR0913, PLR0917 - one argument for each option
    data: Data,
    schema: SchemaFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The patients to fit to.", show_default=False)
    ],
    holdout: Annotated[
        Path, typer.Option("--holdout", metavar="FILE", help="The patients who are set aside.", show_default=False)
    ],
    share: Annotated[float, typer.Option("--share", help="About which part is set aside.")] = 0.5,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="The same for two files of the same patients, such as one with the visits."),
    ] = None,
    delimiter: Delimiter = ",",
    force: Force = False,
    json: Json = False,
) -> None:
    """Set patients aside before a fit, each with all their rows: the dossier compares with them."""
    from wardgan.files import check_new
    from wardgan.schema.divide import divide
    from wardgan.schema.schema import Schema

    for path in (output, holdout):
        check_new(path, force=force)
    if output.resolve() == holdout.resolve() or data.resolve() in (output.resolve(), holdout.resolve()):
        raise UsageError("output and holdout: name two files that are not the source.")
    sign = delimiter_of(delimiter)
    declared = Schema.load(schema)
    train, held = divide(data, declared, share=share, seed=seed, delimiter=sign)
    for frame, path in ((train, output), (held, holdout)):
        _write(frame, path, sign, force=force)
    console = screen(errors=json)
    say(console, f"{output}: {len(train):,} rows; {holdout}: {len(held):,} rows. Both stay in the hospital.")
    fit, dossier = f"{output} {schema}", f"--data {output} --holdout {holdout}"
    if declared.images is not None:
        fit, dossier = (
            f"IMAGES {schema} --labels {output}",
            f"--data IMAGES --labels {output} --holdout-labels {holdout}",
        )
    say(console, f"Next: wardgan fit {fit} --epsilon 1 -o RUN, then wardgan dossier RUN {dossier}")
    if declared.population is not None:
        # Public: from what is declared and asked for, not from how many there are.
        left = round(declared.population * (1 - share))
        say(console, f"The schema declares {declared.population:,} patients: declare about {left:,} for this fit.")
    if json:
        answer({"output": str(output), "rows": len(train), "holdout": str(holdout), "holdout_rows": len(held)})


def _write(frame: pd.DataFrame, path: Path, delimiter: str, *, force: bool) -> None:
    import io

    from wardgan.files import write_bytes

    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        data = io.BytesIO()
        frame.to_parquet(data, index=False)
        write_bytes(path, data.getvalue(), force=force, mode=0o600)
    elif name.endswith((".csv", ".tsv", ".txt")):
        sign = "\t" if name.endswith(".tsv") and delimiter == "," else delimiter
        write_bytes(path, frame.to_csv(index=False, sep=sign).encode(), force=force, mode=0o600)
    else:
        raise UsageError(f"output={str(path)!r} is neither CSV (.csv, .tsv) nor Parquet (.parquet).")
