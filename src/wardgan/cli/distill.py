"""`wardgan distill`: one generator of constant size, learned from synthetic patients of a combined one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.options import Family, Force, Json, Model, Override, Revoked, Settings, SigningKey, Trust
from wardgan.cli.terminal import answer, say, screen, unsigned, watching

if TYPE_CHECKING:
    from rich.console import Console

    from wardgan.combining.distilling import Distilled
    from wardgan.combining.faithful import Faithful


def distill(  # noqa: PLR0913, PLR0917 - one argument for each option
    model: Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The new .hgan file.", show_default=False)
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", help="Of the new data set.", show_default="that of the old one"),
    ] = None,
    family: Family = "auto",
    settings: Settings = None,
    n: Annotated[
        int | None,
        typer.Option(
            "-n", help="Synthetic patients to learn from.", show_default="50,000 patients or 4,000 images", min=100
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            "--overlap", metavar="M", help="In how many of the hospitals a patient may be at most. You answer for it.",
            show_default="as the teacher declares",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Replays everything.", show_default="new ones")] = None,
    judge: Annotated[bool, typer.Option("--judge/--no-judge", help="Compare the new generator with the old.")] = True,
    again: Annotated[bool, typer.Option("--again", help="Learn from what was distilled itself.")] = False,
    key: SigningKey = None,
    trust: Trust = None,
    revoked: Revoked = None,
    override: Override = None,
    force: Force = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Make one generator of constant size out of a combined one, from synthetic patients alone."""
    from wardgan.cli.combine import lines_of, show_bounds
    from wardgan.cli.keys import passphrase_of
    from wardgan.combining.distilling import distill as distilled
    from wardgan.combining.loading import load
    from wardgan.models.planning import configured

    wanted = configured(family, settings or [], load(model).schema)
    secret = None if key is None else passphrase_of(key)
    console = screen(errors=json)
    with watching("distilling") as watch:
        made = distilled(
            model, output, name=name, family=wanted, n=n, overlap=overlap, seed=seed, judge=judge, again=again, key=key,
            passphrase=secret, trust=trust, revoked=lines_of(revoked), override=override, force=force,
            watch=watch,
        )  # fmt: skip
    old, new = made.sizes
    say(
        console,
        f"{output}: {new:,} bytes instead of {old:,}, from {made.learned_from:,} synthetic patients.",
        style="bold green",
    )
    unsigned(console, key)
    show_bounds(console, made.bounds)
    if made.quality is not None:
        show_quality(console, made.quality)
    if json:
        answer(_facts(made))


def show_quality(console: Console, quality: Faithful) -> None:
    """Prints how near a pupil is to its teacher.

    Args:
        console: Where to.
        quality: What was measured.
    """
    from rich.table import Table

    table = Table(title="The new generator against the old one, with 95 % intervals")
    table.add_column("")
    for name in ("the new one", "the old one itself"):
        table.add_column(name, justify="right")
    for name, number in quality.numbers.items():
        own, other = number.synthetic, number.holdout
        table.add_row(
            name, f"{own.value:.3f} [{own.low:.3f}, {own.high:.3f}]", "" if other is None else f"{other.value:.3f}"
        )
    console.print(table)
    for refusal in quality.refusals:
        say(console, f"Not judged: {refusal}", style="yellow")


def _facts(made: Distilled) -> dict[str, object]:
    return {
        "output": str(made.path), "teacher": made.teacher, "bounds": made.bounds.to_dict(), "bytes": made.sizes[1],
        "teacher_bytes": made.sizes[0], "learned_from": made.learned_from,
        "quality": None if made.quality is None else made.quality.to_dict(),
    }  # fmt: skip
