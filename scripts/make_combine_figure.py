"""Draws docs/combine.svg from benchmarks/results: what hospitals' patients teach, by how they are brought together."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# As far from white as from black: contrast 4.5 : 1 with both.
GREY = "#767676"
EPSILONS = ("1", "3", "none")
TITLES = {"heart": "four hospitals, heart disease", "trial": "ten hospitals, simulated trial"}
LINES = {
    "pooled training": ("all patients in one place", GREY, "*", "--"),
    "mixture, size": ("mixture", "#2b83c6", "o", "-"),
    "distillate": ("distilled from the mixture", "#a0569b", "d", "-"),
    "pooled tables, survey like the largest, who pays twice": ("pooled tables (--like)", "#d1620a", "s", "-"),
    "pooled tables": ("pooled tables (simulated)", "#b04a5a", "x", ":"),
    "pooled marginal, survey like the largest, who pays twice": ("pooled marginal (--like)", "#7a6a2f", "P", "-"),
    "answers": ("federate: answers", "#4a8a8a", "v", "-"),
    "rounds": ("federate: rounds", "#3a8a3a", "^", "-"),
    "local": ("each hospital alone", "#8a8a3a", "1", "-"),
}


def main() -> None:
    """Writes the figure."""
    runs = [
        run
        for name in ("combine", "federate")
        for run in json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["runs"]
    ]
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    *panels, names = figure.subplots(1, len(TITLES) + 1, width_ratios=(*(1.0 for _ in TITLES), 0.62))
    for axes, (part, title) in zip(panels, TITLES.items(), strict=True):
        _panel(axes, [run for run in runs if run["part"] == part], title)
    names.set_axis_off()
    lines = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    labels = [label for label, *_ in LINES.values() if label in lines]
    names.legend([lines[label] for label in labels], labels, loc="center", frameon=False, labelcolor=GREY, fontsize=9)
    figure.supylabel("area under the ROC curve, all hold-outs", color=GREY, fontsize=10)
    with rc_context({"svg.hashsalt": "wardgan"}):
        figure.savefig(ROOT / "docs" / "combine.svg", transparent=True, metadata={"Date": None})


def _panel(axes: Axes, runs: list[dict], title: str) -> None:
    for at, (method, (label, colour, mark, line)) in enumerate(LINES.items()):
        places, values = [], []
        for place, epsilon in enumerate(EPSILONS):
            mine = [run["all"] for run in runs if (run["method"], run["epsilon"]) == (method, epsilon) and "all" in run]
            if mine:
                # Beside each other, so that what is alike can be told apart.
                places.append(place + 0.05 * (at - len(LINES) / 2))
                values.append(mean(mine))
                axes.plot([places[-1]] * 2, [min(mine), max(mine)], color=colour, linewidth=1.2, alpha=0.6)
        private = sum(place < len(EPSILONS) - 1.5 for place in places)
        axes.plot(places[:private], values[:private], color=colour, linewidth=1.1, linestyle=line)
        if places:
            axes.plot(places, values, color=colour, marker=mark, linestyle="", markersize=4.5, label=label)
    axes.set_xticks(range(len(EPSILONS)), EPSILONS)
    axes.set_xlim(-0.4, len(EPSILONS) - 0.6)
    axes.set_title(title, color=GREY, fontsize=10)
    axes.set_xlabel("epsilon", color=GREY, fontsize=9)
    axes.tick_params(colors=GREY, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(GREY)


if __name__ == "__main__":
    main()
