"""Options that several verbs have, declared once."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import typer

from wardgan.errors import UsageError

LEDGER_FILE: Final = "ledger.db"
_LEDGER: Final = "WARDGAN_LEDGER"
_LARGEST: Final = 10**18
Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="CSV or Parquet file with the patients; or a folder or NPZ file of images.",
        show_default=False,
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", metavar="FILE", help="Images: CSV or Parquet file of labels.", show_default=False),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="COL", help="Images: column of the labels that links them to files.", show_default="guessed"
    ),
]
Mask = Annotated[
    str | None,
    typer.Option("--mask", metavar="COL", help="Images: column of the labels with paths of masks.", show_default=False),
]
SchemaFile = Annotated[Path, typer.Argument(metavar="SCHEMA", help="Schema file (YAML).", show_default=False)]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A .hgan file.", show_default=False)]
HubDatabase = Annotated[
    str,
    typer.Option(
        "--database", metavar="DATABASE", help="Of the hub: a SQLite file, or postgresql://user:password@host/name.",
        envvar="WARDGAN_DATABASE",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
Visits = Annotated[
    Path | None, typer.Option("--visits", metavar="FILE", help="Second file, with the visits.", show_default=False)
]
Delimiter = Annotated[str, typer.Option("--delimiter", help="Between the cells of a CSV file; 'tab' for tabs.")]
Epsilon = Annotated[
    float,
    typer.Option("--epsilon", help="How much may be given away about one patient: 1 is strong, 3 usual, 10 weak."),
]
Delta = Annotated[float, typer.Option("--delta", help="Probability that goes with epsilon.")]
Family = Annotated[
    str, typer.Option("--family", help="Model family: auto, copula, marginal, tabgan, acgan or imagegan.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the family (docs/models); repeat for more.",
        show_default=False,
    ),
]
Privacy = Annotated[str, typer.Option("--privacy", help="private, or none for no protection at all.")]
Invalid = Annotated[
    str,
    typer.Option(
        "--invalid",
        help="Rows that break the schema: refuse, clip to bounds, or drop the patient (of images: the image).",
    ),
]
FitLedger = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        metavar="FILE",
        help="The institution's ledger, which adds up all fits.",
        show_default="ledger.db beside DATA",
    ),
]
DataSet = Annotated[
    str | None,
    typer.Option("--dataset", metavar="NAME", help="Whose data it is: all fits of one NAME are counted together."),
]
LedgerFile = Annotated[
    Path | None,
    typer.Option(
        "--ledger", metavar="FILE", help="The institution's ledger, which adds up all fits.", show_default=LEDGER_FILE
    ),
]
SurveyFile = Annotated[
    Path | None,
    typer.Option(
        "--survey",
        metavar="FILE",
        help="Answer a survey of several hospitals (wardgan pool); for copula and marginal.",
        show_default=False,
    ),
]
Bits = Annotated[int, typer.Option("--bits", help="Images: 8 or 16 bits for each pixel.")]
Trust = Annotated[
    Path | None,
    typer.Option("--trust", metavar="FILE", help="Trust file: keys whose owners you know.", show_default=False),
]


SigningKey = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Private key that signs the file.", show_default=False)
]
DataId = Annotated[
    str | None,
    typer.Option(
        "--data-id",
        metavar="ID",
        help="Opaque name of the patients, the same for all models of them.",
        show_default="made with the key of the ledger",
    ),
]
Revoked = Annotated[
    Path | None,
    typer.Option("--revoked", metavar="FILE", help="Digests that are revoked, one a line.", show_default=False),
]
Override = Annotated[
    str | None, typer.Option("--override", metavar="'NAME: REASON'", help="Without privacy; printed in the file.")
]


def whole_number(text: str) -> int:
    """Gives a whole number that a person may write short, such as 1e9.

    Raises:
        BadParameter: It is none, or none that anybody could want.

    Example:
        >>> whole_number("1e9"), whole_number("2_500")
        (1000000000, 2500)
    """
    try:
        found = Decimal(text.replace("_", ""))
        if found == found.to_integral_value() and abs(found) <= _LARGEST:
            return int(found)
    except ArithmeticError:
        pass
    raise typer.BadParameter(f"{text!r} is not a whole number such as 1000000 or 1e6.")


def delimiter_of(text: str) -> str:
    r"""Gives the delimiter that a person means: one character, or the word `tab`.

    Raises:
        UsageError: It is neither.

    Example:
        >>> delimiter_of("tab"), delimiter_of(";")
        ('\t', ';')
    """
    meant = "\t" if text in ("tab", "\\t") else text
    if len(meant) != 1:
        raise UsageError(f"delimiter={text!r} is not one character; use , ; | or the word tab.")
    return meant


def ledger_of(given: Path | None, folder: Path) -> Path:
    """Gives the institution's ledger: the one that is named, that of the environment, or the one in a folder.

    Args:
        given: What `--ledger` says.
        folder: Where the patients' file is.
    """
    if given is not None:
        return given
    named = os.environ.get(_LEDGER)
    return Path(named) if named else folder / LEDGER_FILE
