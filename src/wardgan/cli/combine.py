"""`wardgan combine`: generators of several hospitals become one file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.inspect import shown
from wardgan.cli.options import Force, Json, Revoked, SigningKey, Trust
from wardgan.cli.terminal import answer, banner, say, screen, unsigned
from wardgan.errors import UsageError, counted

if TYPE_CHECKING:
    from rich.console import Console

    from wardgan.combining.making import Combined
    from wardgan.combining.recipe import Recipe
    from wardgan.privacy.accounts.together import Total
    from wardgan.privacy.union import Bounds


def combine(  # noqa: PLR0913, PLR0917 - one argument for each option
    members: Annotated[
        list[Path], typer.Argument(metavar="MEMBERS", help=".hgan files, or one recipe (YAML).", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The combined .hgan file.", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the whole.", show_default="name of the file")
    ] = None,
    weights: Annotated[
        str, typer.Option("--weights", metavar="HOW", help="size, uniform, or a YAML file: name of a member: weight.")
    ] = "size",
    columns: Annotated[
        str, typer.Option("--columns", help="common (those that all have), all, or names with commas between.")
    ] = "common",
    overlap: Annotated[
        int | None,
        typer.Option(
            "--overlap",
            metavar="M",
            help="In how many of the hospitals a patient may be at most; 1: in one. You answer for it.",
            show_default="in all of them",
        ),
    ] = None,
    key: SigningKey = None,
    trust: Trust = None,
    revoked: Revoked = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Combine generators of hospitals, or of regions, into one that is sampled like any other."""
    from wardgan.cli.keys import passphrase_of
    from wardgan.combining.making import combine as combined

    recipe = _recipe(members, name, output.stem, weights, columns, overlap)
    secret = None if key is None else passphrase_of(key)
    made = combined(recipe, output, key=key, passphrase=secret, trust=trust, revoked=lines_of(revoked), force=force)
    console = screen(errors=json)
    say(console, f"{output}: {counted(len(made.shares), 'member')} as {shown(recipe.name)}.", style="bold green")
    for member, share in made.shares.items():
        say(console, f"  {100 * share:5.1f} %  {shown(member)}")
    unsigned(console, key)
    for notice in made.notices:
        say(console, f"Note: {shown(notice)}", style="red" if "NOT PRIVATE" in notice else "yellow")
    show_bounds(console, made.bounds)
    if json:
        answer(_facts(made))


def show_bounds(console: Console, bounds: Bounds) -> None:
    """Prints what the members cost one patient together, by the three assumptions.

    Args:
        console: Where to.
        bounds: What was found.
    """
    from wardgan.privacy.events import MAX_EPSILON
    from wardgan.seal.joint import claim

    if not math.isfinite(bounds.worst.epsilon):
        banner(console)
        return
    if claim(bounds)["mode"] == "none":
        banner(console)
        say(console, f"More than epsilon {MAX_EPSILON:g} protects nobody, so the file claims nothing.", style="red")
    say(console, f"What one patient risks, at delta {bounds.delta:g} (composed mechanisms, not added epsilons):")
    rows: list[tuple[Total, str]] = [(bounds.disjoint, "if nobody is a patient of two of the hospitals")]
    if bounds.overlap is not None and bounds.most is not None:
        rows.append(
            (bounds.overlap, f"if nobody is a patient of more than {min(bounds.most, bounds.sites)}, as is declared")
        )
    rows.append((bounds.worst, f"whoever is a patient of all {bounds.sites}"))
    for total, words in rows:
        other = "" if total.delta == bounds.delta else f" (at delta {total.delta:g})"
        say(console, f"  epsilon {total.epsilon:6.3g}  {words}{other}")
    if bounds.overlap is None and bounds.sites > 1 and claim(bounds)["mode"] == "private":
        say(console, "The file claims the last one: nobody declared how many hospitals a patient may be in "
                     "(--overlap).", style="yellow")  # fmt: skip


def _recipe(
    members: Sequence[Path], called: str | None, usual: str, weights: str, columns: str, overlap: int | None
) -> Recipe:
    from wardgan.combining.recipe import RECIPES, Recipe, Wanted, read_weights

    recipes = [one for one in members if one.suffix.lower() in RECIPES]
    if len(members) == 1 and recipes:
        found = Recipe.load(members[0])
        if (weights, columns) != ("size", "common"):
            raise UsageError("--weights and --columns have no meaning here: the recipe says them.")
        if called is not None:
            found = replace(found, name=called)
        return replace(found, overlap=found.overlap if overlap is None else overlap)
    name = called or usual
    keep = columns if columns in ("common", "all") else tuple(one.strip() for one in columns.split(","))
    wanted = tuple(Wanted(one) for one in members)
    if weights not in ("size", "uniform"):
        given = read_weights(weights)
        files = {one.stem: one for one in members}
        if len(files) < len(members):
            raise UsageError("weights: two members have files of the same name; write a recipe, with a name for each.")
        if set(given) != set(files):
            odd = sorted(set(given) ^ set(files))[0]
            raise UsageError(f"weights: {odd!r} is in one of the file with the weights and the members, not in both.")
        wanted = tuple(Wanted(file, stem, given[stem]) for stem, file in files.items())
        return Recipe(name, wanted, "declared", keep=keep, overlap=overlap)  # pyright: ignore[reportArgumentType]
    return Recipe(name, wanted, weights, keep=keep, overlap=overlap)  # pyright: ignore[reportArgumentType]


def lines_of(path: Path | None) -> list[str]:
    """Gives the digests of a file of revoked releases.

    Args:
        path: The file; `None` for none.

    Raises:
        UsageError: It cannot be read, or a line is no digest.
    """
    from wardgan.seal.revoked import read_revoked

    return [] if path is None else read_revoked(path)


def _facts(made: Combined) -> dict[str, object]:
    return {
        "output": str(made.path), "digest": made.digest, "shares": dict(made.shares), "notices": list(made.notices),
        "bounds": made.bounds.to_dict(),
    }  # fmt: skip
