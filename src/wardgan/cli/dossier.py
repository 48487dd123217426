"""`wardgan dossier`: what a generator gives away and what it is good for, in two editions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from wardgan.cli.options import Delimiter, Force, Json, Key, Labels, Mask, Visits, delimiter_of
from wardgan.cli.terminal import answer, banner, bar, say, screen
from wardgan.errors import OutputError, UsageError, WardganError

if TYPE_CHECKING:
    from rich.console import Console

    from wardgan.dossier.assess import Dossier

_STYLES = {"pass": "bold green", "warn": "bold yellow", "unjudged": "bold magenta", "fail": "bold red"}
_WORDS = {"pass": "PASS", "warn": "PASS, WITH WARNINGS", "unjudged": "NOT ALL COULD BE JUDGED", "fail": "FAIL"}


def dossier(  # noqa: PLR0913, PLR0917 - one argument for each option
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a finished fit.", show_default=False)],
    data: Annotated[
        Path, typer.Option("--data", metavar="PATH", help="The patients that were fitted to.", show_default=False)
    ],
    holdout: Annotated[
        Path | None,
        typer.Option("--holdout", metavar="PATH", help="Others, set aside before the fit; without them little can be "
                     "judged."),
    ] = None,
    visits: Visits = None,
    holdout_visits: Annotated[
        Path | None, typer.Option("--holdout-visits", metavar="FILE", help="Second file, with visits of the hold-out.")
    ] = None,
    labels: Labels = None,
    holdout_labels: Annotated[
        Path | None,
        typer.Option("--holdout-labels", metavar="FILE", help="Images: labels of the hold-out, whose images may be in "
                     "the folder of --data."),
    ] = None,
    key: Key = None,
    mask: Mask = None,
    extractor: Annotated[
        list[Path] | None,
        typer.Option("--extractor", metavar="FILE", help="Images: an ONNX network of yours; its features are "
                     "compared, too.", show_default=False),
    ] = None,
    invalid: Annotated[
        str, typer.Option("--invalid", help="Rows that break the schema, as for the fit: refuse, clip or drop.")
    ] = "refuse",
    delimiter: Delimiter = ",",
    policy: Annotated[
        str, typer.Option("--policy", metavar="NAME|FILE", help="strict, default, research, or a YAML file.")
    ] = "default",
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="COLUMN", help="What classifiers learn.", show_default="first label"),
    ] = None,
    public_share: Annotated[
        float, typer.Option("--public-share", help="Part of epsilon that the hold-out pays for public numbers.")
    ] = 0.05,
    audit: Annotated[
        Path | None,
        typer.Option("--audit", metavar="FILE", help="What wardgan audit -o has written.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the synthetic patients that are judged.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where to.", show_default="RUN/dossier")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Measure what a run gives away and what it is good for, judge it, and write both editions."""
    from wardgan.cli.patients import Files, read_patients
    from wardgan.dossier.assess import assess
    from wardgan.dossier.images.extractor import read_extractor
    from wardgan.dossier.policy import Policy
    from wardgan.models.base import Trained
    from wardgan.models.fit import declared_in

    place = run / "dossier" if output is None else output
    _check_free(place, force=force)
    rules = Policy.load(policy)
    Trained.load(run)
    schema, sign = declared_in(run), delimiter_of(delimiter)
    console = screen(errors=json)
    if schema.images is None and (extractor or holdout_labels):
        raise UsageError(
            f"--extractor and --holdout-labels are about images; the schema {schema.name!r} declares none."
        )
    networks = [read_extractor(file) for file in extractor or ()]
    aside = data if holdout is None and holdout_labels is not None else holdout
    with _in_option("--data", data):
        train, size = read_patients(Files(data, visits, sign, labels, key, mask), schema, invalid, console)
    with _in_option("--holdout", aside):
        others = None if aside is None else Files(aside, holdout_visits, sign, holdout_labels, key, mask)
        held = None if others is None else read_patients(others, schema, invalid, console)[0]
    with bar("measuring", 1) as advance:
        found = assess(
            run, train, held, policy=rules, target=target, public_share=public_share, seed=seed, audit=audit,
            source_bytes=size, extractors=networks, told=lambda what, done, whole: advance(done, whole, what),
        )  # fmt: skip
    files = found.write(place, force=force)
    show_dossier(console, found, run, files)
    if json:
        answer(
            {
                "files": [str(file) for file in files], "policy": rules.name, "internal": found.internal.overall,
                "public": found.public.overall, "refusals": found.refusals,
                "gates": [one.to_dict() for one in found.judgements],
            }
        )  # fmt: skip


@contextmanager
def _in_option(name: str, file: Path | None) -> Iterator[None]:
    """Adds to a refusal which of the files it is about."""
    try:
        yield
    except WardganError as error:
        error.add_note(f"That is the file of {name}: {file}.")
        raise


def _check_free(place: Path, *, force: bool) -> None:
    if place.exists() and not place.is_dir():
        raise OutputError(f"output={str(place)!r} is a file; choose another name for the folder of the dossier.")
    if place.is_dir() and any(place.glob("*.json")) and not force:
        raise OutputError(f"output={str(place)!r} holds a dossier already; replace it with --force.")


def show_dossier(console: Console, found: Dossier, run: Path, files: Sequence[Path]) -> None:
    """Prints the verdict of a dossier, and where it is.

    Args:
        console: Where to.
        found: The dossier.
        run: Run folder of the fit.
        files: What was written.
    """
    from wardgan.dossier.gates import meaning

    if not found.internal.private:
        banner(console)
    for document in (found.internal, found.public):
        say(console, f"{document.edition}: {_WORDS[document.overall]}", style=_STYLES[document.overall])
    say(console, meaning(found.judgements, found.policy))
    for warning in cast("list[str]", found.internal.facts.get("warnings", [])):
        say(console, warning, style="bold red")
    for one in found.judgements:
        if one.verdict in ("fail", "warn", "unjudged"):
            about = f" ({one.about})" if one.about else ""
            say(console, f"  {one.verdict}: {one.gate}{about}: {one.reason}", style=_STYLES[one.verdict])
    say(console, f"{files[0]} stays in the hospital; {files[2]} may leave it.")
    if found.refusals:
        say(console, "Next: mend the cause, or let a person answer for it: wardgan release --override 'NAME: REASON'")
    else:
        where = "" if files[0].parent == run / "dossier" else f" --dossier {files[0].parent}"
        say(console, f"Next: wardgan release {run} -o FILE.hgan --key YOUR.key{where}")
    if files[0].parent != run / "dossier" and (run / "dossier").exists():
        say(
            console, f"{run / 'dossier'} is an older one, which release takes unless you say --dossier.", style="yellow"
        )
