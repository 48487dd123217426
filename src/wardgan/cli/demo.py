"""`wardgan demo`: the whole journey with invented patients."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from wardgan.cli.dossier import show_dossier
from wardgan.cli.inspect import show_model
from wardgan.cli.options import Epsilon, Force, Json
from wardgan.cli.plan import show_plan
from wardgan.cli.run import watched
from wardgan.cli.terminal import Stopped, answer, bar, say, screen
from wardgan.files import check_name

if TYPE_CHECKING:
    from wardgan.demo.journey import Shown
    from wardgan.dossier.assess import Dossier
    from wardgan.dossier.receiver import Received
    from wardgan.models.base import Progress
    from wardgan.privacy.plan import Plan
    from wardgan.schema.draft import Drafted


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where everything goes.")] = Path(
        "demo"
    ),
    patients: Annotated[int, typer.Option("--patients", help="How many invented patients.")] = 6502,
    epsilon: Epsilon = 3.0,
    force: Force = False,
    json: Json = False,
) -> None:
    """See the whole journey with invented patients, in about two minutes."""
    from wardgan.demo.journey import run_demo

    check_name(output)
    console = screen(errors=json)
    try:
        shown = run_demo(output, _Stage(console), patients=patients, epsilon=epsilon, force=force)
    except KeyboardInterrupt as error:
        raise Stopped(
            f"Stopped. To begin again:\n  {shlex.join(['wardgan', 'demo', '-o', str(output)])} --force"
        ) from error
    _show(console, shown)
    if json:
        answer(shown.to_dict())


class _Stage:
    """Shows the demo on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, title: str) -> None:
        self._console.print()
        say(self._console, title, style="bold cyan")

    def draft(self, drafted: Drafted) -> None:
        for line in drafted.to_yaml().splitlines():
            say(self._console, f"   {line}", style="yellow" if "# from patients" in line else None)

    def plan(self, plan: Plan) -> None:
        show_plan(self._console, plan)

    def fitting(self, plan: Plan, run: Path) -> AbstractContextManager[Callable[[Progress], None]]:
        return watched(plan, run)

    def assessing(self) -> AbstractContextManager[Callable[[str, int, int], None]]:
        return _measuring()

    def assessed(self, dossier: Dossier, files: Sequence[Path]) -> None:
        show_dossier(self._console, dossier, files[0].parent.parent / "run", files)

    def verified(self, found: Received, facts: Mapping[str, Any]) -> None:
        say(
            self._console,
            f"Verified: {found.verdict}",
            style="green",
        )
        show_model(self._console, facts)


@contextmanager
def _measuring() -> Iterator[Callable[[str, int, int], None]]:
    with bar("measuring", 1) as advance:
        yield lambda what, done, whole: advance(done, whole, what)


def _show(console: Console, shown: Shown) -> None:
    from rich.table import Table

    worth = shown.worth
    table = Table(title="What the synthetic patients are worth", title_justify="left")
    for name in ("", "synthetic", "real"):
        table.add_column(name, justify="left" if not name else "right")
    for name, score in worth.utility.accuracy.items():
        table.add_row(f"{name}: accuracy on {score.n:,} unseen patients", f"{score.value:.3f}", f"{score.baseline:.3f}")
    ours, best = worth.correlations, worth.correlations_unseen
    table.add_row(f"agreement of {ours.cells} correlations (Spearman)", f"{ours.spearman:.3f}", f"{best.spearman:.3f}")
    gap, least = worth.medians, worth.medians_unseen
    table.add_row("median pressure, largest gap (mm Hg)", f"{gap.largest:.1f}", f"{least.largest:.1f}")
    table.add_row("median pressure, mean gap (mm Hg)", f"{gap.mean:.2f}", f"{least.mean:.2f}")
    console.print()
    console.print(table)
    say(
        console,
        "synthetic: taught by, or drawn by, the generator. real: taught by the patients of the trial, or 2,000 others.",
    )
    say(
        console,
        f"Epsilon spent: {shown.epsilon:.4g} of {shown.budget.epsilon:g} (delta {shown.budget.delta:g}), per patient",
    )
    say(console, f"Model file:    {shown.model_bytes:,} bytes; fitted in {shown.fit_seconds:.0f} s")
    say(console, f"Sampling:      {shown.rows_per_second:,.0f} rows a second, to Parquet")
    page = shown.files["dossier"] / "internal.html"
    say(console, f"Look at {page}, {shown.files['medians']} and {shown.files['correlations']}.", style="bold green")
