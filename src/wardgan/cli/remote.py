"""`wardgan sample` of a release behind the pages of a hub, whose generator need not leave it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from wardgan.cli.terminal import answer, bar, say, screen
from wardgan.errors import UsageError, counted


def is_pages(model: str) -> bool:
    """Whether a model is named by the address of a hub's pages.

    Args:
        model: What the person wrote.
    """
    return re.match("https?://", model) is not None


def sample_there(  # noqa: PLR0913 - one argument for each option
    model: str, n: int, output: Path, *, where: Sequence[str], balance: str | None, seed: int | None,
    form: str | None, trust: Path | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Has patients drawn behind the pages of a hub, and fetches them.

    Args:
        model: Address of the release, such as `https://hub.hospital.example/cardio/sprint:1.0`.
        n: How many patients.
        output: The file: `.csv`, `.parquet`, or `.npz` of images.
        where: Conditions.
        balance: A label whose levels shall be equally frequent.
        seed: Replays them.
        form: Kind of the file, if it was named.
        trust: Trust file.
        force: Whether an existing file may be replaced.
        as_json: Whether one JSON object is printed.

    Raises:
        UsageError: It names no release, or the output another kind of file.
    """
    from wardgan.hub.hub import Hub
    from wardgan.hub.target import target_of

    target = target_of(model)
    if target.label is None:
        raise UsageError(f"model={model!r} names no release; wardgan list {model} says what there is.")
    if form is not None and output.suffix != f".{form}":
        raise UsageError(f"format={form!r}: the name of the output must end with .{form}.")
    hub = Hub.at(target, trust=trust)
    with bar("sampling", n) as advance:
        hub.sample(target.label, n, output, where=where, balance=balance, seed=seed, force=force, watch=advance)
    say(screen(errors=as_json), f"{output}: {counted(n, 'synthetic patient')}, drawn by the hub.", style="bold green")
    if as_json:
        answer({"output": str(output), "patients": n, "where": list(where), "balance": balance, "seed": seed})
