"""The share against epsilon as a picture that can be read on white and on black."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from wardgan import files
from wardgan.errors import OutputError, UsageError
from wardgan.rehearsal.words import GOALS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wardgan.rehearsal.result import Rehearsed, Sketch

KINDS: Final = (".svg", ".png")
# As far from white as from black: contrast 4.5 : 1 with both.
_GREY: Final = "#767676"
_BLUE: Final = "#2b83c6"
_ORANGE: Final = "#d1620a"
_LINES: Final = (("logistic regression", _BLUE, "o"), ("gradient boosting", _ORANGE, "s"))
_APART: Final = 0.06
# Guessing has a share of about 60 %.
_LOWEST: Final = 50.0
_HIGHEST: Final = 106.0


def check_figure(path: Path, *, force: bool = False) -> None:
    """Refuses a figure before any work is done for it.

    Args:
        path: Where the figure is wanted.
        force: Whether a file may be replaced.

    Raises:
        OutputError: The name ends neither in .svg nor in .png, or the file exists or cannot be written.
        UsageError: matplotlib is not installed.
    """
    if path.suffix.lower() not in KINDS:
        raise OutputError(f"figure={str(path)!r} ends neither in {KINDS[0]} nor in {KINDS[1]}; name one of the two.")
    files.check_new(path, force=force)
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UsageError("Figures need matplotlib. Install it with: pip install 'wardgan[train]'") from error


def draw(sketch: Sketch, path: Path, *, force: bool = False) -> Path:
    """Draws the share against epsilon, with its interval, and gives the path.

    Args:
        sketch: What was found.
        path: A file that ends in .svg or .png.
        force: Whether a file may be replaced.

    Raises:
        OutputError: As for `check_figure`, or it cannot be written.
        UsageError: matplotlib is not installed.
    """
    check_figure(path, force=force)
    from matplotlib import rc_context

    kind = path.suffix.lower().removeprefix(".")
    more: dict[str, Any] = {"dpi": 200} if kind == "png" else {"metadata": {"Date": None}}
    drawn = BytesIO()
    # Without a fixed salt and date the same figure would have other bytes each time.
    with rc_context({"svg.hashsalt": "wardgan"}):
        figure_of(sketch).savefig(drawn, format=kind, transparent=True, **more)
    return files.write_bytes(path, drawn.getvalue(), force=force)


def figure_of(sketch: Sketch) -> Figure:
    """Gives the figure of `draw` without writing it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(sketch.rows), dtype=float)
    for at, (name, colour, mark) in enumerate(_LINES):
        _line(axes, sketch.rows, places + (at - 0.5) * _APART, name, colour=colour, mark=mark)
    for goal, side in zip(GOALS, ("top", "bottom"), strict=True):
        axes.axhline(100 * goal, color=_GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        place = (1.01, 100 * goal)
        axes.annotate(f"{100 * goal:g} %", place, xycoords=("axes fraction", "data"), color=_GREY, va=side)
    for place, row in zip(places, sketch.rows, strict=True):
        if row.refused:
            foot = (place, 0.05)
            axes.annotate("refused", foot, xycoords=("data", "axes fraction"), color=_GREY, ha="center", rotation=90)
    # An interval from two tables may be far longer than anything that is worth seeing.
    low, high = axes.get_ylim()
    known = [100 * share.value for row in sketch.rows for share in row.shares.values()]
    axes.set_ylim(
        max(low, min([_LOWEST, *(one - 2 for one in known)])), min(high, max([_HIGHEST, *(one + 2 for one in known)]))
    )
    axes.set_xticks(places, ["no privacy" if row.epsilon is None else f"{row.epsilon:g}" for row in sketch.rows])
    axes.set_xlim(-0.4, len(places) - 0.6)
    axes.set_xlabel("epsilon", color=_GREY)
    axes.set_ylabel("share of what the patients teach (%)", color=_GREY)
    axes.set_title(
        f"{sketch.simulated:,} simulated patients, {sketch.variables} variables, {sketch.family}",
        color=_GREY,
        fontsize=11,
    )
    axes.tick_params(colors=_GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(_GREY)
    if any(row.shares for row in sketch.rows):
        axes.legend(frameon=False, labelcolor=_GREY, loc="lower right")
    return figure


def _line(axes: Axes, rows: tuple[Rehearsed, ...], places: np.ndarray, name: str, *, colour: str, mark: str) -> None:
    """Draws one classifier: a line over the epsilons, the fit without privacy apart, and the intervals."""
    known = [(place, row, row.shares[name]) for place, row in zip(places, rows, strict=True) if name in row.shares]
    private = [(place, 100 * share.value) for place, row, share in known if row.epsilon is not None]
    if private:
        axes.plot(*zip(*private, strict=True), color=colour, linewidth=1.8)
    for at, (place, _, share) in enumerate(known):
        ends = [100 * end if np.isfinite(end) else 100 * share.value for end in (share.low, share.high)]
        axes.plot([place, place], ends, color=colour, linewidth=1.4, alpha=0.7)
        axes.plot([place], [100 * share.value], color=colour, marker=mark, linestyle="", label=name if not at else None)
