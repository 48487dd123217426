"""`wardgan balance`: synthetic images of a rare level, as many as a user's own set lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardgan.cli.options import Bits, Data, Force, Json, Key, Labels, Mask, Trust
from wardgan.cli.terminal import say, screen
from wardgan.errors import UsageError


def balance(  # noqa: PLR0913, PLR0917 - one argument for each option
    data: Data,
    model: Annotated[Path, typer.Option("--with", metavar="MODEL", help="A .hgan file of images.", show_default=False)],
    label: Annotated[
        str, typer.Option("--label", metavar="LEVEL", help="The rare level: malignant, or finding=malignant.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="A folder, or .npz.", show_default=False)
    ],
    ratio: Annotated[float, typer.Option("--ratio", help="Wanted share of all images; 0.5 is parity.")] = 0.5,
    labels: Labels = None,
    key: Key = None,
    mask: Mask = None,
    invalid: Annotated[str, typer.Option("--invalid", help="Images that cannot be used: refuse, or drop.")] = "refuse",
    seed: Annotated[int | None, typer.Option("--seed", help="Replays the images.", show_default="a new one")] = None,
    form: Annotated[str | None, typer.Option("--format", help="npz, png or dicom.", show_default="by the name")] = None,
    bits: Bits = 8,
    trust: Trust = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Top up your own images with synthetic ones of a rare level. Your own files are left as they are."""
    from dataclasses import asdict, replace

    from wardgan.cli.patients import Files, read_folder
    from wardgan.cli.pictures import Pictures, draw_pictures
    from wardgan.cli.sample import opened
    from wardgan.sample.topup import asked_for, top_up
    from wardgan.schema.images import SMALLEST

    console = screen(errors=json)
    found = opened(model, trust, console)
    if found.generator.schema.images is None:
        raise UsageError(f"model={str(model)!r} draws tables; wardgan sample --where draws patients of a rare level.")
    # Whose the images are, and how large, does not matter to whoever only counts their labels.
    look = replace(found.generator.schema.images, height=SMALLEST, width=SMALLEST, crop=False, flip=False)
    schema = replace(found.generator.schema, patient=None, images=replace(look, mask=mask is not None))
    asked_for(found.generator, label, ratio)
    own, _ = read_folder(Files(data, labels=labels, key=key, mask=mask, anyone=True), schema, invalid)
    lacking = top_up(found.generator, own, label, ratio)
    share = lacking.real / (lacking.real + lacking.others)
    text = f"{lacking.label}={lacking.level}: {lacking.real:,} of your {lacking.real + lacking.others:,} images"
    say(console, f"{text} ({100 * share:.3g} %); {lacking.lacking:,} synthetic ones make it {100 * ratio:.3g} %.")
    if lacking.learned is None:
        say(console, "The schema declares no population, so nobody knows from how many patients the generator learned "
                     "this level: with fewer than 50 its images are copies or noise.", style="yellow")  # fmt: skip
    wish = Pictures(lacking.lacking, output, {lacking.label: lacking.level}, None, seed, form, bits, force)
    draw_pictures(found, wish, as_json=json, more={"top_up": asdict(lacking), "ratio": ratio})
    say(console, "Choose the ratio on validation images, never on the test: synthetic images may help a rare class.")
