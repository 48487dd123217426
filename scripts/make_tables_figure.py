"""Draws docs/tables.svg from benchmarks/results/tables.json: what each generator is good for, against epsilon."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from table_claims import EPSILONS, MODELS, TITLES

ROOT = Path(__file__).resolve().parents[1]
# As far from white as from black: contrast 4.5 : 1 with both.
GREY = "#767676"
LINES = {
    "copula": ("#2b83c6", "o", "-"), "marginal": ("#d1620a", "s", "-"), "tabgan": ("#3a8a3a", "^", "-"),
    "aim": ("#a0569b", "v", ":"), "aim, our bins": ("#a0569b", "d", ":"), "mst": ("#b04a5a", "x", ":"),
    "tabularargn": ("#7a6a2f", "P", ":"), "ctgan": ("#8a8a3a", "1", ":"), "tvae": ("#4a8a8a", "2", ":"),
}  # fmt: skip


def main() -> None:
    """Writes the figure."""
    runs = json.loads((ROOT / "benchmarks" / "results" / "tables.json").read_text(encoding="utf-8"))["runs"]
    tables = [table for table in TITLES if any(run["table"] == table for run in runs)]
    figure = Figure(figsize=(9.6, 2.9 * -(-len(tables) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(tables) // 3), 3, sharey=True, squeeze=False).ravel()
    for table, axes in zip(tables, panels, strict=False):
        _panel(axes, [run for run in runs if run["table"] == table], TITLES[table])
    for axes in panels[len(tables) :]:
        axes.set_axis_off()
    names = {name: line for axes in panels for line, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    panels[-1].legend(
        [names[name] for name in LINES if name in names], [name for name in LINES if name in names],
        loc="center", frameon=False, labelcolor=GREY,
    )  # fmt: skip
    figure.supylabel("share of what real patients teach (%)", color=GREY, fontsize=10)
    with rc_context({"svg.hashsalt": "wardgan"}):
        figure.savefig(ROOT / "docs" / "tables.svg", transparent=True, metadata={"Date": None})


def _panel(axes: Axes, runs: list[dict], title: str) -> None:
    real = {run["seed"]: run for run in runs if run["method"] == "real"}
    axes.axhline(100, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    for method, (colour, mark, line) in LINES.items():
        places, values = [], []
        for place, epsilon in enumerate(EPSILONS):
            mine = [run for run in runs if (run["method"], run["epsilon"]) == (method, epsilon) and "LR" in run]
            shares = [100 * np.mean([run[m] / real[run["seed"]][m] for m in MODELS]) for run in mine]
            if shares:
                places.append(place)
                values.append(float(np.mean(shares)))
                ends = (min(shares), max(shares))
                axes.plot([place, place], ends, color=colour, linewidth=1.2, alpha=0.6)
        private = [(place, value) for place, value in zip(places, values, strict=True) if place < len(EPSILONS) - 1]
        if private:
            axes.plot(*zip(*private, strict=True), color=colour, linewidth=1.4, linestyle=line)
        if places:
            axes.plot(places, values, color=colour, marker=mark, linestyle="", markersize=4.5, label=method)
    axes.set_xticks(range(len(EPSILONS)), [*EPSILONS[:-1], "none"])
    axes.set_xlim(-0.4, len(EPSILONS) - 0.6)
    axes.set_ylim(55, 104)
    axes.set_title(title, color=GREY, fontsize=10)
    axes.set_xlabel("epsilon", color=GREY, fontsize=9)
    axes.tick_params(colors=GREY, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(GREY)


if __name__ == "__main__":
    main()
