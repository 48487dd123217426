"""The figures of the paper, drawn again from `benchmarks/results/sprint.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from benchmarks.sprint.bill import EPOCHS, EPSILONS, delta
from benchmarks.sprint.epochs import WAYS
from benchmarks.sprint.trial import FEATURES, VISITS

# As far from white as from black: contrast 4.5 : 1 with both.
_GREY: Final = "#767676"
_REAL, _OPEN, _THEN, _NOW, _NEXT = "#767676", "#2b83c6", "#d1620a", "#3a8a3a", "#a0569b"
_OPEN_RUN, _THEN_RUN = "2017, no privacy", "2017, as in the notebooks"
_NEW: Final = ("acgan, epsilon 3.5", "tabgan, epsilon 3.5", "tabgan, epsilon 1", "copula, epsilon 1")
Runs = Mapping[str, Sequence[Mapping[str, Any]]]


def draw(runs: Runs, folder: Path) -> list[Path]:
    """Draws all figures of which there are runs, and gives their files.

    Args:
        runs: By method, one for each seed.
        folder: Where to.
    """
    made = {
        "medians": _medians(runs), "accuracy": _accuracy(runs), "correlations": _correlations(runs),
        "weights": _importances(runs), "epochs": _epochs(runs), "delta": _delta(),
    }  # fmt: skip
    found: list[Path] = []
    for name, figure in made.items():
        found.append(folder / f"sprint-{name}.svg")
        with rc_context({"svg.hashsalt": "wardgan"}):
            figure.savefig(found[-1], transparent=True, metadata={"Date": None})
    return found


def _medians(runs: Runs) -> Figure:
    """Figure 2: median systolic pressure of each arm by visit; the last row is what the paper did not have."""
    figure, panels = _panels(2, 4, (12, 5.6))
    for axes, way in zip(panels[:4], WAYS, strict=True):
        lines = (("", "real patients", _REAL), (way, _OPEN_RUN, _OPEN), (way, _THEN_RUN, _THEN))
        _curves(axes, runs, lines, f"2017: {way}")
    for axes, name in zip(panels[4:], _NEW, strict=True):
        _curves(axes, runs, (("", "real patients", _REAL), ("", name, _NOW)), name)
    panels[0].set_ylabel("median SBP (mm Hg)", color=_GREY)
    panels[4].set_ylabel("median SBP (mm Hg)", color=_GREY)
    _legend(figure, (*panels[:1], *panels[4:5]))
    return figure


def _curves(axes: Axes, runs: Runs, lines: Sequence[tuple[str, str, str]], title: str) -> None:
    for way, name, colour in lines:
        if runs.get(name):
            each = np.array([run["ways"][way]["medians"] for run in runs[name]])  # (seeds, arms, visits)
            for arm, style in enumerate(("-", "--")):
                label = ("one model of today" if colour == _NOW else name) if arm == 0 else None
                axes.plot(each.mean(axis=0)[arm], style, color=colour, linewidth=1.4, label=label)
    axes.set_ylim(50, 190)
    axes.set_xticks(range(len(VISITS)), VISITS, rotation=90)
    _styled(axes, title)


def _accuracy(runs: Runs) -> Figure:
    """Figure 4 A to D: what classifiers learn, by the way of choosing epochs, and beside it today's families."""
    figure, panels = _panels(2, 2, (11, 6.4))
    names = [*WAYS, *_NEW]
    for axes, kind in zip(panels, ("LR", "RF", "SVM", "kNN"), strict=True):
        real = _values(runs, "real patients", "", kind)
        axes.axhline(
            float(np.mean(real)) if real else np.nan, color=_REAL, linestyle=(0, (1, 2)), label="real patients"
        )
        for shift, run, colour in ((-0.18, _OPEN_RUN, _OPEN), (0.18, _THEN_RUN, _THEN)):
            _points(axes, [(at + shift, _values(runs, run, way, kind)) for at, way in enumerate(WAYS)], colour, run)
        new = [(len(WAYS) + at, _values(runs, name, "", kind)) for at, name in enumerate(_NEW)]
        _points(axes, new, _NOW, "one model of today")
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
        axes.set_ylim(0.45, 1)
        _styled(axes, kind)
    panels[0].set_ylabel("accuracy on real patients", color=_GREY)
    _legend(figure, panels[:1])
    return figure


def _values(runs: Runs, name: str, way: str, kind: str) -> list[float]:
    return [run["ways"][way]["numbers"][f"accuracy {kind}"] for run in runs.get(name, ())]


def _points(axes: Axes, found: Sequence[tuple[float, list[float]]], colour: str, label: str) -> None:
    found = [(at, values) for at, values in found if values]
    for at, values in found:
        axes.plot([at] * len(values), values, ".", color=colour, alpha=0.35, markersize=5)
    axes.plot(
        [at for at, _ in found], [np.mean(values) for _, values in found], "D", color=colour, markersize=5, label=label
    )  # fmt: skip


def _correlations(runs: Runs) -> Figure:
    """Figure 3: the 36 x 36 correlations, of the first seed."""
    shown = [("", "real patients"), ("ten epochs", _OPEN_RUN), ("ten epochs", _THEN_RUN)]
    shown += [("", name) for name in ("acgan, epsilon 3.5", "tabgan, epsilon 3.5", "tabgan, epsilon 1")]
    figure, panels = _panels(2, 3, (10, 6.6))
    image = None
    for axes, (way, name) in zip(panels, shown, strict=True):
        first = next(iter(runs.get(name, ())), None)
        if first is None or "cells" not in first["ways"][way]:
            axes.set_axis_off()
            continue
        image = axes.imshow(_square(first["ways"][way]["cells"]), vmin=-1, vmax=1, cmap="RdBu_r")
        axes.set_xticks([6, 18, 30], ["SBP", "DBP", "drugs"])
        axes.set_yticks([6, 18, 30], ["SBP", "DBP", "drugs"])
        _styled(axes, f"{name}: {way}" if way else name)
    if image is not None:
        bar = figure.colorbar(image, ax=list(panels), shrink=0.6)
        bar.ax.tick_params(colors=_GREY, labelsize=8)
    return figure


def _square(cells: Sequence[float]) -> NDArray[np.float64]:
    whole = np.eye(len(FEATURES))
    whole[np.tril_indices(len(FEATURES), -1)] = cells
    return np.tril(whole) + np.tril(whole, -1).T


def _importances(runs: Runs) -> Figure:
    """Figure 4 E to G: what a forest and two linear classifiers look at."""
    figure, panels = _panels(3, 1, (11, 8.5))
    lines = (
        ("", "real patients", _REAL), ("ten epochs", _OPEN_RUN, _OPEN), ("ten epochs", _THEN_RUN, _THEN),
        ("", "tabgan, epsilon 3.5", _NOW),
    )  # fmt: skip
    for axes, kind in zip(panels, ("RF", "LR", "SVM"), strict=True):
        for place, (way, name, colour) in enumerate(lines):
            if runs.get(name):
                each = np.mean([run["ways"][way]["weights"][kind] for run in runs[name]], axis=0)
                at = np.arange(len(each)) + (place - 1.5) * 0.2
                axes.bar(at, each, 0.2, color=colour, label=f"{name}: {way}" if way else name)
        axes.set_xticks(range(len(FEATURES)), FEATURES if kind == "SVM" else [], rotation=90)
        _styled(axes, {"RF": "forest: importances", "LR": "logistic regression: weights", "SVM": "SVM: weights"}[kind])
    _legend(figure, panels[:1])
    return figure


def _epochs(runs: Runs) -> Figure:
    """Figure 1 D and E, supplementary figures 2 and 3: losses, scores and ranks by epoch."""
    figure, panels = _panels(2, 3, (12, 6))
    for row, (name, colour) in enumerate(((_OPEN_RUN, _OPEN), (_THEN_RUN, _THEN))):
        if runs.get(name):
            _progress(panels[3 * row : 3 * row + 3], [run["epochs"] for run in runs[name]], colour)
        titles = ("loss: real or not", "accuracy on the 6,000", "rank of the epoch")
        for axes, title in zip(panels[3 * row : 3 * row + 3], titles, strict=True):
            _styled(axes, f"{name}: {title}")
            axes.set_xlabel("epoch", color=_GREY, fontsize=9)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if axes.get_legend_handles_labels()[0]:
                axes.legend(frameon=False, labelcolor=_GREY, fontsize=8)
    return figure


def _progress(panels: Sequence[Axes], curves: Sequence[Mapping[str, Any]], colour: str) -> None:
    """Draws losses, scores and ranks: a faint line for each seed, and the mean."""
    losses = np.array([one["losses"] for one in curves])  # (seeds, epochs, networks)
    for place, (label, style) in enumerate((("discriminator", "-"), ("generator", "--"))):
        _faint(panels[0], losses[:, :, place], colour, style, label)
    panels[0].axhline(float(np.log(2)), color=_GREY, linestyle=(0, (1, 2)))  # chance
    for kind, style in (("forest", "-"), ("logistic", "--")):
        scores = np.array([one[kind] for one in curves])
        _faint(panels[1], scores, colour, style, kind)
        _faint(panels[2], np.argsort(np.argsort(-scores, axis=1), axis=1) + 1, colour, style, kind)


def _faint(axes: Axes, each: NDArray[Any], colour: str, style: str, label: str) -> None:
    at = np.arange(1, each.shape[1] + 1)
    for line in each:
        axes.plot(at, line, style, color=colour, alpha=0.2, linewidth=0.8)
    axes.plot(at, each.mean(axis=0), style, color=colour, linewidth=1.8, label=label)


def _delta() -> Figure:
    """Figure 5: delta against epochs, as the program's accountant had it, and with the sensitivity that it had."""
    figure, panels = _panels(1, 2, (10, 3.8))
    epochs = np.unique(np.geomspace(1, EPOCHS, 40).astype(int))
    for axes, sigma, title in ((panels[0], 1.0, "as claimed: sensitivity C"), (panels[1], 0.5, "as it is: 2 C")):
        for place, epsilon in enumerate(EPSILONS):
            values = [max(delta(epsilon, sigma, int(count)), 1e-30) for count in epochs]
            axes.plot(
                epochs, values, color=(_OPEN, _THEN, _NOW, _NEXT, "#b04a5a", "#7a6a2f")[place], label=f"{epsilon:g}"
            )
        axes.axhline(1e-5, color=_GREY, linestyle=(0, (1, 2)))
        axes.set_yscale("log")
        axes.set_ylim(1e-30, 3)
        _styled(axes, title)
        axes.set_xlabel("epoch", color=_GREY, fontsize=9)
    panels[0].set_ylabel("delta", color=_GREY)
    panels[1].legend(
        title="epsilon", frameon=False, labelcolor=_GREY, fontsize=8, loc="lower right"
    ).get_title().set_color(_GREY)
    return figure


def _panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _styled(axes: Axes, title: str) -> None:
    axes.set_title(title, color=_GREY, fontsize=10)
    axes.tick_params(colors=_GREY, labelsize=8)
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(_GREY)


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    names = {name: line for axes in panels for line, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(names.values()), list(names), loc="outside lower center", ncols=len(names), frameon=False, labelcolor=_GREY
    )  # fmt: skip
